"""The daemon's sockets: requests in, replies, results and events out."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import urlsplit

import msgspec
import zmq

import pulsed
from pulsed.client.key_changes import take_over
from pulsed.client.keys import Key, load_key, next_public
from pulsed.client.known_clients import KnownClients, LastSeen
from pulsed.daemon.front.audit_trail import AuditTrail, about_request, kind_of
from pulsed.daemon.front.calibration_requests import CalibrationHandlers
from pulsed.daemon.front.connections import PeerConnections, monitored
from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer, check_backend, spoken_for
from pulsed.daemon.front.job_requests import JobHandlers
from pulsed.daemon.front.queue_requests import QueueHandlers
from pulsed.daemon.front.refusals import DoorCounts, Refusals
from pulsed.daemon.front.session_requests import SessionHandlers
from pulsed.daemon.front.sockets import (
    TRACKED,
    AsyncSocket,
    ZapAuthenticator,
    ZmqContext,
    bind,
    bind_with,
    event_socket,
    key_of,
    server_socket,
)
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.model.device import NOT_TOLD, DeviceDescription
from pulsed.model.errors import NotAllowedError, ProtocolError, PulsedError
from pulsed.model.job import FINAL_STATES
from pulsed.model.payload import Part
from pulsed.store.store import Store
from pulsed.wire import messages as m
from pulsed.wire.base import PROTOCOL, REVISION
from pulsed.wire.protocol import DaemonProtocol, EventSource, Refused, frames_of
from pulsed.wire.rack_messages import GetRacks, RacksReply
from pulsed.wire.revisions import readable
from pulsed.wire.roles import Role, changes_nothing

_HEARTBEAT = 5.0
"""Seconds without an event after which one is sent."""
_KIND = 50
"""Letters of the kind of a message that cannot be read."""
_SAID = 1000
"""Letters of an error in the log."""
_LOOK = 0.1
"""Seconds between two looks at the keys."""
_GATHER, _GATHER_END = 0.01, 0.001
"""Seconds that a job's event waits for others, which go out in one message with it: a short job takes all its steps
within them. The second is for the end of a job, for which whoever waits shall not wait longer."""
_SPARE = 16 * 2**20
"""Bytes by which one frame may exceed the largest submission and still get an answer instead of a closed door."""


class RequestServer:
    """The sockets of one daemon. ``status`` tells how it is, ``stop`` ends it."""

    def __init__(
        self, device: DeviceDescription, jobs: Jobs, clients: KnownClients,
        status: Callable[[], m.Status], stop: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.device, self.jobs, self.clients = device, jobs, clients
        self.counts = DoorCounts()
        self.audit = AuditTrail(clients.directory.parent)
        self._refusals = Refusals(self.counts, self.audit.refused)
        self._last_seen = LastSeen(clients.directory.parent)
        self._status, self._stop = status, stop
        self._protocol = DaemonProtocol(device.limits.max_payload)
        self._events = EventSource()
        self._description = device.model_dump(mode="json", exclude=NOT_TOLD)
        self.instance = uuid.uuid4().hex
        """Of this start; clients are greeted with it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._authenticator: ZapAuthenticator | None = None
        self._last_event = time.monotonic()
        self._next_key = next_public(clients.directory.parent)
        self._gathered: list[m.AnyEvent] = []
        self._gathering: asyncio.TimerHandle | None = None
        self.handlers: dict[type[m.AnyRequest], Handler] = {
            m.Hello: self._hello,
            m.GetStatus: self._tell_status,
            m.GetDevice: self._tell_device,
            GetRacks: self._tell_racks,
            m.Stop: self._end,
            **JobHandlers(jobs, self).handlers,
            **SessionHandlers(jobs).handlers,
            **QueueHandlers(jobs).handlers,
            **CalibrationHandlers(jobs).handlers,
        }

    def bind(self, context: ZmqContext, key: Key, url: str, events_url: str | None) -> str:
        """Take the addresses; return the endpoint of the requests. What comes in waits for :meth:`open`.

        Raises ``zmq.ZMQError``, and :class:`ProtocolError` for a URL that is none.
        """
        events_url = events_url or f"tcp://{_host(url)}:*"
        self._authenticator = ZapAuthenticator(
            context, self.clients, self._refusals
        )  # first: without it every key would be accepted
        self._own = key.public
        max_bytes = self.device.limits.max_payload + _SPARE
        self._requests = server_socket(context, zmq.ROUTER, key, max_bytes)
        self._requests.router_mandatory = True
        self._subscriptions = event_socket(context, key)
        self._monitors = monitored(self._requests), monitored(self._subscriptions)
        endpoint = self._requests_at = bind(self._requests, url)
        self._events_at = bind(self._subscriptions, events_url)
        return endpoint

    def release(self) -> None:
        """Accept no more connections; does nothing after :meth:`close`."""
        if self._authenticator is not None:
            self._authenticator.close()

    def open(self) -> None:
        """Answer from now on."""
        requests, subscriptions = self._monitors
        self.connections = PeerConnections(requests, "requests", self._refusals)
        self._subscribers = PeerConnections(subscriptions, "events", self._refusals)
        self._publisher = AsyncSocket(self._subscriptions, self._subscribed)
        self._router = AsyncSocket(self._requests, self._received)
        self._heart = asyncio.create_task(self._beat(), name="heartbeat")
        self._guard = asyncio.create_task(self._watch_keys(), name="watch the keys")
        self._auditor = asyncio.create_task(self.audit.run(), name="audit log")
        self.audit.told("daemon.start", f"pulsed {pulsed.__version__}, rack {self.device.name}")

    async def close(self) -> None:
        """Close the sockets; what was sent still goes out."""
        self._heart.cancel()
        self._guard.cancel()
        self._auditor.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(self._heart, self._guard, self._auditor, *self._tasks, return_exceptions=True)
        self._send_gathered()
        for end in (self._router, self._publisher):
            end.close()
        for connections in (self.connections, self._subscribers):
            await connections.close()
        self.release()
        self.audit.told("daemon.stop")
        self.audit.close()

    def publish(self, event: m.AnyEvent) -> None:
        """Send an event to all subscribers; one about a job lets what clients and workers wait for go first."""
        self._last_event = time.monotonic()
        self._gathered.append(event)
        if not isinstance(event, m.JobChanged | m.Progress):
            self._send_gathered()
        elif isinstance(event, m.JobChanged) and event.job.state in FINAL_STATES:
            self._send_in(_GATHER_END)
        elif len(self._gathered) == 1:
            self._send_in(_GATHER)

    def _send_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._gathering is not None and self._gathering.when() <= loop.time() + seconds:
            return
        self._stop_gathering()
        self._gathering = loop.call_later(seconds, self._send_gathered)

    def _stop_gathering(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def _send_gathered(self) -> None:
        self._stop_gathering()
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._publisher.send([self._events.frame(event) for event in gathered])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT / 2)
            self.clients.refresh()  # also finds what changed within a file
            self._refusals.flush()
            await self._change_key()
            await asyncio.to_thread(self._last_seen.keep)
            if time.monotonic() - self._last_event > _HEARTBEAT / 2:
                self.publish(m.StatusChanged(0, self._status()))

    async def _change_key(self) -> None:
        """Tell clients of the key that the daemon will have, and take it when its time has come."""
        home = self.clients.directory.parent
        following = next_public(home)
        if following and following != self._next_key:
            self._next_key = following
            for connections in (self.connections, self._subscribers):
                connections.end_others(lambda _: False, "so that it hears of the daemon's next key")
        await asyncio.to_thread(take_over, home)
        key = load_key(home / "server.key")
        if key.public != self._own:
            self._own, self._next_key = key.public, ""
            for socket, endpoint, connections in (
                (self._requests, self._requests_at, self.connections),
                (self._subscriptions, self._events_at, self._subscribers),
            ):
                connections.end_others(lambda _: False, "the daemon has its next key")
                await bind_with(socket, endpoint, key)
                connections.forget()
            self.audit.told("keys.server", "the daemon has its new key")

    async def _watch_keys(self) -> None:
        """End the connections of keys that were taken away or have expired, on both sockets."""
        while True:
            await asyncio.sleep(_LOOK)
            if self.clients.has_changed():
                for connections in (self.connections, self._subscribers):
                    connections.end_others(self.clients.holder)

    # --- requests ----------------------------------------------------------------------------------------------

    def _subscribed(self, frames: list[zmq.Frame]) -> None:
        if self._subscribers.subscribed(frames[0]) is not None and self.clients.holder(key_of(frames[0])) is None:
            self._subscribers.end_others(self.clients.holder)

    def _received(self, frames: list[zmq.Frame]) -> None:
        address, *rest = frames
        key = key_of(address)
        self.connections.heard(address, key)
        client = self.clients.holder(key)
        peer = Peer(
            address.bytes, "" if client is None else client.name, Role.VIEWER if client is None else client.role, key,
            str(address.get("Peer-Address")),
        )  # fmt: skip
        received = self._protocol.receive([frame.buffer for frame in rest], peer.user, peer.role)
        if isinstance(received, Refused):
            self._tell_refused(received.kind[:_KIND] or "message", peer, received.error)
            self._send(peer, received.frames)
            return
        message = received.message
        self.counts.requests[kind_of(message)] += 1
        try:
            if client is None:
                raise NotAllowedError("this key was revoked or has expired", subject="key", value=key[:8])
            self._last_seen.saw(client.name)
            peer = spoken_for(peer, message.person)
            self.audit.check(message)
            answer = self.handlers[type(message)](message, received.parts, peer)
        except PulsedError as error:
            self._refuse(message, peer, error)
            return
        if isinstance(answer, tuple):
            self.audit.done(message, peer, answer[0])
            self.answer(peer, *answer)
            return
        self.later(answer, message, peer)

    def later(self, answer: Awaitable[HandlerReply | None], message: m.AnyRequest, peer: Peer) -> None:
        """Answer ``message`` when ``answer`` has come, or with its error."""
        task = asyncio.ensure_future(self._wait_for(answer, message, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait_for(self, answer: Awaitable[HandlerReply | None], message: m.AnyRequest, peer: Peer) -> None:
        try:
            found = await answer
        except PulsedError as error:
            self._refuse(message, peer, error)
        else:
            if found is not None:
                self.audit.done(message, peer, found[0])
                self.answer(peer, *found)

    def answer(self, peer: Peer, reply: m.AnyReply, parts: Sequence[Part] = ()) -> None:
        """Send an answer. One to a key that is not valid any longer is withheld, errors excepted."""
        if peer.key and self.clients.holder(peer.key) is None and not isinstance(reply, m.ErrorReply):
            self._refusals.refused(
                "not_allowed", "an answer was withheld from a key that is not valid", peer.host, audited=True
            )
            return
        self._send(peer, frames_of(reply, parts))

    def _send(self, peer: Peer, frames: Sequence[Part]) -> None:
        connection = self.connections.of(peer.address)
        if connection is not None and connection.key != peer.key:
            return  # the peer has gone, and somebody else has its address
        size = sum(memoryview(frame).nbytes for frame in frames)
        try:
            tracker = self._router.send([peer.address, *frames], track=size >= TRACKED)
        except zmq.Again:
            self.connections.overrun(peer.address)
            return
        if tracker is not None and connection is not None and size >= TRACKED:
            connection.sent(tracker, size)

    @property
    def open_connections(self) -> dict[str, int]:
        """How many there are on each socket, while it is open."""
        return {"requests": len(self.connections), "events": len(self._subscribers)}

    def has_room(self, peer: Peer) -> bool:
        """Whether the peer takes what it is sent."""
        return self.connections.has_room(peer.address)

    def waits(self, peer: Peer, gone: Callable[[], None]) -> Callable[[], None]:
        """Count one more request of the peer that waits; return what counts it off again."""
        return self.connections.waits(peer.address, gone)

    def room(self, peer: Peer) -> AbstractAsyncContextManager[None]:
        """Wait until it does, and until the large answers before this one have left."""
        return self.connections.room(peer.address)

    def _refuse(self, message: m.AnyRequest, peer: Peer, error: PulsedError) -> None:
        self._tell_refused(kind_of(message), peer, error, message)
        self.answer(peer, m.ErrorReply(message.id, error.to_info()))

    def _tell_refused(
        self, kind: str, peer: Peer, error: PulsedError, message: m.AnyRequest | None = None
    ) -> None:  # fmt: skip
        changes = message is not None and not changes_nothing(message)
        self._refusals.refused(
            error.code, "refused", peer.user or peer.host, audited=changes or isinstance(error, NotAllowedError),
            user=peer.user or peer.key[:8], role=str(peer.role), host=peer.host, request=kind, person=peer.person,
            about="" if message is None else about_request(message)[0], error=str(error)[:_SAID],
        )  # fmt: skip

    # --- one handler per request -------------------------------------------------------------------------------

    def _hello(self, message: m.Hello, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        greeting = m.Greeting(
            message.id, PROTOCOL, pulsed.__version__, self.jobs.qpy, (self.device.name,), peer.user,
            str(peer.role), self._events_at, self._events.number, self.instance, self.device.limits.max_payload,
            REVISION, self._next_key,
        )  # fmt: skip
        return greeting, ()

    def _tell_status(self, message: m.GetStatus, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        return m.StatusReply(message.id, self._status()), ()

    def _tell_device(self, message: m.GetDevice, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_backend(message.backend, self.device.name)
        description = msgspec.json.encode(readable(self._description, message.revision))
        return m.DeviceReply(message.id, self.jobs.calibrations.active.calibration_id), [description]

    async def _tell_racks(self, message: GetRacks, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        return RacksReply(message.id, tuple(await self.jobs.store.call(Store.racks, time.time()))), ()

    def _end(self, message: m.Stop, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        self._stop(f"stopped by {peer.named}")
        return m.StopReply(message.id), ()


def _host(url: str) -> str:
    """Return the host that ``url`` binds. Raises :class:`ProtocolError` for a URL that is none."""
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.netloc:
        raise ProtocolError("not an address to listen on", subject="url", value=url, legal="tcp://HOST:PORT")
    return parts.netloc.rsplit(":", 1)[0]
