#!/usr/bin/env bash
# Expected: a fit whose data hold a NaN fails, or says that it found nothing.
# Seen (lmfit 1.3.4): with `nan_policy='propagate'` the fit ends with `success` True after its first evaluations,
#   `best_values` equal to the starting values to the last bit and standard errors that are NaN; only the text of
#   `message` hints at it. (`raise`, the default, raises; `omit` drops the point: `best_fit` is shorter than the data.)
# Matters: a routine that looks at `success` alone commits its own guess as a calibrated value after one lost shot.
#   Look at the standard errors, or at whether anything moved.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "lmfit==1.3.4" "numpy==2.2.6" "scipy==1.15.3"
env/bin/python - <<'PY'
import lmfit
import numpy as np

x = np.linspace(0, 10, 101)
y = 0.9 * np.exp(-x / 3) + np.random.default_rng(1).normal(0, 0.01, x.size)
y[3] = np.nan
model = lmfit.Model(lambda x, a, tau: a * np.exp(-x / tau), nan_policy="propagate")
fit = model.fit(y, x=x, a=1.0, tau=2.0)
print(f"lmfit {lmfit.__version__}: success {fit.success}, {fit.best_values}, tau's error {fit.params['tau'].stderr}")
assert fit.success and fit.best_values == {"a": 1.0, "tau": 2.0} and np.isnan(fit.params["tau"].stderr)
PY
echo "as stated"
