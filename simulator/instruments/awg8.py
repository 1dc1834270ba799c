"""The AWG8: four IQ pairs with eight oscillators and two markers each. Manual: docs/instruments/awg8.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pulsed.simulator.instruments.awg8_sweeps import NO_TERMS, read_sweep, read_values, without_values
from pulsed.simulator.instruments.awg8_tables import (
    BANDWIDTH,
    EVENT,
    EVENT_MEMORY,
    FULL_SCALE,
    GRANULARITY,
    LONGEST,
    OSCILLATORS,
    PAIRS,
    ROUNDED,
    SEQUENCE,
    SHORTEST,
    SLOTS,
    TABLES,
    TURN,
    WAVE_MEMORY,
    AwgPart,
    EventTable,
    StoredWaveform,
    marks,
)
from pulsed.simulator.instruments.faults import OVERHEATED
from pulsed.simulator.instruments.scpi import (
    BlockAnswer,
    BlockParameter,
    Command,
    IntegerParameter,
    RealParameter,
    ScpiError,
    SwitchParameter,
    TextParameter,
)
from pulsed.simulator.instruments.stored_tables import StoredTables
from pulsed.simulator.instruments.virtual_instrument import (
    FEEDBACK_BITS,
    FEEDBACK_LATENCY,
    MAX_PERIOD,
    ListPlayer,
    TriggerBus,
    VirtualIdentity,
    require,
)


@dataclass
class PairSettings:
    """One pair: its switch, and what is done to (I, Q) before the converter."""

    on: bool = False
    correction: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)


class VirtualAwg(ListPlayer):
    """One AWG8."""

    def __init__(self, identity: VirtualIdentity, bus: TriggerBus) -> None:
        self.waveforms: StoredTables[StoredWaveform] = StoredTables("waveform", "samples", WAVE_MEMORY)
        self.sequences: StoredTables[EventTable] = StoredTables("sequence", "events", EVENT_MEMORY)
        super().__init__(identity, bus)

    def clear_memory(self) -> None:
        """Forget all tables, switch all outputs off."""
        super().clear_memory()
        self.waveforms.clear()
        self.sequences.clear()
        self._lengths = np.zeros(1 << 16, np.int64)
        self._revision = 0
        self._checked: dict[int, int] = {}
        self._values = np.zeros((0, 0))
        self.outputs = tuple(PairSettings() for _ in range(PAIRS))
        self.trigger_output = True

    def table_length(self, table: int) -> int | None:
        """Return the length of a sequence in samples."""
        sequence = self.sequences.get(table)
        return sequence.length if sequence else None

    def check_list(self) -> None:
        """Refuse sequences whose waveforms are gone or no longer fit."""
        for table in dict.fromkeys(self.list["table"].tolist()):
            if self._checked[table] != self._revision:
                sequence = self.sequences[table]
                self._check_times(sequence.events, sequence.length)
                self._checked[table] = self._revision
            if len(self.sequences[table].terms):
                self._check_values(table)

    def _check_values(self, table: int) -> None:
        """Refuse a list that has no values for a sequence, or such that take it out of range."""
        sequence, rows = self.sequences[table], np.flatnonzero(self.list["table"] == table)
        if sequence.columns > self._values.shape[1]:
            raise ScpiError(
                -221, f"sequence {table} needs {sequence.columns} values, the list has {self._values.shape[1]}"
            )
        for name, most in (("amplitude", 1 + ROUNDED), ("frequency", BANDWIDTH)):
            _, moved = sequence.moved(name, self._values[rows])
            bad = np.flatnonzero((np.abs(moved) > most).any(axis=1))
            if len(bad):
                raise ScpiError(-222, f"the values of entry {rows[bad[0]]} take a {name} beyond {most:g}")

    def values_gone(self) -> None:
        """Forget the values of the list."""
        self._values = np.zeros((len(self.list), 0))

    def _store_values(self, block: bytearray) -> None:
        self.check_free()
        self._values = read_values(block, len(self.list))

    def _read_values(self) -> BlockAnswer:
        head = np.array([self._values.shape[1], 0], "<u4").tobytes()
        return BlockAnswer((memoryview(head + self._values.tobytes()),))

    def _read_entry(self, entry: int) -> BlockAnswer:
        if entry >= len(self.list):
            raise ScpiError(-224, f"there is no entry {entry}, there are {len(self.list)}")
        table = int(self.list["table"][entry])
        if self.sequences.need(table).columns > self._values.shape[1]:
            raise ScpiError(-221, f"sequence {table} needs values, the list has {self._values.shape[1]} of each entry")
        return BlockAnswer((self.played({}).events(entry).view("u1").data,))

    def _check_times(self, events: np.ndarray, length: int | np.ndarray, owner: int | np.ndarray = 0) -> None:
        """Refuse (-221) sorted events without waveform, beyond the length, or over one another.

        ``length`` and ``owner``: of the sequence that each event belongs to.
        """
        waveform, time, slot = events["waveform"], events["time"], _slots(events) + 256 * np.asarray(owner)
        marker, turn = events["oscillator"] >= OSCILLATORS, waveform == TURN
        lasting = np.where(marker, waveform, self._lengths[np.minimum(waveform, 0xFFFF)])
        lasting[turn & ~marker] = 0
        end = time + lasting
        apart = (slot[1:] != slot[:-1]) | (time[1:] >= end[:-1])
        require(
            [
                (-221, turn | marker | (waveform <= 0xFFFF) & (lasting > 0), "a stored waveform"),
                (-221, end <= length, "an end within the length of its sequence"),
                (-221, apart, "an end before the next one of its oscillator begins"),
            ],
            "event (by pair, oscillator, time)",
        )

    def _store_waveform(self, number: int, name: str, block: bytearray) -> None:
        codes = np.frombuffer(block, "<i2").reshape(-1, 2)
        samples = len(codes)
        if samples > LONGEST:
            raise ScpiError(-223, f"{samples} samples, legal up to {LONGEST}")
        if samples < SHORTEST or samples % GRANULARITY:
            raise ScpiError(-222, f"{samples} samples, legal multiples of {GRANULARITY} from {SHORTEST}")
        if codes.min() < -FULL_SCALE or codes.max() > FULL_SCALE:
            raise ScpiError(-222, f"sample values, legal {-FULL_SCALE} to {FULL_SCALE}")
        replaces = number in self.waveforms
        self._check_waveform_free(number)
        digest = hashlib.blake2b(block, digest_size=16).digest()
        self.waveforms.put(number, StoredWaveform(name, samples, codes, digest))
        self._lengths[number] = samples
        self._revision += replaces

    def _check_waveform_free(self, number: int) -> None:
        for table in self.tables_in_use:
            events = self.sequences[table].events
            if number in events["waveform"][events["oscillator"] < OSCILLATORS]:
                raise ScpiError(-221, f"waveform {number} is in use by sequence {table}")

    def _read_waveform(self, number: int) -> BlockAnswer:
        return BlockAnswer((self.waveforms.need(number).codes.reshape(-1).data,))

    def _delete_waveform(self, number: int) -> None:
        self.waveforms.need(number)
        self._check_waveform_free(number)
        self.waveforms.drop(number)
        self._lengths[number] = 0
        self._revision += 1

    def _delete_waveforms(self) -> None:
        self.check_free()
        self.waveforms.clear()
        self._lengths[:] = 0
        self._revision += 1

    def _store_sequence(self, number: int, name: str, length: int, block: bytearray) -> None:
        events = np.frombuffer(block, EVENT)
        self._put_sequences(np.array([(number, len(events), length, name.encode())], SEQUENCE), events)

    def _load_sequences(self, block: bytearray) -> None:
        """Store many sequences, or none of them: their number, a :data:`SEQUENCE` each, and all their events."""
        count = int.from_bytes(block[:8], "little")
        if count > TABLES or len(block) < 8 + count * SEQUENCE.itemsize:
            raise ScpiError(-161, f"{count} sequences in {len(block)} bytes")
        heads = np.frombuffer(block, SEQUENCE, count, 8)
        rest = memoryview(block)[8 + heads.nbytes :]
        if int(heads["events"].sum(dtype=np.int64)) * EVENT.itemsize != len(rest):
            raise ScpiError(-161, f"{len(rest)} bytes of events, legal {EVENT.itemsize} for each that is announced")
        ids = heads["id"]
        require(
            [
                (-222, ids < TABLES, f"id 0 to {TABLES - 1}"),
                (-222, (heads["length"] >= 1) & (heads["length"] <= MAX_PERIOD), f"length 1 to {MAX_PERIOD}"),
            ],
            "sequence",
        )
        if len(np.unique(ids)) < count:
            raise ScpiError(-222, "an id that stands twice")
        for name in heads["name"].tolist():
            TextParameter("name", 64).parse(b'"' + name + b'"')
        self._put_sequences(heads, np.frombuffer(rest, EVENT))

    def _store_sweep(self, number: int, name: str, length: int, block: bytearray) -> None:
        events, terms = read_sweep(block)
        self._put_sequences(np.array([(number, len(events), length, name.encode())], SEQUENCE), events, terms)

    def _put_sequences(self, heads: np.ndarray, events: np.ndarray, terms: np.ndarray = NO_TERMS) -> None:
        """Store sequences whose events follow one another, once all of them are right; ``terms`` of a single one."""
        owner = np.repeat(np.arange(len(heads)), heads["events"])
        _check_events(without_values(events, terms), heads["length"][owner])
        # A turn goes before what plays from the same sample on.
        plays = (events["waveform"] != TURN) | (events["oscillator"] >= OSCILLATORS)
        order = np.lexsort((plays, events["time"], _slots(events), owner))
        events, terms = events[order], terms.copy()
        terms["event"] = np.argsort(order)[terms["event"]]
        self._check_times(events, heads["length"][owner], owner)
        ids = heads["id"].tolist()
        for number in ids:
            self._check_sequence_free(number)
        self.sequences.check_room({number: size + len(terms) for number, size in heads[["id", "events"]].tolist()})
        stops = np.cumsum(heads["events"]).tolist()
        for number, size, length, name, stop in zip(
            ids, heads["events"].tolist(), heads["length"].tolist(), heads["name"].tolist(), stops, strict=True
        ):
            own = events[stop - size : stop].copy()
            table = EventTable(name.decode(), size + len(terms), own, length, bool(own["condition"].any()), terms)
            self.sequences.put(number, table)
            self._checked[number] = self._revision

    def _read_sequence(self, number: int) -> BlockAnswer:
        return BlockAnswer((self.sequences.need(number).events.view("u1").data,))

    def _read_terms(self, number: int) -> BlockAnswer:
        return BlockAnswer((self.sequences.need(number).terms.view("u1").data,))

    def _trace_markers(self, number: int, pair: int) -> str:
        """Return marker, start, stop and condition of each time that a marker of the pair is up."""
        events = self.sequences.need(number).events
        mine = events[(events["pair"] == pair) & (events["oscillator"] >= OSCILLATORS)]
        return ",".join(f"{marker},{start},{stop},{condition}" for marker, start, stop, condition in marks(mine))

    def _check_sequence_free(self, number: int) -> None:
        if number in self.tables_in_use:
            raise ScpiError(-221, f"sequence {number} is in use")

    def _delete_sequence(self, number: int) -> None:
        self.sequences.need(number)
        self._check_sequence_free(number)
        self.sequences.drop(number)

    def _delete_sequences(self) -> None:
        self.check_free()
        self.sequences.clear()

    pair_numbers = tuple(range(1, PAIRS + 1))

    @property
    def gives_triggers(self) -> bool:
        """Whether its followers are triggered."""
        return self.trigger_output

    def output(self, pair: int) -> PairSettings:
        """Return how a pair is set now."""
        return self.outputs[pair - 1]

    def carrier(self, pair: int) -> None:
        """Return None: the mixers are outside."""

    def played(self, lines: Mapping[int, int]) -> AwgPart:
        """Return what its list plays on the pairs that have cables."""
        line_of_pair = np.array([lines.get(pair, -1) for pair in range(PAIRS + 1)])
        return AwgPart(
            self, [self.sequences[t] for t in self.list["table"].tolist()], dict(self.waveforms), line_of_pair,
            self._values,
        )  # fmt: skip

    def switch_off(self) -> None:
        """Switch all pairs off."""
        for output in self.outputs:
            output.on = False

    def _switch(self, pair: int, on: bool) -> None:
        if on:
            self.check_health(OVERHEATED)
        self.outputs[pair - 1].on = on

    def _correct(self, pair: int, *matrix: float) -> None:
        a, b, c, d = matrix
        self.outputs[pair - 1].correction = (a, b, c, d)

    def _set_offset(self, pair: int, i: float, q: float) -> None:
        self.outputs[pair - 1].offset = (i, q)

    def _set_trigger_output(self, on: bool) -> None:
        self.check_free()
        self.trigger_output = on

    _ID = IntegerParameter("id", 0, TABLES - 1)
    _NAME = TextParameter("name", 64)
    COMMANDS = (
        *ListPlayer.COMMANDS,
        Command("WAVeform:DATA", _store_waveform, (_ID, _NAME, BlockParameter("waveform", 4))),
        Command("WAVeform:DATA?", _read_waveform, (_ID,)),
        Command("WAVeform:CATalog?", lambda self: self.waveforms.catalog()),
        Command("WAVeform:DELete", _delete_waveform, (_ID,)),
        Command("WAVeform:DELete:ALL", _delete_waveforms),
        Command("WAVeform:FREE?", lambda self: str(self.waveforms.free)),
        Command(
            "SEQuence:DATA",
            _store_sequence,
            (_ID, _NAME, IntegerParameter("length", 1, MAX_PERIOD), BlockParameter("sequence", EVENT.itemsize)),
        ),
        Command(
            "SEQuence:SWEep",
            _store_sweep,
            (_ID, _NAME, IntegerParameter("length", 1, MAX_PERIOD), BlockParameter("sweep", 8)),
        ),
        Command("SEQuence:TERMs?", _read_terms, (_ID,)),
        Command("LIST:VALues", _store_values, (BlockParameter("values", 8),)),
        Command("LIST:VALues?", _read_values),
        Command("LIST:EVENts?", _read_entry, (IntegerParameter("entry", 0, 0xFFFF),)),
        Command("SEQuence:LOAD", _load_sequences, (BlockParameter("sequences", 8),)),
        Command("SEQuence:DATA?", _read_sequence, (_ID,)),
        Command("SEQuence:MARKers?", _trace_markers, (_ID, IntegerParameter("pair", 1, PAIRS))),
        Command("SEQuence:CATalog?", lambda self: self.sequences.catalog()),
        Command("SEQuence:DELete", _delete_sequence, (_ID,)),
        Command("SEQuence:DELete:ALL", _delete_sequences),
        Command("SEQuence:FREE?", lambda self: str(self.sequences.free)),
        Command("OUTPut<4>[:STATe]", _switch, (SwitchParameter("output"),)),
        Command("OUTPut<4>[:STATe]?", lambda self, pair: str(int(self.outputs[pair - 1].on))),
        Command("OUTPut<4>:CORRection", _correct, tuple(RealParameter(name, -2, 2) for name in "abcd")),
        Command("OUTPut<4>:CORRection?", lambda self, pair: _numbers(self.outputs[pair - 1].correction)),
        Command("OUTPut<4>:OFFSet", _set_offset, (RealParameter("i", -0.5, 0.5), RealParameter("q", -0.5, 0.5))),
        Command("OUTPut<4>:OFFSet?", lambda self, pair: _numbers(self.outputs[pair - 1].offset)),
        Command("TRIGger:OUTPut", _set_trigger_output, (SwitchParameter("trigger output"),)),
        Command("TRIGger:OUTPut?", lambda self: str(int(self.trigger_output))),
        Command("FEEDback:LATency?", lambda self: str(FEEDBACK_LATENCY)),
    )


def _check_events(events: np.ndarray, length: np.ndarray) -> None:
    """Refuse (-222, -221) events, one by one."""
    marker, turn = events["oscillator"] >= OSCILLATORS, events["waveform"] == TURN
    silent = (events["amplitude"] == 0) & (events["frequency"] == 0)
    plain = silent & (events["phase"] == 0) & (events["waveform"] >= 1) & (events["waveform"] <= MAX_PERIOD)
    require(
        [
            (-222, (events["pair"] >= 1) & (events["pair"] <= PAIRS), f"pair 1 to {PAIRS}"),
            (-222, events["oscillator"] < SLOTS, f"oscillator 0 to {SLOTS - 1}"),
            (-222, np.abs(events["condition"].astype(int)) <= FEEDBACK_BITS, f"condition within {FEEDBACK_BITS}"),
            (-222, (events["amplitude"] >= 0) & (events["amplitude"] <= 1), "amplitude 0 to 1"),
            (-222, np.isfinite(events["phase"]), "a finite phase"),
            (-222, np.abs(events["frequency"]) <= BANDWIDTH, f"frequency within {BANDWIDTH:g} Hz"),
            (-222, ~turn | silent, "a turn without amplitude and frequency"),
            (-222, ~marker | plain, "a marker of 1 sample or more, all else 0"),
            (-221, (events["time"] >= 0) & (events["time"] <= length), "time 0 to the length of its sequence"),
        ],
        "event",
    )


def _slots(events: np.ndarray) -> np.ndarray:
    """Return a number for each oscillator and marker of each pair."""
    slots: np.ndarray = events["pair"] * np.uint8(SLOTS) + events["oscillator"]
    return slots


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join(repr(value) for value in values)
