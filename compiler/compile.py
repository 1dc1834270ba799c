"""The compiler of one device under one calibration set: circuits and schedules in, chunks out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.compiler import crosstalk, predistortion
from pulsed.compiler.branches import lower_parts
from pulsed.compiler.chunks import Named, make_chunks
from pulsed.compiler.circuits import ControlFlowError, describe, walk
from pulsed.compiler.compensation import compensate
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.expressions import Values
from pulsed.compiler.flat import ACQUIRE, Late, NotLinearError, flatten
from pulsed.compiler.gates import gate_table
from pulsed.compiler.lowering import Lowered, lower
from pulsed.compiler.memory import Memory
from pulsed.compiler.operations import DELAY, Operations
from pulsed.compiler.placement import Method, Timed, first_rows, place, to_rows, to_schedule
from pulsed.compiler.preview import Preview
from pulsed.compiler.program import Chunk
from pulsed.compiler.render import bake
from pulsed.compiler.sweeps import Sweep, sweep
from pulsed.compiler.templates import Gates, OwnKey, Templates
from pulsed.compiler.wiring import Wiring
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import CircuitError, InvalidValueError, LoweringError, PulsedError
from pulsed.model.job import RunOptions
from pulsed.pulse.exceptions import UnassignedDurationError
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.transforms import block_to_schedule

Runnable: TypeAlias = QuantumCircuit | Schedule | ScheduleBlock


@dataclass(frozen=True)
class _Setup:
    """What depends on the frequencies alone, and whether programs are looked at instead of measured."""

    wiring: Wiring
    templates: Templates
    memory: Memory
    looked_at: bool = False


class Compiler:
    """Compiles for one device under one calibration set; keeps the gates' tables between jobs."""

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self.device = device
        self.calibration = calibration
        self._gates = gate_table(device, calibration)
        self._table = EnvelopeTable()
        self._plain = self._setup(Wiring(device, calibration), self._table)

    def _setup(self, wiring: Wiring, table: EnvelopeTable) -> _Setup:
        return _Setup(wiring, Templates(wiring, self._gates, table), Memory(wiring))

    def _for(self, options: RunOptions) -> tuple[_Setup, EnvelopeTable]:
        """Return setup and envelope table of one job: the user's own shapes must not stay in ours."""
        table = self._table.copy()
        setup, device = self._plain, self.device.with_settings(options.settings)
        if device is not self.device or options.qubit_lo_freq is not None or options.meas_lo_freq is not None:
            wiring = Wiring(
                device, self.calibration, options.qubit_lo_freq, options.meas_lo_freq,
                compensated=options.settings.get(crosstalk.SWITCH, 1.0) != 0,
                straightened=options.settings.get(predistortion.SWITCH, 1.0) != 0,
            )  # fmt: skip
            setup = self._setup(wiring, table)
        return replace(setup, looked_at=options.spectrum is not None), table

    def schedule(self, circuit: QuantumCircuit, gates: Gates | None = None, method: Method = "alap") -> Schedule:
        """Return the Schedule of ``circuit``: the one that will be played, or with everything as soon as possible."""
        setup, table = self._for(RunOptions())
        templates, own = setup.templates.with_gates(gates or {}, table)
        timed = place(self._walk(circuit, templates, own), templates, self.device, method)
        return to_schedule(timed, templates, setup.wiring, circuit.name)

    def compile(
        self, programs: Sequence[Runnable], options: RunOptions, gates: Gates | None = None,
        bindings: Mapping[int, Mapping[Parameter, npt.ArrayLike]] | None = None,
    ) -> list[Chunk]:  # fmt: skip
        """Lower circuits and schedules to chunks.

        Those in ``bindings``, by their number, have late values as in :meth:`sweep`, and a result for each binding.
        Raises :class:`CircuitError` or :class:`LoweringError` that names the program and what is wrong in it.
        """
        setup, table = self._for(options)
        late = {number: _arrays(values) for number, values in (bindings or {}).items()}
        named = (
            item
            for number, program in enumerate(programs)
            for item in (
                self._swept(program, setup, table, gates, late[number])
                if number in late
                else (self._lower(program, setup, table, gates),)
            )
        )
        return make_chunks(named, setup.wiring, setup.memory, table, options)

    def sweep(
        self,
        program: Runnable,
        values: Mapping[Parameter, npt.ArrayLike],
        options: RunOptions,
        gates: Gates | None = None,
    ) -> list[Chunk]:
        """Lower one program with late values for many bindings: ``values`` has one number per binding and parameter.

        Phases, frequencies and amplitudes are lowered once for all bindings; a late length or pulse shape is lowered
        for each. Raises as :meth:`compile` does, and :class:`InvalidValueError` for values of unequal number.
        """
        return self.compile([program], options, gates, {0: values})

    def _swept(
        self, program: Runnable, setup: _Setup, table: EnvelopeTable, gates: Gates | None, values: Values
    ) -> Iterable[Named]:
        """Return what one program with late values is lowered to: once for all bindings where that can be."""
        count = len(next(iter(values.values())))
        try:
            named = self._lower(program, setup, table, gates, values)
        except (NotLinearError, UnassignedDurationError):
            each = ({p: float(array[i]) for p, array in values.items()} for i in range(count))
            return (self._lower(_assigned(program, one), setup, table, gates) for one in each)
        # A parameter that nothing plays, such as one of the global phase, changes nothing: the same for each binding.
        return [named] * (count if named.sweep is None else 1)

    def preview(self, program: Runnable, options: RunOptions | None = None, gates: Gates | None = None) -> Preview:
        """Return the waveforms of ``program`` as the ports will play them, without touching an instrument."""
        (chunk,) = self.compile([program], options or RunOptions(shots=1), gates)
        return Preview(chunk, self.device)

    def _walk(
        self, circuit: QuantumCircuit, templates: Templates, own: Mapping[OwnKey, int], late: bool = False
    ) -> Operations:
        operations = walk(circuit, templates, self.device, own)
        if operations.late and not late:
            names = ", ".join(sorted({str(p) for value in operations.late.values() for p in value.parameters}))
            raise CircuitError(
                "this parameter has no value yet: assign_parameters first",
                subject=f"circuit {circuit.name}",
                value=names,
            )
        return operations

    def _lower(
        self,
        program: Runnable,
        setup: _Setup,
        table: EnvelopeTable,
        gates: Gates | None,
        values: Values | None = None,
    ) -> Named:
        late: list[Late] = []
        if isinstance(program, QuantumCircuit):
            templates, own = setup.templates.with_gates(gates or {}, table)
            try:
                operations = self._walk(program, templates, own, late=values is not None)
            except ControlFlowError:
                if values is not None:
                    raise NotLinearError("late values in a circuit that branches", value=program.name) from None
                parts, _ = _compensated(lower_parts(program, templates, setup.wiring, own), setup, table)
                return Named(program.name, parts, *describe(program))
            timed = place(operations, templates, self.device)
            rows, duration = to_rows(timed, templates), timed.duration
            if values is not None:
                late = _late_rows(program, timed, templates, rows)
            if gates:
                # A pulse gate may play on channels of other qubits: the circuit's order is not theirs then.
                order = np.argsort(rows["time"], kind="stable")
                rows, place_of = rows[order], np.argsort(order)
                late = [replace(item, row=int(place_of[item.row])) for item in late]
            labels = describe(program)
        else:
            schedule = block_to_schedule(program) if isinstance(program, ScheduleBlock) else program
            rows = flatten(schedule.unordered(), setup.wiring, table, None if values is None else late)
            duration = schedule.duration
            acquired = rows["memory_slot"][rows["kind"] == ACQUIRE]
            labels = (int(acquired.max(initial=-1)) + 1, (), b"{}")
        lowered = lower(rows, duration, setup.wiring)
        if not len(lowered.acquisitions) and not setup.looked_at:
            raise _nothing_measured(program)
        if not late or values is None:
            lowered, _ = _compensated(lowered, setup, table)
            return Named(program.name, bake(lowered, setup.wiring, table), *labels)
        if setup.wiring.baked_ports:
            raise NotLinearError("late values on a port without an NCO", value=", ".join(setup.wiring.baked_ports))
        lowered, swept = _compensated(lowered, setup, table, sweep(rows, late, values, setup.wiring))
        return Named(program.name, lowered, *labels, sweep=swept)


