"""The last one to go: has the outputs switched off when the daemon and its rack worker have been killed together.

It reads a pipe whose other end only these two have. A rack worker says there that it takes the instruments, and that it
has switched everything off. At the end of the pipe both are gone; if the last word was the first one, nobody is left to
switch anything off, and a rack worker is started for this alone. Needs nothing but the standard library, so that it is
small, and is run as a script: ``python -S -E outputs_guard.py PIPE MESSAGE WORD COMMAND...``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

TAKEN, SAFE = "t", "s"
"""What a rack worker says."""


def main(argv: Sequence[str]) -> int:
    """Wait for the end of the pipe ``argv[0]``; return the exit code, 0 when all is known to be off.

    ``argv[1]`` is a file with the message that has a rack worker take over, ``argv[2]`` the last word that was said
    before, and the rest the command of a rack worker.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a service manager ends all processes at once: this one is to be last
    pipe, message, word = int(argv[0]), int(argv[1]), argv[2]
    while said := os.read(pipe, 4096):
        word = chr(said[-1])
    return take_over(message, argv[3:]) if word == TAKEN else 0


def take_over(message: int, command: Sequence[str]) -> int:
    """Start a rack worker without a daemon: it connects the instruments, by which they are off, and ends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handle = theirs.fileno()
        worker = subprocess.Popen([*command, str(handle), str(os.getpid())], pass_fds=[handle])
        theirs.close()
        ours.sendall(os.pread(message, os.fstat(message).st_size, 0))
        ours.shutdown(socket.SHUT_WR)
        return worker.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
