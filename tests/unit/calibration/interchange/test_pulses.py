import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.interchange.pulses import off_by, same_area, unlifted
from pulsed.pulse.library import Drag


@given(st.integers(8, 200), st.floats(0.12, 0.4), st.floats(-0.9, 0.9).filter(lambda a: abs(a) > 0.01))
def test_the_area_is_kept_with_its_sign(duration, relative, amplitude):
    sigma = relative * duration
    shape = unlifted(duration, sigma)
    found = same_area(amplitude, shape, duration, sigma, 0.3, 0.2)
    pulse = Drag(duration, found.amplitude, sigma=sigma, beta=0.3, angle=found.angle, limit_amplitude=False)
    turned = pulse.envelope() * np.exp(-0.2j)
    assert turned.real.sum() == pytest.approx(amplitude * shape.sum(), rel=1e-9)
    assert found.amplitude > 0
    assert -np.pi <= found.angle <= np.pi


@pytest.mark.parametrize(("relative", "unchanged"), [(0.2, 0.037), (0.25, 0.096)])
def test_the_same_numbers_would_be_another_pulse(relative, unchanged):
    """The figures of a pulse whose numbers are taken over as they are, and what is left with the same area."""
    duration, sigma = 40, relative * 40

    def foreign(length):
        x = (np.arange(length) + 0.5 - length / 2) / sigma
        return 0.5 * np.exp(-(x**2) / 2) * (1 - 0.4j * x / sigma)

    ours = same_area(0.5, unlifted(duration, sigma), duration, sigma, 0.4)
    assert off_by(ours._replace(amplitude=0.5), foreign) == pytest.approx(unchanged, abs=0.01)
    assert ours.amplitude * Drag(duration, 1.0, sigma=sigma, beta=0.0).envelope().real.sum() == pytest.approx(
        foreign(duration).real.sum()
    )
    area = Drag(duration, 0.5, sigma=sigma, beta=0.0).envelope().real.sum() / foreign(duration).real.sum()
    assert 1 - area > 0.03, "taken over as it is, it turns less far"
