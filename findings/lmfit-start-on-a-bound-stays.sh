#!/usr/bin/env bash
# Expected: a starting value on one of its bounds is as good as any other within them.
# Seen (lmfit 1.3.4): values with two bounds are varied through a sine, whose slope is zero on a bound: the step that
#   would leave it is measured as useless, and the fit stops where it began. Noise-free data of T1 = 30, offset
#   between 0 and 1 begun at 0, with the derivatives given: `success`, T1 = 20.002 (begun at 20). Begun at 1e-9: 30.
#   With numerical derivatives and T1 begun on its upper bound: `success`, 41.3 +- 70.6.
# Matters: offsets of 0, probabilities of 1 and `T1 = the whole window` are the natural guesses. Begin a little within,
#   and look at what is left of the data, not at `success`.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/python -m pip install --quiet --disable-pip-version-check "lmfit==1.3.4" "numpy==2.2.6" "scipy==1.15.3"
env/bin/python - <<'PY'
import lmfit
import numpy as np

t = np.linspace(0, 100, 101)
data = 0.9 * np.exp(-t / 30) + 0.03


def model(t, amplitude, time, offset):
    return amplitude * np.exp(-t / time) + offset


def residual(now):
    return model(t, **now.valuesdict()) - data


def slopes(now):
    shape = np.exp(-t / now["time"])
    return np.stack([shape, now["amplitude"] * shape * t / now["time"] ** 2, np.ones_like(t)])


print("lmfit", lmfit.__version__)
times = {}
for offset in (0.0, 1e-9):
    start = lmfit.Parameters()
    start.add("amplitude", 0.8)
    start.add("time", 20.0, min=1, max=1000)
    start.add("offset", offset, min=0, max=1)
    found = lmfit.Minimizer(residual, start).leastsq(Dfun=slopes, col_deriv=1)
    times[offset] = found.params["time"].value
    print(f"offset begun at {offset}: success {found.success}, T1 {times[offset]:.4f}, chi-square {found.chisqr:.2g}")
    assert found.success
assert abs(times[1e-9] - 30) < 1e-6 and abs(times[0.0] - 30) > 5

noisy = data + np.random.default_rng(3).normal(0, 0.01, t.size)
for begun in (100, 99):
    start = lmfit.Model(model).make_params(amplitude=dict(value=0.9, min=0, max=1),
                                           time=dict(value=begun, min=1, max=100), offset=dict(value=0.0, min=0, max=1))
    fit = lmfit.Model(model).fit(noisy, start, t=t)
    time = fit.params["time"]
    print(f"with noise, T1 begun at {begun} of 100: success {fit.success}, {time.value:.2f} +- {time.stderr:.2f}")
    assert fit.success and (abs(time.value - 30) > 5) == (begun == 100)
PY
echo "as stated"
