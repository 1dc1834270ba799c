"""The Target of one device with one calibration set, built in one function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import permutations
from typing import TYPE_CHECKING, Any

import qiskit.circuit
from qiskit.circuit import (
    BreakLoopOp,
    ContinueLoopOp,
    Delay,
    ForLoopOp,
    IfElseOp,
    Instruction,
    Measure,
    Parameter,
    Reset,
    SwitchCaseOp,
)
from qiskit.circuit.library import CZGate, ECRGate, IGate, RXGate, RZGate, RZZGate, SXGate, XGate
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target
from qiskit.transpiler.timing_constraints import TimingConstraints

from pulsed.compiler.canonical import CONTROL_FLOW

if TYPE_CHECKING:
    from pulsed.compiler.gates import GateInfo
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.added_gates import AddedGates

Qubits = tuple[int, ...]
GateTable = Mapping[tuple[str, Qubits], "GateInfo"]


_OPERATIONS: dict[str, Callable[[], Instruction]] = {
    "id": IGate,
    "rz": lambda: RZGate(Parameter("λ")),
    "sx": SXGate,
    "x": XGate,
    "rx": lambda: RXGate(Parameter("θ")),
    "rzz": lambda: RZZGate(Parameter("θ")),
    "ecr": ECRGate,
    "cz": CZGate,
    "measure": Measure,
    "reset": Reset,
    "delay": lambda: Delay(Parameter("t")),
}
"""Gates of the table by name, in the order in which the target lists them."""


BoxOp = getattr(qiskit.circuit, "BoxOp", None)
"""Of Qiskit 2; Qiskit 1.4 has none."""
_HAS_PULSE = "qiskit.pulse" in sys.modules
"""Of Qiskit 1.4, which has imported it by itself."""
_MADE_FROM = " with calibration set "
"""In a target's description, before the set's id: what of a Target survives being copied and sent to a process."""


class PulsedInstructionProperties(InstructionProperties):  # type: ignore[misc]
    """Duration and error of a gate, with its pulse schedule.

    The stock class loses attributes of subclasses when it is copied or pickled, so both are defined here. The
    schedule is shared between copies. On Qiskit 1.4 it is one of ``qiskit.pulse``, made when it is asked for, and known
    to Qiskit as the backend's, which the transpiler does not attach to circuits; one that a user sets it does attach.

    Args:
        duration: seconds.
        error: average error.
        calibration: the gate's :class:`pulsed.pulse.Schedule`.
        rules: of a gate that the user has added, for the translation: pairs of a gate and a circuit. None for one of
            the lab's.
        zz: of a qubit's delay, the always-on ZZ with each coupled qubit of which it is known, Hz.

    """

    def __new__(
        cls,
        duration: float | None = None,
        error: float | None = None,
        calibration: Any = None,
        rules: Any = None,
        zz: Mapping[int, float] | None = None,
    ) -> PulsedInstructionProperties:
        """Make the object; Qiskit's class takes its values here."""
        self: PulsedInstructionProperties = super().__new__(cls, duration, error)
        return self

    def __init__(
        self,
        duration: float | None = None,
        error: float | None = None,
        calibration: Any = None,
        rules: Any = None,
        zz: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__(duration, error)
        self._schedule = calibration
        self.rules = rules
        self.zz = zz
        if _HAS_PULSE and calibration is not None:
            from pulsed.provider.pulse_language import gate_entry

            self._calibration = gate_entry(calibration)

    @property
    def calibration(self) -> Any:
        """The gate's pulse schedule, or None for a gate without pulses."""
        return self._calibration_prop if _HAS_PULSE else self._schedule

    @calibration.setter
    def calibration(self, schedule: Any) -> None:
        if not _HAS_PULSE:
            raise AttributeError("pulses of a gate are those of its calibration; give others to run(calibrations=...)")
        self._calibration_prop = schedule

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self), (self.duration, self.error, self._schedule, self.rules, self.zz)
        entry = getattr(self, "_calibration", None)
        return (*made, entry) if entry is not None and entry.user_provided else made

    def __setstate__(self, entry: Any) -> None:
        self._calibration = entry  # a user's own

    def __copy__(self) -> PulsedInstructionProperties:
        made = type(self)(self.duration, self.error, self._schedule, self.rules, self.zz)
        if _HAS_PULSE:
            made._calibration = self._calibration
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> PulsedInstructionProperties:
        return self.__copy__()

    def __repr__(self) -> str:
        name = getattr(self._schedule, "name", None)
        return f"PulsedInstructionProperties(duration={self.duration}, error={self.error}, calibration={name!r})"


