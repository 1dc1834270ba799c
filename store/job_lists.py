"""Lists of jobs: functions on one connection, within the transaction that the caller has opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, bindparam, func, select

from pulsed.model.job import FINAL_STATES, JobInfo, JobState
from pulsed.store.jobs import decode_info
from pulsed.store.tables import job, job_session, job_tag

LIMIT = 10
"""Jobs that are listed at most when nothing else is asked for."""


class Conditions(TypedDict, total=False):
    """Which jobs to list, and in which order."""

    state: JobState | Iterable[JobState] | None
    owner: str | None
    tags: Iterable[str] | None
    """All of which a job has."""
    name: str | None
    session_id: str | None
    created_after: float | None
    """This time included."""
    created_before: float | None
    """This time not included."""
    limit: int | None
    """How many; None for all."""
    skip: int
    """How many to leave out at the beginning."""
    newest_first: bool


_UNFINISHED = (
    select(job.c.info)
    .where(
        job.c.rack == bindparam("r"), job.c.state.in_([state.value for state in JobState if state not in FINAL_STATES])
    )
    .order_by(job.c.priority.desc(), job.c.number)
)


def find(
    connection: Connection, rack: str, beyond: int | None, **conditions: Unpack[Conditions]
) -> list[tuple[int, JobInfo]]:
    """Return the jobs that meet every condition which is given, by order of submission, each with its number.

    ``beyond`` is a number: only those that come after it in this order, whether it is still there or not.
    """
    newest_first, limit = conditions.get("newest_first", True), conditions.get("limit", LIMIT)
    query = select(job.c.number, job.c.info).where(*_where(rack, conditions))
    if beyond is not None:
        query = query.where(job.c.number < beyond if newest_first else job.c.number > beyond)
    query = query.order_by(job.c.number.desc() if newest_first else job.c.number)
    # SQLite knows no OFFSET without a LIMIT, PostgreSQL no negative one.
    query = query.limit((1 << 62) if limit is None else limit).offset(conditions.get("skip", 0))
    return [(number, decode_info(data)) for number, data in connection.execute(query)]


def count(connection: Connection, rack: str, **conditions: Unpack[Conditions]) -> int:
    """Return how many jobs meet every condition which is given."""
    return connection.execute(select(func.count()).select_from(job).where(*_where(rack, conditions))).scalar_one()


def _where(rack: str, conditions: Conditions) -> Iterator[ColumnElement[bool]]:
    """Yield what a job has to meet."""
    yield job.c.rack == rack
    if (state := conditions.get("state")) is not None:
        states = (state,) if isinstance(state, JobState) else tuple(state)
        yield job.c.state.in_([one.value for one in states])
    for column, wanted in ((job.c.owner, conditions.get("owner")), (job.c.name, conditions.get("name"))):
        if wanted is not None:
            yield column == wanted
    if (after := conditions.get("created_after")) is not None:
        yield job.c.created >= after
    if (before := conditions.get("created_before")) is not None:
        yield job.c.created < before
    if (session_id := conditions.get("session_id")) is not None:
        members = select(job_session.c.number)
        yield job.c.number.in_(members.where(job_session.c.rack == rack, job_session.c.session_id == session_id))
    for tag in set(conditions.get("tags") or ()):
        yield job.c.number.in_(select(job_tag.c.number).where(job_tag.c.rack == rack, job_tag.c.tag == tag))


def beginning_with(connection: Connection, rack: str, start: str, limit: int) -> list[JobInfo]:
    """Return the newest jobs whose ids begin with ``start``, ``limit`` at most."""
    # neither LIKE, which SQLite reads without regard to case, nor a range, which a collation may order otherwise
    query = select(job.c.info).where(job.c.rack == rack, func.substr(job.c.job_id, 1, len(start)) == start)
    query = query.order_by(job.c.number.desc()).limit(limit)
    return [decode_info(data) for data in connection.execute(query).scalars()]


def unfinished(connection: Connection, rack: str) -> list[JobInfo]:
    """Return every job that has not ended, by priority, highest first, then by order of submission."""
    return [decode_info(data) for data in connection.execute(_UNFINISHED, {"r": rack}).scalars()]
