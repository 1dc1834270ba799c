#!/usr/bin/env bash
# Expected: `pulse_delay(5e-6)` of the QCoDeS driver of the R&S SMR40 sets the delay of the pulse generator to 5 us.
# Seen (qcodes-contrib-drivers 0.24.1): every value is sent as `SOUR:PULS:DEL 1us`; the log names the one that was asked
#   for, and the parameter's cache, so the snapshot in the data set, too. The frequency is written with seven digits:
#   5.123456789 GHz becomes 5.123457 GHz.
# Matters: a sweep of the delay between a trigger and a microwave pulse (a T1 with a pulsed generator) plots noise or a
#   flat line over an axis that looks right, and the saved settings agree with the axis.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile "qcodes==0.58.0" "pyvisa-sim==0.7.1"
env/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps "qcodes-contrib-drivers==0.24.1"
cat > generator.yaml <<'YAML'
spec: "1.0"
devices:
  smr40:
    eom:
      GPIB INSTR: {q: "\r\n", r: "\n"}
    dialogues:
      - {q: "*IDN?", r: "Rohde&Schwarz,SMR40,1,1"}
      - {q: "SOUR:FREQ?", r: "1e9"}
      - {q: "SOUR:POW?", r: "-10"}
      - {q: ":OUTP:STAT?", r: "0"}
resources:
  GPIB0::1::INSTR: {device: smr40}
YAML
HOME=$dir env/bin/python -W ignore - <<'PY'
import importlib.metadata

from qcodes_contrib_drivers.drivers.RohdeSchwarz.SMR40 import RohdeSchwarz_SMR40

print("qcodes-contrib-drivers", importlib.metadata.version("qcodes-contrib-drivers"))
generator = RohdeSchwarz_SMR40("generator", "GPIB0::1::INSTR", visalib="generator.yaml@sim")
sent = []
generator.visa_handle.write = sent.append  # what the instrument would receive
for delay in (5e-6, 250e-9, 1e-3):
    generator.pulse_delay(delay)
    print(f"pulse_delay({delay}): sent {sent[-1]!r}, the snapshot will say {generator.pulse_delay.cache.get(False)}")
    assert sent[-1] == "SOUR:PULS:DEL 1us" and generator.pulse_delay.cache.get(False) == delay
generator.frequency(5.123456789e9)
print(f"frequency(5.123456789e9): sent {sent[-1]!r}")
assert sent[-1] == "SOUR:FREQ 5.123457e+09"
PY
echo "as stated"
