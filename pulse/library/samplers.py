"""Functions of samples as functions of waveforms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pulsed.pulse.library.waveform import Waveform
from pulsed.pulse.utils import checked_duration


def functional_pulse(func: Callable[..., Any]) -> Callable[..., Waveform]:
    """Return a function that makes a :class:`Waveform` of what ``func`` returns.

    ``func(duration, ...)`` returns one complex sample per dt; what it makes takes ``name`` beside its arguments.

    Raises:
        PulseError: when called with a duration that is no number of dt, or when a sample is larger than one.

    """

    @functools.wraps(func)
    def pulse(duration: int, *args: Any, name: str | None = None, **kwargs: Any) -> Waveform:
        whole = checked_duration(duration, getattr(func, "__name__", "functional_pulse"))
        return Waveform(np.asarray(func(whole, *args, **kwargs), np.complex128), name)

    return pulse
