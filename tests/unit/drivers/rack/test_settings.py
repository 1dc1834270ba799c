"""What is fixed while a chunk plays, and a kind of instrument that pulsed knows nothing of."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pytest

from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import (
    BiasSettings,
    Configurable,
    Instrument,
    OutputSettings,
    SourceSettings,
    Validating,
    after,
)
from pulsed.drivers.kinds import InstrumentKind, InstrumentSettings, SettingRange
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.rack import Rack
from pulsed.drivers.rack.settings import configuration, fixed_settings
from pulsed.drivers.rack.validation import load_rack
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import ConfigError, InstrumentLimitError, InstrumentOverheatedError
from pulsed.testing.chunks import make_chunk


@pytest.fixture
def connections(lab):
    connections = Connections(lab.device)
    yield connections
    connections.close()


def settings_by_name(connections, **changes):
    chunk = make_chunk(connections.device, **changes)
    return {driver.name: settings for driver, settings in fixed_settings(connections, chunk)}


def test_what_a_chunk_does_not_set_is_as_described(connections):
    assert settings_by_name(connections) == {
        "sgs1": SourceSettings(4.25e9, 13.0), "sgs2": SourceSettings(7.05e9, 13.0), "gs1": BiasSettings(0.4e-3, 1e-3),
    }  # fmt: skip


def test_what_a_chunk_sets_stands_before_the_description(connections):
    found = settings_by_name(connections, los={"drive": (4.3e9, 10.0)}, biases={"f0": -0.1e-3})
    assert found == {
        "sgs1": SourceSettings(4.3e9, 10.0), "sgs2": SourceSettings(7.05e9, 13.0), "gs1": BiasSettings(-0.1e-3, 1e-3),
    }  # fmt: skip


def test_each_instrument_with_settings_has_one_task(connections, lab):
    correction = PortSettings(offset=(0.01, 0.0))
    chunk = make_chunk(lab.device, ports={"d1": correction})
    programs = partition_chunk(chunk, lab.device)
    tasks = configuration(connections, fixed_settings(connections, chunk), programs, after(1))
    assert set(tasks) == {"sgs1", "sgs2", "gs1", "awg1"}
    assert lab.who("configure") == []
    connections.gather(tasks)
    assert sorted(lab.who("configure")) == ["awg1", "gs1", "sgs1", "sgs2"]
    assert connections.drivers["gs1"].settings == BiasSettings(0.4e-3, 1e-3)
    pairs = connections.drivers["awg1"].settings
    assert isinstance(pairs, OutputSettings)
    assert (pairs.pairs[1], pairs.pairs[2]) == (PortSettings(), correction)


# --- a kind of instrument that a package brings with its driver ------------------------------------------------------


@dataclass(frozen=True)
class SwitchSettings:
    position: int


@runtime_checkable
class Switch(Instrument, Configurable[SwitchSettings], Validating[SwitchSettings], Protocol):
    """Connects one of six lines."""


def switch_settings(device, given):
    for name, item in device.instruments.items():
        if "position" in item.options:
            key = f"instruments.{name}.options"
            yield InstrumentSettings(name, SwitchSettings(item.options["position"]), key, f"instruments.{name}.driver")


def switch_ranges(settings, can):
    yield SettingRange("position", settings.position, 1, 6, "")


@pytest.fixture
def switched(lab):
    """A rack with two switches, and the options of the second."""
    source = lab.classes["sgs100a"]

    class SwitchDriver(source):
        kind = InstrumentKind("a switch", Switch, settings=switch_settings, ranges=switch_ranges)
        option_names = ("position",)

        def validate(self, settings):
            super().validate(settings)
            if settings.position == 4:
                raise InstrumentLimitError("is sealed", subject=f"instrument {self.name}", value=4, legal="1 to 3")

    lab.classes["switch"] = SwitchDriver

    def make(**options):
        address = "TCPIP::127.0.0.1::{}::SOCKET"
        switches = {
            "sw1": InstrumentDescription(driver="switch", address=address.format(1), options={"position": 2}),
            "sw2": InstrumentDescription(driver="switch", address=address.format(2), options=options),
        }
        analyser = lab.device.instruments["sa"].model_copy(update={"options": {"position": 1}})  # is no switch
        instruments = {**switches, **lab.device.instruments, "sa": analyser}
        lab.device = lab.device.model_copy(update={"instruments": instruments})
        return lab.device

    return make


def test_a_kind_of_its_own_is_connected_checked_configured_asked_and_made_safe(switched, lab):
    rack = Rack(switched(position=5))
    rack.connect(after(1))
    assert rack.identities["sw2"] == "fake,sw2,1,0"
    rack.play(make_chunk(lab.device))
    hot = InstrumentOverheatedError("is too hot", subject="instrument sw1")
    lab.fails["sw1", "status"] = [hot]
    assert rack.health_check(after(1)) == {"sw1": hot}
    rack.safe_state()
    rack.close()
    for name, position in (("sw1", 2), ("sw2", 5)):
        assert rack.drivers[name].settings == rack.drivers[name].validated == SwitchSettings(position)
        mine = [method for who, method in lab.log if who == name]
        # Checked when the rack is made and before each chunk, asked when the chunk has been played and once more.
        assert mine == ["validate", "connect", "validate", "configure", "status", "status", "safe_state", "close"]


def test_a_failure_of_its_own_ends_the_chunk_and_makes_the_rack_safe(switched, lab):
    rack = Rack(switched(position=5))
    lab.fails["sw2", "configure"] = [InstrumentOverheatedError("is too hot", subject="instrument sw2")]
    with pytest.raises(InstrumentOverheatedError, match="sw2"):
        rack.play(make_chunk(lab.device))
    assert lab.who("start") == []
    assert {"sw1", "sw2", "awg1", "gs1"} <= set(lab.who("safe_state"))
    rack.close()


@pytest.mark.parametrize(
    ("options", "subject", "value", "legal"),
    [
        ({"position": 7}, "instruments.sw2.options.position", "7", "1 to 6"),
        ({"position": 4}, "instruments.sw2.options", "4", "1 to 3"),
        ({"position": 3, "colour": "red"}, "instruments.sw2.options.colour", "colour", "position"),
    ],
)
def test_what_it_cannot_do_is_named_by_its_key(switched, options, subject, value, legal):
    (problem,) = load_rack(switched(**options)).problems
    assert (problem.subject, problem.value, problem.legal) == (subject, value, legal)


def test_a_driver_without_the_methods_of_its_own_kind_is_refused(switched, lab):
    lab.classes["switch"].kind = InstrumentKind("a relay", lab.classes["awg"])
    with pytest.raises(ConfigError, match="cannot do what its kind asks of it") as caught:
        Rack(switched(position=1))
    assert (caught.value.subject, caught.value.legal) == ("instruments.sw1.driver", "the driver of a relay")
