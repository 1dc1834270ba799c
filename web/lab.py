"""The lab as the pages see it: one client of the daemon for all of them, and what it said last.

What a page shows is asked for once and kept until an event says that it changed, however many pages are open.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from pulsed.client import Client
from pulsed.client.home import find_url, home_directory
from pulsed.client.keys import key_path
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConnectionFailedError, NotAllowedError, PulsedError
from pulsed.model.measurement import MeasurementInfo
from pulsed.model.notes import Note
from pulsed.web.access.sign_in import Visitor
from pulsed.web.children import CommandLine
from pulsed.web.notices import TOPICS, Notices
from pulsed.wire.measurement_messages import MeasurementChanged
from pulsed.wire.messages import (
    AnyEvent,
    AnyRequest,
    CalibrationChanged,
    Greeting,
    JobChanged,
    Progress,
    Status,
    StatusChanged,
)
from pulsed.wire.note_messages import NoteAdded
from pulsed.wire.queue_messages import QueueReply
from pulsed.wire.roles import Role, check_right, parse_role
from pulsed.wire.session_messages import SessionChanged

Kept = TypeVar("Kept")
MOST_KEPT = 300
"""Answers that are kept, those that were looked at last: what they are about is what visitors type."""
LOOK_EVERY = 0.5
"""Seconds between two looks whether the daemon is there."""
QUEUE_SHOWN = 1000
"""Jobs of the queue that a page shows."""
_QUEUE_SECONDS = 5.0
"""For which a queue is kept: when its jobs may start changes with the time alone."""
_SILENCE = 60.0
"""Seconds after which measurements are asked for again: one that is not heard of any longer sends no event."""
_log = logging.getLogger(__name__)


class Lab:
    """The connection to a daemon, made and made again in a thread of its own, and what is known through it.

    Args:
        url: of the daemon; None finds the one of this machine, again when it starts at another address.
        key: the key of the page, a file or a name.
        notices: told of what changes.
        home: where keys are.

    """

    def __init__(self, url: str | None, key: str | None, notices: Notices, home: str | None = None) -> None:
        self._url, self.home, self._notices = url, home, notices
        self.key = str(key_path(key, home_directory(home)))
        """The file of the key."""
        self.commands = CommandLine(self.key, home)
        self._client: Client | None = None
        self._ending = False
        self._wake = threading.Event()
        self._changed: set[str] = set()
        self._asking = threading.RLock()
        self._kept: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._number = 0
        self._instance = ""
        self._status: Status | None = None
        self.progress: Progress | None = None
        """How far the chunk on the rack is."""
        self.problem = "not connected yet"
        """Why there is no daemon; empty while there is one."""
        self.since = time.time()
        """Since when it is there, or not (Unix time, seconds)."""
        self._thread = threading.Thread(target=self._keep_up, name="pulsed-lab", daemon=True)

    def start(self) -> None:
        """Start to connect."""
        self._thread.start()

    def close(self) -> None:
        """Let go of the daemon."""
        self._ending = True
        self._wake.set()
        self._thread.join()
        if self._client is not None:
            self._client.close()

    # --- what is known -----------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """The connection. Raises :class:`ConnectionFailedError` at once while there is no daemon."""
        if self.problem or self._client is None:
            raise ConnectionFailedError(self.problem or "not connected yet", subject=self._url or "daemon")
        return self._client

    @property
    def greeting(self) -> Greeting:
        """What the daemon says of itself and of the key of the page."""
        return self.client.greeting

    @property
    def status(self) -> Status | None:
        """How the daemon was when it last said so; None before it ever did."""
        return self._status

    def queue(self) -> QueueReply:
        """Return the queue."""
        return self.keep("queue", lambda client: client.queue(QUEUE_SHOWN), _QUEUE_SECONDS)

    def device(self) -> DeviceDescription:
        """Return the device description."""
        return self.keep("device", lambda client: client.device())

    def calibration(self) -> CalibrationSet:
        """Return the active calibration set."""
        return self.keep("calibration", lambda client: client.calibration())

    def notes(self, about: str) -> list[Note]:
        """Return the notes about one thing, the newest first."""
        return self.keep(f"notes {about}", lambda client: client.notes(about))

    def measurements(self) -> list[MeasurementInfo]:
        """Return the measurements that grow, and those that ended last."""
        return self.keep("measurement all", Client.measurements, _SILENCE)

    def ask(self, *words: str) -> bytes:
        """Return what a command prints that asks the daemon; see :meth:`CommandLine.ask`."""
        return self.commands.ask(self.client.url, *words)

    def keep(self, name: str, ask: Callable[[Client], Kept], seconds: float = float("inf")) -> Kept:
        """Return what ``ask`` answered, at most ``seconds`` ago and since the topic of ``name`` last changed.

        The topic is what ``name`` begins with, up to a blank. While there is no daemon what is older is returned.
        """
        with self._asking:
            at, found = self._kept.get(name, (0.0, None))
            if found is None or (time.monotonic() - at > seconds and not self.problem):
                found = ask(self.client)
                self._kept[name] = time.monotonic(), found
            self._kept.move_to_end(name)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return found  # type: ignore[no-any-return]

    # --- what is done ------------------------------------------------------------------------------------------

    def role(self, visitor: Visitor) -> Role:
        """Return what a visitor may do: what their link allows and the key of the page does.

        While there is no daemon, which says what the key may do, they only look.
        """
        try:
            return min(visitor.role, parse_role(self.greeting.role))
        except ConnectionFailedError:
            return Role.VIEWER

    def check_role(self, visitor: Visitor, least: Role) -> None:
        """Raise :class:`NotAllowedError` for who may less, :class:`ConnectionFailedError` while there is no daemon."""
        if (role := min(visitor.role, parse_role(self.greeting.role))) < least:
            raise NotAllowedError(f"the role {role} may not do this", value=str(role), legal=f"from {least} on")

    def may(self, visitor: Visitor, request: AnyRequest) -> bool:
        """Whether the table of rights lets a visitor send this."""
        try:
            check_right(request, "", self.role(visitor))
        except PulsedError:
            return False
        return True

    def check(self, visitor: Visitor, request: AnyRequest) -> Client:
        """Return the connection for a request that the table of rights lets this visitor send.

        Raises :class:`NotAllowedError`, and :class:`ConnectionFailedError` while there is no daemon.
        """
        client = self.client
        check_right(request, client.greeting.user, self.role(visitor))
        return client

    # --- in the thread -----------------------------------------------------------------------------------------

    def _keep_up(self) -> None:
        while not self._ending:
            try:
                self._look()
                self._tell_changes()
            except PulsedError as error:
                self._is_away(str(error))
            except Exception as error:  # noqa: BLE001 - whatever it is, the page says so and goes on to try
                _log.exception("the connection to the daemon failed")
                self._is_away(f"the connection failed: {error}")
            self._wake.wait(LOOK_EVERY)
            self._wake.clear()

    def _tell_changes(self) -> None:
        """Ask for the status, of which most events say nothing, and then tell the pages what changed."""
        with self._asking:
            topics, self._changed = self._changed, set()
        if topics and not self.problem:
            status = self.client.status()
            if status != self._status:
                self._status = status
                topics.add("rack")
            self._notices.tell(*topics)

    def _look(self) -> None:
        client = self._client
        if client is not None and not client.hears_daemon:
            self._is_away("it does not answer: it was stopped, or cannot be reached")
            if self._has_moved(client):
                client.close()
                client = self._client = None
        if client is None:
            client = Client(self._url, self.key, home=self.home)
            try:
                client.subscribe(self._heard)
            except BaseException:
                client.close()
                raise
            self._client = client
        if not client.hears_daemon:
            with contextlib.suppress(PulsedError):
                client.connect()  # after a refused key the connection is over, and another one may be taken
            return
        if self.problem or client.greeting.instance != self._instance:
            self._is_back(client)

    def _has_moved(self, client: Client) -> bool:
        return self._url is None and find_url(None, home_directory(self.home)) != client.url

    def _is_back(self, client: Client) -> None:
        status = client.status()
        self._instance = client.greeting.instance
        with self._asking:
            self._kept.clear()
        self._status, self.progress = status, None
        self.problem, self.since = "", time.time()
        self._notices.tell(*TOPICS)

    def _is_away(self, why: str) -> None:
        if self.problem != why:
            if not self.problem:
                self.since = time.time()
            self.problem = why
            self._notices.tell("daemon")

    def _heard(self, event: AnyEvent) -> None:
        missed, self._number = self._number and event.number != self._number + 1, event.number
        if missed:
            self._forget(*TOPICS)
        if isinstance(event, StatusChanged):
            changed, self._status = event.status != self._status, event.status
            if changed:
                self._forget("rack", "queue")
        elif isinstance(event, Progress):
            self.progress = event
            self._notices.tell("progress")
        elif isinstance(event, JobChanged):
            if self.progress is not None and event.job.job_id == self.progress.job_id:
                self.progress = None
            self._forget("queue")
        elif isinstance(event, SessionChanged):
            self._forget("queue")
        elif isinstance(event, CalibrationChanged):
            self._forget("calibration")
        elif isinstance(event, NoteAdded):
            self._forget("notes")
        elif isinstance(event, MeasurementChanged):
            self._forget("measurement", *(("calibration",) if event.outcome else ()))

    def _forget(self, *topics: str) -> None:
        with self._asking:
            for name in [name for name in self._kept if name.partition(" ")[0] in topics]:
                del self._kept[name]
            self._changed.update(topics)
        self._wake.set()
