"""`pulsed doctor` without a daemon: each thing that can be wrong is found, and what to do about it is said."""

import json
import os
import shutil
import socket
import sqlite3

import msgspec
import pytest
from rich.console import Console

from pulsed.cli import configs
from pulsed.cli.doctor.examination import examine
from pulsed.cli.doctor.rack_checks import (
    check_alerts,
    check_calibration,
    check_instruments,
    check_interlocks,
    check_operation,
)
from pulsed.cli.main import invoke
from pulsed.cli.screens.doctor import Verdict, doctor_screen, good, note, problem
from pulsed.client.home import RunningDaemon
from pulsed.client.keys import make_keys
from pulsed.model.alerts import Alert, AlertState, Receiver
from pulsed.model.errors import ErrorInfo
from pulsed.model.interlock_status import InterlockState, InterlockStatus
from pulsed.store.store import Store
from pulsed.wire.base import REVISION
from pulsed.wire.messages import Greeting, InstrumentStatus, Status, WorkerStatus
from pulsed.wire.observation_messages import AlertsReply

SIM5 = configs.shipped()["sim5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home as a daemon leaves it that was stopped."""
    home = tmp_path_factory.mktemp("made")
    make_keys(home)
    store = Store(f"sqlite:///{home / 'pulsed.sqlite'}", "sim5")
    store.open(1.0, "test")
    store.close()
    (home / "daemon.lock").touch()
    return home


@pytest.fixture
def home(made, tmp_path):
    return shutil.copytree(made, tmp_path / "home", symlinks=True)


def findings(home, config="sim5"):
    return {one.subject: one for one in examine(str(config), home, None, None)}


def test_a_home_in_order_has_one_problem_that_no_daemon_runs(home):
    found = findings(home)
    assert [one.subject for one in found.values() if one.verdict is Verdict.PROBLEM] == ["daemon"]
    assert found["daemon"].advice == "start one: `pulsed serve`"
    assert "0 jobs" in found["store"].message
    assert "each closed to others" in found["keys"].message


KILLED = RunningDaemon("tcp://127.0.0.1:1", 2**22 - 1, "sim5", "0.2.0", 1e9)
BREAKS = {
    "home": lambda home: home.chmod(0o777),
    "keys": lambda home: (home / "clients" / "local.key").chmod(0o644),
    "server key": lambda home: (home / "server.key").unlink(),
    "broken key": lambda home: (home / "clients" / "bob.key").write_text("{"),
    "empty store": lambda home: (home / "pulsed.sqlite").write_bytes(b""),
    "no store": lambda home: (home / "pulsed.sqlite").write_bytes(b"not a database" * 1000),
    "foreign store": lambda home: foreign(home / "pulsed.sqlite"),
    "newer store": lambda home: newer(home / "pulsed.sqlite"),
    "left over": lambda home: (home / "daemon.json").write_bytes(msgspec.json.encode(KILLED)),
    "outputs": lambda home: log(
        home, {"event": "the worker ended, and nothing has confirmed that the outputs are off"}
    ),
}
SAID = {
    "home": ("home", "others may write", "chmod 700"),
    "keys": ("keys", "can be read by others", "chmod 600"),
    "server key": ("keys", "there is no", "pulsed serve"),
    "broken key": ("keys", "bob.key", "restore it"),
    "empty store": ("store", "is empty", "backup"),
    "no store": ("store", "no database", "backup"),
    "foreign store": ("store", "something else", "backup"),
    "newer store": ("store", "newer pulsed", "update"),
    "left over": ("daemon", "killed, and daemon.json is left over", "pulsed serve"),
    "outputs": ("outputs", "nothing has confirmed", "look at the instruments"),
}


def foreign(path):
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE cats (name TEXT)")
    database.close()


def newer(path):
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()


def log(home, *entries):
    (home / "logs").mkdir()
    (home / "logs" / "daemon.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_wrong_with_a_home_is_found(home, what):
    BREAKS[what](home)
    subject, message, advice = SAID[what]
    one = findings(home)[subject]
    assert (one.verdict, message in one.message, advice in one.advice) == (Verdict.PROBLEM, True, True), one


def test_outputs_that_a_later_daemon_has_switched_off_are_no_problem(home):
    lost = {"event": "the worker ended, and nothing has confirmed that the outputs are off", "level": "error"}
    log(home, lost, {"event": "connected", "level": "info"}, {"event": "ready"}, {"event": "x", "level": "error"})
    found = findings(home)
    assert "outputs" not in found
    assert "the last error of it: x" in found["log"].message


def test_a_wrong_configuration_is_found(home, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(SIM5.read_text().replace('dt = "1 ns"', 'dt = "one"'))
    one = findings(home, path)["config"]
    assert one.verdict is Verdict.PROBLEM
    assert "the first: dt" in one.message
    assert one.advice == f"pulsed config check {path}"


def test_a_disk_that_is_almost_full_is_found(home, tmp_path):
    path = tmp_path / "full.toml"
    path.write_text(SIM5.read_text().replace("[limits]", f"[limits]\nfree_disk = {2**60}"))
    shutil.copytree(SIM5.parent / "chips", tmp_path / "chips")
    shutil.copytree(SIM5.parent / "calibrations", tmp_path / "calibrations")
    assert "no job is accepted" in findings(home, path)["disk"].message


def test_a_port_that_is_taken_is_found(home, tmp_path):
    shutil.copytree(SIM5.parent / "chips", tmp_path / "chips")
    shutil.copytree(SIM5.parent / "calibrations", tmp_path / "calibrations")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path = tmp_path / "taken.toml"
        path.write_text(SIM5.read_text() + f'\n[metrics]\nlisten = "{address}"\n')
        one = findings(home, path)["ports"]
    assert one.verdict is Verdict.PROBLEM
    assert f"{address} (metrics.listen) is taken" in one.message


def test_an_instrument_that_cannot_be_reached_is_found(home, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    text = (
        SIM5.read_text()
        .replace('simulator = "chips/sim5.toml"', "")
        .replace('calibration = "calibrations/sim5.json"', "")
    )
    path = tmp_path / "real.toml"
    path.write_text(text.replace("::5811::", f"::{port}::"))
    one = findings(home, path)["instrument awg1"]
    assert one.verdict is Verdict.PROBLEM
    assert "cannot be reached" in one.message


def test_what_a_daemon_says_is_judged():
    error = ErrorInfo("instrument_unreachable", "no connection", "instrument awg2")
    status = Status(
        "sim5", "0.2.0", False, "awg2: no connection; nothing has confirmed that the outputs are off",
        instruments={"awg1": InstrumentStatus("a,b,c,d"), "awg2": InstrumentStatus(error=error)},
        workers={"rack": WorkerStatus("up", 1, 3)}, faults={"Q3": "line open"}, calibration_looked=1.0,
        calibration_nodes={"fresh": 3, "stale": 2},
    )  # fmt: skip
    found = {
        one.subject: one for check in (check_operation, check_instruments, check_calibration) for one in check(status)
    }
    assert found["instrument awg2"].verdict is found["outputs"].verdict is Verdict.PROBLEM
    assert found["operation"].verdict is Verdict.PROBLEM
    assert "started again 3 times" in found["workers"].message
    assert "3 of 5 nodes are fresh; 2 stale" in found["calibration"].message
    assert found["calibration"].advice.startswith("pulsed cal maintain")
    assert "1 of 2" in found["instruments"].message


def test_an_interlock_that_has_tripped_is_a_problem_with_its_cause():
    def look(**fields):
        (found,) = check_interlocks(
            Status("sim5", "0.2.0", True, interlocks=(InterlockStatus("still", limits="1", **fields),))
        )
        return found

    tripped = look(state=InterlockState.TRIPPED, reason="too hot", problem="is 2, above 1")
    assert tripped.verdict is look(state=InterlockState.UNREAD).verdict is Verdict.PROBLEM
    assert tripped.advice == "its value is 2, above 1; mend that first, then pulsed interlock rearm still --reason …"
    assert look(state=InterlockState.TRIPPED, reason="too hot").advice.startswith("when the cause is known: pulsed")
    assert look(state=InterlockState.ARMED, problem="is 2, above 1").verdict is Verdict.NOTE
    assert look(state=InterlockState.ARMED).message == "1 of 1 armed, and their values good"


class Answering:
    greeting = Greeting(1, 1, "0.2.0", (13, 15), ("sim5",), "me", "admin", "", 0, "", 1, REVISION)

    def __init__(self, *receivers):
        self.receivers = receivers

    def alerts(self):
        return AlertsReply(1, (), self.receivers)


def test_alerts_and_receivers_that_fail_are_problems():
    status = Status("sim5", "0.2.0", True, alerts=(Alert("disk_low", "disk", AlertState.FIRING, "full", "s", 1, 1),))
    found = list(check_alerts(Answering(Receiver("webhook x", error="refused"), Receiver("mail y", 1)), status))
    assert [(one.verdict, one.subject) for one in found] == [
        (Verdict.PROBLEM, "alert disk_low"),
        (Verdict.PROBLEM, "alerts"),
    ]
    nobody = list(check_alerts(Answering(), Status("sim5", "0.2.0", True)))
    assert [one.verdict for one in nobody] == [Verdict.NOTE]


@pytest.mark.parametrize("width", [80, 120])
def test_the_screen_says_what_to_do_below_what_is_wrong(width):
    long = "a daemon that was killed " * 6
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(doctor_screen([good("config", "sim5"), problem("daemon", long, "start it"), note("disk", "low")]))
        lines = console.export_text().splitlines()
    assert lines[0].split() == ["✓", "config", "sim5"]
    assert lines[1].startswith("✗ daemon  a daemon that was killed")
    assert all(len(line) <= width for line in lines)
    assert next(line for line in lines if "→" in line).strip() == "→ start it"
    assert lines[-1].strip() == "1 problem, 1 note"


def test_the_command_ends_with_1_and_has_json(home, capsys, monkeypatch):
    monkeypatch.delenv("PULSED_HOME", raising=False)
    assert invoke(["doctor", "--home", str(home), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {one["subject"] for one in found} >= {
        "config",
        "home",
        "keys",
        "store",
        "disk",
        "daemon",
        "versions",
        "clock",
    }
    before = sorted(path.name for path in home.rglob("*"))
    assert invoke(["doctor", "--home", str(home)]) == 1
    assert sorted(path.name for path in home.rglob("*")) == before, "it changes nothing"
