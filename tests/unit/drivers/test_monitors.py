"""Any instrument of QCoDeS as a monitor: what is read, and what is said when it cannot be."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pulsed.drivers.monitors import Monitor, class_problems, load_class
from pulsed.model.errors import ConfigError, InstrumentDataError, InstrumentError, InvalidValueError
from pulsed.model.interlocks import Interlock
from pulsed.simulator.instruments.ls336 import VirtualLs336
from pulsed.simulator.instruments.server import InstrumentServer
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity
from pulsed.testing.scripted_monitor import DRIVER

LAKESHORE = "qcodes.instrument_drivers.Lakeshore:LakeshoreModel336"


def monitor(path, parameter="value"):
    return Monitor("still", Interlock(driver=DRIVER, address=str(path), parameter=parameter, above=1.0))


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        ("no.such.module:Thing", "ModuleNotFoundError"),
        ("pulsed.testing.scripted_monitor:Other", "AttributeError"),
        ("os.path:join", "is no instrument of QCoDeS"),
        ("pathlib:Path", "is no instrument of QCoDeS"),
    ],
)
def test_a_class_that_is_none_is_named_by_its_key(driver, said):
    with pytest.raises(ConfigError, match=said) as refused:
        load_class(driver, "interlocks.still.driver")
    assert (refused.value.subject, refused.value.value) == ("interlocks.still.driver", driver)
    interlock = Interlock(driver=driver, address="x", parameter="value", above=1.0)
    good = Interlock(driver=DRIVER, address="x", parameter="value", above=1.0)
    (problem,) = class_problems({"good": good, "bad": interlock})
    assert problem.subject == "interlocks.bad.driver"


def test_a_value_is_read_and_after_a_failure_the_connection_begins_anew(tmp_path):
    path = tmp_path / "value"
    path.write_text("0.25")
    one = monitor(path)
    try:
        assert one.read("value") == (0.25, "K")
        path.write_text("closed")
        assert one.read("value")[0] == "closed"
        path.write_text("broken")
        with pytest.raises(InstrumentError, match="RuntimeError: the cable is out") as failed:
            one.read("value")
        assert failed.value.subject == "monitor still"
        path.write_text("0.5")
        assert one.read("value") == (0.5, "K")
        with pytest.raises(InvalidValueError) as unknown:
            one.read("valve")
        assert "value" in unknown.value.legal
        with pytest.raises(InvalidValueError, match="no such parameter"):
            one.read("command")
        with pytest.raises(InvalidValueError, match="no such channel"):
            one.read("A.value")
        with pytest.raises(InstrumentDataError, match="neither a number nor a word"):
            one.read("pair")
    finally:
        one.close()
        one.close()


def test_the_stock_driver_of_a_thermometer_reads_the_virtual_one():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    virtual = VirtualLs336(VirtualIdentity("LSCI", "MODEL336", "LSA0001"))
    server = InstrumentServer("interlocks.still", virtual)
    port = asyncio.run_coroutine_threadsafe(server.open("127.0.0.1", 0), loop).result(10)
    address = f"TCPIP::127.0.0.1::{port}::SOCKET"
    one = Monitor("still", Interlock(driver=LAKESHORE, address=address, parameter="A.temperature", above=1.0))
    try:
        virtual.show("A", 0.3)
        assert one.read("A.temperature") == (0.3, "K")
        assert one.read("B.temperature") == (0.012, "K")
        assert not virtual.errors
        for channel, kelvin in (("E", 1.0), ("A", -1.0), ("A", 1e3)):
            with pytest.raises(ValueError, match="0 to 330 K"):
                virtual.show(channel, kelvin)
    finally:
        one.close()
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
