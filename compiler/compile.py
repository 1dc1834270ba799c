"""The compiler of one device under one calibration set: circuits and schedules in, chunks out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression

from pulsed.compiler import crosstalk, predistortion
from pulsed.compiler.canonical import assigned
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.chunks import LabelledProgram, make_chunks
from pulsed.compiler.circuits import describe, walk
from pulsed.compiler.compensation import compensate
from pulsed.compiler.control_flow import lower_parts
from pulsed.compiler.control_flow_steps import ControlFlowError, unrolled
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.expressions import Values
from pulsed.compiler.fractional import fractional_gates, part_of_half_turn
from pulsed.compiler.gates import gate_table
from pulsed.compiler.instruction_table import ACQUIRE, PLAY, NotLinearError, UnboundParameter, flatten, weigh
from pulsed.compiler.lowering import Lowered, lower
from pulsed.compiler.memory import MemoryBudget
from pulsed.compiler.operations import DELAY, SCALED, VIRTUAL, Operations
from pulsed.compiler.preview import Preview
from pulsed.compiler.program import Chunk
from pulsed.compiler.render import upconvert
from pulsed.compiler.scheduling import Method, Timed, first_rows, schedule_operations, to_rows, to_schedule
from pulsed.compiler.sweeps import LoweredSweep, sweep
from pulsed.compiler.templates import Gates, Templates
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
    """What depends on the frequencies alone, and of one job what else tells how its programs are lowered."""

    channel_map: ChannelMap
    templates: Templates
    memory: MemoryBudget
    looked_at: bool = False
    """Programs are looked at instead of measured."""
    fresh: bool = True
    """The wait between shots resets the qubits, so that a shot need not begin with it."""


class Compiler:
    """Compiles for one device under one calibration set; keeps the gates' tables between jobs."""

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self.device = device
        self.calibration = calibration
        channel_map = ChannelMap(device, calibration)
        self._gates = gate_table(device, calibration)
        self._late = fractional_gates(channel_map, self._gates)
        self._table = EnvelopeTable()
        self._plain = self._setup(channel_map, self._table)

    def _setup(self, channel_map: ChannelMap, table: EnvelopeTable) -> _Setup:
        templates = Templates(channel_map, self._gates, table, self._late)
        return _Setup(channel_map, templates, MemoryBudget(channel_map))

    def _for(self, options: RunOptions) -> tuple[_Setup, EnvelopeTable]:
        """Return setup and envelope table of one job: the user's own shapes must not stay in ours."""
        table = self._table.copy()
        setup, device = self._plain, self.device.with_settings(options.settings)
        if device is not self.device or options.qubit_lo_freq is not None or options.meas_lo_freq is not None:
            channel_map = ChannelMap(
                device, self.calibration, options.qubit_lo_freq, options.meas_lo_freq,
                compensated=options.settings.get(crosstalk.SWITCH, 1.0) != 0,
                straightened=options.settings.get(predistortion.SWITCH, 1.0) != 0,
            )  # fmt: skip
            setup = self._setup(channel_map, table)
        pause, enough = options.rep_delay, device.limits.rep_delay
        fresh = options.init_qubits or pause is None or pause >= enough
        return replace(setup, looked_at=options.spectrum is not None, fresh=fresh), table

    def schedule(
        self,
        circuit: QuantumCircuit,
        gates: Gates | None = None,
        method: Method = "alap",
        options: RunOptions | None = None,
    ) -> Schedule:
        """Return the Schedule of ``circuit``: the one that will be played, or with everything as soon as possible.

        ``options``: of the run, when they are not the default ones.
        """
        setup, table = self._for(options or RunOptions())
        templates = setup.templates.with_gates(gates or {}, table).for_circuit(circuit, table)
        timed = schedule_operations(self._walk(circuit, templates, setup.fresh), templates, self.device, method)
        return to_schedule(timed, templates, setup.channel_map, circuit.name)

    def compile(
        self, programs: Sequence[Runnable], options: RunOptions, gates: Gates | None = None,
        bindings: Mapping[int, Mapping[Parameter, npt.ArrayLike]] | None = None,
    ) -> list[Chunk]:  # fmt: skip
        """Lower circuits and schedules to chunks.

        Those in ``bindings``, by their number, have unbound parameters as in :meth:`sweep`, and a result for each
        binding. Raises :class:`CircuitError` or :class:`LoweringError` that names the program and what is wrong in it.
        """
        setup, table = self._for(options)
        if gates and any(isinstance(program, QuantumCircuit) for program in programs):
            setup = replace(setup, templates=setup.templates.with_gates(gates, table))
        unbound = {number: _arrays(values) for number, values in (bindings or {}).items()}
        named = (
            item
            for number, program in enumerate(programs)
            for item in (
                self._swept(program, setup, table, unbound[number])
                if number in unbound
                else (self._lower(program, setup, table),)
            )
        )
        return make_chunks(named, setup.channel_map, setup.memory, table, options)

    def sweep(
        self,
        program: Runnable,
        values: Mapping[Parameter, npt.ArrayLike],
        options: RunOptions,
        gates: Gates | None = None,
    ) -> list[Chunk]:
        """Lower one program with unbound parameters for many bindings.

        ``values`` has one number per binding and parameter. Phases, frequencies and amplitudes are lowered once for all
        bindings; an unbound length or pulse shape is lowered for each. Raises as :meth:`compile` does, and
        :class:`InvalidValueError` for values of unequal number.
        """
        return self.compile([program], options, gates, {0: values})

    def _swept(
        self, program: Runnable, setup: _Setup, table: EnvelopeTable, values: Values
    ) -> Iterable[LabelledProgram]:
        """Return what one program with unbound parameters is lowered to: once for all bindings where that can be."""
        count = len(next(iter(values.values())))
        try:
            named = self._lower(program, setup, table, values)
        except (NotLinearError, UnassignedDurationError):
            each = ({p: float(array[i]) for p, array in values.items()} for i in range(count))
            return (self._lower(self._assigned(program, one), setup, table) for one in each)
        # A parameter that nothing plays, such as one of the global phase, changes nothing: the same for each binding.
        return [named] * (count if named.sweep is None else 1)

    def assigned(self, program: Runnable, parameters: Sequence[str], values: npt.NDArray[np.float64]) -> list[Runnable]:
        """Return ``program`` with numbers for its parameters, by name, once for each row of ``values``."""
        known = {parameter.name: parameter for parameter in program.parameters}
        return [
            self._assigned(program, {known[name]: float(value) for name, value in zip(parameters, row, strict=True)})
            for row in values
        ]

    def _assigned(self, program: Runnable, values: dict[Parameter, float]) -> Runnable:
        """Return ``program`` with numbers for its parameters; lengths are whole numbers of dt."""
        whole = {p: round(value) if value == round(value) else value for p, value in values.items()}
        if isinstance(program, QuantumCircuit):
            return assigned(program, whole, self.device.dt, f"circuit {program.name}")
        return program.assign_parameters(whole, inplace=False)

    def preview(self, program: Runnable, options: RunOptions | None = None, gates: Gates | None = None) -> Preview:
        """Return the waveforms of ``program`` as the ports will play them, without touching an instrument."""
        wanted = options or RunOptions(shots=1)
        # All shots may be more than the instruments take at once; each plays the same.
        (chunk,) = self.compile([program], msgspec.structs.replace(wanted, shots=1), gates)
        return Preview(chunk, self.device, wanted.shots)

    def _walk(
        self,
        circuit: QuantumCircuit,
        templates: Templates,
        fresh: bool,
        unbound: bool = False,
    ) -> Operations:
        try:
            operations = walk(circuit, templates, self.device, templates.own, fresh)
        except ControlFlowError:
            plain = unrolled(circuit, self.device.dt)
            if plain is None:
                raise
            operations = walk(plain, templates, self.device, templates.own, fresh)
        if not unbound:
            operations.check_bound(f"circuit {circuit.name}")
        return operations

    def _lower(
        self,
        program: Runnable,
        setup: _Setup,
        table: EnvelopeTable,
        values: Values | None = None,
    ) -> LabelledProgram:
        unbound: list[UnboundParameter] = []
        if isinstance(program, QuantumCircuit):
            templates = setup.templates.for_circuit(program, table)
            try:
                operations = self._walk(program, templates, setup.fresh, unbound=values is not None)
            except ControlFlowError:
                if values is not None:
                    raise NotLinearError("unbound parameters in a circuit that branches", value=program.name) from None
                parts, _ = _compensated(
                    lower_parts(program, templates, setup.channel_map, templates.own, setup.fresh), setup, table
                )
                return LabelledProgram(program.name, parts, *describe(program))
            timed = schedule_operations(operations, templates, self.device)
            rows, duration = to_rows(timed, templates), timed.duration
            if values is not None:
                unbound = _unbound_rows(program, timed, templates, rows)
            if templates.has_own:
                # A pulse gate may play on channels of other qubits: the circuit's order is not theirs then.
                order = np.argsort(rows["time"], kind="stable")
                rows, place_of = rows[order], np.argsort(order)
                unbound = [replace(item, row=int(place_of[item.row])) for item in unbound]
            labels = describe(program)
        else:
            schedule = block_to_schedule(program) if isinstance(program, ScheduleBlock) else program
            rows = flatten(schedule.unordered(), setup.channel_map, table, None if values is None else unbound)
            weigh(rows, setup.channel_map, table)
            duration = schedule.duration
            acquired = rows["memory_slot"][rows["kind"] == ACQUIRE]
            labels = (int(acquired.max(initial=-1)) + 1, (), b"{}")
        lowered = lower(rows, duration, setup.channel_map)
        if not len(lowered.acquisitions) and not setup.looked_at:
            raise _nothing_measured(program)
        if not unbound or values is None:
            lowered, _ = _compensated(lowered, setup, table)
            return LabelledProgram(program.name, upconvert(lowered, setup.channel_map, table), *labels)
        if setup.channel_map.upconverted_ports:
            raise NotLinearError(
                "unbound parameters on a port without an NCO", value=", ".join(setup.channel_map.upconverted_ports)
            )
        lowered, swept = _compensated(
            lowered, setup, table, sweep(rows, unbound, values, setup.channel_map, lowered.events)
        )
        return LabelledProgram(program.name, lowered, *labels, sweep=swept)


