"""Jobs: functions on one connection, within the transaction that the caller has opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypedDict

import msgspec
from sqlalchemy import (
    BindParameter,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from pulsed.model.errors import (
    ErrorInfo,
    IllegalStepError,
    IncompatibleError,
    InvalidValueError,
    NotAllowedError,
    NotFoundError,
    StoreError,
)
from pulsed.model.job import FINAL_STATES, JobInfo, JobLogEntry, JobState, check_step
from pulsed.store.engine import Prepared
from pulsed.store.tables import chunk, job, job_log, job_session, job_tag, payload, pruned_job, result


class Changes(TypedDict, total=False):
    """What may change in a job, beside its state. ``times`` adds to what is there, the others replace."""

    error: ErrorInfo | None
    times: dict[str, float]
    chunks: int
    chunks_done: int
    result_chunks: int
    attempts: int
    stops: int
    calibration_id: str
    name: str
    tags: tuple[str, ...]
    log: tuple[JobLogEntry, ...]
    """What is added to its log; no field of the job itself."""


class JobStep(NamedTuple):
    """One step of a job: to a state (None: it stays), when (Unix time), and what changes with it."""

    state: JobState | None
    now: float
    changes: Changes


encode_info = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(JobInfo)

_RACK: BindParameter[str] = bindparam("r")
_NUMBER: BindParameter[int] = bindparam("n")
_HERE = job.c.rack == _RACK
_LAST = Prepared(select(func.max(job.c.number)).where(_HERE))
_BY_ID = Prepared(select(job.c.number, job.c.info).where(_HERE, job.c.job_id == bindparam("i")))
_WHEN_PRUNED = Prepared(
    select(pruned_job.c.pruned).where(pruned_job.c.rack == _RACK, pruned_job.c.job_id == bindparam("i"))
)
_BY_IDS = select(job.c.job_id, job.c.info).where(_HERE, job.c.job_id.in_(bindparam("ids", expanding=True)))
_INSERT_JOB, _INSERT_TAG, _INSERT_MEMBER, _INSERT_PAYLOAD, _INSERT_RESULT = (
    Prepared(insert(table)) for table in (job, job_tag, job_session, payload, result)
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
_DELETE_BEYOND = _CHUNKS_HERE.where(chunk.c.index >= bindparam("k"))
_COUNT_CHUNKS = select(func.count()).select_from(chunk).where(chunk.c.rack == _RACK, chunk.c.number == _NUMBER)
_CHUNKS = select(chunk.c.index, chunk.c.data).where(chunk.c.rack == _RACK, chunk.c.number == _NUMBER)
_CHUNK_NUMBERS = select(chunk.c.index).where(chunk.c.rack == _RACK, chunk.c.number == _NUMBER).order_by(chunk.c.index)
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
    answers, rows, tags, members, payloads = [], [], [], [], []
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
            if info.session_id:
                members.append({"rack": rack, "session_id": info.session_id, "number": number})
        elif stored.owner != info.owner:
            raise NotAllowedError("this job id belongs to another owner", subject=f"job {info.job_id}")
        answers.append(stored)
    if rows:
        _INSERT_JOB.run_many(connection, rows)
        _INSERT_PAYLOAD.run_many(connection, payloads)
    if tags:
        _INSERT_TAG.run_many(connection, tags)
    if members:
        _INSERT_MEMBER.run_many(connection, members)
    return answers


def by_ids(connection: Connection, rack: str, ids: Iterable[str]) -> dict[str, JobInfo]:
    """Return those of ``ids`` that are there."""
    rows = connection.execute(_BY_IDS, {"r": rack, "ids": list(ids)})
    return {row.job_id: decode_info(row.info) for row in rows}


def change(connection: Connection, rack: str, job_id: str, steps: Sequence[JobStep]) -> JobInfo:
    """Take ``steps`` one after the other; a final state at their end deletes chunks that are no result.

    Raises :class:`NotFoundError`, :class:`IllegalStepError` or :class:`InvalidValueError`; then nothing changes.
    """
    return _change(connection, rack, *_find(connection, rack, job_id), steps)


def _change(connection: Connection, rack: str, number: int, old: JobInfo, steps: Sequence[JobStep]) -> JobInfo:
    new = old
    for step in steps:
        new = _after(new, step)
    _add_log(connection, rack, number, [entry for step in steps for entry in step.changes.get("log", ())])
    _UPDATE.run(connection, {"r": rack, "n": number, **_columns(new)})
    if new.tags != old.tags:
        connection.execute(_DELETE_TAGS, {"r": rack, "n": number})
        if new.tags:
            _INSERT_TAG.run_many(connection, _tag_rows(rack, number, new.tags))
    if steps[-1].state in FINAL_STATES and new.result_chunks:
        connection.execute(_DELETE_BEYOND, {"r": rack, "n": number, "k": new.result_chunks})
    elif steps[-1].state in FINAL_STATES:
        _DELETE_CHUNKS.run(connection, {"r": rack, "n": number})
    return new


def _after(old: JobInfo, step: JobStep) -> JobInfo:
    unknown = step.changes.keys() - Changes.__annotations__.keys()
    if unknown:
        legal = ", ".join(Changes.__annotations__)
        raise InvalidValueError("this cannot change", subject=f"job {old.job_id}", value=min(unknown), legal=legal)
    values: dict[str, Any] = {name: value for name, value in step.changes.items() if name != "log"}
    times = {**old.times, **step.changes.get("times", {})}
    if step.state is not None:
        check_step(old.job_id, old.state, step.state)
        times[step.state.value] = step.now
        values["state"] = step.state
    return msgspec.structs.replace(old, **{**values, "times": times})


def get(connection: Connection, rack: str, job_id: str) -> JobInfo:
    """Return one job. Raises :class:`NotFoundError`."""
    return _find(connection, rack, job_id)[1]


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
    _put_chunk(connection, rack, number, index, data, now)
    _add_log(connection, rack, number, entries)
    done = connection.execute(_COUNT_CHUNKS, here).scalar_one()
    new = msgspec.structs.replace(old, chunks_done=done)
    _UPDATE.run(connection, {**here, **_columns(new)})
    return new


def _put_chunk(connection: Connection, rack: str, number: int, index: int, data: bytes, now: float) -> None:
    connection.execute(_DELETE_CHUNK, {"r": rack, "n": number, "k": index})
    connection.execute(insert(chunk), {"rack": rack, "number": number, "index": index, "saved": now, "data": data})


def finish(
    connection: Connection,
    rack: str,
    job_id: str,
    data: bytes,
    last: tuple[int, bytes] | None,
    steps: Sequence[JobStep],
) -> JobInfo:
    """Store the result and take ``steps``, the last one to DONE; with ``result_chunks`` the chunks are part of it.

    Raises :class:`NotFoundError`, :class:`IllegalStepError`, and :class:`StoreError` when one of them is missing.
    """
    number, old = _find(connection, rack, job_id)
    if last is not None:
        _put_chunk(connection, rack, number, *last, steps[-1].now)
    info = _change(connection, rack, number, old, steps)
    if info.result_chunks:
        found = connection.execute(_COUNT_CHUNKS, {"r": rack, "n": number}).scalar_one()
        if found != info.result_chunks:
            raise StoreError(
                "a chunk of the result is missing", subject=f"job {job_id}", value=found, legal=info.result_chunks
            )
    _INSERT_RESULT.run(connection, {"rack": rack, "number": number, "data": data})
    return info


def log(connection: Connection, rack: str, job_id: str) -> list[JobLogEntry]:
    """Return what was written down about a job, in order. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    return [JobLogEntry(*row) for row in connection.execute(_LOG, {"r": rack, "n": number})]


