"""The references of the budgets: the same work with everything taken away that is not unavoidable."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
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
    """Give a function that sends a small message to a ROUTER in a thread, with CURVE, and gets ``size`` bytes back."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    public, secret = zmq.curve_keypair()
    router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    router.curve_server, router.curve_secretkey = True, secret
    port = router.bind_to_random_port("tcp://127.0.0.1")
    dealer.curve_serverkey = public
    dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
    dealer.connect(f"tcp://127.0.0.1:{port}")
    over, answer = threading.Event(), bytes(size)

    def serve() -> None:
        while not over.is_set():
            if router.poll(100):
                address, _ = router.recv_multipart()
                router.send_multipart([address, answer], copy=False)

    thread = threading.Thread(target=serve)
    thread.start()

    def trip() -> None:
        dealer.send(bytes(30))
        dealer.recv(copy=False)

    yield trip
    over.set()
    thread.join()
    context.destroy(0)
