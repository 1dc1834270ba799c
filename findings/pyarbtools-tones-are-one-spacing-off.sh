#!/usr/bin/env bash
# Expected: `multitone_generator(spacing=10e6, num=3)` has tones at -10, 0 and 10 MHz about the carrier and a largest
#   magnitude of 0.707, as all its signals have.
# Seen (pyarbtools 2025.6.1, format `iq`): every tone stands one bin of the record too high: a whole spacing for odd
#   numbers of tones (0, 10 and 20 MHz), half of one for even numbers. And it is scaled by the sample of the largest
#   real part, not of the largest magnitude: with `parabolic` phases three tones reach 2.08, and two a number of 10**16.
# Matters: a comb for readout or two-tone spectroscopy drives the neighbour's resonator, and its level depends on the
#   phases: whoever clips or normalises afterwards gets yet another one. Look at the spectrum before an upload.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check \
  "pyarbtools==2025.6.1" "numpy==2.2.6" "scipy==1.15.3" "matplotlib==3.10.3"
MPLBACKEND=agg env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
from pyarbtools import wfmBuilder

RATE = 1e9


def tones(samples):
    spectrum = np.abs(np.fft.fft(samples)) / samples.size
    at = np.fft.fftfreq(samples.size, 1 / RATE)[spectrum > 0.1 * spectrum.max()]
    return np.sort(at) / 1e6


print("pyarbtools", importlib.metadata.version("pyarbtools"))
for count in (1, 2, 3, 11):
    samples = wfmBuilder.multitone_generator(fs=RATE, spacing=10e6, num=count, phase="zero")
    asked = (np.arange(count) - (count - 1) / 2) * 10
    off = tones(samples) - asked
    print(f"{count} tones, 10 MHz apart, asked for from {asked[0]:g} to {asked[-1]:g} MHz: all {off[0]:g} MHz too high")
    assert np.allclose(off, 10 if count % 2 else 5), "the tones are right now"
    assert abs(np.abs(samples).max() - 0.707) < 1e-6
for count in (2, 3):
    peak = np.abs(wfmBuilder.multitone_generator(fs=RATE, spacing=10e6, num=count, phase="parabolic")).max()
    print(f"{count} tones with parabolic phases: largest magnitude {peak:.3g}")
    assert peak > 2
PY
echo "as stated"
