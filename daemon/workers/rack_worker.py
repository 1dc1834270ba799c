"""The rack worker: the only process that speaks to the instruments.

One thread owns the rack and carries out requests; another one reads the pipe, so that an abort, or the end of the
daemon, is seen while a chunk plays. However it ends, it makes the outputs safe first. Started by the supervisor as
``python -m pulsed.daemon.workers.rack_worker PIPE PARENT``.
"""

from __future__ import annotations

import contextlib
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
from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.outputs_guard import SAFE, TAKEN
from pulsed.daemon.workers.pipe import WorkerPipe
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InterlockError, PulsedError
from pulsed.model.payload import Part
from pulsed.model.result import ProgramResult

_GRACE = 8.0
"""Seconds to make the outputs safe and close."""
_TAKE_OVER = 60.0
"""Seconds for that when the instruments have to be connected first."""
_PROGRESS = 0.05
"""Seconds between two reports of progress, and to the first: what is done sooner is not worth them."""


class RackInterface(Protocol):
    """What the worker asks of a rack; see ``pulsed.drivers.rack.rack``. Deadlines are on ``time.monotonic``."""

    @property
    def identities(self) -> Mapping[str, Any]: ...  # noqa: D102
    def own(self, holder: str, deadline: float) -> None: ...  # noqa: D102
    def connect(self, deadline: float) -> None: ...  # noqa: D102
    def reconnect(self, deadline: float) -> None: ...  # noqa: D102
    def play(  # noqa: D102
        self, chunk: Chunk, progress: Callable[[str, float], None], deadline: float
    ) -> tuple[list[ProgramResult], list[Part], dict[str, float]]: ...
    def validate(self, chunk: Chunk) -> object: ...  # noqa: D102
    def health_check(self, deadline: float) -> Mapping[str, PulsedError]: ...  # noqa: D102
    def front_panel(  # noqa: D102
        self, name: str, settings: Mapping[str, float], reading: str, deadline: float
    ) -> Mapping[str, str]: ...
    def safe_state(self, deadline: float | None = None) -> Sequence[PulsedError] | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class _Ended(BaseException):
    """SIGTERM, or the daemon has gone: out of whatever is under way."""


