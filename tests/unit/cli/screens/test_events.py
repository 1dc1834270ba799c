"""Lines of what a daemon tells: one for each thing that is news, none for what is as before."""

from msgspec.structs import replace

from pulsed.cli.screens.events import KINDS, EventLines
from pulsed.model.alerts import Alert, AlertState
from pulsed.model.errors import ErrorInfo
from pulsed.model.job import JobInfo, JobState
from pulsed.wire import messages
from pulsed.wire.messages import (
    AnyEvent,
    CalibrationChanged,
    InstrumentStatus,
    JobChanged,
    Progress,
    Status,
    StatusChanged,
    WorkerStatus,
)

LOST = ErrorInfo("instrument_unreachable", "no connection", "instrument awg1")
STATUS = Status(
    "sim5", "0.2.0", True, instruments={"awg1": InstrumentStatus("a,b,c,d")}, workers={"rack": WorkerStatus("up")}
)
DISK = Alert("disk_low", "disk", AlertState.FIRING, "3 MiB are free", "sim5", 1.0, 1.0)


def said(*events, status=STATUS):
    lines = EventLines(status)
    return [line.plain[10:] for event in events for line in lines.lines(event, 0.0)]


def test_every_kind_of_event_has_a_name():
    assert set(KINDS.values()) == set(AnyEvent.__args__)
    assert messages.AnyEvent is AnyEvent


def test_a_job_says_its_state_its_owner_and_its_error():
    job = JobInfo("0123456789abcdef", "sim5", JobState.RUNNING, "ada", 1.0, name="bell", chunks=3, chunks_done=1)
    failed = replace(job, state=JobState.FAILED, error=ErrorInfo("x", "too long", "circuit c"))
    assert said(JobChanged(0, job), JobChanged(0, failed), Progress(0, job.job_id, 0, 3, "upload", 0.5)) == [
        "job         01234567  running  ada  bell  plays, 1 of 3 chunks done",
        "job         01234567  failed  ada  bell  circuit c: too long",
        "progress    01234567  upload 50% of chunk 1 of 3",
    ]


def test_of_the_status_only_what_is_new_is_said():
    gone = {"instruments": {"awg1": InstrumentStatus(error=LOST)}, "workers": {"rack": WorkerStatus("down")}}
    down = replace(STATUS, operational=False, message="awg1: no connection", alerts=(DISK,), **gone)
    events = [StatusChanged(0, status) for status in (STATUS, down, down, STATUS)]
    assert said(*events) == [
        "status      not operational: awg1: no connection",
        "instrument  awg1: instrument awg1: no connection",
        "process     rack is down",
        "alert       3 MiB are free",
        "status      operational",
        "instrument  awg1 is connected",
        "process     rack is up",
        "alert       over: 3 MiB are free",
    ]


def test_a_set_that_becomes_active_is_said():
    assert said(CalibrationChanged(0, "abcd")) == ["calibration set abcd is active"]
