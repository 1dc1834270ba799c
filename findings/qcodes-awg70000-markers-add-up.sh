#!/usr/bin/env bash
# Expected: making the file of a waveform with markers reads the array that holds both: the same call again gives the
#   same file.
# Seen (qcodes 0.58.0, Tektronix AWG70000A): makeWFMXFile adds the second marker, times 2, to the row of the first one in
#   the caller's own array. The first file is right; in the second, where marker 2 was on, the byte is 4: the bit of
#   marker 3, which nobody asked for, and marker 2 is off. The third has 6.
# Matters: the same waveform for two channels, or uploaded again after a change of amplitude, gates the readout with
#   another line. The samples of the waveform itself stay, so that nothing in the plot of it tells.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qcodes==0.58.0" "numpy==2.2.6"
HOME=$dir env/bin/python -W ignore - <<'PY'
import numpy as np
import qcodes
from qcodes.instrument_drivers.tektronix.AWG70000A import TektronixAWG70000Base

SAMPLES = 2400
print("qcodes", qcodes.__version__)
data = np.zeros((3, SAMPLES))
data[1, 1], data[2, 2:4] = 1, 1
made = []
for _ in range(3):
    made.append(list(TektronixAWG70000Base.makeWFMXFile(data, 0.5)[-SAMPLES:][:5]))
    print("marker bytes of the file", made[-1], "- row of marker 1 in the caller's array", data[1, :5].tolist())
assert made == [[0, 1, 2, 2, 0], [0, 1, 4, 4, 0], [0, 1, 6, 6, 0]]
PY
echo "as stated"
