"""What a decision of the queue costs with 10,000 jobs in it, and what a store of 100,000 jobs costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.figures import Figure, limit
from pulsed.daemon.jobs.scheduler import Scheduler
from pulsed.daemon.jobs.usage import Usage
from pulsed.model.job import JobInfo, JobState
from pulsed.model.policies import Sharing
from pulsed.store.store import Store

QUEUED, USERS = 10_000, 20
STORED, PAGE = 100_000, 100
NOW = 1.8e9
_ROUNDS = 500


def run() -> Iterator[Figure]:
    """Yield CPU times, which others on the machine do not disturb, but for the store: there it is the time."""
    queue = filled()
    yield limit(
        f"next turn among {QUEUED} jobs of {USERS} users",
        1e6 * each(lambda: queue.peek(NOW), _ROUNDS),
        "us",
        at_most=50,
    )
    yield limit("place in that queue", 1e6 * each(lambda: queue.position("5000", NOW), _ROUNDS), "us", at_most=100)
    yield limit("whole order of that queue", 1e3 * each(lambda: queue.order(NOW), 5), "ms", at_most=50)
    yield limit("a job through that queue, its decisions included", 1e6 * each(turn(queue), _ROUNDS), "us", at_most=150)
    with tempfile.TemporaryDirectory() as directory:
        yield from _store(Path(directory))


def each(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds of ``work``: the median of ten times ``rounds``."""
    found = []
    for _ in range(10):
        began = time.process_time()
        for _ in range(rounds):
            work()
        found.append((time.process_time() - began) / rounds)
    return median(found)


def filled() -> Scheduler:
    """Return a queue of jobs of several users and priorities, of whom each has used something."""
    queue, random = Scheduler(Sharing(), Usage(86400.0)), Random(1)
    for user in range(USERS):
        queue.usage.charge(f"u{user}", random.uniform(0, 1e4), 0, NOW)
    for number in range(QUEUED):
        queue.add(
            f"{number}", random.choice((0, 0, 0, 1)), user=f"u{number % USERS}", created=NOW - random.uniform(0, 1e4),
            seconds=random.uniform(1, 60),
        )  # fmt: skip
    return queue


def turn(queue: Scheduler) -> Callable[[], None]:
    """Return a function that takes a job in, and another one through its turn."""
    number, now = QUEUED, NOW

    def one() -> None:
        nonlocal number, now
        number, now = number + 1, now + 10.0
        queue.add(f"{number}", 0, user=f"u{number % USERS}", created=now, seconds=10.0)
        job_id = queue.take_to_compile(now)
        assert job_id is not None
        queue.compiled(job_id, 10.0)
        assert queue.take_to_play(now) == job_id
        job = queue.job(job_id)
        assert job is not None
        queue.usage.charge(job.user, 10.0, 0, now)
        queue.remove(job_id)

    return one


def _store(directory: Path) -> Iterator[Figure]:
    store = Store(f"sqlite:///{directory / 'pulsed.sqlite'}", "sim5")
    store.open(time.time(), "benchmark")
    for first in range(0, STORED, 1000):
        store.add_jobs([(_ended(number), b"payload") for number in range(first, first + 1000)], time.time())
    store.close()
    began = time.perf_counter()
    store = Store(f"sqlite:///{directory / 'pulsed.sqlite'}", "sim5")
    store.open(time.time(), "benchmark")
    store.usage(), store.queue_control(), store.unended_sessions(), store.unfinished_sizes()
    jobs = store.unfinished()
    queue = Scheduler(Sharing(), Usage(86400.0))
    for info in jobs:
        queue.add(info.job_id, info.priority, user=info.owner, created=info.created, seconds=1.0)
    started = time.perf_counter() - began
    yield limit(f"start with {STORED} jobs in the store, {len(jobs)} of them waiting", started, "s", at_most=2)
    newest = {"newest": {}, "of a user": {"owner": "u3"}, "of a state": {"state": JobState.QUEUED},
              "of a session": {"session_id": "s7"}}  # fmt: skip
    for name, conditions in newest.items():
        pages = []
        for _ in range(20):
            began = time.perf_counter()
            assert store.page(STORED // 2, limit=PAGE, **conditions)[0]  # type: ignore[arg-type]
            pages.append(time.perf_counter() - began)
        yield limit(f"a page of {PAGE} jobs {name}", 1e3 * median(pages), "ms", at_most=50)
    began = time.perf_counter()
    assert store.count(owner="u3") == STORED // USERS
    yield limit("how many jobs a user has", 1e3 * (time.perf_counter() - began), "ms", at_most=50)
    store.close()


def _ended(number: int) -> JobInfo:
    waits = number >= STORED - QUEUED or number % 50 == 0
    session_id = f"s{number % 100}" if number % 3 == 0 else ""
    state = JobState.QUEUED if waits else JobState.DONE
    return JobInfo(f"job-{number}", "sim5", state, f"u{number % USERS}", NOW + number, 1, session_id=session_id)
