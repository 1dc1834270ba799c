"""The sockets of one connection, in one thread that owns them.

The state machine of :mod:`pulsed.wire.protocol` decides; this module moves frames between it and two ZeroMQ sockets
(DEALER for requests, SUB for events) and completes the callers' futures.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

import zmq
from zmq.utils.monitor import parse_monitor_message

from pulsed import old_names
from pulsed.client.keys import Key
from pulsed.model.errors import ConnectionFailedError, ErrorInfo, InvalidValueError, PulsedError, from_info
from pulsed.model.payload import Part
from pulsed.wire.base import Request
from pulsed.wire.messages import AnyReply, Greeting
from pulsed.wire.protocol import (
    Answered,
    ClientProtocol,
    ClientState,
    ConnectionEvent,
    EventReceived,
    Failed,
    Frames,
    Gap,
    Greeted,
)

__getattr__ = old_names(__name__)

Answer = tuple[AnyReply, Sequence[Part]]

WELCOME = b"welcome"
"""What the daemon's event socket sends first to each subscriber."""
_REFUSALS = 3
"""So many refused connections, a tenth of a second apart, mean that no daemon is there."""
_MONITORED = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
)  # fmt: skip
_NOT_THIS_DAEMON = (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_log = logging.getLogger(__name__)


class DaemonConnection:
    """One connection to the daemon at ``url``. ``on_event`` gets events and gaps, in the connection's thread.

    ``on_server`` gets the public key that the daemon has, and the one that it will have, when it greets.
    """

    def __init__(
        self, url: str, key: Key, version: str, on_event: Callable[[EventReceived | Gap], None],
        on_server: Callable[[str, str], None] = lambda server, following: None,
    ) -> None:  # fmt: skip
        self.url = url
        self.key = key
        self._servers = [key.server, *([key.server_next] if key.server_next else [])]
        """Public keys that the daemon may have, the one that is tried first."""
        self._on_server = on_server
        self._failures = 0
        self.greeted: Future[Greeting] = Future()
        self.subscribed: Future[None] = Future()
        self._on_event = on_event
        self._protocol = ClientProtocol(version)
        self._orders: deque[Callable[[], None]] = deque()
        self._futures: dict[int, Future[Answer]] = {}
        self._refusals = 0
        self._wants_events = False
        self._closing = False
        self._lock = threading.Lock()
        self._over: ErrorInfo | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="pulsed-client", daemon=True)

    def start(self) -> None:
        """Start to connect; ``greeted`` is done when the daemon has greeted or it is clear that none will."""
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)  # full means that the thread is about to wake
        self._thread.start()

    @property
    def greeting(self) -> Greeting:
        """What the daemon said when it last greeted; after a restart that is another one."""
        return self._protocol.greeting or self.greeted.result()

    @property
    def open(self) -> bool:
        """Whether the daemon answers, as far as is known: it has greeted, and the connection has not broken since."""
        return self._over is None and self._protocol.state is ClientState.OPEN

    @property
    def ended(self) -> bool:
        """Whether the connection is over for good: every request fails at once."""
        return self._over is not None

    def request(self, kind: type[Request], parts: Sequence[Part], fields: dict[str, Any]) -> Future[Answer]:
        """Send a request from any thread. Cancelling the future forgets the answer.

        The future fails with :class:`ConnectionFailedError` when the connection is over, or ends before the answer.
        """
        future: Future[Answer] = Future()

        def order() -> None:
            try:
                request_id = self._protocol.request(kind, parts, **fields)
            except Exception as error:  # noqa: BLE001 - a request that cannot be written is its caller's alone
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
                return
            self._futures[request_id] = future
            future.add_done_callback(lambda _: self._give(lambda: self._forget(request_id)))

        if not self._give(order) and self._over is not None:
            future.set_exception(from_info(self._over))
        return future

    def subscribe(self) -> None:
        """Ask for events; ``subscribed`` is done when none can be missed any longer."""

        def order() -> None:
            self._wants_events = True
            if self._protocol.state is ClientState.OPEN and self._protocol.greeting is not None:
                self._connect_events(self._protocol.greeting)

        self._give(order)

    def close(self) -> None:
        """Close the sockets; unanswered requests fail."""
        self.leave()
        self._thread.join()

    def leave(self) -> None:
        """Have the thread close the sockets, and do not wait for it."""

        def order() -> None:
            self._closing = True

        self._give(order)

    def _give(self, order: Callable[[], None]) -> bool:
        """Have the thread carry out ``order``; False when it has ended, and nothing will."""
        if threading.current_thread() is self._thread:
            if self._over is None:
                order()
            return self._over is None
        with self._lock:
            if self._over is not None:
                return False
            self._orders.append(order)
            with contextlib.suppress(BlockingIOError):
                self._wake_in.send(b"!")
        return True

    def _forget(self, request_id: int) -> None:
        self._futures.pop(request_id, None)
        self._protocol.forget(request_id)

    # --- in the thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        context = zmq.Context()
        try:
            self._requests = self._socket(context, zmq.DEALER)
            self._requests.immediate = True
            self._event_socket = self._socket(context, zmq.SUB)
            self._event_socket.subscribe(b"")
            self._events_at = ""
            monitor = self._requests.get_monitor_socket(_MONITORED)
            self._connect()
            self._loop(monitor)
            self._requests.disable_monitor()
        except InvalidValueError as error:
            self._end(error.to_info())
        except Exception as error:  # noqa: BLE001 - whatever ends the thread, nobody may wait for it any longer
            _log.warning("the connection to %s failed", self.url, exc_info=error)
            self._end(ConnectionFailedError(f"the connection failed: {error}", subject=self.url).to_info())
        finally:
            context.destroy(linger=200)
            self._wake_in.close()
            self._wake_out.close()

    def _connect(self) -> None:
        try:
            self._requests.connect(self.url)
        except zmq.ZMQError as error:
            raise InvalidValueError(
                "invalid address", subject="url", value=self.url, legal="tcp://HOST:PORT"
            ) from error

    def _socket(self, context: zmq.Context[zmq.Socket[bytes]], kind: int) -> zmq.Socket[bytes]:
        new = context.socket(kind)
        new.curve_secretkey = self.key.secret.encode()
        new.curve_publickey = self.key.public.encode()
        new.curve_serverkey = self._servers[0].encode()
        new.reconnect_ivl, new.reconnect_ivl_max = 100, 2000
        new.heartbeat_ivl, new.heartbeat_timeout = 5000, 15000
        return new

    def _loop(self, monitor: zmq.Socket[bytes]) -> None:
        poller = zmq.Poller()
        for source in (self._wake_out, self._requests, self._event_socket, monitor):
            poller.register(source, zmq.POLLIN)
        while not self._closing:
            ready = dict(poller.poll())
            if monitor in ready:
                self._monitored(parse_monitor_message(monitor.recv_multipart())["event"])
            if self._wake_out.fileno() in ready:
                self._wake_out.recv(4096)
                while self._orders:
                    self._orders.popleft()()
            if self._requests in ready:
                frames = self._requests.recv_multipart(copy=False)
                self._handle(self._protocol.receive([frame.buffer for frame in frames]))
            if self._event_socket in ready:
                events = self._event_socket.recv_multipart()
                self._handle(self._welcomed() if events == [WELCOME] else self._protocol.events(events))
            self._flush()
        self._end(ConnectionFailedError("the connection was closed", subject=self.url).to_info())

    def _welcomed(self) -> list[ConnectionEvent]:
        if not self.subscribed.done():
            self.subscribed.set_result(None)
        return self._protocol.subscribed()

    def _flush(self) -> None:
        while self._protocol.outbox:
            frames: Frames = self._protocol.outbox.pop(0)
            # When the connection has just broken the request stays pending, and is sent again after the greeting.
            with contextlib.suppress(zmq.Again):
                self._requests.send_multipart(frames, zmq.NOBLOCK, copy=False)

    def _monitored(self, event: int) -> None:
        state = self._protocol.state
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._protocol.connected()
        elif event == zmq.EVENT_DISCONNECTED and state in (ClientState.GREETING, ClientState.OPEN):
            self._protocol.lost()
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and self.greeted.done():
            self._end(ConnectionFailedError(
                "the daemon does not take this key any longer: it was revoked, replaced, or has expired",
                subject=self.url, value=self.key.name,
            ).to_info())  # fmt: skip
            self._closing = True
        elif (event in _NOT_THIS_DAEMON and self._tries_other_server()) or self.greeted.done():
            return
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._fail_greeting("the daemon does not know this key: ask its admin to add it", self.key.name)
        elif event in _NOT_THIS_DAEMON:
            self._fail_greeting("what answers there is not the daemon that this key is for", self.key.name)
        elif event == zmq.EVENT_CONNECT_RETRIED:
            self._refusals += 1
            if self._refusals >= _REFUSALS:
                self._fail_greeting("no daemon answers there: start one with `pulsed serve`")

    def _tries_other_server(self) -> bool:
        """Connect with the other key that the daemon may have; False when there is none, or both were tried."""
        self._failures += 1
        if len(self._servers) < 2 or (not self.greeted.done() and self._failures >= 2 * len(self._servers)):
            return False
        self._servers = self._servers[::-1]
        for end, place in ((self._requests, self.url), (self._event_socket, self._events_at)):
            end.curve_serverkey = self._servers[0].encode()  # for the connections that follow
            if place:
                end.disconnect(place)
                end.connect(place)
        return True

    def _knows_server(self, following: str) -> None:
        """The daemon has greeted with the key that was tried, and says which one it will have."""
        self._failures = 0
        self._servers = [self._servers[0], *([following] if following else [])]
        self._on_server(self._servers[0], following)

    def _fail_greeting(self, message: str, value: str = "") -> None:
        self.greeted.set_exception(ConnectionFailedError(message, subject=self.url, value=value))
        self._closing = True

    def _connect_events(self, greeting: Greeting) -> None:
        host, port = urlsplit(self.url).hostname, urlsplit(greeting.notices).port
        endpoint = greeting.notices if port is None else f"tcp://{host}:{port}"
        if endpoint == self._events_at:
            return
        if self._events_at:
            self._event_socket.disconnect(self._events_at)
        self._event_socket.connect(endpoint)
        self._events_at = endpoint

    def _handle(self, events: list[ConnectionEvent]) -> None:
        for event in events:
            if isinstance(event, Answered):
                self._complete(event.id, (event.message, event.parts))
            elif isinstance(event, Failed):
                self._failed(event)
            elif isinstance(event, Greeted):
                self._knows_server(event.greeting.server_next)
                if self._wants_events:
                    self._connect_events(event.greeting)
                if not self.greeted.done():
                    self.greeted.set_result(event.greeting)
            else:
                self._on_event(event)

    def _failed(self, event: Failed) -> None:
        if event.id:
            self._complete(event.id, from_info(event.error))
        elif not self.greeted.done():
            self.greeted.set_exception(from_info(event.error))
        else:
            _log.warning("the daemon could not read a message: %s", event.error.message)

    def _complete(self, request_id: int, outcome: Answer | PulsedError) -> None:
        future = self._futures.pop(request_id, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, PulsedError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    def _end(self, error: ErrorInfo) -> None:
        with self._lock:
            while self._orders:
                with contextlib.suppress(Exception):  # what is left fails with all the others, below
                    self._orders.popleft()()
            error = self._over = self._over or error
        for request_id in list(self._futures):
            self._complete(request_id, from_info(error))
        if self._protocol.state is not ClientState.CLOSED:
            self._handle(self._protocol.close())
        for future in (self.greeted, self.subscribed):
            if not future.done():
                future.set_exception(from_info(error))
