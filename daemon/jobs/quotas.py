"""What a user may ask for: what of it waits and plays is counted, and a job too many is refused."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import NamedTuple

from pulsed.daemon.jobs.usage import Day
from pulsed.model.errors import QuotaError
from pulsed.model.policies import Quota
from pulsed.model.rack_time import spoken


class Demand(NamedTuple):
    """What jobs ask for."""

    jobs: int = 0
    seconds: float = 0.0
    """On the rack, expected."""
    bytes: int = 0
    """Of submissions, and of results as far as they are known."""
    shots: int = 0
    """Over all circuits."""

    def __add__(self, other: object) -> Demand:
        assert isinstance(other, Demand)
        return Demand(*map(operator.add, self, other))

    def __sub__(self, other: object) -> Demand:
        assert isinstance(other, Demand)
        return Demand(*map(operator.sub, self, other))


class Demands:
    """What every user has in the queue, and on the way into it."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[str, Demand]] = {}
        self._users: dict[str, Demand] = {}

    def enter(self, job_id: str, user: str, load: Demand) -> None:
        """Count a job; once."""
        if job_id not in self._jobs:
            self._jobs[job_id] = (user, load)
            self._users[user] = self.of(user) + load

    def leave(self, job_id: str) -> None:
        """Count a job no longer."""
        entry = self._jobs.pop(job_id, None)
        if entry is None:
            return
        user, load = entry
        left = self._users[user] - load
        if left.jobs:
            self._users[user] = left
        else:
            del self._users[user]

    def users(self) -> Iterator[str]:
        """Yield everybody who has something in the queue."""
        return iter(self._users)

    def of(self, user: str) -> Demand:
        """Return what a user has in the queue."""
        return self._users.get(user, Demand())


def check_quota(
    user: str, quota: Quota, job: Demand, *, shots: int, priority: int, queued: Demand, today: Day
) -> None:  # fmt: skip
    """Raise :class:`QuotaError` for a job that would take its user above a quota.

    Args:
        user: who hands it in.
        quota: what they may.
        job: what it asks for.
        shots: of all of its programs.
        priority: of the job; a due date is worth one more.
        queued: what they have in the queue.
        today: what they have used since midnight UTC.

    """
    subject = f"key {user}: quota"
    if quota.priority is not None and priority > quota.priority:
        raise QuotaError(
            "a higher priority than this user may ask for", subject=f"{subject} priority", value=priority,
            legal=f"up to {quota.priority}",
        )  # fmt: skip
    if quota.shots is not None and shots > quota.shots:
        raise QuotaError(
            "more shots than this user may ask for in one job", subject=f"{subject} shots", value=shots,
            legal=f"up to {quota.shots} over all circuits",
        )  # fmt: skip
    if quota.jobs is not None and queued.jobs + job.jobs > quota.jobs:
        raise QuotaError(
            "more jobs in the queue than this user may have", subject=f"{subject} jobs",
            value=queued.jobs + job.jobs, legal=f"up to {quota.jobs}: wait until some have ended",
        )  # fmt: skip
    seconds = today.seconds + queued.seconds + job.seconds
    if quota.rack_seconds is not None and seconds > quota.rack_seconds:
        raise QuotaError(
            "more time on the rack than this user has a day", subject=f"{subject} rack_seconds",
            value=f"{spoken(seconds)} with this job: {spoken(today.seconds)} used, {spoken(queued.seconds)} queued",
            legal=f"up to {spoken(quota.rack_seconds)} a day, which begins at 00:00 UTC",
        )  # fmt: skip
    size = today.bytes + queued.bytes + job.bytes
    if quota.bytes is not None and size > quota.bytes:
        raise QuotaError(
            "more bytes of submissions and results than this user has a day", subject=f"{subject} bytes",
            value=f"{size} with this job: {today.bytes} used, {queued.bytes} queued",
            legal=f"up to {quota.bytes} a day, which begins at 00:00 UTC",
        )  # fmt: skip
