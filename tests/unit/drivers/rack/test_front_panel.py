"""What a person sets and reads of one instrument goes through its driver, within its limits and the lab's."""

import pytest

from pulsed.drivers.contract import BiasSettings, SourceSettings, after
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.front_panel import use_front_panel
from pulsed.model.errors import InstrumentLimitError, InvalidValueError, SafetyLimitError
from pulsed.model.instrument_roles import settings_of


@pytest.fixture
def connections(lab):
    found = Connections(lab.device)
    found.connect(after(1))
    yield found
    found.close()


def use(connections, name, settings=None, reading=""):
    return use_front_panel(connections, name, settings or {}, reading, after(1))


def test_each_instrument_has_its_settings(lab):
    assert settings_of(lab.device, "sgs1") == {
        "frequency": "oscillators.drive.frequency", "power": "oscillators.drive.power",
    }  # fmt: skip
    assert settings_of(lab.device, "gs1") == {"level": "ports.f0.bias"}
    assert settings_of(lab.device, "awg1") == {}


def test_what_is_set_reaches_the_driver_and_the_rest_is_as_described(connections, lab):
    found = use(connections, "sgs1", {"oscillators.drive.power": -10.0})
    assert connections.drivers["sgs1"].settings == SourceSettings(4.25e9, -10.0)
    assert lab.who("configure") == ["sgs1"]
    assert found["identity"] == "fake,sgs1,1,0"
    use(connections, "gs1", {"ports.f0.bias": -0.2e-3})
    assert connections.drivers["gs1"].settings == BiasSettings(-0.2e-3, 1e-3)


def test_reading_sets_nothing(connections, lab):
    assert use(connections, "awg1")["state"] == "idle"
    assert lab.who("configure") == []


def test_what_the_driver_refuses_is_not_set(connections, lab):
    lab.fails["sgs1", "validate"] = [InstrumentLimitError("the power is out of range", subject="instrument sgs1")]
    with pytest.raises(InstrumentLimitError):
        use(connections, "sgs1", {"oscillators.drive.power": 99.0})
    assert lab.who("configure") == []


def test_what_the_lab_forbids_is_not_set(lab):
    oscillators = {name: item.model_copy(update={"max_power": 14.0}) for name, item in lab.device.oscillators.items()}
    bounded = Connections(lab.device.model_copy(update={"oscillators": oscillators}))
    with pytest.raises(SafetyLimitError, match=r"oscillators.drive.power"):
        use(bounded, "sgs1", {"oscillators.drive.power": 15.0})
    assert lab.who("configure") == []
    use(bounded, "sgs1", {"oscillators.drive.power": 14.0})
    assert lab.who("configure") == ["sgs1"]
    bounded.close()


@pytest.mark.parametrize(
    ("name", "settings", "reading", "said"),
    [
        ("sgs9", {}, "", "no such instrument.*sgs1"),
        ("awg1", {"oscillators.drive.power": 1.0}, "", "cannot be set.*nothing of this instrument"),
        ("sgs1", {"ports.f0.bias": 1.0}, "", "cannot be set.*oscillators.drive.frequency, oscillators.drive.power"),
        ("sgs1", {}, "colour", "no such parameter"),
    ],
)
def test_what_there_is_not_is_named(connections, name, settings, reading, said):
    with pytest.raises(InvalidValueError, match=said):
        use(connections, name, settings, reading)
