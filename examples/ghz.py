"""A GHZ state of all five qubits, and its fidelity from two measurements. Needs a daemon: `pulsed serve`."""

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter

from pulsed.provider import PulsedProvider, PulsedSampler

N, SHOTS = 5, 2000
backend = PulsedProvider().get_backend("sim5")

# From the middle outwards: three layers of cx instead of four.
ghz = QuantumCircuit(N)
ghz.h(2)
for control, target in ((2, 1), (2, 3), (1, 0), (3, 4)):
    ghz.cx(control, target)

# The populations of 00000 and 11111, and the coherence between them: all qubits turned by 90° about an axis at the
# angle φ show a parity that goes as cos(Nφ).
phi = Parameter("φ")
turned = ghz.copy()
for q in range(N):
    turned.rz(phi, q)
    turned.h(q)
circuits = [
    transpile(one, backend, initial_layout=range(N), optimization_level=3, seed_transpiler=1)
    for one in (ghz.measure_all(inplace=False), turned.measure_all(inplace=False))
]
angles = np.linspace(0, 2 * np.pi, 4 * N, endpoint=False)
plain, swept = PulsedSampler(backend).run([circuits[0], (circuits[1], angles)], shots=SHOTS).result()

counts = plain.data.meas.get_counts()
populations = (counts.get("0" * N, 0) + counts.get("1" * N, 0)) / SHOTS
parities = 1 - 2 * (swept.data.meas.bitcount() % 2).mean(axis=1)
coherence = abs(np.mean(parities * np.exp(1j * N * angles))) * 2
fidelity = (populations + coherence) / 2
print(f"populations {populations:.3f}, coherence {coherence:.3f}: fidelity {fidelity:.3f}, more than 0.5 is entangled")
if fidelity < 0.6:
    raise SystemExit("the state is not what it should be")
