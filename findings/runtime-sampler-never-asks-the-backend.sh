#!/usr/bin/env bash
# Expected: a sampler with `mode=backend` runs its circuits on the backend.
# Seen (qiskit-ibm-runtime 0.51.0): `executor_sampler.Sampler`, which the deprecation of SamplerV2 points to and which is
#   announced to take over the name `qiskit_ibm_runtime.Sampler`, never calls `run` of a backend that is not IBM's: it
#   simulates the circuit with Qiskit Aer. A backend that always reads 1 gives 1 by SamplerV2 and 0 by the new one.
# Matters: a lab's rack as `mode` gives counts that look measured and are not.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit-ibm-runtime==0.51.0" "qiskit==2.6.2" \
    "numpy==2.4.6" qiskit-aer
env/bin/python -W ignore - <<'PY'
import qiskit_aer
import qiskit_ibm_runtime
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_ibm_runtime import SamplerV2
from qiskit_ibm_runtime.executor_sampler import Sampler

asked = []


class Ones(GenericBackendV2):
    """Whatever it is given, its readout says 1."""

    def run(self, circuits, **options):
        asked.append(len(circuits))
        flipped = []
        for given in circuits:
            circuit = given.copy_empty_like()
            circuit.x(0)
            circuit.measure(0, 0)
            flipped.append(circuit)
        return super().run(flipped, **options)


circuit = QuantumCircuit(2, 1)
circuit.measure(0, 0)
print("qiskit-ibm-runtime", qiskit_ibm_runtime.__version__, "qiskit-aer", qiskit_aer.__version__)
ones = {}
for kind in (SamplerV2, Sampler):
    asked.clear()
    counts = kind(mode=Ones(2, seed=1)).run([circuit], shots=1000).result()[0].data.c.get_counts()
    ones[kind] = counts.get("1", 0)
    print(f"{kind.__module__}.{kind.__name__}: the backend was asked {len(asked)} times; {counts}")
    assert bool(asked) == (kind is SamplerV2)
assert ones[SamplerV2] > 900 and ones[Sampler] < 100
PY
echo "as stated"