def _arrays(values: Mapping[Parameter, npt.ArrayLike]) -> Values:
    """Return values as arrays (bindings,). Raises :class:`InvalidValueError` for some of unequal number."""
    arrays = {parameter: np.atleast_1d(np.asarray(value, dtype=float)) for parameter, value in values.items()}
    if len({array.shape for array in arrays.values()}) != 1 or any(array.ndim != 1 for array in arrays.values()):
        shapes = ", ".join(f"{parameter.name} {array.shape}" for parameter, array in arrays.items())
        raise InvalidValueError("one value per binding and parameter", subject="values", value=shapes or "none")
    return arrays


def _compensated(
    lowered: Lowered, setup: _Setup, table: EnvelopeTable, swept: LoweredSweep | None = None
) -> tuple[Lowered, LoweredSweep | None]:
    how = setup.channel_map.compensation
    return (lowered, swept) if how is None else compensate(lowered, how, table.lengths, swept)


def _unbound_rows(
    circuit: QuantumCircuit, timed: Timed, templates: Templates, rows: npt.NDArray[np.void]
) -> list[UnboundParameter]:
    """Return the unbound parameters of a circuit's rows: of pulse gates, and of each rz, which turns several frames."""
    operations, first = timed.operations, first_rows(timed, templates)
    unbound: list[UnboundParameter] = []
    for i, expressions in operations.unbound.items():
        code, begin = operations.code[i], int(first[i])
        if operations.kind[code] == DELAY:
            value = str(expressions[0])
            raise NotLinearError("an unbound length", subject=f"circuit {circuit.name}, delay", value=value)
        stop = int(first[i + 1]) if i + 1 < len(first) else len(rows)
        if operations.kind[code] == SCALED:
            unbound += _unbound_scale(
                begin, part_of_half_turn(expressions[0]), templates.rows(operations.template[code])
            )
        elif operations.kind[code] == VIRTUAL:
            unbound += [UnboundParameter(row, "value", expressions[0], rz_phase(1.0)) for row in range(begin, stop)]
        else:
            late = templates.unbound.get(operations.template[code], [])
            unbound += [replace(item, row=begin + item.row) for item in late]
    return unbound


def _unbound_scale(begin: int, part: ParameterExpression, whole: npt.NDArray[np.void]) -> list[UnboundParameter]:
    """Return the unbound parameters of a scaled gate, whose rows for a half turn are ``whole``."""
    return [
        UnboundParameter(begin + k, "amplitude", part, float(row["amplitude"])) if row["kind"] == PLAY
        else UnboundParameter(begin + k, "value", part**2, float(row["value"]))
        for k, row in enumerate(whole)
    ]  # fmt: skip


def _nothing_measured(program: Runnable) -> PulsedError:
    if isinstance(program, QuantumCircuit):
        return CircuitError("has no measurement: it would bring back nothing", subject=f"circuit {program.name}")
    return LoweringError("has no Acquire: it would bring back nothing", subject=f"schedule {program.name}")
