"""A stretched pulse has the area it should, on the grid, and keeps its flanks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

from pulsed.pulse import GaussianSquare, PulseError
from pulsed.pulse.library.stretched import stretched

fractions = st.floats(-4, 4).filter(lambda value: abs(value) > 1e-4)


@given(fractions, st.integers(0, 40), st.integers(4, 30), st.sampled_from([1, 4, 8, 16]), st.sampled_from([1, 64]))
@settings(deadline=None)
def test_area_grid_and_height(fraction, grains, sigma, granularity, least):
    pulse = GaussianSquare(4 * sigma + 8 * grains, 0.8, sigma=sigma, width=8 * grains, angle=0.4, name="cr")
    found = stretched(pulse, fraction, granularity, least)
    assert found.envelope().sum() == pytest.approx(fraction * pulse.envelope().sum(), rel=1e-9)
    assert found.duration % granularity == 0
    assert found.duration >= least
    assert found.duration - found.width == pulse.duration - pulse.width
    assert abs(found.amp) <= pulse.amp * (1 + 1e-12)
    assert math.copysign(1, found.amp) == math.copysign(1, fraction)
    assert (found.sigma, found.angle, found.name) == (pulse.sigma, pulse.angle, "cr")
    # no longer than it must be
    shorter = np.abs(GaussianSquare(max(found.duration - granularity, 4 * sigma), 0.8, sigma=sigma,
                                    width=max(found.width - granularity, 0)).envelope()).sum()  # fmt: skip
    needed = abs(fraction) * np.abs(pulse.envelope()).sum()
    assert found.duration - granularity < max(4 * sigma, least) or shorter < needed * (1 + 1e-9)


def test_a_pulse_stretched_by_one_is_itself():
    pulse = GaussianSquare(200, -0.3, sigma=10, width=160, angle=1.0)
    assert stretched(pulse, 1.0, 8, 16) == pulse


@pytest.mark.parametrize("fraction", [0, 0.0, math.nan, math.inf])
def test_fractions_that_are_none(fraction):
    with pytest.raises(PulseError, match="cannot be stretched by this"):
        stretched(GaussianSquare(200, 0.3, sigma=10, width=160), fraction)


def test_parameters_need_values():
    with pytest.raises(PulseError, match=r"without a value.*height"):
        stretched(GaussianSquare(200, Parameter("height"), sigma=10, width=160), 0.5)
