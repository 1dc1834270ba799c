"""The rack worker: the only process that speaks to the instruments.

One thread owns the rack and carries out orders; another one reads the pipe, so that an abort, or the end of the
daemon, is seen while a chunk plays. However it ends, it makes the outputs safe first. Started by the supervisor as
``python -m pulsed.daemon.rack_worker PIPE PARENT``.
"""

from __future__ import annotations

import importlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pulsed.compiler.program import Chunk
from pulsed.daemon import logs, orders
from pulsed.daemon.pipe import WorkerPipe
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import JobCancelledError, PulsedError
from pulsed.model.payload import Part
from pulsed.model.result import ProgramResult

_GRACE = 8.0
"""Seconds to make the outputs safe and close."""
_PROGRESS = 0.05
"""Seconds between two reports of progress, and to the first: what is done sooner is not worth them."""


class Rack(Protocol):
    """What the worker asks of a rack; see ``pulsed.drivers.rack``. Deadlines are on ``time.monotonic``."""

    @property
    def identities(self) -> Mapping[str, Any]: ...  # noqa: D102
    def connect(self, deadline: float) -> None: ...  # noqa: D102
    def reconnect(self, deadline: float) -> None: ...  # noqa: D102
    def play(  # noqa: D102
        self, chunk: Chunk, progress: Callable[[str, float], None], deadline: float
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]: ...
    def validate(self, chunk: Chunk) -> object: ...  # noqa: D102
    def look(self, deadline: float) -> Mapping[str, PulsedError]: ...  # noqa: D102
    def safe_state(self) -> Sequence[PulsedError] | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class _Ended(BaseException):
    """SIGTERM, or the daemon has gone: out of whatever is under way."""


class RackWorker:
    """The rack and the orders."""

    def __init__(self, pipe: WorkerPipe) -> None:
        self.pipe = pipe
        self._rack: Rack | None = None
        self._connected = False
        self._orders: queue.SimpleQueue[tuple[orders.RackOrder, Sequence[Part]]] = queue.SimpleQueue()
        self._aborted = ""
        """The job that was aborted last; the daemon has one at a time on the rack."""
        self._last_progress = 0.0

    def run(self) -> None:
        """Serve orders until the daemon goes or says so."""
        threading.Thread(target=self._read, name="orders", daemon=True).start()
        try:
            while True:
                self._serve(*self._orders.get())
        except _Ended:
            pass
        finally:
            self._make_safe()

    def _read(self) -> None:
        while (message := self.pipe.receive()) is not None:
            order = orders.rack_orders.decode(message[0])
            if isinstance(order, orders.Abort):
                self._aborted = order.job_id
                continue
            if isinstance(order, orders.Quit):
                break
            self._orders.put((order, message[1:]))
        os.kill(os.getpid(), signal.SIGTERM)  # out of whatever the other thread does
        time.sleep(_GRACE)
        os._exit(1)

    def _serve(self, order: orders.RackOrder, parts: Sequence[Part]) -> None:
        job_id = order.job_id if isinstance(order, orders.Play | orders.Check) else ""
        answer: orders.RackAnswer
        arrays: Sequence[Part] = ()
        try:
            if isinstance(order, orders.SetUp):
                answer = self._set_up(order, parts)
            elif isinstance(order, orders.Connect):
                answer = self._connect(order)
            elif isinstance(order, orders.Play):
                answer, arrays = self._play(order, parts)
            elif isinstance(order, orders.Check):
                answer = self._check(order, parts)
            elif isinstance(order, orders.Look):
                answer = self._look(order)
            else:
                return
        except Exception as error:  # noqa: BLE001 - the daemon decides what an error means for the job
            if not isinstance(error, PulsedError):
                logs.get("rack").exception("an order failed")
            answer = orders.Failed(orders.describe(error), job_id, self._identities())
        try:
            self.pipe.send([orders.encode(answer), *arrays])
        except OSError:
            raise _Ended from None

    def _set_up(self, order: orders.SetUp, parts: Sequence[Part]) -> orders.Up:
        start = time.perf_counter()
        logs.set_up(Path(order.log) if order.log else None, "rack", console=False)
        module, _, name = order.factory.partition(":")
        factory: Callable[[DeviceDescription], Rack] = getattr(importlib.import_module(module), name)
        self._rack = factory(DeviceDescription.model_validate_json(bytes(parts[0])))
        return orders.Up(seconds=time.perf_counter() - start)

    def _identities(self) -> dict[str, str]:
        if self._rack is None:
            return {}
        return {name: str(identity) for name, identity in self._rack.identities.items()}

    def _connect(self, order: orders.Connect) -> orders.Connected:
        assert self._rack is not None
        deadline = time.monotonic() + order.seconds
        if self._connected:
            self._rack.reconnect(deadline)
        else:
            self._rack.connect(deadline)
        self._connected = True
        return orders.Connected(self._identities())

    def _play(self, order: orders.Play, parts: Sequence[Part]) -> tuple[orders.Played, Sequence[Part]]:
        assert self._rack is not None
        chunk = Chunk.decode(parts)
        self._last_progress = time.monotonic()

        def progress(what: str, fraction: float) -> None:
            if order.job_id == self._aborted:
                raise JobCancelledError("was cancelled", subject=f"job {order.job_id}")
            self._report(order.job_id, what, fraction)

        results, arrays, times = self._rack.play(chunk, progress, time.monotonic() + order.seconds)
        return orders.Played(order.job_id, order.chunk, tuple(results), dict(times)), arrays

    def _check(self, order: orders.Check, parts: Sequence[Part]) -> orders.Checked:
        assert self._rack is not None
        self._rack.validate(Chunk.decode(parts).unrolled())
        return orders.Checked(order.job_id, order.chunk)

    def _look(self, order: orders.Look) -> orders.Looked:
        assert self._rack is not None
        problems = self._rack.look(time.monotonic() + order.seconds)
        return orders.Looked({name: error.to_info() for name, error in problems.items()})

    def _report(self, job_id: str, what: str, fraction: float) -> None:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS:
            return
        self._last_progress = now
        self.pipe.send([orders.encode(orders.Playing(job_id, what, fraction))])

    def _make_safe(self) -> None:
        if self._rack is None:
            return
        for step in (self._rack.safe_state, self._rack.close):
            try:
                for problem in step() or ():
                    logs.get("rack").error("an instrument was not made safe", error=str(problem))
            except Exception:  # noqa: BLE001 - each step is tried whatever became of the others
                logs.get("rack").exception("closing failed")


def main(argv: Sequence[str]) -> None:
    """Run the worker on the pipe with the number ``argv[0]``."""

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Ended

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    RackWorker(WorkerPipe(int(argv[0]))).run()


if __name__ == "__main__":
    main(sys.argv[1:])
