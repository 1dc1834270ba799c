"""A job: its states as one table, and what can be known about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from pulsed.model.errors import ErrorInfo, IllegalStepError
from pulsed.model.option_readers import (
    FLAG,
    ChoiceReader,
    FrequenciesReader,
    IntegerReader,
    OptionReader,
    SecondsReader,
    SettingsReader,
    SpectrumReader,
    UnreadReader,
)


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


class Spectrum(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the spectrum analyser shall show of a port while each program is played over and over."""

    port: str
    frequencies: tuple[float, ...]
    """Hz. Evenly spaced ones that are at most ``rbw`` apart are one sweep, else each is looked at alone."""
    rbw: float = 1e5
    """Resolution bandwidth, Hz: a pulse shorter than 1 / rbw shows less than its height."""


class Option(msgspec.Struct, frozen=True):
    """What is known of one option of a run beside its name, type and default."""

    reader: OptionReader
    """Reads and bounds its value, at both ends."""
    help: str
    """What it does, for the documentation."""
    of: Literal["backend", "run", "routine"] = "backend"
    """Whether it is an option of a backend, a keyword of one call of ``run``, or asked for by routines alone."""


class RunOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job asks for beside its circuits. Times in seconds, frequencies in hertz.

    Each field is a row of :mod:`pulsed.model.run_options`; it travels as it is.
    """

    shots: Annotated[
        int,
        Option(IntegerReader(1, 2**31 - 1, "max_shots"), "Shots of each program; `limits.default_shots` unless given."),
    ] = 1024
    memory: Annotated[bool, Option(FLAG, "The bits of every shot beside the counts.")] = False
    meas_level: Annotated[
        int,
        Option(
            IntegerReader(0, 2),
            "2: bits; 1: a point in the IQ plane for each readout, in millionths of full scale (`get_memory`); "
            "0: the digitizer's records.",
        ),
    ] = 2
    meas_return: Annotated[
        str, Option(ChoiceReader(("single", "avg")), "At levels 0 and 1, each shot or the average over them.")
    ] = "single"
    rep_delay: Annotated[
        float | None,
        Option(
            SecondsReader("rep_delay_min", "rep_delay_max"),
            "Time from the end of a program to the next shot; None is `limits.rep_delay`.",
        ),
    ] = None
    init_qubits: Annotated[
        bool,
        Option(FLAG, "However short `rep_delay`, before each shot at least the rack's own, after which qubits rest."),
    ] = False
    qubit_lo_freq: Annotated[
        tuple[float, ...] | None,
        Option(FrequenciesReader("drive"), "Frequencies of the drive channels; None is the calibrated ones."),
    ] = None
    meas_lo_freq: Annotated[
        tuple[float, ...] | None,
        Option(FrequenciesReader("readout"), "Frequencies of the measure channels; None is the calibrated ones."),
    ] = None
    iq: Annotated[bool, Option(FLAG, "At level 2, the kerneled IQ beside the classified bits.")] = False
    calibration_id: Annotated[
        str | None,
        Option(
            UnreadReader("the id of a set that the daemon has, or None"),
            "The calibration set the circuits were transpiled against, and run with; None is that of the backend.",
            "run",
        ),
    ] = None
    dry_run: Annotated[bool, Option(FLAG, "Compile and check against the rack's limits, play nothing.")] = False
    confirm_rack_time: Annotated[
        bool, Option(FLAG, "Play it although it takes longer than the rack's `limits.rack_time`.")
    ] = False
    spectrum: Annotated[
        Spectrum | None,
        Option(
            SpectrumReader(),
            "What the spectrum analyser looks at; such a job measures nothing else, its programs need no Acquire.",
            "routine",
        ),
    ] = None
    settings: Annotated[
        dict[str, float],
        Option(
            SettingsReader(),
            "In place of the device description's, or of the calibrated bias, for this job; with 0 for "
            "`compensation.crosstalk` or `compensation.distortion` what is known of them is not undone.",
        ),
    ] = {}


class Bindings(msgspec.Struct, frozen=True):
    """Values of a program's parameters, for each of which it is run: float64 (count, parameters) in a part."""

    program: int
    parameters: tuple[str, ...]
    count: int


CALIBRATION_TAG = "calibration"
"""Of jobs that a routine, a scan, a self-test or a maintenance pass hands in."""


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
    session_id: str = ""
    """The open session or batch that it belongs to, if any."""
    due: float | None = None
    """Unix time, seconds, at which it should be done; none within a session or batch."""


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
    session_id: str = ""
    """The session or batch that it was handed in with."""
    calibration_id: str = ""
    """The set it ran with."""
    times: dict[str, float] = {}
    """Unix time of each step, by state, and seconds spent, by ``"seconds.WHAT"``."""
    queue_position: int | None = None
    """Of a job that waits, how many jobs are before it, that on the rack among them."""
    waits_for: str = ""
    """The session that holds the rack, of a job that has to wait for its end."""
    starts: float | None = None
    """Of a job that waits, when it may be expected to start, if it was asked for alone."""
    ends: float | None = None
    """And to end."""
    chunks_done: int = 0
    pruned: float | None = None
    """When what was submitted and brought back was deleted (Unix time); None when it is there."""
    result_chunks: int = 0
    """Chunks that the result is kept and sent in, one by one; 0 when it is in one piece."""
    chunks: int = 0
    attempts: int = 0
    """How often it was started on the rack."""
    stops: int = 0
    """Starts that a stop of the daemon in good order cut short."""
    error: ErrorInfo | None = None
    due: float | None = None
    """Unix time, seconds, at which it should be done."""


class JobLogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the daemon wrote down about a job at one moment."""

    time: float
    """Unix time, seconds."""
    what: str
    """A state, ``"chunk"`` for one that was played, ``"changed"`` or ``"refused"`` for what was asked of the job."""
    detail: str = ""


class PrunedJobs(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much was forgotten."""

    jobs: int = 0
    """Jobs, with all that is known of them."""
    results: int = 0
    """Jobs that are still listed, and whose programs and results are gone."""
    bytes: int = 0
    """Of programs and results."""

    def __add__(self, other: PrunedJobs) -> PrunedJobs:
        return PrunedJobs(self.jobs + other.jobs, self.results + other.results, self.bytes + other.bytes)
