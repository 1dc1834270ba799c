"""Which jobs are forgotten, with what they brought back: by age and by size, unless a tag keeps them.

Functions on one connection, within the transaction that the caller has opened. Only jobs that have ended are touched.
Their results go first, with what was submitted; the jobs themselves stay in lists until they are forgotten, too, and of
those it is kept when they were.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, exists, func, insert, select, update

from pulsed.model.job import FINAL_STATES, PrunedJobs
from pulsed.store.jobs import decode_info, encode_info
from pulsed.store.tables import chunk, job, job_log, job_session, job_tag, payload, pruned_job, result

_BLOBS = (payload, result, chunk)
_ENDED = [state.value for state in FINAL_STATES]


def prune_results(
    connection: Connection, rack: str, before: float, keep: Sequence[str], now: float, limit: int, *, dry: bool
) -> PrunedJobs:
    """Delete what the oldest jobs from before ``before`` brought back, and what was submitted, of ``limit`` at most."""
    rows = connection.execute(_with_blobs(_old(rack, before, keep)).limit(limit)).all()
    found = PrunedJobs(results=len(rows), bytes=_size(connection, rack, [row.number for row in rows]))
    if not dry:
        _delete(connection, rack, _BLOBS, [row.number for row in rows])
        for row in rows:
            info = msgspec.structs.replace(decode_info(row.info), pruned=now)
            here = (job.c.rack == rack, job.c.number == row.number)
            connection.execute(update(job).where(*here).values(info=encode_info(info)))
    return found


def prune_jobs(
    connection: Connection, rack: str, before: float, keep: Sequence[str], now: float, limit: int, *, dry: bool
) -> PrunedJobs:
    """Delete the oldest jobs from before ``before``, of ``limit`` at most, and note that they were there."""
    rows = connection.execute(_old(rack, before, keep).limit(limit)).all()
    numbers = [row.number for row in rows]
    found = PrunedJobs(jobs=len(rows), bytes=_size(connection, rack, numbers))
    if rows and not dry:
        _delete(connection, rack, (*_BLOBS, job_log, job_session, job_tag, job), numbers)
        gone = [{"rack": rack, "job_id": row.job_id, "pruned": now} for row in rows]
        connection.execute(insert(pruned_job), gone)
    return found


def beyond(connection: Connection, rack: str, size: int, keep: Sequence[str]) -> float:
    """Return the time before which results have to go, so that all that are kept have ``size`` bytes at most.

    It is minus infinity when nothing has to. What a tag keeps counts, and stays.
    """
    sizes = _sizes(connection, rack, None)
    total = sum(sizes.values())
    if total <= size:
        return -math.inf
    bound = -math.inf
    for row in connection.execute(_with_blobs(_old(rack, math.inf, keep))):
        if total <= size:
            break
        total -= sizes.get(row.number, 0)
        bound = math.nextafter(row.created, math.inf)
    return bound


def _old(rack: str, before: float, keep: Sequence[str]) -> Select[Any]:
    tagged = exists().where(job_tag.c.rack == rack, job_tag.c.number == job.c.number, job_tag.c.tag.in_(list(keep)))
    wanted = select(job.c.number, job.c.job_id, job.c.created, job.c.info)
    wanted = wanted.where(job.c.rack == rack, job.c.state.in_(_ENDED), ~tagged)
    if before < math.inf:
        wanted = wanted.where(job.c.created < before)
    return wanted.order_by(job.c.created, job.c.number)


def _with_blobs(wanted: Select[Any]) -> Select[Any]:
    return wanted.where(exists().where(payload.c.rack == job.c.rack, payload.c.number == job.c.number))


def _sizes(connection: Connection, rack: str, numbers: Sequence[int] | None) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for table in _BLOBS:
        wanted = select(table.c.number, func.sum(func.length(table.c.data))).where(table.c.rack == rack)
        if numbers is not None:
            wanted = wanted.where(table.c.number.in_(numbers))
        for number, size in connection.execute(wanted.group_by(table.c.number)):
            sizes[number] = sizes.get(number, 0) + int(size)
    return sizes


def _size(connection: Connection, rack: str, numbers: Sequence[int]) -> int:
    return sum(_sizes(connection, rack, numbers).values())


def _delete(connection: Connection, rack: str, tables: Iterable[Any], numbers: Sequence[int]) -> None:
    for table in tables:
        connection.execute(delete(table).where(table.c.rack == rack, table.c.number.in_(numbers)))
