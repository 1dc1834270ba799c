"""The daemon's face: requests in, answers, results and notices out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import zmq

import pulsed
from pulsed.client.keys import Key, KnownClients
from pulsed.client.link import WELCOME
from pulsed.daemon import logs
from pulsed.daemon.calibrations import CalibrationHandlers
from pulsed.daemon.handlers import Answer, Handler, Peer, check_limit
from pulsed.daemon.jobs import Jobs
from pulsed.daemon.sockets import Context, Gate, Pump, server_socket
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError, NotAllowedError, NotFoundError, ProtocolError, PulsedError
from pulsed.model.job import JobInfo
from pulsed.model.payload import Part
from pulsed.wire import messages as m
from pulsed.wire.protocol import DaemonProtocol, NoticeSource, Refused, frames_of
from pulsed.wire.roles import Role, check_options_right, check_owner

_HEARTBEAT = 5.0
"""Seconds without a notice after which one is sent."""
_GATHER = 0.001
"""Seconds that a job's notice waits for others, which go out in one message with it: it takes several steps at once."""
_SPARE = 16 * 2**20
"""Bytes by which one frame may exceed the largest submission and still get an answer instead of a closed door."""


class Front:
    """The sockets of one daemon. ``status`` tells how it is, ``stop`` ends it."""

    def __init__(
        self, device: DeviceDescription, jobs: Jobs, clients: KnownClients,
        status: Callable[[], m.Status], stop: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.device, self.jobs, self.clients = device, jobs, clients
        self._status, self._stop = status, stop
        self._protocol = DaemonProtocol(device.limits.max_payload)
        self._notices = NoticeSource()
        self._device_json = device.model_dump_json().encode()
        self._instance = uuid.uuid4().hex
        self._tasks: set[asyncio.Task[None]] = set()
        self._gate: Gate | None = None
        self._last_notice = time.monotonic()
        self._gathered: list[m.AnyNotice] = []
        self.handlers: dict[type[m.AnyRequest], Handler] = {
            m.Hello: self._hello,
            m.Submit: self._submit,
            m.GetJob: self._job,
            m.GetJobs: self._list,
            m.Cancel: self._cancel,
            m.GetResult: self._result,
            m.GetStatus: self._tell_status,
            m.GetDevice: self._tell_device,
            m.Stop: self._end,
            **CalibrationHandlers(jobs).handlers,
        }

    def bind(self, context: Context, key: Key, url: str, notices_url: str | None) -> str:
        """Take the addresses; return the endpoint of the requests. What comes in waits for :meth:`open`.

        Raises ``zmq.ZMQError``, and :class:`ProtocolError` for a URL that is none.
        """
        notices_url = notices_url or f"tcp://{_host(url)}:*"
        self._gate = Gate(context, self.clients)  # first: without it every key would be let in
        max_bytes = self.device.limits.max_payload + _SPARE
        self._requests, endpoint = server_socket(context, zmq.ROUTER, key, url, max_bytes)
        self._requests.router_mandatory = True
        self._subscriptions, self._notices_at = server_socket(context, zmq.XPUB, key, notices_url)
        self._subscriptions.setsockopt(zmq.XPUB_WELCOME_MSG, WELCOME)
        return endpoint

    def release(self) -> None:
        """Let nobody in any more; does nothing after :meth:`close`."""
        if self._gate is not None:
            self._gate.close()

    def open(self) -> None:
        """Answer from now on."""
        self._publisher = Pump(self._subscriptions, lambda _: None)
        self._router = Pump(self._requests, self._received)
        self._heart = asyncio.create_task(self._beat(), name="heartbeat")

    async def close(self) -> None:
        """Close the sockets; what was sent still goes out."""
        self._heart.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(self._heart, *self._tasks, return_exceptions=True)
        self._send_gathered()
        for end in (self._router, self._publisher):
            end.close()
        self.release()

    def publish(self, notice: m.AnyNotice) -> None:
        """Send a notice to all subscribers; one about a job lets what clients and workers wait for go first."""
        self._last_notice = time.monotonic()
        self._gathered.append(notice)
        if not isinstance(notice, m.JobChanged | m.Progress):
            self._send_gathered()
        elif len(self._gathered) == 1:
            asyncio.get_running_loop().call_later(_GATHER, self._send_gathered)

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._publisher.send([self._notices.frame(notice) for notice in gathered])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT / 2)
            self.clients.refresh()  # a key that was taken away loses its connections too
            if time.monotonic() - self._last_notice > _HEARTBEAT / 2:
                self.publish(m.StatusChanged(0, self._status()))

    # --- requests ----------------------------------------------------------------------------------------------

    def _received(self, frames: list[zmq.Frame]) -> None:
        address, *rest = frames
        user = str(address.get("User-Id"))
        role = self.clients.role_of(user)
        peer = Peer(address.bytes, user, Role.VIEWER if role is None else role)
        received = self._protocol.receive([frame.buffer for frame in rest], user, peer.role)
        if isinstance(received, Refused):
            logs.get("front").info("refused", user=user, error=str(received.error))
            self._router.send([peer.address, *received.frames])
            return
        message = received.message
        try:
            if role is None:
                raise NotAllowedError("this key was taken away", subject=f"key {user}")
            answer = self.handlers[type(message)](message, received.parts, peer)
        except PulsedError as error:
            self._refuse(message, peer, error)
            return
        if isinstance(answer, tuple):
            self._answer(peer, *answer)
            return
        task = asyncio.ensure_future(self._later(answer, message, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, answer: Awaitable[Answer | None], message: m.AnyRequest, peer: Peer) -> None:
        try:
            found = await answer
        except PulsedError as error:
            self._refuse(message, peer, error)
        else:
            if found is not None:
                self._answer(peer, *found)

    def _answer(self, peer: Peer, reply: m.AnyReply, parts: Sequence[Part] = ()) -> None:
        self._router.send([peer.address, *frames_of(reply, parts)])

    def _refuse(self, message: m.AnyRequest, peer: Peer, error: PulsedError) -> None:
        logs.get("front").info("refused", user=peer.user, error=str(error))
        self._answer(peer, m.ErrorReply(message.id, error.to_info()))

    # --- one handler per request -------------------------------------------------------------------------------

    def _hello(self, message: m.Hello, _parts: Sequence[Part], peer: Peer) -> Answer:
        greeting = m.Greeting(
            message.id, m.PROTOCOL, pulsed.__version__, self.jobs.qpy, (self.device.name,), peer.user,
            str(peer.role), self._notices_at, self._notices.number, self._instance, self.device.limits.max_payload,
        )  # fmt: skip
        return greeting, ()

    async def _submit(self, message: m.Submit, parts: Sequence[Part], peer: Peer) -> Answer:
        self._mine(message.backend)
        check_options_right(message.job.options, peer.user, peer.role)
        return m.JobReply(message.id, await self.jobs.submit(message.job, parts, peer.user)), ()

    def _job(self, message: m.GetJob, _parts: Sequence[Part], _peer: Peer) -> Answer | Awaitable[Answer]:
        known = self.jobs.known(message.job_id)
        return self._find(message) if known is None else (m.JobReply(message.id, known), ())

    async def _find(self, message: m.GetJob) -> Answer:
        return m.JobReply(message.id, await self.jobs.find(message.job_id)), ()

    async def _list(self, message: m.GetJobs, _parts: Sequence[Part], _peer: Peer) -> Answer:
        check_limit(message.limit)
        if message.skip < 0:
            raise InvalidValueError(
                "not a number of jobs to leave out", subject="skip", value=message.skip, legal="0 on"
            )
        store = self.jobs.store
        found = await store.call(
            store.store.jobs, state=message.state, owner=message.owner, tags=message.tags,
            created_after=message.created_after, created_before=message.created_before, limit=message.limit,
            skip=message.skip,
        )  # fmt: skip
        return m.JobsReply(message.id, tuple(self.jobs.known(info.job_id) or info for info in found)), ()

    async def _cancel(self, message: m.Cancel, _parts: Sequence[Part], peer: Peer) -> Answer:
        info = await self.jobs.find(message.job_id)
        check_owner(info.job_id, info.owner, peer.user, peer.role)
        return m.CancelReply(message.id, self.jobs.cancel(message.job_id)), ()

    async def _result(self, message: m.GetResult, _parts: Sequence[Part], peer: Peer) -> None:
        info = await self.jobs.find(message.job_id)
        check_owner(info.job_id, info.owner, peer.user, peer.role)

        def deliver(info: JobInfo, outcome: Sequence[Part] | PulsedError) -> None:
            if isinstance(outcome, PulsedError):
                self._answer(peer, m.ErrorReply(message.id, outcome.to_info()))
            else:
                self._answer(peer, m.ResultReply(message.id, info), outcome)

        await self.jobs.wait(message.job_id, deliver)

    def _tell_status(self, message: m.GetStatus, _parts: Sequence[Part], _peer: Peer) -> Answer:
        return m.StatusReply(message.id, self._status()), ()

    def _tell_device(self, message: m.GetDevice, _parts: Sequence[Part], _peer: Peer) -> Answer:
        self._mine(message.backend)
        return m.DeviceReply(message.id, self.jobs.calibration.calibration_id), [self._device_json]

    def _end(self, message: m.Stop, _parts: Sequence[Part], peer: Peer) -> Answer:
        self._stop(f"stopped by {peer.user}")
        return m.StopReply(message.id), ()

    def _mine(self, backend: str | None) -> None:
        if backend not in (None, self.device.name):
            raise NotFoundError("no such backend", subject="backend", value=backend, legal=self.device.name)


def _host(url: str) -> str:
    """Return the host that ``url`` binds. Raises :class:`ProtocolError` for a URL that is none."""
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.netloc:
        raise ProtocolError("not an address to listen on", subject="url", value=url, legal="tcp://HOST:PORT")
    return parts.netloc.rsplit(":", 1)[0]
