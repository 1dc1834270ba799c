#!/usr/bin/env bash
# Expected: `ITest(..., synchronous_enable=True)` makes the QCoDeS driver of the Bilt voltage source `block the
#   communication until the set voltage is reached`, checked each `synchronous_delay` s to `synchronous_threshold` V.
# Seen (qcodes-contrib-drivers 0.24.1): the three arguments are read by nobody. Each channel begins with False, 1 ms and
#   10 uV, whatever was given; setting a voltage does not look at the output and returns at once.
# Matters: with slow ramps (`output_mode("ramp")`) each point of a gate or flux sweep is measured while the voltage is on
#   its way, and a sweep up and a sweep down differ as if there were hysteresis. `ch01.synchronous_enable(True)`, channel
#   by channel, does what the argument says.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "qcodes==0.58.0" "pyvisa-sim==0.7.1"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "qcodes-contrib-drivers==0.24.1"
HOME=$dir env/bin/python -W ignore - <<'PY'
import importlib.metadata

from qcodes_contrib_drivers.drivers.Bilt.ITest import ITest


class Source(ITest):
    """With a source behind it that creeps: each look at the output finds it 2 mV nearer to 10 mV."""

    output, looks = 0.0, 0

    def write_raw(self, cmd):
        pass

    def ask_raw(self, cmd):
        if "MEAS:VOLT?" not in cmd:
            return "ITest,BN100,1,1"
        self.looks += 1
        self.output = min(self.output + 0.002, 0.01)
        return str(self.output)


print("qcodes-contrib-drivers", importlib.metadata.version("qcodes-contrib-drivers"))
source = Source("source", "GPIB::8::INSTR", visalib="@sim", num_chans=1, v_post_delay=0, v_inter_delay=0,
                synchronous_enable=True, synchronous_delay=0.002, synchronous_threshold=1e-4)
channel = source.ch01
kept = [channel.synchronous_enable(), channel.synchronous_delay(), channel.synchronous_threshold()]
print(f"asked for: True, 0.002 s, 1e-4 V; each channel has: {kept}")
channel.v.cache.set(0.0)
channel.v(0.01)
print(f"10 mV is set and the call is back; the output is at {source.output * 1e3:.0f} mV, looks at it: {source.looks}")
assert kept == [False, 1e-3, 1e-5] and source.looks == 0
channel.synchronous_enable(True)
channel.v(0.01)
print(f"with the parameter of the channel: the output is at {source.output * 1e3:.0f} mV after {source.looks} looks")
assert source.looks == 5
PY
echo "as stated"
