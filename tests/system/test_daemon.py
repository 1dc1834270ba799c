"""The daemon from outside, with a scripted rack: what becomes of jobs, and what is told of them."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pulsed.client import Client
from pulsed.model.calibration import load_calibration
from pulsed.model.errors import (
    InstrumentLimitError,
    InvalidValueError,
    JobCancelledError,
    JobTimeoutError,
    NotFoundError,
)
from pulsed.model.job import JobInfo, JobRequest, JobState
from pulsed.model.payload import read_array
from pulsed.store.store import Store
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run
from pulsed.wire.messages import AnyEvent, JobChanged, Progress


def test_greeting_names_versions_backend_and_role(client: Client) -> None:
    greeting = client.greeting
    assert greeting.backends == ("sim5",)
    assert greeting.role == "admin"
    assert greeting.qpy[0] == 13
    assert greeting.qpy[1] >= 13


def test_job_comes_back_with_its_programs_in_order(client: Client) -> None:
    request = job(3, ("qpy", "qpy"), name="three", tags=("a", "b"))
    accepted = client.submit(
        request, [packed(flip("one", clbits=2), flip("two", clbits=2)), packed(flip("three", clbits=2))]
    )
    assert accepted.state is JobState.QUEUED
    result, parts = client.result(request.job_id, PATIENCE)
    assert [program.name for program in result.programs] == ["one", "two", "three"]
    assert result.calibration_id == client.calibration().calibration_id
    for program in result.programs:
        assert program.bits is not None
        bits = read_array(program.bits, parts)[:, 0]
        np.testing.assert_array_equal(bits, np.where(np.arange(10) % 2 == 1, 0b11, 0))
    info = client.job(request.job_id)
    assert info.state is JobState.DONE
    assert (info.name, info.tags, info.owner) == ("three", ("a", "b"), "local")
    for what in ("store", "queue", "compile", "handover"):
        assert info.times[f"seconds.{what}"] >= 0


def test_shots_of_many_chunks_come_back_as_one(client: Client, daemon: DaemonProcess) -> None:
    request = job(options={"shots": 5001, "rep_delay": 10e-3})
    info = run(client, request, packed(flip(clbits=2)))
    assert info.chunks > 1
    assert info.chunks_done == info.chunks
    result, parts = client.result(request.job_id, PATIENCE)
    (program,) = result.programs
    assert program.shots == 5001
    assert program.bits is not None
    expected = np.where(np.arange(5001) % 2 == 1, 0b11, 0)
    np.testing.assert_array_equal(read_array(program.bits, parts)[:, 0], expected)


def test_same_id_is_the_same_job(client: Client, daemon: DaemonProcess) -> None:
    request, part = job(), packed(flip())
    first = client.submit(request, [part])
    client.result(request.job_id, PATIENCE)
    played = len(daemon.lines("played"))
    again = client.submit(request, [part])
    assert again.created == first.created
    assert again.state is JobState.DONE
    run(client, job(), part)
    assert len(daemon.lines("played")) == played + 1


def test_many_threads_share_one_client(client: Client) -> None:
    requests = [job(name=f"job {i}") for i in range(30)]
    part = packed(flip())
    seen: dict[str, str] = {}

    def one(request: JobRequest) -> None:
        client.submit(request, [part])
        seen[request.job_id] = client.result(request.job_id, PATIENCE)[0].job_id

    threads = [threading.Thread(target=one, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {request.job_id: request.job_id for request in requests}


def test_jobs_are_listed_by_filter_newest_first(client: Client) -> None:
    tag = uuid.uuid4().hex
    before = time.time()
    ids = [run(client, job(tags=(tag,)), packed(flip())).job_id for _ in range(3)]
    assert [info.job_id for info in client.jobs(tags=[tag])] == ids[::-1]
    assert [info.job_id for info in client.jobs(tags=[tag], limit=1, skip=1)] == [ids[1]]
    pages = client.all_jobs(tags=[tag], page=2)
    first = next(pages)
    later = run(client, job(tags=(tag,)), packed(flip())).job_id
    assert [first.job_id, *(info.job_id for info in pages)] == ids[::-1], "each that was there once, none that came"
    assert next(client.all_jobs(tags=[tag])).job_id == later
    assert client.job(later[:12]) == client.job(later)
    assert client.jobs(tags=[tag], state=JobState.FAILED) == []
    assert client.jobs(tags=[tag], created_before=before) == []
    with pytest.raises(InvalidValueError, match="legal: 1 to"):
        client.jobs(limit=10**9)


def test_higher_priority_overtakes_and_positions_are_told(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    part = packed(flip())
    low = [job(name=f"low {i}") for i in range(5)]
    try:
        for request in low:
            client.submit(request, [part])
        eventually(lambda: client.job(low[0].job_id).state is JobState.RUNNING, "the first job runs")
        eventually(lambda: client.job(low[2].job_id).state is JobState.READY, "two jobs are compiled ahead")
        urgent = job(name="urgent", priority=5)
        client.submit(urgent, [part])
        assert client.job(urgent.job_id).queue_position == 1, "after the one that plays"
        assert client.job(low[4].job_id).queue_position == 5
        status = client.status()
        assert (status.running, status.pending_jobs) == (low[0].job_id, 5), "the one on the rack does not wait"
    finally:
        daemon.untell("hold")
    done = {r.name: (client.result(r.job_id, PATIENCE), client.job(r.job_id).times["done"])[1] for r in [*low, urgent]}
    assert done["urgent"] < done["low 3"] < done["low 4"]


def test_cancel_of_waiting_running_and_ended_jobs(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    running, waiting = job(), job()
    try:
        for request in (running, waiting):
            client.submit(request, [packed(flip())])
        eventually(lambda: client.job(running.job_id).state is JobState.RUNNING, "it runs")
        assert client.status().pending_jobs == 1, "the one behind it"
        assert client.cancel(waiting.job_id)
        assert client.status().pending_jobs == 0, "the one on the rack does not wait"
        assert client.cancel(running.job_id)
        eventually(lambda: not client.status().running, "the rack stops playing it")
    finally:
        daemon.untell("hold")
    for request in (running, waiting):
        assert client.job(request.job_id).state is JobState.CANCELLED
        assert not client.cancel(request.job_id)
        with pytest.raises(JobCancelledError):
            client.result(request.job_id, PATIENCE)
    assert run(client, job(), packed(flip())).state is JobState.DONE


def test_result_out_of_time_leaves_the_job_alone(client: Client, daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    request = job()
    try:
        client.submit(request, [packed(flip())])
        with pytest.raises(JobTimeoutError, match="goes on"):
            client.result(request.job_id, 0.2)
    finally:
        daemon.untell("hold")
    client.result(request.job_id, PATIENCE)


def test_watch_tells_each_step_and_subscribe_everything(client: Client, daemon: DaemonProcess) -> None:
    steps: list[JobState] = []
    events: list[AnyEvent] = []
    ended = threading.Event()
    client.subscribe(events.append)
    request = job()

    def changed(info: JobInfo) -> None:
        if not steps or steps[-1] is not info.state:
            steps.append(info.state)
        if info.state is JobState.DONE:
            ended.set()

    daemon.tell("hold")
    try:
        client.submit(request, [packed(flip())])
        client.watch(request.job_id, changed)
        eventually(lambda: any(isinstance(event, Progress) for event in events), "its progress is told")
    finally:
        daemon.untell("hold")
    assert ended.wait(PATIENCE)
    assert steps[-1] is JobState.DONE
    told = [event.job for event in events if isinstance(event, JobChanged)]
    path = [info.state for info in told if info.job_id == request.job_id]
    assert path == [JobState.QUEUED, JobState.COMPILING, JobState.READY, JobState.RUNNING, JobState.DONE]
    numbers = [event.number for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_dry_run_compiles_and_plays_nothing(client: Client, daemon: DaemonProcess) -> None:
    before = len(daemon.lines("started"))
    request = job(options={"shots": 10, "dry_run": True})
    checked = len(daemon.lines("validated"))
    assert run(client, request, packed(flip())).state is JobState.DONE
    assert len(daemon.lines("started")) == before
    assert len(daemon.lines("validated")) == checked + 1


def test_dry_run_is_refused_as_the_rack_would(client: Client, daemon: DaemonProcess) -> None:
    before = len(daemon.lines("started"))
    daemon.tell("narrow")
    try:
        request = job(options={"shots": 1000, "dry_run": True})
        client.submit(request, [packed(flip())])
        with pytest.raises(InstrumentLimitError, match="instrument awg1: too many shots; got 1000; legal: at most 999"):
            client.result(request.job_id, PATIENCE)
        assert client.job(request.job_id).state is JobState.FAILED
        fitting = job(options={"shots": 999, "dry_run": True})
        assert run(client, fitting, packed(flip())).state is JobState.DONE
    finally:
        daemon.untell("narrow")
    assert len(daemon.lines("started")) == before
    assert client.status().operational


def test_callback_that_fails_does_not_silence_the_others(client: Client) -> None:
    heard = threading.Event()
    client.subscribe(lambda event: {}[event])
    client.subscribe(lambda event: heard.set())
    run(client, job(), packed(flip()))
    assert heard.wait(PATIENCE)
    heard.clear()
    run(client, job(), packed(flip()))
    assert heard.wait(PATIENCE)


def test_callback_may_ask_the_daemon(client: Client) -> None:
    answers: list[JobState] = []
    done = threading.Event()

    def ask(info: JobInfo) -> None:
        answers.append(client.job(info.job_id).state)
        if info.state is JobState.DONE:
            done.set()

    request = job()
    client.submit(request, [packed(flip())])
    client.watch(request.job_id, ask)
    assert done.wait(PATIENCE)
    assert answers[-1] is JobState.DONE


def test_device_survives_the_wire(client: Client, daemon: DaemonProcess) -> None:
    device = client.device()
    assert device.name == "sim5"
    assert float(device.dt) == 1e-9
    assert client.calibration(client.calibration().calibration_id) == client.calibration()


def test_job_runs_with_the_set_it_names_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    shipped = load_calibration(CONFIGS / "calibrations" / "sim5.json")
    older = msgspec.structs.replace(shipped, created="2026-01-01T00:00:00+00:00")
    store = Store(f"sqlite:///{tmp_path / 'pulsed.sqlite'}", "sim5")
    store.open(time.time(), "test")
    for calibration in (older, shipped):
        store.put_calibration(calibration, time.time())
    store.set_current_calibration(shipped.calibration_id, time.time())
    store.close()
    process = DaemonProcess(tmp_path).start()
    try:
        with process.client() as client:
            for named, used in (
                (older.calibration_id, older), (None, shipped), (shipped.calibration_id, shipped),
                (older.calibration_id, older),
            ):  # fmt: skip
                request = job(options={"shots": 10, "calibration_id": named})
                client.submit(request, [packed(flip())])
                info, result, _ = client.finished(request.job_id, PATIENCE)
                assert info.calibration_id == result.calibration_id == used.calibration_id
                assert info.state is JobState.DONE
                assert info.times["done"] >= info.times["running"]
            unknown = job(options={"shots": 10, "calibration_id": "0" * 16})
            with pytest.raises(NotFoundError, match="0000000000000000"):
                client.submit(unknown, [packed(flip())])
            with pytest.raises(NotFoundError):
                client.job(unknown.job_id)
    finally:
        assert process.stop() == 0


def test_watch_of_an_unknown_job_leaves_nothing_behind(client: Client) -> None:
    request, told = job(), []
    with pytest.raises(NotFoundError):
        client.watch(request.job_id, told.append)
    seen: list[AnyEvent] = []
    end = client.subscribe(seen.append)
    run(client, request, packed(flip()))
    eventually(
        lambda: any(isinstance(n, JobChanged) and n.job.job_id == request.job_id for n in seen), "the job is told of"
    )
    end()
    assert told == []
