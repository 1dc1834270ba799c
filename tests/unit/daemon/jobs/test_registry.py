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
    [(Store.steps, FULL), (Store.steps, LeaseLostError("another daemon owns the rack now")),
     (Store.finish, LeaseLostError("another daemon owns the rack now"))],
)  # fmt: skip
async def test_a_state_that_cannot_be_written_ends_the_daemon(method: Any, error: PulsedError) -> None:
    scene = Scene(method, error)
    job = scene.running("any")
    if method is Store.steps:
        scene.registry.step(job, JobState.INTERRUPTED)
    else:
        scene.registry.finish(job, [b"result"])
    await settled()
    assert scene.failures == [error]


class Timed(Failing):
    """A store that takes all, and writes down which steps may wait."""

    def __init__(self) -> None:
        super().__init__(None, FULL)
        self.late: list[Any] = []
        self.before: list[JobState | None] = []

    def write(self, method: Any, *args: Any, **changes: Any) -> asyncio.Future[Any]:
        if method is Store.finish:
            self.before = [step.state for step in args[4]]
        return super().write(method, *args, **changes)

    def write_later(self, method: Any, *args: Any, **changes: Any) -> asyncio.Future[Any]:
        assert method is Store.steps
        self.late.append(args[1])
        return self.write(method, *args, **changes)

    def steps(self) -> list[list[JobState | None]]:
        """Write what may wait, in the order of the orders."""
        return [[step.state for step in close()] for close in self.late]


def timed(state: JobState, attempts: int = 0, *, resumed: bool = False) -> tuple[Timed, JobRegistry, ActiveJob]:
    store = Timed()
    registry = JobRegistry(cast("StoreThread", store), lambda _: None, lambda _: None)
    info = JobInfo(job_id="any", backend="sim5", state=state, owner="me", created=0.0, attempts=attempts)
    job = ActiveJob(info, resumed=resumed)
    registry.enter(job)
    return store, registry, job


@pytest.mark.parametrize(
    ("resumed", "before", "written", "late"),
    [
        (False, 0, ["steps", "step cancelled"], [[JobState.RUNNING, JobState.INTERRUPTED]]),
        (True, 0, ["step running", "steps", "step cancelled"], [[JobState.INTERRUPTED]]),
        (False, 1, ["step running", "steps", "step cancelled"], [[JobState.INTERRUPTED]]),
    ],
)
async def test_only_the_first_start_of_a_job_that_came_to_this_daemon_may_wait(
    resumed: bool, before: int, written: list[str], late: list[list[JobState]]
) -> None:
    """A job that ends the daemon each time has few attempts: from the second on they are counted before it plays."""
    store, registry, job = timed(JobState.READY, before, resumed=resumed)
    registry.step(job, JobState.RUNNING, attempts=before + 1)
    registry.step(job, JobState.INTERRUPTED)
    registry.step(job, JobState.CANCELLED)
    assert store.taken == written
    assert store.steps() == late


async def test_steps_that_wait_are_written_with_the_result_unless_the_store_has_them() -> None:
    for taken in (False, True):
        store, registry, job = timed(JobState.QUEUED)
        registry.step(job, JobState.COMPILING)
        if taken:
            assert store.steps() == [[JobState.COMPILING]]
        registry.step(job, JobState.READY)
        registry.note(job, "refused", "cancel by another")
        registry.step(job, JobState.RUNNING)
        registry.finish(job, [b"result"])
        rest = [JobState.READY, None, JobState.RUNNING]
        assert store.before == (rest if taken else [JobState.COMPILING, *rest])
        assert store.steps() == ([[JobState.COMPILING], []] if taken else [[]])


async def test_what_comes_after_a_write_of_another_kind_is_written_after_it() -> None:
    store, registry, job = timed(JobState.READY)
    registry.step(job, JobState.RUNNING)
    registry.keep(job, "chunk", store.write(Store.save_chunk, "any", 0, b"", 0.0))
    registry.step(job, JobState.INTERRUPTED)
    registry.update(job, name="other")
    registry.step(job, JobState.QUEUED)
    assert store.taken == ["steps", "save_chunk", "steps", "update", "steps"]
    assert store.steps() == [[JobState.RUNNING], [JobState.INTERRUPTED], [JobState.QUEUED]]


async def test_steps_are_written_when_the_result_cannot_be() -> None:
    store, registry, job = timed(JobState.READY)
    store.method, store.error = Store.finish, FULL
    registry.step(job, JobState.RUNNING)
    registry.finish(job, [b"result"])
    await settled()
    assert store.taken == ["steps", "steps", "step failed"]
    assert store.steps() == [[], [JobState.RUNNING]]
