"""What no value may come from, given to the analyses of routines as data of a sweep; and good data beside it."""

import numpy as np
import pytest
import xarray

from pulsed.calibration.routine import find_routine
from pulsed.model.calibration import CalibrationSet, Value

SEED = 11
CLOUD = 0.25
"""Width of the clouds of 0 and 1 against their distance."""


def sweep(axes, population, shots, rng, suffix="", **attributes):
    """Return what ``data.sweep`` makes of shots whose population of 1 is given, 0 at 0 and 1 at 1 in the plane."""
    p = np.asarray(population, dtype=float)
    mean = rng.binomial(shots, p) / shots + rng.normal(size=p.shape) * CLOUD / np.sqrt(shots)
    flat, wide = np.full(p.shape, CLOUD / np.sqrt(shots)), np.sqrt((p * (1 - p) + CLOUD**2) / shots)
    data = xarray.Dataset({}, {name: (name, values) for name, values in axes.items()})
    data.attrs = {"discriminator": [0.0, 0.0, 1.0, 0.0], **attributes}
    columns = {"i": mean, "q": 0 * p, "i_error": wide, "q_error": flat, "iq_covariance": 0 * p}
    for name, values in columns.items():
        data[name + suffix] = (tuple(axes), values)
    return data


def in_force(**values):
    return CalibrationSet("test", {f"Q0.{name.replace('__', '.')}": Value(v, "") for name, v in values.items()}, "")


# --- records and levels --------------------------------------------------------------------------------------------


def record(z):
    return xarray.Dataset({"i": ("time", z.real), "q": ("time", z.imag)}, {"time": np.arange(z.size) - 200.0})


def noise(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def test_a_record_with_a_pulse_gives_its_time_and_one_with_a_hole_none():
    routine, wrong = find_routine("time-of-flight")(), []
    for trial in range(200):
        rng = np.random.default_rng([SEED, 1, trial])
        late, size, rise = rng.integers(0, 150), 10 ** rng.uniform(-1.8, 0), rng.uniform(1, 60)
        behind = np.maximum(np.arange(600) - 200 - late, 0)
        leak = 0.05 * size * np.exp(2j * np.pi * (rng.uniform(0.03, 0.2) * np.arange(600) + rng.uniform()))
        z = size * (1 - np.exp(-behind / rise)) * np.exp(2j) + leak + 2e-3 * noise(rng, 600)
        outcome = routine.analyse(record(z))
        if not outcome.good or abs(outcome.values["delay"].value - late) > 4 + rise:
            wrong.append((trial, outcome.reason, outcome.values))
        z[rng.integers(600)] = np.nan
        assert "1 of 600 samples" in routine.analyse(record(z)).reason
    assert len(wrong) <= 1, f"seed {SEED}: {wrong}"


@pytest.mark.parametrize("period", [np.inf, 30, 60, 100, 250])
def test_a_tone_that_is_always_there_is_no_pulse(period):
    routine, taken = find_routine("time-of-flight")(), []
    for trial in range(50):
        rng = np.random.default_rng([SEED, 2, trial])
        z = 0.02 * np.exp(2j * np.pi * (np.arange(600) / period + rng.uniform())) + 1e-3 * noise(rng, 600)
        taken += [trial] if routine.analyse(record(z)).good else []
    assert not taken, f"seed {SEED}"


def test_levels_that_are_not_numbers_are_not_in_spec():
    places = {"setting": np.arange(8), "place": ["tone", "leakage", "image", "quiet"]}
    for hole in ((slice(None), slice(None)), (0, 1), (0, 2), (5, 3)):
        levels = np.tile([0.0, -70.0, -70.0, -90.0], (8, 1))
        levels[hole] = np.nan
        data = xarray.Dataset({"level": (("setting", "place"), levels)}, places, {"bound": -50.0})
        assert find_routine("mixer")().judge(data, in_force(), "d0") == ("bad data", "a level is not a number"), hole
