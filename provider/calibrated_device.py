"""All that a backend makes of one calibration set, each when it is first asked for.

A backend that takes over another set takes another of these, so what is made at the same moment in another thread is
made of one set.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pulsed import old_names
from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider.rules import Rules, legal_gates
from pulsed.provider.target import GateTable, build_target, gate_table

if TYPE_CHECKING:
    from qiskit.transpiler import CouplingMap, Target

    from pulsed.compiler.compile import Compiler
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.provider.added_gates import AddedGate, AddedGates
    from pulsed.provider.configuration import Configuration
    from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap


__getattr__ = old_names(__name__)

_NO_GATES = CONTROL_FLOW | {"measure", "delay", "reset"}


def _arguments(item: AddedGate) -> list[str] | None:
    """Return the parameters of a gate in its own order; None if its schedule does not use them all."""
    names = [str(parameter.name) for parameter in item.gate.params]
    return names if len(item.schedule.parameters) == len(names) else None


class CalibratedDevice:
    """A device with one calibration set, and gates of the user's own beside those of the set.

    ``fractional``: rx and rzz of any angle are among its gates.
    """

    def __init__(
        self,
        device: DeviceDescription,
        calibration: CalibrationSet,
        added: AddedGates | None = None,
        fractional: bool = False,
    ) -> None:
        self.device = device
        self.fractional = fractional
        self.calibration = calibration
        self.added: AddedGates = {} if added is None else added
        """Gates of the user's own."""

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy makes for itself what follows from these: a compiler has locks.
        # Its target goes with it, which a user may have changed.
        kept = {name: self.__dict__[name] for name in ("target",) if name in self.__dict__}
        return type(self), (self.device, self.calibration, self.added, self.fractional), kept

    def changed(self, calibration: CalibrationSet | None = None, added: AddedGates | None = None) -> CalibratedDevice:
        """Return the same with another set, or other gates of the user's own."""
        return type(self)(
            self.device, calibration or self.calibration, self.added if added is None else added, self.fractional
        )

    @cached_property
    def calibration_id(self) -> str:
        """The id of the set."""
        return self.calibration.calibration_id

    @cached_property
    def gates(self) -> GateTable:
        """The gates that are calibrated and not faulty."""
        return gate_table(self.device, self.calibration, self.fractional)

    @cached_property
    def target(self) -> Target:
        """What the transpiler has to know."""
        return build_target(self.device, self.calibration, self.gates, self.added)

    @cached_property
    def coupling_map(self) -> CouplingMap | None:
        """The pairs that have a gate."""
        return self.target.build_coupling_map()

    @property
    def basis_gates(self) -> list[str]:
        """Names of the calibrated gates."""
        return [name for name in self.target.operation_names if name not in _NO_GATES]

    @cached_property
    def configuration(self) -> Configuration:
        """What a BackendV1 tells about itself."""
        from pulsed.provider.configuration import Configuration
        from pulsed.provider.hamiltonian import hamiltonian

        known = hamiltonian(self.device, self.calibration, self.gates)
        return Configuration(self.device, self.target, self.basis_gates, known)

    @cached_property
    def rules(self) -> Rules:
        """What a circuit is checked against."""
        from pulsed.model.device import samples_per_dt  # pydantic is not needed to import the provider

        n = self.device.num_qubits
        lines = [f"{kind}{q}" for kind in "dma" for q in range(n)]
        lines += [f"u{k}" for k in range(len(self.device.couplings))]
        record = tuple(samples_per_dt(self.device, self.device.ports[qubit.acquire]) for qubit in self.device.qubits)
        return Rules(self.device, self.calibration, legal_gates(self.target), tuple(lines), self.target, record)

    @cached_property
    def compiler(self) -> Compiler:
        """The compiler, for schedules and previews."""
        from pulsed.compiler.compile import Compiler

        return Compiler(self.device, self.calibration)

    @cached_property
    def schedule_map(self) -> InstructionScheduleMap:
        """The same in the language of this Qiskit: on 1.4 that of ``qiskit.pulse``."""
        from pulsed.provider.pulse_language import gate_map

        return gate_map(self.schedules)  # type: ignore[no-any-return]

    @cached_property
    def schedules(self) -> InstructionScheduleMap:
        """The schedules of all gates."""
        from pulsed.compiler.fractional import add_fractional
        from pulsed.compiler.gates import gate_schedules

        schedules = gate_schedules(self.device, self.calibration)
        if self.fractional:
            add_fractional(schedules, self.device, self.calibration)
        for (name, qubits), item in self.added.items():
            schedules.add(name, qubits, item.schedule, _arguments(item))
        return schedules
