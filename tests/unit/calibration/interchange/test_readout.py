import cmath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.interchange.readout import ours
from pulsed.model.errors import InvalidValueError

points = st.complex_numbers(min_magnitude=0.1, max_magnitude=1, allow_nan=False)


@given(points, points.filter(lambda z: abs(z) > 0.2), st.floats(-0.4, 0.4), st.floats(-0.9, 0.9))
def test_the_same_points_are_ones(ground, step, off, tilt):
    """Theirs: Re(z e^{i angle}) > threshold, demodulated with e^{-iwt}. Ours: nearer to the centroid of 1."""
    excited = ground + step
    axis = cmath.phase(step) + tilt
    turn = cmath.exp(-1j * axis)
    threshold = ((ground + excited) * turn).real / 2 + off * abs(step)
    clouds = ours(ground, excited, axis=axis, threshold=threshold)
    rng = np.random.default_rng(1)
    theirs = ground + step * 0.5 + rng.normal(size=200) + 1j * rng.normal(size=200)
    distance = (theirs * turn).real - threshold
    points_of_ours = theirs.conj()
    nearer = abs(points_of_ours - clouds.excited) < abs(points_of_ours - clouds.ground)
    clear = abs(distance) > 1e-9
    assert ((distance > 0) == nearer)[clear].all()
    assert clouds.shift == pytest.approx(off / np.cos(tilt), abs=1e-9)


def test_the_same_record_is_the_conjugate_in_our_plane():
    """A real record, demodulated with e^{-iwt} and with e^{+iwt}."""
    t, f = np.arange(400), 0.0375
    for phase in (0.3, 2.0):
        record = np.cos(2 * np.pi * f * t + phase)
        theirs = (record * np.exp(-2j * np.pi * f * t)).mean()
        mine = (record * np.exp(+2j * np.pi * f * t)).mean()
        assert mine == pytest.approx(theirs.conjugate())
        assert cmath.phase(theirs) == pytest.approx(phase if phase < np.pi else phase - 2 * np.pi)


@pytest.mark.parametrize("axis", [np.pi, 2.0, -2.0])
def test_an_axis_that_leads_elsewhere_is_refused(axis):
    with pytest.raises(InvalidValueError, match="does not lead"):
        ours(0j, 1 + 0j, axis=axis, threshold=0.5)


@given(st.floats(0.002, 0.4))
def test_the_width_is_that_of_the_error(error):
    clouds = ours(0j, 1 + 0j, error=error)
    rng = np.random.default_rng(2)
    wrong = float(np.mean(rng.normal(0, clouds.variance**0.5, 20_000) > 0.5))
    assert wrong == pytest.approx(error, abs=5 * (error / 20_000) ** 0.5 + 1e-4)


def test_one_point_is_no_pair():
    with pytest.raises(InvalidValueError, match="one point"):
        ours(1j, 1j)
