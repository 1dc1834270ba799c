"""A submission is compiled while the store takes it: what becomes of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from pulsed.daemon.jobs.calibration_basis import BasisChecker, RackCalibrations
from pulsed.daemon.jobs.compile_stage import MAX_ATTEMPTS, MAX_COMPILATIONS, CompileStage
from pulsed.daemon.jobs.registry import ActiveJob, Compilation, JobRegistry
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.compile_client import CompileWorkerClient
from pulsed.model.basis import basis_of
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import load_device
from pulsed.model.errors import CircuitError, WorkerDiedError
from pulsed.model.job import JobInfo, JobRequest, JobState, RunOptions
from pulsed.model.payload import Part, pack_frames
from pulsed.store.store import Store as StoreOnDisk

DEVICE = load_device(Path(__file__).parents[4] / "configs" / "sim5.toml")
OLD = CalibrationSet("sim5", {"Q0.f01": Value(4.9e9)}, "2026-11-21T00:00:00Z")
NEW = OLD.with_values({"Q0.f01": Value(4.8e9)}, "2026-11-21T01:00:00Z")


class Client:
    """A compile worker that finishes when told."""

    def __init__(self) -> None:
        self.rpc = SimpleNamespace(ready=asyncio.Event())
        self.rpc.ready.set()
        self.go_on = asyncio.Event()
        self.compiled: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.seconds = 0.1
        """What the job's shots take."""
        self.bytes = 10
        """Of its result."""

    async def compile(
        self, request: messages.Compile, parts: Sequence[Part], calibration: CalibrationSet
    ) -> Compilation:
        self.compiled.append((request.job_id, calibration.calibration_id))
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return messages.Compiled(
            request.job_id, (messages.ChunkInfo(1, 0, 1, 0, 10, self.seconds, self.bytes),), 0.01
        ), [b"chunk"]


