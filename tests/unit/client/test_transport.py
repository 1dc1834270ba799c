"""A connection that ends, in whatever way, leaves nobody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import zmq

from pulsed.client import Client
from pulsed.client.keys import Key, new_key, save_key
from pulsed.client.transport import Answer, DaemonConnection
from pulsed.model.errors import ConnectionFailedError, IncompatibleError, InvalidValueError, JobTimeoutError
from pulsed.model.job import JobInfo, JobState
from pulsed.wire import messages as m
from pulsed.wire import protocol as p
from pulsed.wire.base import PROTOCOL, REVISION
from pulsed.wire.roles import Role

LIMIT = 1_000_000
SERVER = new_key("server")
CLIENT = new_key("me", "admin", SERVER.public)
STATUS = m.Status("sim5", "1", True, "", 0, "", "set", 0.0, {}, {})


class Answering:
    """A daemon's end that greets, answers a status, and answers rubbish while ``mad`` is set.

    Before it answers a page of ``jobs`` somebody hands in another one; at ``revision`` 0 it knows no key.
    """

    def __init__(self) -> None:
        self.mad = threading.Event()
        self.silent = threading.Event()
        self.revision = REVISION
        self.jobs: list[str] = []
        self.url = "tcp://127.0.0.1:*"
        self.start("first")

    def start(self, instance: str) -> None:
        self.instance = instance
        self._over = threading.Event()
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.curve_server = True
        self._router.curve_secretkey, self._router.curve_publickey = SERVER.secret.encode(), SERVER.public.encode()
        deadline = time.monotonic() + 10
        while True:
            try:
                self._router.bind(self.url)
                break
            except zmq.ZMQError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.url = self._router.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _run(self) -> None:
        protocol = p.DaemonProtocol(LIMIT)
        while not self._over.is_set():
            if not self._router.poll(20):
                continue
            address, *frames = self._router.recv_multipart()
            received = protocol.receive(frames, "me", Role.ADMIN)
            assert isinstance(received, p.Received)
            message = received.message
            if isinstance(message, m.Hello):
                reply: m.AnyReply = m.Greeting(
                    message.id,
                    PROTOCOL,
                    "1",
                    (13, 18),
                    ("sim5",),
                    "me",
                    "admin",
                    "tcp://*:1",
                    0,
                    self.instance,
                    LIMIT,
                    self.revision,
                )
            elif isinstance(message, m.GetJobs):
                reply = self.page(message)
            elif isinstance(message, m.GetJob):
                reply = m.JobReply(message.id, JobInfo(message.job_id, "sim5", JobState.RUNNING, "me", 0.0))
            elif self.silent.is_set():
                continue
            else:
                reply = m.StatusReply(message.id, STATUS)
            rubbish = self.mad.is_set() and not isinstance(message, m.Hello)
            self._router.send_multipart([address, b"\xc1rubbish"] if rubbish else [address, *p.frames_of(reply)])

    def page(self, message: m.GetJobs) -> m.JobsReply:
        self.jobs.append(f"new {len(self.jobs)}")
        known = message.beyond if self.revision else None
        numbers = [k for k in reversed(range(len(self.jobs))) if known is None or k < known][message.skip :]
        numbers = numbers[: message.limit]
        jobs = tuple(JobInfo(self.jobs[k], "sim5", JobState.DONE, "me", 0.0) for k in numbers)
        key = numbers[-1] if self.revision and len(numbers) == message.limit else None
        return m.JobsReply(message.id, jobs, key)


@pytest.fixture
def peer() -> Iterator[Answering]:
    peer = Answering()
    yield peer
    peer.stop()


def connection_to(peer: Answering) -> DaemonConnection:
    connection = DaemonConnection(peer.url, CLIENT, "1", lambda _: None)
    connection.start()
    connection.greeted.result(10)
    return connection


def ask(connection: DaemonConnection) -> Future[Answer]:
    return connection.request(m.GetStatus, (), {})


def test_unreadable_answer_fails_what_waits_and_what_comes_after(peer: Answering) -> None:
    connection = connection_to(peer)
    assert isinstance(ask(connection).result(10)[0], m.StatusReply)
    peer.mad.set()
    with pytest.raises(ConnectionFailedError):
        ask(connection).result(10)
    connection._thread.join(10)
    assert connection.ended
    with pytest.raises(ConnectionFailedError):
        ask(connection).result(0)
    with pytest.raises(ConnectionFailedError):
        connection.subscribed.result(0)
    connection.close()


@pytest.mark.parametrize("revision", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 25])
def test_jobs_come_once_while_others_are_handed_in(peer: Answering, tmp_path: Path, revision: int, count: int) -> None:
    peer.revision = revision
    peer.jobs = [f"old {k}" for k in range(count)]
    with Client(peer.url, save(CLIENT, tmp_path), home=tmp_path) as client:
        found = [info.job_id for info in client.all_jobs(page=5)]
    assert len(set(found)) == len(found)
    assert [name for name in found if name.startswith("old")] == [f"old {k}" for k in reversed(range(count))]


def test_what_an_older_daemon_does_not_know_is_told_or_done_without(peer: Answering, tmp_path: Path) -> None:
    peer.revision = 0
    with Client(peer.url, save(CLIENT, tmp_path), home=tmp_path) as client:
        for call in (
            lambda: client.open_session("s"), client.sessions, lambda: client.job_log("job"),
            lambda: client.update_job("job", name="new"), lambda: client.submission("job"),
        ):  # fmt: skip
            with pytest.raises(IncompatibleError, match=r"daemon: .*too old for this.*update it; got 1"):
                call()
        info, chunk, parts = client.chunk("job", 0)
        assert (info.job_id, chunk, parts) == ("job", None, ())
        assert client.status() == STATUS


def test_client_replaces_a_link_that_has_ended(peer: Answering, tmp_path: Path) -> None:
    with Client(peer.url, save(CLIENT, tmp_path), home=tmp_path) as client:
        peer.mad.set()
        with pytest.raises(ConnectionFailedError):
            client.status()
        peer.mad.clear()
        assert client.status() == STATUS


def test_request_that_cannot_be_written_fails_alone(peer: Answering) -> None:
    connection = connection_to(peer)
    fields: dict[str, Any] = {"nonsense": 1}
    with pytest.raises(TypeError, match="nonsense"):
        connection.request(m.GetStatus, (), fields).result(10)
    assert isinstance(ask(connection).result(10)[0], m.StatusReply)
    connection.close()


def test_requests_that_race_with_close_all_end(peer: Answering) -> None:
    peer.silent.set()
    for _ in range(5):
        connection = connection_to(peer)
        futures: list[Future[Answer]] = []
        closed = threading.Event()

        def hammer(
            connection: DaemonConnection = connection, futures: list[Future[Answer]] = futures, closed: Any = closed
        ) -> None:
            while not closed.is_set():
                futures.append(ask(connection))
                time.sleep(1e-4)
            futures.append(ask(connection))

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        connection.close()
        closed.set()
        for thread in threads:
            thread.join()
        assert len(futures) > 3
        for future in futures:
            assert isinstance(future.exception(5), ConnectionFailedError)


def test_greeting_is_that_of_the_daemon_that_is_there_now(peer: Answering, tmp_path: Path) -> None:
    with Client(peer.url, save(CLIENT, tmp_path), home=tmp_path) as client:
        assert client.greeting.instance == "first"
        peer.stop()
        peer.start("second")
        assert client.status() == STATUS
        assert client.greeting.instance == "second"


def save(key: Key, home: Path) -> Path:
    path = home / "me.key"
    save_key(path, key)
    return path


def test_an_address_that_is_none_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def ask_it() -> None:
        with Client("banana", save(CLIENT, tmp_path), home=tmp_path) as client:
            client.status()

    with pytest.raises(InvalidValueError, match="got banana; legal: tcp://HOST:PORT"):
        ask_it()
    assert not caplog.records


def test_a_result_that_is_late_says_whether_the_daemon_is_there(peer: Answering, tmp_path: Path) -> None:
    with Client(peer.url, save(CLIENT, tmp_path), home=tmp_path) as client:
        peer.silent.set()
        with pytest.raises(
            JobTimeoutError, match=r"job j: has not ended in this time; it goes on, ask again; got 0.2 s"
        ):
            client.finished("j", 0.2)
        peer.stop()
        gone = (
            rf"the daemon at {peer.url} does not answer: it keeps the job, .*`pulsed serve`\); ask again then; got 1 s"
        )
        with pytest.raises(JobTimeoutError, match=gone):
            client.finished("j", 1)
        peer.start("second")
        deadline = time.monotonic() + 10
        while "does not answer" in str(client.late("j", 1)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "it goes on" in client.late("j", 1).message
