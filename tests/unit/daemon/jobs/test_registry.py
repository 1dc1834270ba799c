"""What becomes of a job, and of the daemon, when the store does not take what it is given."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pulsed.daemon.jobs.registry import ActiveJob, JobRegistry
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.errors import JobFailedError, PulsedError, StoreError, StoreFullError
from pulsed.model.job import JobInfo, JobState
from pulsed.store.errors import LeaseLostError
from pulsed.store.store import Store

FULL = StoreFullError("there is no room for it on the disk of the store", subject="disk of /srv/pulsed")


class Failing:
    """A store that fails the method it is told, and takes all else."""

    def __init__(self, method: Any, error: Exception) -> None:
        self.method, self.error = method, error
        self.taken: list[str] = []

    def write(self, method: Any, *args: Any, **_: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        if method is self.method:
            future.set_exception(self.error)
        else:
            self.taken.append(f"{method.__name__} {args[1] if method is Store.step else ''}".strip())
            future.set_result(None)
        return future

    write_later = write


class Scene:
    def __init__(self, method: Any, error: Exception) -> None:
        self.store = Failing(method, error)
        self.failures: list[BaseException] = []
        self.told: list[Any] = []
        self.registry = JobRegistry(cast("StoreThread", self.store), lambda _: None, self.failures.append)

    def running(self, name: str) -> ActiveJob:
        job = ActiveJob(JobInfo(job_id=name, backend="sim5", state=JobState.RUNNING, owner="me", created=0.0))
        self.registry.enter(job)
        self.registry.wait(name, lambda info, outcome: self.told.append((info.state, outcome)))
        return job


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("error", [FULL, StoreError("database or disk is full")])
async def test_a_result_that_cannot_be_written_fails_its_job_alone(error: StoreError) -> None:
    scene = Scene(Store.finish, error)
    job, other = scene.running("large"), scene.running("other")
    scene.registry.finish(job, [b"result"])
    await settled()
    ((state, outcome),) = scene.told
    assert state is JobState.FAILED
    assert isinstance(outcome, JobFailedError)
    assert "could not be stored" in outcome.message
    assert error.message in outcome.message
    assert scene.store.taken == ["step failed"]
    assert scene.failures == []
    assert scene.registry.alive(other)


async def test_a_chunk_that_cannot_be_written_fails_its_job_alone() -> None:
    scene = Scene(Store.save_chunk, FULL)
    job = scene.running("large")
    scene.registry.keep(job, "chunk", scene.store.write(Store.save_chunk, "large", 0, b"", 0.0))
    await settled()
    assert job.info.state is JobState.FAILED
    assert scene.failures == []


@pytest.mark.parametrize(
    ("method", "error"),
    [(Store.step, FULL), (Store.step, LeaseLostError("another daemon owns the rack now")),
     (Store.finish, LeaseLostError("another daemon owns the rack now"))],
)  # fmt: skip
async def test_a_state_that_cannot_be_written_ends_the_daemon(method: Any, error: PulsedError) -> None:
    scene = Scene(method, error)
    job = scene.running("any")
    if method is Store.step:
        scene.registry.step(job, JobState.INTERRUPTED)
    else:
        scene.registry.finish(job, [b"result"])
    await settled()
    assert scene.failures == [error]


class Timed(Failing):
    """A store that takes all, and writes down what may wait."""

    def write_later(self, method: Any, *args: Any, **changes: Any) -> asyncio.Future[Any]:
        written = self.write(method, *args, **changes)
        self.taken[-1] += " later"
        return written


@pytest.mark.parametrize(
    ("resumed", "before", "written"),
    [(False, 0, "step running later"), (True, 0, "step running"), (False, 1, "step running")],
)
async def test_only_the_first_start_of_a_job_that_came_to_this_daemon_may_wait(
    resumed: bool, before: int, written: str
) -> None:
    """A job that ends the daemon each time has few attempts: from the second on they are counted before it plays."""
    scene = Scene(None, FULL)
    scene.store = Timed(None, FULL)
    registry = JobRegistry(cast("StoreThread", scene.store), lambda _: None, scene.failures.append)
    info = JobInfo(job_id="any", backend="sim5", state=JobState.READY, owner="me", created=0.0, attempts=before)
    job = ActiveJob(info, resumed=resumed)
    registry.enter(job)
    registry.step(job, JobState.RUNNING, attempts=before + 1)
    registry.step(job, JobState.INTERRUPTED)
    registry.step(job, JobState.CANCELLED)
    assert scene.store.taken == [written, "step interrupted later", "step cancelled"]
