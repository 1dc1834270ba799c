"""What each user has used of the rack: seconds that count half after each half-life, and those of the day.

Times are arguments; nothing is read or written here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import NamedTuple

from pulsed.model.queue import UserUsage

_DAY = 86400.0
_MOST_HALVINGS = 64.0
"""After so many half-lives the unit moves: what is left of older use is below what a float resolves."""


class Day(NamedTuple):
    """What one user has used since midnight UTC."""

    number: int
    """Days since 1970."""
    seconds: float = 0.0
    bytes: int = 0


class Usage:
    """Use by user.

    What counts of it is kept in a unit that doubles with each half-life, so that nothing has to be multiplied as time
    goes by: at time t a second is worth 2^((t - start) / half-life) of that unit, for every user.

    Args:
        half_life: seconds after which use counts half.
        weight: the share that a user is due, relative to others.

    """

    def __init__(self, half_life: float, weight: Callable[[str], float] = lambda _: 1.0) -> None:
        self.half_life, self._weight = half_life, weight
        self.shares: dict[str, float] = {}
        """By user, use over weight, with what is reserved: only the ratios mean something."""
        self._used: dict[str, float] = {}
        self._reserved: dict[str, dict[str, float]] = {}
        """By user and job."""
        self._days: dict[str, Day] = {}
        self._start = 0.0

    def unit(self, now: float) -> float:
        """Return what a second of now is worth in the unit of :attr:`shares`."""
        halvings = (now - self._start) / self.half_life
        if halvings > _MOST_HALVINGS:
            factor = 2.0**-halvings if halvings < 1000 else 0.0
            self._start, halvings = now, 0.0
            for table in (self._used, *self._reserved.values()):
                for name in table:
                    table[name] *= factor
            for user in self._used.keys() | self._reserved.keys():
                self._share(user)
        return float(2.0**halvings)

    def weight(self, user: str) -> float:
        """Return the share that a user is due, relative to others."""
        return self._weight(user)

    def counted(self, user: str, now: float) -> float:
        """Return the rack seconds of a user that count now."""
        unit = self.unit(now)
        return self._used.get(user, 0.0) / unit

    def day(self, user: str, now: float) -> Day:
        """Return what a user has used since midnight UTC."""
        number = int(now // _DAY)
        kept = self._days.get(user)
        return kept if kept is not None and kept.number == number else Day(number)

    def charge(self, user: str, seconds: float, size: int, now: float) -> UserUsage:
        """Add rack seconds and bytes to a user's use; return what is to be kept of it."""
        unit, before = self.unit(now), self.day(user, now)
        self._used[user] = self._used.get(user, 0.0) + seconds * unit
        day = self._days[user] = Day(before.number, before.seconds + seconds, before.bytes + size)
        self._share(user)
        return UserUsage(user, self._used[user] / unit, now, *day)

    def played(self, playing: Container[str]) -> dict[str, float]:
        """Return :attr:`shares` with the reservations of jobs that are ``playing`` alone."""
        shares = dict(self.shares)
        for user, jobs in self._reserved.items():
            reserved = sum(seconds for job_id, seconds in jobs.items() if job_id in playing)
            shares[user] = (self._used.get(user, 0.0) + reserved) / self._weight(user)
        return shares

    def reserve(self, user: str, job_id: str, seconds: float, now: float) -> None:
        """Count what a job will use, as long as that is not known, for it has had its turn."""
        self._reserved.setdefault(user, {})[job_id] = seconds * self.unit(now)
        self._share(user)

    def release(self, user: str, job_id: str) -> None:
        """Count a reservation no longer."""
        jobs = self._reserved.get(user)
        if jobs is not None and jobs.pop(job_id, None) is not None:
            if not jobs:
                del self._reserved[user]
            self._share(user)

    def restore(self, kept: Iterable[UserUsage], now: float) -> None:
        """Take over what was kept. Use that is dated after ``now``, by a clock that was ahead, counts as of now."""
        for usage in kept:
            age = max(0.0, now - usage.at) / self.half_life
            self._used[usage.user] = usage.used * 2.0 ** -min(age, 1000.0) * self.unit(now)
            self._days[usage.user] = Day(usage.day, usage.today, usage.bytes_today)
            self._share(usage.user)

    def users(self) -> list[str]:
        """Return everybody who has used something, by name."""
        return sorted(self._used)

    def _share(self, user: str) -> None:
        used = self._used.get(user, 0.0) + sum(self._reserved.get(user, {}).values())
        self.shares[user] = used / self._weight(user)
