"""mthree calibrates and corrects over our backend, unchanged."""

import mthree
import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile

QUBITS = 4
SHOTS = 4000


@pytest.mark.parametrize("method", ["independent", "balanced", "marginal"])
def test_a_ghz_state_is_corrected_to_what_it_is(backend, rack, method):
    """The corrected share of 0000 and 1111 is the one that exact counts and the calibration set's readout errors give.

    It is above that of the state: what calibrates the readout begins with the same thermal populations.
    """
    circuit = QuantumCircuit(QUBITS)
    circuit.h(0)
    for k in range(QUBITS - 1):
        circuit.cx(k, k + 1)
    circuit.measure_all()
    ghz = transpile(circuit, backend, initial_layout=range(QUBITS), optimization_level=1, seed_transpiler=1)
    mitigation = mthree.M3Mitigation(backend)
    mitigation.cals_from_system(range(QUBITS), method=method)
    counts = backend.run(ghz, shots=SHOTS).result(120).get_counts()
    corrected = mitigation.apply_correction(
        counts, mthree.utils.final_measurement_mapping(ghz), return_mitigation_overhead=True
    )
    words = "0" * QUBITS, "1" * QUBITS
    (counted,) = rack.exact_counts([ghz])
    exact = np.array([counted[f"{word:0{QUBITS}b}"] for word in range(2**QUBITS)]) / sum(counted.values())
    properties, readout = backend.properties(), np.eye(1)
    for qubit in range(QUBITS):
        low, high = properties.prob_meas1_prep0(qubit), properties.prob_meas0_prep1(qubit)
        readout = np.kron([[1 - low, high], [low, 1 - high]], readout)
    true = np.linalg.solve(readout, exact)[[0, -1]].sum()
    raw = sum(counts.get(word, 0) for word in words) / SHOTS
    found = sum(corrected.get(word, 0) for word in words)
    # of the counts, and of the readout errors by 10,000 shots
    error = np.sqrt(corrected.mitigation_overhead * true * (1 - true) / SHOTS + QUBITS * 0.02 / 10_000)
    print(f"mthree {method}: raw {raw:.4f}, corrected {found:.4f} ± {error:.4f}, exact {true:.4f}")
    assert raw < true - 0.03
    assert abs(found - true) < 3 * error


def test_all_qubits_are_calibrated_by_default(backend, rack):
    mitigation = mthree.M3Mitigation(backend)
    mitigation.cals_from_system()
    properties = backend.properties()
    assert rack
    for qubit, fidelity in enumerate(mitigation.readout_fidelity()):
        wrong = properties.prob_meas1_prep0(qubit), properties.prob_meas0_prep1(qubit)
        error = np.sqrt(sum(p * (1 - p) for p in wrong) / 10_000) / 2
        assert abs(fidelity - (1 - sum(wrong) / 2)) < 4 * error, qubit
