"""Figures say what they show in units that a person reads."""

import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure

from pulsed.calibration.fits import Fit, exponential, peak
from pulsed.calibration.results.data import sweep
from pulsed.calibration.results.run_plots import draw_fits, engineering, quantity
from pulsed.calibration.routine import MeasurementResponse, Outcome

SEED = 5


@pytest.mark.parametrize(
    ("values", "unit", "label", "shown"),
    [
        ([0, 6e-5], "s", "axis (µs)", [0, 60]),
        ([6e-8, 8e-7], "s", "axis (ns)", [60, 800]),
        ([4.96e9, 4.98e9], "Hz", "axis (GHz)", [4.96, 4.98]),
        ([4.97e9 + 100, 4.97e9 + 5100], "Hz", "axis − 4.97 GHz (kHz)", [0.1, 5.1]),
        ([-3e6, 3e6], "Hz", "axis (MHz)", [-3, 3]),
        ([1e-3, -2e-3], "full scale", "axis (10⁻³ full scale)", [1, -2]),
        ([0.1, 0.9], "full scale", "axis (full scale)", [0.1, 0.9]),
        ([16, 300], "dt", "axis (dt)", [16, 300]),
        ([1, 2], "", "axis", [1, 2]),
        ([0, 0], "s", "axis (s)", [0, 0]),
        ([np.nan, 1e-3], "s", "axis (ms)", [np.nan, 1]),
    ],
)
def test_axes_are_scaled_to_engineering_units(values, unit, label, shown):
    scale = engineering("axis", np.array(values, dtype=float), unit)
    assert scale.label == label
    assert np.allclose(scale(values), shown, rtol=1e-9, atol=1e-6, equal_nan=True)


def test_values_are_told_with_their_prefix():
    assert quantity(4970000081.0, 120.0, "Hz") == "4.97000008 ± 0.00000012 GHz"
    assert quantity(4.4e-5, 9.7e-7, "s") == "44.0 ± 1.0 µs"
    assert quantity(0.86012, 0.021, "full scale") == "0.8601 ± 0.021 full scale"


def dataset(x, unit, mean, known):
    rng = np.random.default_rng(SEED)
    shots = mean[:, None, None] * np.ones((1, 400, 1)) + 0.05 * (
        rng.standard_normal((x.size, 400, 1)) + 1j * rng.standard_normal((x.size, 400, 1))
    )
    data = sweep(
        {"wait": (x, unit)}, MeasurementResponse(shots.astype(np.complex64), None, None, None, np.zeros(x.size, bool))
    )
    return data.assign_attrs({"discriminator": [0.0, 0.0, 1.0, 0.0]} if known else {})


@pytest.mark.parametrize("known", [True, False])
def test_a_drawn_fit_has_its_axes_named_and_without_offsets(known):
    """The ticks are numbers to be read: no 1e-5 in a corner."""
    from pulsed.calibration.results.data import signal

    x = np.linspace(0, 3e-4, 21)
    data = dataset(x, "s", np.exp(-x / 9e-5) * (1.0 if known else 0.01), known)
    fit = exponential(x, *signal(data))
    figure = Figure()
    draw_fits("t1", data, Outcome("good", "", {}, {"T1": fit}), figure)
    figure.draw_without_rendering()
    top, bottom = figure.axes
    assert bottom.get_xlabel() == "wait (µs)"
    assert top.get_ylabel() == ("population of 1" if known else "signal (10⁻³ full scale)")
    assert top.get_xlim()[1] > 290
    for axes in figure.axes:
        assert not axes.xaxis.get_offset_text().get_text()
        assert not axes.yaxis.get_offset_text().get_text()


def test_what_is_no_signal_has_its_name_alone():
    x = np.linspace(4.9e9, 5.0e9, 41)
    rng = np.random.default_rng(SEED)
    y = 1 / (1 + ((x - 4.95e9) / 4e6) ** 2) + 0.01 * rng.standard_normal(41)
    data = dataset(x, "Hz", y, known=False).rename(wait="frequency")
    figure = Figure()
    draw_fits("peak", data, Outcome("good", "", {}, {"peak": peak(x, y, np.full(41, 0.01))}), figure)
    assert figure.axes[1].get_xlabel() == "frequency (GHz)"
    assert figure.axes[0].get_ylabel() == ""


def test_a_fit_of_complex_data_says_what_both_parts_are():
    x = np.linspace(0, 1, 5)
    fit = Fit("line", {}, {}, x=x, y=x * 3j, curve=x * 3j, sigma=x + 0.1).shown(x=("wait", "s"), y=("fringe", ""))
    figure = Figure()
    draw_fits("zz", xarray.Dataset(attrs={"target": "Q0-Q1"}), Outcome("good", "", {}, {"fringes": fit}), figure)
    assert figure.axes[0].get_ylabel() == "fringe"
    assert figure.axes[1].get_xlabel() == "wait (s)"
