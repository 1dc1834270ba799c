#!/usr/bin/env bash
# Expected: `sine_generator(freq, phase=pi / 2)` is the same tone a quarter of a period earlier.
# Seen (pyarbtools 2025.6.1, format `iq`): the phase is added to the samples instead of to the angle: the tone keeps its
#   phase and stands on a constant in-phase level of 1.57, and the samples reach 2.57 of full scale. Format `real` has
#   the phase in the angle and is right.
# Matters: the phase of a drive cannot be calibrated with it: every value turns the carrier on (leakage at the frequency
#   of the local oscillator) and overdrives the converter, and what comes out after clipping is neither tone.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check \
  "pyarbtools==2025.6.1" "numpy==2.2.6" "scipy==1.15.3" "matplotlib==3.10.3"
MPLBACKEND=agg env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
from pyarbtools import wfmBuilder

RATE, FREQUENCY = 1e9, 10e6


def tone(phase, form):
    samples = wfmBuilder.sine_generator(fs=RATE, freq=FREQUENCY, phase=phase, wfmFormat=form)
    spectrum = np.fft.fft(samples) / samples.size
    line = round(FREQUENCY * samples.size / RATE)
    return spectrum[0].real, np.angle(spectrum[line]), np.abs(samples).max()


print("pyarbtools", importlib.metadata.version("pyarbtools"))
for form in ("iq", "real"):
    before = tone(0.0, form)[1]
    for phase in (np.pi / 2, 2.0):
        level, angle, peak = tone(phase, form)
        turned = (angle - before) % (2 * np.pi)
        print(f"{form}, phase {phase:.4f}: the tone is turned by {turned:.4f}, constant level {level:.4f}, "
              f"peak {peak:.4f}")
        if form == "iq":
            assert abs(turned) < 1e-6 and abs(level - phase) < 1e-6 and abs(peak - 1 - phase) < 1e-3
        else:
            assert abs(turned - phase) < 1e-6 and abs(level) < 1e-6
PY
echo "as stated"
