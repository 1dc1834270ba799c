"""Fits of complex fringes: honest errors, signs, and refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.calibration.fits.fringes import fringe, fringes


@pytest.mark.parametrize(("linear", "quadratic"), [(2e4, 0.0), (0.0, 6e8), (9e3, 3e8)])
def test_pulls_are_those_of_a_normal_distribution(linear, quadratic):
    """200 fits: the rms of pulls is 1 +- 0.05, and 0.8 to 1.2 is four of these away."""
    x = np.linspace(0, 60e-6, 41)
    true = fringe(x, 0.9, -1.2e5, 0.3, linear, quadratic)
    root = np.sqrt(linear**2 + 4 * quadratic)
    time = 2 / (linear + root)
    pulls = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        fit = fringes(x, true + 0.05 * (rng.normal(size=41) + 1j * rng.normal(size=41)), np.full(41, 0.05))
        assert fit.ok, f"seed {seed}: {fit.reason}"
        pulls.append(
            [
                (fit.values["frequency"] + 1.2e5) / fit.stderr["frequency"],
                (fit.values["time"] - time) / fit.stderr["time"],
            ]
        )
    rms = np.sqrt(np.mean(np.square(pulls), axis=0))
    assert np.all((rms > 0.8) & (rms < 1.2)), rms


@settings(max_examples=40, deadline=None)
@given(st.floats(-3e5, 3e5), st.floats(-3.0, 3.0), st.floats(1e4, 6e4))
def test_without_noise_everything_is_found(frequency, phase, linear):
    x = np.linspace(0, 60e-6, 41)
    fit = fringes(x, fringe(x, 0.7, frequency, phase, linear, 1e8))
    assert fit.ok, fit.reason
    assert abs(fit.values["frequency"] - frequency) < 1
    assert abs(fit.values["linear"] - linear) < 1e-3 * linear


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_refused(seed):
    rng = np.random.default_rng(seed)
    fit = fringes(np.linspace(0, 60e-6, 41), rng.normal(size=41) + 1j * rng.normal(size=41), np.ones(41))
    assert not fit.ok, f"seed {seed}: {fit}"


def test_a_window_too_short_and_bad_numbers_are_refused():
    x = np.linspace(0, 1e-6, 41)
    rng = np.random.default_rng(1)
    z = fringe(x, 0.9, 3e6, 0.0, 1e4, 0.0) + 0.05 * (rng.normal(size=41) + 1j * rng.normal(size=41))
    assert not fringes(x, z, np.full(41, 0.05)).ok
    z[3] = np.nan
    assert "not a number" in fringes(x, z).reason