class PulsedTarget(Target):  # type: ignore[misc]
    """A target that states the rack's grid and asks nobody to keep to it: the compiler aligns what it places.

    Its attributes ``pulse_alignment`` and ``acquire_alignment`` are there for passes that put pulses of their own
    between gates. Qiskit's own check of them refuses circuits instead: delays off the grid, and delays that have no
    value yet.
    """

    def timing_constraints(self) -> TimingConstraints:
        """Return what `transpile` has to keep to: nothing."""
        return TimingConstraints()


def qubit_properties(device: DeviceDescription, calibration: CalibrationSet) -> list[QubitProperties]:
    """Return T1 and T2 (echo) in seconds and the frequency in hertz of each qubit; None where unknown."""

    def value(q: int, name: str) -> float | None:
        key = f"Q{q}.{name}"
        return calibration.number(key) if calibration.has(key) else None

    return [
        QubitProperties(t1=value(q, "t1"), t2=value(q, "t2"), frequency=value(q, "f01"))
        for q in range(device.num_qubits)
    ]


def gate_table(device: DeviceDescription, calibration: CalibrationSet, fractional: bool = False) -> GateTable:
    """Return the gates of ``device`` that are calibrated, without those of faulty qubits and pairs.

    ``fractional``: rx and rzz, too, of any angle; the latter with the pulses of its longest.
    """
    from pulsed.compiler.gates import GateInfo  # the compiler is not needed to connect
    from pulsed.compiler.gates import gate_table as compiled

    gates = compiled(device, calibration)
    found = {key: info for key, info in gates.items() if not _is_faulty(key[1], calibration)}
    if fractional:
        from pulsed.compiler.channel_map import ChannelMap
        from pulsed.compiler.fractional import fractional_gates

        more = fractional_gates(ChannelMap(device, calibration), found)
        found |= {key: GateInfo(gate.schedule, gate.duration, gate.error) for key, gate in more.items()}
    return found


def seconds_of(gate: GateInfo, device: DeviceDescription) -> float:
    """Return the duration of a gate: the float nearest to it, as dt is an exact number of seconds."""
    return float(gate.duration * device.dt)


def has_frame(qubit: int, calibration: CalibrationSet) -> bool:
    """Return whether ``rz``, which plays nothing, can be done: the qubit's frequency is known, and it is not faulty."""
    return calibration.has(f"Q{qubit}.f01") and not calibration.faulty(f"Q{qubit}")


def _is_faulty(qubits: Qubits, calibration: CalibrationSet) -> bool:
    """Return whether a gate on ``qubits`` is not to be used. A pair is faulty in both directions."""
    orders = permutations(qubits) if len(qubits) > 1 else (qubits,)
    return any(calibration.faulty("-".join(f"Q{q}" for q in order)) for order in orders)


def set_of(target: Target | None) -> str:
    """Return the id of the calibration set that ``target`` was made from, empty for one that is not ours."""
    description = (None if target is None else target.description) or ""
    return str(description).partition(_MADE_FROM)[2]


