"""A measurement that others can see while it grows: the points that there are, and what a fit makes of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import xarray

from pulsed.calibration.measurement import Measurement, MeasurementRequest, MeasurementResponse
from pulsed.calibration.outcome import Outcome
from pulsed.calibration.results.plots import plot_of, said_of, trace
from pulsed.calibration.routine import Routine
from pulsed.calibration.runner.result import RunResult
from pulsed.calibration.runner.telling import Tell, Telling
from pulsed.model.calibration import RunKind
from pulsed.model.measurement import MeasurementInfo, Plot

_SPENT = 0.25
"""Seconds that one look at all targets may take; those that are left are looked at first the next time."""


class Growing(Protocol):
    """One target under way."""

    target: str
    run_id: str
    started: float
    answers: list[MeasurementResponse]
    ask: MeasurementRequest | None


class Live:
    """Tells how the measurements of one routine grow.

    What a routine makes of its points is known when it has all of them. To show some, it is led through a second
    time with what is there, and NaN for the rest; what it returns is cut to what is there, and analysed.

    Args:
        tell: told of each measurement; see :class:`Telling` for errors.
        routine: with its parameters.
        kind: of the run.
        begin: begins the measurement of a target once more.

    """

    def __init__(self, tell: Tell, routine: Routine, kind: RunKind, begin: Callable[[str], Measurement]) -> None:
        self._tell, self._routine, self._kind, self._begin = Telling(tell), routine, kind, begin
        self._next = 0

    def grown(self, turns: Sequence[Growing], shares: Sequence[MeasurementResponse]) -> None:
        """Tell of targets that have so much of the answer to what they ask for now."""
        until = time.monotonic() + _SPENT
        pairs = list(zip(turns, shares, strict=True))
        first = self._next % len(pairs)
        for number, (turn, share) in enumerate((pairs[first:] + pairs[:first]), 1):
            total = len(turn.ask.schedules) if turn.ask is not None else 0
            before = sum(len(answer.overrange) for answer in turn.answers)
            info = MeasurementInfo(
                turn.run_id, self._routine.name, turn.target, self._kind, turn.started,
                done=before + len(share.overrange), total=before + total,
            )  # fmt: skip
            plot, said = self._plot(turn, share, total)
            self._say(info, plot, said)
            if time.monotonic() > until:
                self._next = first + number
                break

    def ended(self, result: RunResult) -> None:
        """Tell of a run that is finished."""
        record = result.record
        info = MeasurementInfo(
            record.run_id, record.routine, record.target, record.kind, record.started, outcome=str(record.outcome)
        )
        plot = Plot() if result.data is None else _quietly(result.data, result.outcome)
        self._say(info, plot, said_of(result.outcome) or record.reason)

    def _say(self, info: MeasurementInfo, plot: Plot, said: str) -> None:
        self._tell(msgspec.structs.replace(info, plot=plot, said=said))

    def _plot(self, turn: Growing, share: MeasurementResponse, total: int) -> tuple[Plot, str]:
        data = self._so_far(turn, share, total)
        if data is None:
            return _raw(share), ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome: Outcome | None = self._routine.analyse(data)
        except Exception:  # noqa: BLE001 - too few points for it, in whatever way it says so
            outcome = None
        plot = _quietly(data, outcome)
        return plot, said_of(outcome) if outcome is not None and outcome.good else ""

    def _so_far(self, turn: Growing, share: MeasurementResponse, total: int) -> xarray.Dataset | None:
        """Return the data as far as they are there; None where the routine makes nothing of them yet."""
        if share.iq is None or share.bits is not None or share.records is not None:
            return None
        answers = [*turn.answers, _filled(share, total)]
        try:
            generator = self._begin(turn.target)
            next(generator)
            for answer in answers:
                generator.send(answer)
        except StopIteration as end:
            return _there(end.value)
        except Exception:  # noqa: BLE001 - a routine is anybody's code
            return None
        return None


def _filled(share: MeasurementResponse, total: int) -> MeasurementResponse:
    assert share.iq is not None
    missing = total - len(share.iq)
    iq = np.concatenate([share.iq, np.full((missing, *share.iq.shape[1:]), np.nan + 1j * np.nan, share.iq.dtype)])
    return replace(share, iq=iq, overrange=np.concatenate([share.overrange, np.zeros(missing, bool)]))


def _there(data: xarray.Dataset) -> xarray.Dataset | None:
    """Return data without the part of an axis at which points are missing; None when nothing is left."""
    if "i" not in data:
        return None
    for dimension in data["i"].dims:
        if dimension in data.dims and data.sizes[dimension] > 1 and bool(data["i"].isnull().any()):
            found = data.dropna(dimension, subset=["i"])
            if found.sizes[dimension]:
                data = found
    return data if data["i"].size and not bool(data["i"].isnull().any()) else None


def _raw(share: MeasurementResponse) -> Plot:
    """Return the means of what came back, by the number of the schedule."""
    if share.iq is None or not share.iq.size:
        return Plot()
    iq: npt.NDArray[np.complex64] = share.iq if share.iq.ndim == 2 else share.iq.mean(axis=1)
    x = np.arange(len(iq))
    traces = (trace("I", x, iq[:, 0].real), trace("Q", x, iq[:, 0].imag))
    return Plot("schedule", "mean (full scale)", traces)


def _quietly(data: xarray.Dataset, outcome: Outcome | None) -> Plot:
    try:
        return plot_of(data, outcome)
    except Exception:  # noqa: BLE001 - the data are a routine's own, in whatever form; their file has them
        return Plot()
