"""The names of calibrated values, their units and how many numbers they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

import pulsed.configs
from pulsed.calibration.graph.references import reference
from pulsed.calibration.routine import all_routines
from pulsed.calibration.runner.transaction import refusal
from pulsed.cli.commands.cal_values import parse_numbers
from pulsed.cli.screens.calibration import set_screen
from pulsed.model.calibration import CalibrationSet, Value, from_json
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.model.parameters import PARAMETERS, CalibratedParameter, Dependents, Limit, parameter_of, row_of
from pulsed.provider.properties import Properties

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
    found = parameter_of(name, SIM5)
    assert (found.unit, found.counts) == (unit, counts)


@pytest.mark.parametrize(
    ("name", "value", "legal"),
    [("Q5.f01", "Q5", "Q4"), ("Q0-Q2.zz", "Q0-Q2", "Q0-Q1"), ("Q0.f10", "f10", "f01"), ("d0.f01", "f01", "mixer")],
)
def test_another_name_is_refused_with_the_legal_ones(name, value, legal):
    with pytest.raises(InvalidValueError) as caught:
        parameter_of(name, SIM5)
    assert caught.value.value == value
    assert legal in caught.value.legal


def test_a_new_row_is_all_that_a_new_value_needs(monkeypatch):
    """It is read, validated, referred to, stored, shown and a property, without a change anywhere else."""
    row = CalibratedParameter(
        "Hz", Limit(-5e6, 0, jump=1e5), Dependents(("ramsey",), 1e3), drift=True, qubit_property="dispersive_shift"
    )
    assert row_of("Q0.chi") is None
    monkeypatch.setitem(PARAMETERS["qubit"], "chi", row)
    assert parameter_of("Q0.chi", SIM5) == row_of("Q0.chi") == row
    assert row_of("Q0-Q1.chi") is row_of("d0.chi") is None, "of a qubit only"
    value = Value(parse_numbers("Q0.chi", "-1.5 MHz", row), "Hz", 1e3, "2026-11-21T10:00:00+00:00", "chi")
    calibration = CalibrationSet(SIM5.name, {"Q0.chi": value}, value.time)
    assert refusal("Q0.chi", value, calibration) == ""
    assert "outside" in refusal("Q0.chi", Value(1e6, "Hz"), calibration)
    assert "too far" in refusal("Q0.chi", Value(-2e6, "Hz"), calibration)
    assert reference("Q0.chi", SIM5).rows == ("ramsey",)
    assert from_json(calibration.to_json()) == calibration
    console = Console(width=140)
    with console.capture() as capture:
        console.print(set_screen(calibration, in_force=True))
    assert "-1.5" in capture.get()
    assert "MHz" in capture.get()
    found = Properties(SIM5, calibration, {}).qubit_property(0, "dispersive_shift")
    assert (found.value, found.unit, found.stderr) == (-1.5e6, "Hz", 1e3)
