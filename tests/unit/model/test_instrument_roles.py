"""What a description uses its instruments as, and that drivers have a kind for each role."""

from pathlib import Path

import pytest

import pulsed.configs
from pulsed.drivers.kinds import DIGITIZERS, GENERATORS, KINDS, SOURCES, TRANSCEIVERS, kind_of
from pulsed.model.device import load_device
from pulsed.model.draft import Draft
from pulsed.model.instrument_roles import (
    AWG,
    BIAS_SOURCE,
    DIGITIZER,
    LOCAL_OSCILLATOR,
    ROLES,
    Use,
    inner_oscillators,
    players,
    settings_of,
)

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "coupler2.toml")


@pytest.mark.parametrize(
    ("role", "used"),
    [
        (LOCAL_OSCILLATOR, [("sgs1", "oscillators.drive"), ("sgs2", "oscillators.readout")]),
        (AWG, [("awg1", f"ports.{name}") for name in ("d0", "d1", "ro", "f0")]),
        (DIGITIZER, [("digitizer", "ports.in")]),
        (BIAS_SOURCE, [("gs1", "ports.f0.bias")]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_uses_name_instrument_key_and_owner(role, used):
    assert list(role.uses(DEVICE)) == [Use(name, f"{owner}.instrument", owner) for name, owner in used]


def test_what_cannot_be_read_is_no_use():
    ports = {"d0": Draft({"direction": "output", "bias": Draft({})}), "d1": Draft({"instrument": "awg1"})}
    for device in (Draft({"ports": ports, "oscillators": {"drive": Draft({"power": 1.0})}}), Draft({})):
        assert [use for role in ROLES for use in role.uses(device)] == []


def test_each_role_has_one_kind_of_driver():
    assert sorted(kind.role.name for kind in KINDS if kind.role) == sorted(role.name for role in ROLES)


def test_roles_that_go_together_in_one_box():
    assert kind_of({AWG, DIGITIZER}) == kind_of({AWG, DIGITIZER, LOCAL_OSCILLATOR}) == TRANSCEIVERS
    assert kind_of({AWG, LOCAL_OSCILLATOR}) == GENERATORS
    assert kind_of({DIGITIZER, LOCAL_OSCILLATOR}) == DIGITIZERS
    assert kind_of({LOCAL_OSCILLATOR}) == SOURCES


def test_an_oscillator_of_a_box_is_inside_of_it():
    oscillators = {"drive": DEVICE.oscillators["drive"].model_copy(update={"instrument": "awg1"})}
    device = DEVICE.model_copy(update={"oscillators": {**DEVICE.oscillators, **oscillators}})
    assert (inner_oscillators(DEVICE), inner_oscillators(device)) == ({}, {"drive": "awg1"})
    assert settings_of(device, "awg1") == {}, "set with what it plays, not by hand"
    assert players(device) == {"awg1": (AWG,), "digitizer": (DIGITIZER,)}
