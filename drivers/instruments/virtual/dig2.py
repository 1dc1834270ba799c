"""DIG2: an IQ digitizer, two channels (docs/instruments/dig2.md)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from qcodes.validators import Enum

from pulsed.drivers.contract import Capabilities, Fetched, Handle, InstrumentState, check_step
from pulsed.drivers.limits import check_recording
from pulsed.drivers.programs import Recording, Rows, split_entries
from pulsed.drivers.scpi.driver import SessionInstrument, qcodes_name
from pulsed.drivers.scpi.held_settings import HeldSetting
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, io_coroutine, run_to_end
from pulsed.drivers.scpi.sequencer import SequencerDriver, digest
from pulsed.drivers.scpi.session import BlockCommand, ScpiCommand, Session
from pulsed.drivers.scpi.table_memory import TableMemory
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import InstrumentDataError

ACQUISITION_RECORD = np.dtype(
    [
        ("window", "<u4"), ("kernel", "<u2"), ("feedback", "<u2"), ("start", "<i8"), ("length", "<i8"),
        ("frequency", "<f8"), ("threshold", "<f4"), ("angle", "<f4"),
    ]
)  # fmt: skip
_TERM = 0xFFFFFFFF
"""In place of a window: the record is a term of a decision."""
_MODES = {"integrate": "INT", "raw": "RAW", "average": "AVER"}
_CODES = 2048.0
"""Full scale of the ADC, in codes."""


def _short_mode(text: str) -> str:
    return next((mode for mode in _MODES.values() if text.startswith(mode)), text)


class Dig2(SessionInstrument):
    """The DIG2 for a person: ``digitizer.mode()``, ``digitizer.trigger_source()``."""

    def __init__(self, name: str, session: Session) -> None:
        super().__init__(name, session)
        self.add_parameter(
            "mode", get_cmd="ACQ:MODE?", set_cmd="ACQ:MODE {}", vals=Enum(*_MODES.values()),
            get_parser=_short_mode,
            label="Acquisition mode",
        )  # fmt: skip
        self.add_parameter(
            "trigger_source", get_cmd="TRIG:SOUR?", set_cmd="TRIG:SOUR {}", vals=Enum("BUS", "EXT"),
            label="What starts a run",
        )  # fmt: skip


class DigitizerDriver(SequencerDriver[Recording]):
    """Records a :class:`Recording`: kernels and acquisition tables by content, one list entry per program."""

    option_names = ()
    capabilities = Capabilities(
        sample_rate=Fraction(10**9), granularity=8, min_length=16, max_length=16384, pairs=1, max_frequency=500e6,
        bits=12, waveform_memory=2**22, event_memory=2**20, result_memory=2**31,
        tables=65536, waveforms=65535, trigger_latency=24, trigger_input=True, branching=True, decisions=True,
        modes=tuple(_MODES), late_parameters=True,
    )  # fmt: skip

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        super().__init__(name, description)
        can = self.capabilities
        # Kernel 0 is the built-in boxcar.
        self._kernels = TableMemory(self.subject, "kernel memory", can.waveform_memory, range(1, can.waveforms + 1))
        self._acquisitions = TableMemory(self.subject, "table memory", can.event_memory, range(can.tables))
        self.memories = {"KERN": self._kernels, "ACQ": self._acquisitions}
        self._work: dict[str, Recording] = {}

    def validate(self, work: Recording) -> None:
        """Check every limit. Raises :class:`InstrumentLimitError` that names channel, time, value and limit."""
        self._check_list(work)
        check_recording(work, self.capabilities, self.subject)
        self._kernels.check(self._wanted_kernels(work))
        self._check_tables(work.rows, work.entries)

    @io_coroutine
    def upload(self, work: Recording, deadline: float) -> IoCoroutine[Handle]:
        """Set the mode and send the kernels, tables and the list that the instrument does not hold."""
        instrument = self._connected()
        check_step(self.name, self._state, InstrumentState.IDLE)
        mode = _MODES[work.mode]
        yield from self._applying(
            (HeldSetting(instrument.mode, mode, f"ACQ:MODE {mode}", "ACQ:MODE?", _short_mode),), deadline
        )
        handle = yield from self._uploading(work, deadline)
        self._work = {handle.name: work}
        return handle

    @io_coroutine
    def fetch(self, handle: Handle, deadline: float) -> IoCoroutine[Fetched]:
        """Return the data of the run that is done, one array per entry."""
        check_step(self.name, self._state, InstrumentState.DONE)
        work = self._work[handle.name]
        answers, errors = yield from self._exchanging((), ("FETC:ALL?", "FETC:OVER?"), deadline)
        self.session.check(errors)
        if len(answers) != 2 or not isinstance(answers[0], memoryview):
            self._fault()
            raise InstrumentDataError("sent no data", subject=self.subject, value=str(answers)[:80])
        arrays = self._split(work, answers[0])
        over = tuple(part.strip() == "1" for part in str(answers[1]).split(","))
        if len(over) != len(arrays):
            over = (any(over),) * len(arrays)
        unit = "full scale" if work.mode == "integrate" else "code"
        return Fetched(work.mode, tuple(arrays), unit, over, 1.0 if work.mode == "integrate" else _CODES)

    def _split(self, work: Recording, block: memoryview) -> list[npt.NDArray[Any]]:
        shapes = [
            shape
            for index, bindings in enumerate(work.entries["bindings"].tolist())
            for shape in [_shape(work, index)] * bindings
        ]
        dtype = np.dtype({"integrate": "<c8", "raw": "<i2", "average": "<f4"}[work.mode])
        sizes = [prod(shape) for shape in shapes]
        if sum(sizes) * dtype.itemsize != len(block):
            self._fault()
            raise InstrumentDataError(
                "sent another amount of data than was asked for",
                subject=self.subject,
                value=f"{len(block)} bytes",
                legal=f"{sum(sizes) * dtype.itemsize} bytes",
            )
        data = np.frombuffer(block, dtype)
        ends = accumulate(sizes)
        return [data[end - size : end].reshape(shape) for end, size, shape in zip(ends, sizes, shapes, strict=True)]

    def _wanted_kernels(self, work: Recording) -> dict[str, int]:
        return {work.envelopes.name(row): int(work.envelopes.lengths[row]) for row in _kernel_rows(work)}

    @property
    def _table_memory(self) -> tuple[str, TableMemory]:
        return "ACQ", self._acquisitions

    def _tables(self, work: Recording) -> tuple[list[ScpiCommand], list[int]]:
        kernels = self._kernels.plan(self._wanted_kernels(work))
        rows = {work.envelopes.name(row): row for row in _kernel_rows(work)}
        lookup = {row: kernels.numbers[name] for name, row in rows.items()}
        meaning = self._kernels.numbers()
        names: list[str] = []
        distinct: dict[str, tuple[int, int, bytes]] = {}
        packed = split_entries(pack_records(work.rows, lookup), work.rows["entry"], len(work.entries))
        for index, (length, records) in enumerate(zip(work.entries["length"].tolist(), packed, strict=True)):
            used = ",".join(meaning[number] for number in sorted(set(records["kernel"].tolist())) if number)
            block = records.tobytes() + pack_terms(work.decisions[work.decisions["entry"] == index]).tobytes()
            name = digest(length.to_bytes(8, "little"), block, used.encode())
            distinct[name] = (length, len(records), block)
            names.append(name)
        plan = self._acquisitions.plan({name: count for name, (_, count, _) in distinct.items()})
        commands: list[ScpiCommand] = [f"ACQ:DEL {number}" for number in plan.delete]
        commands += [f"KERN:DEL {number}" for number in kernels.delete]
        for name, number in kernels.send.items():
            weights = np.ascontiguousarray(work.envelopes.read(rows[name]), "<c8")
            commands.append(BlockCommand(f'KERN:DATA {number},"{name}",', weights.view(np.uint8).data))
        for name, number in plan.send.items():
            length, _, block = distinct[name]
            commands.append(BlockCommand(f'ACQ:DATA {number},"{name}",{length},', block))
        return commands, [plan.numbers[name] for name in names]

    def _safe_commands(self) -> Sequence[ScpiCommand]:
        return ("ABOR",)

    def _make_instrument(self) -> Any:
        return Dig2(qcodes_name(self.name), self.session)

    def _on_connect(self, deadline: float) -> None:
        run_to_end(self._reading_memory((f"TRIG:SOUR {'BUS' if self.is_leader else 'EXT'}",), deadline))


def pack_records(rows: Rows, kernels: dict[int, int]) -> npt.NDArray[np.void]:
    """Return :data:`RECORDED` rows as records of ``ACQuire:DATA``; ``kernels``: envelope row → kernel number."""
    records = np.zeros(len(rows), ACQUISITION_RECORD)
    records["window"], records["start"], records["length"] = rows["window"], rows["time"], rows["length"]
    for name in ("frequency", "feedback", "threshold", "angle"):
        records[name] = rows[name]
    records["kernel"] = [kernels[row] if row >= 0 else 0 for row in rows["kernel"].tolist()]
    return records


def pack_terms(decisions: Rows) -> npt.NDArray[np.void]:
    """Return :data:`DECIDED` rows as records of ``ACQuire:DATA``."""
    records = np.zeros(len(decisions), ACQUISITION_RECORD)
    records["window"], records["feedback"], records["start"] = _TERM, decisions["number"], decisions["term"]
    return records


def _kernel_rows(work: Recording) -> list[int]:
    return sorted(row for row in set(work.rows["kernel"].tolist()) if row >= 0)


def _shape(work: Recording, index: int) -> tuple[int, ...]:
    """Return the shape of one entry's data, see :class:`Fetched`."""
    rows = work.entry(index)
    shots = int(work.entries["shots"][index])
    if work.mode == "integrate":
        return (shots, len(rows))
    _, first = np.unique(rows["window"], return_index=True)
    samples = int(rows["length"][first].sum())
    return (shots, samples, 2) if work.mode == "raw" else (samples, 2)
