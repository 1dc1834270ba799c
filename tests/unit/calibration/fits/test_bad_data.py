"""Data that no value should be taken from: every fit says no, and why, in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.calibration import fits
from pulsed.calibration.fits import decays, oscillations, peaks, resonators
from pulsed.calibration.fits.fit import Data, Start, least_squares

SEED = 5
X = np.linspace(0.0, 1.0, 61)
REAL = {
    "exponential": fits.exponential,
    "cosine": fits.cosine,
    "damped cosine": fits.damped_cosine,
    "peak": fits.peak,
    "gaussian peak": lambda x, y, s: fits.peak(x, y, s, shape="gaussian", sloped=True),
    "parabola": fits.parabola,
    "benchmarking": lambda x, y, s: fits.rb_decay(1000 * x, y, s),
    "line": lambda x, y, s: fits.line(x, y, s, zero=True),
    "resonator": fits.resonator,
    "notch": lambda x, y, s: fits.resonator(x, y, s, kind="notch"),
}


def noisy(clean, sigma, *numbers):
    rng = np.random.default_rng([SEED, *numbers])
    noise = rng.normal(size=np.shape(clean)) * sigma
    if np.iscomplexobj(clean):
        noise = noise + 1j * rng.normal(size=np.shape(clean)) * sigma
    return clean + noise


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", REAL)
def test_noise_is_refused(kind, known):
    passed = []
    for trial in range(40):
        level = np.full(X.size, 0.3 + 0.1j) if kind in ("resonator", "notch") else np.full(X.size, 0.3)
        fit = REAL[kind](X, noisy(level, 0.05, trial), 0.05 if known else None)
        passed += [] if not fit.ok and fit.reason else [trial]
    assert not passed, f"seed {SEED}: {kind} takes noise for a signal in the trials {passed}"


@pytest.mark.parametrize("kind", REAL)
def test_flat_and_broken_data_are_refused(kind):
    fit_of = REAL[kind]
    assert "flat" in fit_of(X, np.full(X.size, 0.4), 0.01).reason
    signal = np.exp(-3 * X)
    signal[7] = np.nan
    assert "1 of 61 points are not a number" in fit_of(X, signal, 0.01).reason
    signal[7] = np.inf
    assert "not a number" in fit_of(X, signal, 0.01).reason
    assert "too few" in fit_of(X[:2], np.array([0.1, 0.2]), 0.01).reason
    assert "shape" in fit_of(X, np.zeros(5), 0.01).reason
    assert "standard error" in fit_of(X, np.exp(-3 * X), 0.0).reason
    for broken in (fit_of(X, signal, 0.01), fit_of(X[:2], np.array([0.1, 0.2]), 0.01)):
        assert not broken.ok
        assert broken.values == {}


@pytest.mark.parametrize("shape", ["lorentzian", "gaussian"])
def test_a_line_outside_the_window(shape):
    taken = []
    for trial in range(40):
        centre = np.random.default_rng([SEED, 6, trial]).uniform(0.03, 0.3)
        centre = -centre if trial % 2 else 1 + centre
        y = peaks.SHAPES[shape][0](X, 1.0, centre, 0.2, 0.0, 0.0)
        fit = fits.peak(X, noisy(y, 0.02, 6, trial), 0.02, shape=shape)
        taken += [(trial, centre)] if fit.ok else []
        assert fit.ok or fit.reason, f"seed {SEED}, trial {trial}"
    assert not taken, f"seed {SEED}: {taken}"
    flank = fits.peak(X, noisy(peaks.SHAPES[shape][0](X, 1.0, 1.05, 0.2, 0.0, 0.0), 0.02), 0.02, shape=shape)
    assert "outside" in flank.reason or "edge" in flank.reason, flank.reason


@pytest.mark.parametrize("through", [0.0, 0.3, 1.0])
def test_a_resonator_outside_the_window(through):
    """As a peak alone, as one on a background, and beside a feedline: what the tail looks like is no resonator."""
    kind, taken = ("notch", []) if through else ("transmission", [])
    for trial in range(40):
        rng = np.random.default_rng([SEED, 7, trial])
        centre = rng.uniform(0.1, 0.6) * rng.choice([-1, 1])
        centre = centre if centre < 0 else 1 + centre
        y = resonators.response(0.5, X, centre, 0.15, rng.uniform(0, 2), 0.4, 0.7, through, 0.0)
        fit = fits.resonator(X, noisy(y, 0.01, 7, trial), 0.01, kind=kind)
        taken += [(trial, centre, fit.values)] if fit.ok else []
    assert not taken, f"seed {SEED}: {taken}"


def test_an_amplitude_that_is_driven_to_zero_is_at_its_bound():
    """Of half-open bounds: the best amplitude is negative, the least that may be is 0."""
    y = noisy(np.full(X.size, -0.3), 0.02)
    start = {"height": Start(0.5, 0.0)}
    fit = least_squares(
        "level", Data(X, y, np.full(X.size, 0.02)), lambda x, h: h + 0 * x, lambda x, h: x[None] * 0 + 1, start
    )
    assert fit.reason == "height is at its bound, 0"
    fit = least_squares(
        "level", Data(X, -y, np.full(X.size, 0.02)), lambda x, h: h + 0 * x, lambda x, h: x[None] * 0 + 1, start
    )
    assert fit.ok


def test_two_resonances():
    refused = 0
    for trial in range(30):
        rng = np.random.default_rng([SEED, 3, trial])
        first = rng.uniform(0.15, 0.45)
        second = first + rng.uniform(0.2, 0.4)
        y = peaks.lorentzian(X, 1.0, first, 0.05, 0.0, 0.0) + peaks.lorentzian(X, 0.7, second, 0.06, 0.0, 0.0)
        fit = fits.peak(X, noisy(y, 0.04, 3, trial), 0.04)
        refused += not fit.ok
        assert fit.ok or "two resonances" in fit.reason, f"seed {SEED}, trial {trial}: {fit.reason}"
    assert refused == 30
    assert fits.peak(X, noisy(y, 0.04), 0.04, single=False).values["centre"] == pytest.approx(first, abs=0.01)


def test_one_resonance_is_not_taken_for_two():
    wrong = []
    for trial in range(100):
        rng = np.random.default_rng([SEED, 4, trial])
        y = peaks.lorentzian(X, rng.choice([-1, 1]), rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.2), 0.1, 0.0)
        fit = fits.peak(X, noisy(y, 0.06, 4, trial), 0.06)
        wrong += [] if fit.ok else [(trial, fit.reason)]
    assert len(wrong) <= 1, f"seed {SEED}: {wrong}"


def test_windows_that_are_too_short():
    y = noisy(decays.decaying(X, 1.0, 40.0, 0.0), 0.004)
    assert not fits.exponential(X, y, 0.004).ok
    y = noisy(oscillations.cosine_wave(X, 1.0, 0.2, 0.0, 0.0), 0.01)
    assert "half a period" in fits.cosine(X, y, 0.01, phase=0.0).reason
    y = noisy(peaks.parabola_curve(X, 3.0, 1.0, 0.0), 0.02)
    assert "outside" in fits.parabola(X, y, 0.02).reason
    assert fits.parabola(X, y, 0.02, inside=False).ok
    assert "maximum" in fits.parabola(X, -y, 0.02, inside=False, sign=1).reason


def test_a_wrong_model_is_refused():
    y = noisy(oscillations.cosine_wave(X, 0.5, 4.0, 0.0, 0.5), 0.02)
    assert not fits.exponential(X, y, 0.02).ok
    assert not fits.peak(X, y, 0.02).ok
    beats = oscillations.beating(1, X, 0.3, 9.0, 0.0, 0.25, 12.0, 0.0, 1.0, 0.5)
    assert "does not describe" in fits.damped_cosine(X, noisy(beats, 0.02), 0.02, beats=False).reason
    both = fits.damped_cosine(X, noisy(beats, 0.02), 0.02)
    assert both.ok
    assert sorted([both.values["frequency"], both.values["frequency2"]]) == pytest.approx([9.0, 12.0], abs=0.1)
    assert not fits.error_amplification(np.arange(20), noisy(np.full(20, 1.4), 0.02), 0.02).ok
    grows = noisy(0.5 + 0.4 * (1 - 0.996 ** (1000 * X)), 0.01)
    assert "grows" in fits.rb_decay(1000 * X, grows, 0.01).reason


def test_signs_and_shapes_that_are_asked_for():
    y = noisy(peaks.lorentzian(X, -1.0, 0.5, 0.1, 1.0, 0.0), 0.02)
    assert not fits.peak(X, y, 0.02, sign=1).ok
    assert fits.peak(X, y, 0.02, sign=-1).ok
    assert "legal: lorentzian, gaussian" in fits.peak(X, y, 0.02, shape="square").reason
    assert "legal" in fits.damped_cosine(X, y, 0.02, envelope="square").reason
    assert "legal" in fits.resonator(X, y, 0.02, kind="reflection").reason


def test_a_flat_line_is_good_data_for_error_amplification():
    fit = fits.error_amplification(np.arange(15), noisy(np.full(15, 0.5), 0.02), 0.02)
    assert fit.ok
    assert abs(fit.values["error"]) < 4 * fit.stderr["error"]
    assert fit.stderr["error"] < 3e-3


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), min_size=0, max_size=40),
    st.sampled_from(sorted(REAL)),
    st.sampled_from([None, 0.1]),
)
@settings(max_examples=200, deadline=None)
def test_no_data_raises_and_what_is_refused_says_why(values, kind, sigma):
    fit = REAL[kind](np.arange(len(values)), np.array(values, dtype=float), sigma)
    assert fit.ok == (fit.reason == "")
    if fit.ok:
        known = [error for name, error in fit.stderr.items() if name != "time"]
        assert all(np.isfinite([*fit.values.values(), *known]))


def test_clouds_that_coincide_are_refused():
    rng = np.random.default_rng(SEED)
    zero, one = (rng.normal(size=(2000, 2)) @ [1, 1j] for _ in range(2))
    assert "coincide" in fits.clouds([zero, one]).reason
    assert "coincide" in fits.clouds([zero, one + 5, one + 5]).reason
    assert "too few" in fits.clouds([zero[:5], one]).reason
    assert "not a number" in fits.clouds([zero * np.nan, one]).reason
    assert "equal" in fits.clouds([np.ones(100), one]).reason
    assert "two prepared states" in fits.clouds([zero]).reason
    assert fits.clouds([zero, one + 5]).ok


def test_points_between_two():
    assert fits.between(np.array([1j, 2 + 1j, 1 + 5j]), 1j, 2 + 1j) == pytest.approx([0, 1, 0.5])
