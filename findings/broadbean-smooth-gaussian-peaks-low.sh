#!/usr/bin/env bash
# Expected: `gaussian_smooth_cutoff(ampl, sigma, ...)` begins at zero and is scaled back to its height: `peak height
#   ampl`, the documentation says.
# Seen (broadbean 0.14.0): the scale is inverted before it is divided by, so the loss of the subtracted foot is taken
#   twice instead of made good: 0.5 peaks at 0.374 for sigma = duration / 4 and at 0.457 for duration / 5, where a
#   bare subtraction would give 0.432 and 0.478. `gaussian` peaks at 0.5.
# Matters: an amplitude taken from another stack, or from `gaussian`, turns the qubit by a quarter too little, and a
#   change of sigma at constant amplitude changes the peak by as much.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "broadbean==0.14.0"
env/bin/python - <<'PY'
import importlib.metadata

import broadbean
import numpy as np

DURATION, RATE, AMPLITUDE = 40e-9, 10e9, 0.5


def peak(shape, sigma):
    blueprint = broadbean.BluePrint()
    blueprint.insertSegment(0, shape, (AMPLITUDE, sigma, 0, 0), name="pulse", dur=DURATION)
    blueprint.setSR(RATE)
    element = broadbean.Element()
    element.addBluePrint(1, blueprint)
    return element.getArrays()[1]["wfm"].max()


print("broadbean", importlib.metadata.version("broadbean"))
for parts in (4, 5):
    plain = peak(broadbean.PulseAtoms.gaussian, DURATION / parts)
    smooth = peak(broadbean.PulseAtoms.gaussian_smooth_cutoff, DURATION / parts)
    left = 1 - np.exp(-(parts**2) / 8)
    print(f"sigma = duration / {parts}: gaussian peaks at {plain:.4f}, smooth cutoff at {smooth:.4f}; "
          f"foot subtracted without scaling: {AMPLITUDE * left:.4f}")
    assert abs(plain - AMPLITUDE) < 1e-9
    assert abs(smooth - AMPLITUDE * left**2) < 1e-9, "the peak is another one now"
PY
echo "as stated"
