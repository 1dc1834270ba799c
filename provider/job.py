"""A job of the rack as a Qiskit job. Results are pushed by the daemon; nothing here polls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from qiskit.circuit import QuantumCircuit
from qiskit.providers import JobStatus, JobV1

from pulsed.model.errors import JobTimeoutError, PulsedError
from pulsed.model.job import FINAL_STATES, JobInfo, JobRequest, JobState
from pulsed.model.payload import Part
from pulsed.provider.errors import PulsedJobError, PulsedJobTimeoutError
from pulsed.provider.result import build_result
from pulsed.provider.submission import GateKey

if TYPE_CHECKING:
    from qiskit.result import Result

    from pulsed.client import Client
    from pulsed.provider.backend import PulsedBackend
    from pulsed.provider.properties import Properties
    from pulsed.pulse.schedule import Schedule

STATUS: dict[JobState, JobStatus] = {
    JobState.QUEUED: JobStatus.QUEUED,
    JobState.COMPILING: JobStatus.VALIDATING,
    JobState.READY: JobStatus.QUEUED,
    JobState.RUNNING: JobStatus.RUNNING,
    JobState.INTERRUPTED: JobStatus.QUEUED,
    JobState.DONE: JobStatus.DONE,
    JobState.FAILED: JobStatus.ERROR,
    JobState.CANCELLED: JobStatus.CANCELLED,
}
"""What Qiskit calls each state."""

Payload = tuple[JobRequest, list[Part]]


@dataclass(frozen=True)
class QueueInfo:
    """Where a job waits. ``position`` counts from 1; None when it waits no longer."""

    job_id: str
    status: JobStatus
    position: int | None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class PulsedJob(JobV1):  # type: ignore[misc]
    """One submission.

    Args:
        backend: that it runs on.
        job_id: made by this side, so that a submission can be repeated without running twice.
        client: the connection to the daemon.
        info: what the daemon said last, for a job that was retrieved.
        programs: circuits and schedules, when this process knows them.
        gates: pulse gates that go with them.
        chosen: the options of the run.
        counts: how many results each program has, when it is not one.
        payload: what :meth:`submit` sends; None for a job that the daemon has already.

    """

    def __init__(
        self,
        backend: PulsedBackend,
        job_id: str,
        client: Client,
        *,
        info: JobInfo | None = None,
        programs: Sequence[Any] | None = None,
        gates: Mapping[GateKey, Schedule] | None = None,
        chosen: dict[str, Any] | None = None,
        payload: Payload | None = None,
        counts: Sequence[int] | None = None,
    ) -> None:
        super().__init__(backend, job_id)
        self._client = client
        self._info = info
        self._programs = programs
        self._counts = counts
        self._gates = dict(gates or {})
        self._chosen = chosen
        self._payload = payload
        self._bytes = {"sent": 0, "received": 0}
        self._result: Result | None = None

    def __repr__(self) -> str:
        state = "not submitted" if self._info is None else self._info.state
        return f"<PulsedJob({self.job_id()!r}, {state})>"

    # What the daemon knows

    def submit(self) -> None:
        """Send the job. Raises :class:`PulsedJobError` when it was sent before."""
        if self._payload is None:
            raise PulsedJobError("was submitted before; run the circuits again for another job", subject=self._subject)
        request, parts = self._payload
        self._info = self._client.submit(request, parts)
        self._payload = None
        self._bytes["sent"] = sum(memoryview(part).nbytes for part in parts)

    @property
    def _subject(self) -> str:
        return f"job {self.job_id()}"

    def _known(self) -> JobInfo:
        """Return what is known without asking."""
        if self._info is None:
            raise PulsedJobError("was not submitted", subject=self._subject)
        return self._info

    def _asked(self) -> JobInfo:
        """Return what is true now; a job that has ended is not asked about again."""
        if self._known().state not in FINAL_STATES:
            self._info = self._client.job(self.job_id())
        return self._known()

    def info(self) -> JobInfo:
        """Return all that the daemon knows about the job."""
        return self._asked()

    def status(self) -> JobStatus:
        """Return the status: queued, ready and interrupted are QUEUED, compiling is VALIDATING."""
        if self._payload is not None:
            return JobStatus.INITIALIZING
        return STATUS[self._asked().state]

    def cancel(self) -> bool:
        """Cancel the job. Return True if that took effect, False if it had ended."""
        self._known()
        return bool(self._client.cancel(self.job_id()))

    def result(self, timeout: float | None = None) -> Result:
        """Wait for the result and return it.

        Args:
            timeout: seconds to wait; None waits until the job ends.

        Raises:
            PulsedJobTimeoutError: (a ``JobTimeoutError``) the job has not ended yet; it goes on.
            PulsedJobError: (a ``JobError``) it failed or was cancelled; ``code`` and text are the daemon's.

        """
        if self._result is None:
            self._known()
            try:
                info, data, parts = self._client.finished(self.job_id(), timeout=timeout)
            except JobTimeoutError as error:
                raise self._late(timeout) from error
            except PulsedError as error:
                raise PulsedJobError.from_error(self.job_id(), error) from error
            self._info = info
            self._bytes["received"] = sum(memoryview(part).nbytes for part in parts)
            self._result = build_result(
                data, parts, memory=info.options.memory, num_qubits=self.backend().num_qubits,
                circuits=self._played(), tags=info.tags, date=_time(info.times[JobState.DONE]),
            )  # fmt: skip
        return self._result

    def _played(self) -> list[Any] | None:
        """Return the program of each result, when this process knows them."""
        if self._programs is None:
            return None
        many = self._counts or [1] * len(self._programs)
        return [program for program, count in zip(self._programs, many, strict=True) for _ in range(count)]

    def _late(self, timeout: float | None) -> PulsedJobTimeoutError:
        return PulsedJobTimeoutError(
            "has not ended in this time; it goes on, ask again", subject=self._subject, value=f"{timeout} s"
        )

    def wait_for_final_state(
        self,
        timeout: float | None = None,
        wait: float = 5.0,
        callback: Callable[[str, JobStatus, PulsedJob], None] | None = None,
    ) -> None:
        """Wait until the job has ended.

        Args:
            timeout: seconds; None waits without end.
            wait: the longest time between two calls of ``callback``, seconds.
            callback: called as (job_id, status, job) after each change and at least every ``wait`` seconds.

        Raises:
            PulsedJobTimeoutError: it has not ended in time.

        """
        deadline = None if timeout is None else time.monotonic() + timeout
        changed = threading.Event()

        def take(info: JobInfo) -> None:
            if self._known().state not in FINAL_STATES:
                self._info = info
            changed.set()

        if self._known().state in FINAL_STATES:
            return
        unwatch = self._client.watch(self.job_id(), take)
        try:
            while self._known().state not in FINAL_STATES:
                pauses = [] if callback is None else [wait]
                if deadline is not None:
                    pauses.append(deadline - time.monotonic())
                if changed.wait(min(pauses, default=None)):
                    changed.clear()
                elif deadline is not None and time.monotonic() >= deadline:
                    raise self._late(timeout)
                if callback is not None:
                    callback(self.job_id(), STATUS[self._known().state], self)
        finally:
            unwatch()

    # What follows from it

    def queue_position(self, refresh: bool = True) -> int | None:
        """Return the place in the queue, 1 for the next; None when it waits no longer."""
        return (self._asked() if refresh else self._known()).queue_position

    def queue_info(self) -> QueueInfo | None:
        """Return where the job waits, None when it waits no longer."""
        info = self._asked()
        if info.queue_position is None:
            return None
        return QueueInfo(info.job_id, STATUS[info.state], info.queue_position)

    def creation_date(self) -> datetime:
        """Return when the daemon took the job."""
        return _time(self._known().created)

    def time_per_step(self) -> dict[str, datetime]:
        """Return when the job reached each of its states."""
        return {name: _time(value) for name, value in self._asked().times.items() if not name.startswith("seconds.")}

    def error_message(self) -> str | None:
        """Return why the job failed, None when it did not."""
        error = self._asked().error
        return None if error is None else f"{PulsedJobError.from_error(self.job_id(), error)} [{error.code}]"

    def name(self) -> str:
        """Return the name given as ``job_name``."""
        return self._known().name

    def tags(self) -> list[str]:
        """Return the tags given as ``job_tags``."""
        return list(self._known().tags)

    def update_name(self, name: str) -> None:
        """Not there: a job keeps the name it was submitted with."""
        raise NotImplementedError("a job keeps its name; give run the keyword job_name")

    def update_tags(self, new_tags: list[str]) -> None:
        """Not there: a job keeps the tags it was submitted with."""
        raise NotImplementedError("a job keeps its tags; give run the keyword job_tags")

    @property
    def calibration_id(self) -> str:
        """The calibration set of the run; until it starts, the one that was asked for."""
        info = self._asked()
        return info.calibration_id or info.options.calibration_id or ""

    def backend_options(self) -> dict[str, Any]:
        """Return the options of the run."""
        return dict(self._chosen) if self._chosen is not None else msgspec.structs.asdict(self._known().options)

    def circuits(self) -> list[Any]:
        """Return what was run. Raises ``NotImplementedError`` for a job of another process."""
        if self._programs is None:
            raise NotImplementedError("the daemon does not send programs back; only the process that ran them has them")
        return list(self._programs)

    def properties(self) -> Properties:
        """Return the properties of qubits and gates as of the run."""
        from pulsed.provider.properties import Properties
        from pulsed.provider.target import gate_table

        device, calibration = self.backend().device, self._client.calibration(self.calibration_id)
        return Properties(device, calibration, gate_table(device, calibration))

    def schedules(self) -> list[Schedule]:
        """Return the pulse schedules as played, with the calibration set of the run."""
        from pulsed.compiler.compile import Compiler

        compiler = Compiler(self.backend().device, self._client.calibration(self.calibration_id))
        return [
            compiler.schedule(program, self._gates) if isinstance(program, QuantumCircuit) else program
            for program in self.circuits()
        ]

    def metrics(self) -> dict[str, Any]:
        """Return ``timestamps`` (Unix seconds by state), ``seconds`` by activity, ``bytes`` and ``usage``.

        ``usage["qpu_seconds"]`` is the time on the rack, None until the job has run.
        """
        info = self._asked()
        seconds = {name[8:]: value for name, value in info.times.items() if name.startswith("seconds.")}
        stamps = {name: value for name, value in info.times.items() if not name.startswith("seconds.")}
        start, end = info.times.get(JobState.RUNNING), info.times.get(JobState.DONE)
        on_rack = end - start if start is not None and end is not None else None
        return {
            "timestamps": {"created": info.created, **stamps},
            "seconds": seconds,
            "bytes": dict(self._bytes),
            "usage": {"qpu_seconds": on_rack},
            "chunks": info.chunks,
            "attempts": info.attempts,
        }

    def logs(self) -> str:
        """Not there: the daemon's log stays with it."""
        raise NotImplementedError("the daemon does not send its log; see its log file, or error_message()")

    def stream(self) -> Any:
        """Not there: results come when the whole job has run."""
        raise NotImplementedError("partial results are not sent; use result() or wait_for_final_state()")
