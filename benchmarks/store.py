"""The store: durable submissions against bare inserts, and calibration sets in a small and a big store."""

from __future__ import annotations

import itertools
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, cost, limit, paired, rate
from benchmarks.references import DurableInserts
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.job import JobInfo, JobState
from pulsed.store import Store

PAYLOAD = b"\x5a" * 2048
"""About a Bell circuit as QPY."""
ONE_BY_ONE, GROUPS, GROUP, WARM_UP = 40, 4, 100, 40
VALUES, FEW_SETS, MANY_SETS = 500, 100, 3000


def run() -> Iterator[Figure]:
    """Measure everything. The files lie where the system keeps what is on a disk and not in memory."""
    disk = "/var/tmp" if Path("/var/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pulsed-bench-", dir=disk) as name:
        directory = Path(name)
        yield from _submissions(directory)
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
    yield rate("durable submissions, one by one", pair, work=ONE_BY_ONE, unit="jobs/s", at_least=0.5)
    ours_grouped = iter([[jobs(GROUP) for _ in range(GROUPS)] for _ in range(pairs + 1)])
    theirs_grouped = iter([[rows(GROUP) for _ in range(GROUPS)] for _ in range(pairs + 1)])
    pair = paired(
        lambda: [store.add_jobs(group, 0.0) for group in next(ours_grouped)],
        lambda: bare.grouped(next(theirs_grouped)),
        pairs,
    )
    yield rate("durable submissions, groups of 100", pair, work=GROUPS * GROUP, unit="jobs/s", at_least=0.7)
    store.close()
    bare.close()


def _calibrations(directory: Path) -> Iterator[Figure]:
    few, many = _open(directory / "few.db"), _open(directory / "many.db")
    few_ids, many_ids = _fill(few, FEW_SETS), _fill(many, MANY_SETS)
    # A step that no count of sets divides: every depth between two sets stored whole has its turn.
    some_few, some_many = (itertools.cycle(ids[::-7]) for ids in (few_ids, many_ids))
    pair = paired(
        lambda: [many.calibration(next(some_many)) for _ in range(10)],
        lambda: [few.calibration(next(some_few)) for _ in range(10)],
    )
    yield cost(f"show one of {MANY_SETS} sets over {FEW_SETS} sets", pair, scale=100, unit="ms", at_most=2)
    times_few = itertools.cycle(range(0, FEW_SETS, 7))
    times_many = itertools.cycle(range(0, MANY_SETS, 7))
    pair = paired(
        lambda: [many.calibration_as_of(next(times_many)) for _ in range(10)],
        lambda: [few.calibration_as_of(next(times_few)) for _ in range(10)],
    )
    yield cost(f"as of a time, {MANY_SETS} sets over {FEW_SETS} sets", pair, scale=100, unit="ms", at_most=2)
    few.close()
    many.close()
    sizes = [(directory / name).stat().st_size for name in ("few.db", "many.db")]
    changed = (MANY_SETS - FEW_SETS) * len(msgspec.msgpack.encode(_value(0)))
    yield limit("bytes stored per byte changed", (sizes[1] - sizes[0]) / changed, "bytes", at_most=12)


def _fill(store: Store, count: int) -> list[str]:
    calibration = CalibrationSet("bench", {f"Q{i}.parameter": _value(i) for i in range(VALUES)}, created="0")
    ids = []
    for i in range(count):
        calibration = calibration.with_values({f"Q{i % VALUES}.parameter": _value(i + VALUES)}, created=str(i))
        ids.append(store.put_calibration(calibration, float(i)))
        store.set_current_calibration(ids[-1], float(i))
    return ids


def _value(i: int) -> Value:
    return Value(4.9e9 + i, "Hz", 1e3, "2026-11-21T10:00:00Z", "ramsey", f"run-{i:08d}")


def _job() -> JobInfo:
    return JobInfo(uuid.uuid4().hex, "bench", JobState.QUEUED, "someone", created=0.0, num_programs=1)


def _open(path: Path) -> Store:
    store = Store(f"sqlite:///{path}", "bench", lease_seconds=1e9)
    store.open(0.0, "benchmark")
    return store
