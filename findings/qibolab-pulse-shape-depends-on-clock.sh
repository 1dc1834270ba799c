#!/usr/bin/env bash
# Expected: a pulse with its duration in nanoseconds has one shape in time, whatever the sampling rate it is played at.
# Seen (qibolab 0.2.17): `beta` of Drag, and `risefall` and `sigma` of GaussianSquare, count samples. The same pulse
#   sampled at 2 GS/s has half the quadrature component and flanks of half the length as at 1 GS/s, while `rel_sigma`
#   scales with the duration. And a duration that is no whole number of samples is cut down without a word (40.9 ns
#   plays 40 samples at 1 GS/s) while `duration` goes on saying 40.9.
# Matters: a calibration taken over to an instrument with another clock loses its DRAG correction; an importer has to
#   know the clock at which `beta` was found.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qibolab==0.2.17"
env/bin/python - <<'PY'
import numpy as np
import qibolab
from qibolab import Drag, GaussianSquare, Pulse, Rectangular

drag = Pulse(duration=40, amplitude=0.5, envelope=Drag(rel_sigma=0.2, beta=2.0))
i1, i2 = drag.i(1.0), drag.i(2.0)
ratio = np.abs(drag.q(1.0)).max() / np.abs(drag.q(2.0)).max()
square = Pulse(duration=40, amplitude=0.5, envelope=GaussianSquare(risefall=10, sigma=5.0))
flat = [float(np.sum(np.isclose(square.i(rate), 0.5))) / rate for rate in (1.0, 2.0)]
odd = Pulse(duration=40.9, amplitude=0.5, envelope=Rectangular())
print(f"qibolab {qibolab.__version__}")
print(f"in-phase peak at 1 and 2 GS/s: {i1.max():.3f}, {i2.max():.3f}; quadrature peak, 1 over 2 GS/s: {ratio:.2f}")
print(f"flat part of the square pulse, ns: {flat[0]:.1f} at 1 GS/s, {flat[1]:.1f} at 2 GS/s")
print(f"duration {odd.duration} ns at 1 GS/s: {len(odd.i(1.0))} samples")
assert abs(i1.max() - i2.max()) < 0.01 and 1.9 < ratio < 2.1
assert flat[1] > flat[0] + 5
assert len(odd.i(1.0)) == 40 and odd.duration == 40.9
PY
echo "as stated"
