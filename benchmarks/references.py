"""The references of the budgets: the same work with everything taken away that is not unavoidable."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import zmq


def walk(circuit: Any) -> int:
    """Read name, float parameters and qubit indices of every instruction; return how many there are."""
    index = {qubit: i for i, qubit in enumerate(circuit.qubits)}
    count = 0
    for instruction in circuit.data:
        _ = instruction.name, [float(x) for x in instruction.params], [index[q] for q in instruction.qubits]
        count += 1
    return count


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _sum(samples: npt.NDArray[np.int16]) -> int:
    total = 0
    for i in range(samples.size):  # an index: the compiler does not vectorize the other loop
        total += samples[i]
    return total


def bandwidth(samples: npt.NDArray[np.int16]) -> int:
    """Return the sum of ``samples``, one compiled thread: as fast as this machine reads int16."""
    return int(_sum(samples))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _gather(table: npt.NDArray[np.int16], indices: npt.NDArray[np.int64], out: npt.NDArray[np.int16]) -> None:
    for i in range(indices.size):
        out[i] = table[indices[i]]


def gather(table: npt.NDArray[np.int16], indices: npt.NDArray[np.int64], out: npt.NDArray[np.int16]) -> None:
    """Look ``indices`` up in a table of 4096 entries, one compiled thread: samples without any arithmetic."""
    _gather(table, indices, out)


class DurableInserts:
    """Bare sqlite3 with WAL and FULL: rows (id, blob) into one table in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._connection = sqlite3.connect(directory / "reference.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE job (job_id TEXT PRIMARY KEY, data BLOB NOT NULL)")

    def one_by_one(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Insert each row in a transaction of its own."""
        for row in rows:
            self._connection.execute("INSERT INTO job VALUES (?, ?)", row)

    def grouped(self, groups: Iterable[Sequence[tuple[str, bytes]]]) -> None:
        """Insert each group of rows in one transaction."""
        for rows in groups:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO job VALUES (?, ?)", rows)
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


@contextlib.contextmanager
def echo(size: int) -> Iterator[Callable[[], object]]:
    """Give a function that sends a small message with CURVE to a ROUTER, and gets ``size`` bytes back.

    The ROUTER has a process of its own, as the daemon has: two ends in one process take turns at one interpreter and
    share one thread that encrypts, and a large message never waits for the window of a connection.
    """
    command = [sys.executable, __file__, str(size)]
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port, public = process.stdout.readline().split()
        dealer = context.socket(zmq.DEALER)
        dealer.curve_serverkey = public.encode()
        dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
        dealer.connect(f"tcp://127.0.0.1:{port}")

        def trip() -> None:
            dealer.send(bytes(30))
            dealer.recv(copy=False)

        yield trip
        process.stdin.close()
    context.destroy(0)


def _serve(size: int) -> None:
    """Be the other end of :func:`echo` until standard input ends."""
    router: zmq.Socket[bytes] = zmq.Context().socket(zmq.ROUTER)
    public, secret = zmq.curve_keypair()
    router.curve_server, router.curve_secretkey = True, secret
    print(router.bind_to_random_port("tcp://127.0.0.1"), public.decode(), flush=True)
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    answer = bytes(size)
    while sys.stdin.fileno() not in (ready := dict(poller.poll())):
        if router in ready:
            address, _ = router.recv_multipart()
            router.send_multipart([address, answer], copy=False)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
