"""A link that ends, in whatever way, leaves nobody waiting."""

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
from pulsed.client.link import Answer, Link
from pulsed.model.errors import ConnectionFailedError, InvalidValueError
from pulsed.wire import messages as m
from pulsed.wire import protocol as p
from pulsed.wire.roles import Role

LIMIT = 1_000_000
SERVER = new_key("server")
CLIENT = new_key("me", "admin", SERVER.public)
STATUS = m.Status("sim5", "1", True, "", 0, "", "set", 0.0, {}, {})


class Answering:
    """A daemon's end that greets, answers a status, and answers rubbish while ``mad`` is set."""

    def __init__(self) -> None:
        self.mad = threading.Event()
        self.silent = threading.Event()
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
                    m.PROTOCOL,
                    "1",
                    (13, 18),
                    ("sim5",),
                    "me",
                    "admin",
                    "tcp://*:1",
                    0,
                    self.instance,
                    LIMIT,
                )
            elif self.silent.is_set():
                continue
            else:
                reply = m.StatusReply(message.id, STATUS)
            rubbish = self.mad.is_set() and not isinstance(message, m.Hello)
            self._router.send_multipart([address, b"\xc1rubbish"] if rubbish else [address, *p.frames_of(reply)])


@pytest.fixture
def peer() -> Iterator[Answering]:
    peer = Answering()
    yield peer
    peer.stop()


def link_to(peer: Answering) -> Link:
    link = Link(peer.url, CLIENT, "1", lambda _: None)
    link.start()
    link.greeted.result(10)
    return link


def ask(link: Link) -> Future[Answer]:
    return link.request(m.GetStatus, (), {})


def test_unreadable_answer_fails_what_waits_and_what_comes_after(peer: Answering) -> None:
    link = link_to(peer)
    assert isinstance(ask(link).result(10)[0], m.StatusReply)
    peer.mad.set()
    with pytest.raises(ConnectionFailedError):
        ask(link).result(10)
    link._thread.join(10)
    assert link.ended
    with pytest.raises(ConnectionFailedError):
        ask(link).result(0)
    with pytest.raises(ConnectionFailedError):
        link.subscribed.result(0)
    link.close()


def test_client_replaces_a_link_that_has_ended(peer: Answering, tmp_path: Path) -> None:
    with Client(peer.url, save(CLIENT, tmp_path), home=tmp_path) as client:
        peer.mad.set()
        with pytest.raises(ConnectionFailedError):
            client.status()
        peer.mad.clear()
        assert client.status() == STATUS


def test_request_that_cannot_be_written_fails_alone(peer: Answering) -> None:
    link = link_to(peer)
    fields: dict[str, Any] = {"nonsense": 1}
    with pytest.raises(TypeError, match="nonsense"):
        link.request(m.GetStatus, (), fields).result(10)
    assert isinstance(ask(link).result(10)[0], m.StatusReply)
    link.close()


def test_requests_that_race_with_close_all_end(peer: Answering) -> None:
    peer.silent.set()
    for _ in range(5):
        link = link_to(peer)
        futures: list[Future[Answer]] = []
        closed = threading.Event()

        def hammer(link: Link = link, futures: list[Future[Answer]] = futures, closed: Any = closed) -> None:
            while not closed.is_set():
                futures.append(ask(link))
                time.sleep(1e-4)
            futures.append(ask(link))

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        link.close()
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
