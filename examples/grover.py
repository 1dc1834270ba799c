"""Grover's search among four entries: one question finds the marked one. Needs a daemon: `pulsed serve`."""

from qiskit import QuantumCircuit, transpile

from pulsed.provider import PulsedProvider, PulsedSampler

SHOTS = 2000
backend = PulsedProvider().get_backend("sim5")


def search(marked: str) -> QuantumCircuit:
    """Return the search for two bits: the oracle turns the sign of ``marked``, the mirror brings it out."""
    circuit = QuantumCircuit(2, name=marked)
    zeros = [q for q, bit in enumerate(reversed(marked)) if bit == "0"]
    circuit.h([0, 1])
    for turned in (zeros, [0, 1]):  # the oracle, then the mirror about the mean
        if turned is not zeros:
            circuit.h([0, 1])
        if turned:
            circuit.x(turned)
        circuit.cz(0, 1)
        if turned:
            circuit.x(turned)
    circuit.h([0, 1])
    circuit.measure_all()
    return circuit


entries = [f"{k:02b}" for k in range(4)]
circuits = transpile([search(entry) for entry in entries], backend, optimization_level=3, seed_transpiler=1)
results = PulsedSampler(backend).run(circuits, shots=SHOTS).result()
shares = []
for entry, result in zip(entries, results, strict=True):
    shares.append(result.data.meas.get_counts().get(entry, 0) / SHOTS)
    print(f"{entry} is marked: found in {shares[-1]:.1%} of the shots, 25 % by guessing")
if min(shares) < 0.75:
    raise SystemExit("the search does not find what is marked")
