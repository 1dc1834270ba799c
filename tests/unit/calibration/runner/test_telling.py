"""Whoever listens to a measurement cannot end it, miss more than the one message, or hold it up for long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pulsed.calibration.runner import telling
from pulsed.calibration.runner.telling import Telling
from pulsed.model.errors import ConnectionFailedError, InvalidValueError, PulsedError
from pulsed.model.measurement import MeasurementInfo

INFO = MeasurementInfo("r", "t1", "Q0", "check", 1.0)


class Listener:
    """Takes ``seconds`` for each message, and refuses while there is an ``error``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.seconds, self.asked, self.error = 0.0, 0.0, 0, None
        monkeypatch.setattr(telling, "time", SimpleNamespace(monotonic=lambda: self.now))

    def __call__(self, _info: MeasurementInfo) -> None:
        self.asked += 1
        self.now += self.seconds
        if self.error is not None:
            raise self.error

    now: float
    error: PulsedError | None


def test_one_that_is_refused_is_left_out_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(monkeypatch)
    tell = Telling(listener)
    listener.error = InvalidValueError("too many")
    tell(INFO)
    listener.error = None
    tell(INFO)
    assert listener.asked == 2


def test_one_that_runs_out_of_time_costs_a_fifth_of_the_measurement_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(monkeypatch)
    tell = Telling(listener)
    listener.error, listener.seconds = ConnectionFailedError("no answer"), 10.0
    for _ in range(10_000):
        tell(INFO)
        listener.now += 0.1
    assert 2 <= listener.asked <= listener.now / 50 + 1
    listener.error, before = None, listener.asked
    listener.now += 50
    tell(INFO)
    tell(INFO)
    assert listener.asked == before + 2, "it is told again as soon as somebody listens"
