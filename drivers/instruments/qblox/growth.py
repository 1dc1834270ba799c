"""By how much the steps of a sweep grow from point to point, in the whole numbers that a sequencer has."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.drivers.instruments.qblox.steps import FULL_GAIN, TURN, Growth, IntegralStep, Step, WaveformStep

_PHASE = 10_000
"""Units of phase that a point may be off: 6e-5 rad."""


def slope(values: Sequence[float], which: Sequence[int], modulus: float) -> float:
    """Return the growth from point to point of a value that is known up to a ``modulus`` at some points.

    ``which``: the numbers of the points, of which the first two are 0 and 1, and the last one decides the last digits.
    """
    first, second, *_, last = values
    step = _wrapped(second - first, modulus)
    return step + _wrapped(last - first - which[-1] * step, modulus) / which[-1]


def growths(shots: Sequence[Sequence[Step]], which: Sequence[int]) -> tuple[Growth, ...] | None:
    """Return the growth of each step from its values at the points ``which``; None where they are not on a line."""
    if len({len(steps) for steps in shots}) > 1:
        return None
    found = []
    for own in zip(*shots, strict=True):
        growth = _growth(own, which)
        if growth is None:
            return None
        found.append(growth)
    return tuple(found)


def _growth(steps: Sequence[Step], which: Sequence[int]) -> Growth | None:
    first = steps[0]
    if any(_kept(step) != _kept(first) for step in steps):
        return None
    time, frequency = steps[1].time - first.time, steps[1].frequency - first.frequency
    gain, phase = 0.0, 0
    if isinstance(first, WaveformStep):
        pulses = [step for step in steps if isinstance(step, WaveformStep)]
        gain = slope([pulse.gain for pulse in pulses], which, 2.0 * FULL_GAIN * TURN)
        phase = round(slope([pulse.phase for pulse in pulses], which, float(TURN)))
        for pulse, k in zip(pulses, which, strict=True):
            off = _wrapped(pulse.phase - first.phase - k * phase, float(TURN))
            # As the program has it: with half a step of the gain, cut off.
            made = ((first.gain << 16) + (1 << 15) + k * round(gain * 65536)) >> 16
            if abs(off) > _PHASE or abs(made - pulse.gain) > 1:
                return None
    for step, k in zip(steps, which, strict=True):
        if step.time != first.time + k * time or abs(step.frequency - first.frequency - k * frequency) > 1:
            return None
    return Growth(time, gain if round(gain * 65536) else 0.0, phase % TURN, frequency)


def _kept(step: Step) -> tuple[object, ...]:
    """Return what a sweep does not change."""
    if isinstance(step, WaveformStep):
        return WaveformStep, step.i, step.q
    if isinstance(step, IntegralStep):
        return IntegralStep, step.acquisition, step.i, step.q, step.phase
    return (step,)


def _wrapped(value: float, modulus: float) -> float:
    return (value + modulus / 2) % modulus - modulus / 2
