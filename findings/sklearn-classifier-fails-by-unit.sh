#!/usr/bin/env bash
# Expected: two well separated clouds are told apart in whatever unit they are given.
# Seen (scikit-learn 1.9.1): QuadraticDiscriminantAnalysis compares variances with `tol`, 1e-4 as they come: the clouds
#   of 0 and 1, ten standard deviations apart, are told apart without an error in mV, and in V they are
#   "not full rank. Increase the value of `reg_param` to reduce the collinearity". LinearDiscriminantAnalysis, whose
#   `tol` is also 1e-4 and is also called absolute, divides by the spread first and takes both.
# Matters: IQ points are fractions of a volt or of full scale, and Qiskit Experiments' MultiStateDiscrimination gives them
#   to this class as they are. Do not regularise: give it points of order 1.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "scikit-learn==1.9.1" "numpy==2.4.6" "scipy==1.17.1"
env/bin/python - <<'PY'
import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis

rng = np.random.default_rng(1)
volts = rng.normal(scale=0.3e-3, size=(2000, 2))
state = np.repeat([0, 1], 1000)
volts[state == 1] += 3e-3

print("scikit-learn", sklearn.__version__)
scores = {}
for kind in (QuadraticDiscriminantAnalysis, LinearDiscriminantAnalysis):
    for name, scale in (("V", 1.0), ("mV", 1e3)):
        try:
            scores[kind, name] = kind().fit(volts * scale, state).score(volts * scale, state)
        except np.linalg.LinAlgError as error:
            scores[kind, name] = str(error)
        print(f"{kind.__name__} in {name}: {scores[kind, name]}")
assert "not full rank" in scores[QuadraticDiscriminantAnalysis, "V"]
assert scores[QuadraticDiscriminantAnalysis, "mV"] == 1.0
assert scores[LinearDiscriminantAnalysis, "V"] == scores[LinearDiscriminantAnalysis, "mV"] == 1.0
PY
echo "as stated"
