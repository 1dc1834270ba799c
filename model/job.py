"""A job: its states as one table, and what can be known about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pulsed.model.errors import ErrorInfo, IllegalStepError


class JobState(StrEnum):
    """Where a job is."""

    QUEUED = "queued"
    COMPILING = "compiling"
    READY = "ready"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """A worker or an instrument was lost; the job goes on by itself."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_STEPS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.COMPILING, JobState.CANCELLED, JobState.FAILED}),
    JobState.COMPILING: frozenset({JobState.READY, JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.READY: frozenset({JobState.RUNNING, JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.INTERRUPTED, JobState.CANCELLED, JobState.FAILED}),
    JobState.INTERRUPTED: frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""The legal steps. A final state has none."""

FINAL_STATES = frozenset(state for state, steps in JOB_STEPS.items() if not steps)


def check_step(job_id: str, old: JobState, new: JobState) -> None:
    """Raise :class:`IllegalStepError` unless the table has the step from ``old`` to ``new``."""
    if new not in JOB_STEPS[old]:
        legal = ", ".join(sorted(JOB_STEPS[old])) or "none, it has ended"
        raise IllegalStepError(f"cannot go from {old} to {new}", subject=f"job {job_id}", value=str(new), legal=legal)


class Spectrum(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the spectrum analyser shall show of a port while each program is played over and over."""

    port: str
    frequencies: tuple[float, ...]
    """Hz. Evenly spaced ones that are at most ``rbw`` apart are one sweep, else each is looked at alone."""
    rbw: float = 1e5
    """Resolution bandwidth, Hz: a pulse shorter than 1 / rbw shows less than its height."""


class RunOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a job asks for beside its circuits. Times in seconds, frequencies in hertz."""

    shots: int = 1024
    memory: bool = False
    meas_level: int = 2
    meas_return: str = "single"
    rep_delay: float | None = None
    init_qubits: bool = True
    qubit_lo_freq: tuple[float, ...] | None = None
    meas_lo_freq: tuple[float, ...] | None = None
    iq: bool = False
    """At level 2, the kerneled IQ beside the classified bits."""
    calibration_id: str | None = None
    """The set the circuits were transpiled against, and run with; None for the one in force."""
    dry_run: bool = False
    """Compile and check against the rack's limits, play nothing."""
    spectrum: Spectrum | None = None
    """What to look at; such a job measures nothing else, and its programs need no Acquire."""
    settings: dict[str, float] = {}
    """In place of the device description's, for this job: ``"oscillators.NAME.frequency"`` (Hz) and
    ``"oscillators.NAME.power"`` (dBm); in place of the calibrated one ``"ports.NAME.bias"`` (A). With 0 for
    ``"compensation.crosstalk"`` or ``"compensation.distortion"`` what is known of them is not undone."""


class Bindings(msgspec.Struct, frozen=True):
    """Values of a program's parameters, for each of which it is run: float64 (count, parameters) in a part."""

    program: int
    parameters: tuple[str, ...]
    count: int


class JobRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One submission. The programs travel as parts beside it (see ``kinds``)."""

    job_id: str
    kinds: tuple[str, ...]
    """Per part: ``"qpy"`` (one or more circuits), ``"schedule"`` (one pulse schedule), ``"gate"``
    (a pulse gate: a schedule that replaces ``gates[i]``, in the order of the parts), or ``"values"`` (of
    ``bindings[i]``, in the order of the parts)."""
    num_programs: int
    """How many results there will be: one per program, or per binding of it."""
    options: RunOptions = RunOptions()
    gates: tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...] = ()
    name: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0
    bindings: tuple[Bindings, ...] = ()


class JobInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the daemon tells about a job."""

    job_id: str
    backend: str
    state: JobState
    owner: str
    created: float
    """Unix time, seconds."""
    num_programs: int = 0
    options: RunOptions = RunOptions()
    name: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0
    calibration_id: str = ""
    """The set it ran with."""
    times: dict[str, float] = {}
    """Unix time of each step, by state, and seconds spent, by ``"seconds.WHAT"``."""
    queue_position: int | None = None
    chunks_done: int = 0
    chunks: int = 0
    attempts: int = 0
    error: ErrorInfo | None = None
