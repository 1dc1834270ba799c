"""Flux lines made straight: what is played is such that what arrives behind the line is what was asked for."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError

SWITCH = "compensation.distortion"
"""The setting of a job that switches it off, by 0."""
SMALLEST = 1 / 8192
"""Of full scale, the last bit of a converter of 14 bits: a tail that has fallen below it is over."""

Distortion = tuple[tuple[float, float], ...]
"""Pairs of a and τ (s): the line's response to a step is 1 + Σ a exp(-t/τ)."""


def distortions(device: DeviceDescription, calibration: CalibrationSet) -> dict[str, Distortion]:
    """Return flux port → its distortion, of those that have one. Raises :class:`ConfigError` for what is none."""
    found = {}
    for name, port in device.ports.items():
        full = f"{name}.distortion"
        if port.lo is not None or port.direction != "output" or full not in calibration.values:
            continue
        numbers = np.array(calibration.numbers(full))
        pairs = numbers.reshape(-1, 2) if numbers.size % 2 == 0 else np.full((1, 2), np.nan)
        if not (np.isfinite(pairs).all() and (pairs[:, 1] > 0).all() and np.abs(pairs[:, 0]).sum() < 0.5):
            raise ConfigError(
                "not a valid distortion of a line", subject=full, value=str(numbers.tolist()),
                legal="a and tau (s) of each exponential in turn, tau above 0, the sum of |a| below 0.5",
            )  # fmt: skip
        if pairs[:, 0].any():
            found[name] = tuple((float(a), float(tau)) for a, tau in pairs)
    return found


@njit(cache=True)
def _straightened(wanted, sizes, decays, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write what has to be played for ``wanted`` to arrive: the line's recursion, solved for its input.

    A step s at sample n adds a s d^(m - n) to every sample m from n on.
    """
    left = np.zeros(sizes.shape[0])
    whole, before = 1.0 + sizes.sum(), 0.0
    for n in range(out.shape[0]):
        target = wanted[n] if n < wanted.shape[0] else 0.0
        for k in range(sizes.shape[0]):
            target -= sizes[k] * (decays[k] * left[k] - before)
        now = target / whole
        for k in range(sizes.shape[0]):
            left[k] = decays[k] * left[k] + now - before
        out[n], before = now, now


def tail(distortion: Distortion, clock: float) -> int:
    """Return the samples after which nothing is left of what a full scale leaves behind."""
    whole = 1 + sum(a for a, _ in distortion)
    # The inverse of each exponential decays a little slower or faster than it, by 1 + a.
    slowest = max(tau * (1 + abs(a) / whole) for a, tau in distortion)
    size = sum(abs(a) for a, _ in distortion) / whole
    return math.ceil(math.log(max(size / SMALLEST, 1.0)) * slowest * clock) + 1


def straighten(
    wanted: npt.NDArray[np.float64], distortion: Distortion, clock: float, more: int
) -> npt.NDArray[np.float64]:
    """Return the samples to play for ``wanted`` (n,) to arrive, full scale 1, and ``more`` samples of their tail."""
    sizes = np.array([a for a, _ in distortion])
    decays = np.exp(-1 / (clock * np.array([tau for _, tau in distortion])))
    out = np.empty(len(wanted) + more)
    _straightened(np.ascontiguousarray(wanted, np.float64), sizes, decays, out)
    return out
