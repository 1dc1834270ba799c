#!/usr/bin/env bash
# Expected: `assign_parameters` of a circuit returns a copy with the values, and leaves the circuit and earlier copies alone.
# Seen (qiskit 2.6.2): a gate that Qiskit does not know itself, such as `Gate("mine", 1, [p])`, in the body of control flow
#   or of a box is one Python object for all copies of the circuit. The last values that were assigned to any of them are
#   what `circuit.data[0].operation.body.data[0].operation.params` says of all, what `pickle`, `compose`, QPY 15 and
#   drawings have. `instruction.params` and the newest QPY are right. Gates that Qiskit knows, such as rz, are right everywhere.
# Matters: bound copies that go through `pickle` have the numbers of the last one, without a word. Read
#   `instruction.params`, not `instruction.operation.params`, and let values in bodies travel in gates that Qiskit knows.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit==2.6.2"
env/bin/python - <<'PY'
import io
import pickle

import qiskit
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.library import RZGate


def values(circuit):
    return [float(item.params[0]) for item in circuit.data[0].operation.body.data]


def through_qpy(circuit, version):
    file = io.BytesIO()
    qpy.dump(circuit, file, version=version)
    file.seek(0)
    return qpy.load(file)[0]


print("qiskit", qiskit.__version__)
p = Parameter("p")
seen = {}
for gate in (Gate("mine", 1, [p]), RZGate(p)):
    circuit = QuantumCircuit(1)
    with circuit.box():
        circuit.append(gate, [0])
    first, last = (circuit.assign_parameters({p: value}) for value in (0.25, 0.5))
    seen[gate.name] = {
        "params": values(first),
        "pickle": values(pickle.loads(pickle.dumps(first))),
        "compose": values(QuantumCircuit(1).compose(first)),
        "QPY 15": values(through_qpy(first, 15)),
        "QPY 17": values(through_qpy(first, 17)),
    }
    print(f"{gate.name} bound to 0.25, another copy to 0.5 after it: the first has", seen[gate.name])
assert seen["rz"] == dict.fromkeys(seen["rz"], [0.25])
assert seen["mine"] == {"params": [0.25], "pickle": [0.5], "compose": [0.5], "QPY 15": [0.5], "QPY 17": [0.25]}
PY
echo "as stated"
