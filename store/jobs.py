"""Jobs: functions on one connection, within the transaction that the caller has opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import msgspec
from sqlalchemy import BindParameter, Connection, Table, bindparam, delete, func, insert, literal_column, select, update

from pulsed.model.errors import (
    ErrorInfo,
    IllegalStepError,
    IncompatibleError,
    InvalidValueError,
    NotAllowedError,
    NotFoundError,
)
from pulsed.model.job import FINAL_STATES, JobInfo, JobLogEntry, JobState, check_step
from pulsed.store.engine import Prepared
from pulsed.store.tables import chunk, job, job_log, job_tag, payload, result


class Changes(TypedDict, total=False):
    """What may change in a job, beside its state. ``times`` adds to what is there, the others replace."""

    error: ErrorInfo | None
    times: dict[str, float]
    chunks: int
    chunks_done: int
    attempts: int
    stops: int
    calibration_id: str
    name: str
    tags: tuple[str, ...]
    log: tuple[JobLogEntry, ...]
    """What is added to its log; no field of the job itself."""


LIMIT = 10
"""Jobs that are listed at most when nothing else is asked for."""


class Conditions(TypedDict, total=False):
    """Which jobs to list, and in which order."""

    state: JobState | Iterable[JobState] | None
    owner: str | None
    tags: Iterable[str] | None
    """All of which a job has."""
    name: str | None
    created_after: float | None
    """This time included."""
    created_before: float | None
    """This time not included."""
    limit: int | None
    """How many; None for all."""
    skip: int
    """How many to leave out at the beginning."""
    newest_first: bool


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(JobInfo)

_RACK: BindParameter[str] = bindparam("r")
_NUMBER: BindParameter[int] = bindparam("n")
_HERE = job.c.rack == _RACK
_LAST = Prepared(select(func.max(job.c.number)).where(_HERE))
_BY_ID = Prepared(select(job.c.number, job.c.info).where(_HERE, job.c.job_id == bindparam("i")))
_BY_IDS = select(job.c.job_id, job.c.info).where(_HERE, job.c.job_id.in_(bindparam("ids", expanding=True)))
_INSERT_JOB, _INSERT_TAG, _INSERT_PAYLOAD, _INSERT_RESULT = (
    Prepared(insert(table)) for table in (job, job_tag, payload, result)
)
_UPDATE = Prepared(
    update(job)
    .where(_HERE, job.c.number == _NUMBER)
    .values({name: bindparam(name) for name in ("owner", "state", "priority", "created", "name", "info")})
)
_DELETE_TAGS = delete(job_tag).where(job_tag.c.rack == _RACK, job_tag.c.number == _NUMBER)
_CHUNKS_HERE = delete(chunk).where(chunk.c.rack == _RACK, chunk.c.number == _NUMBER)
_DELETE_CHUNKS = Prepared(_CHUNKS_HERE)
_DELETE_CHUNK = _CHUNKS_HERE.where(chunk.c.index == bindparam("k"))
_COUNT_CHUNKS = select(func.count()).select_from(chunk).where(chunk.c.rack == _RACK, chunk.c.number == _NUMBER)
_CHUNKS = select(chunk.c.index, chunk.c.data).where(chunk.c.rack == _RACK, chunk.c.number == _NUMBER)
_INDEX = job_log.c["index"]
_NEXT = select(func.coalesce(func.max(_INDEX) + literal_column("1"), literal_column("0"))).where(
    job_log.c.number == _NUMBER, job_log.c.rack == _RACK
)
_LOG_FIELDS = ("time", "what", "detail")
_INSERT_LOG = Prepared(
    insert(job_log).values(
        {"rack": _RACK, "number": _NUMBER, "index": _NEXT.scalar_subquery()}
        | {name: bindparam(name) for name in _LOG_FIELDS}
    )
)
_LOG = (
    select(*(job_log.c[name] for name in _LOG_FIELDS))
    .where(job_log.c.number == _NUMBER, job_log.c.rack == _RACK)
    .order_by(_INDEX)
)
_UNFINISHED = (
    select(job.c.info)
    .where(_HERE, job.c.state.in_([state.value for state in JobState if state not in FINAL_STATES]))
    .order_by(job.c.priority.desc(), job.c.number)
)


def add(
    connection: Connection,
    rack: str,
    jobs: Sequence[tuple[JobInfo, bytes]],
    known: dict[str, JobInfo],
    now: float,
) -> list[JobInfo]:
    """Store each job with its payload, or take the one of its id from ``known``, in the order given.

    Raises :class:`NotAllowedError` when an id belongs to another owner; then none is stored.
    """
    known = dict(known)
    number = _LAST.run(connection, {"r": rack}).fetchall()[0][0] or 0
    answers, rows, tags, payloads = [], [], [], []
    for info, data in jobs:
        stored = known.get(info.job_id)
        if stored is None:
            number += 1
            stored = known[info.job_id] = msgspec.structs.replace(
                info, times={info.state.value: now, **info.times}, queue_position=None
            )
            rows.append({"rack": rack, "number": number, "job_id": info.job_id, **_columns(stored)})
            payloads.append({"rack": rack, "number": number, "data": data})
            tags += _tag_rows(rack, number, info.tags)
        elif stored.owner != info.owner:
            raise NotAllowedError("this job id belongs to another owner", subject=f"job {info.job_id}")
        answers.append(stored)
    if rows:
        _INSERT_JOB.run_many(connection, rows)
        _INSERT_PAYLOAD.run_many(connection, payloads)
    if tags:
        _INSERT_TAG.run_many(connection, tags)
    return answers


def by_ids(connection: Connection, rack: str, ids: Iterable[str]) -> dict[str, JobInfo]:
    """Return those of ``ids`` that are there."""
    rows = connection.execute(_BY_IDS, {"r": rack, "ids": list(ids)})
    return {row.job_id: _decode(row.info) for row in rows}


def change(
    connection: Connection, rack: str, job_id: str, state: JobState | None, now: float, changes: Changes
) -> JobInfo:
    """Take the step to ``state`` (None: stay) and make ``changes``; a final state deletes the chunks.

    Raises :class:`NotFoundError`, :class:`IllegalStepError` or :class:`InvalidValueError`; then nothing changes.
    """
    number, old = _find(connection, rack, job_id)
    unknown = changes.keys() - Changes.__annotations__.keys()
    if unknown:
        legal = ", ".join(Changes.__annotations__)
        raise InvalidValueError("this cannot change", subject=f"job {job_id}", value=min(unknown), legal=legal)
    values: dict[str, Any] = dict(changes)
    _add_log(connection, rack, number, values.pop("log", ()))
    times = {**old.times, **changes.get("times", {})}
    if state is not None:
        check_step(job_id, old.state, state)
        times[state.value] = now
        values["state"] = state
    values["times"] = times
    new = msgspec.structs.replace(old, **values)
    _UPDATE.run(connection, {"r": rack, "n": number, **_columns(new)})
    if new.tags != old.tags:
        connection.execute(_DELETE_TAGS, {"r": rack, "n": number})
        if new.tags:
            _INSERT_TAG.run_many(connection, _tag_rows(rack, number, new.tags))
    if state in FINAL_STATES:
        _DELETE_CHUNKS.run(connection, {"r": rack, "n": number})
    return new


def get(connection: Connection, rack: str, job_id: str) -> JobInfo:
    """Return one job. Raises :class:`NotFoundError`."""
    return _find(connection, rack, job_id)[1]


def find(
    connection: Connection,
    rack: str,
    beyond: int | None,
    *,
    state: JobState | Iterable[JobState] | None = None,
    owner: str | None = None,
    tags: Iterable[str] | None = None,
    name: str | None = None,
    created_after: float | None = None,
    created_before: float | None = None,
    limit: int | None = LIMIT,
    skip: int = 0,
    newest_first: bool = True,
) -> list[tuple[int, JobInfo]]:
    """Return the jobs that meet every condition which is given, by order of submission, each with its number.

    ``beyond`` is a number: only those that come after it in this order, whether it is still there or not.
    """
    query = select(job.c.number, job.c.info).where(job.c.rack == rack)
    if beyond is not None:
        query = query.where(job.c.number < beyond if newest_first else job.c.number > beyond)
    if state is not None:
        states = (state,) if isinstance(state, JobState) else tuple(state)
        query = query.where(job.c.state.in_([one.value for one in states]))
    if owner is not None:
        query = query.where(job.c.owner == owner)
    if name is not None:
        query = query.where(job.c.name == name)
    if created_after is not None:
        query = query.where(job.c.created >= created_after)
    if created_before is not None:
        query = query.where(job.c.created < created_before)
    for tag in set(tags or ()):
        tagged = select(job_tag.c.number).where(job_tag.c.rack == rack, job_tag.c.tag == tag)
        query = query.where(job.c.number.in_(tagged))
    query = query.order_by(job.c.number.desc() if newest_first else job.c.number)
    # SQLite knows no OFFSET without a LIMIT, PostgreSQL no negative one.
    query = query.limit((1 << 62) if limit is None else limit).offset(skip)
    return [(number, _decode(data)) for number, data in connection.execute(query)]


def beginning_with(connection: Connection, rack: str, start: str, limit: int) -> list[JobInfo]:
    """Return the newest jobs whose ids begin with ``start``, ``limit`` at most."""
    # neither LIKE, which SQLite reads without regard to case, nor a range, which a collation may order otherwise
    query = select(job.c.info).where(_HERE, func.substr(job.c.job_id, 1, len(start)) == start)
    query = query.order_by(job.c.number.desc()).limit(limit)
    return [_decode(data) for data in connection.execute(query, {"r": rack}).scalars()]


def unfinished(connection: Connection, rack: str) -> list[JobInfo]:
    """Return every job that has not ended, by priority, highest first, then by order of submission."""
    return [_decode(data) for data in connection.execute(_UNFINISHED, {"r": rack}).scalars()]


def save_chunk(
    connection: Connection, rack: str, job_id: str, index: int, data: bytes, now: float, entries: Iterable[JobLogEntry]
) -> JobInfo:
    """Store chunk ``index`` in place of an older one of that index, and count ``chunks_done`` again.

    Raises :class:`NotFoundError`, and :class:`IllegalStepError` for a job that has ended.
    """
    number, old = _find(connection, rack, job_id)
    if old.state in FINAL_STATES:
        raise IllegalStepError("takes no chunk, it has ended", subject=f"job {job_id}", value=old.state.value)
    here = {"r": rack, "n": number}
    connection.execute(_DELETE_CHUNK, {**here, "k": index})
    connection.execute(insert(chunk), {"rack": rack, "number": number, "index": index, "saved": now, "data": data})
    _add_log(connection, rack, number, entries)
    done = connection.execute(_COUNT_CHUNKS, here).scalar_one()
    new = msgspec.structs.replace(old, chunks_done=done)
    _UPDATE.run(connection, {**here, **_columns(new)})
    return new


def log(connection: Connection, rack: str, job_id: str) -> list[JobLogEntry]:
    """Return what was written down about a job, in order. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    return [JobLogEntry(*row) for row in connection.execute(_LOG, {"r": rack, "n": number})]


