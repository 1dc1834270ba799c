"""The analyses of a group of targets: one after the other here, or by worker processes where that takes long."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import xarray

from pulsed import compute
from pulsed.calibration.routine import Outcome, Routine
from pulsed.model.calibration import CalibrationSet, RunKind
from pulsed.model.errors import PulsedError

WORTH = 10.0
"""Seconds of analysis left from which processes are started for it: they take some seconds to import what they need."""

Analysed = tuple[Outcome | None, str, str]
"""The outcome of a calibration, the verdict, and the reason for it."""
Item = tuple[xarray.Dataset, str]
"""What was measured, and the target."""


def analyse(routine: Routine, kind: RunKind, calibration: CalibrationSet, item: Item) -> Analysed:
    """Judge or analyse what was measured on one target; a routine is anybody's code, its failure is this target's."""
    data, target = item
    try:
        if kind == "check":
            verdict, reason = routine.judge(data, calibration, target)
            return None, "good" if verdict == "in spec" else verdict, reason
        outcome = routine.analyse(data)
    except Exception as error:  # noqa: BLE001
        return None, "failed", f"the analysis failed: {words(error)}"
    return outcome, outcome.quality, outcome.reason


def analyse_all(routine: Routine, kind: RunKind, calibration: CalibrationSet, items: Sequence[Item]) -> list[Analysed]:
    """Analyse ``items`` in order; when the first ones show that the rest takes :data:`WORTH`, the workers share it."""
    one = partial(analyse, routine, kind, calibration)
    done: list[Analysed] = []
    began = time.perf_counter()
    for number, item in enumerate(items, 1):
        done.append(one(item))
        left = (time.perf_counter() - began) / number * (len(items) - number)
        if left > WORTH and _travels(routine):
            rest = items[number:]
            try:
                return done + compute.map(one, rest)
            except Exception:  # noqa: BLE001 - whatever is wrong with the workers: what was measured is not lost for it
                return done + [one(item) for item in rest]
    return done


def _travels(routine: Routine) -> bool:
    """Whether another process can make the routine: it is one of a module, and its parameters pickle."""
    try:
        return type(routine).__module__ != "__main__" and bool(pickle.dumps(routine))
    except Exception:  # noqa: BLE001 - what cannot be pickled says so in many ways
        return False


def words(error: BaseException) -> str:
    """Return an error as one sentence; one that is none of ours names the line it comes from."""
    if isinstance(error, PulsedError):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" ({Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    return f"{type(error).__name__}: {error}{where}"
