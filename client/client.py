"""The client of a daemon: plain calls, safe from any thread. Nothing here polls."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pulsed
from pulsed.client.keys import find_key, find_url, home_directory
from pulsed.client.link import Answer, Link
from pulsed.model.calibration import CalibrationSet, LogEntry, PastValue, Pruned, RunRecord, from_json
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConnectionFailedError, InvalidValueError, JobTimeoutError, ProtocolError
from pulsed.model.job import FINAL_STATES, JobInfo, JobRequest, JobState
from pulsed.model.payload import Part
from pulsed.model.result import JobResult, decode
from pulsed.wire.messages import (
    AnyNotice,
    AnyReply,
    CalibrationLogReply,
    CalibrationReply,
    Cancel,
    CancelReply,
    CommitCalibration,
    DeviceReply,
    DoneReply,
    GetCalibration,
    GetCalibrationLog,
    GetDevice,
    GetJob,
    GetJobs,
    GetResult,
    GetRuns,
    GetStatus,
    GetValueHistory,
    Greeting,
    JobChanged,
    JobReply,
    JobsReply,
    Prune,
    PruneReply,
    PutCalibration,
    PutRun,
    Request,
    ResultReply,
    RunsReply,
    Status,
    StatusReply,
    Stop,
    StopReply,
    Submit,
    TagCalibration,
    ValueHistoryReply,
)
from pulsed.wire.protocol import MAX_FRAMES, Gap, Noticed

Reply = TypeVar("Reply", bound=AnyReply)
_log = logging.getLogger(__name__)


class Client:
    """One connection to a daemon.

    Args:
        url: ``"tcp://HOST:PORT"``; None finds the daemon that runs on this machine.
        key: a key file, the name of a key in the home directory, or None for the local one.
        timeout: seconds that the daemon may take to answer; waiting for a result has its own.
        home: the home directory, see :func:`pulsed.client.keys.home_directory`.

    Every call raises :class:`KeyFileError`, :class:`ConnectionFailedError` or the error that the daemon answered.
    After a lost connection the calls under way go on by themselves when the daemon is back.

    """

    def __init__(
        self, url: str | None = None, key: Path | str | None = None, timeout: float = 10.0, *,
        home: Path | str | None = None,
    ) -> None:  # fmt: skip
        self.timeout = timeout
        self._url, self._key, self._home = url, key, home_directory(home)
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._watchers: dict[str, list[Callable[[JobInfo], None]]] = {}
        self._subscribers: list[tuple[Callable[[AnyNotice], None], tuple[type[AnyNotice], ...]]] = []
        self._notices: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._teller: threading.Thread | None = None

    def connect(self) -> Self:
        """Connect and greet; does nothing when that has happened."""
        self._connected()
        return self

    def close(self) -> None:
        """Close the connection. Calls under way in other threads raise :class:`ConnectionFailedError`."""
        with self._lock:
            link, self._link = self._link, None
            teller, self._teller = self._teller, None
            self._watchers.clear()
            self._subscribers.clear()
        if link is not None:
            link.close()
        if teller is not None:
            self._notices.put(None)
            if teller is not threading.current_thread():
                teller.join()

    def __enter__(self) -> Self:
        return self.connect()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where the daemon is, as far as is known now."""
        return self._link.url if self._link is not None else find_url(self._url, self._home)

    @property
    def greeting(self) -> Greeting:
        """What the daemon said of itself and of this key's role."""
        return self._connected().greeting

    def status(self) -> Status:
        """How the daemon, its workers and its instruments are."""
        return self._ask(StatusReply, GetStatus).status

    def device(self, backend: str | None = None) -> DeviceDescription:
        """Return the device description of ``backend``, or of the only one."""
        _, parts = self._call(DeviceReply, GetDevice, backend=backend)
        return DeviceDescription.model_validate_json(bytes(_only(parts)))

    def calibration(
        self, calibration_id: str | None = None, *, time: float | None = None, tag: str | None = None
    ) -> CalibrationSet:
        """Return the calibration set in force, or that of an id, of a tag, or in force at ``time`` (Unix time, s)."""
        reply, parts = self._call(CalibrationReply, GetCalibration, calibration_id=calibration_id, time=time, tag=tag)
        return from_json(bytes(_only(parts)), reply.calibration_id)

    def put_calibration(self, calibration: CalibrationSet) -> str:
        """Store a set, which does not come into force by that; jobs may name it. Returns its id."""
        return self._call(CalibrationReply, PutCalibration, [calibration.to_json()])[0].calibration_id

    def commit_calibration(self, calibration_id: str, expected: str, why: str = "") -> None:
        """Put a stored set in force, provided that ``expected`` is.

        Raises :class:`ConflictError` when another one came into force in the meantime; it names what that changed.
        """
        self._ask(DoneReply, CommitCalibration, calibration_id=calibration_id, expected=expected, why=why)

    def calibration_log(self, limit: int = 100, name: str | None = None) -> list[LogEntry]:
        """Return the sets that came into force, the newest first, or those that changed the value ``name``."""
        return list(self._ask(CalibrationLogReply, GetCalibrationLog, limit=limit, name=name).entries)

    def tag_calibration(self, calibration_id: str, tag: str, *, move: bool = False) -> None:
        """Give a stored set a name. Raises :class:`ConflictError` for one that is taken, unless ``move`` takes it."""
        self._ask(DoneReply, TagCalibration, calibration_id=calibration_id, name=tag, move=move)

    def value_history(self, name: str, limit: int = 100) -> list[PastValue]:
        """Return the values that ``name`` has had, the newest first, each with the time and set it came with."""
        return list(self._ask(ValueHistoryReply, GetValueHistory, name=name, limit=limit).values)

    def put_run(self, run: RunRecord) -> None:
        """Keep the record of a measurement, in place of an older one with its id."""
        self._ask(DoneReply, PutRun, run=run)

    def runs(self, routine: str | None = None, target: str | None = None, limit: int = 100) -> list[RunRecord]:
        """Return the newest records of measurements first that fit every filter given."""
        return list(self._ask(RunsReply, GetRuns, routine=routine, target=target, limit=limit).runs)

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
        """Return what is known of a job."""
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

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False when it had ended before."""
        return self._ask(CancelReply, Cancel, job_id=job_id).cancelled

    def result(self, job_id: str, timeout: float | None = None) -> tuple[JobResult, Sequence[Part]]:
        """Wait for the result of a job and return it with the parts its arrays lie in.

        The daemon sends it as soon as it is there. Raises :class:`JobTimeoutError` after ``timeout`` seconds,
        :class:`JobCancelledError`, or the error that the job failed with.
        """
        return self.finished(job_id, timeout)[1:]

    def finished(self, job_id: str, timeout: float | None = None) -> tuple[JobInfo, JobResult, Sequence[Part]]:
        """As :meth:`result`, with the job as it has ended before it."""
        future = self._connected().request(GetResult, (), {"job_id": job_id})
        try:
            message, parts = future.result(timeout)
        except FutureTimeoutError:
            future.cancel()
            raise JobTimeoutError(f"no result within {timeout:g} s; the job goes on", subject=f"job {job_id}") from None
        return _expect(ResultReply, message).job, *decode(parts)

    def watch(self, job_id: str, callback: Callable[[JobInfo], None]) -> Callable[[], None]:
        """Call ``callback`` with the job as it is and at every change, in a thread of the client's.

        Returns a function that ends it; the end of the job ends it too.
        """
        self._follow()
        with self._lock:
            self._watchers.setdefault(job_id, []).append(callback)

        def end() -> None:
            with self._lock:
                callbacks = self._watchers.get(job_id, [])
                if callback in callbacks:
                    callbacks.remove(callback)
                if not callbacks:
                    self._watchers.pop(job_id, None)

        try:
            self._tell_job(self.job(job_id))
        except BaseException:
            end()
            raise
        return end

    def subscribe(self, callback: Callable[[AnyNotice], None], *kinds: type[AnyNotice]) -> Callable[[], None]:
        """Call ``callback`` with every notice of these ``kinds``, or of all, in a thread of the client's.

        Returns a function that ends it.
        """
        subscriber = callback, kinds
        with self._lock:
            self._subscribers.append(subscriber)
        self._follow()

        def end() -> None:
            with self._lock:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return end

    def prune(self, before: float, *, dry: bool = False) -> Pruned:
        """Forget records and sets older than ``before`` that nothing refers to; the right of an admin.

        With ``dry`` nothing is done, and what would be is returned. The files of the records are left alone.
        """
        return self._ask(PruneReply, Prune, before=before, dry=dry).pruned

    def stop_daemon(self) -> None:
        """Stop the daemon; the right of an admin."""
        self._ask(StopReply, Stop)

    # --- inside ------------------------------------------------------------------------------------------------

    def _connected(self) -> Link:
        with self._lock:
            if self._link is not None and not self._link.ended:
                return self._link
            link = self._link = self._new_link()
            followed = bool(self._watchers or self._subscribers)
        if followed:  # on a link that has ended
            link.subscribe()
            link.subscribed.add_done_callback(lambda _: self._ask_watched())
        return link

    def _new_link(self) -> Link:
        key = find_key(self._key, self._home)
        url = find_url(self._url, self._home)
        link = Link(url, key, pulsed.__version__, self._on_event)
        link.start()
        try:
            link.greeted.result(self.timeout)
        except FutureTimeoutError:
            link.close()
            raise _no_answer(url, self.timeout) from None
        except BaseException:
            link.close()
            raise
        return link

    def _call(
        self, reply: type[Reply], kind: type[Request], parts: Sequence[Part] = (), **fields: Any
    ) -> tuple[Reply, Sequence[Part]]:
        link = self._connected()
        future: Future[Answer] = link.request(kind, parts, fields)
        try:
            message, answer = future.result(self.timeout)
        except FutureTimeoutError:
            future.cancel()
            raise _no_answer(link.url, self.timeout) from None
        return _expect(reply, message), answer

    def _ask(self, reply: type[Reply], kind: type[Request], **fields: Any) -> Reply:
        return self._call(reply, kind, **fields)[0]

    def _follow(self) -> None:
        link = self._connected()
        with self._lock:
            if self._teller is None:
                self._teller = threading.Thread(target=self._tell, name="pulsed-notices", daemon=True)
                self._teller.start()
        link.subscribe()
        try:
            link.subscribed.result(self.timeout)
        except FutureTimeoutError:
            raise _no_answer(link.url, self.timeout) from None

    def _tell(self) -> None:
        while (call := self._notices.get()) is not None:
            try:
                call()
            except Exception:  # noqa: BLE001 - it is the caller's own function
                _log.exception("a callback failed; the others are told all the same")

    def _on_event(self, event: Noticed | Gap) -> None:
        if isinstance(event, Noticed):
            self._tell_notice(event.notice)
        else:
            self._ask_watched()

    def _ask_watched(self) -> None:
        with self._lock:
            link, watched = self._link, list(self._watchers)
        if link is not None:
            for job_id in watched:
                link.request(GetJob, (), {"job_id": job_id}).add_done_callback(self._asked)

    def _asked(self, future: Future[Answer]) -> None:
        if not future.cancelled() and future.exception() is None:
            message, _ = future.result()
            self._tell_job(_expect(JobReply, message).job)

    def _tell_notice(self, notice: AnyNotice) -> None:
        with self._lock:
            subscribers = [callback for callback, kinds in self._subscribers if not kinds or isinstance(notice, kinds)]
        for callback in subscribers:
            self._notices.put(partial(callback, notice))
        if isinstance(notice, JobChanged):
            self._tell_job(notice.job)

    def _tell_job(self, info: JobInfo) -> None:
        with self._lock:
            final = info.state in FINAL_STATES
            callbacks = self._watchers.pop(info.job_id, []) if final else self._watchers.get(info.job_id, [])
            callbacks = list(callbacks)
        for callback in callbacks:
            self._notices.put(partial(callback, info))


def _expect(kind: type[Reply], message: AnyReply) -> Reply:
    if not isinstance(message, kind):
        raise ProtocolError("an answer of the wrong kind", subject="daemon", value=type(message).__name__,
                            legal=kind.__name__)  # fmt: skip
    return message


def _only(parts: Sequence[Part]) -> Part:
    if len(parts) != 1:
        raise ProtocolError("an answer with the wrong number of parts", subject="daemon", value=len(parts), legal="1")
    return parts[0]


def _no_answer(url: str, timeout: float) -> ConnectionFailedError:
    return ConnectionFailedError(
        f"no answer within {timeout:g} s: is the daemon well? (`pulsed status`; start one with `pulsed serve`)",
        subject=url,
    )