def chunk_numbers(connection: Connection, rack: str, job_id: str) -> list[int]:
    """Return which chunks of a job are there, in order. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    return list(connection.execute(_CHUNK_NUMBERS, {"r": rack, "n": number}).scalars())


def one_chunk(connection: Connection, rack: str, job_id: str, index: int) -> bytes | None:
    """Return one chunk of a job, None when it is not there. Raises :class:`NotFoundError`."""
    number, _ = _find(connection, rack, job_id)
    query = _CHUNKS.where(chunk.c.index == bindparam("k"))
    row = connection.execute(query, {"r": rack, "n": number, "k": index}).one_or_none()
    return None if row is None else row[1]


def get_payload(connection: Connection, rack: str, job_id: str) -> bytes:
    """Return what was submitted. Raises :class:`NotFoundError`."""
    return _blob(connection, rack, job_id, payload)


def get_result(connection: Connection, rack: str, job_id: str) -> bytes:
    """Return what a job brought back. Raises :class:`NotFoundError`."""
    return _blob(connection, rack, job_id, result)


def _add_log(connection: Connection, rack: str, number: int, entries: Iterable[JobLogEntry]) -> None:
    rows = [{"r": rack, "n": number, **msgspec.structs.asdict(entry)} for entry in entries]
    if rows:
        _INSERT_LOG.run_many(connection, rows)


def _blob(connection: Connection, rack: str, job_id: str, table: Table) -> bytes:
    number, info = _find(connection, rack, job_id)
    query = select(table.c.data).where(table.c.rack == _RACK, table.c.number == _NUMBER)
    data: bytes | None = connection.execute(query, {"r": rack, "n": number}).scalar()
    if data is None and info.pruned is not None:
        raise _pruned(f"the {table.name} was deleted by the retention of the daemon", job_id, info.pruned)
    if data is None:
        raise NotFoundError(f"the job has no {table.name}, it is {info.state}", subject=f"job {job_id}")
    return data


def _pruned(message: str, job_id: str, when: float) -> NotFoundError:
    moment = datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds")
    return NotFoundError(message, subject=f"job {job_id}", value=f"on {moment}")


def _find(connection: Connection, rack: str, job_id: str) -> tuple[int, JobInfo]:
    row = _BY_ID.run(connection, {"r": rack, "i": job_id}).fetchone()
    if row is None:
        gone = _WHEN_PRUNED.run(connection, {"r": rack, "i": job_id}).fetchone()
        if gone is not None:
            raise _pruned("the job was forgotten by the retention of the daemon", job_id, gone[0])
        raise NotFoundError("no such job", subject=f"rack {rack}", value=job_id)
    number, data = row
    return number, decode_info(data)


def decode_info(data: bytes) -> JobInfo:
    """Return a job as it is stored. Raises :class:`IncompatibleError`."""
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
        "info": encode_info(info),
    }


def _tag_rows(rack: str, number: int, tags: tuple[str, ...]) -> list[dict[str, object]]:
    return [{"rack": rack, "number": number, "tag": tag} for tag in dict.fromkeys(tags)]
