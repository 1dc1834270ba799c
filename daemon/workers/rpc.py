"""Calls to a worker process: one request at a time, which ends with its reply or with one typed error."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from pulsed.daemon import logs
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.supervisor import ChildState, MessageParts, Worker
from pulsed.model.errors import ErrorInfo, WorkerDiedError, from_info
from pulsed.model.payload import Part

Reply = TypeVar("Reply", bound=messages.AnyReply)
Request = messages.AnyRequest


class WorkerRpc:
    """The calls to one worker, which is kept running.

    Args:
        name: of the worker, for messages and the status.
        module: what it runs.
        set_up: returns the first message to each new process.
        changed: called when the process comes or goes.
        observe: gets each message of the worker, whether a call waits for it or not.
        ended: called when the process has ended.
        environment: of the process; the daemon's own when not given.

    """

    def __init__(
        self, name: str, module: str, set_up: Callable[[], list[Part]], changed: Callable[[], None],
        observe: Callable[[messages.AnyReply], None], ended: Callable[[], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.name = f"{name} worker"
        self.ready = asyncio.Event()
        """Set while the worker takes requests."""
        self.settled = asyncio.Event()
        """Set when the worker is ready, or cannot start: then ``error`` says why."""
        self.error: ErrorInfo | None = None
        self.turn = asyncio.Lock()
        """Held during a call: a worker carries out one request at a time."""
        self.last_reply = 0.0
        """When the last call ended, on ``time.monotonic``."""
        self.worker = Worker(name, module, set_up, changed, self._on_message, self._on_end, environment)
        self._log, self._observe, self._ended = logs.get(name), observe, ended
        self._request: Request | None = None
        self._reply: asyncio.Future[tuple[messages.AnyReply, Sequence[Part]]] | None = None

    @property
    def pending(self) -> Request | None:
        """The request that the worker has not answered yet."""
        return None if self._reply is None or self._reply.done() else self._request

    async def call(
        self, request: Request, parts: Sequence[Part], seconds: float, expected: type[Reply]
    ) -> tuple[Reply, Sequence[Part]]:
        """Wait for the turn, then :meth:`exchange`."""
        async with self.turn:
            return await self.exchange(request, parts, seconds, expected)

    async def exchange(
        self, request: Request, parts: Sequence[Part], seconds: float, expected: type[Reply]
    ) -> tuple[Reply, Sequence[Part]]:
        """Send a request and return the reply with its parts. The caller holds :attr:`turn`.

        Raises the error that the worker answers with, :class:`WorkerDiedError` when it is not running, ends, or answers
        something else, and ``TimeoutError`` after ``seconds``: then the process is killed and started again.
        """
        if not self.ready.is_set() or self.worker.state is not ChildState.UP:
            raise WorkerDiedError("the process is not running", subject=self.name)
        self._request, self._reply = request, asyncio.get_running_loop().create_future()
        self.worker.send(request, parts)
        try:
            # Not wait_for: in Python 3.11 it forgets a cancellation that comes together with the answer.
            async with asyncio.timeout(seconds):
                reply, found = await self._reply
        except TimeoutError:
            self.kill()
            raise
        finally:
            self._request = self._reply = None
            self.last_reply = time.monotonic()
        if not isinstance(reply, expected):
            raise WorkerDiedError(
                "sent an unexpected answer", subject=self.name, value=type(reply).__name__,
                legal=expected.__name__,
            )  # fmt: skip
        return reply, found

    def kill(self) -> None:
        """End the process at once; the supervisor starts another one."""
        self.ready.clear()
        self.worker.kill()

    def _on_message(self, message: MessageParts) -> None:
        reply = messages.replies.decode(message[0])
        if isinstance(reply, messages.Ready):
            self._started(reply)
        elif isinstance(reply, messages.RequestFailed) and self.worker.state is ChildState.STARTING:
            self._cannot_start(reply.error)
        elif self._reply is not None and not self._reply.done() and not isinstance(reply, messages.UNASKED):
            if isinstance(reply, messages.RequestFailed):
                self._reply.set_exception(from_info(reply.error))
            else:
                self._reply.set_result((reply, message[1:]))
        self._observe(reply)

    def _started(self, reply: messages.Ready) -> None:
        self.error = None
        self.worker.up()
        self.ready.set()
        self.settled.set()
        self._log.info("ready", seconds=reply.seconds)

    def _cannot_start(self, error: ErrorInfo) -> None:
        self.error = error
        self.settled.set()
        self._log.error("the worker cannot start", error=error.message)
        self.worker.kill()

    def _on_end(self) -> None:
        self.ready.clear()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(WorkerDiedError("the process ended before it answered", subject=self.name))
        self._ended()
