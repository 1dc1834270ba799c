"""What is told of measurements is bounded, one's own, and known to be old when it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from pulsed.daemon.front import note_requests
from pulsed.daemon.front.handlers import Peer
from pulsed.daemon.front.note_requests import NoteHandlers
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError, NotAllowedError
from pulsed.model.measurement import LONGEST, MOST_NUMBERS, MOST_TRACES, Heat, MeasurementInfo, Plot, PlotTrace
from pulsed.testing.daemon_process import CONFIGS
from pulsed.wire.measurement_messages import GetMeasurements, MeasurementsReply, TellMeasurement
from pulsed.wire.roles import Role

ME = Peer(b"address", "me", Role.EXPERIMENTER)
OTHER = Peer(b"another", "somebody", Role.EXPERIMENTER)


def told(**changes: Any) -> MeasurementInfo:
    return MeasurementInfo(
        **{"run_id": "r", "routine": "t1", "target": "Q0", "kind": "check", "started": 1.0, **changes}
    )


class Desk:
    """The handlers, without a store: nothing here asks it."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        notes = NoteHandlers(load_device(CONFIGS / "sim5.toml"), cast("StoreThread", None), self.events.append)
        self._handlers = cast("dict[Any, Any]", notes.handlers)

    def tell(self, one: MeasurementInfo, peer: Peer = ME) -> None:
        self._handlers[TellMeasurement](TellMeasurement(1, one), (), peer)

    def seen(self) -> tuple[MeasurementInfo, ...]:
        reply, _ = self._handlers[GetMeasurements](GetMeasurements(2), (), OTHER)
        assert isinstance(reply, MeasurementsReply)
        return reply.measurements


@pytest.fixture
def desk() -> Desk:
    return Desk()


def line(label: str = "I", points: int = 1) -> PlotTrace:
    return PlotTrace(label, (0.0,) * points, (0.0,) * points)


LARGEST = Plot(
    "x" * LONGEST, "y" * LONGEST, (line("é" * LONGEST, MOST_NUMBERS // 2), *(line("", 0),) * (MOST_TRACES - 1))
)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"run_id": ""}, "run_id"),
        ({"routine": "t\n1"}, "routine"),
        ({"target": "Q" * (LONGEST + 1)}, "target"),
        ({"kind": "k" * 9999}, "kind"),
        ({"outcome": "o" * 9999}, "outcome"),
        ({"plot": Plot("x" * (LONGEST + 1))}, "letters"),
        ({"plot": Plot(z_label="x" * (LONGEST + 1))}, "letters"),
        ({"plot": Plot(traces=(line("l" * (LONGEST + 1)),))}, "letters"),
        ({"plot": Plot(traces=(line(points=0),) * (MOST_TRACES + 1))}, "lines"),
        ({"plot": Plot(heat=Heat((0.0,), (0.0,), (None,) * MOST_NUMBERS))}, "numbers"),
    ],
)
def test_what_is_more_than_is_shown_is_refused_and_not_kept(desk: Desk, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidValueError, match=named) as caught:
        desk.tell(told(**changes))
    assert caught.value.legal
    assert len(str(caught.value)) < 1000
    assert (desk.seen(), desk.events) == ((), [])


def test_the_largest_that_is_taken_is_a_small_message(desk: Desk) -> None:
    desk.tell(told(plot=LARGEST, outcome="out of spec", said="s" * 9999))
    (kept,) = desk.seen()
    assert kept.plot == LARGEST
    assert len(msgspec.msgpack.encode(kept)) < 200_000


def test_a_run_is_told_of_by_who_began(desk: Desk) -> None:
    desk.tell(told(done=1))
    with pytest.raises(NotAllowedError, match="somebody else"):
        desk.tell(told(done=2), OTHER)
    desk.tell(told(done=3))
    assert [(one.done, one.by) for one in desk.seen()] == [(3, "me")]


def test_one_that_is_not_heard_of_for_minutes_says_so_until_it_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(note_requests, "time", SimpleNamespace(time=lambda: now[0]))
    desk.tell(told(run_id="ended", outcome="good"))
    desk.tell(told(run_id="killed", silent=7.0))
    desk.tell(told(run_id="slow"))
    now[0] += 299
    assert [one.silent for one in desk.seen()] == [0.0] * 3, "nor is it for who tells to say"
    desk.tell(told(run_id="slow", done=1))
    now[0] += 200
    assert {one.run_id: one.silent for one in desk.seen()} == {"ended": 0.0, "killed": 499.0, "slow": 0.0}
    desk.tell(told(run_id="killed", done=2))
    assert all(one.silent == 0.0 for one in desk.seen())


def test_only_the_last_are_kept(desk: Desk) -> None:
    for number in range(70):
        desk.tell(told(run_id=str(number)))
    assert [one.run_id for one in desk.seen()] == [str(number) for number in range(69, 5, -1)]
