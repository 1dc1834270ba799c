#!/usr/bin/env bash
# Expected: with complex data, lmfit applies the real part of complex weights to the real residual and the imaginary
#   part to the imaginary one (its documentation says so), so weights of 1/sigma_I + 1j/sigma_Q make chi-square right.
# Seen (lmfit 1.3.4): data and weights are multiplied as complex numbers. The real residual takes up the imaginary
#   noise: reduced chi-square is far from 1 and the standard errors are wrong, and nothing is said. The test for complex
#   data compares a numpy dtype with `is complex`, which is never true.
# Matters: readout resonators and IQ clouds are fitted as complex numbers; I and Q rarely have the same noise.
#   Stack real and imaginary parts yourself and weight those.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "lmfit==1.3.4" "numpy==2.2.6" "scipy==1.15.3"
env/bin/python - <<'PY'
import lmfit
import numpy as np

rng = np.random.default_rng(5)
f = np.linspace(-5, 5, 2001)
sigma_i, sigma_q = 0.01, 0.04


def resonance(f, f0, kappa):
    return 1 / (1 + 2j * (f - f0) / kappa)


data = resonance(f, 0.3, 1.2) + rng.normal(0, sigma_i, f.size) + 1j * rng.normal(0, sigma_q, f.size)
weights = np.full(f.size, 1 / sigma_i + 1j / sigma_q)
fit = lmfit.Model(resonance).fit(data, f=f, f0=0.0, kappa=1.0, weights=weights, scale_covar=False)
stacked = lmfit.Model(lambda f, f0, kappa: np.concatenate([(z := resonance(f, f0, kappa)).real, z.imag]))
both = np.concatenate([data.real, data.imag])
right = stacked.fit(
    both, f=f, f0=0.0, kappa=1.0, scale_covar=False, weights=np.repeat([1 / sigma_i, 1 / sigma_q], f.size)
)
print(f"lmfit {lmfit.__version__}")
print(f"complex weights: reduced chi-square {fit.redchi:.2f}, kappa {fit.params['kappa'].value:.5f} "
      f"+- {fit.params['kappa'].stderr:.5f}")
print(f"parts stacked:   reduced chi-square {right.redchi:.2f}, kappa {right.params['kappa'].value:.5f} "
      f"+- {right.params['kappa'].stderr:.5f}")
assert abs(right.redchi - 1) < 0.15, "the reference itself is off"
assert fit.redchi > 5, "lmfit weights the parts separately now"
PY
echo "as stated"