class Store:
    """Takes every write at once."""

    def __init__(self) -> None:
        self.store = StoreOnDisk("postgresql://elsewhere", "sim5")

    def write(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    write_later = write

    async def call(self, *_: Any) -> list[int]:
        return []  # finished chunks

    call_patiently = call


class Scene:
    def __init__(self) -> None:
        self.client, failures = Client(), []
        self.registry = JobRegistry(cast("StoreThread", Store()), lambda _: None, failures.append)
        basis = BasisChecker(DEVICE, cast("StoreThread", Store()), adopted=basis_of(DEVICE))
        self.calibrations = RackCalibrations(OLD, basis)
        self.stage = CompileStage(self.registry, cast("CompileWorkerClient", self.client), self.calibrations)
        self.failures = failures

    def request(self, name: str, *, confirmed: bool = False) -> JobRequest:
        return JobRequest(name, ("qpy",), 1, RunOptions(shots=10, confirm_rack_time=confirmed))

    def accept(
        self, name: str, *, early: bool, confirmed: bool = False, chunks_done: int = 0, attempts: int = 0
    ) -> ActiveJob:
        request = self.request(name, confirmed=confirmed)
        info = JobInfo(
            job_id=name, backend="sim5", state=JobState.QUEUED, owner="me", created=0.0, num_programs=1,
            options=request.options, chunks_done=chunks_done, attempts=attempts,
            calibration_id=OLD.calibration_id if chunks_done else "",
        )  # fmt: skip
        job = ActiveJob(info, early=self.stage.begin(request, [b"program"]) if early else None)
        self.registry.keep_payload(job, pack_frames([msgspec.msgpack.encode(request), b"program"]))
        self.registry.enter(job)
        return job


def run(scenario: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        scene = Scene()
        task = asyncio.create_task(scene.stage.run())
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
        early = scene.stage.begin(scene.request("a"), [b"program"])
        assert early is not None
        await until(lambda: scene.client.compiled != [])
        scene.client.go_on.set()
        await early.task  # before the store has answered
        job = scene.accept("a", early=False)
        job.early = early
        await until(lambda: job.info.state is JobState.READY)
        assert scene.client.compiled == [("a", OLD.calibration_id)]
        assert (job.compilations, job.chunk_parts) == (1, [[b"chunk"]])

    run(scenario)


def test_another_set_in_force_since_compiles_it_anew() -> None:
    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        job = scene.accept("a", early=True)
        scene.calibrations.active = NEW
        await until(lambda: job.info.state is JobState.READY)
        assert scene.client.compiled[-1] == ("a", NEW.calibration_id)
        assert job.info.calibration_id == NEW.calibration_id

    run(scenario)


def test_only_one_and_only_when_there_is_no_other_job() -> None:
    async def scenario(scene: Scene) -> None:
        assert scene.stage.begin(scene.request("a"), []) is not None
        assert scene.stage.begin(scene.request("b"), []) is None
        scene.client.go_on.set()
        await until(lambda: scene.stage.begin(scene.request("c"), []) is not None)
        job = scene.accept("d", early=False)
        assert scene.stage.begin(scene.request("e"), []) is None
        await until(lambda: job.info.state is JobState.READY)
        scene.client.rpc.ready.clear()
        scene.registry.jobs.clear()
        assert scene.stage.begin(scene.request("f"), []) is None

    run(scenario)


def test_its_error_is_the_jobs_and_nobodys_when_it_was_not_accepted() -> None:
    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        scene.client.error = CircuitError("damaged")
        assert scene.stage.begin(scene.request("refused"), []) is not None
        await until(lambda: len(scene.client.compiled) == 1)
        await asyncio.sleep(0)
        job = scene.accept("a", early=True)
        assert job.early is not None
        await until(lambda: job.info.state is JobState.FAILED)
        assert job.info.error is not None
        assert job.info.error.message == "damaged"
        assert scene.registry.jobs == {}

    run(scenario)


def test_a_job_that_turns_out_long_is_not_played_unless_it_was_confirmed() -> None:
    """Gates and loops count too: what they take is known when they are compiled."""

    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        scene.client.seconds = 601.0
        job = scene.accept("a", early=False)
        await until(lambda: job.info.state is JobState.FAILED)
        assert job.info.error is not None
        assert (job.info.error.code, job.info.error.value) == ("rack_time", "601 s (10 min)")
        confirmed = scene.accept("b", early=False, confirmed=True)
        await until(lambda: confirmed.info.state is JobState.READY)

    run(scenario)


def test_a_job_that_would_bring_back_more_than_a_result_may_have_is_not_played() -> None:
    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        scene.client.bytes = DEVICE.limits.max_result + 1
        job = scene.accept("a", early=False)
        await until(lambda: job.info.state is JobState.FAILED)
        assert job.info.error is not None
        assert (job.info.error.code, job.info.error.value) == ("result_size", "4294967297 bytes (4 GiB)")
        scene.client.bytes = DEVICE.limits.max_result
        fits = scene.accept("b", early=False)
        await until(lambda: fits.info.state is JobState.READY)

    run(scenario)


def test_a_job_whose_result_would_not_fit_on_the_disk_is_not_played(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        disk = scene.registry.store.store.disk
        disk.place, disk.mark = tmp_path, 8 * 2**60
        job = scene.accept("a", early=False)
        await until(lambda: job.info.state is JobState.FAILED)
        assert job.info.error is not None
        assert job.info.error.code == "store_full"
        assert "would not fit" in job.info.error.message

    run(scenario)


def test_a_job_that_has_begun_to_play_plays_on_however_long() -> None:
    """A version that knew no limit has accepted it, or the limit is a lower one since; what it has played counts."""

    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        scene.client.seconds = 601.0
        begun = scene.accept("a", early=False, chunks_done=1)
        await until(lambda: begun.info.state in (JobState.READY, JobState.FAILED))
        assert (begun.info.state, begun.info.error) == (JobState.READY, None)

    run(scenario)


def test_a_job_during_which_the_daemon_was_killed_too_often_is_not_started_again() -> None:
    """Else a job that takes the daemon down with it does so at every start, for ever."""

    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        guilty = scene.accept("a", early=False, attempts=MAX_ATTEMPTS)
        last_try = scene.accept("b", early=False, attempts=MAX_ATTEMPTS - 1)
        await until(lambda: last_try.info.state is JobState.READY)
        assert guilty.info.state is JobState.FAILED
        assert guilty.info.error is not None
        assert (guilty.info.error.code, guilty.info.error.value) == (WorkerDiedError.code, f"{MAX_ATTEMPTS} starts")
        assert [job_id for job_id, _ in scene.client.compiled] == ["b"]

    run(scenario)


def test_a_job_during_which_the_compile_worker_ended_is_compiled_once_more() -> None:
    async def scenario(scene: Scene) -> None:
        scene.client.go_on.set()
        scene.client.error = WorkerDiedError("ended", subject="compile worker")
        job = scene.accept("a", early=False)
        await until(lambda: job.info.state is JobState.FAILED)
        assert len(scene.client.compiled) == MAX_COMPILATIONS

    run(scenario)
