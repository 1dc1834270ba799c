"""The store of one rack: each method is one transaction, each write checks the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Unpack

from sqlalchemy import Connection, Engine

from pulsed.model.calibration import CalibrationSet, LogEntry, PastValue, Pruned, RunRecord
from pulsed.model.errors import StoreError, StoreLockedError
from pulsed.model.interlock_status import TrippedInterlock
from pulsed.model.job import FINAL_STATES, JobInfo, JobLogEntry, JobState, PrunedJobs
from pulsed.model.notes import Note
from pulsed.model.queue import QueueControl, UserUsage
from pulsed.model.rack_address import RackAddress
from pulsed.model.session import SessionInfo
from pulsed.store import (
    calibration_log,
    calibrations,
    engine,
    files,
    job_lists,
    jobs,
    leases,
    notes,
    prune,
    retention,
    runs,
    sessions,
    usage,
)
from pulsed.store.disk import DiskWatch, path_of
from pulsed.store.errors import LeaseLostError
from pulsed.store.job_lists import Conditions
from pulsed.store.jobs import Changes, JobStep

_OPENING = 10.0
"""Seconds that opening waits for another process that writes."""


class Store:
    """Jobs and calibration sets of ``rack``, durable when a method returns.

    Times are Unix times in seconds. Every method may be called from any thread. Each raises
    :class:`StoreError` when the database fails, and each that writes :class:`LeaseLostError` when another
    daemon has taken the rack; nothing was changed then.

    Args:
        url: of the database: ``sqlite:////path/of/a/file`` or ``postgresql+DRIVER://user@host/database``.
        rack: the name that all rows of this store bear.
        lease_seconds: how long the lease lasts without :meth:`renew`.
        free_disk: bytes that have to be free on the disk of a database in a file for another job to be stored.

    """

    def __init__(self, url: str, rack: str, *, lease_seconds: float = 10.0, free_disk: int = 0) -> None:
        self.url = url
        self.rack = rack
        self.lease_seconds = lease_seconds
        self._path = path_of(url)
        self._file: files.FileMark | None = None
        self.disk = DiskWatch(None if self._path is None else self._path.parent, free_disk)
        self._engine: Engine | None = None
        self._writer: Connection | None = None
        self._lock = threading.Lock()
        self._fence: int | None = None
        self._shared = threading.local()

    def open(self, now: float, holder: str) -> None:
        """Connect, bring the tables up to date and take the lease of the rack for ``holder``.

        Raises :class:`LeaseError` when another holder's lease has not expired, :class:`ConfigError` for a URL
        that is none, :class:`IncompatibleError` for a store of a newer version. The same holder may retake.
        """
        end = time.monotonic() + _OPENING
        while True:
            self._dispose()
            self._engine = engine.connect(self.url)
            try:
                if self._path is not None:
                    files.prepare(self._path)
                with self._transaction() as connection:
                    engine.migrate(connection)
                    self._fence = leases.take(connection, self.rack, holder, now, self.lease_seconds)
            except StoreLockedError:
                self._dispose()
                if time.monotonic() > end:
                    raise
            except BaseException:
                self._dispose()
                raise
            else:
                self._file = None if self._path is None else files.mark(self._path)
                return

    def renew(self, now: float) -> None:
        """Hold the lease until ``now + lease_seconds``; it is lost, too, when the file has become another one."""
        if self._path is not None and files.mark(self._path) != self._file:
            raise LeaseLostError(
                "the file of the database was removed or replaced while it was open: what is written there is lost",
                subject=f"store {self._path}", legal="the file that was opened; stop the daemon to replace it",
            )  # fmt: skip
        with self._write() as connection:
            leases.extend(connection, self.rack, now + self.lease_seconds)

    def announce(self, url: str, server_key: str) -> None:
        """Write down where this rack's daemon listens and its public key (Z85), for :meth:`racks` of the others."""
        with self._write() as connection:
            leases.announce(connection, self.rack, url, server_key)

    def racks(self, now: float) -> list[RackAddress]:
        """Return all racks of the database whose daemons have announced themselves, by name, this one included."""
        with self._read() as connection:
            return leases.addresses(connection, now)

    def close(self) -> None:
        """Give the lease back, if it is still ours, and disconnect. A closed store may be opened again."""
        try:
            if self._fence is not None:
                with self._write() as connection:
                    leases.extend(connection, self.rack, 0.0)
        except LeaseLostError:
            pass
        finally:
            self._dispose()

    def add_jobs(self, new: Sequence[tuple[JobInfo, bytes]], now: float) -> list[JobInfo]:
        """Store jobs with their payloads in one transaction; an id that is there gives the stored job.

        Raises :class:`NotAllowedError` when one of the ids belongs to another owner, :class:`StoreFullError` when the
        disk is almost full; none is stored then.
        """
        self.disk.check()
        self.disk.check_room(sum(len(payload) for _, payload in new))
        try:
            with self._write() as connection:
                return jobs.add(connection, self.rack, new, {}, now)
        except StoreError as error:
            if not engine.is_conflict(error.__cause__):
                raise
        # One of the ids is there already. It is rare enough to find out in this way.
        with self._write() as connection:
            known = jobs.by_ids(connection, self.rack, [info.job_id for info, _ in new])
            return jobs.add(connection, self.rack, new, known, now)

    def step(self, job_id: str, new_state: JobState, now: float, **changes: Unpack[Changes]) -> JobInfo:
        """Take a step of the job's state machine and return the job; ``times[new_state]`` becomes ``now``.

        Raises :class:`NotFoundError`, :class:`IllegalStepError`.
        """
        with self._write() as connection:
            return jobs.change(connection, self.rack, job_id, [JobStep(new_state, now, changes)])

    def steps(self, job_id: str, close: Callable[[], Sequence[JobStep]]) -> None:
        """Take the steps of a job that ``close`` returns, if any, one after the other.

        It is called when they are written, again when that has to be tried again: see :class:`LateSteps`.
        """
        if taken := close():
            with self._write() as connection:
                jobs.change(connection, self.rack, job_id, taken)

    def update(self, job_id: str, **changes: Unpack[Changes]) -> JobInfo:
        """Change a job without a step and return it. Raises :class:`NotFoundError`."""
        with self._write() as connection:
            return jobs.change(connection, self.rack, job_id, [JobStep(None, 0.0, changes)])

    def finish(
        self, job_id: str, result_blob: bytes, now: float, last: tuple[int, bytes] | None = None,
        before: Sequence[JobStep] = (), **changes: Unpack[Changes],
    ) -> JobInfo:  # fmt: skip
        """Store the result, take the steps ``before`` and the step to DONE, all at once or not at all.

        The chunks are deleted, unless ``result_chunks`` says that they are the result: then ``last``, an index and a
        chunk, is stored with them. Raises :class:`NotFoundError`, :class:`IllegalStepError`, :class:`StoreError` when
        one of them is missing, and :class:`StoreFullError` for want of room.
        """
        self.disk.check_room(len(result_blob) + (0 if last is None else len(last[1])))
        with self._write() as connection:
            steps = (*before, JobStep(JobState.DONE, now, changes))
            return jobs.finish(connection, self.rack, job_id, result_blob, last, steps)

    def save_chunk(self, job_id: str, index: int, blob: bytes, now: float, log: Sequence[JobLogEntry] = ()) -> JobInfo:
        """Store a finished chunk, in place of an older one of that index, and count ``chunks_done`` again.

        Raises :class:`NotFoundError`, :class:`IllegalStepError` for a job that has ended, and :class:`StoreFullError`
        for want of room.
        """
        self.disk.check_room(len(blob))
        with self._write() as connection:
            return jobs.save_chunk(connection, self.rack, job_id, index, blob, now, log)

    def prune_results(self, before: float, keep: Sequence[str], now: float, limit: int, *, dry: bool) -> PrunedJobs:
        """Delete programs and results of old jobs, see :func:`pulsed.store.retention.prune_results`."""
        with self._write() as connection:
            return retention.prune_results(connection, self.rack, before, keep, now, limit, dry=dry)

    def prune_jobs(self, before: float, keep: Sequence[str], now: float, limit: int, *, dry: bool) -> PrunedJobs:
        """Forget old jobs, see :func:`pulsed.store.retention.prune_jobs`."""
        with self._write() as connection:
            return retention.prune_jobs(connection, self.rack, before, keep, now, limit, dry=dry)

    def results_beyond(self, size: int, keep: Sequence[str]) -> float:
        """Return before when results have to go, see :func:`pulsed.store.retention.beyond`."""
        with self._read() as connection:
            return retention.beyond(connection, self.rack, size, keep)

    def job(self, job_id: str) -> JobInfo:
        """Return one job. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return jobs.get(connection, self.rack, job_id)

    def job_log(self, job_id: str) -> list[JobLogEntry]:
        """Return what was written down about a job, in order. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return jobs.log(connection, self.rack, job_id)

    def payload(self, job_id: str) -> bytes:
        """Return what was submitted. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return jobs.get_payload(connection, self.rack, job_id)

    def chunk_numbers(self, job_id: str) -> list[int]:
        """Return which chunks of a job are stored, in order. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return jobs.chunk_numbers(connection, self.rack, job_id)

    def chunk(self, job_id: str, index: int) -> bytes | None:
        """Return one stored chunk of a job, None when it is not there. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return jobs.one_chunk(connection, self.rack, job_id, index)

    def result(self, job_id: str) -> bytes:
        """Return what a finished job brought back. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return jobs.get_result(connection, self.rack, job_id)

    def jobs(self, **conditions: Unpack[Conditions]) -> list[JobInfo]:
        """Return the jobs that meet every condition given, see :class:`Conditions`."""
        return self.page(None, **conditions)[0]

    def page(self, key: int | None, **conditions: Unpack[Conditions]) -> tuple[list[JobInfo], int | None]:
        """Return a page of what :meth:`jobs` lists, and the key of the next one; None when this is the last.

        ``key`` is that of the page before; None for the first. Whatever is added or deleted between two pages, a job
        that is there all the time is on exactly one of them.
        """
        with self._read() as connection:
            found = job_lists.find(connection, self.rack, key, **conditions)
        last = found[-1][0] if found and len(found) == conditions.get("limit", job_lists.LIMIT) else None
        return [info for _, info in found], last

    def count(self, **conditions: Unpack[Conditions]) -> int:
        """Return how many jobs meet every condition given."""
        with self._read() as connection:
            return job_lists.count(connection, self.rack, **conditions)

    def jobs_beginning_with(self, start: str, limit: int = 10) -> list[JobInfo]:
        """Return the newest jobs whose ids begin with ``start``, ``limit`` at most."""
        with self._read() as connection:
            return job_lists.beginning_with(connection, self.rack, start, limit)

    def unfinished(self) -> list[JobInfo]:
        """Return every job that has not ended in the order of the queue: highest priority first, then oldest."""
        with self._read() as connection:
            return job_lists.unfinished(connection, self.rack)

    def put_session(self, info: SessionInfo) -> None:
        """Store a session, in place of what there is of its id."""
        with self._write() as connection:
            sessions.put(connection, self.rack, info)

    def session(self, session_id: str) -> SessionInfo:
        """Return one session. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return sessions.get(connection, self.rack, session_id)

    def sessions(self, limit: int, start: str = "") -> list[SessionInfo]:
        """Return the newest sessions, at most ``limit``, of those whose ids begin with ``start``."""
        with self._read() as connection:
            return sessions.newest(connection, self.rack, limit, start)

    def unended_sessions(self) -> list[SessionInfo]:
        """Return every session that has not ended, the oldest first."""
        with self._read() as connection:
            return sessions.unended(connection, self.rack)

    def put_usage(self, kept: UserUsage) -> None:
        """Store what one user has used of the rack, in place of what there is."""
        with self._write() as connection:
            usage.put(connection, self.rack, kept)

    def usage(self) -> list[UserUsage]:
        """Return what each user has used of the rack, by name."""
        with self._read() as connection:
            return usage.everybody(connection, self.rack)

    def put_queue_control(self, control: QueueControl) -> None:
        """Store the mode of the queue."""
        with self._write() as connection:
            usage.put_control(connection, self.rack, control)

    def queue_control(self) -> QueueControl:
        """Return the mode of the queue that was stored last; open when none was."""
        with self._read() as connection:
            return usage.control(connection, self.rack)

    def put_tripped_interlocks(self, tripped: Sequence[TrippedInterlock]) -> None:
        """Store which interlocks have tripped, in place of what there is."""
        with self._write() as connection:
            usage.put_tripped(connection, self.rack, tripped)

    def tripped_interlocks(self) -> list[TrippedInterlock]:
        """Return the interlocks that have tripped."""
        with self._read() as connection:
            return usage.tripped(connection, self.rack)

    def unfinished_sizes(self) -> dict[str, int]:
        """Return the bytes of the submission of every job that has not ended."""
        with self._read() as connection:
            return usage.payload_sizes(connection, self.rack, [state.value for state in FINAL_STATES])

    def put_calibration(self, calibration: CalibrationSet, now: float) -> str:
        """Store a set, unless it is there, and return its id.

        Raises :class:`InvalidValueError` for a set that would not come back with the same id.
        """
        with self._write() as connection:
            return calibrations.put(connection, self.rack, calibration, now)

    def calibration(self, calibration_id: str) -> CalibrationSet:
        """Return one set. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return calibrations.get(connection, self.rack, calibration_id)

    def set_current_calibration(self, calibration_id: str, now: float, by: str = "", why: str = "") -> None:
        """Make a stored set the active one, whichever was. Raises :class:`NotFoundError`."""
        with self._write() as connection:
            calibration_log.activate(connection, self.rack, calibration_id, by, why, now)

    def commit_calibration(
        self, calibration_id: str, expected: str | None, now: float, by: str = "", why: str = ""
    ) -> CalibrationSet:
        """Make a stored set the active one if ``expected`` is, and return it; one that is active already is left so.

        Raises :class:`NotFoundError`, and :class:`ConflictError` that names what changed since ``expected``.
        """
        with self._write() as connection:
            return calibration_log.commit(connection, self.rack, calibration_id, expected, by, why, now)

    def calibration_log(self, limit: int = 100, name: str | None = None) -> list[LogEntry]:
        """Return the sets that became active, the newest first, or those that changed the value ``name``."""
        with self._read() as connection:
            return calibration_log.log(connection, self.rack, limit, name)

    def value_history(self, name: str, limit: int = 100) -> list[PastValue]:
        """Return the values that ``name`` has had, the newest first."""
        with self._read() as connection:
            return calibration_log.history(connection, self.rack, name, limit)

    def tag_calibration(self, calibration_id: str, tag: str, *, move: bool = False) -> None:
        """Give a stored set a name, which with ``move`` is taken from the set that has it.

        Raises :class:`NotFoundError`, and :class:`ConflictError` for a name that another set has.
        """
        with self._write() as connection:
            calibration_log.tag(connection, self.rack, calibration_id, tag, move)

    def tagged_calibration(self, tag: str) -> CalibrationSet:
        """Return the set with this tag. Raises :class:`NotFoundError`."""
        with self._read() as connection:
            return calibration_log.tagged(connection, self.rack, tag)

    def put_run(self, record: RunRecord) -> None:
        """Store the record of a measurement, in place of an older one with its id."""
        with self._write() as connection:
            runs.put(connection, self.rack, record)

    def runs(
        self, routine: str | None = None, target: str | None = None, limit: int = 100, run_id: str | None = None
    ) -> list[RunRecord]:
        """Return the newest records first that fit every filter given."""
        with self._read() as connection:
            return runs.find(connection, self.rack, routine, target, limit, run_id)

    def add_note(self, note: Note, *, known: bool = False) -> None:
        """Store a note; see :func:`pulsed.store.notes.add`."""
        with self._write() as connection:
            notes.add(connection, self.rack, note, known=known)

    def notes(self, about: str | None = None, limit: int = 100) -> list[Note]:
        """Return the newest notes first, of one thing or of all."""
        with self._read() as connection:
            return notes.find(connection, self.rack, about, limit)

    def prune(self, before: float, *, dry: bool = False) -> Pruned:
        """Delete records of measurements and sets older than ``before`` that nothing refers to, see :mod:`.prune`."""
        with self._write() as connection:
            return prune.prune(connection, self.rack, before, dry=dry)

    def current_calibration(self) -> CalibrationSet | None:
        """Return the active set, None when there was never one."""
        with self._read() as connection:
            return calibrations.current(connection, self.rack)

    def calibration_as_of(self, time: float) -> CalibrationSet | None:
        """Return the set that was active at ``time``, None before the first."""
        with self._read() as connection:
            return calibrations.as_of(connection, self.rack, time)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all writes of this thread inside of the block one transaction: all of them, or none when one fails."""
        with self._write() as connection:
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        shared: Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            yield shared
            return
        with self._transaction() as connection:
            if self._fence is None:
                raise LeaseLostError("the store holds no lease", subject=f"rack {self.rack}")
            leases.check(connection, self.rack, self._fence)
            yield connection

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        # One writer at a time, on a connection that stays: to get one from the pool takes as long as a write.
        with self._lock, self._translate():
            if self._writer is None:
                self._writer = self._connected().connect()
            try:
                with self._writer.begin():
                    yield self._writer
            except engine.database_errors(self._connected()) as error:
                if not engine.is_conflict(error):
                    self._writer.invalidate()
                    self._writer.close()
                    self._writer = None
                raise

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._translate(), self._connected().execution_options(**engine.READ).begin() as connection:
            yield connection

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except engine.database_errors(self._connected()) as error:
            cause = getattr(error, "orig", None) or error
            if engine.is_locked(cause):
                raise StoreLockedError(
                    "another process keeps the database from being written", subject=f"store of rack {self.rack}",
                    value=str(cause), legal="one that ends its transactions soon: it may be a backup, or an open shell",
                ) from error  # fmt: skip
            raise StoreError(str(cause), subject=f"store of rack {self.rack}") from error

    def _connected(self) -> Engine:
        if self._engine is None:
            raise StoreError("the store is not open", subject=f"store of rack {self.rack}")
        return self._engine

    def _dispose(self) -> None:
        with self._lock:
            if self._writer is not None:
                self._writer.close()
            if self._engine is not None:
                self._engine.dispose()
            self._engine = self._writer = self._fence = None
