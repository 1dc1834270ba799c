"""Where each interlock is: values and seconds in, steps out. No clock, no process.

An interlock trips when its value has been out of limits for its hold time. An attempt to read that failed counts as out
of limits. One of which nothing at all is heard trips, too: after the hold time and two readings more, but at least
:data:`QUIET`, because processes of a busy machine wait for each other. One that has tripped stays so whatever is read,
until a person arms it.
"""

from __future__ import annotations

from pulsed.model.errors import IllegalStepError, InterlockError
from pulsed.model.interlock_status import InterlockState, InterlockStatus, Value
from pulsed.model.interlocks import Interlock

_S = InterlockState
INTERLOCK_STEPS: dict[InterlockState, frozenset[InterlockState]] = {
    _S.UNREAD: frozenset({_S.ARMED, _S.TRIPPED}),
    _S.ARMED: frozenset({_S.TRIPPED}),
    _S.TRIPPED: frozenset({_S.ARMED}),
}
"""The legal steps."""
FIRST = 60.0
"""Seconds for the first reading after the start, while nothing plays."""
_MISSED = 2
"""Readings that may be missed, beyond the hold time."""
QUIET = 3.0
"""Seconds that these are taken for at least."""
NOT_HEARD = "nothing was heard of it"


class InterlockWatch:
    """One interlock. Times are Unix times in seconds.

    Args:
        name: of the interlock.
        plan: its limits and times.
        now: the time.

    """

    def __init__(self, name: str, plan: Interlock, now: float) -> None:
        self.name, self.plan = name, plan
        self.state = InterlockState.UNREAD
        self.since, self.reason, self.trips = now, "", 0
        self.value: Value | None = None
        self.unit = self.problem = ""
        self._wrong: float | None = None
        """Seconds for which the value has been out of limits; None while it is good."""
        self._unheard = 0.0
        self._read = False
        """Whether the last value is a good one and not too old."""

    def heard(self, value: Value | None, unit: str, error: str, now: float) -> bool:
        """Take in a reading; ``value`` is None when it failed. Return whether the interlock has tripped by it."""
        self._unheard = 0.0
        self.value, self.unit = value, unit or self.unit
        self.problem = self.plan.problem(value) if value is not None else f"cannot be read: {error}"
        self._read = not self.problem
        if self._read:
            self._wrong = None
            if self.state is InterlockState.UNREAD:
                self._step(InterlockState.ARMED, now)
            return False
        self._wrong = self._wrong or 0.0
        return self._check(now)

    def passed(self, seconds: float, now: float) -> bool:
        """Let time pass. Return whether the interlock has tripped by it."""
        self._unheard += seconds
        if self._wrong is not None:
            self._wrong += seconds
        if self._lost:
            self._read, self.problem = False, NOT_HEARD
        return self._check(now)

    def trip(self, reason: str, now: float) -> None:
        """Trip, or do so again as the last daemon left it."""
        self.reason = reason
        if self.state is not InterlockState.TRIPPED:
            self._step(InterlockState.TRIPPED, now)
        self.since = now

    def rearm(self, now: float) -> None:
        """Arm one that has tripped. Raises :class:`InterlockError` while its value is not within the limits."""
        if self.state is not InterlockState.TRIPPED:
            raise InterlockError(
                "has not tripped", subject=f"interlock {self.name}", value=str(self.state),
                legal=str(InterlockState.TRIPPED),
            )  # fmt: skip
        if not self._read:
            raise InterlockError(
                f"cannot be armed: its value {self.problem or 'was not read yet'}", subject=f"interlock {self.name}",
                legal=self.plan.limits,
            )  # fmt: skip
        self._step(InterlockState.ARMED, now)
        self.reason = ""

    def status(self) -> InterlockStatus:
        """Return it as it is told to clients."""
        return InterlockStatus(
            self.name, self.state, self.plan.limits, self.value, self.unit, self.problem, self.since, self.reason,
            self.trips,
        )  # fmt: skip

    @property
    def _lost(self) -> bool:
        most = self.plan.hold + max(_MISSED * self.plan.every, QUIET)
        return self._unheard > (max(most, FIRST) if self.state is InterlockState.UNREAD else most)

    def _check(self, now: float) -> bool:
        if self.state is InterlockState.TRIPPED:
            return False
        if self._wrong is not None and self._wrong >= self.plan.hold:
            unit = f" {self.unit}" if self.unit and isinstance(self.value, float) else ""
            return self._trips(f"its value {self.problem}{unit}", now)
        return self._lost and self._trips(f"{NOT_HEARD} for {self._unheard:.1f} s", now)

    def _trips(self, reason: str, now: float) -> bool:
        self.trips += 1
        self.trip(reason, now)
        return True

    def _step(self, state: InterlockState, now: float) -> None:
        if state not in INTERLOCK_STEPS[self.state]:
            legal = ", ".join(sorted(INTERLOCK_STEPS[self.state]))
            raise IllegalStepError(
                f"cannot go from {self.state} to {state}", subject=f"interlock {self.name}", legal=legal
            )
        self.state, self.since = state, now
