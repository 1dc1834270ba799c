"""The queue of a rack as a whole: whether it takes and plays jobs, and who has used how much."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class QueueMode(StrEnum):
    """What happens to jobs."""

    OPEN = "open"
    """They are accepted and played."""
    PAUSED = "paused"
    """They are accepted; none starts, and one that plays stops after its chunk."""
    DRAINING = "draining"
    """None is accepted; those in the queue are played."""
    LOCKED = "locked"
    """Those of operators are accepted and played, no others."""

    @property
    def accepts(self) -> bool:
        """Whether everybody's jobs are accepted."""
        return self in (QueueMode.OPEN, QueueMode.PAUSED)

    @property
    def plays(self) -> bool:
        """Whether everybody's jobs are played."""
        return self in (QueueMode.OPEN, QueueMode.DRAINING)


class QueueControl(msgspec.Struct, frozen=True, omit_defaults=True):
    """The mode of a queue, and why."""

    mode: QueueMode = QueueMode.OPEN
    reason: str = ""
    by: str = ""
    """Who set it."""
    since: float = 0.0
    """Unix time, seconds."""

    def sentence(self) -> str:
        """Return what there is to say of it; empty for an open one."""
        if self.mode is QueueMode.OPEN:
            return ""
        return f"the queue is {self.mode} by {self.by}" + (f": {self.reason}" if self.reason else "")


class QueueEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One job of the queue, with what decides about its turn."""

    job_id: str
    owner: str
    state: str
    priority: int
    created: float
    """Unix time, seconds."""
    seconds: float
    """That it is expected to keep the rack."""
    session_id: str = ""
    starts: float | None = None
    """When it may be expected to start, if nothing else comes."""
    why: str = ""
    """What it waits for, or why it is before the next one."""


class UserQuota(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user may ask for, as the configuration has it; None: no limit."""

    jobs: int | None = None
    shots: int | None = None
    rack_seconds: float | None = None
    bytes: int | None = None
    priority: int | None = None


class UserShare(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one user has used and is due."""

    user: str
    weight: float
    used: float
    """Rack seconds that count, halved with each half-life."""
    jobs: int = 0
    """In the queue."""
    today: float = 0.0
    """Rack seconds since midnight UTC."""
    bytes_today: int = 0
    """Of submissions and results since midnight UTC."""
    role: str = ""
    """Of the user's key; empty for one that is not let in any longer."""
    queued_seconds: float = 0.0
    """Rack seconds that the jobs in the queue may be expected to take."""
    queued_shots: int = 0
    """Of these jobs, over all circuits."""
    queued_bytes: int = 0
    """Of these jobs, and of their results as far as they are known."""
    quota: UserQuota = UserQuota()
    """What the user may ask for."""


class UserUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store keeps of one user's use of the rack."""

    user: str
    used: float
    """Rack seconds that count at ``at``."""
    at: float
    """Unix time, seconds."""
    day: int = 0
    """Days since 1970, UTC, that the following count."""
    today: float = 0.0
    """Rack seconds of that day."""
    bytes_today: int = 0
    """Bytes of that day."""
