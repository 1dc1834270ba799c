"""The connections of a rack: what is connected, closed, made safe and asked, and what comes of failures."""

import time

import pytest

from pulsed.drivers.contract import after
from pulsed.drivers.rack.connections import Connections
from pulsed.model.errors import (
    ConfigError,
    InstrumentError,
    InstrumentOverheatedError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    WrongInstrumentError,
)

NAMES = ["awg1", "digitizer", "sgs1", "sgs2", "gs1", "sa"]


@pytest.fixture
def connections(lab):
    connections = Connections(lab.device)
    yield connections
    connections.close()


def unreachable(name):
    return InstrumentUnreachableError("nothing answers", subject=f"instrument {name}")


def test_drivers_are_listed_by_what_they_are_used_as_and_others_come_last(connections):
    assert list(connections.drivers) == NAMES
    assert (list(connections.generators), list(connections.digitizers)) == (["awg1"], ["digitizer"])
    assert list(connections.players) == ["awg1", "digitizer"]


def test_nothing_is_asked_of_an_instrument_before_it_is_connected(connections, lab):
    assert set(lab.log) == {(name, "validate") for name in ("sgs1", "sgs2", "gs1")}, "no I/O"
    lab.log.clear()
    connections.connect(after(1))
    assert sorted(lab.log) == sorted((name, "connect") for name in NAMES)


def test_who_waits_for_a_trigger_does_not_lead(connections):
    assert connections.leaders(["digitizer", "awg1"]) == ["awg1"]
    assert connections.leaders(["digitizer"]) == []


def test_the_analyser_is_the_instrument_that_sweeps(connections):
    assert connections.analyser().name == "sa"


def test_a_rack_without_an_analyser_says_so(lab):
    lab.classes["n9030b"] = lab.classes["sgs100a"]
    connections = Connections(lab.device)
    with pytest.raises(ConfigError, match="no spectrum analyser") as caught:
        connections.analyser()
    connections.close()
    assert (caught.value.subject, caught.value.value) == ("spectrum", "coupler2")


def test_a_driver_that_lacks_what_its_role_needs_is_refused(lab):
    lab.classes["gs200"] = lab.classes["n9030b"]
    with pytest.raises(ConfigError, match=r"cannot do what ports\.f0\.bias\.instrument asks of it") as caught:
        Connections(lab.device)
    assert (caught.value.subject, caught.value.legal) == ("instruments.gs1.driver", "the driver of a bias source")


def test_several_problems_are_counted(lab):
    lab.classes["gs200"] = lab.classes["sgs100a"] = lab.classes["n9030b"]
    with pytest.raises(ConfigError, match=r"and 2 more: see `pulsed config check`") as caught:
        Connections(lab.device)
    assert caught.value.subject == "instruments.sgs1.driver"


def test_when_one_cannot_be_connected_all_are_closed(connections, lab):
    lab.fails["sgs2", "connect"] = [unreachable("sgs2")]
    with pytest.raises(InstrumentUnreachableError) as caught:
        connections.connect(after(1))
    assert (caught.value.subject, caught.value.causes) == ("instrument sgs2", ())
    assert sorted(lab.who("close")) == sorted(NAMES)


def test_several_that_cannot_be_connected_are_all_named(connections, lab):
    lab.fails["awg1", "connect"] = [unreachable("awg1")]
    lab.fails["gs1", "connect"] = [WrongInstrumentError("is another one", subject="instrument gs1")]
    with pytest.raises(InstrumentUnreachableError) as caught:
        connections.connect(after(1))
    causes = [(type(cause), cause.subject) for cause in caught.value.causes]
    assert causes == [(InstrumentUnreachableError, "instrument awg1"), (WrongInstrumentError, "instrument gs1")]


def test_reconnecting_goes_on_while_one_is_unreachable(connections, lab):
    lab.fails["awg1", "connect"] = [unreachable("awg1"), unreachable("awg1")]
    connections.reconnect(after(5))
    assert lab.who("connect").count("awg1") == 3


def test_reconnecting_ends_at_its_deadline(connections, lab):
    lab.fails["awg1", "connect"] = [unreachable("awg1") for _ in range(100)]
    began = time.monotonic()
    with pytest.raises(InstrumentUnreachableError):
        connections.reconnect(after(0.35))
    assert time.monotonic() - began < 3
    assert 2 <= lab.who("connect").count("awg1") <= 4


def test_reconnecting_does_not_wait_for_what_waiting_does_not_mend(connections, lab):
    lab.fails["awg1", "connect"] = [WrongInstrumentError("is another one", subject="instrument awg1")]
    with pytest.raises(WrongInstrumentError):
        connections.reconnect(after(5))
    assert lab.who("connect").count("awg1") == 1


def test_closing_twice_closes_once(connections, lab):
    connections.close()
    connections.close()
    assert sorted(lab.who("close")) == sorted(NAMES)


def test_all_are_made_safe_although_one_cannot_be(connections, lab):
    hot = InstrumentOverheatedError("is too hot", subject="instrument sgs1")
    lab.fails["sgs1", "safe_state"], lab.fails["sa", "safe_state"] = [hot], [ValueError("a bug")]
    problems = connections.safe_state()
    assert sorted(lab.who("safe_state")) == sorted(NAMES)
    assert problems[0] is hot
    assert (type(problems[1]), problems[1].subject) == (InstrumentError, "instrument sa")
    assert "ValueError('a bug')" in problems[1].message
    assert len(problems) == 2


def test_what_is_closed_is_not_made_safe(connections, lab):
    connections.close()
    assert connections.safe_state() == []
    assert lab.who("safe_state") == []


def test_each_that_is_not_well_is_named(connections, lab):
    late = InstrumentTimeoutError("no answer within the deadline", subject="instrument gs1")
    lab.fails["gs1", "status"] = [late]
    assert connections.health_check(after(1)) == {"gs1": late}
    assert sorted(lab.who("status")) == sorted(NAMES)
    assert connections.health_check(after(1)) == {}


def test_a_bug_of_a_driver_is_no_illness(connections, lab):
    lab.fails["gs1", "status"] = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        connections.health_check(after(1))
