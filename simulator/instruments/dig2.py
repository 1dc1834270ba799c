"""The DIG2: an IQ digitizer with two channels. Manual: docs/instruments/dig2.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pulsed.simulator.dynamics.sequence import AcquiredData, ClassifiedBit, IntegrationKernel, Mode, Window, above
from pulsed.simulator.instruments.parts import RATE, TRIGGER_LATENCY
from pulsed.simulator.instruments.scpi import (
    BlockAnswer,
    BlockParameter,
    ChoiceParameter,
    Command,
    IntegerParameter,
    ScpiError,
    TextParameter,
)
from pulsed.simulator.instruments.stored_tables import StoredTable, StoredTables
from pulsed.simulator.instruments.virtual_instrument import (
    FEEDBACK_BITS,
    FEEDBACK_LATENCY,
    MAX_PERIOD,
    ListPlayer,
    RunState,
    TriggerBus,
    VirtualIdentity,
    require,
)

KERNEL_MEMORY, RECORD_MEMORY, DATA_MEMORY = 4 << 20, 1 << 20, 2 << 30
GRANULARITY, SHORTEST, LONGEST = 8, 16, 1 << 14
BANDWIDTH = 500e6
RECORD = np.dtype(
    [
        ("window", "<u4"),
        ("kernel", "<u2"),
        ("feedback", "<u2"),
        ("start", "<i8"),
        ("length", "<i8"),
        ("frequency", "<f8"),
        ("threshold", "<f4"),
        ("angle", "<f4"),
    ]
)
TERM = 0xFFFFFFFF
"""In place of a window: the record is a term of a decision."""
MODES: dict[str, Mode] = {"RAW": "raw", "AVER": "averaged", "INT": "integrated", "THR": "integrated"}


@dataclass(frozen=True)
class Weights(StoredTable):
    """Integration weights, complex64 (samples,)."""

    weights: np.ndarray


@dataclass(frozen=True)
class RecordTable(StoredTable):
    """Records as uploaded, their order by window, the samples the table lasts, and the terms of each decision."""

    records: np.ndarray
    order: np.ndarray
    length: int
    decisions: Mapping[int, tuple[int, ...]]

    @property
    def windows(self) -> np.ndarray:
        """The first record of each window, in order of time."""
        ordered = self.records[self.order]
        first: np.ndarray = ordered[np.diff(ordered["window"].astype(np.int64), prepend=-1) > 0]
        return first

    def acquisition(self, kernels: Mapping[int, Weights], shift: int) -> tuple[Window, ...]:
        """Return the windows on a clock where sample 0 of the digitizer is sample ``shift``.

        A kernel demodulates with time from the digitizer's sample 0, so its weights take the phase of the shift.
        """
        windows: list[tuple[int, int, list[IntegrationKernel]]] = []
        for record in self.records[self.order]:
            number, kernel, length = int(record["window"]), int(record["kernel"]), int(record["length"])
            frequency = float(record["frequency"])
            if number == len(windows):
                windows.append((int(record["start"]) + shift, length, []))
            weights = kernels[kernel].weights if kernel in kernels else np.full(length, 1 / length)
            phase = np.exp(-2j * np.pi * frequency * shift / RATE)
            windows[-1][2].append(IntegrationKernel(frequency, weights * phase))
        return tuple(Window(start, length, tuple(kernels)) for start, length, kernels in windows)

    @property
    def feedback(self) -> bool:
        """Whether any record's bit goes to the AWGs."""
        return bool(self.records["feedback"].any())

    def sent(self) -> list[tuple[int, int, ClassifiedBit]]:
        """Return number, sample from which it counts, and classification of each bit that goes to the AWGs."""
        ordered = self.records[self.order]
        windows = ordered["window"]
        place = np.arange(len(ordered)) - np.searchsorted(windows, windows)
        sent = []
        for record, kernel in zip(ordered, place.tolist(), strict=True):
            if record["feedback"]:
                bit = ClassifiedBit(int(record["window"]), kernel, float(record["angle"]), float(record["threshold"]))
                arrival = int(record["start"]) + int(record["length"]) + FEEDBACK_LATENCY
                sent.append((int(record["feedback"]), arrival, bit))
        return sent


