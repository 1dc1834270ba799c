#!/usr/bin/env bash
# Expected: a delay with a Parameter, in microseconds, can be bound after `transpile` to every value that is a whole
#   number of dt.
# Seen (qiskit 2.6.2; the same in 1.4.6 and 2.2.3): `transpile` turns the delay into dt by multiplying the Parameter
#   with 1e-6 / 1e-9 = 999.9999999999999. Bound to 0.5 us it is 499.99999999999994 dt: `assign_parameters` (in 1.4.6
#   and 2.2.3), or whoever then looks at the instruction (2.6.2), raises `Integer duration is expected`. Of 0.1, 0.2
#   ... 1.0 us six values end so, 1.0 us among them.
# Matters: a Ramsey sweep bound late dies at some of its points. Round what is within rounding of a whole number of
#   dt where late delays are taken.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit==2.6.2"
env/bin/python - <<'PY'
import qiskit
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Delay, Measure, Parameter
from qiskit.transpiler import InstructionProperties, Target

target = Target(num_qubits=1, dt=1e-9)
target.add_instruction(Measure(), {(0,): InstructionProperties(duration=800e-9)})
target.add_instruction(Delay(Parameter("t")), {(0,): None})
length = Parameter("length")
circuit = QuantumCircuit(1, 1)
circuit.delay(length, 0, "us")
circuit.measure(0, 0)
ready = transpile(circuit, target=target, optimization_level=0)
print("qiskit", qiskit.__version__)
refused = []
for tenths in range(1, 11):
    try:
        ready.assign_parameters({length: tenths / 10}).data[0].operation
    except Exception as error:
        refused.append(tenths / 10)
        reason = f"{type(error).__name__}: {error}"
print(f"of 0.1, 0.2, ... 1.0 us, whole numbers of dt all, these cannot be used: {refused} ({reason})")
assert refused == [0.3, 0.5, 0.6, 0.7, 0.9, 1.0]
PY
echo "as stated"
