"""Whose turn is next: one pure function of what waits, who has used how much, sessions, the queue's mode, and the time.

The rule, in this order:

1. *Level*: the priority of a job, one more for each ``ageing`` that its user has waited for a turn
   at this priority, and one more when it is urgent: from one ``ageing`` before it has to start to be done when due.
2. *Batch*: where the last turn was of a batch, its next job, so that a batch is played in one go.
3. *Share*: the user who has used least of the rack, in seconds that count half after each half-life, over their weight.
4. *Order*: that of submission.

One user's jobs of one priority have their turns in order, those with a due date first, the earliest before all, so that
only the first of each is a candidate. A due date so puts no job of another user off but for that one level. Time waited
is counted from the user's last turn, not from the submission: a user with a thousand jobs in the queue does not
overtake the others by the age of what waits behind their own jobs.

**No starvation.** A candidate of priority p, where none has a higher one than P, waits at most for (P - p + 1) x ageing
and then for one turn of each other candidate; P counts one more for due dates: when it has reached level P + 1, each
that has a turn falls back to its priority, and stays below this one from then on. A turn is a job, or a session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from pulsed.model.queue import QueueMode

NEVER = float("inf")


class QueuedJob(NamedTuple):
    """What of a job decides about its place."""

    job_id: str
    priority: int
    number: int
    """Grows with each job that enters the queue."""
    session_id: str = ""
    """The session or batch that it belongs to, as long as that has not ended."""
    user: str = ""
    created: float = 0.0
    """Unix time, seconds."""
    seconds: float = 0.0
    """That it may be expected to keep the rack."""
    due: float = NEVER
    """When it should be done, Unix time."""


Place = tuple[float, int, int, str]
"""Among the jobs of one user and priority, the lowest is first: when it is due, where its session or batch stands, its
own number, and the id."""


class Candidate(NamedTuple):
    """The first job of one user and priority."""

    job: QueuedJob
    place: Place
    since: float
    """When its user began to wait for this turn: when it was submitted, or the last turn at this priority."""


class Situation(NamedTuple):
    """All that decides beside the candidates."""

    now: float
    """Unix time, seconds."""
    ageing: float
    """Seconds of waiting that are worth one priority."""
    used: Mapping[str, float]
    """By user, what they have used of the rack over their weight; in any unit, 0 for those who are not there."""
    mode: QueueMode = QueueMode.OPEN
    operators: Set[str] = frozenset()
    """Users whose jobs are played while the queue is locked."""
    batch: str = ""
    """The session or batch of the last turn."""
    booked: float = NEVER
    """When the next booked session begins: nothing starts that would not be over."""
    held: str = ""
    """Why nothing is played, whoever wants it and whatever the mode; empty when it may be."""


def level(priority: int, since: float, now: float, ageing: float) -> int:
    """Return the priority of a candidate with what its waiting is worth."""
    return priority + int((now - since) / ageing) if now > since else priority


def is_urgent(job: QueuedJob, now: float, ageing: float) -> bool:
    """Return whether a job has to start within ``ageing`` seconds to be done when it is due, or is late already."""
    return now >= job.due - job.seconds - ageing


def is_played(user: str, situation: Situation) -> bool:
    """Return whether jobs of ``user`` are played: nothing holds the queue, and its mode lets them be."""
    if situation.held:
        return False
    return situation.mode.plays or (situation.mode is QueueMode.LOCKED and user in situation.operators)


def may_start(user: str, seconds: float, situation: Situation) -> bool:
    """Return whether a job of ``user`` that takes ``seconds`` may start at all."""
    return is_played(user, situation) and situation.now + seconds <= situation.booked


def choose(candidates: Iterable[Candidate], situation: Situation) -> Candidate | None:
    """Return the candidate whose turn is next; None when there is none that may start."""
    now, ageing, used, batch = situation.now, situation.ageing, situation.used, situation.batch
    free = situation.mode.plays and situation.booked == NEVER and not situation.held
    best: Candidate | None = None
    highest, lowest = 0, (False, 0.0, (0.0, 0, 0, ""))
    for candidate in candidates:
        job = candidate.job
        if not free and not may_start(job.user, job.seconds, situation):
            continue
        waited, height = now - candidate.since, job.priority
        if waited > 0:
            height += int(waited / ageing)
        if job.due != NEVER and is_urgent(job, now, ageing):
            height += 1
        if best is not None and height < highest:
            continue
        key = (not batch or job.session_id != batch, used.get(job.user, 0.0), candidate.place)
        if best is None or height > highest or key < lowest:
            best, highest, lowest = candidate, height, key
    return best


def gives_way(
    job: QueuedJob, seconds: float, situation: Situation, *, holder: str, highest: int | None
) -> str:  # fmt: skip
    """Return why a job that plays has to stop between two of its chunks, in words; empty when it goes on.

    Args:
        job: that plays.
        seconds: that its next chunk takes.
        situation: now.
        holder: the session that holds the rack; empty when there is none.
        highest: the highest priority of the jobs that are ready to be played; None when there is none.

    """
    if holder and job.session_id != holder:
        return f"session {holder} has begun"
    if not is_played(job.user, situation):
        return situation.held or f"the queue is {situation.mode}"
    if situation.now + seconds > situation.booked:
        return "a booked session begins before its next chunk would end"
    if not holder and highest is not None and highest > job.priority:
        return f"a job of priority {highest} is ready"
    return ""
