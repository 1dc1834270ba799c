#!/usr/bin/env bash
# Expected: `amplitude` of a Gaussian pulse is its peak.
# Seen (quam 0.6.0): GaussianPulse and DragGaussianPulse subtract the value at the edge by default and do not scale
#   back: the peak is 0.947 of the amplitude for sigma = length / 5 and 0.849 for length / 4, so changing sigma at
#   constant amplitude changes the peak. Only the in-phase part is subtracted: the quadrature of DRAG still begins
#   with a step. DragCosinePulse peaks at its amplitude.
# Matters: amplitudes taken from a QUAM state into another stack turn the qubit by 5 to 15 percent too far; which
#   stack lifts, lowers or leaves the foot has to be known for each.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "quam==0.6.0"
env/bin/python - <<'PY'
import importlib.metadata
import logging

import numpy as np
from quam.components.pulses import DragCosinePulse, DragGaussianPulse, GaussianPulse

logging.disable(logging.CRITICAL)
print("quam", importlib.metadata.version("quam"))
drag = dict(axis_angle=0.0, alpha=1.0, anharmonicity=-200e6, detuning=0)
for part, peak in ((5, 0.947), (4, 0.849)):
    gauss = np.asarray(GaussianPulse(length=40, amplitude=0.5, sigma=40 / part).waveform_function())
    both = np.asarray(DragGaussianPulse(length=40, amplitude=0.5, sigma=40 / part, **drag).waveform_function())
    print(f"sigma = length / {part}: peaks {gauss.max() / 0.5:.3f} and {both.real.max() / 0.5:.3f} of amplitude; "
          f"first sample of DRAG {both[0]:.4f}")
    assert abs(gauss.max() / 0.5 - peak) < 2e-3 and abs(both.real.max() / 0.5 - peak) < 2e-3
    assert both[0].real == 0 and abs(both[0].imag) > 1e-3
cosine = np.asarray(DragCosinePulse(length=40, amplitude=0.5, **drag).waveform_function())
print(f"cosine: peak {cosine.real.max() / 0.5:.3f} of amplitude")
assert cosine.real.max() / 0.5 > 0.998
PY
echo "as stated"
