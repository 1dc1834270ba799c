"""A calibration set is for the rack that it was made for, and says which that is."""

import tomllib
from copy import deepcopy
from pathlib import Path

import msgspec
import pytest

from pulsed.model.basis import basis_of, check_basis
from pulsed.model.calibration import design_sheet, from_json, load_calibration
from pulsed.model.device import AS_IT_IS, DeviceDescription, load_device
from pulsed.model.errors import ConfigError
from pulsed.provider.backend import PulsedBackend

CONFIGS = Path(__file__).parents[3] / "configs"
DATA = tomllib.loads((CONFIGS / "sim5.toml").read_text())
SHIPPED = load_calibration(CONFIGS / "calibrations" / "sim5.json")


def changed(*path, to):
    data = deepcopy(DATA)
    owner = data
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = to
    return DeviceDescription.model_validate(data, context=AS_IT_IS)


@pytest.mark.parametrize("name", ["sim5", "coupler2"])
def test_the_shipped_sets_say_what_they_were_made_for(name):
    calibration = load_calibration(CONFIGS / "calibrations" / f"{name}.json")
    assert calibration.made_for == basis_of(load_device(CONFIGS / f"{name}.toml"))


@pytest.mark.parametrize(
    ("path", "to", "words"),
    [
        (("dt",), "0.5 ns", "dt was 1 ns and is 1/2 ns"),
        (("ports", "d0", "pair"), 7, "ports.d0 was awg1 pair 1"),
        (("ports", "d0", "lo"), "readout", "LO readout"),
        (("ports", "d0", "delay"), 32, "delay 32"),
        (("ports", "in", "clock"), "2 GHz", "2000000000 Hz"),
        (("oscillators", "drive", "frequency"), "5.11 GHz", "oscillators.drive was 5100000000.0 Hz"),
        (("oscillators", "readout", "power"), 10.0, "10.0 dBm"),
        (("qubits", 0, "drive"), "d1", "qubits.0.drive was d0 and is d1"),
        (("couplings", 0), {"control": 1, "target": 0}, "couplings.0 was d0 for Q0-Q1 and is d1 for Q1-Q0"),
        (("couplings",), [], "and is not there"),
    ],
)
def test_another_rack_is_refused_and_what_changed_is_named(path, to, words):
    device = changed(*path, to=to)
    with pytest.raises(ConfigError) as caught:
        check_basis(SHIPPED, device)
    assert words in caught.value.message
    assert "--rack-changed" in caught.value.legal
    with pytest.raises(ConfigError, match="made for another rack"):
        PulsedBackend.from_export(device, SHIPPED)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("instruments", "awg1", "address"), "TCPIP::192.0.2.1::5025::SOCKET"),
        (("limits", "max_shots"), 10),
        (("description",), "another"),
        (("qubits", 0, "design_frequency"), "4.9 GHz"),
        (("timing", "min_length"), 32),
    ],
)
def test_what_no_value_depends_on_may_change(path, to):
    check_basis(SHIPPED, changed(*path, to=to))


def test_a_set_from_before_keeps_its_id_and_is_believed_until_it_was_taken_over():
    old = msgspec.structs.replace(SHIPPED, made_for=None)
    data = msgspec.json.decode(old.to_json())
    assert "made_for" in data
    del data["made_for"]  # as an older version wrote it
    read = from_json(msgspec.json.encode(data))
    assert (read.made_for, read.calibration_id) == (None, old.calibration_id)
    assert old.calibration_id == SHIPPED.calibration_id  # clients of older versions work it out without
    check_basis(read, changed("dt", to="0.5 ns"))
    with pytest.raises(ConfigError, match="dt was"):
        check_basis(read, changed("dt", to="0.5 ns"), adopted=basis_of(load_device(CONFIGS / "sim5.toml")))


def test_children_are_made_for_what_their_parent_was():
    sheet = design_sheet(load_device(CONFIGS / "sim5.toml"))
    assert sheet.made_for == sheet.with_values({}, "now").made_for == SHIPPED.made_for
    moved = changed("dt", to="0.5 ns")
    assert SHIPPED.adopted(moved, "now").made_for == basis_of(moved)
    assert SHIPPED.adopted(moved, "now").parent == SHIPPED.calibration_id
