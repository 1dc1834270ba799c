#!/usr/bin/env bash
# Expected: `VirtualZ(phase=0.3)` in a native gate is rz(0.3): its docstring is "Phase that implements the rotation".
# Seen (qibolab 0.2.8): the compiler makes RZ(0.3) of VirtualZ(phase=-0.3), so that the phases which close a CZ of a
#   runcard are minus the angles of the z rotations they stand for; Z is VirtualZ(phase=+pi), where the sign is not seen.
# Matters: a CZ that is moved to another stack by its numbers is off by twice each phase, and its conditional phase,
#   which is what one looks at, is still right.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qibolab==0.2.8" "qibo==0.2.23"
env/bin/python - <<'PY'
import importlib.metadata
import logging

logging.disable(logging.CRITICAL)
from qibo import Circuit, gates
from qibolab import VirtualZ, create_dummy
from qibolab._core.compilers import Compiler

print("qibolab", importlib.metadata.version("qibolab"))
circuit = Circuit(1)
circuit.add(gates.RZ(0, 0.3))
sequence, _ = Compiler.default().compile(circuit, create_dummy())
(phase,) = (pulse.phase for _, pulse in sequence if isinstance(pulse, VirtualZ))
print(f"rz(0.3) is compiled to VirtualZ(phase={phase})")
assert phase == -0.3
PY
echo "as stated"
