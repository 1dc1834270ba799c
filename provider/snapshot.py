"""All that a backend makes of one calibration set, each when it is first asked for.

A backend that takes over another set takes another of these, so what is made at the same moment in another thread is
made of one set.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pulsed.provider.checks import Rules, legal_gates
from pulsed.provider.target import GateTable, build_target, gate_table

if TYPE_CHECKING:
    from qiskit.transpiler import CouplingMap, Target

    from pulsed.compiler.compile import Compiler
    from pulsed.model.calibration import CalibrationSet
    from pulsed.model.device import DeviceDescription
    from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap


class Snapshot:
    """A device with one calibration set."""

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self.device = device
        self.calibration = calibration

    @cached_property
    def calibration_id(self) -> str:
        """The id of the set."""
        return self.calibration.calibration_id

    @cached_property
    def gates(self) -> GateTable:
        """The gates that are calibrated and not faulty."""
        return gate_table(self.device, self.calibration)

    @cached_property
    def target(self) -> Target:
        """What the transpiler has to know."""
        return build_target(self.device, self.calibration, self.gates)

    @cached_property
    def coupling_map(self) -> CouplingMap | None:
        """The pairs that have a gate."""
        return self.target.build_coupling_map()

    @cached_property
    def rules(self) -> Rules:
        """What a circuit is checked against."""
        n = self.device.num_qubits
        lines = [f"{kind}{q}" for kind in "dma" for q in range(n)]
        lines += [f"u{k}" for k in range(len(self.device.couplings))]
        return Rules(n, legal_gates(self.target), tuple(lines))

    @cached_property
    def compiler(self) -> Compiler:
        """The compiler, for schedules and previews."""
        from pulsed.compiler.compile import Compiler

        return Compiler(self.device, self.calibration)

    @cached_property
    def schedules(self) -> InstructionScheduleMap:
        """The schedules of all gates."""
        from pulsed.compiler.gates import gate_schedules

        return gate_schedules(self.device, self.calibration)
