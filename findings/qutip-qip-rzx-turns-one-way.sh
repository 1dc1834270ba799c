#!/usr/bin/env bash
# Expected: the superconducting processor of qutip-qip turns `RZX(-pi/2)` the other way than `RZX(pi/2)`, as its own
#   unitary of the circuit does.
# Seen (qutip-qip 0.4.2): the length and height of the cross-resonance pulse are made from the absolute value of the
#   angle: both angles give the same pulse. RZX(-pi/2) and RX(pi/2) on the target, which are to undo each other, end in
#   |1> with probability 1. RX and RY mind their sign, on the same processor.
# Matters: echoed cross resonance is RZX(pi/4), X, RZX(-pi/4), X: with both halves of one sign it is the identity, and
#   whoever simulates the pulses of a gate with a negative angle gets a gate of its own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qutip-qip==0.4.2" "qutip==5.3.1" "numpy==2.4.6" \
  "scipy==1.17.1"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'PY'
import importlib.metadata
from math import pi

import qutip
from qutip_qip.circuit import QubitCircuit
from qutip_qip.device import SCQubits


def excited(*gates):
    """Probability of |1> on the target, from the unitary and from the pulses."""
    circuit = QubitCircuit(2)
    for name, targets, angle in gates:
        circuit.add_gate(name, targets=targets, arg_value=angle)
    ideal = circuit.run(qutip.basis([2, 2], [0, 0]))
    processor = SCQubits(2)
    processor.load_circuit(circuit)
    played = processor.run_state(qutip.basis([3, 3], [0, 0])).states[-1]
    areas = {p.label: round(float(p.coeff.sum()), 4) for p in processor.pulses if p.label == "zx01" and p.coeff is not None}
    return tuple(abs(qutip.basis([d, d], [0, 1]).overlap(state)) ** 2 for d, state in ((2, ideal), (3, played))), areas


print("qutip-qip", importlib.metadata.version("qutip-qip"))
for angle in (pi / 2, -pi / 2):
    (ideal, played), areas = excited(("RZX", [0, 1], angle), ("RX", 1, pi / 2))
    print(f"RZX({angle:+.2f}) RX(+1.57): P(1) of the target {ideal:.3f} by its unitary, {played:.3f} by its pulses {areas}")
    assert abs(played - 1) < 1e-3 and abs(ideal - (angle > 0)) < 1e-6
(ideal, played), _ = excited(("RX", 1, -pi / 2), ("RX", 1, pi / 2))
print(f"RX(-1.57) RX(+1.57): {ideal:.3f} and {played:.3f}")
assert ideal < 1e-6 and played < 1e-3
PY
echo "as stated"
