"""AWG8: an 8-channel arbitrary waveform generator, four IQ pairs (docs/instruments/awg8.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qcodes.instrument import InstrumentChannel
from qcodes.parameters import create_on_off_val_mapping
from qcodes.validators import Enum

from pulsed.drivers.contract import Capabilities, Handle, OutputSettings
from pulsed.drivers.limits import check_playback
from pulsed.drivers.programs import EventSweep, Playback, Rows, split_entries
from pulsed.drivers.scpi.driver import SessionInstrument, qcodes_name
from pulsed.drivers.scpi.held_settings import HeldSetting, read_switch
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, io_coroutine, run_to_end
from pulsed.drivers.scpi.sequencer import SequencerDriver, digest
from pulsed.drivers.scpi.session import BlockCommand, ScpiCommand, Session
from pulsed.drivers.scpi.table_memory import TableMemory
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import ConfigError

SEQUENCE_EVENT = np.dtype(
    [
        ("pair", "u1"), ("oscillator", "u1"), ("condition", "<i2"), ("waveform", "<u4"), ("time", "<i8"),
        ("amplitude", "<f8"), ("phase", "<f8"), ("frequency", "<f8"),
    ]
)  # fmt: skip
SWEEP_TERM = np.dtype([("event", "<u4"), ("field", "<u2"), ("column", "<u2"), ("coefficient", "<f8")])
"""As :data:`~pulsed.compiler.program.PARAMETER`, field by field."""
_SEQUENCE = np.dtype([("id", "<u4"), ("events", "<u4"), ("length", "<i8"), ("name", "S64")])
_TURN = 0xFFFFFFFF
"""In place of a waveform's number: the oscillator is turned by the event's phase from then on."""
_MARKER_1 = 8
"""In place of an oscillator's number: marker 1 of the pair; then the waveform's is how long it is up."""
_CODES = 8191
"""Full scale of the DAC, in codes."""


def to_codes(envelope: npt.NDArray[Any]) -> npt.NDArray[np.int16]:
    """Return a complex envelope (samples,), full scale 1, as int16 (samples, 2): I and Q in codes."""
    codes = np.empty((len(envelope), 2), np.int16)
    codes[:, 0] = np.rint(np.real(envelope) * _CODES)
    codes[:, 1] = np.rint(np.imag(envelope) * _CODES)
    return codes


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


class Awg8Pair(InstrumentChannel):  # type: ignore[misc]  # qcodes is not followed by mypy
    """One IQ pair for a person: output, mixer correction, offset."""

    def __init__(self, parent: Any, name: str, pair: int) -> None:
        super().__init__(parent, name)
        self.add_parameter(
            "output",
            label=f"Output {pair}",
            get_cmd=f"OUTP{pair}?",
            set_cmd=f"OUTP{pair} {{}}",
            val_mapping=create_on_off_val_mapping(on_val="1", off_val="0"),
        )
        for parameter, keyword, label in (("correction", "CORR", "Mixer correction"), ("offset", "OFFS", "Offset")):
            self.add_parameter(
                parameter,
                label=f"{label} {pair}",
                get_cmd=f"OUTP{pair}:{keyword}?",
                set_cmd=f"OUTP{pair}:{keyword} {{}}",
                get_parser=_numbers,
                set_parser=_join,
            )


def _join(values: Sequence[float]) -> str:
    return ",".join(repr(float(value)) for value in values)


class Awg8(SessionInstrument):
    """The AWG8 for a person: ``awg.pair1.output()``, ``awg.trigger_source()``."""

    def __init__(self, name: str, session: Session, pairs: int) -> None:
        super().__init__(name, session)
        for pair in range(1, pairs + 1):
            self.add_submodule(f"pair{pair}", Awg8Pair(self, f"pair{pair}", pair))
        self.add_parameter(
            "trigger_source", get_cmd="TRIG:SOUR?", set_cmd="TRIG:SOUR {}", vals=Enum("BUS", "EXT"),
            label="What starts a run",
        )  # fmt: skip
        self.add_parameter(
            "trigger_output", get_cmd="TRIG:OUTP?", set_cmd="TRIG:OUTP {}", label="Trigger to the followers",
            val_mapping=create_on_off_val_mapping(on_val="1", off_val="0"),
        )  # fmt: skip


class AwgDriver(SequencerDriver[Playback]):
    """Plays a :class:`Playback`: waveforms and sequences by content, one list entry per program."""

    option_names = ("shot_marker",)
    capabilities = Capabilities(
        sample_rate=Fraction(10**9), granularity=8, min_length=16, max_length=65536, pairs=4, oscillators=8,
        max_frequency=500e6, max_correction=2.0, max_offset=0.5, bits=14, waveform_memory=2**24, event_memory=2**20,
        tables=65536, waveforms=65536,
        trigger_latency=24, trigger_input=True, branching=True, feedback_bits=256, feedback_latency=400,
        late_parameters=True,
    )  # fmt: skip

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        super().__init__(name, description)
        can = self.capabilities
        self._waveforms = TableMemory(self.subject, "waveform memory", can.waveform_memory, range(can.waveforms))
        self._shot_marker = _shot_marker(name, description)
        self._sequences = TableMemory(self.subject, "sequence memory", can.event_memory, range(can.tables))
        self.memories = {"WAV": self._waveforms, "SEQ": self._sequences}

    def validate(self, work: Playback) -> None:
        """Check every limit. Raises :class:`InstrumentLimitError` that names channel, time, value and limit."""
        self._check_list(work)
        marked, lengths = int(self._shot_marker["waveform"].sum()), work.entries["length"]
        if (lengths < marked).any():
            at = int(np.argmax(lengths < marked))
            raise self.refuse(f"shot_marker is longer than program {work.programs[at]}", marked, f"up to {lengths[at]}")
        check_playback(work, self.capabilities, self.subject)
        self._waveforms.check(self._wanted_waveforms(work))
        terms = {number: sweep.parameters for number, sweep in work.sweeps.items()}
        self._check_tables(self._with_markers(work.events, len(work.entries)), work.entries, terms)

    @io_coroutine
    def configure(self, settings: OutputSettings, deadline: float) -> IoCoroutine[None]:
        """Set corrections and offsets and switch the pairs of ``settings`` on; only differences are sent."""
        awg = self._connected()
        wanted = []
        for pair, port in settings.pairs.items():
            channel = awg.submodules[f"pair{pair}"]
            wanted += [
                HeldSetting(
                    channel.correction, port.correction, f"OUTP{pair}:CORR {_join(port.correction)}",
                    f"OUTP{pair}:CORR?", _numbers,
                ),
                HeldSetting(
                    channel.offset, port.offset, f"OUTP{pair}:OFFS {_join(port.offset)}", f"OUTP{pair}:OFFS?", _numbers
                ),
                HeldSetting(channel.output, True, f"OUTP{pair} ON", f"OUTP{pair}?", read_switch),
            ]  # fmt: skip
        yield from self._applying(wanted, deadline)

    @io_coroutine
    def upload(self, work: Playback, deadline: float) -> IoCoroutine[Handle]:
        """Send the waveforms, sequences and the list that the instrument does not hold."""
        return (yield from self._uploading(work, deadline))

    @property
    def _table_memory(self) -> tuple[str, TableMemory]:
        return "SEQ", self._sequences

    def _wanted_waveforms(self, work: Playback) -> dict[str, int]:
        lengths = work.envelopes.lengths
        return {work.envelopes.name(row): int(lengths[row]) for row in _played(work)}

    def _tables(self, work: Playback) -> tuple[list[ScpiCommand], list[int]]:
        waveforms = self._waveforms.plan(self._wanted_waveforms(work))
        rows = {work.envelopes.name(row): int(row) for row in _played(work)}
        # One more than there are envelopes: the place of -1.
        lookup = np.full(len(work.envelopes.lengths) + 1, _TURN, np.uint32)
        for name, row in rows.items():
            lookup[row] = waveforms.numbers[name]
        names, distinct = self._sequences_of(work, pack_events(work.events, lookup))
        plan = self._sequences.plan({name: len(table.events) + len(table.terms) for name, table in distinct.items()})
        # Sequences go first: one that is in the way may still name a waveform that goes too.
        commands: list[ScpiCommand] = [f"SEQ:DEL {number}" for number in plan.delete]
        commands += [f"WAV:DEL {number}" for number in waveforms.delete]
        for name, number in waveforms.send.items():
            codes = to_codes(work.envelopes.read(rows[name]))
            commands.append(BlockCommand(f'WAV:DATA {number},"{name}",', codes.reshape(-1).view(np.uint8).data))
        plain = {name: number for name, number in plan.send.items() if not len(distinct[name].terms)}
        if plain:
            commands.append(BlockCommand("SEQ:LOAD ", _pack_sequences(plain, distinct)))
        for name in plan.send.keys() - plain.keys():
            table = distinct[name]
            commands.append(BlockCommand(f'SEQ:SWE {plan.send[name]},"{name}",{table.length},', _pack_sweep(table)))
        return commands, [plan.numbers[name] for name in names]

    def _with_markers(self, events: Rows, entries: int) -> Rows:
        """Return events with those of the shot marker, one more in each entry."""
        if not len(self._shot_marker):
            return events
        markers = np.zeros(entries, events.dtype)
        markers["entry"] = np.arange(entries)
        both = np.concatenate([events, markers])
        return both[np.argsort(both["entry"], kind="stable")]

    def _list_blocks(self, work: Playback, tables: Sequence[int]) -> dict[str, bytes]:
        blocks = super()._list_blocks(work, tables)
        return {**blocks, "LIST:VAL ": _pack_values(work)} if work.sweeps else blocks

    def _sequences_of(self, work: Playback, events: Rows) -> tuple[list[str], dict[str, _Sequence]]:
        """Return the name of each entry's sequence, and the distinct ones by name.

        The name is made from the events and from what their waveform numbers mean at present, so a sequence
        that was stored when a number meant another waveform is never taken for this one.
        """
        meaning = self._waveforms.numbers()
        names, distinct, own = [], {}, split_entries(events, work.events["entry"], len(work.entries))
        for index, (length, mine) in enumerate(zip(work.entries["length"].tolist(), own, strict=True)):
            used = ",".join(meaning[number] for number in sorted(set(mine["waveform"].tolist())) if number != _TURN)
            marked = np.concatenate([mine, self._shot_marker]) if len(self._shot_marker) else mine
            terms = _NO_TERMS if index not in work.sweeps else _terms(work.sweeps[index])
            name = digest(length.to_bytes(8, "little"), marked.tobytes(), used.encode(), terms.tobytes())
            distinct[name] = _Sequence(length, marked, terms)
            names.append(name)
        return names, distinct

    def _safe_commands(self) -> Sequence[ScpiCommand]:
        return ("ABOR", *(f"OUTP{pair} OFF" for pair in range(1, self.capabilities.pairs + 1)))

    def _make_instrument(self) -> Any:
        return Awg8(qcodes_name(self.name), self.session, self.capabilities.pairs)

    def _on_connect(self, deadline: float) -> None:
        source, output = ("BUS", "ON") if self.is_leader else ("EXT", "OFF")
        run_to_end(self._reading_memory((f"TRIG:SOUR {source}", f"TRIG:OUTP {output}"), deadline))


def _shot_marker(name: str, description: InstrumentDescription) -> npt.NDArray[np.void]:
    """Return the event of the option ``shot_marker``: marker 1 of pair 1 at each shot's start."""
    samples = description.options.get("shot_marker", 0)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 0 <= samples < 1 << 32:
        raise ConfigError(
            "not a number of samples", subject=f"instruments.{name}.options.shot_marker", value=samples,
            legal="0 (no marker) to 2^32 - 1",
        )  # fmt: skip
    records = np.zeros(int(samples > 0), SEQUENCE_EVENT)
    records["pair"], records["oscillator"], records["waveform"] = 1, _MARKER_1, samples
    return records


