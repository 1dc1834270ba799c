"""Every message of the wire, as a tagged union of structs.

A message is a list of frames: the head, one of these structs as msgpack with its tag under ``type``, and the parts
(programs, arrays) as raw bytes. Requests carry an ``id`` that their one reply repeats; events carry a ``number``
that grows by one. A field that a side does not know is ignored; a tag that the daemon does not know gets an error.
"""

from __future__ import annotations

import msgspec

from pulsed.model.alerts import Alert
from pulsed.model.calibration import LogEntry, PastValue, Pruned, RunRecord
from pulsed.model.errors import ErrorInfo
from pulsed.model.interlock_status import InterlockStatus
from pulsed.model.job import JobInfo, JobRequest, JobState
from pulsed.model.queue import QueueControl
from pulsed.model.session import SessionInfo
from pulsed.wire.base import PROTOCOL, DaemonEvent, Reply, Request
from pulsed.wire.instrument_messages import InstrumentReply, UseInstrument
from pulsed.wire.interlock_messages import InterlocksReply, RearmInterlock
from pulsed.wire.job_messages import (
    ChunkReply,
    GetChunk,
    GetJobLog,
    GetSubmission,
    JobLogReply,
    SubmissionReply,
    UpdateJob,
)
from pulsed.wire.measurement_messages import (
    GetMeasurements,
    MeasurementChanged,
    MeasurementsReply,
    TellMeasurement,
)
from pulsed.wire.note_messages import AddNote, GetNotes, NoteAdded, NotesReply
from pulsed.wire.observation_messages import AlertsReply, GetAlerts, TestAlerts
from pulsed.wire.queue_messages import GetQueue, QueueReply, SetQueue
from pulsed.wire.rack_messages import GetRacks, RacksReply
from pulsed.wire.session_messages import (
    CloseSession,
    GetSession,
    GetSessions,
    OpenSession,
    SessionChanged,
    SessionReply,
    SessionsReply,
)


class Hello(Request, frozen=True, tag="hello"):
    """The first request of a connection. Answered by :class:`Greeting`."""

    protocol: int = PROTOCOL
    version: str = ""
    """Of the package on the client's side."""
    revision: int = 0
    """Of the client's side, see :data:`REVISION`."""


class Submit(Request, frozen=True, tag="submit"):
    """Run a job; its programs are the parts. Answered by :class:`JobReply` when the job is durable."""

    job: JobRequest
    backend: str | None = None


class GetJob(Request, frozen=True, tag="job"):
    """What is known of one job. Answered by :class:`JobReply`."""

    job_id: str
    """Or its beginning, where no other begins like that."""


class GetJobs(Request, frozen=True, tag="jobs"):
    """A page of the jobs that fit every filter given, the newest first. Answered by :class:`JobsReply`."""

    state: JobState | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    created_after: float | None = None
    created_before: float | None = None
    limit: int = 100
    skip: int = 0
    beyond: int | None = None
    """The ``key`` of the page before; None for the first."""
    session_id: str | None = None
    count: bool = False
    """Whether to say how many there are in all."""


class Cancel(Request, frozen=True, tag="cancel"):
    """Cancel a job. Answered by :class:`CancelReply`."""

    job_id: str


class GetResult(Request, frozen=True, tag="result"):
    """The result of a job. The reply comes when there is one: at once, or as soon as the job ends."""

    job_id: str
    chunks: bool = False
    """Whether the client asks for the chunks of a large result itself, see :class:`ResultReply`."""


class GetStatus(Request, frozen=True, tag="status"):
    """Answered by :class:`StatusReply`."""


class GetDevice(Request, frozen=True, tag="device"):
    """The device description of a backend. Answered by :class:`DeviceReply`."""

    backend: str | None = None
    revision: int = 0
    """Of the client's side: it gets no key that came later, see :mod:`pulsed.wire.revisions`."""


class GetCalibration(Request, frozen=True, tag="calibration"):
    """A calibration set: the one with this id or tag, or that was active at this Unix time; else the active one.

    Answered by :class:`CalibrationReply`.
    """

    calibration_id: str | None = None
    time: float | None = None
    tag: str | None = None


class PutCalibration(Request, frozen=True, tag="calibration.put"):
    """Store the set whose JSON is the only part; it does not become active. Answered by :class:`CalibrationReply`."""


