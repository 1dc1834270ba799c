#!/usr/bin/env bash
# Expected: a circuit that is written to QPY and read back is the same circuit.
# Seen (qiskit 2.2.3; the same in 1.4.6): the unit of a delay is not written: `delay(200, 'us')` comes back as 200
#   dt, half a million times shorter on a machine with dt of a nanosecond or less. A unit beside a fraction (2.5 ns)
#   cannot be read back at all: the file that `dump` wrote is refused by `load`.
# Matters: everything that ships circuits as QPY (job queues, runtimes, archives) plays another T1 experiment than
#   the one written, unless all delays are turned into dt first.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qiskit==2.2.3"
env/bin/python - <<'PY'
import io

import qiskit
from qiskit import QuantumCircuit, qpy


def round_trip(circuit):
    file = io.BytesIO()
    qpy.dump(circuit, file)
    file.seek(0)
    return qpy.load(file)[0]


circuit = QuantumCircuit(1)
circuit.delay(200, 0, "us")
delay = round_trip(circuit).data[0].operation
print(f"qiskit {qiskit.__version__}: 200 us came back as {delay.duration} {delay.unit}")
assert (delay.duration, delay.unit) == (200, "dt")
fraction = QuantumCircuit(1)
fraction.delay(2.5, 0, "ns")
try:
    round_trip(fraction)
except Exception as error:
    print("2.5 ns:", type(error).__name__, error)
else:
    raise SystemExit("a fraction is read back now")
PY
echo "as stated"