def _played(work: Playback) -> npt.NDArray[np.intp]:
    """Return the rows of the envelopes that are played."""
    used = np.bincount(work.events["envelope"] + 1)
    return np.flatnonzero(used[1:])


class _Sequence(NamedTuple):
    """A sequence as it is sent."""

    length: int
    events: Rows
    terms: Rows


_NO_TERMS = np.zeros(0, SWEEP_TERM)


def _terms(sweep: EventSweep) -> Rows:
    """Return parameters as records of ``SEQuence:SWEep``."""
    records = np.zeros(len(sweep.parameters), SWEEP_TERM)
    for name, of in zip(SWEEP_TERM.names or (), sweep.parameters.dtype.names or (), strict=True):
        records[name] = sweep.parameters[of]
    return records


def _pack_sweep(table: _Sequence) -> bytes:
    """Return the block of ``SEQuence:SWEep``."""
    counts = np.array([len(table.events), len(table.terms)], "<u4")
    return b"".join((counts.tobytes(), table.events.tobytes(), table.terms.tobytes()))


def _pack_values(work: Playback) -> bytes:
    """Return the block of ``LIST:VALues``: a row for each entry of the list."""
    bindings = work.entries["bindings"]
    columns = max(sweep.values.shape[1] for sweep in work.sweeps.values())
    values, stops = np.zeros((int(bindings.sum()), columns)), np.cumsum(bindings)
    for number, sweep in work.sweeps.items():
        values[stops[number] - bindings[number] : stops[number], : sweep.values.shape[1]] = sweep.values
    return np.array([columns, 0], "<u4").tobytes() + values.tobytes()


def _pack_sequences(numbers: Mapping[str, int], distinct: Mapping[str, _Sequence]) -> bytes:
    """Return the block of ``SEQuence:LOAD``: sequences by name, with their numbers, lengths and events."""
    tables = [distinct[name] for name in numbers]
    heads = np.zeros(len(tables), _SEQUENCE)
    heads["id"], heads["name"] = list(numbers.values()), [name.encode() for name in numbers]
    heads["length"], heads["events"] = [table.length for table in tables], [len(table.events) for table in tables]
    events = (table.events.tobytes() for table in tables)
    return b"".join((len(tables).to_bytes(8, "little"), heads.tobytes(), *events))


def pack_events(events: Rows, numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.void]:
    """Return :data:`PLAYED` rows as records of ``SEQuence:LOAD``.

    ``numbers``: envelope row → waveform number, the last that of a turn (-1).
    """
    records = np.zeros(len(events), SEQUENCE_EVENT)
    for name in ("pair", "oscillator", "time", "phase", "frequency", "condition"):
        records[name] = events[name]
    records["waveform"] = numbers[events["envelope"]]
    # An amplitude may be 1 up to rounding, see the limits.
    np.minimum(events["amplitude"], 1.0, out=records["amplitude"])
    return records
