#!/usr/bin/env bash
# Expected: the phase of a Quil-T waveform has one unit: the samples that pyquil shows of a pulse are those that quil,
#   the library of the same vendor that parses and schedules the same text, makes of it.
# Seen (pyquil 4.22.0, quil 0.18.0): detuning, DRAG and the shapes agree to rounding, the phase does not: 0.25 turns the
#   samples of pyquil by 0.25 radians and those of quil by 0.25 cycles. Neither template says which it takes.
# Matters: a pulse whose picture is about X plays about Y, and a boxcar kernel turns the plane of a readout by another
#   angle than the one that was looked at.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "pyquil==4.22.0" "quil==0.18.0" "numpy==2.2.6" "scipy==1.15.3"
env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
from pyquil.quiltwaveforms import BoxcarAveragerKernel, DragGaussianWaveform
from quil import waveforms

for name in ("pyquil", "quil"):
    print(name, importlib.metadata.version(name))
RATE, SHAPE = 1e9, {"duration": 40e-9, "fwhm": 20e-9, "t0": 20e-9, "anh": -200e6, "alpha": 1.0}


def both(phase, detuning):
    shown = DragGaussianWaveform(**SHAPE, phase=phase, detuning=detuning, scale=0.8).samples(RATE)
    made = waveforms.DragGaussian(**SHAPE, sample_rate=RATE, phase=phase, detuning=detuning, scale=0.8)
    return shown, np.array(made.into_iq_values())


shown, made = both(0.0, 5e6)
print(f"detuned by 5 MHz, phase 0: largest difference {np.abs(shown - made).max():.1e}")
assert np.abs(shown - made).max() < 1e-12
shown, made = both(0.25, 0.0)
angles = [float(np.angle(samples[20])) for samples in (shown, made)]
print(f"phase 0.25: the peak is turned by {angles[0]:.4f} rad in pyquil, by {angles[1]:.4f} rad in quil")
assert np.allclose(angles, [0.25, np.pi / 2], atol=1e-9)
kernel = BoxcarAveragerKernel(10e-9, phase=0.25).samples(RATE)[0]
made = waveforms.BoxcarKernel(phase=0.25, scale=1.0, sample_count=10).into_iq_value()
print(f"a boxcar kernel of phase 0.25: {np.angle(kernel):.4f} and {np.angle(made):.4f} rad")
assert np.allclose([np.angle(kernel), np.angle(made)], [0.25, np.pi / 2], atol=1e-9)
PY
echo "as stated"
