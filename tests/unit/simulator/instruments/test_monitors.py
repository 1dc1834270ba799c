"""Thermometers of the simulated rack: which there are, where they listen, and what they are told to show."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.errors import ConfigError
from pulsed.simulator.instruments.control import Control
from pulsed.simulator.instruments.monitors import build_monitors, monitor_addresses, simulated_monitors
from pulsed.simulator.instruments.server import InstrumentServer
from pulsed.simulator.rack import choose_ports
from pulsed.testing.daemon_process import CONFIGS

LAKESHORE = "qcodes.instrument_drivers.Lakeshore:LakeshoreModel336"
HERE, THERE = "TCPIP::127.0.0.1::7001::SOCKET", "TCPIP::127.0.0.1::7002::SOCKET"


def device(**interlocks: tuple[str, str]) -> DeviceDescription:
    tables = {
        name: {"driver": driver, "address": address, "parameter": "A.temperature", "above": 1.0}
        for name, (driver, address) in interlocks.items()
    }
    plain = load_device(CONFIGS / "sim5.toml")
    return DeviceDescription.model_validate({**plain.model_dump(), "interlocks": tables})


FRIDGE = device(still=(LAKESHORE, HERE), mixing=(LAKESHORE, HERE), plate=(LAKESHORE, THERE), door=("a.b:C", HERE))


def test_there_is_one_for_each_address_and_none_for_drivers_of_others() -> None:
    assert simulated_monitors(FRIDGE) == {
        "interlocks.still": ("interlocks.still", "interlocks.mixing"), "interlocks.plate": ("interlocks.plate",),
    }  # fmt: skip
    assert monitor_addresses(FRIDGE) == {"interlocks.still": HERE, "interlocks.plate": THERE}
    assert {key: one.identity.model for key, one in build_monitors(FRIDGE).items()} == {
        "interlocks.still": "MODEL336", "interlocks.plate": "MODEL336",
    }  # fmt: skip


def test_they_listen_where_the_description_says_or_on_ports_behind_those_of_the_rack() -> None:
    assert choose_ports(FRIDGE, "fixed")["interlocks.plate"] == ("127.0.0.1", 7002)
    count = len(FRIDGE.instruments)
    numbers = ",".join(map(str, range(1, count + 3)))
    assert choose_ports(FRIDGE, numbers)["interlocks.plate"] == ("127.0.0.1", count + 2)
    with pytest.raises(ConfigError, match="not a choice of ports"):
        choose_ports(FRIDGE, ",".join(map(str, range(1, count + 1))))
    with pytest.raises(ConfigError) as refused:
        choose_ports(device(still=(LAKESHORE, "GPIB::3::INSTR")), "fixed")
    assert refused.value.subject == "interlocks.still.address"


def test_the_control_socket_says_what_they_show() -> None:
    servers = {key: InstrumentServer(key, one) for key, one in build_monitors(FRIDGE).items()}
    control = Control(None, servers)  # type: ignore[arg-type]

    def ask(**request: Any) -> Any:
        return asyncio.run(control.answer(json.dumps({"op": "temperature", **request}).encode()))

    name = "interlocks.still"
    assert ask(instrument=name, input="B", kelvin=0.5)["result"]["B"] == 0.5
    assert asyncio.run(control.answer(b'{"op": "state"}'))["result"][name]["temperatures"]["B"] == 0.5
    for bad, subject in (
        ({"instrument": "awg1", "input": "A", "kelvin": 1}, "instrument"),
        ({"instrument": name, "input": "E", "kelvin": 1}, f"instrument {name}"),
        ({"instrument": name, "input": "A", "kelvin": -1}, f"instrument {name}"),
        ({"instrument": name, "input": "A", "kelvin": True}, "kelvin"),
        ({"instrument": name, "input": "A", "kelvin": "cold"}, "kelvin"),
    ):
        answer = ask(**bad)
        assert (answer["ok"], answer["error"]["subject"]) == (False, subject)
