"""What becomes of jobs when a process or an instrument is lost in the middle of them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.model.chunk_results import decode_chunk, encode_chunk
from pulsed.model.errors import (
    CircuitError,
    ConnectionFailedError,
    InstrumentTimeoutError,
    InstrumentUnreachableError,
    JobFailedError,
    WorkerDiedError,
    WrongInstrumentError,
)
from pulsed.model.job import JobRequest, JobState
from pulsed.model.payload import pack_frames, read_array, unpack_frames
from pulsed.testing.daemon_process import DaemonProcess, alive, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed
from pulsed.testing.scripted_rack import BEGUN

Start = Callable[..., DaemonProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[DaemonProcess] = []

    def make(*instructions: str, **options: object) -> DaemonProcess:
        process = DaemonProcess(tmp_path, **options)
        process.tell(*instructions)
        started.append(process)
        return process.start()

    yield make
    for process in started:
        process.untell("hold")
        process.stop()


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("living"), rack_wait=PATIENCE).start()
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon whose jobs fail soon when there is no rack: none of them may be the one that a test waits for."""
    process = DaemonProcess(tmp_path_factory.mktemp("impatient"), rack_wait=1.5).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def daemon(living: DaemonProcess) -> Iterator[DaemonProcess]:
    """One daemon for all tests that it survives; each begins with a rack that plays and nothing told."""
    for name in ("started", "played", "connects"):
        living.untell(name)
    yield living
    living.untell("unreachable", "impostor", "lose", "lose_once", "die", "die_once", "hold")
    with living.client() as client:
        eventually(lambda: client.status().operational, "the rack is back")


CHUNKS = 3
SHOTS = 8000
"""At 10 ms per shot these are three chunks of at most 30 s."""


def long_job() -> JobRequest:
    return job(shots=SHOTS, options={"rep_delay": 10e-3})


def check_whole(client: Client, job_id: str, shots: int) -> None:
    result, parts = client.result(job_id, PATIENCE)
    (program,) = result.programs
    assert program.bits is not None
    np.testing.assert_array_equal(read_array(program.bits, parts)[:, 0], np.arange(shots) % 2)


def pids(client: Client) -> dict[str, int]:
    return {name: worker.pid for name, worker in client.status().workers.items()}


def first_shots(daemon: DaemonProcess, what: str) -> list[int]:
    return [int(line[2]) for line in daemon.lines(what)]


def stored_chunks(home: Path) -> int:
    """Return how many chunks are on disk; what the daemon tells of runs ahead of that."""
    with contextlib.closing(sqlite3.connect(home / "pulsed.sqlite", timeout=10)) as database:
        return int(database.execute('SELECT count(*) FROM "chunk"').fetchone()[0])


