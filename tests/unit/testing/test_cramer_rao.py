"""The bound that a bring-up's standard errors are judged by is that of the best estimate from single shots."""

import numpy as np
import pytest
import xarray
from scipy.optimize import minimize

from pulsed.calibration.results.data import save
from pulsed.testing.cramer_rao import _information, least_stderr

SEED = 11
QUBIT = {"t1": 80e-6, "t2_echo": 90e-6, "t2_star": 35e-6, "thermal": 0.015}
APART = 3.0
"""Standard deviations between the clouds."""


def run_file(tmp_path, shots=400):
    """Write the file of a T1 run; only axes, errors and discriminator count."""
    waits = np.linspace(0, 300e-6, 31)
    data = xarray.Dataset(coords={"wait": waits})
    data["i"], data["q"] = ("wait", np.exp(-waits / 80e-6)), ("wait", np.zeros(31))
    noise = np.full(31, 1 / APART / np.sqrt(shots))
    data["i_error"], data["q_error"], data["iq_covariance"] = ("wait", noise), ("wait", noise), ("wait", 0 * noise)
    data = data.assign_attrs(shots=shots, discriminator=[0.0, 0.0, 1.0, 0.0])
    return save(data, tmp_path / "run.nc"), waits


def test_information_of_clear_shots_is_that_of_a_coin():
    p = np.array([0.02, 0.3, 0.5, 0.97])
    np.testing.assert_allclose(_information(p, 12.0), 1 / (p * (1 - p)), rtol=1e-6)
    assert np.all(_information(p, 3.0) < 1 / (p * (1 - p)))
    # The mean along the line between the clouds is one estimate: its variance is p(1-p) and the noise's.
    assert np.all(_information(p, 3.0) > 1 / (p * (1 - p) + 1 / 3.0**2))


def test_maximum_likelihood_of_single_shots_reaches_the_bound(tmp_path):
    path, waits = run_file(tmp_path)
    bound = least_stderr(path, "t1", QUBIT)
    found = []
    for trial in range(60):
        rng = np.random.default_rng([SEED, trial])
        excited = rng.random((400, 31)) < 0.015 + 0.97 * np.exp(-waits / 80e-6)
        x = excited * APART + rng.normal(size=excited.shape)
        ratio = np.exp(APART * x - APART**2 / 2)

        def cost(at, ratio=ratio):
            p = at[2] + at[1] * np.exp(-waits / (at[0] * 1e-6))
            return -np.sum(np.log1p(np.clip(p, 1e-9, 1) * (ratio - 1)))

        found.append(minimize(cost, [80.0, 0.97, 0.015], method="Nelder-Mead", options={"xatol": 1e-3}).x[0] * 1e-6)
    assert np.mean(found) == pytest.approx(80e-6, abs=4 * bound / 60**0.5), f"seed {SEED}"
    # The spread of 60 trials is known to 9 %.
    assert np.std(found) == pytest.approx(bound, rel=0.3), f"seed {SEED}"
