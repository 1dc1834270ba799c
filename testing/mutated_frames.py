"""A daemon under mutated frames, on both sockets, before and after the key.

``python -m pulsed.testing.mutated_frames 1000000`` starts one, sends that many, and prints what came of it.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import zmq

from pulsed.client.keys import add_client, load_key
from pulsed.model.errors import PulsedError, from_info
from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run
from pulsed.wire import messages as m
from pulsed.wire.job_messages import GetChunk, GetJobLog, GetSubmission, UpdateJob
from pulsed.wire.protocol import frames_of
from pulsed.wire.session_messages import CloseSession, GetSession, GetSessions

_BATCH = 200
_OF_ONE = 20_000
"""Frames of one connection."""
_LAST = 2**31 - 1
"""The id of a request that is as it should be."""
_GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.1."""
_HELLO = b"\x04" + struct.pack("B", 200) + b"\x05HELLO\x01\x00" + bytes(72) + bytes(32) + bytes(8) + bytes(80)
_replies = msgspec.msgpack.Decoder(m.AnyReply)


class FuzzReport(msgspec.Struct):
    """What came of it. Memory in bytes, of the daemon's own process."""

    frames: int
    seconds: float
    answers: dict[str, int]
    """By the kind of the answer, and by the code of an error."""
    untyped: int
    """Answers that are none of the protocol's, or errors of no known kind."""
    memory_before: int
    memory_most: int
    memory_after: int
    alive: bool


def requests(job_id: str, calibration_id: str) -> list[list[bytes]]:
    """Return one message of every kind that an experimenter may send, and of some that one may not."""
    kinds: list[m.AnyRequest] = [
        m.Hello(1, 1, "0", 1), m.GetStatus(2), m.GetDevice(3), m.GetCalibration(4), m.GetCalibrationLog(5, 10, "x"),
        m.GetValueHistory(6, "q0.f01", 3), m.GetRuns(7, "t1", "q", 5, "r"), m.GetJob(8, job_id), m.GetJobs(9, limit=5),
        GetJobLog(10, job_id), GetSession(11, "none"), GetSessions(12, True, 7), m.GetResult(13, job_id),
        GetSubmission(14, job_id), GetChunk(15, job_id, 0), UpdateJob(16, job_id, "name", ("a", "b")),
        CloseSession(17, "none", True), m.Cancel(18, "none"), m.Stop(19), m.Prune(20, 1.0, True),
        m.CommitCalibration(21, calibration_id, calibration_id, "why"), m.TagCalibration(22, calibration_id, "tag"),
        m.PutCalibration(23), m.Submit(24, job(), "sim5"),
    ]  # fmt: skip
    return [[bytes(part) for part in frames_of(kind, [b"part"] if kind.id > 22 else ())] for kind in kinds]


def mutated(frames: list[bytes], chance: random.Random) -> list[bytes]:
    """Return frames with one to three changes: of bytes, of lengths, of their number."""
    frames = list(frames)
    for _ in range(chance.randint(1, 3)):
        index = chance.randrange(len(frames)) if frames else 0
        what = chance.randrange(9)
        if what == 0 and frames:
            del frames[index]
        elif what == 1:
            frames.insert(index, chance.choice(frames) if frames else b"")
        elif what == 2:
            frames += [chance.randbytes(chance.randrange(40))] * chance.choice((1, 2, 20))
        elif not frames or not frames[index]:
            frames.insert(index, b"")
        elif what == 3:
            frames[index] = frames[index][: chance.randrange(len(frames[index]))]
        elif what == 4:
            place = chance.randrange(len(frames[index]))
            frames[index] = frames[index][:place] + chance.randbytes(chance.randint(1, 9)) + frames[index][place:]
        elif what == 5:
            place, length = chance.randrange(len(frames[index])), chance.randint(1, 8)
            frames[index] = frames[index][:place] + frames[index][place + length :]
        else:
            changed = bytearray(frames[index])
            for _ in range(chance.choice((1, 1, 2, 8))):
                # The bytes by which MessagePack says type and length, more often than others.
                changed[chance.randrange(len(changed))] = chance.choice((
                    chance.randrange(256), 0x80 + chance.randrange(80), 0xC0 + chance.randrange(32),
                ))  # fmt: skip
            frames[index] = bytes(changed)
    return frames