class VirtualDigitizer(ListPlayer):
    """One DIG2."""

    abilities = ListPlayer.abilities | {"data", "input"}

    def __init__(self, identity: VirtualIdentity, bus: TriggerBus) -> None:
        self.kernels: StoredTables[Weights] = StoredTables("kernel", "samples", KERNEL_MEMORY)
        self.tables: StoredTables[RecordTable] = StoredTables("acquisition table", "records", RECORD_MEMORY)
        self.data: list[tuple[memoryview, bool]] = []
        super().__init__(identity, bus)

    def clear_memory(self) -> None:
        """Forget kernels, tables and data."""
        super().clear_memory()
        self.kernels.clear()
        self.tables.clear()
        self.data = []
        self.mode = "INT"

    def table_length(self, table: int) -> int | None:
        """Return the length of an acquisition table in samples."""
        found = self.tables.get(table)
        return found.length if found else None

    def check_list(self) -> None:
        """Refuse kernels that are missing or do not fit, and more data than the memory holds; else make room."""
        for table in dict.fromkeys(self.list["table"].tolist()):
            if MODES[self.mode] == "integrated" or self.tables[table].feedback:
                self._check_kernels(table)
        alike = Counter((table, shots) for table, shots, _ in self.list.tolist())
        asked = sum(self._data_size(*which) * count for which, count in alike.items())
        if asked > DATA_MEMORY:
            raise ScpiError(-223, f"the list asks for {asked} bytes of data, legal up to {DATA_MEMORY}")
        self.data = []

    def _check_kernels(self, table: int) -> None:
        for record in self.tables[table].records[["kernel", "length"]].tolist():
            number, length = record
            if number and number not in self.kernels:
                raise ScpiError(-221, f"table {table} names kernel {number}, which does not exist")
            if number and self.kernels[number].size != length:
                size = self.kernels[number].size
                raise ScpiError(-221, f"kernel {number} has {size} samples, its record in table {table} {length}")

    def _data_size(self, table: int, shots: int) -> int:
        found = self.tables[table]
        samples = int(found.windows["length"].sum())
        return {
            "RAW": shots * samples * 4,
            "AVER": samples * 8,
            "INT": shots * found.size * 8,
            "THR": shots * found.size,
        }[self.mode]

    input_numbers = (1,)

    def input_carrier(self, number: int) -> None:
        """Return None: the mixer is outside."""

    def recorded(self) -> DigitizerPart:
        """Return what its list records."""
        tables = [self.tables[table] for table in self.list["table"].tolist()]
        return DigitizerPart(self, tables, dict(self.kernels), MODES[self.mode])

    def deliver(self, table: RecordTable, outcome: AcquiredData) -> None:
        """Take the data of the next entry of the list."""
        data: np.ndarray
        if outcome.integrated is not None:
            values = np.empty(outcome.integrated.shape, np.complex64)
            values[:, table.order] = outcome.integrated
            data = values.view(np.float32)
            if self.mode == "THR":
                data = above(values, table.records["angle"], table.records["threshold"]).view(np.uint8)
        elif outcome.raw is not None:
            data = outcome.raw
        else:
            data = np.asarray(outcome.averaged, np.float32)
        self.data.append((np.ascontiguousarray(data).reshape(-1).data, outcome.overrange or "overrange" in self.faults))

    def _set_mode(self, mode: str) -> None:
        self.check_free()
        self.mode = mode

    def _store_kernel(self, number: int, name: str, block: bytearray) -> None:
        weights = np.frombuffer(block, "<c8")
        if not SHORTEST <= len(weights) <= LONGEST:
            code = -223 if len(weights) > LONGEST else -222
            raise ScpiError(code, f"{len(weights)} samples, legal {SHORTEST} to {LONGEST}")
        require([(-222, np.isfinite(weights), "finite weights")], "sample")
        self._check_kernel_free(number)
        self.kernels.put(number, Weights(name, len(weights), weights))

    def _check_kernel_free(self, number: int) -> None:
        for table in self.tables_in_use:
            if number in self.tables[table].records["kernel"]:
                raise ScpiError(-221, f"kernel {number} is in use by table {table}")

    def _delete_kernel(self, number: int) -> None:
        self.kernels.need(number)
        self._check_kernel_free(number)
        self.kernels.drop(number)

    def _delete_kernels(self) -> None:
        self.check_free()
        self.kernels.clear()

    def _store_table(self, number: int, name: str, length: int, block: bytearray) -> None:
        everything = np.frombuffer(block, RECORD)
        records, terms = everything[everything["window"] != TERM], everything[everything["window"] == TERM]
        lasting = records["length"]
        require(
            [
                (-222, records["feedback"] <= FEEDBACK_BITS, f"feedback 0 to {FEEDBACK_BITS}"),
                (-222, (lasting >= SHORTEST) & (lasting <= LONGEST), f"length {SHORTEST} to {LONGEST}"),
                (-222, lasting % GRANULARITY == 0, f"length a multiple of {GRANULARITY}"),
                (-222, np.abs(records["frequency"]) <= BANDWIDTH, f"frequency within {BANDWIDTH:g} Hz"),
                (-222, np.isfinite(records["threshold"]), "a finite threshold"),
                (-222, np.isfinite(records["angle"]), "a finite angle"),
                (-221, (records["start"] >= 0) & (records["start"] <= length - lasting), f"window within {length}"),
            ],
            "record",
        )
        decisions = _decisions(terms, records)
        order = np.argsort(records["window"], kind="stable")
        _check_windows(records[order])
        if number in self.tables_in_use:
            raise ScpiError(-221, f"table {number} is in use")
        self.tables.put(number, RecordTable(name, len(records), records, order, length, decisions))

    def _delete_table(self, number: int) -> None:
        self.tables.need(number)
        if number in self.tables_in_use:
            raise ScpiError(-221, f"table {number} is in use")
        self.tables.drop(number)

    def _delete_tables(self) -> None:
        self.check_free()
        self.tables.clear()

    def _fetch(self, entry: int) -> BlockAnswer:
        if entry >= len(self.data):
            raise ScpiError(-221, f"no data of entry {entry}, there are {len(self.data)}")
        return BlockAnswer((self.data[entry][0],))

    def _fetch_all(self) -> BlockAnswer:
        self._check_done()
        return BlockAnswer(tuple(data for data, _ in self.data))

    def _fetch_overrange(self) -> str:
        self._check_done()
        return ",".join(str(int(over)) for _, over in self.data)

    def _check_done(self) -> None:
        if self.state is not RunState.DONE:
            raise ScpiError(-221, f"the data are complete when DONE, not while {self.state}")

    _ID = IntegerParameter("id", 0, 0xFFFF)
    _NAME = TextParameter("name", 64)
    COMMANDS = (
        *ListPlayer.COMMANDS,
        Command("ACQuire:MODE", _set_mode, (ChoiceParameter("mode", ("RAW", "AVERage", "INTegrate", "THReshold")),)),
        Command("ACQuire:MODE?", lambda self: self.mode),
        Command("KERNel:DATA", _store_kernel, (IntegerParameter("id", 1, 0xFFFF), _NAME, BlockParameter("kernel", 8))),
        Command("KERNel:CATalog?", lambda self: self.kernels.catalog()),
        Command("KERNel:DELete", _delete_kernel, (_ID,)),
        Command("KERNel:DELete:ALL", _delete_kernels),
        Command("KERNel:FREE?", lambda self: str(self.kernels.free)),
        Command(
            "ACQuire:DATA",
            _store_table,
            (_ID, _NAME, IntegerParameter("length", 1, MAX_PERIOD), BlockParameter("table", RECORD.itemsize)),
        ),
        Command("ACQuire:CATalog?", lambda self: self.tables.catalog()),
        Command("ACQuire:DELete", _delete_table, (_ID,)),
        Command("ACQuire:DELete:ALL", _delete_tables),
        Command("ACQuire:FREE?", lambda self: str(self.tables.free)),
        Command("FETCh:DATA?", _fetch, (IntegerParameter("entry", 0, 0xFFFF),)),
        Command("FETCh:ALL?", _fetch_all),
        Command("FETCh:OVERrange?", _fetch_overrange),
    )


