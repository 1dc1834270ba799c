"""The names of calibrated values, their units and how many numbers they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import pulsed.configs
from pulsed.calibration.routine import all_routines
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.model.parameters import PARAMETERS, parameter_of

SIM5 = load_device(Path(pulsed.configs.__path__[0]) / "sim5.toml")
OURS = [routine for routine in all_routines() if routine.__module__.startswith("pulsed.")]
"""Without those that other tests register."""


@pytest.mark.parametrize("routine", OURS, ids=lambda routine: routine.name)
def test_what_a_routine_gives_can_be_set_and_imported(routine):
    assert not set(routine.gives) - PARAMETERS[routine.subject].keys()


@pytest.mark.parametrize(
    ("name", "unit", "counts"),
    [
        ("Q4.f01", "Hz", (1,)),
        ("Q1-Q0.ecr.angle", "rad", (1,)),
        ("ro.mixer.offset", "", (2,)),
        ("Q0.readout.discriminator", "full scale", (5, 8)),
    ],
)
def test_a_name_has_a_unit_and_a_number_of_numbers(name, unit, counts):
    assert parameter_of(name, SIM5) == (unit, counts)


@pytest.mark.parametrize(
    ("name", "value", "legal"),
    [("Q5.f01", "Q5", "Q4"), ("Q0-Q2.zz", "Q0-Q2", "Q0-Q1"), ("Q0.f10", "f10", "f01"), ("d0.f01", "f01", "mixer")],
)
def test_another_name_is_refused_with_the_legal_ones(name, value, legal):
    with pytest.raises(InvalidValueError) as caught:
        parameter_of(name, SIM5)
    assert caught.value.value == value
    assert legal in caught.value.legal
