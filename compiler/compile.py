"""The compiler of one device under one calibration set: circuits and schedules in, chunks out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from qiskit import QuantumCircuit

from pulsed.compiler.chunks import Named, make_chunks
from pulsed.compiler.circuits import describe, walk
from pulsed.compiler.flat import EnvelopeTable, flatten
from pulsed.compiler.gates import gate_table
from pulsed.compiler.lowering import lower
from pulsed.compiler.placement import Timed, place, to_rows, to_schedule
from pulsed.compiler.preview import Preview
from pulsed.compiler.program import Chunk
from pulsed.compiler.render import bake
from pulsed.compiler.templates import Gates, Templates
from pulsed.compiler.wiring import Wiring
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.instructions import Acquire
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.transforms import block_to_schedule

Runnable: TypeAlias = QuantumCircuit | Schedule | ScheduleBlock


@dataclass(frozen=True)
class _Setup:
    """What depends on the frequencies alone."""

    wiring: Wiring
    templates: Templates


class Compiler:
    """Compiles for one device under one calibration set; keeps the gates' tables between jobs."""

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self.device = device
        self.calibration = calibration
        self._gates = gate_table(device, calibration)
        self._table = EnvelopeTable()
        self._plain = self._setup(Wiring(device, calibration), self._table)

    def _setup(self, wiring: Wiring, table: EnvelopeTable) -> _Setup:
        return _Setup(wiring, Templates(wiring, self._gates, table))

    def _for(self, options: RunOptions) -> tuple[_Setup, EnvelopeTable]:
        """Return setup and envelope table of one job: the user's own shapes must not stay in ours."""
        table = self._table.copy()
        if options.qubit_lo_freq is None and options.meas_lo_freq is None:
            return self._plain, table
        wiring = Wiring(self.device, self.calibration, options.qubit_lo_freq, options.meas_lo_freq)
        return self._setup(wiring, table), table

    def schedule(self, circuit: QuantumCircuit, gates: Gates | None = None) -> Schedule:
        """Return the Schedule that will be played for ``circuit``."""
        setup, table = self._for(RunOptions())
        timed, templates = self._time(circuit, setup, table, gates)
        return to_schedule(timed, templates, setup.wiring, circuit.name)

    def compile(self, programs: Sequence[Runnable], options: RunOptions, gates: Gates | None = None) -> list[Chunk]:
        """Lower circuits and schedules to chunks.

        Raises :class:`CircuitError` or :class:`LoweringError` that names the program and what is wrong in it.
        """
        setup, table = self._for(options)
        named = [self._lower(program, setup, table, gates) for program in programs]
        return make_chunks(named, setup.wiring, table, options)

    def preview(self, program: Runnable, options: RunOptions | None = None, gates: Gates | None = None) -> Preview:
        """Return the waveforms of ``program`` as the ports will play them, without touching an instrument."""
        (chunk,) = self.compile([program], options or RunOptions(shots=1), gates)
        return Preview(chunk, self.device)

    def _time(
        self, circuit: QuantumCircuit, setup: _Setup, table: EnvelopeTable, gates: Gates | None
    ) -> tuple[Timed, Templates]:
        templates, own = setup.templates.with_gates(gates or {}, table)
        operations = walk(circuit, templates, self.device, own)
        if operations.late:
            names = ", ".join(sorted({str(p) for value in operations.late.values() for p in value.parameters}))
            raise CircuitError(
                "this parameter has no value yet: assign_parameters first",
                subject=f"circuit {circuit.name}",
                value=names,
            )
        return place(operations, templates, self.device), templates

    def _lower(self, program: Runnable, setup: _Setup, table: EnvelopeTable, gates: Gates | None) -> Named:
        if isinstance(program, QuantumCircuit):
            timed, templates = self._time(program, setup, table, gates)
            rows = to_rows(timed, templates)
            if gates:
                # A pulse gate may play on channels of other qubits: the circuit's order is not theirs then.
                rows = rows[np.argsort(rows["time"], kind="stable")]
            lowered = bake(lower(rows, timed.duration, setup.wiring), setup.wiring, table)
            _has_acquisition(len(lowered.acquisitions), f"circuit {program.name}", "a measurement")
            return Named(program.name, lowered, *describe(program))
        schedule = block_to_schedule(program) if isinstance(program, ScheduleBlock) else program
        instructions = schedule.instructions
        acquires = [item for _, item in instructions if isinstance(item, Acquire)]
        _has_acquisition(len(acquires), f"schedule {schedule.name}", "an Acquire")
        rows = flatten(instructions, setup.wiring, table)
        lowered = bake(lower(rows, schedule.duration, setup.wiring), setup.wiring, table)
        slots = 1 + max((item.mem_slot.index for item in acquires if item.mem_slot is not None), default=-1)
        return Named(schedule.name, lowered, slots)


def _has_acquisition(count: int, subject: str, what: str) -> None:
    if not count:
        error = CircuitError if what == "a measurement" else LoweringError
        raise error(f"has not {what}: it would bring back nothing", subject=subject)
