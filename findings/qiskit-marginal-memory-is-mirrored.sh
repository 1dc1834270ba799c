#!/usr/bin/env bash
# Expected: `marginal_counts(result, bits, marginalize_memory=True)` gives counts and memory of the same bits in the same
#   order: counting the memory gives the counts.
# Seen (qiskit 2.6.2): the memory has the bits in reverse. X on qubit 0 of three, marginalized over bits 0 and 2: the
#   counts say 01, as they should, each shot of the memory says 10. Over three bits likewise; over one there is nothing
#   to reverse. `marginal_memory` on the same shots is right.
# Matters: whoever counts from one and correlates shots by the other (post-selection on a heralding bit, parities over
#   time) reads another qubit without a word; states like 00 + 11 hide it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit==2.6.2" "numpy==2.4.6" "scipy==1.17.1"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'PY'
import importlib.metadata
from collections import Counter

from qiskit import QuantumCircuit
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.result import marginal_counts, marginal_memory

circuit = QuantumCircuit(4, 4)
circuit.x(0)
circuit.measure(range(4), range(4))
result = BasicSimulator().run(circuit, shots=100, memory=True, seed_simulator=1).result()
print("qiskit", importlib.metadata.version("qiskit"), result.get_counts(), Counter(result.get_memory()))
for bits, right, seen in (([0], "1", "1"), ([0, 2], "01", "10"), ([0, 2, 3], "001", "100"), ([1, 2, 3], "000", "000")):
    both = marginal_counts(result, bits, marginalize_memory=True)
    memory, apart = Counter(both.get_memory()), Counter(marginal_memory(result.get_memory(), bits))
    print(f"bits {bits}: counts {both.get_counts()}, memory {dict(memory)}, marginal_memory {dict(apart)}")
    assert both.get_counts() == {right: 100} and apart == {right: 100}
    assert memory == {seen: 100}
PY
echo "as stated"
