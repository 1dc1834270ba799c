"""A job of the rack as a Qiskit job: what is known about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from qiskit.circuit import QuantumCircuit
from qiskit.providers import JobStatus

from pulsed.model.job import FINAL_STATES, JobState
from pulsed.provider.errors import PulsedJobError, asks_daemon
from pulsed.provider.submitted_job import STATUS, SubmittedJob, moment

if TYPE_CHECKING:
    from pulsed.compiler.compile import Compiler
    from pulsed.compiler.preview import Preview
    from pulsed.model.job import RunOptions
    from pulsed.provider.properties import Properties
    from pulsed.pulse.schedule import Schedule


@dataclass(frozen=True)
class QueueInfo:
    """Where a job waits, and for how long about: by what is before it, and sessions that go on as long as they may."""

    job_id: str
    status: JobStatus
    position: int | None
    estimated_start_time: datetime | None = None
    estimated_complete_time: datetime | None = None


class PulsedJob(SubmittedJob):
    """One submission, and what is known about it; see :class:`SubmittedJob` for the arguments."""

    def queue_position(self, refresh: bool = True) -> int | None:
        """Return how many jobs are before this one, that on the rack among them; None when it waits no longer."""
        return (self._asked() if refresh else self._known()).queue_position

    def queue_info(self) -> QueueInfo | None:
        """Return where the job waits, None when it waits no longer."""
        info = self._asked()
        if info.queue_position is None:
            return None
        times = (None if seconds is None else moment(seconds) for seconds in (info.starts, info.ends))
        return QueueInfo(info.job_id, STATUS[info.state], info.queue_position, *times)

    def progress(self, timeout: float | None = None) -> JobStatus:
        """Wait until the job has ended, show how far it is, and return its status.

        On a terminal it is a line of the error stream, in a notebook a bar below the cell; elsewhere nothing is shown.
        Raises :class:`PulsedJobTimeoutError` after ``timeout`` seconds.
        """
        from pulsed.provider.progress import shown

        with shown(self._client, self.job_id()):
            self.wait_for_final_state(timeout)
        return self.status()

    def creation_date(self) -> datetime:
        """Return when the daemon took the job."""
        return moment(self._known().created)

    def time_per_step(self) -> dict[str, datetime]:
        """Return when the job reached each of its states."""
        return {name: moment(value) for name, value in self._asked().times.items() if not name.startswith("seconds.")}

    def error_message(self) -> str | None:
        """Return why the job failed, None when it did not."""
        error = self._asked().error
        return None if error is None else f"{PulsedJobError.from_error(self.job_id(), error)} [{error.code}]"

    def name(self) -> str:
        """Return the name given as ``job_name``."""
        return self._known().name

    @property
    def session_id(self) -> str | None:
        """The session or batch that it was handed in with; None when there was none."""
        return self._known().session_id or None

    def tags(self) -> list[str]:
        """Return the tags given as ``job_tags``."""
        return list(self._known().tags)

    @asks_daemon
    def update_name(self, name: str) -> str:
        """Give the job another name, which everybody sees, and return it. Raises :class:`OptionValueError`."""
        checked = self.backend().options.checked({"job_name": name})["job_name"]
        self._info = self._client.update_job(self.job_id(), name=checked or "")
        return self.name()

    @asks_daemon
    def update_tags(self, new_tags: Sequence[str]) -> list[str]:
        """Give the job these tags in place of those it has, and return them. Raises :class:`OptionValueError`."""
        checked = self.backend().options.checked({"job_tags": new_tags})["job_tags"]
        self._info = self._client.update_job(self.job_id(), tags=checked)
        return self.tags()

    @property
    def calibration_id(self) -> str:
        """The calibration set of the run; until it starts, the one that was asked for."""
        info = self._asked()
        return info.calibration_id or info.options.calibration_id or ""

    def backend_options(self) -> dict[str, Any]:
        """Return the options of the run."""
        return dict(self._chosen) if self._chosen is not None else msgspec.structs.asdict(self._known().options)

    def circuits(self) -> list[Any]:
        """Return the programs given to run: those of this process as they are now, others as the daemon got them."""
        if self._programs is None:
            self._programs = [program for program, _ in self._sent_programs()[0]]
        return list(self._programs)

    def properties(self) -> Properties:
        """Return the properties of qubits and gates as of the run."""
        from pulsed.provider.properties import Properties
        from pulsed.provider.target import gate_table

        device, calibration = self.backend().device, self._client.calibration(self.calibration_id)
        return Properties(device, calibration, gate_table(device, calibration))

    def schedules(self, results: range | None = None) -> list[Schedule]:
        """Return the pulse schedule of each result, made of what was sent with the calibration set of the run.

        ``results``: only of those with these numbers; what is not asked for is not compiled.
        Raises :class:`pulsed.model.errors.CircuitError` for a circuit that branches: it has no single schedule.
        """
        return [
            compiler.schedule(one, gates, options=options) if isinstance(one, QuantumCircuit) else one
            for compiler, options, gates, one in self._compilable(results)
        ]

    def previews(self, results: range | None = None) -> list[Preview]:
        """Return the waveforms of each result as the ports played them, made as :meth:`schedules` are."""
        return [compiler.preview(one, options, gates) for compiler, options, gates, one in self._compilable(results)]

    def _compilable(self, results: range | None) -> Iterator[tuple[Compiler, RunOptions, Any, Any]]:
        """Yield compiler, options, pulse gates and program of each result."""
        from pulsed.compiler.compile import Compiler
        from pulsed.provider.programs import adopt

        compiler = Compiler(self.backend().device, self._client.calibration(self.calibration_id))
        options = self._sent()[0].options
        programs, gates = self._sent_programs()
        number = 0
        for program, table in programs:
            count = 1 if table is None else len(table[1])
            wanted = [k for k in range(count) if results is None or number + k in results]
            number += count
            for one in (
                [program] * len(wanted) if table is None else compiler.assigned(program, table[0], table[1][wanted])
            ):
                yield compiler, options, gates, one if isinstance(one, QuantumCircuit) else adopt(one)

    def metrics(self) -> dict[str, Any]:
        """Return ``timestamps`` and ``times`` by state, ``seconds`` by activity, ``bytes`` and ``usage``.

        ``timestamps`` are ISO 8601 text in UTC, as IBM's are, with ``finished`` beside the daemon's names of states;
        ``times`` are the same as Unix seconds.
        ``usage["qpu_seconds"]`` is the time on the rack, None until the job has run.
        """
        info = self._asked()
        seconds = {name[8:]: value for name, value in info.times.items() if name.startswith("seconds.")}
        stamps = {name: value for name, value in info.times.items() if not name.startswith("seconds.")}
        start, end = info.times.get(JobState.RUNNING), info.times.get(JobState.DONE)
        on_rack = end - start if start is not None and end is not None else None
        times = {"created": info.created, **stamps}
        if info.state in info.times and info.state in FINAL_STATES:
            times["finished"] = info.times[info.state]
        return {
            "timestamps": {name: moment(value).isoformat() for name, value in times.items()},
            "times": times,
            "seconds": seconds,
            "bytes": dict(self._bytes),
            "usage": {"qpu_seconds": on_rack},
            "chunks": info.chunks,
            "attempts": info.attempts,
        }

    @asks_daemon
    def logs(self) -> str:
        """Return what the daemon wrote down about the job, a line per entry: its time, what happened, and details.

        It has the steps of the job, its chunks and its interruptions, who changed or cancelled it, and who tried to
        without the right.
        """
        lines = []
        for entry in self._client.job_log(self.job_id()):
            said = f"{entry.what}: {entry.detail}" if entry.detail else entry.what
            lines.append(f"{moment(entry.time).isoformat(timespec='milliseconds')} {said}\n")
        return "".join(lines)