def build_target(
    device: DeviceDescription,
    calibration: CalibrationSet,
    table: GateTable | None = None,
    added: AddedGates | None = None,
) -> Target:
    """Return what the transpiler has to know about ``device`` with ``calibration`` active.

    Args:
        device: the rack.
        calibration: the active set.
        table: the gates, when the caller has them already.
        added: gates of the user's own.

    """
    gates = gate_table(device, calibration) if table is None else table
    target = PulsedTarget(
        description=f"{device.name}{_MADE_FROM}{calibration.calibration_id}",
        num_qubits=device.num_qubits,
        dt=float(device.dt),
        granularity=device.timing.granularity,
        min_length=device.timing.min_length,
        pulse_alignment=device.timing.pulse_alignment,
        acquire_alignment=device.timing.acquire_alignment,
        qubit_properties=qubit_properties(device, calibration),
        concurrent_measurements=[list(group) for group in device.meas_map],
    )
    properties: dict[str, dict[Qubits, InstructionProperties | None]] = {name: {} for name in _OPERATIONS}
    for (name, qubits), info in gates.items():
        if name in properties:
            properties[name][qubits] = PulsedInstructionProperties(seconds_of(info, device), info.error, info.schedule)
    for q in range(device.num_qubits):
        if has_frame(q, calibration):
            # A change of frame: it takes no time and makes no error.
            properties["rz"].setdefault((q,), PulsedInstructionProperties(0.0, 0.0))
        if not calibration.faulty(f"Q{q}"):
            zz = _zz(q, device, calibration)
            properties["delay"][q,] = PulsedInstructionProperties(zz=zz) if zz else None
    for name, by_qubits in properties.items():
        if by_qubits:
            target.add_instruction(_OPERATIONS[name](), dict(sorted(by_qubits.items())), name=name)
    if device.timing.feedback_latency is not None and properties["measure"]:
        target.add_instruction(IfElseOp, name="if_else")
        target.add_instruction(SwitchCaseOp, name="switch_case")
    target.add_instruction(ForLoopOp, name="for_loop")
    target.add_instruction(BreakLoopOp, name="break_loop")
    target.add_instruction(ContinueLoopOp, name="continue_loop")
    if BoxOp is not None:
        target.add_instruction(BoxOp, name="box")
    _add_own(target, added or {}, device.dt)
    return target


def _add_own(target: Target, added: AddedGates, dt: Fraction) -> None:
    """Add the gates of the user's own: each once, with all its qubits."""
    for name in dict.fromkeys(name for name, _ in added):
        mine = [item for (other, _), item in added.items() if other == name]
        properties = {
            item.qubits: PulsedInstructionProperties(
                None if item.duration is None else float(item.duration * dt), item.error, item.schedule, item.rules
            )
            for item in mine
        }
        target.add_instruction(mine[0].gate, properties, name=name)


def _zz(qubit: int, device: DeviceDescription, calibration: CalibrationSet) -> dict[int, float]:
    """Return the always-on ZZ (Hz) of a qubit with each coupled one, where the set has it in either order."""
    found = {}
    for pair in device.couplings:
        if qubit in (pair.control, pair.target):
            other = pair.control + pair.target - qubit
            for name in (f"Q{qubit}-Q{other}.zz", f"Q{other}-Q{qubit}.zz"):
                if calibration.has(name):
                    found[other] = calibration.number(name)
    return found


def zz_of(target: Target) -> dict[int, Mapping[int, float]]:
    """Return the always-on ZZ in Hz of each qubit with each coupled one, as far as the calibration set has it."""
    waits = target["delay"] if "delay" in target.operation_names else {}
    return {qubits[0]: zz for qubits, one in (waits or {}).items() if qubits and (zz := getattr(one, "zz", None))}


def lab_names(target: Target) -> set[str]:
    """Return the names of all operations of ``target``, and those that a lab's gates have where they are calibrated."""
    return {*target.operation_names, *_OPERATIONS, *CONTROL_FLOW, "barrier", "store"}


def rules_of(target: Target) -> list[tuple[Any, Any]]:
    """Return the rules of the gates that a user has added to a backend: pairs of a gate and a circuit."""
    return [rule for name in added_names(target) for properties in target[name].values() for rule in properties.rules]


def added_names(target: Target) -> list[str]:
    """Return the names of the gates that a user has added to a backend."""
    first = {name: next(iter((target[name] or {}).values()), None) for name in target.operation_names}
    return [name for name, properties in first.items() if getattr(properties, "rules", None) is not None]
