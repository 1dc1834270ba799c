"""The rack takes its cables from the device description, and says what cannot be wired."""

from __future__ import annotations

from pathlib import Path

import pytest

import pulsed
from pulsed.model.device import AS_IT_IS, DeviceDescription, load_device
from pulsed.model.errors import ConfigError
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.rack import build_instruments, choose_ports, connect_cables

CONFIGS = Path(pulsed.__file__).parent / "configs"


def wire(bench, change=lambda data: None):
    """Build the rack of sim5 after ``change`` of its description."""
    bench.conductor.followers = {}
    data = load_device(CONFIGS / "sim5.toml").model_dump()
    change(data)
    device = DeviceDescription.model_validate(data, context=AS_IT_IS)
    instruments = build_instruments(device, bench.conductor)
    connect_cables(device, load_chip(CONFIGS / "chips" / "sim5.toml"), instruments, bench.conductor)
    return instruments


def test_the_default_rack(bench):
    instruments = wire(bench)
    cables = {(o.line, o.pair): (o.awg, o.lo) for o in bench.conductor.outputs}
    assert cables["d2", 3] == (instruments["awg1"], instruments["sgs1"])
    assert cables["ro", 2] == (instruments["awg2"], instruments["sgs2"])
    assert len(cables) == 6
    assert bench.conductor.followers == {instruments["awg1"]: (instruments["awg2"], instruments["digitizer"])}


def _set(*path):
    *keys, last, value = path

    def change(data):
        for key in keys:
            data = data[key]
        data[last] = value

    return change


def _second_digitizer(data):
    data["instruments"]["digitizer2"] = {**data["instruments"]["digitizer"], "address": ""}
    data["ports"]["in2"] = {**data["ports"]["in"], "instrument": "digitizer2"}


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (_set("instruments", "awg1", "driver", "hdawg"), "instruments.awg1.driver"),
        (_set("ports", "d0", "clock", 500_000_000), "ports.d0.clock"),
        (_set("ports", "d0", "pair", 5), "ports.d0.pair"),
        (_set("ports", "in", "pair", 2), "ports.in.pair"),
        (_set("ports", "d1", "instrument", "digitizer"), "ports.d1.instrument"),
        (_set("ports", "in", "instrument", "sgs1"), "ports.in.instrument"),
        (_set("oscillators", "drive", "instrument", "awg2"), "ports.d0.lo"),
        (_set("ports", "in", "lo", "drive"), "ports.in.lo"),
        (_second_digitizer, "ports"),
    ],
)
def test_what_cannot_be_wired(bench, change, subject):
    with pytest.raises(ConfigError) as caught:
        wire(bench, change)
    assert caught.value.subject == subject
    assert caught.value.legal


def test_a_port_that_the_chip_does_not_have(bench):
    def rename(data):
        data["ports"]["flux"] = {**data["ports"]["d0"], "instrument": "awg2", "pair": 4}

    with pytest.raises(ConfigError, match="no such line in the fridge"):
        wire(bench, rename)


def test_ports():
    device = load_device(CONFIGS / "sim5.toml")
    assert choose_ports(device, "fixed")["awg2"] == ("127.0.0.1", 5812)
    assert set(choose_ports(device, "ephemeral").values()) == {("127.0.0.1", 0)}
    assert choose_ports(device, "1,2,3,4,5,6")["sgs1"] == ("127.0.0.1", 4)
    for wrong in ("", "1,2", "a,b,c,d,e,f", "0,0,0,0,0,70000", "0,0,0,0,0,-1"):
        with pytest.raises(ConfigError) as caught:
            choose_ports(device, wrong)
        assert caught.value.subject == "--ports"
    with pytest.raises(ConfigError) as caught:
        choose_ports(device.with_addresses({"awg1": "GPIB::3::INSTR"}), "fixed")
    assert caught.value.subject == "instruments.awg1.address"


def wire_coupler(bench, change=lambda data: None, chip="coupler2"):
    """Build the rack of coupler2 after ``change`` of its description."""
    bench.conductor.followers = {}
    data = load_device(CONFIGS / "coupler2.toml").model_dump()
    change(data)
    device = DeviceDescription.model_validate(data, context=AS_IT_IS)
    instruments = build_instruments(device, bench.conductor)
    connect_cables(device, load_chip(CONFIGS / "chips" / f"{chip}.toml"), instruments, bench.conductor)
    return instruments


def test_a_flux_line_has_no_mixer_and_the_current_of_its_source(bench):
    instruments = wire_coupler(bench)
    cable = next(o for o in bench.conductor.outputs if o.line == "f0")
    assert (cable.lo, cable.bias) == (None, instruments["gs1"])
    assert set(instruments["sa"].taps) == {"d0", "d1", "ro"}
    assert cable.setting().bias == 0.0
    source = bench.client(instruments["gs1"])
    for command in ("SOUR:FUNC CURR", "SOUR:RANG 1E-3", "SOUR:LEV 4E-4", "OUTP 1"):
        source.write(command)
    setting = cable.setting()
    assert (setting.bias, setting.lo_frequency, setting.on) == (4e-4, 0.0, False)
    for command in ("OUTP 0", "SOUR:FUNC VOLT", "SOUR:LEV 0.5", "OUTP 1"):
        source.write(command)
    assert cable.setting().bias == pytest.approx(0.5e-3)


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        (_set("instruments", "gs1", "driver", "sgs100a"), "ports.f0.bias.instrument"),
        (_set("ports", "f0", "instrument", "digitizer"), "ports.f0.instrument"),
        (lambda data: data["ports"].update(f1={**data["ports"]["f0"], "pair": 5, "bias": None}), "ports.f1.pair"),
    ],
)
def test_what_is_no_flux_line_is_refused(bench, change, subject):
    with pytest.raises(ConfigError) as caught:
        wire_coupler(bench, change)
    assert caught.value.subject == subject
    assert caught.value.legal


def test_a_chip_without_the_flux_line_is_refused(bench):
    with pytest.raises(ConfigError, match="flux line") as caught:
        wire_coupler(bench, lambda data: data["ports"].update(d2=data["ports"].pop("f0")) or
                     data["couplings"][0].update(flux="d2"), chip="sim5")  # fmt: skip
    assert caught.value.subject == "ports.d2"
