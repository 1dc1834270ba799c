"""The Target of one device with one calibration set, built in one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import TYPE_CHECKING, Any

from qiskit.circuit import Delay, IfElseOp, Instruction, Measure, Parameter, Reset
from qiskit.circuit.library import CZGate, ECRGate, IGate, RZGate, SXGate, XGate
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target

if TYPE_CHECKING:
    from pulsed.compiler.gates import GateInfo
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription

Qubits = tuple[int, ...]
GateTable = Mapping[tuple[str, Qubits], "GateInfo"]


_OPERATIONS: dict[str, Callable[[], Instruction]] = {
    "id": IGate,
    "rz": lambda: RZGate(Parameter("λ")),
    "sx": SXGate,
    "x": XGate,
    "ecr": ECRGate,
    "cz": CZGate,
    "measure": Measure,
    "reset": Reset,
    "delay": lambda: Delay(Parameter("t")),
}
"""Gates of the table by name, in the order in which the target lists them."""


_MADE_FROM = " with calibration set "
"""In a target's description, before the set's id: what of a Target survives being copied and sent to a process."""


class PulsedInstructionProperties(InstructionProperties):  # type: ignore[misc]
    """Duration and error of a gate, with its pulse schedule.

    The stock class loses attributes of subclasses when it is copied or pickled, so both are defined here. The
    schedule is shared between copies. On Qiskit 1.4 it is kept away from Qiskit's own ``_calibration``, which
    would make the transpiler attach it to every circuit.

    Args:
        duration: seconds.
        error: average error.
        calibration: the gate's :class:`pulsed.pulse.Schedule`.

    """

    def __new__(
        cls, duration: float | None = None, error: float | None = None, calibration: Any = None
    ) -> PulsedInstructionProperties:
        """Make the object; Qiskit's class takes its values here."""
        self: PulsedInstructionProperties = super().__new__(cls, duration, error)
        return self

    def __init__(self, duration: float | None = None, error: float | None = None, calibration: Any = None) -> None:
        super().__init__(duration, error)
        self._schedule = calibration

    @property
    def calibration(self) -> Any:
        """The gate's pulse schedule, or None for a gate without pulses."""
        return self._schedule

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.duration, self.error, self._schedule)

    def __copy__(self) -> PulsedInstructionProperties:
        return type(self)(self.duration, self.error, self._schedule)

    def __deepcopy__(self, memo: dict[int, Any]) -> PulsedInstructionProperties:
        return self.__copy__()

    def __repr__(self) -> str:
        name = getattr(self._schedule, "name", None)
        return f"PulsedInstructionProperties(duration={self.duration}, error={self.error}, calibration={name!r})"


def qubit_properties(device: DeviceDescription, calibration: CalibrationSet) -> list[QubitProperties]:
    """Return T1 and T2 (echo) in seconds and the frequency in hertz of each qubit; None where unknown."""

    def value(q: int, name: str) -> float | None:
        key = f"Q{q}.{name}"
        return calibration.number(key) if calibration.has(key) else None

    return [
        QubitProperties(t1=value(q, "t1"), t2=value(q, "t2"), frequency=value(q, "f01"))
        for q in range(device.num_qubits)
    ]


def gate_table(device: DeviceDescription, calibration: CalibrationSet) -> GateTable:
    """Return the gates of ``device`` that are calibrated, without those of faulty qubits and pairs."""
    from pulsed.compiler.gates import gate_table as compiled  # the compiler is not needed to connect

    gates = compiled(device, calibration)
    return {key: info for key, info in gates.items() if not _is_faulty(key[1], calibration)}


def _is_faulty(qubits: Qubits, calibration: CalibrationSet) -> bool:
    """Return whether a gate on ``qubits`` is not to be used. A pair is faulty in both directions."""
    orders = permutations(qubits) if len(qubits) > 1 else (qubits,)
    return any(calibration.faulty("-".join(f"Q{q}" for q in order)) for order in orders)


def set_of(target: Target | None) -> str:
    """Return the id of the calibration set that ``target`` was made from, empty for one that is not ours."""
    description = (None if target is None else target.description) or ""
    return str(description).partition(_MADE_FROM)[2]


def build_target(device: DeviceDescription, calibration: CalibrationSet, table: GateTable | None = None) -> Target:
    """Return what the transpiler has to know about ``device`` with ``calibration`` in force.

    Args:
        device: the rack.
        calibration: the set in force.
        table: the gates, when the caller has them already.

    """
    gates = gate_table(device, calibration) if table is None else table
    dt = float(device.dt)
    target = Target(
        description=f"{device.name}{_MADE_FROM}{calibration.calibration_id}",
        num_qubits=device.num_qubits,
        dt=dt,
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
            properties[name][qubits] = PulsedInstructionProperties(info.duration * dt, info.error, info.schedule)
    for q in range(device.num_qubits):
        if calibration.has(f"Q{q}.f01") and not calibration.faulty(f"Q{q}"):
            # A change of frame: it takes no time and makes no error.
            properties["rz"].setdefault((q,), PulsedInstructionProperties(0.0, 0.0))
        if not calibration.faulty(f"Q{q}"):
            properties["delay"][q,] = None
    for name, by_qubits in properties.items():
        if by_qubits:
            target.add_instruction(_OPERATIONS[name](), dict(sorted(by_qubits.items())), name=name)
    if device.timing.feedback_latency is not None and properties["measure"]:
        target.add_instruction(IfElseOp, name="if_else")
    return target