class FrameFuzz:
    """One daemon and what it is sent."""

    def __init__(self, daemon: DaemonProcess, seed: int) -> None:
        self.daemon, self.chance = daemon, random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.untyped = 0
        self.most = 0

    def run(self, count: int, tell: Callable[[str], None] = lambda _: None) -> FuzzReport:
        """Send ``count`` frames: four fifths as requests, a tenth as subscriptions, a tenth before any key."""
        key = add_client(self.daemon.home, f"fuzz{self.chance.randrange(2**32)}", "experimenter")
        with self.daemon.client(key=key) as client:
            done = job()
            run(client, done, packed(flip()))
            seeds = requests(done.job_id, client.status().calibration_id)
            events = client.greeting.notices.replace("*", "127.0.0.1")
        self._ask(key, seeds, 2 * _BATCH)
        before, began = self.memory(), time.monotonic()
        sent = 0
        while sent < count:
            part = min(_OF_ONE, count - sent)
            self._ask(key, seeds, part * 8 // 10)
            self._subscribe(key, events, part // 10)
            for endpoint in (self.daemon.endpoint, events):
                self._knock(endpoint, part // 20)
            sent += part
            self.most = max(self.most, self.memory())
            tell(f"{sent} frames, {time.monotonic() - began:.0f} s, {self.most / 2**20:.0f} MiB at most")
        seconds = time.monotonic() - began
        time.sleep(1.0)
        with self.daemon.client() as client:
            last = job()
            run(client, last, packed(flip()))
            alive = client.job(last.job_id).state == "done"
        return FuzzReport(
            sent, seconds, dict(self.answers.most_common()), self.untyped, before, self.most, self.memory(), alive
        )

    def memory(self) -> int:
        """Return the bytes that the daemon's own process has in memory."""
        assert self.daemon.process is not None
        for line in Path(f"/proc/{self.daemon.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the daemon has ended")

    @contextlib.contextmanager
    def _socket(self, kind: int, key: Path, endpoint: str) -> Iterator[Any]:
        found = load_key(key)
        context: zmq.Context[Any] = zmq.Context()
        made = context.socket(kind)
        made.linger = 0
        made.curve_publickey, made.curve_secretkey = found.public.encode(), found.secret.encode()
        made.curve_serverkey = found.server.encode()
        made.connect(endpoint)
        try:
            yield made
        finally:
            context.destroy(0)

    def _ask(self, key: Path, seeds: list[list[bytes]], count: int) -> None:
        with self._socket(zmq.DEALER, key, self.daemon.endpoint) as dealer:
            # A client greets first: by what it says the daemon knows that a connection has a key.
            dealer.send_multipart(frames_of(m.GetStatus(_LAST)))
            self._answered(dealer)
            for first in range(0, count, _BATCH):
                for _ in range(min(_BATCH, count - first)):
                    # A DEALER sends at least one frame.
                    dealer.send_multipart(mutated(self.chance.choice(seeds), self.chance) or [b""])
                dealer.send_multipart(frames_of(m.GetStatus(_LAST)))
                while self._answered(dealer) != _LAST:
                    continue

    def _answered(self, dealer: Any) -> int:
        if not dealer.poll(PATIENCE * 1000):
            raise AssertionError("no answer")
        head, *_ = dealer.recv_multipart()
        try:
            reply = _replies.decode(head)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.untyped += 1
            return 0
        if isinstance(reply, m.ErrorReply):
            self.answers[reply.error.code] += 1
            self.untyped += type(from_info(reply.error)) is PulsedError
        else:
            self.answers[type(reply).__name__] += 1
        return int(reply.id)

    def _subscribe(self, key: Path, endpoint: str, count: int) -> None:
        for first in range(0, count, 100):
            with self._socket(zmq.XSUB, key, endpoint) as subscriber:
                subscriber.send(b"\x01")
                subscriber.poll(PATIENCE * 1000)  # the welcome
                for _ in range(min(100, count - first)):
                    with contextlib.suppress(zmq.Again):
                        subscriber.send(b"".join(mutated([b"\x01topic"], self.chance)), zmq.NOBLOCK)

    def _knock(self, endpoint: str, count: int) -> None:
        """Send frames of the handshake, of which ten go over one connection."""
        host, port = endpoint.removeprefix("tcp://").rsplit(":", 1)
        for _ in range(0, count, 10):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), PATIENCE) as peer:
                greeting = _GREETING if self.chance.random() < 0.8 else mutated([_GREETING], self.chance)
                peer.sendall(b"".join(greeting) if isinstance(greeting, list) else greeting)
                for _ in range(10):
                    peer.sendall(b"".join(mutated([_HELLO], self.chance)))


def main(count: str, seed: str = "1") -> int:
    """Print the report as JSON; 1 when anything is not as it should be."""

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    with tempfile.TemporaryDirectory() as home:
        daemon = DaemonProcess(Path(home)).start()
        try:
            report = FrameFuzz(daemon, int(seed)).run(int(count), tell)
        finally:
            code = daemon.stop()
    sys.stdout.write(json.dumps(msgspec.to_builtins(report), indent=1) + "\n")
    grown = report.memory_most - report.memory_before
    return int(not report.alive or report.untyped > 0 or code != 0 or grown > 128 * 2**20)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