def test_killed_daemon_goes_on_where_it_was(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    daemon = start(url=url, companion=["sleep", "1000"])
    client = daemon.client()
    long, short = long_job(), job()
    steps: list[JobState] = []
    daemon.tell("hold_after_first")
    client.submit(long, [packed(flip())])
    client.submit(short, [packed(flip())])
    client.watch(short.job_id, lambda info: steps.append(info.state))
    eventually(lambda: stored_chunks(tmp_path) == 1, "its first chunk is stored")
    eventually(lambda: len(daemon.lines("started")) == 2, "its second chunk plays")
    children = pids(client)
    assert set(children) == {"compile", "rack", "companion", "outputs-guard"}
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    for name, pid in children.items():
        eventually(lambda pid=pid: not alive(pid), f"{name} ends with its daemon")
    assert [str(children["rack"])] in daemon.lines("safe")
    assert len(daemon.lines("played")) == 1

    daemon.untell("hold_after_first")
    daemon.start()
    # The same client goes on by itself: nobody tells it that there is another daemon now.
    check_whole(client, long.job_id, SHOTS)
    check_whole(client, short.job_id, 10)
    played = [tuple(map(int, line[1:])) for line in daemon.lines("played")]
    assert len(played) == CHUNKS + 1
    assert sorted(first_shots(daemon, "played")) == [0, 0, 2999, 5998], "a finished chunk was played again"
    assert client.job(long.job_id).attempts == 2
    eventually(lambda: steps and steps[-1] is JobState.DONE, "the watcher is told of the end")
    client.close()


def test_stored_chunks_that_were_cut_differently_play_again(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    daemon = start(url=url)
    long = long_job()
    daemon.tell("hold_after_first")
    with daemon.client() as client:
        client.submit(long, [packed(flip())])
        eventually(lambda: stored_chunks(tmp_path) == 1, "its first chunk is stored")
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        with contextlib.closing(sqlite3.connect(tmp_path / "pulsed.sqlite")) as database, database:
            (rack, number, saved, data) = database.execute('SELECT rack, number, saved, data FROM "chunk"').fetchone()
            head, *parts = unpack_frames(data)
            stored = decode_chunk(head)
            fewer = [msgspec.structs.replace(program, shots=program.shots - 1) for program in stored.programs]
            data = pack_frames([encode_chunk(msgspec.structs.replace(stored, programs=fewer)), *parts])
            database.execute('UPDATE "chunk" SET data = ?', (data,))
            database.execute(
                'INSERT INTO "chunk" (rack, number, "index", saved, data) VALUES (?, ?, 7, ?, ?)',
                (rack, number, saved, data),
            )
        daemon.untell("hold_after_first")
        daemon.start()
        check_whole(client, long.job_id, SHOTS)
    assert sorted(first_shots(daemon, "played")) == [0, 0, 2999, 5998]


def test_killed_rack_worker_plays_the_chunk_again(daemon: DaemonProcess) -> None:
    daemon.tell("die_once")
    with daemon.client() as client:
        restarts = client.status().workers["rack"].restarts
        request = job()
        client.submit(request, [packed(flip())])
        check_whole(client, request.job_id, 10)
        info = client.job(request.job_id)
        assert "interrupted" in info.times
        assert info.attempts == 2
        assert client.status().workers["rack"].restarts == restarts + 1
        assert len(daemon.lines("started")) == 2


def test_rack_worker_killed_from_outside(daemon: DaemonProcess) -> None:
    daemon.tell("hold")
    with daemon.client() as client:
        request = job()
        client.submit(request, [packed(flip())])
        eventually(lambda: daemon.lines("started"), "it plays")
        os.kill(pids(client)["rack"], signal.SIGKILL)
        daemon.untell("hold")
        check_whole(client, request.job_id, 10)


def test_rack_worker_that_dies_again_fails_the_job_alone(daemon: DaemonProcess) -> None:
    daemon.tell("die")
    with daemon.client() as client:
        request = job()
        client.submit(request, [packed(flip())])
        with pytest.raises(WorkerDiedError, match="rack worker"):
            client.result(request.job_id, PATIENCE)
        assert len(daemon.lines("started")) == 2
        daemon.untell("die")
        following = job()
        client.submit(following, [packed(flip())])
        eventually(lambda: client.status().operational, "the rack is back")
        check_whole(client, following.job_id, 10)


def test_lost_instrument_plays_the_chunk_once_more(daemon: DaemonProcess) -> None:
    daemon.tell("lose_once")
    with daemon.client() as client:
        restarts = client.status().workers["rack"].restarts
        request = job()
        client.submit(request, [packed(flip())])
        check_whole(client, request.job_id, 10)
        assert "interrupted" in client.job(request.job_id).times
        assert len(daemon.lines("started")) == 2
        assert client.status().workers["rack"].restarts == restarts


def test_instrument_lost_twice_fails_the_job_by_name(daemon: DaemonProcess) -> None:
    daemon.tell("lose")
    with daemon.client() as client:
        request = job()
        client.submit(request, [packed(flip())])
        with pytest.raises(InstrumentUnreachableError, match="awg2"):
            client.result(request.job_id, PATIENCE)
        assert client.job(request.job_id).state is JobState.FAILED
        daemon.untell("lose")
        following = job()
        client.submit(following, [packed(flip())])
        check_whole(client, following.job_id, 10)


@pytest.mark.parametrize(
    ("told", "error", "instrument"),
    [("unreachable", InstrumentUnreachableError, "awg2"), ("impostor", WrongInstrumentError, "awg1")],
)
def test_instrument_that_is_not_there_is_named_and_waited_for(
    impatient: DaemonProcess, told: str, error: type[Exception], instrument: str
) -> None:
    impatient.tell(told)
    with impatient.client() as client:
        os.kill(pids(client)["rack"], signal.SIGKILL)
        eventually(lambda: instrument in client.status().message, "the status names it")
        status = client.status()
        assert not status.operational
        assert {name for name, item in status.instruments.items() if item.error is not None} == {instrument}
        assert told != "impostor" or "got X; legal: AWG8-0001" in status.message
        request = job()
        client.submit(request, [packed(flip())])
        with pytest.raises(error, match=instrument):
            client.result(request.job_id, PATIENCE)
        waiting = job()
        client.submit(waiting, [packed(flip())])
        impatient.untell(told)
        with contextlib.suppress(error):  # its turn may have come before the rack was back
            check_whole(client, waiting.job_id, 10)
        eventually(lambda: client.status().operational, "the rack is back")
        following = job()
        client.submit(following, [packed(flip())])
        check_whole(client, following.job_id, 10)


def test_several_instruments_that_fail_at_once_are_each_told_with_their_own_error(
    impatient: DaemonProcess, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient.tell("several")
    with impatient.client() as client:
        os.kill(pids(client)["rack"], signal.SIGKILL)
        eventually(lambda: "sgs1" in client.status().message, "the status names the second, too")
        told = {name: item.error for name, item in client.status().instruments.items() if item.error is not None}
        assert {name: (error.code, error.message) for name, error in told.items()} == {
            "awg2": ("instrument_unreachable", "nothing answers"),
            "sgs1": ("instrument_timeout", "no answer within the deadline"),
        }
        request = job()
        client.submit(request, [packed(flip())])
        with pytest.raises(InstrumentUnreachableError, match="awg2") as caught:
            client.result(request.job_id, PATIENCE)
        assert [(type(cause), cause.subject) for cause in caught.value.causes] == [
            (InstrumentUnreachableError, "instrument awg2"), (InstrumentTimeoutError, "instrument sgs1"),
        ]  # fmt: skip
        monkeypatch.setenv("COLUMNS", "400")
        monkeypatch.setenv("PULSED_HOME", str(impatient.home))
        assert invoke(["job", request.job_id]) == 0
        shown = capsys.readouterr().out
        assert "instrument awg2: nothing answers" in shown
        assert "instrument sgs1: no answer within the deadline; got *IDN?" in shown
        impatient.untell("several")
        eventually(lambda: client.status().operational, "the rack is back")


def test_compile_worker_killed_is_started_again(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        pid = pids(client)["compile"]
        os.kill(pid, signal.SIGKILL)
        request = job()
        client.submit(request, [packed(flip("killed"))])  # a name of its own: it was not compiled before
        check_whole(client, request.job_id, 10)
        assert pids(client)["compile"] != pid


def test_hung_compile_worker_is_replaced_and_its_job_compiled_again(daemon: DaemonProcess) -> None:
    with daemon.client() as client:
        status = client.status().workers["compile"]
        os.kill(status.pid, signal.SIGSTOP)
        request, began = job(), time.monotonic()
        client.submit(request, [packed(flip("hung"))])
        eventually(lambda: client.status().workers["compile"].pid not in (0, status.pid), "another one has taken over")
        check_whole(client, request.job_id, 10)
        assert not alive(status.pid)
        assert client.status().workers["compile"].restarts == status.restarts + 1
        assert time.monotonic() - began < PATIENCE
    assert "the compile worker hangs" in (daemon.home / "logs" / "daemon.jsonl").read_text()


def test_compiling_is_bounded_in_time_and_memory(start: Start) -> None:
    daemon = start(compiler="pulsed.testing.scripted_rack:BadCompiler", limits={"compile_seconds": 5.0})
    with daemon.client() as client:

        def run(shots: int) -> str:
            request = job(shots=shots)
            client.submit(request, [packed(flip())])
            client.result(request.job_id, PATIENCE)
            return request.job_id

        with pytest.raises(CircuitError, match="more memory"):
            run(12)
        assert client.status().workers["compile"].restarts == 0
        with pytest.raises(JobFailedError, match=r"too long.*legal: 5 s"):
            run(11)
        eventually(lambda: client.status().workers["compile"].restarts == 1, "it is started again")
        with pytest.raises(WorkerDiedError, match="compile worker"):
            run(13)
        eventually(lambda: client.status().workers["compile"].restarts == 3, "it is tried twice")
        assert client.status().workers["rack"].restarts == 0


def times_begun(daemon: DaemonProcess) -> int:
    return (daemon.home / "logs" / "daemon.jsonl").read_text().count(BEGUN)


def test_cancel_stops_the_compilation(start: Start) -> None:
    """The worker leaves one job, and is ended for another that does not let itself be left; the next is compiled."""
    daemon = start(compiler="pulsed.testing.scripted_rack:BadCompiler", limits={"compile_seconds": 3000.0})
    with daemon.client() as client:
        for shots, restarts in ((11, 0), (14, 1), (11, 1)):
            begun = times_begun(daemon)
            long, waiting = job(shots=shots), job(shots=shots)
            for request in (long, waiting):
                client.submit(request, [packed(flip())])
            eventually(lambda begun=begun: times_begun(daemon) > begun, "the worker is in the middle of it")
            eventually(lambda long=long: client.job(long.job_id).state is JobState.COMPILING, "and its state says so")
            assert client.cancel(waiting.job_id)
            assert client.cancel(long.job_id)
            assert client.job(long.job_id).state is JobState.CANCELLED
            following = job(shots=12)
            client.submit(following, [packed(flip())])
            with pytest.raises(CircuitError, match="more memory"):
                client.result(following.job_id, PATIENCE)
            assert client.status().workers["compile"].restarts == restarts, f"{shots} shots"


def test_interrupt_stops_cleanly_in_the_middle_of_a_job(start: Start) -> None:
    daemon = start("hold")
    with daemon.client() as client:
        request = job()
        client.submit(request, [packed(flip())])
        eventually(lambda: daemon.lines("started"), "it plays")
        assert daemon.process is not None
        here = rf"another daemon runs here; got sim5 at {daemon.endpoint}, process {daemon.process.pid}, since .*--home"
        with pytest.raises(RuntimeError, match=here):
            DaemonProcess(daemon.home).start()
        children = pids(client)
        daemon.signal(signal.SIGINT)
        assert daemon.wait() == 0
    assert daemon.lines("safe")
    assert daemon.lines("closed")
    assert not [name for name, pid in children.items() if alive(pid)]
    assert not (daemon.home / "daemon.json").exists()
    with pytest.raises(ConnectionFailedError, match="pulsed serve"):
        Client(daemon.endpoint, home=daemon.home).connect()

    daemon.untell("hold")
    daemon.start()
    with daemon.client() as client:
        check_whole(client, request.job_id, 10)
        client.stop_daemon()
        assert daemon.wait() == 0
