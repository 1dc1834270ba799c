"""A submission is compiled while the store takes it: what becomes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from pulsed.daemon import orders
from pulsed.daemon.book import ActiveJob, Book, Compilation
from pulsed.daemon.compiling import Compiling
from pulsed.daemon.desks import CompileDesk
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import CircuitError
from pulsed.model.job import JobInfo, JobRequest, JobState, RunOptions
from pulsed.model.payload import Part, join

OLD = CalibrationSet("sim5", {"Q0.f01": Value(4.9e9)}, "2026-11-21T00:00:00Z")
NEW = OLD.with_values({"Q0.f01": Value(4.8e9)}, "2026-11-21T01:00:00Z")


class Desk:
    """A compile worker that finishes when told."""

    def __init__(self) -> None:
        self.calibration = OLD
        self.warm = asyncio.Event()
        self.warm.set()
        self.go_on = asyncio.Event()
        self.compiled: list[tuple[str, str]] = []
        self.error: Exception | None = None

    async def compile(self, order: orders.Compile, parts: Sequence[Part], calibration: CalibrationSet) -> Compilation:
        self.compiled.append((order.job_id, calibration.calibration_id))
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return orders.Compiled(order.job_id, (orders.ChunkInfo(1, 0, 1, 0, 10, 0.1),), 0.01), [b"chunk"]


class Store:
    """Takes every order at once."""

    store = SimpleNamespace(step=None)

    def write(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class Scene:
    def __init__(self) -> None:
        self.desk, failures = Desk(), []
        self.book = Book(cast("StoreThread", Store()), lambda _: None, failures.append)
        self.compiling = Compiling(self.book, cast("CompileDesk", self.desk))
        self.failures = failures

    def request(self, name: str) -> JobRequest:
        return JobRequest(name, ("qpy",), 1, RunOptions(shots=10))

    def accept(self, name: str, *, early: bool) -> ActiveJob:
        request = self.request(name)
        info = JobInfo(
            job_id=name, backend="sim5", state=JobState.QUEUED, owner="me", created=0.0, num_programs=1,
            options=request.options,
        )  # fmt: skip
        job = ActiveJob(info, early=self.compiling.begin(request, [b"program"]) if early else None)
        self.book.keep_payload(job, join([msgspec.msgpack.encode(request), b"program"]))
        self.book.enter(job)
        return job


def run(scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        scene = Scene()
        task = asyncio.create_task(scene.compiling.run())
        try:
            await asyncio.wait_for(scenario(scene), 30)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert not scene.failures

    asyncio.run(main())


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0)


def test_it_is_compiled_once_and_ready_with_what_came_of_that() -> None:
    async def scenario(scene: Scene) -> None:
        early = scene.compiling.begin(scene.request("a"), [b"program"])
        assert early is not None
        await until(lambda: scene.desk.compiled != [])
        scene.desk.go_on.set()
        await early.task  # before the store has answered
        job = scene.accept("a", early=False)
        job.early = early
        await until(lambda: job.info.state is JobState.READY)
        assert scene.desk.compiled == [("a", OLD.calibration_id)]
        assert (job.compilations, job.chunk_parts) == (1, [[b"chunk"]])

    run(scenario)


def test_another_set_in_force_since_compiles_it_anew() -> None:
    async def scenario(scene: Scene) -> None:
        scene.desk.go_on.set()
        job = scene.accept("a", early=True)
        scene.compiling.calibration = NEW
        await until(lambda: job.info.state is JobState.READY)
        assert scene.desk.compiled[-1] == ("a", NEW.calibration_id)
        assert job.info.calibration_id == NEW.calibration_id

    run(scenario)


def test_only_one_and_only_when_there_is_no_other_job() -> None:
    async def scenario(scene: Scene) -> None:
        assert scene.compiling.begin(scene.request("a"), []) is not None
        assert scene.compiling.begin(scene.request("b"), []) is None
        scene.desk.go_on.set()
        await until(lambda: scene.compiling.begin(scene.request("c"), []) is not None)
        job = scene.accept("d", early=False)
        assert scene.compiling.begin(scene.request("e"), []) is None
        await until(lambda: job.info.state is JobState.READY)
        scene.desk.warm.clear()
        scene.book.jobs.clear()
        assert scene.compiling.begin(scene.request("f"), []) is None

    run(scenario)


def test_its_error_is_the_jobs_and_nobodys_when_it_was_not_accepted() -> None:
    async def scenario(scene: Scene) -> None:
        scene.desk.go_on.set()
        scene.desk.error = CircuitError("damaged")
        assert scene.compiling.begin(scene.request("refused"), []) is not None
        await until(lambda: len(scene.desk.compiled) == 1)
        await asyncio.sleep(0)
        job = scene.accept("a", early=True)
        assert job.early is not None
        await until(lambda: job.info.state is JobState.FAILED)
        assert job.info.error is not None
        assert job.info.error.message == "damaged"
        assert scene.book.jobs == {}

    run(scenario)
