#!/usr/bin/env bash
# Expected: `transpile` for a target with a dt turns every delay into dt, as it does at the top level of a circuit.
# Seen (qiskit 2.2.3; the same in 1.4.6): delays inside the body of an if_test (or a loop) keep their unit at every
#   optimization level: (200, 'us') beside (200000, 'dt') in one circuit.
# Matters: a backend that reads durations of a transpiled circuit as dt is right for all circuits but those with
#   control flow; walk the bodies, too.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit==2.2.3"
env/bin/python - <<'PY'
import qiskit
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Delay, IfElseOp, Measure, Parameter
from qiskit.circuit.library import RZGate, SXGate, XGate
from qiskit.transpiler import InstructionProperties, Target

target = Target(num_qubits=1, dt=1e-9)
for gate, duration in ((XGate(), 32e-9), (SXGate(), 32e-9), (RZGate(Parameter("a")), 0.0), (Measure(), 800e-9)):
    target.add_instruction(gate, {(0,): InstructionProperties(duration=duration)})
target.add_instruction(Delay(Parameter("t")), {(0,): None})
target.add_instruction(IfElseOp, name="if_else")
circuit = QuantumCircuit(1, 1)
circuit.delay(200, 0, "us")
circuit.measure(0, 0)
with circuit.if_test((circuit.clbits[0], 1)):
    circuit.delay(200, 0, "us")
    circuit.x(0)
print("qiskit", qiskit.__version__)
for level in range(4):
    done = transpile(circuit, target=target, optimization_level=level)
    outside = next(item.operation for item in done.data if item.operation.name == "delay")
    inside = next(item.operation for item in done.data[-1].operation.blocks[0].data if item.operation.name == "delay")
    print(f"level {level}: outside {outside.duration} {outside.unit}, inside {inside.duration} {inside.unit}")
    assert (outside.duration, outside.unit) == (200000, "dt") and (inside.duration, inside.unit) == (200, "us")
PY
echo "as stated"
