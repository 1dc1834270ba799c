#!/usr/bin/env bash
# Expected: the `alpha` of a chirp does what its description says: at 1 the window is rectangular, at 0 it is a Hann
#   window, so that the default, 0.05, is nearly one.
# Seen (iqm-pulse 15.0.0): it is the other way: 0 is rectangular and 1 a Hann window, and the default is nearly
#   rectangular: it reaches half of its height after 5 of 400 samples, the described window after about 100.
# Matters: the edges of a chirp say how much of it falls beside the band that it sweeps. The default plays nearly twice
#   the area of the window described, and with a sweep from 0.05 to 0.15 of the clock leaves 5e-4 of its power more than
#   0.05 beside the band, where a Hann window leaves 2e-9: neighbours in frequency are driven.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "iqm-pulse==15.0.0"
OMP_NUM_THREADS=1 env/bin/python -W ignore - <<'PY'
import importlib.metadata

import numpy as np
from iqm.pulse.playlist.waveforms import Chirp, ChirpImag

N = 400


def window(**alpha):
    """A chirp that stands at frequency 0 is its window."""
    return Chirp(n_samples=N, freq_start=0, freq_stop=0, **alpha).sample()


def beside(**alpha):
    """Share of the power outside of the band swept, 0.05 to 0.15 of the clock, and 0.05 on either side of it."""
    sweep = dict(n_samples=N, freq_start=0.05, freq_stop=0.15, **alpha)
    power = np.abs(np.fft.fft(Chirp(**sweep).sample() + 1j * ChirpImag(**sweep).sample(), 16 * N)) ** 2
    frequency = np.fft.fftfreq(16 * N)
    return power[(frequency < 0) | (frequency > 0.2)].sum() / power.sum()


hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N) / (N - 1))
said = [" ".join(line.split()) for line in Chirp.__doc__.splitlines() if "alpha" in line and "=" in line]
print("iqm-pulse", importlib.metadata.version("iqm-pulse"))
print("described:", *said, sep="\n  ")
for name, alpha in (("alpha 0", dict(alpha=0.0)), ("alpha 1", dict(alpha=1.0)), ("default", {})):
    w = window(**alpha)
    half = int(np.argmax(w >= 0.5))
    print(f"{name}: half of the height at sample {half} of {N}, area {w.sum() / N:.3f}, beside the band {beside(**alpha):.1e}")
assert any(r"\alpha = 1" in line and "rectangular" in line for line in said)
assert np.allclose(window(alpha=0.0), 1) and np.allclose(window(alpha=1.0), hann)
assert np.argmax(window() >= 0.5) < 8 and window().sum() > 1.9 * hann.sum()
assert beside() > 1e-4 and beside(alpha=1.0) < 1e-8
PY
echo "as stated"
