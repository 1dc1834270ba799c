"""The store: durable submissions against bare inserts, and calibration sets in a small and a big store."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import sys
import tempfile
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
from sqlalchemy import Table, insert, select

from benchmarks.figures import Figure, cost, limit, paired, rate
from benchmarks.references import DurableInserts
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.job import JobInfo, JobState
from pulsed.store import Store
from pulsed.store.tables import (
    calibration_change,
    calibration_commit,
    calibration_current,
    calibration_history,
    calibration_set,
)
from pulsed.testing import postgres

TABLES = (calibration_set, calibration_change, calibration_current, calibration_commit, calibration_history)
PAYLOAD = b"\x5a" * 2048
"""About a Bell circuit as QPY."""
ONE_BY_ONE, GROUPS, GROUP, WARM_UP = 40, 4, 100, 40
VALUES, FEW_SETS, MANY_SETS, AT_ONCE = 500, 100, 100_000, 2000


def run() -> Iterator[Figure]:
    """Measure everything. The files lie where the system keeps what is on a disk and not in memory."""
    disk = "/var/tmp" if Path("/var/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pulsed-bench-", dir=disk) as name:
        directory = Path(name)
        yield from _submissions(directory)
        yield from _on_postgresql()
        yield from _calibrations(directory)


def _submissions(directory: Path) -> Iterator[Figure]:
    store, bare = _open(directory / "ours.db"), DurableInserts(directory)
    encode = msgspec.msgpack.Encoder().encode

    def jobs(count: int) -> list[tuple[JobInfo, bytes]]:
        return [(_job(), PAYLOAD) for _ in range(count)]

    def rows(count: int) -> list[tuple[str, bytes]]:
        return [(info.job_id, encode(info) + data) for info, data in jobs(count)]

    # A log that still grows costs more with each commit than one that has reached its length.
    for _ in range(WARM_UP):
        store.add_jobs(jobs(GROUP), 0.0)
        bare.grouped([rows(GROUP)])
    # Drawn up beforehand: making ids and structs is no part of storing them.
    pairs = 25
    ours = iter([jobs(ONE_BY_ONE) for _ in range(pairs + 1)])
    theirs = iter([rows(ONE_BY_ONE) for _ in range(pairs + 1)])
    pair = paired(
        lambda: [store.add_jobs([one], 0.0) for one in next(ours)], lambda: bare.one_by_one(next(theirs)), pairs
    )
    yield rate("durable submissions, one by one", pair, work=ONE_BY_ONE, unit="jobs/s", at_least=0.6)
    ours_grouped = iter([[jobs(GROUP) for _ in range(GROUPS)] for _ in range(pairs + 1)])
    theirs_grouped = iter([[rows(GROUP) for _ in range(GROUPS)] for _ in range(pairs + 1)])
    pair = paired(
        lambda: [store.add_jobs(group, 0.0) for group in next(ours_grouped)],
        lambda: bare.grouped(next(theirs_grouped)),
        pairs,
    )
    yield rate("durable submissions, groups of 100", pair, work=GROUPS * GROUP, unit="jobs/s", at_least=1.0)
    store.close()
    bare.close()


def _on_postgresql() -> Iterator[Figure]:
    """Compare submissions with those to SQLite, both in the system's temporary directory."""
    if why := postgres.missing():
        print(f"submissions to PostgreSQL are left out: {why}", file=sys.stderr)
        return
    server = postgres.PostgresServer()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        url = stack.enter_context(server.database())
        ours = Store(url, "bench", lease_seconds=1e9)
        ours.open(0.0, "benchmark")
        with tempfile.TemporaryDirectory() as name:
            reference = _open(Path(name) / "sqlite.db")
            for at_once in (1, GROUP):

                def submit(store: Store, at_once: int = at_once) -> None:
                    for _ in range(GROUP // at_once):
                        store.add_jobs([(_job(), PAYLOAD) for _ in range(at_once)], 0.0)

                pair = paired(partial(submit, ours), partial(submit, reference), 25)
                yield rate(
                    f"submissions to PostgreSQL over SQLite, {at_once} at once", pair, work=GROUP, unit="jobs/s",
                    at_least=0.5,
                )  # fmt: skip
            reference.close()
        ours.close()


def _calibrations(directory: Path) -> Iterator[Figure]:
    few, many = _open(directory / "few.db"), _open(directory / "many.db")
    few_ids, many_ids = _fill(few, FEW_SETS), _fill_in_bulk(many, MANY_SETS)
    _check_alike(few, many)
    # A step that no count of sets divides: every depth between two sets stored whole has its turn.
    some_few, some_many = itertools.cycle(few_ids[::-7]), itertools.cycle(many_ids[::-977])
    pair = paired(
        lambda: [many.calibration(next(some_many)) for _ in range(10)],
        lambda: [few.calibration(next(some_few)) for _ in range(10)],
    )
    yield cost(f"show one of {MANY_SETS} sets over {FEW_SETS} sets", pair, scale=100, unit="ms", at_most=2)
    times_few = itertools.cycle(range(0, FEW_SETS, 7))
    times_many = itertools.cycle(range(0, MANY_SETS, 977))
    pair = paired(
        lambda: [many.calibration_as_of(next(times_many)) for _ in range(10)],
        lambda: [few.calibration_as_of(next(times_few)) for _ in range(10)],
    )
    yield cost(f"as of a time, {MANY_SETS} sets over {FEW_SETS} sets", pair, scale=100, unit="ms", at_most=2)
    pair = paired(lambda: many.calibration_log(20), lambda: few.calibration_log(20))
    yield cost(f"log of {MANY_SETS} sets over {FEW_SETS} sets", pair, scale=1000, unit="ms", at_most=2)
    pair = paired(lambda: _commit_one(many), lambda: _commit_one(few), 15)
    yield cost(f"commit beside {MANY_SETS} sets over {FEW_SETS} sets", pair, scale=1000, unit="ms", at_most=2)
    few.close()
    many.close()
    sizes = [(directory / name).stat().st_size for name in ("few.db", "many.db")]
    changed = (MANY_SETS - FEW_SETS) * len(msgspec.msgpack.encode(_value(0)))
    yield limit("bytes stored per byte changed", (sizes[1] - sizes[0]) / changed, "bytes", at_most=12)


def _family() -> Iterator[CalibrationSet]:
    """Yield a set and its descendants, each of which changes one value. The dictionary of values is the same one."""
    values = {f"Q{i}.parameter": _value(i) for i in range(VALUES)}
    parent = None
    for i in itertools.count():
        values[f"Q{i % VALUES}.parameter"] = _value(i + VALUES)
        calibration = CalibrationSet("bench", values, str(i), parent)
        parent = calibration.calibration_id
        yield calibration


def _fill(store: Store, count: int) -> list[str]:
    ids = []
    for i, calibration in zip(range(count), _family(), strict=False):
        ids.append(store.put_calibration(calibration, float(i)))
        store.set_current_calibration(ids[-1], float(i))
    return ids


def _fill_in_bulk(store: Store, count: int) -> list[str]:
    """Write the rows that the store itself would: :func:`_check_alike` holds them against its own."""
    encode, ids = msgspec.msgpack.Encoder().encode, []
    rows: dict[Table, list[dict[str, object]]] = {table: [] for table in TABLES}
    base, weight = 1, 0
    for i, (calibration, calibration_id) in zip(range(count), _with_ids(), strict=False):
        number, name = i + 1, f"Q{i % VALUES}.parameter"
        key = {"rack": "bench", "number": number}
        whole = {n: encode(value) for n, value in calibration.values.items()} if i == 0 else {}
        if i and 2 * (weight + 1) <= 3 * VALUES:
            weight += 1
            changes = {name: encode(calibration.values[name])}
        else:
            base, weight = number, VALUES
            changes = {n: encode(value) for n, value in calibration.values.items()}
        new = whole or {name: encode(calibration.values[name])}
        rows[calibration_set].append(
            key | {"calibration_id": calibration_id, "parent": i or None, "base": base, "weight": weight,
                   "stored": float(i), "head": encode(msgspec.structs.replace(calibration, values={}))}
        )  # fmt: skip
        rows[calibration_change] += [key | {"name": n, "value": value} for n, value in changes.items()]
        rows[calibration_current].append(key | {"since": float(i), "calibration": number})
        rows[calibration_commit].append(key | {"by": "", "why": "", "changed": encode(tuple(sorted(new)))})
        rows[calibration_history] += [key | {"name": n, "value": value} for n, value in new.items()]
        ids.append(calibration_id)
        if len(ids) % AT_ONCE == 0 or len(ids) == count:
            with store._write() as connection:
                for table, some in rows.items():
                    connection.execute(insert(table), some)
                    some.clear()
    return ids


def _with_ids() -> Iterator[tuple[CalibrationSet, str]]:
    """Yield the sets of :func:`_family`; their ids are hashed from pieces of JSON that are kept."""
    values = {f"Q{i}.parameter": _value(i) for i in range(VALUES)}
    order = sorted(values)
    place = {name: k for k, name in enumerate(order)}

    def piece(name: str) -> bytes:
        return msgspec.json.encode(name) + b":" + msgspec.json.encode(values[name])

    pieces = [piece(name) for name in order]
    parent: str | None = None
    for i in itertools.count():
        name = f"Q{i % VALUES}.parameter"
        values[name] = _value(i + VALUES)
        pieces[place[name]] = piece(name)
        calibration = CalibrationSet("bench", values, str(i), parent)
        head, tail = _text(msgspec.structs.replace(calibration, values={})).split(b"{}", 1)
        parent = hashlib.sha256(head + b"{" + b",".join(pieces) + b"}" + tail).hexdigest()[:16]
        yield calibration, parent


def _text(calibration: CalibrationSet) -> bytes:
    text = msgspec.json.encode(calibration, order="deterministic")
    return text.removesuffix(b',"faults":{},"made_for":null}') + b"}"


def _check_alike(few: Store, many: Store) -> None:
    """Raise when the first rows of the two stores differ."""
    found = []
    for store in (few, many):
        with store._read() as connection:
            found.append([
                connection.execute(select(table).where(table.c.number <= FEW_SETS).order_by(*table.primary_key)).all()
                for table in TABLES
            ])  # fmt: skip
    if found[0] != found[1]:
        raise AssertionError("the store writes other rows than this benchmark")


def _commit_one(store: Store) -> None:
    current = store.current_calibration()
    assert current is not None
    new = current.with_values({"Q7.parameter": _value(len(current.created))}, current.created + "x")
    store.commit_calibration(store.put_calibration(new, 1e9), current.calibration_id, 1e9)


def _value(i: int) -> Value:
    return Value(4.9e9 + i, "Hz", 1e3, "2026-11-21T10:00:00Z", "ramsey", f"run-{i:08d}")


def _job() -> JobInfo:
    return JobInfo(uuid.uuid4().hex, "bench", JobState.QUEUED, "someone", created=0.0, num_programs=1)


def _open(path: Path) -> Store:
    store = Store(f"sqlite:///{path}", "bench", lease_seconds=1e9)
    store.open(0.0, "benchmark")
    return store
