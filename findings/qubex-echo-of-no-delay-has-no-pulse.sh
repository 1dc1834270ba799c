#!/usr/bin/env bash
# Expected: a CPMG or XY4 sequence whose delay is 0 is its pi pulses, one after the other: the limit of short delays.
# Seen (qubex-pulse 1.5.0rc4): at tau = 0 the sequence is empty. With one 32 ns pi pulse it lasts 36 ns at tau = 2 ns and
#   0 ns at tau = 0, with the area of the pulse at one and of nothing at the other; XY4 likewise.
# Matters: sweeps of echoes begin at 0. For an odd number of pulses the first point then stands at the other end of the
#   scale (the fit takes the decay from it), and for all numbers it is that of another experiment, without the errors
#   of the pulses that the others have. Begin at one sample, or put pi pulses together by hand.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "qubex-pulse==1.5.0rc4" "numpy==2.2.6"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
from qxpulse import CPMG, XY4, Drag

pi = Drag(duration=32, amplitude=0.5, beta=0.6)
one = pi.values.real.sum()
print("qubex-pulse", importlib.metadata.version("qubex-pulse"))
for tau in (200, 20, 2, 0):
    echo = CPMG(tau=tau, pi=pi, n=1)
    train = CPMG(tau=tau, pi=pi, n=8)
    xy4 = XY4(tau=tau, pi_x=pi, pi_y=pi.shifted(np.pi / 2), n=1)
    pulses = [np.abs(w.values).sum() / np.abs(pi.values).sum() for w in (echo, train, xy4)]
    print(f"tau {tau} ns: echo {echo.duration} ns, of 8 {train.duration} ns, XY4 {xy4.duration} ns; "
          f"pulses in them {[round(float(n), 6) for n in pulses]}")
    assert echo.duration == (2 * tau + 32 if tau else 0)
    assert np.allclose(pulses, (1, 8, 4) if tau else (0, 0, 0))
PY
echo "as stated"