class CommitCalibration(Request, frozen=True, tag="calibration.commit"):
    """Make a stored set the active one if ``expected`` is active. Answered by :class:`DoneReply`."""

    calibration_id: str
    expected: str
    why: str = ""


class TagCalibration(Request, frozen=True, tag="calibration.tag"):
    """Give a stored set a name; ``move`` takes it from the set that has it. Answered by :class:`DoneReply`."""

    calibration_id: str
    name: str
    move: bool = False


class GetCalibrationLog(Request, frozen=True, tag="calibration.log"):
    """The sets that became active, the newest first, or those that changed ``name``.

    Answered by :class:`CalibrationLogReply`.
    """

    limit: int = 100
    name: str | None = None


class GetValueHistory(Request, frozen=True, tag="calibration.history"):
    """The values that ``name`` has had, the newest first. Answered by :class:`ValueHistoryReply`."""

    name: str
    limit: int = 100


class PutRun(Request, frozen=True, tag="run.put"):
    """Keep the record of a measurement, in place of an older one with its id. Answered by :class:`DoneReply`."""

    run: RunRecord


class GetRuns(Request, frozen=True, tag="runs"):
    """The newest records of measurements first that fit every filter given. Answered by :class:`RunsReply`."""

    routine: str | None = None
    target: str | None = None
    limit: int = 100
    run_id: str | None = None
    """That one alone; daemons of revision 0 do not know it, and answer the newest."""


class Prune(Request, frozen=True, tag="prune"):
    """Forget records of measurements and calibration sets that are old and that nothing refers to."""

    before: float
    """Unix time, seconds."""
    dry: bool = False
    """Only say what that would be."""
    results_before: float | None = None
    """Delete programs and results of jobs from before this Unix time, too; those of revision 0 do not know it."""
    jobs_before: float | None = None
    """Forget jobs from before this Unix time, too."""


class Stop(Request, frozen=True, tag="stop"):
    """Stop the daemon. Answered by :class:`StopReply`, then it goes."""


class Greeting(Reply, frozen=True, tag="greeting"):
    """Who the daemon is and what the client may do here."""

    protocol: int
    version: str
    qpy: tuple[int, int]
    """Lowest and highest QPY version that this daemon reads."""
    backends: tuple[str, ...]
    user: str
    role: str
    notices: str
    """Endpoint of the events: ``"tcp://*:PORT"`` is the host of the requests at PORT."""
    number: int
    """Of the last event that was sent."""
    instance: str
    """Differs from start to start of the daemon."""
    max_payload: int
    """Bytes of one submission."""
    revision: int = 0
    """Of the daemon's side, see :data:`REVISION`."""
    server_next: str = ""
    """The public key that the daemon will have; empty when it keeps the one it has."""


class JobReply(Reply, frozen=True, tag="job.reply"):
    """One job."""

    job: JobInfo


class JobsReply(Reply, frozen=True, tag="jobs.reply"):
    """A page of jobs."""

    jobs: tuple[JobInfo, ...]
    key: int | None = None
    """What the next page goes on from; None when this is the last, and from revision 0, which knows none."""
    total: int | None = None
    """How many there are, if it was asked for."""


class CancelReply(Reply, frozen=True, tag="cancel.reply"):
    """Whether the cancellation took effect; False when the job had ended before."""

    cancelled: bool


class ResultReply(Reply, frozen=True, tag="result.reply"):
    """A result: its parts are those of :func:`pulsed.model.result.encode`.

    When the job has ``result_chunks`` the arrays do not follow: the parts after the first are the heads of so many
    chunks, each of which :class:`~pulsed.wire.job_messages.GetChunk` brings. To a client that did not ask for
    ``chunks`` the daemon sends all in one piece, or refuses what is too large for that.
    """

    job: JobInfo


class InstrumentStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One instrument: its identity when it is connected, else why not."""

    identity: str = ""
    error: ErrorInfo | None = None
    since: float = 0.0
    """Unix time, seconds, since which it is known to be this one, configured by this daemon without a break."""


class WorkerStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """One child process of the daemon."""

    state: str
    pid: int = 0
    restarts: int = 0
    confined: str = ""
    """What keeps it from keys, store and network, in words; empty for a process that needs them."""


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the daemon is."""

    backend: str
    version: str
    operational: bool
    """Whether the rack plays."""
    message: str = ""
    """Why not, in one sentence."""
    pending_jobs: int = 0
    running: str = ""
    """The job on the rack."""
    calibration_id: str = ""
    started: float = 0.0
    """Unix time, seconds."""
    instruments: dict[str, InstrumentStatus] = {}
    workers: dict[str, WorkerStatus] = {}
    faults: dict[str, str] = {}
    """Qubits and pairs that are not used, with the reason."""
    session: SessionInfo | None = None
    """The session that holds the rack."""
    alerts: tuple[Alert, ...] = ()
    """What needs a person."""
    calibration_nodes: dict[str, int] = {}
    """How many nodes of the calibration graph are fresh, stale, ..., as of ``calibration_looked``."""
    calibration_looked: float = 0.0
    """Unix time, seconds; 0 before the first look."""
    metrics: str = ""
    """Where Prometheus finds the daemon's figures; empty when nowhere."""
    queue: QueueControl = QueueControl()
    """The mode of the queue, and why."""
    interlocks: tuple[InterlockStatus, ...] = ()
    """What keeps the rack safe, and whether it has to."""


class StatusReply(Reply, frozen=True, tag="status.reply"):
    """How the daemon is."""

    status: Status


class DeviceReply(Reply, frozen=True, tag="device.reply"):
    """The device description as JSON is the only part."""

    calibration_id: str
    """The active set."""


class CalibrationReply(Reply, frozen=True, tag="calibration.reply"):
    """A calibration set; as JSON it is the only part of the answer to :class:`GetCalibration`."""

    calibration_id: str


class CalibrationLogReply(Reply, frozen=True, tag="calibration.log.reply"):
    """Sets that became active."""

    entries: tuple[LogEntry, ...]


class ValueHistoryReply(Reply, frozen=True, tag="calibration.history.reply"):
    """Values of the past."""

    values: tuple[PastValue, ...]


class RunsReply(Reply, frozen=True, tag="runs.reply"):
    """Some records."""

    runs: tuple[RunRecord, ...]


class PruneReply(Reply, frozen=True, tag="prune.reply"):
    """What is forgotten."""

    pruned: Pruned


class DoneReply(Reply, frozen=True, tag="done.reply"):
    """What was asked is done, and durable."""


class StopReply(Reply, frozen=True, tag="stop.reply"):
    """The daemon goes."""


class ErrorReply(Reply, frozen=True, tag="error"):
    """Why a request was not done. ``id`` is 0 when the request could not be read."""

    error: ErrorInfo


class JobChanged(DaemonEvent, frozen=True, tag="job.changed"):
    """A job took a step."""

    job: JobInfo


class Progress(DaemonEvent, frozen=True, tag="progress"):
    """How far the chunk on the rack is."""

    job_id: str
    chunk: int
    chunks: int
    what: str = ""
    """``"upload"``, ``"play"``, ..."""
    fraction: float = 0.0


class CalibrationChanged(DaemonEvent, frozen=True, tag="calibration.changed"):
    """Another calibration set is active."""

    calibration_id: str


class StatusChanged(DaemonEvent, frozen=True, tag="status.changed"):
    """The rack or a worker came or went.

    It is also sent when nothing was for some seconds, so that a lost event shows as a gap soon.
    """

    status: Status


AnyRequest = (
    Hello | Submit | GetJob | GetJobs | Cancel | GetResult | GetStatus | GetDevice | GetCalibration | PutCalibration
    | CommitCalibration | TagCalibration | GetCalibrationLog | GetValueHistory | PutRun | GetRuns | Prune
    | UpdateJob | GetSubmission | GetJobLog | GetChunk | OpenSession | CloseSession | GetSession | GetSessions
    | GetRacks | GetAlerts | TestAlerts | UseInstrument | GetQueue | SetQueue | RearmInterlock
    | AddNote | GetNotes | TellMeasurement | GetMeasurements | Stop
)  # fmt: skip
AnyReply = (
    Greeting | JobReply | JobsReply | CancelReply | ResultReply | StatusReply | DeviceReply | CalibrationReply
    | CalibrationLogReply | ValueHistoryReply | RunsReply | PruneReply | DoneReply | SubmissionReply | JobLogReply
    | ChunkReply | SessionReply | SessionsReply | RacksReply | AlertsReply | InstrumentReply | QueueReply
    | InterlocksReply | NotesReply | MeasurementsReply | StopReply | ErrorReply
)  # fmt: skip
AnyEvent = JobChanged | Progress | CalibrationChanged | StatusChanged | SessionChanged | NoteAdded | MeasurementChanged
