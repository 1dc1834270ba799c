"""Who may do what: roles and the one table of rights."""

from __future__ import annotations

from enum import IntEnum

from pulsed.model.errors import InvalidValueError, NotAllowedError
from pulsed.model.job import RunOptions
from pulsed.wire.instrument_messages import UseInstrument
from pulsed.wire.interlock_messages import RearmInterlock
from pulsed.wire.job_messages import GetChunk, GetJobLog, GetSubmission, UpdateJob
from pulsed.wire.measurement_messages import GetMeasurements, TellMeasurement
from pulsed.wire.messages import (
    AnyRequest,
    Cancel,
    CommitCalibration,
    GetCalibration,
    GetCalibrationLog,
    GetDevice,
    GetJob,
    GetJobs,
    GetResult,
    GetRuns,
    GetStatus,
    GetValueHistory,
    Hello,
    Prune,
    PutCalibration,
    PutRun,
    Stop,
    Submit,
    TagCalibration,
)
from pulsed.wire.note_messages import AddNote, GetNotes
from pulsed.wire.observation_messages import GetAlerts, TestAlerts
from pulsed.wire.queue_messages import GetQueue, SetQueue
from pulsed.wire.rack_messages import GetRacks
from pulsed.wire.session_messages import CloseSession, GetSession, GetSessions, OpenSession


class Role(IntEnum):
    """Each role may do all that the ones before it may."""

    VIEWER = 0
    EXPERIMENTER = 1
    OPERATOR = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower()


RIGHTS: dict[type[AnyRequest], Role] = {
    Hello: Role.VIEWER,
    GetStatus: Role.VIEWER,
    GetDevice: Role.VIEWER,
    GetCalibration: Role.VIEWER,
    GetCalibrationLog: Role.VIEWER,
    GetValueHistory: Role.VIEWER,
    GetRuns: Role.VIEWER,
    GetJob: Role.VIEWER,
    GetJobs: Role.VIEWER,
    GetJobLog: Role.VIEWER,
    GetSession: Role.VIEWER,
    GetSessions: Role.VIEWER,
    GetAlerts: Role.VIEWER,
    GetRacks: Role.VIEWER,
    GetQueue: Role.VIEWER,
    GetNotes: Role.VIEWER,
    GetMeasurements: Role.VIEWER,
    Submit: Role.EXPERIMENTER,
    Cancel: Role.EXPERIMENTER,
    GetResult: Role.EXPERIMENTER,
    GetSubmission: Role.EXPERIMENTER,
    GetChunk: Role.EXPERIMENTER,
    UpdateJob: Role.EXPERIMENTER,
    OpenSession: Role.EXPERIMENTER,
    CloseSession: Role.EXPERIMENTER,
    UseInstrument: Role.EXPERIMENTER,
    AddNote: Role.EXPERIMENTER,
    TellMeasurement: Role.EXPERIMENTER,
    SetQueue: Role.OPERATOR,
    RearmInterlock: Role.OPERATOR,
    PutCalibration: Role.OPERATOR,
    CommitCalibration: Role.OPERATOR,
    TagCalibration: Role.OPERATOR,
    PutRun: Role.OPERATOR,
    TestAlerts: Role.OPERATOR,
    Prune: Role.ADMIN,
    Stop: Role.ADMIN,
}
"""The lowest role that may send each request."""

READS: frozenset[type[AnyRequest]] = frozenset({
    Hello, GetStatus, GetDevice, GetCalibration, GetCalibrationLog, GetValueHistory, GetRuns, GetJob, GetJobs,
    GetJobLog, GetSession, GetSessions, GetResult, GetSubmission, GetChunk, GetAlerts, GetRacks,
    GetQueue, GetNotes, GetMeasurements, TellMeasurement,
})  # fmt: skip
"""Requests that change nothing. All others are written into the audit log."""

OTHERS_JOBS = Role.OPERATOR
"""The lowest role that may end the sessions of others, cancel and rename their jobs, and read what is in these."""

SETTINGS = Role.OPERATOR
"""The lowest role whose jobs may change the settings of instruments."""


def parse_role(name: str) -> Role:
    """Return the role called ``name``. Raises :class:`InvalidValueError`."""
    try:
        return Role[name.upper()]
    except KeyError:
        raise InvalidValueError("no such role", subject="role", value=name, legal=", ".join(map(str, Role))) from None


def changes_nothing(request: AnyRequest) -> bool:
    """Whether a request only asks."""
    return type(request) in READS or (isinstance(request, UseInstrument) and not request.settings)


def check_right(request: AnyRequest, user: str, role: Role) -> None:
    """Raise :class:`NotAllowedError` unless ``role`` may send ``request``."""
    least = RIGHTS[type(request)]
    if role < least:
        what = type(request).__struct_config__.tag
        raise NotAllowedError(
            f"the role {role} may not do this", subject=f"key {user}", value=str(what), legal=f"from {least} on"
        )


def check_options_right(options: RunOptions, user: str, role: Role) -> None:
    """Raise :class:`NotAllowedError` unless ``role`` may run a job with ``options``."""
    if options.settings and role < SETTINGS:
        raise NotAllowedError(
            f"the role {role} may not change the settings of instruments", subject=f"key {user}",
            value=", ".join(options.settings), legal=f"from {SETTINGS} on",
        )  # fmt: skip


def check_owner(job_id: str, owner: str, user: str, role: Role, what: str = "job") -> None:
    """Raise :class:`NotAllowedError` unless the job is the user's own or the role may touch those of others.

    The same holds for another ``what`` with this id.
    """
    if owner != user and role < OTHERS_JOBS:
        raise NotAllowedError(
            f"the {what} belongs to {owner}", subject=f"{what} {job_id}", value=f"{user} ({role})",
            legal=f"{owner}, or from {OTHERS_JOBS} on",
        )  # fmt: skip
