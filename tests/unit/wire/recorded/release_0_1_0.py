"""The structs of the wire and the keys of the device description as version 0.1.0 had them.

Written by record.py; nobody edits it.
"""

# ruff: noqa
from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

VERSION = "0.1.0"


class ErrorInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    subject: str = ""
    value: str = ""
    legal: str = ""


class JobState(StrEnum):
    QUEUED = "queued"
    COMPILING = "compiling"
    READY = "ready"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Spectrum(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    port: str
    frequencies: tuple[float, ...]
    rbw: float = 100000.0


class RunOptions(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    shots: int = 1024
    memory: bool = False
    meas_level: int = 2
    meas_return: str = "single"
    rep_delay: float | None = None
    init_qubits: bool = True
    qubit_lo_freq: tuple[float, ...] | None = None
    meas_lo_freq: tuple[float, ...] | None = None
    iq: bool = False
    calibration_id: str | None = None
    dry_run: bool = False
    spectrum: Spectrum | None = None
    settings: dict[str, float] = {}


class Bindings(msgspec.Struct, frozen=True):
    program: int
    parameters: tuple[str, ...]
    count: int


class JobRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    job_id: str
    kinds: tuple[str, ...]
    num_programs: int
    options: RunOptions = RunOptions()
    gates: tuple[tuple[str, tuple[int, ...], tuple[float, ...]], ...] = ()
    name: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0
    bindings: tuple[Bindings, ...] = ()


class JobInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    job_id: str
    backend: str
    state: JobState
    owner: str
    created: float
    num_programs: int = 0
    options: RunOptions = RunOptions()
    name: str = ""
    tags: tuple[str, ...] = ()
    priority: int = 0
    calibration_id: str = ""
    times: dict[str, float] = {}
    queue_position: int | None = None
    chunks_done: int = 0
    chunks: int = 0
    attempts: int = 0
    error: ErrorInfo | None = None


Number = float | tuple[float, ...]


class Value(msgspec.Struct, frozen=True):
    value: Number
    unit: str = ""
    stderr: float | None = None
    time: str = ""
    routine: str = ""
    run_id: str = ""
    quality: str = "good"


class Fault(msgspec.Struct, frozen=True):
    why: str
    time: str = ""
    by: str = ""


class CalibrationSet(msgspec.Struct, frozen=True, dict=True):
    device: str
    values: dict[str, Value]
    created: str
    parent: str | None = None
    cooldown: str = ""
    format: int = 1
    faults: dict[str, Fault] = {}


RunKind = Literal["calibrate", "check", "scan"]


RunOutcome = Literal["good", "out of spec", "bad data", "failed", "stopped"]


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    run_id: str
    routine: str
    target: str
    kind: RunKind
    outcome: RunOutcome
    started: float
    ended: float
    reason: str = ""
    before: str = ""
    after: str = ""
    file: str = ""
    values: dict[str, Value] = {}
    by: str = ""


class Pruned(msgspec.Struct, frozen=True):
    runs: int
    sets: int
    files: tuple[str, ...] = ()


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    calibration_id: str
    since: float
    by: str = ""
    why: str = ""
    changed: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class PastValue(NamedTuple):
    since: float
    value: Value
    calibration_id: str


class ArrayRef(msgspec.Struct, frozen=True, array_like=True):
    part: int
    shape: tuple[int, ...]
    dtype: str | tuple[tuple[str, str], ...]
    offset: int = 0


class ProgramResult(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    shots: int
    meas_level: int
    meas_return: str
    memory_slots: int
    creg_sizes: tuple[tuple[str, int], ...] = ()
    metadata: bytes = b"{}"
    bits: ArrayRef | None = None
    levels: ArrayRef | None = None
    iq: ArrayRef | None = None
    records: ArrayRef | None = None
    spectrum: ArrayRef | None = None
    overrange: bool = False


class JobResult(msgspec.Struct, frozen=True, omit_defaults=True):
    job_id: str
    backend: str
    backend_version: str
    calibration_id: str
    programs: tuple[ProgramResult, ...]
    times: dict[str, float] = {}
    instruments: dict[str, str] = {}


PROTOCOL = 1


class Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    pass


class Request(Message, frozen=True):
    id: int


class Hello(Request, frozen=True, tag="hello"):
    protocol: int = PROTOCOL
    version: str = ""


class Submit(Request, frozen=True, tag="submit"):
    job: JobRequest
    backend: str | None = None


class GetJob(Request, frozen=True, tag="job"):
    job_id: str


class GetJobs(Request, frozen=True, tag="jobs"):
    state: JobState | None = None
    owner: str | None = None
    tags: tuple[str, ...] = ()
    created_after: float | None = None
    created_before: float | None = None
    limit: int = 100
    skip: int = 0


class Cancel(Request, frozen=True, tag="cancel"):
    job_id: str


class GetResult(Request, frozen=True, tag="result"):
    job_id: str


class GetStatus(Request, frozen=True, tag="status"):
    pass


class GetDevice(Request, frozen=True, tag="device"):
    backend: str | None = None


class GetCalibration(Request, frozen=True, tag="calibration"):
    calibration_id: str | None = None
    time: float | None = None
    tag: str | None = None


class PutCalibration(Request, frozen=True, tag="calibration.put"):
    pass


class CommitCalibration(Request, frozen=True, tag="calibration.commit"):
    calibration_id: str
    expected: str
    why: str = ""


class TagCalibration(Request, frozen=True, tag="calibration.tag"):
    calibration_id: str
    name: str
    move: bool = False


class GetCalibrationLog(Request, frozen=True, tag="calibration.log"):
    limit: int = 100
    name: str | None = None


class GetValueHistory(Request, frozen=True, tag="calibration.history"):
    name: str
    limit: int = 100


class PutRun(Request, frozen=True, tag="run.put"):
    run: RunRecord


class GetRuns(Request, frozen=True, tag="runs"):
    routine: str | None = None
    target: str | None = None
    limit: int = 100


class Prune(Request, frozen=True, tag="prune"):
    before: float
    dry: bool = False


class Stop(Request, frozen=True, tag="stop"):
    pass


class Reply(Message, frozen=True):
    id: int


class Greeting(Reply, frozen=True, tag="greeting"):
    protocol: int
    version: str
    qpy: tuple[int, int]
    backends: tuple[str, ...]
    user: str
    role: str
    notices: str
    number: int
    instance: str
    max_payload: int


class JobReply(Reply, frozen=True, tag="job.reply"):
    job: JobInfo


class JobsReply(Reply, frozen=True, tag="jobs.reply"):
    jobs: tuple[JobInfo, ...]


class CancelReply(Reply, frozen=True, tag="cancel.reply"):
    cancelled: bool


class ResultReply(Reply, frozen=True, tag="result.reply"):
    job: JobInfo


class InstrumentStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    identity: str = ""
    error: ErrorInfo | None = None
    since: float = 0.0


class WorkerStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    state: str
    pid: int = 0
    restarts: int = 0


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    backend: str
    version: str
    operational: bool
    message: str = ""
    pending_jobs: int = 0
    running: str = ""
    calibration_id: str = ""
    started: float = 0.0
    instruments: dict[str, InstrumentStatus] = {}
    workers: dict[str, WorkerStatus] = {}
    faults: dict[str, str] = {}


class StatusReply(Reply, frozen=True, tag="status.reply"):
    status: Status


class DeviceReply(Reply, frozen=True, tag="device.reply"):
    calibration_id: str


class CalibrationReply(Reply, frozen=True, tag="calibration.reply"):
    calibration_id: str


class CalibrationLogReply(Reply, frozen=True, tag="calibration.log.reply"):
    entries: tuple[LogEntry, ...]


class ValueHistoryReply(Reply, frozen=True, tag="calibration.history.reply"):
    values: tuple[PastValue, ...]


class RunsReply(Reply, frozen=True, tag="runs.reply"):
    runs: tuple[RunRecord, ...]


class PruneReply(Reply, frozen=True, tag="prune.reply"):
    pruned: Pruned


class DoneReply(Reply, frozen=True, tag="done.reply"):
    pass


class StopReply(Reply, frozen=True, tag="stop.reply"):
    pass


class ErrorReply(Reply, frozen=True, tag="error"):
    error: ErrorInfo


class Notice(Message, frozen=True):
    number: int


class JobChanged(Notice, frozen=True, tag="job.changed"):
    job: JobInfo


class Progress(Notice, frozen=True, tag="progress"):
    job_id: str
    chunk: int
    chunks: int
    what: str = ""
    fraction: float = 0.0


class CalibrationChanged(Notice, frozen=True, tag="calibration.changed"):
    calibration_id: str


class StatusChanged(Notice, frozen=True, tag="status.changed"):
    status: Status


AnyRequest = (
    Hello
    | Submit
    | GetJob
    | GetJobs
    | Cancel
    | GetResult
    | GetStatus
    | GetDevice
    | GetCalibration
    | PutCalibration
    | CommitCalibration
    | TagCalibration
    | GetCalibrationLog
    | GetValueHistory
    | PutRun
    | GetRuns
    | Prune
    | Stop
)


AnyReply = (
    Greeting
    | JobReply
    | JobsReply
    | CancelReply
    | ResultReply
    | StatusReply
    | DeviceReply
    | CalibrationReply
    | CalibrationLogReply
    | ValueHistoryReply
    | RunsReply
    | PruneReply
    | DoneReply
    | StopReply
    | ErrorReply
)


AnyNotice = JobChanged | Progress | CalibrationChanged | StatusChanged

DEVICE_KEYS = {
    "calibration": None,
    "couplings": {"*": {"control": None, "flux": None, "target": None}},
    "description": None,
    "dt": None,
    "instruments": {
        "*": {
            "address": None,
            "driver": None,
            "event_memory": None,
            "identity": {"model": None, "serial": None, "vendor": None},
            "options": None,
            "raw_only": None,
            "record_memory": None,
            "trigger": None,
            "waveform_memory": None,
        }
    },
    "limits": {
        "compile_seconds": None,
        "default_shots": None,
        "job_seconds": None,
        "max_circuits": None,
        "max_payload": None,
        "max_shots": None,
        "rep_delay": None,
        "rep_delay_max": None,
        "rep_delay_min": None,
    },
    "maintenance": {"every": None, "idle": None, "limit": None},
    "meas_map": None,
    "name": None,
    "online_date": None,
    "oscillators": {"*": {"frequency": None, "instrument": None, "power": None}},
    "ports": {
        "*": {
            "attenuation": None,
            "bandwidth": None,
            "bias": {"instrument": None, "level": None, "range": None},
            "clock": None,
            "delay": None,
            "direction": None,
            "full_scale": None,
            "granularity": None,
            "instrument": None,
            "lo": None,
            "max_length": None,
            "min_length": None,
            "nco": None,
            "oscillators": None,
            "pair": None,
        }
    },
    "qubits": {
        "*": {
            "acquire": None,
            "design_anharmonicity": None,
            "design_frequency": None,
            "design_readout_frequency": None,
            "drive": None,
            "readout": None,
        }
    },
    "sample_name": None,
    "simulator": None,
    "timing": {
        "acquire_alignment": None,
        "feedback_latency": None,
        "granularity": None,
        "min_length": None,
        "pulse_alignment": None,
    },
    "version": None,
}
