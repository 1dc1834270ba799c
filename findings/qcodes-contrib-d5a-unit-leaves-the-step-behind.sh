#!/usr/bin/env bash
# Expected: a voltage source whose step is limited goes on in the same steps when its display changes from mV to V:
#   `set_dac_unit` of the QCoDeS driver of the D5a changes the unit, the limits, and what a number means.
# Seen (qcodes-contrib-drivers 0.24.1): it leaves the step a bare number. Set up in mV with steps of 10 mV, then switched
#   to V, the limit is 10 V, and 1 V to 0 V is one jump instead of 100 steps. Set up in V with steps of 10 mV, then
#   switched to mV, the step is 0.01 mV: 100,000 messages for 1 V, 0.1 s each by default, so almost three hours.
# Matters: the step is there to protect gates and flux lines from jumps. The snapshot still shows a step, with the
#   number that was chosen. Set `dac1.step` and its siblings again after a change of unit.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "qcodes==0.58.0" "pyserial==3.5"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "spirack==0.2.21" \
  "qcodes-contrib-drivers==0.24.1"
HOME=$dir env/bin/python -W ignore - <<'PY'
import importlib.metadata

from qcodes_contrib_drivers.drivers.QuTech.D5a import D5a


class Rack:
    """The rack's controller, as far as the module talks to it: all at 0 V, in a span of -4 to 4 V."""

    written = 0

    def read_data(self, module, chip, mode, speed, data):
        span = data[0] >> 4 == 0b1100
        return bytearray([0, 0, 2, 0] if span else [0, 0x80, 0, 0])

    def write_data(self, module, chip, mode, speed, data):
        self.written += 1


def messages(parameter, value):
    rack.written = 0
    parameter(value)
    return rack.written


print("qcodes-contrib-drivers", importlib.metadata.version("qcodes-contrib-drivers"))
rack = Rack()
first = D5a("first", rack, 1, inter_delay=0, mV=True, dac_step=10)
up = messages(first.dac1, 1000)
first.set_dac_unit("V")
first.dac1()  # without a look, the remembered 1000 would be taken for volts
down = messages(first.dac1, 0)
print(f"set up in mV, 0 to 1000 mV: {up} steps; after set_dac_unit('V'), 1 to 0 V: {down}, step {first.dac1.step} V")
assert (up, down) == (100, 1)

second = D5a("second", rack, 2, inter_delay=0)  # V, steps of 10 mV: the defaults
up = messages(second.dac1, 0.1)
second.set_dac_unit("mV")
second.dac1()
down = messages(second.dac1, 0)
print(f"set up in V, 0 to 0.1 V: {up} steps; after set_dac_unit('mV'), 100 to 0 mV: {down}, step {second.dac1.step} mV")
assert up in (10, 11) and 9_990 < down < 10_010
PY
echo "as stated"