@dataclass(frozen=True)
class DigitizerPart:
    """What the digitizer does in a run."""

    player: VirtualDigitizer
    tables: list[RecordTable]
    kernels: Mapping[int, Weights]
    mode: Mode

    def first(self, entry: int) -> int:
        """Return the start of the first window; the trigger latency when there is none."""
        return int(self.tables[entry].records["start"].min(initial=TRIGGER_LATENCY))

    def windows(self, entry: int, shift: int) -> tuple[Window, ...]:
        """Return the windows on the chip's clock."""
        return self.tables[entry].acquisition(self.kernels, shift)

    def sent(self, entry: int) -> list[tuple[int, int, ClassifiedBit]]:
        """Return the bits that are told to the AWGs."""
        return self.tables[entry].sent()

    def decisions(self, entry: int) -> Mapping[int, tuple[int, ...]]:
        """Return the bits that are made of others."""
        return self.tables[entry].decisions

    def deliver(self, entry: int, outcome: AcquiredData) -> None:
        """Take the data of an entry."""
        self.player.deliver(self.tables[entry], outcome)


def _decisions(terms: np.ndarray, records: np.ndarray) -> dict[int, tuple[int, ...]]:
    """Return the terms of each decision by its number."""
    number, term = terms["feedback"], terms["start"]
    require(
        [
            (-222, (number > 0) & (number <= FEEDBACK_BITS), f"feedback 1 to {FEEDBACK_BITS}"),
            (-221, ~np.isin(number, records["feedback"]), "a number that no record has"),
            (-222, (term != 0) & (np.abs(term) <= FEEDBACK_BITS), f"a bit from 1 to {FEEDBACK_BITS}, either sign"),
            (-221, np.isin(np.abs(term), records["feedback"]), "a bit of a record of this table"),
        ],
        "term",
    )
    return {int(n): tuple(term[number == n].tolist()) for n in np.unique(number)}


def _check_windows(records: np.ndarray) -> None:
    """Refuse (-221) windows, in order of number, that are not 0, 1, ... in order of time and apart."""
    numbers = records["window"].astype(np.int64)
    if not len(numbers):
        return
    ends = records["start"] + records["length"]
    step = np.diff(numbers)
    again = step == 0
    alike = (np.diff(records["start"]) == 0) & (np.diff(records["length"]) == 0)
    require(
        [
            (-221, np.concatenate([numbers[:1] == 0, step <= 1]), "windows numbered 0, 1, ..."),
            (-221, ~again | alike, "one start and length for each window"),
            (-221, again | (records["start"][1:] >= ends[:-1]), "windows in order of time that do not overlap"),
        ],
        "record (by window)",
    )
