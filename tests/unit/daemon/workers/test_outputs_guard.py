"""The guard of the outputs: when it has a rack worker take over, and when it just goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pulsed.daemon.workers import outputs_guard
from pulsed.testing.daemon_process import eventually

WORKER = """
import socket, sys
pipe = socket.socket(fileno=int(sys.argv[2]))
said = b""
while piece := pipe.recv(4096):
    said += piece
open(sys.argv[1], "wb").write(said)
sys.exit(5)
"""


ENDINGS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def ignored(pid: int) -> set[int]:
    """Return the signals that a process does not take."""
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("SigIgn")]
    mask = int(line.split()[1], 16)
    return {number for number in range(1, 65) if mask >> number - 1 & 1}


class Guard:
    """A guard whose rack worker writes what it was told to a file."""

    def __init__(self, folder: Path, word: str) -> None:
        self.told = folder / "told"
        read, self.write = os.pipe()
        with tempfile.TemporaryFile() as message:
            message.write(b"take over")
            message.flush()
            command = [sys.executable, "-S", "-E", outputs_guard.__file__, str(read), str(message.fileno()), word]
            command += [sys.executable, "-S", "-c", WORKER, str(self.told)]
            self.process = subprocess.Popen(command, pass_fds=[read, message.fileno()])
        os.close(read)

    def ends(self, *words: str) -> int:
        for word in words:
            os.write(self.write, word.encode())
        os.close(self.write)
        return self.process.wait(60)


@pytest.mark.parametrize(
    ("before", "words", "takes_over"),
    [
        ("s", (), False), ("s", ("t",), True), ("s", ("t", "s"), False), ("s", ("t", "s", "t"), True),
        ("t", (), True), ("t", ("s",), False), ("s", ("tstst",), True),
    ],
)  # fmt: skip
def test_it_takes_over_what_was_taken_and_not_said_to_be_off(
    tmp_path: Path, before: str, words: tuple[str, ...], takes_over: bool
) -> None:
    guard = Guard(tmp_path, before)
    assert guard.ends(*words) == (5 if takes_over else 0)
    assert guard.told.exists() is takes_over
    if takes_over:
        assert guard.told.read_bytes() == b"take over"


def test_it_is_the_last_to_go(tmp_path: Path) -> None:
    guard = Guard(tmp_path, "s")
    os.write(guard.write, b"t")
    eventually(lambda: ignored(guard.process.pid) >= ENDINGS, "it has begun")
    for number in ENDINGS:
        guard.process.send_signal(number)
    assert guard.ends() == 5
