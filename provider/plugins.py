"""The backend's own part in transpiling: circuits know which calibration set their Target was made from.

Found by Qiskit through the entry point ``qiskit.transpiler.translation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.transpiler import TransformationPass
from qiskit.transpiler.preset_passmanagers.builtin_plugins import BasisTranslatorPassManager

from pulsed.provider.target import set_of

if TYPE_CHECKING:
    from qiskit.circuit import QuantumCircuit
    from qiskit.dagcircuit import DAGCircuit
    from qiskit.transpiler import PassManager, PassManagerConfig

TRANSLATION = "pulsed"
"""Name of the plugin."""
KEY = "calibration_id"
"""Of the mark, in a circuit's metadata."""


class MarkCalibration(TransformationPass):  # type: ignore[misc]
    """Write into the circuit's metadata which calibration set it was transpiled against."""

    def __init__(self, calibration_id: str) -> None:
        super().__init__()
        self.calibration_id = calibration_id

    def run(self, dag: DAGCircuit) -> DAGCircuit:
        """Return the same circuit with the mark."""
        dag.metadata = {**(dag.metadata or {}), KEY: self.calibration_id}
        return dag


class PulsedTranslation(BasisTranslatorPassManager):  # type: ignore[misc]
    """Qiskit's own translation, with the mark after it when the target is one of ours."""

    def pass_manager(
        self, pass_manager_config: PassManagerConfig, optimization_level: int | None = None
    ) -> PassManager:
        """Return the passes of the stage."""
        manager = super().pass_manager(pass_manager_config, optimization_level)
        made_from = set_of(pass_manager_config.target)
        if made_from:
            manager.append(MarkCalibration(made_from))
        return manager


def mark_of(circuit: QuantumCircuit) -> str | None:
    """Return the set that a circuit was transpiled against; None for one without a mark."""
    mark = (circuit.metadata or {}).get(KEY)
    return mark if isinstance(mark, str) else None
