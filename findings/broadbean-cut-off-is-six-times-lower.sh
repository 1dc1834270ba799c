#!/usr/bin/env bash
# Expected: `f_cut`, `the cutoff frequency of the filter (Hz)`, is where an RC filter has lost 3 dB.
# Seen (broadbean 0.14.0): 1 / f_cut is used as the time constant, so the corner lies at f_cut / (2 pi): a low pass of
#   1 MHz has lost 16.1 dB at 1 MHz and 3.0 dB at 159 kHz. `setChannelFilterCompensation` of a sequence uses the same
#   formula; its `tau` is right, because it becomes f_cut = 1 / tau.
# Matters: the flux pulse that is to make good for a bias tee of a measured corner frequency is corrected for
#   another one, six times lower: a high pass is under-corrected and the plateau still droops. Give tau, not f_cut.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "broadbean==0.14.0"
env/bin/python - <<'PY'
import importlib.metadata

import numpy as np
from broadbean.ripasso import applyInverseRCFilter, applyRCFilter

RATE, POINTS, CUTOFF = 1e9, 100_000, 1e6
t = np.arange(POINTS) / RATE


def gain(kind, frequency):
    wave = np.sin(2 * np.pi * frequency * t)  # whole periods, so that the filter's ring has no edge
    return 20 * np.log10(applyRCFilter(wave, RATE, kind, CUTOFF, 1).std() / wave.std())


print("broadbean", importlib.metadata.version("broadbean"))
for kind in ("LP", "HP"):
    at, below = gain(kind, 1e6), gain(kind, 160e3)
    print(f"{kind}, f_cut = 1 MHz: {at:.2f} dB at 1 MHz, {below:.2f} dB at 160 kHz")
    assert abs(below + 3.01) < 0.05 and abs(at + 3.01) > 2, "f_cut is the corner now"

# a bias tee with its corner at 20 kHz droops over a pulse of 5 us; the correction is asked for this very corner
corner = 20e3
pulse = np.zeros(POINTS)
pulse[20_000:25_000] = 1.0
spectrum = np.fft.fftfreq(POINTS, 1 / RATE) / corner
for name, f_cut in (("f_cut = 20 kHz", corner), ("1 / tau", 2 * np.pi * corner)):
    sent = applyInverseRCFilter(pulse, RATE, "HP", f_cut, 1)
    seen = np.fft.ifft(np.fft.fft(sent) * 1j * spectrum / (1 + 1j * spectrum)).real
    droop = seen[20_000] - seen[24_999]
    print(f"behind a bias tee of 20 kHz, corrected with {name}: droops by {droop:.3f}")
    assert (droop > 0.3) == (f_cut == corner)
PY
echo "as stated"
