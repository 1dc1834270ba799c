"""What comes to the door without the right key, twice, cut, or a thousandfold harms its sender alone."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from pulsed.client import Client
from pulsed.client.keys import add_client, find_key, load_key, new_key, save_key
from pulsed.daemon.front.connections import MOST_SUBSCRIPTIONS
from pulsed.model.errors import ConnectionFailedError, NotAllowedError
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run
from pulsed.testing.mutated_frames import FrameFuzz, mutated

FRAMES = 20_000
KNOCKS = 10_000
HOUSEHOLD = 64 * 2**20
"""Bytes by which a process of Python may grow at anything: its allocator keeps what it had."""


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("front")).start()
    yield process
    assert process.stop() == 0


def events_of(daemon: DaemonProcess) -> str:
    with daemon.client() as client:
        return client.greeting.notices.replace("*", "127.0.0.1")


def said(daemon: DaemonProcess) -> str:
    return (daemon.home / "logs" / "daemon.jsonl").read_text()


def test_mutated_frames_get_typed_errors_and_cost_bounded_memory(
    door: DaemonProcess, pytestconfig: pytest.Config
) -> None:
    seed = random.randrange(2**32)
    report = FrameFuzz(door, seed).run(FRAMES)
    assert report.alive, f"seed {seed}"
    assert report.untyped == 0, f"seed {seed}"
    assert report.answers["protocol"] > FRAMES / 4
    assert report.memory_most - report.memory_before < HOUSEHOLD, f"seed {seed}"


def test_a_mutation_changes_frames() -> None:
    chance, frames = random.Random(1), [b"head of it", b"part"]
    assert sum(mutated(frames, chance) != frames for _ in range(1000)) > 990
    assert frames == [b"head of it", b"part"]


@pytest.mark.parametrize("which", ["requests", "events"])
def test_ten_thousand_connections_harm_nobody(door: DaemonProcess, which: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = min(hard - 500, 2000)
    host, port = (door.endpoint if which == "requests" else events_of(door)).removeprefix("tcp://").rsplit(":", 1)
    before = FrameFuzz(door, 0).memory()
    peers: list[socket.socket] = []
    slowest = 0.0
    try:
        with door.client(timeout=PATIENCE) as client:
            for number in range(KNOCKS):
                peers.append(socket.create_connection((host, int(port)), PATIENCE))
                if len(peers) >= most:
                    peers.pop(0).close()
                if number % 500 == 0:
                    began = time.monotonic()
                    client.status()
                    slowest = max(slowest, time.monotonic() - began)
            assert FrameFuzz(door, 0).memory() - before < HOUSEHOLD
            run(client, job(), packed(flip()))
        with door.client() as another:
            assert another.status().operational
    finally:
        for peer in peers:
            peer.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert slowest < PATIENCE / 4
    assert "too many connections without a known key" in said(door)
    assert said(door).count("too many connections without a known key") < 200, "lines are bounded"


class Recorder:
    """Passes one connection on to the daemon, and keeps what the client said."""

    def __init__(self, endpoint: str) -> None:
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        self.target = host, int(port)
        self.heard = bytearray()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        daemon = socket.create_connection(self.target)
        threading.Thread(target=self._pass, args=(daemon, client, None), daemon=True).start()
        self._pass(client, daemon, self.heard)

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, heard: bytearray | None) -> None:
        with contextlib.suppress(OSError):  # either side may go at any time
            while data := source.recv(65536):
                if heard is not None:
                    heard += data
                sink.sendall(data)
        sink.close()

    def close(self) -> None:
        self._listening.close()


def test_a_conversation_that_is_played_again_does_nothing(door: DaemonProcess) -> None:
    recorder = Recorder(door.endpoint)
    key = find_key(None, door.home)
    path = door.home / "copy.key"
    save_key(path, key)
    done = job()
    with Client(recorder.url, path, home=door.home) as client:
        run(client, done, packed(flip()))
        client.cancel(done.job_id)
    recorder.close()
    with door.client() as client:
        before = client.job(done.job_id), len(client.job_log(done.job_id)), client.jobs(limit=1000)
        with socket.create_connection(recorder.target, PATIENCE) as peer:
            peer.sendall(recorder.heard)
            peer.settimeout(PATIENCE)
            while peer.recv(65536):  # until the daemon ends it
                continue
        assert (client.job(done.job_id), len(client.job_log(done.job_id)), client.jobs(limit=1000)) == before


def test_a_wrong_key_and_a_right_key_with_the_wrong_role_are_refused_counted_and_told(
    door: DaemonProcess, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.key"
    save_key(stranger, new_key("stranger", "admin", find_key(None, door.home).server))
    with pytest.raises(ConnectionFailedError, match="does not know this key"):
        Client(door.endpoint, stranger, timeout=PATIENCE).connect()
    viewer = add_client(door.home, "onlooker", "viewer")
    with door.client(key=viewer) as client:
        with pytest.raises(NotAllowedError, match="from experimenter on"):
            client.submit(job(), [packed(flip())])
        assert client.status().operational
    eventually(lambda: "an unknown key was refused" in said(door), "a line in the log")
    assert '"user": "onlooker"' in said(door)


def test_a_subscriber_has_so_many_topics_and_no_more(door: DaemonProcess) -> None:
    """ZeroMQ keeps a node for every byte of every topic: a subscriber without end would cost memory without end.

    What it costs until it is ended depends on how fast it is; so much is sent here that no machine is too slow for.
    """
    found = load_key(add_client(door.home, "collector", "viewer"))
    before = FrameFuzz(door, 0).memory()
    context: zmq.Context[Any] = zmq.Context()
    subscriber = context.socket(zmq.XSUB)
    subscriber.linger = 0
    subscriber.curve_publickey, subscriber.curve_secretkey = found.public.encode(), found.secret.encode()
    subscriber.curve_serverkey = found.server.encode()
    subscriber.connect(events_of(door))
    chance = random.Random(2)
    try:
        for _ in range(200 * MOST_SUBSCRIPTIONS):
            subscriber.send(b"\x01" + chance.randbytes(100))
        eventually(lambda: "too many subscriptions of one connection" in said(door), "it is ended")
        time.sleep(1.0)
        assert FrameFuzz(door, 0).memory() - before < HOUSEHOLD
        with door.client() as client:
            run(client, job(), packed(flip()))
    finally:
        context.destroy(0)
