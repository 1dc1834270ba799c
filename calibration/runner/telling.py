"""Telling others of a measurement, which it never has to pay for: neither with its end nor with much of its time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from pulsed.model.errors import PulsedError
from pulsed.model.measurement import MeasurementInfo

Tell = Callable[[MeasurementInfo], None]
_PATIENCE = 4.0
"""Times what an attempt has taken that failed: so long nothing is told."""


class Telling:
    """Hands on to ``tell`` what it can; an error of the daemon leaves out one message, not all that follow.

    After an attempt that took long and failed, such as one that ran out of time, nothing is told for a while.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._silent_until = -math.inf

    def __call__(self, info: MeasurementInfo) -> None:
        """Tell of a measurement, unless that failed lately."""
        began = time.monotonic()
        if began < self._silent_until:
            return
        try:
            self._tell(info)
        except PulsedError:
            now = time.monotonic()
            self._silent_until = now + _PATIENCE * (now - began)