class RackWorker:
    """The rack and the requests. ``guard``: where it tells the guard of the outputs what it does; None: to nobody."""

    def __init__(self, pipe: WorkerPipe, guard: int | None = None) -> None:
        self.pipe, self._guard = pipe, guard
        self._rack: RackInterface | None = None
        self._owns = self._connected = False
        self._inherited: tuple[messages.SetUp, Sequence[Part]] | None = None
        """The set-up of a worker whose predecessor left the outputs in a state that nobody knows."""
        self._requests: queue.SimpleQueue[tuple[messages.RackRequest, Sequence[Part]]] = queue.SimpleQueue()
        self._aborted = ""
        """The job that was aborted last; the daemon has one at a time on the rack."""
        self._halted = ""
        """Why nothing may be played or set; empty when it may."""
        self._last_progress = 0.0

    def run(self) -> int:
        """Serve requests until the daemon goes or says so; return the exit code of :func:`main`."""
        try:
            # Here, because a daemon that has gone already ends this at once.
            threading.Thread(target=self._read, name="requests", daemon=True).start()
            while True:
                self._serve(*self._requests.get())
        except _Ended:
            return self._make_safe()
        except BaseException:
            self._make_safe()
            raise

    def _read(self) -> None:
        while (message := self.pipe.receive()) is not None:
            request = messages.rack_requests.decode(message[0])
            if isinstance(request, messages.Abort):
                self._aborted = request.job_id
                continue
            if isinstance(request, messages.Halt):
                self._halted = request.reason
                continue
            if isinstance(request, messages.Ping):
                self._pong()
                continue
            if isinstance(request, messages.Quit):
                break
            if isinstance(request, messages.SetUp):
                self._halted = request.halted
                if request.holder:
                    self._inherited = request, message[1:]
            self._requests.put((request, message[1:]))
        os.kill(os.getpid(), signal.SIGTERM)  # out of whatever the other thread does
        time.sleep(_GRACE if self._inherited is None else _GRACE + _TAKE_OVER)
        os._exit(1)

    def _pong(self) -> None:
        with contextlib.suppress(OSError):  # the daemon has gone: the next read says so
            self.pipe.send([messages.encode(messages.Pong())])

    def _serve(self, request: messages.RackRequest, parts: Sequence[Part]) -> None:
        job_id = request.job_id if isinstance(request, messages.PlayChunk | messages.CheckChunk) else ""
        answer: messages.RackReply
        arrays: Sequence[Part] = ()
        try:
            if isinstance(request, messages.SetUp):
                answer = self._set_up(request, parts)
            elif isinstance(request, messages.Connect):
                answer = self._connect(request)
            elif isinstance(request, messages.PlayChunk):
                answer, arrays = self._play(request, parts)
            elif isinstance(request, messages.CheckChunk):
                answer = self._check(request, parts)
            elif isinstance(request, messages.CheckHealth):
                answer = self._look(request)
            elif isinstance(request, messages.UseFrontPanel):
                answer = self._front_panel(request)
            elif isinstance(request, messages.MakeSafe):
                answer = self._switch_off(request)
            else:
                return
        except Exception as error:  # noqa: BLE001 - the daemon decides what an error means for the job
            if not isinstance(error, PulsedError):
                logs.get("rack").exception("a request failed")
            answer = messages.RequestFailed(messages.describe(error), job_id, self._identities())
        try:
            self.pipe.send([messages.encode(answer), *arrays])
        except OSError:
            raise _Ended from None

    def _set_up(self, request: messages.SetUp, parts: Sequence[Part]) -> messages.Ready:
        start = time.perf_counter()
        logs.set_up(Path(request.log) if request.log else None, "rack", console=False)
        module, _, name = request.factory.partition(":")
        factory: Callable[[DeviceDescription], RackInterface] = getattr(importlib.import_module(module), name)
        self._rack = factory(DeviceDescription.model_validate_json(bytes(parts[0])))
        return messages.Ready(seconds=time.perf_counter() - start)

    def _identities(self) -> dict[str, str]:
        if self._rack is None:
            return {}
        return {name: str(identity) for name, identity in self._rack.identities.items()}

    def _connect(self, request: messages.Connect) -> messages.Connected:
        assert self._rack is not None
        deadline = time.monotonic() + request.seconds
        self._rack.own(request.holder, deadline)
        self._tell_guard(TAKEN)
        self._owns = True
        if self._connected:
            self._rack.reconnect(deadline)
        else:
            self._rack.connect(deadline)
        self._connected = True
        return messages.Connected(self._identities())

    def _play(self, request: messages.PlayChunk, parts: Sequence[Part]) -> tuple[messages.ChunkPlayed, Sequence[Part]]:
        assert self._rack is not None
        self._check_halted()
        chunk = Chunk.decode(parts)
        self._last_progress = time.monotonic()

        def progress(what: str, fraction: float) -> None:
            self._check_halted()
            if request.job_id == self._aborted:
                raise messages.job_cancelled(request.job_id)
            self._report(request.job_id, what, fraction)

        results, arrays, times = self._rack.play(chunk, progress, time.monotonic() + request.seconds)
        return messages.ChunkPlayed(request.job_id, request.chunk, tuple(results), dict(times)), arrays

    def _check(self, request: messages.CheckChunk, parts: Sequence[Part]) -> messages.ChunkChecked:
        assert self._rack is not None
        self._rack.validate(Chunk.decode(parts))
        return messages.ChunkChecked(request.job_id, request.chunk)

    def _look(self, request: messages.CheckHealth) -> messages.HealthReport:
        assert self._rack is not None
        problems = self._rack.health_check(time.monotonic() + request.seconds)
        return messages.HealthReport({name: error.to_info() for name, error in problems.items()})

    def _front_panel(self, request: messages.UseFrontPanel) -> messages.FrontPanel:
        assert self._rack is not None
        if request.settings:
            self._check_halted()
        deadline = time.monotonic() + request.seconds
        found = self._rack.front_panel(request.instrument, request.settings, request.reading, deadline)
        return messages.FrontPanel(dict(found))

    def _switch_off(self, request: messages.MakeSafe) -> messages.MadeSafe:
        if self._rack is None or not self._owns:
            return messages.MadeSafe()
        problems = self._rack.safe_state(time.monotonic() + request.seconds) or ()
        return messages.MadeSafe(tuple(problem.to_info() for problem in problems))

    def _check_halted(self) -> None:
        if self._halted:
            raise InterlockError(self._halted, subject="rack", legal="when the interlock is armed again")

    def _report(self, job_id: str, what: str, fraction: float) -> None:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS:
            return
        self._last_progress = now
        self.pipe.send([messages.encode(messages.PlayProgress(job_id, what, fraction))])

    def _make_safe(self) -> int:
        """Switch all outputs off and close; return the exit code of :func:`main`.

        Instruments that this process never had are left alone, they may be another daemon's, unless it was set up to
        look after what its predecessor left.
        """
        if self._inherited is not None and not self._connected:
            self._take_over(*self._inherited)
        if self._rack is None:
            return messages.NEVER_OWNED
        safe = True
        for step in (self._rack.safe_state, self._rack.close) if self._owns else (self._rack.close,):
            try:
                for problem in step() or ():
                    safe = False
                    logs.get("rack").error("an instrument was not made safe", error=str(problem))
            except Exception:  # noqa: BLE001 - each step is tried whatever became of the others
                safe = False
                logs.get("rack").exception("closing failed")
        if not self._owns:
            return messages.NEVER_OWNED
        if safe:
            self._tell_guard(SAFE)
        return 0 if safe else messages.NOT_SAFE

    def _tell_guard(self, word: str) -> None:
        if self._guard is not None:
            with contextlib.suppress(OSError):  # it has gone: the next one takes the worst for granted
                os.write(self._guard, word.encode())

    def _take_over(self, request: messages.SetUp, parts: Sequence[Part]) -> None:
        """Connect the instruments, by which their outputs go off: nobody else is left to do so."""
        try:
            if self._rack is None:
                self._set_up(request, parts)
            self._connect(messages.Connect(_TAKE_OVER, request.holder))
        except Exception:  # noqa: BLE001 - the exit code says that it has not come to it
            logs.get("rack").exception("the instruments cannot be taken over to make them safe")


def main(argv: Sequence[str]) -> int:
    """Run the worker on the pipe with the number ``argv[0]``; ``argv[2]``, if it is there, leads to the guard.

    Return the exit code: 0 when every instrument has confirmed that its outputs are off,
    :data:`~pulsed.daemon.workers.messages.NOT_SAFE` when one has not, and
    :data:`~pulsed.daemon.workers.messages.NEVER_OWNED` when this process never had them.
    """

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Ended

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    return RackWorker(WorkerPipe(int(argv[0])), int(argv[2]) if len(argv) > 2 else None).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