def _arrays(values: Mapping[Parameter, npt.ArrayLike]) -> Values:
    """Return the late values as arrays (bindings,). Raises :class:`InvalidValueError` for some of unequal number."""
    arrays = {parameter: np.atleast_1d(np.asarray(value, dtype=float)) for parameter, value in values.items()}
    if len({array.shape for array in arrays.values()}) != 1 or any(array.ndim != 1 for array in arrays.values()):
        shapes = ", ".join(f"{parameter.name} {array.shape}" for parameter, array in arrays.items())
        raise InvalidValueError("one value per binding and parameter", subject="values", value=shapes or "none")
    return arrays


def _compensated(
    lowered: Lowered, setup: _Setup, table: EnvelopeTable, swept: Sweep | None = None
) -> tuple[Lowered, Sweep | None]:
    how = setup.wiring.compensation
    return (lowered, swept) if how is None else compensate(lowered, how, table.lengths, swept)


def _late_rows(circuit: QuantumCircuit, timed: Timed, templates: Templates, rows: npt.NDArray[np.void]) -> list[Late]:
    """Return the late values of a circuit's rows: those of its rz, each of which turns several frames."""
    operations, first = timed.operations, first_rows(timed, templates)
    late = []
    for i, expression in operations.late.items():
        if operations.kind[operations.code[i]] == DELAY:
            raise NotLinearError("a late length", subject=f"circuit {circuit.name}, delay", value=str(expression))
        stop = first[i + 1] if i + 1 < len(first) else len(rows)
        late += [Late(row, "value", expression, rz_phase(1.0)) for row in range(int(first[i]), int(stop))]
    return late


def _assigned(program: Runnable, values: dict[Parameter, float]) -> Runnable:
    """Return ``program`` with numbers for its parameters; lengths are whole numbers of dt."""
    whole = {p: round(value) if value == round(value) else value for p, value in values.items()}
    if isinstance(program, QuantumCircuit):
        return program.assign_parameters(whole)
    return program.assign_parameters(whole, inplace=False)


def _nothing_measured(program: Runnable) -> PulsedError:
    if isinstance(program, QuantumCircuit):
        return CircuitError("has no measurement: it would bring back nothing", subject=f"circuit {program.name}")
    return LoweringError("has no Acquire: it would bring back nothing", subject=f"schedule {program.name}")
