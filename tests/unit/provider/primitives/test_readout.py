"""Readout errors undone."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.calibration import CalibrationSet
from pulsed.provider.errors import OptionValueError
from pulsed.provider.primitives.readout import AssignmentMatrix, assignments

ERRORS = st.floats(0.0, 0.45)
VALUES = st.tuples(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0))


@given(ERRORS, ERRORS, VALUES)
def test_on_average_it_is_the_value_of_the_state(p01: float, p10: float, values: tuple[float, float]) -> None:
    zero, one = AssignmentMatrix(p01, p10).undone(values)
    assert (1 - p10) * zero + p10 * one == pytest.approx(values[0], abs=1e-9)
    assert p01 * zero + (1 - p01) * one == pytest.approx(values[1], abs=1e-9)


@given(ERRORS, ERRORS, VALUES)
def test_slopes_are_derivatives(p01: float, p10: float, values: tuple[float, float]) -> None:
    step = 1e-6
    slopes = AssignmentMatrix(p01, p10).slopes(values)
    for which, moved in enumerate((AssignmentMatrix(p01 + step, p10), AssignmentMatrix(p01, p10 + step))):
        back = AssignmentMatrix(p01 - step * (which == 0), p10 - step * (which == 1))
        numeric = (np.array(moved.undone(values)) - back.undone(values)) / (2 * step)
        np.testing.assert_allclose(slopes[which], numeric, rtol=1e-5, atol=1e-6)


def test_they_come_from_the_calibration_set(calibration: CalibrationSet) -> None:
    assert assignments(calibration, [1, 3]) == {q: AssignmentMatrix(0.015, 0.005) for q in (1, 3)}
    uncertain = msgspec.structs.replace(calibration.values["Q2.readout.p01"], stderr=0.003)
    changed = CalibrationSet(calibration.device, {**calibration.values, "Q2.readout.p01": uncertain}, "")
    assert assignments(changed, [2])[2] == AssignmentMatrix(0.015, 0.005, 0.003, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Q1.readout.p10": None}, "not measured; got Q1.readout.p10; legal: a calibration set with"),
        (
            {"Q1.readout.p10": 0.5, "Q1.readout.p01": 0.49},
            "hardly tells 0 from 1.*p01 . p10 = 0.99; legal: at most 0.95",
        ),
    ],
)
def test_a_readout_that_cannot_be_undone_is_refused(calibration: CalibrationSet, change: dict, message: str) -> None:
    values = dict(calibration.values)
    for name, number in change.items():
        old = values.pop(name)
        if number is not None:
            values[name] = msgspec.structs.replace(old, value=number)
    with pytest.raises(OptionValueError, match=message):
        assignments(CalibrationSet(calibration.device, values, calibration.created), [0, 1])
