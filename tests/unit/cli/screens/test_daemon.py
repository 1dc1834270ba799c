"""What the terminal shows of the daemon: its state, its alerts, its calibration."""

import pytest
from rich.console import Console

from pulsed.cli.screens.alerts import alerts_screen
from pulsed.cli.screens.daemon import identity, status_screen
from pulsed.model.alerts import Alert, AlertState, Receiver
from pulsed.model.errors import ErrorInfo
from pulsed.wire.messages import InstrumentStatus, Status, WorkerStatus
from pulsed.wire.observation_messages import AlertsReply

DISK = Alert("disk_low", "disk", AlertState.FIRING, "3 MiB are free", "sim5", 100.0, 100.0)


def shown(renderable, width=100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(renderable)
        return console.export_text()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("pulsed,AWG8,AWG8-0001,1.0", "pulsed AWG8, serial AWG8-0001, firmware 1.0"),
        ("Rohde&Schwarz,SGS100A,,", "Rohde&Schwarz SGS100A"),
        ("odd", "odd"),
    ],
)
def test_an_identity_is_readable(answer, text):
    assert identity(answer) == text


def test_status_names_what_is_there_and_what_is_not():
    status = Status(
        "sim5", "0.1.0", operational=False, message="awg2 does not answer", pending_jobs=3, calibration_id="abcd",
        started=100.0,
        instruments={
            "awg1": InstrumentStatus("pulsed,AWG8,7,1"),
            "awg2": InstrumentStatus(error=ErrorInfo("x", "gone")),
            "lo1": InstrumentStatus(error=ErrorInfo("x", "another one", "instrument lo1", "R&S,SGS,8", "R&S,SGS,9")),
        },
        workers={"rack": WorkerStatus("up", 42, 1)}, faults={"Q3": "line open"},
    )  # fmt: skip
    text = shown(status_screen(status, now=3700.0))
    for part in ("sim5", "not operational", "up 1 h 0 min", "awg2 does not answer", "jobs waiting 3", "abcd",
                 "Q3 is faulty: line open",
                 "serial 7", "absent", "gone", "42", "another one", "got R&S,SGS,8", "legal: R&S,SGS,9"):  # fmt: skip
        assert part in text


def test_the_calibration_is_one_line_with_what_needs_doing():
    def line(**nodes):
        status = Status("sim5", "0.2.0", True, calibration_id="abcd", calibration_nodes=nodes, calibration_looked=40.0)
        return next(row for row in shown(status_screen(status, 100.0)).splitlines() if "abcd" in row).strip()

    assert line(fresh=90, unused=3) == "calibration set abcd: 90 of 90 nodes fresh (60 s ago)"
    assert line(fresh=1, stale=2, never=3, failed=4, faulty=5) == (
        "calibration set abcd: 1 of 15 nodes fresh, 2 stale, 3 never measured, 4 failed, 5 faulty (60 s ago)"
    )
    unknown = shown(status_screen(Status("sim5", "0.2.0", True, calibration_id="abcd"), 100.0))
    assert "abcd: not looked at yet" in unknown


@pytest.mark.parametrize("width", [80, 120])
def test_the_status_has_each_alert_once(width):
    faulty = Alert("drift", "Q3", AlertState.FIRING, "Q3 is faulty: line open", "sim5", 50.0, 50.0)
    status = Status("sim5", "0.2.0", True, faults={"Q3": "line open"}, alerts=(DISK, faulty))
    text = shown(status_screen(status, 400.0), width)
    assert "! 3 MiB are free  for 5 min" in text
    assert text.count("Q3 is faulty") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_alerts_say_who_is_told_and_whether_it_works(width):
    receivers = (Receiver("webhook chat.example.org", 3), Receiver("mail a@lab", 0, 2, 1, "refused"), Receiver("x"))
    text = shown(alerts_screen(AlertsReply(1, (DISK,), receivers), 160.0), width)
    for part in ("! 3 MiB are free  for 60 s", "chat.example.org", "works", "fails", "refused", "not tried"):
        assert part in text
    nobody = shown(alerts_screen(AlertsReply(1, (), ()), 0.0), width)
    assert "nothing needs anybody" in nobody
    assert "nobody is told" in nobody
