"""Figures, and how two speeds are compared on a machine that is shared and noisy."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One figure. ``ratio`` is value over reference; both are None where the budget is a plain limit."""

    name: str
    value: float
    unit: str
    reference: float | None
    ratio: float | None
    must: str
    ok: bool


class Paired(msgspec.Struct, frozen=True):
    """What :func:`paired` found: median seconds of both, and the median over the pairs of ours / reference."""

    ours: float
    reference: float
    ratio: float


def paired(ours: Callable[[], object], reference: Callable[[], object], pairs: int = 15) -> Paired:
    """Time the two in turn, ``pairs`` times after one unmeasured round, and compare within each pair.

    What disturbs the machine for longer than a pair disturbs both; the order alternates, so that neither
    always runs in the wake of the other.
    """
    ours(), reference()
    times: list[tuple[float, float]] = []
    for i in range(pairs):
        first, second = (ours, reference) if i % 2 == 0 else (reference, ours)
        a, b = seconds(first), seconds(second)
        times.append((a, b) if i % 2 == 0 else (b, a))
    return Paired(median(a for a, _ in times), median(b for _, b in times), median(a / b for a, b in times))


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes, without the collector in between."""
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    finally:
        gc.enable()


def times(count: int, work: Callable[[], object]) -> Callable[[], None]:
    """Return ``work`` done ``count`` times over."""

    def repeated() -> None:
        for _ in range(count):
            work()

    return repeated


def rate(name: str, pair: Paired, *, work: float, unit: str, at_least: float) -> Figure:
    """Return a speed, ``work`` per second in ``unit``, that must reach ``at_least`` times the reference's."""
    ratio = 1 / pair.ratio
    must = f">= {at_least:g} x"
    return Figure(name, work / pair.ours, unit, work / pair.reference, ratio, must, ratio >= at_least)


def cost(name: str, pair: Paired, *, scale: float = 1e3, unit: str = "ms", at_most: float) -> Figure:
    """Return a time, seconds times ``scale`` in ``unit``, that may be ``at_most`` times the reference's."""
    must = f"<= {at_most:g} x"
    return Figure(name, pair.ours * scale, unit, pair.reference * scale, pair.ratio, must, pair.ratio <= at_most)


def limit(name: str, value: float, unit: str, *, at_most: float) -> Figure:
    """Return a figure with a plain limit and no reference."""
    return Figure(name, value, unit, None, None, f"<= {at_most:g} {unit}", value <= at_most)
