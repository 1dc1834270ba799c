"""The quantum Fourier transform of three qubits finds a frequency. Needs a daemon: `pulsed serve`."""

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter

from pulsed.provider import PulsedProvider, PulsedSampler

N, SHOTS = 3, 1000
backend = PulsedProvider().get_backend("sim5")

# A wave on the numbers 0 to 7 with f periods: qubit k turns by 2π f 2**k / 8. The inverse transform makes of it the
# number f.
frequency = Parameter("f")
circuit = QuantumCircuit(N)
for k in range(N):
    circuit.h(k)
    circuit.rz(2 * np.pi * frequency * 2**k / 2**N, k)
for k in reversed(range(N)):  # from the qubit that turns fastest; the bits come out in reverse
    for j in reversed(range(k + 1, N)):
        circuit.cp(-np.pi / 2 ** (j - k), j, k)
    circuit.h(k)
circuit.measure_all()
fitted = transpile(circuit, backend, optimization_level=3, seed_transpiler=1)

frequencies = np.arange(2**N)
bits = PulsedSampler(backend).run([(fitted, frequencies)], shots=SHOTS).result()[0].data.meas
shares = []
for f in frequencies:
    expected = f"{f:0{N}b}"[::-1]
    shares.append(bits.get_counts(int(f)).get(expected, 0) / SHOTS)
    print(f"{f} periods: read as {f} in {shares[-1]:.1%} of the shots")
if min(shares) < 0.6:
    raise SystemExit("the transform does not find the frequency")
