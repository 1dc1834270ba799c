"""The ground state energy of H2 by a variational quantum eigensolver. Needs a daemon: `pulsed serve`."""

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from pulsed.provider import PulsedEstimator, PulsedProvider

# Electronic Hamiltonian at a bond length of 0.735 Å in the STO-3G basis, in hartree, mapped to qubits by parity and
# tapered to two of them. The coefficients are those of the tutorial "VQE with Qiskit Aer Primitives" of
# qiskit-algorithms, computed with Qiskit Nature.
HAMILTONIAN = SparsePauliOp(
    ["II", "IZ", "ZI", "ZZ", "XX"],
    [-1.052373245772859, 0.39793742484318045, -0.39793742484318045, -0.01128010425623538, 0.18093119978423156],
)
EXACT = np.linalg.eigvalsh(HAMILTONIAN.to_matrix())[0]

backend = PulsedProvider().get_backend("sim5")

# Two electrons in the lower orbital or in the upper one: cos(θ/2)|01> + sin(θ/2)|10>. An excitation that the turned
# qubit has before the circuit begins is copied by cx to the other, so it is Q0, the colder one of the pair.
theta = Parameter("θ")
ansatz = QuantumCircuit(2)
ansatz.ry(theta, 1)
ansatz.cx(1, 0)
ansatz.x(0)
fitted = transpile(ansatz, backend, initial_layout=[1, 0], optimization_level=3, seed_transpiler=1)
hamiltonian = HAMILTONIAN.apply_layout(fitted.layout)

# The whole curve is one job. With a single angle it is a sine, whose minimum follows from a linear fit.
estimator = PulsedEstimator(backend, {"resilience": {"measure_mitigation": True}})
angles = np.linspace(-np.pi, np.pi, 24, endpoint=False)
curve = estimator.run([(fitted, hamiltonian, angles)], precision=0.03).result()[0].data
shapes = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
_, cosine, sine = np.linalg.lstsq(shapes / curve.stds[:, None], curve.evs / curve.stds, rcond=None)[0]
best = np.arctan2(-sine, -cosine)

for mitigated in (False, True):
    estimator.options.resilience.measure_mitigation = mitigated
    data = estimator.run([(fitted, hamiltonian, [best])], precision=0.0035).result()[0].data
    energy = data.evs
    print(f"readout errors {'undone' if mitigated else 'left in'}: {energy:.4f} ± {data.stds:.4f} hartree")
print(f"exactly {EXACT:.4f} hartree, at θ = {best:.3f}: off by {1e3 * (energy - EXACT):+.1f} mHa")
if abs(energy - EXACT) > 0.020:
    raise SystemExit("more than 20 mHa from the exact energy")
