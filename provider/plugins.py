"""The backend's own part in transpiling: circuits know which calibration set their Target was made from.

Found by Qiskit through the entry point ``qiskit.transpiler.translation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit.circuit import Instruction
from qiskit.circuit.equivalence import EquivalenceLibrary
from qiskit.circuit.equivalence_library import SessionEquivalenceLibrary
from qiskit.converters import circuit_to_dag, dag_to_circuit
from qiskit.passmanager.flow_controllers import ConditionalController
from qiskit.transpiler import PassManager, TransformationPass
from qiskit.transpiler.passes import (
    BasisTranslator,
    CheckGateDirection,
    GateDirection,
    HighLevelSynthesis,
    UnitarySynthesis,
)
from qiskit.transpiler.preset_passmanagers.builtin_plugins import BasisTranslatorPassManager

from pulsed.compiler.canonical import CONTROL_FLOW
from pulsed.provider.target import added_names, rules_of, set_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qiskit.circuit import Gate, QuantumCircuit
    from qiskit.dagcircuit import DAGCircuit
    from qiskit.transpiler import PassManagerConfig

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
    """Qiskit's own translation, with the mark after it when the target is one of ours.

    What is known of gates that a user has added is in a library of the target's own, over Qiskit's: no other backend
    sees it.
    """

    def pass_manager(
        self, pass_manager_config: PassManagerConfig, optimization_level: int | None = None
    ) -> PassManager:
        """Return the passes of the stage."""
        target = pass_manager_config.target
        added = added_names(target) if set_of(target) else []
        if rules := rules_of(target) if added else []:
            manager = _translation(pass_manager_config, rules)
        else:
            manager = super().pass_manager(pass_manager_config, optimization_level)
        if added:
            manager.append(KeepAddedGates(added))
        made_from = set_of(pass_manager_config.target)
        if made_from:
            manager.append(MarkCalibration(made_from))
        return manager


def _translation(config: PassManagerConfig, rules: Iterable[tuple[Gate, QuantumCircuit]]) -> PassManager:
    """Return Qiskit's translation with another library: its own takes none."""
    library = EquivalenceLibrary(base=SessionEquivalenceLibrary)
    for gate, circuit in rules:
        library.add_equivalence(gate, circuit)
    target, coupling_map = config.target, config.coupling_map
    translator = BasisTranslator(library, config.basis_gates, target)
    return PassManager(
        [
            UnitarySynthesis(
                config.basis_gates,
                approximation_degree=config.approximation_degree,
                coupling_map=coupling_map,
                plugin_config=config.unitary_synthesis_plugin_config,
                method=config.unitary_synthesis_method,
                target=target,
            ),
            HighLevelSynthesis(
                hls_config=config.hls_config,
                coupling_map=coupling_map,
                target=target,
                use_qubit_indices=True,
                equivalence_library=library,
                basis_gates=config.basis_gates,
                qubits_initially_zero=config.qubits_initially_zero,
            ),
            translator,
            # A gate of two qubits may have been made of one that only one of them has: Qiskit looks at both at once.
            translator,
            CheckGateDirection(coupling_map, target=target),
            ConditionalController(
                [GateDirection(coupling_map, target=target), translator],
                condition=lambda properties: not properties["is_direction_mapped"],
            ),
        ]
    )


class KeepAddedGates(TransformationPass):  # type: ignore[misc]
    """Keep optimisation from gates that a user has added: they are there to be played.

    Each becomes an Instruction of the same name, which no pass takes for a matrix. Qiskit would otherwise make lab's
    gates of it, or fail on one whose matrix it does not know.
    """

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = frozenset(names)

    def run(self, dag: DAGCircuit) -> DAGCircuit:
        """Return the same circuit with these gates as instructions."""
        for node in dag.op_nodes():
            if node.name in CONTROL_FLOW:
                if blocks := [self._kept(block) for block in getattr(node.op, "blocks", ())]:
                    dag.substitute_node(node, node.op.replace_blocks(blocks), inplace=True)
            elif node.name in self.names:
                opaque = Instruction(node.name, len(node.qargs), 0, list(node.op.params))
                opaque.definition = node.op.definition
                dag.substitute_node(node, opaque, inplace=True)
        return dag

    def _kept(self, block: QuantumCircuit) -> QuantumCircuit:
        return dag_to_circuit(self.run(circuit_to_dag(block)))


def mark_of(circuit: QuantumCircuit) -> str | None:
    """Return the set that a circuit was transpiled against; None for one without a mark."""
    mark = (circuit.metadata or {}).get(KEY)
    return mark if isinstance(mark, str) else None