def chunks(connection: Connection, rack: str, job_id: str) -> dict[int, bytes]:
    """Return the chunks of a job that are there, by index. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    return {row[0]: row[1] for row in connection.execute(_CHUNKS, {"r": rack, "n": number})}


def one_chunk(connection: Connection, rack: str, job_id: str, index: int) -> bytes | None:
    """Return one chunk of a job, None when it is not there. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    query = _CHUNKS.where(chunk.c.index == bindparam("k"))
    row = connection.execute(query, {"r": rack, "n": number, "k": index}).one_or_none()
    return None if row is None else row[1]


def put_result(connection: Connection, rack: str, job_id: str, data: bytes) -> None:
    """Store the result of a job. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    _INSERT_RESULT.run(connection, {"rack": rack, "number": number, "data": data})


def get_payload(connection: Connection, rack: str, job_id: str) -> bytes:
    """Return what was submitted. Raises :class:`NotFoundError`."""
    return _blob(connection, rack, job_id, payload)


def get_result(connection: Connection, rack: str, job_id: str) -> bytes:
    """Return what a job brought back. Raises :class:`NotFoundError`."""
    return _blob(connection, rack, job_id, result)


def _add_log(connection: Connection, rack: str, number: int, entries: Iterable[JobLogEntry]) -> None:
    for entry in entries:
        _INSERT_LOG.run(connection, {"r": rack, "n": number, **msgspec.structs.asdict(entry)})


def _blob(connection: Connection, rack: str, job_id: str, table: Table) -> bytes:
    number, info = _find(connection, rack, job_id)
    query = select(table.c.data).where(table.c.rack == _RACK, table.c.number == _NUMBER)
    data: bytes | None = connection.execute(query, {"r": rack, "n": number}).scalar()
    if data is None:
        raise NotFoundError(f"the job has no {table.name}, it is {info.state}", subject=f"job {job_id}")
    return data


def _find(connection: Connection, rack: str, job_id: str) -> tuple[int, JobInfo]:
    row = _BY_ID.run(connection, {"r": rack, "i": job_id}).fetchone()
    if row is None:
        raise NotFoundError("no such job", subject=f"rack {rack}", value=job_id)
    number, data = row
    return number, _decode(data)


def _decode(data: bytes) -> JobInfo:
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise IncompatibleError(f"a job in the store that this version does not read: {error}") from error


def _columns(info: JobInfo) -> dict[str, object]:
    return {
        "owner": info.owner,
        "state": info.state.value,
        "priority": info.priority,
        "created": info.created,
        "name": info.name,
        "info": _encode(info),
    }


def _tag_rows(rack: str, number: int, tags: tuple[str, ...]) -> list[dict[str, object]]:
    return [{"rack": rack, "number": number, "tag": tag} for tag in dict.fromkeys(tags)]
