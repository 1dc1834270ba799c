"""The client of a daemon: plain calls, safe from any thread. Nothing here polls."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pulsed
from pulsed.client.calibration_calls import CalibrationCalls
from pulsed.client.callbacks import Callbacks
from pulsed.client.home import find_url, home_directory
from pulsed.client.interlock_calls import InterlockCalls
from pulsed.client.job_calls import JobCalls
from pulsed.client.key_changes import learn_server
from pulsed.client.keys import find_key, key_path
from pulsed.client.lifetime import leave_to_parent, tell_of_forks, weakly
from pulsed.client.note_calls import NoteCalls
from pulsed.client.observation_calls import ObservationCalls
from pulsed.client.queue_calls import QueueCalls
from pulsed.client.reading import read_device
from pulsed.client.replies import Reply, check_known, expect, knows, no_answer, only_part
from pulsed.client.result_calls import ResultCalls
from pulsed.client.session_calls import SessionCalls
from pulsed.client.speaking import person
from pulsed.client.transport import Answer, DaemonConnection
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError, JobTimeoutError, KeyFileError
from pulsed.model.job import JobInfo, JobRequest, JobState
from pulsed.model.payload import Part
from pulsed.model.rack_address import RackAddress
from pulsed.wire.base import REVISION, Request
from pulsed.wire.messages import (
    AnyEvent,
    Cancel,
    CancelReply,
    DeviceReply,
    GetDevice,
    GetJob,
    GetJobs,
    GetStatus,
    Greeting,
    JobReply,
    JobsReply,
    Status,
    StatusReply,
    Stop,
    StopReply,
    Submit,
)
from pulsed.wire.protocol import MAX_FRAMES, EventReceived, Gap
from pulsed.wire.rack_messages import GetRacks, RacksReply

_log = logging.getLogger(__name__)


class Client(ResultCalls, JobCalls, SessionCalls, QueueCalls, InterlockCalls, CalibrationCalls, ObservationCalls,
             NoteCalls):  # fmt: skip
    """One connection to a daemon.

    Args:
        url: ``"tcp://HOST:PORT"``; None finds the daemon that runs on this machine.
        key: a key file, the name of a key in the home directory, or None for the local one.
        timeout: seconds that the daemon may take to answer; waiting for a result has its own.
        home: the home directory, see :func:`pulsed.client.home.home_directory`.
        server: the daemon's public key, when it is another one than the key file names.

    Every call raises :class:`KeyFileError`, :class:`ConnectionFailedError` or the error that the daemon answered.
    After a lost connection the calls under way go on by themselves when the daemon is back.

    Copies are the same connection. A pickled client connects again where it is unpickled, by the same url and key file
    (keys themselves are never pickled); the child of a fork does so, too, at its next call. A client that nothing
    refers to any more closes its connection.

    """

    def __init__(
        self, url: str | None = None, key: Path | str | None = None, timeout: float = 10.0, *,
        home: Path | str | None = None, server: str | None = None,
    ) -> None:  # fmt: skip
        self.timeout = timeout
        self._url, self._key, self._home, self._server = url, key, home_directory(home), server
        self._connection: DaemonConnection | None = None
        self._lock = threading.Lock()
        self._callbacks = Callbacks()
        self._finalizer: weakref.finalize[Any, Any] | None = None
        tell_of_forks(self)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._url, self._key, self.timeout, self._home, self._server)

    def connect(self) -> Self:
        """Connect and greet; does nothing when that has happened."""
        self._connected()
        return self

    def close(self) -> None:
        """Close the connection. Calls under way in other threads raise :class:`ConnectionFailedError`."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._callbacks.close()

    def after_fork(self) -> None:
        """Start afresh in the child of a fork: threads do not come along, and the parent goes on to use the sockets."""
        if self._connection is not None:
            leave_to_parent(self._connection)
        if self._finalizer is not None:
            self._finalizer.detach()
        self._lock = threading.Lock()
        self._connection, self._finalizer = None, None
        self._callbacks.after_fork()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the daemon is, as far as is known now."""
        return self._connection.url if self._connection is not None else find_url(self._url, self._home)

    @property
    def hears_daemon(self) -> bool:
        """Whether there is a connection, and a daemon at its other end now."""
        return self._connection is not None and self._connection.open

    @property
    def greeting(self) -> Greeting:
        """What the daemon said of itself and of this key's role."""
        return self._connected().greeting

    def status(self) -> Status:
        """How the daemon, its workers and its instruments are."""
        return self._ask(StatusReply, GetStatus).status

    def device(self, backend: str | None = None) -> DeviceDescription:
        """Return the device description of ``backend``, or of the only one."""
        _, parts = self._call(DeviceReply, GetDevice, backend=backend, revision=REVISION)
        return read_device(bytes(only_part(parts)), self.greeting.version)

    def racks(self) -> tuple[RackAddress, ...]:
        """Return where the racks are that share the daemon's database, its own included; nothing from an old daemon."""
        return self._ask(RacksReply, GetRacks).racks if knows(self.greeting, GetRacks) else ()

    def of_rack(self, address: RackAddress) -> Client:
        """Return a client of another rack's daemon, with this one's key; it connects with its first call."""
        return Client(address.url, self._key, self.timeout, home=self._home, server=address.server_key)

    def submit(self, request: JobRequest, parts: Sequence[Part], backend: str | None = None) -> JobInfo:
        """Hand in a job; when this returns it is durable. The same id again returns the same job."""
        limit = self.greeting.max_payload
        size = sum(memoryview(part).nbytes for part in parts)
        if size > limit or len(parts) >= MAX_FRAMES:
            raise InvalidValueError(
                "the submission is too large: split it into several jobs", subject=f"job {request.job_id}",
                value=f"{size} bytes in {len(parts)} parts", legal=f"{limit} bytes, {MAX_FRAMES - 1} parts",
            )  # fmt: skip
        reply, _ = self._call(JobReply, Submit, parts, job=request, backend=backend)
        return reply.job

    def job(self, job_id: str) -> JobInfo:
        """Return what is known of a job; four letters or more of the beginning of its id will do if no other has them.

        Raises :class:`NotFoundError`, which names the jobs that begin alike when there are several.
        """
        return self._ask(JobReply, GetJob, job_id=job_id).job

    def jobs(
        self, state: JobState | None = None, owner: str | None = None, tags: Sequence[str] = (),
        created_after: float | None = None, created_before: float | None = None, limit: int = 100, skip: int = 0,
    ) -> list[JobInfo]:  # fmt: skip
        """Return the newest jobs first that fit every filter; times are Unix times."""
        reply = self._ask(
            JobsReply, GetJobs, state=state, owner=owner, tags=tuple(tags), created_after=created_after,
            created_before=created_before, limit=limit, skip=skip,
        )  # fmt: skip
        return list(reply.jobs)

    def all_jobs(
        self, state: JobState | None = None, owner: str | None = None, tags: Sequence[str] = (),
        created_after: float | None = None, created_before: float | None = None, page: int = 100,
        session_id: str | None = None,
    ) -> Iterator[JobInfo]:  # fmt: skip
        """Yield the newest jobs first that fit every filter, as far as they are asked for.

        They come page by page, ``page`` at a time. A job that is there all the time comes exactly once, whatever is
        handed in in the meantime.
        """
        seen: set[str] = set()
        key, skip = None, 0
        while True:
            reply = self._ask(
                JobsReply, GetJobs, state=state, owner=owner, tags=tuple(tags), created_after=created_after,
                created_before=created_before, limit=page, skip=skip, beyond=key, session_id=session_id,
            )  # fmt: skip
            yield from (info for info in reply.jobs if info.job_id not in seen)
            key = reply.key
            if key is None:
                if self.greeting.revision > 0 or len(reply.jobs) < page:
                    return
                # A daemon of revision 0 knows pages by their offset alone: what moved to the next one came before.
                seen.update(info.job_id for info in reply.jobs)
                skip += page

    def count_jobs(
        self, state: JobState | None = None, owner: str | None = None, tags: Sequence[str] = (),
        session_id: str | None = None,
    ) -> int | None:  # fmt: skip
        """Return how many jobs fit every filter; None from a daemon that does not say."""
        reply = self._ask(
            JobsReply, GetJobs, state=state, owner=owner, tags=tuple(tags), session_id=session_id, limit=1, count=True
        )
        return reply.total

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False when it had ended before."""
        return self._ask(CancelReply, Cancel, job_id=job_id).cancelled

    def late(self, job_id: str, timeout: float | None) -> JobTimeoutError:
        """Return the error that a job has not ended within ``timeout`` seconds, and why, as far as is known here."""
        if self.hears_daemon:
            message = "has not ended in this time; it goes on, ask again"
        else:
            message = (
                f"has not ended in this time, and the daemon at {self.url} does not answer: it keeps the job, and goes "
                "on with it once it runs again (`pulsed status`, `pulsed serve`); ask again then"
            )
        return JobTimeoutError(
            message, subject=f"job {job_id}", value="no time" if timeout is None else f"{timeout:g} s"
        )

    def watch(self, job_id: str, callback: Callable[[JobInfo], None]) -> Callable[[], None]:
        """Call ``callback`` with the job as it is and at every change, in a thread of the client's.

        Returns a function that ends it; the end of the job ends it too.
        """
        self.follow()
        end = self._callbacks.watch(job_id, callback)
        try:
            self._callbacks.tell_job(self.job(job_id))
        except BaseException:
            end()
            raise
        return end

    def subscribe(self, callback: Callable[[AnyEvent], None], *kinds: type[AnyEvent]) -> Callable[[], None]:
        """Call ``callback`` with every event of these ``kinds``, or of all, in a thread of the client's.

        Returns a function that ends it.
        """
        end = self.add_subscriber(callback, *kinds)
        self.follow()
        return end

    def add_subscriber(self, callback: Callable[[AnyEvent], None], *kinds: type[AnyEvent]) -> Callable[[], None]:
        """As :meth:`subscribe`, without a connection: one that is made later asks for events."""
        return self._callbacks.subscribe(callback, kinds)

    def stop_daemon(self) -> None:
        """Stop the daemon; the right of an admin."""
        self._ask(StopReply, Stop)

    # --- inside ------------------------------------------------------------------------------------------------

    def _connected(self) -> DaemonConnection:
        with self._lock:
            if self._connection is not None and not self._connection.ended:
                return self._connection
            connection = self._connection = self._new_connection()
            followed = bool(self._callbacks)
            if self._finalizer is not None:
                self._finalizer.detach()
            self._finalizer = weakref.finalize(self, _leave, connection, self._callbacks.ending())
        if followed:  # on a connection that has ended, or before a fork
            self._callbacks.start()
            connection.subscribe()
            ask_watched = weakly(self._ask_watched)
            connection.subscribed.add_done_callback(lambda _: ask_watched())
        return connection

    def _new_connection(self) -> DaemonConnection:
        key = find_key(self._key, self._home, self._server)
        url = find_url(self._url, self._home)
        keep = partial(_keep_server, key_path(self._key, self._home)) if self._server is None else _forget_server
        connection = DaemonConnection(url, key, pulsed.__version__, weakly(self._on_event), keep)
        connection.start()
        try:
            connection.greeted.result(self.timeout)
        except FutureTimeoutError:
            connection.close()
            raise no_answer(url, self.timeout) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _call(
        self, reply: type[Reply], kind: type[Request], parts: Sequence[Part] = (), **fields: Any
    ) -> tuple[Reply, Sequence[Part]]:
        connection = self._connected()
        check_known(kind, connection.greeting)
        if speaker := person():
            fields["person"] = speaker
        message, answer = self._in_time(connection.request(kind, parts, fields))
        return expect(reply, message), answer

    def _send(self, kind: type[Request], **fields: Any) -> Future[Answer]:
        return self._connected().request(kind, (), fields)

    def _in_time(self, future: Future[Answer]) -> Answer:
        try:
            return future.result(self.timeout)
        except FutureTimeoutError:
            future.cancel()
            raise no_answer(self.url, self.timeout) from None

    def follow(self) -> None:
        """Have the daemon tell of events; return when none can be missed any longer."""
        connection = self._connected()
        self._callbacks.start()
        connection.subscribe()
        try:
            connection.subscribed.result(self.timeout)
        except FutureTimeoutError:
            raise no_answer(connection.url, self.timeout) from None

    def _on_event(self, event: EventReceived | Gap) -> None:
        if isinstance(event, EventReceived):
            self._callbacks.tell_event(event.event)
        else:
            self._ask_watched()

    def _ask_watched(self) -> None:
        with self._lock:
            connection = self._connection
        if connection is not None:
            for job_id in self._callbacks.watched():
                connection.request(GetJob, (), {"job_id": job_id}).add_done_callback(self._asked)

    def _asked(self, future: Future[Answer]) -> None:
        if not future.cancelled() and future.exception() is None:
            message, _ = future.result()
            self._callbacks.tell_job(expect(JobReply, message).job)


def _keep_server(path: Path, server: str, server_next: str) -> None:
    try:
        learn_server(path, server, server_next)
    except (OSError, KeyFileError) as error:
        _log.warning("the daemon's key is about to change, and %s cannot be brought up to date: %s", path, error)


def _forget_server(_server: str, _server_next: str) -> None:
    """Keep nothing: the file is that of another daemon."""


def _unpickled(
    url: str | None, key: Path | str | None, timeout: float, home: Path, server: str | None = None
) -> Client:
    return Client(url, key, timeout, home=home, server=server)


def _leave(connection: DaemonConnection, end_callbacks: Callable[[], None]) -> None:
    """Let the threads of a dropped client end, without waiting for them: this may run in any thread."""
    connection.leave()
    end_callbacks()
