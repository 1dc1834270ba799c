"""The daemon forgets what its configuration says, in small steps, and goes on when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pulsed.daemon import retention
from pulsed.daemon.retention import AT_ONCE, RetentionKeeper, prune
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.errors import StoreError
from pulsed.model.job import JobInfo, JobState, PrunedJobs
from pulsed.model.policies import Retention
from pulsed.store.store import Store

DAY = 86400.0


@contextlib.asynccontextmanager
async def filled(home: Path, ages: list[float]) -> Any:
    """Give a thread with jobs that ended so many days ago."""
    store = Store(f"sqlite:///{home}/pulsed.db", "sim5")
    store.open(0.0, "me")
    now = time.time()
    new = [(JobInfo(f"j{k}", "sim5", JobState.QUEUED, "me", now - age * DAY), bytes(90)) for k, age in enumerate(ages)]
    store.add_jobs(new, now)
    for info, _ in new:
        store.step(info.job_id, JobState.CANCELLED, now)
    thread = StoreThread(store)
    thread.start()
    yield thread
    await thread.stop()
    store.close()


async def once(thread: StoreThread, plan: Retention, until: Callable[[list[JobInfo]], bool]) -> list[JobInfo]:
    """Let a keeper run until the jobs are as they shall be, and return them."""
    task = asyncio.create_task(RetentionKeeper(plan, thread).run())
    try:
        async with asyncio.timeout(60):
            while not until(found := await thread.call(Store.jobs)):
                await asyncio.sleep(0.01)
        return found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_plan_is_carried_out(tmp_path: Path) -> None:
    async with filled(tmp_path, [1.0, 10.0, 100.0]) as thread:
        plan = Retention(results=5.0, jobs=50.0)
        old, young = await once(thread, plan, lambda jobs: len(jobs) == 2 and any(job.pruned for job in jobs))
        assert (young.job_id, young.pruned) == ("j0", None)
        assert (old.job_id, old.pruned) == ("j1", pytest.approx(time.time(), abs=60))
        await once(thread, Retention(size=50), lambda jobs: all(job.pruned for job in jobs))


async def test_many_go_in_small_steps_and_a_dry_run_counts_them(tmp_path: Path) -> None:
    count = 2 * AT_ONCE + 1
    async with filled(tmp_path, [10.0] * count) as thread:
        wanted = PrunedJobs(jobs=count, bytes=90 * count)
        arguments: Any = {"results": float("-inf"), "jobs": time.time(), "keep": ()}
        assert await prune(thread, **arguments, dry=True) == wanted
        assert len(await thread.call(Store.jobs, limit=None)) == count
        assert await prune(thread, **arguments, dry=False) == wanted
        assert await thread.call(Store.jobs, limit=None) == []


async def test_a_store_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY", 0.001)
    asked = 0

    class Failing:
        async def call_patiently(self, *_: Any, **__: Any) -> Any:
            nonlocal asked
            asked += 1
            raise StoreError("disk I/O error")

    task = asyncio.create_task(RetentionKeeper(Retention(jobs=1.0), Failing()).run())  # type: ignore[arg-type]
    for _ in range(1000):
        await asyncio.sleep(0.005)
        if asked > 2:
            break
    assert asked > 2
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_nothing_is_deleted_unless_it_was_asked_for() -> None:
    assert not Retention().deletes
    assert all(Retention(**{name: 1}).deletes for name in ("results", "jobs", "size"))
