#!/usr/bin/env bash
# Expected: a level of the delay generator DG645 may be given in any unit of voltage (`units: As specified`), as its
#   delays may in any unit of time: `level_offset = 100 mV` is 0.1 V.
# Seen (instrumentkit 0.6.0): `level_offset` and `level_amplitude` send the bare number of the quantity: 100 mV go out as
#   `LOFF 1,100`, so 100 V, and 1 mV as 1 V. The delay, the rate and the hold-off are converted.
# Matters: 1 mV of offset becomes 1 V on the gate of a switch or the marker input behind it, in silence; larger numbers
#   are refused by the instrument alone. What was set cannot be seen on the object, only by reading it back.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "quantities==0.16.1" "numpy==2.2.6" \
  "pyserial==3.5" "pyvisa==1.15.0" "pyusb==1.3.1" "future==1.0.0" "ruamel.yaml==0.18.10" "python-vxi11==0.9"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "instrumentkit==0.6.0" \
  "python-usbtmc==0.8"
env/bin/python -W ignore - <<'PY'
import importlib.metadata
import io

import instruments as ik
import quantities as pq

print("instrumentkit", importlib.metadata.version("instrumentkit"))
sent = io.BytesIO()  # what the instrument would receive
generator = ik.srs.SRSDG645.open_test(io.BytesIO(), sent)
output = generator.output["AB"]
output.level_offset = pq.Quantity(100, "mV")
output.level_offset = pq.Quantity(1, "mV")
output.level_amplitude = pq.Quantity(2.5, "V")
generator.channel["B"].delay = (generator.channel["A"], pq.Quantity(10, "ns"))
generator.trigger_rate = pq.Quantity(1, "kHz")
lines = sent.getvalue().decode().split()
commands = [" ".join(pair) for pair in zip(lines[::2], lines[1::2])]
print("\n".join(commands))
numbers = [float(command.split(",")[-1].split()[-1]) for command in commands]
assert [command.split()[0] for command in commands] == ["LOFF", "LOFF", "LAMP", "DLAY", "TRAT"]
assert numbers[:3] == [100.0, 1.0, 2.5], "levels are converted to volts now"
assert abs(numbers[3] - 1e-8) < 1e-15 and numbers[4] == 1000.0
PY
echo "as stated"
