"""Every option of every command has an effect: on what the command says, does or asks of whoever does the work.

Each command is run twice with doubles in place of daemon, rack and routines: as it is, and with one option more. What
reached the doubles and what was said has to differ; a run that is repeated differs in nothing, so the option did it.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
import xarray

import pulsed.configs
from pulsed.calibration.executor import Executor
from pulsed.calibration.front_panel import PortRecord, TonePlayed
from pulsed.calibration.graph.maintenance import Action
from pulsed.calibration.routine import Outcome, Routine
from pulsed.calibration.runner.result import RunResult
from pulsed.calibration.runner.transaction import Transaction
from pulsed.calibration.self_test import PortReport
from pulsed.cli.main import cli, invoke
from pulsed.client.keys import load_key, new_key, save_key
from pulsed.model.alerts import Receiver
from pulsed.model.calibration import (
    CalibrationSet,
    Fault,
    LogEntry,
    PastValue,
    Pruned,
    RunRecord,
    Value,
    load_calibration,
)
from pulsed.model.device import load_device
from pulsed.model.job import CALIBRATION_TAG, JobInfo, JobLogEntry, JobState
from pulsed.model.notes import Note
from pulsed.model.queue import QueueControl, QueueEntry, UserShare
from pulsed.model.session import SessionInfo, SessionMode
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.engine.imported_chip import SimulatedRack
from pulsed.store.audit_log import AuditLog, AuditRecord
from pulsed.wire.messages import JobChanged, Status
from pulsed.wire.observation_messages import AlertsReply
from pulsed.wire.queue_messages import QueueReply
from pulsed.wire.session_messages import SessionChanged

CONFIGS = Path(pulsed.configs.__file__).parent
DEVICE = load_device(CONFIGS / "sim5.toml")
SET = load_calibration(CONFIGS / str(DEVICE.calibration)).with_faults({"Q4": Fault("broken")}, "2026-11-21")
OLDER = SET.with_values({"Q2.f01": Value(5.0e9, "Hz")}, "2026-11-20")
WARMER = CalibrationSet("sim5", SET.values, "2026-11-19", None, "warmer")
NOW = 1.8e9
SERVER = new_key("server")
ANN = new_key("ann", "viewer", SERVER.public)
TABLES = tomllib.loads((CONFIGS / "coupler2.toml").read_text())
CHIP = CONFIGS / "chips" / "coupler2.toml"
QIBOLAB = Path(__file__).parents[3] / "examples" / "other-stacks" / "qibolab"
BELL = Path(__file__).parents[3] / "examples" / "bell.qasm"

ALERTS = AlertsReply(1, (), (Receiver("webhook chat.example.org", 1),))
AUDITED = [
    AuditRecord("ann", "submit", "done", object="job1", time="2026-11-20T00:00:00+00:00"),
    AuditRecord("bob", "cancel", "refused", object="job1", time="2026-11-21T12:00:00+00:00"),
    AuditRecord("bob", "stop", "done", time="2026-11-22T00:00:00+00:00"),
]

Case = tuple[list[str], dict[str, list[str]]]
COMMANDS: dict[str, Case] = {
    "demo": ([], {"--out": ["elsewhere"]}),
    "serve": (["--config", str(CONFIGS / "examples" / "qblox.toml")],
              {"--config": ["coupler2"], "--home": ["elsewhere"], "--url": ["tcp://127.0.0.1:5999"], "--emulated": [],
               "--rack-changed": ["keep"], "--store": ["postgresql://lab@db/pulsed"], "--exit-with-stdin": []}),
    "status": ([], {}),
    "events": (["--count", "1"], {"--kind": ["session"], "--job": ["job0"], "--count": ["2"]}),
    "doctor": ([], {"--config": ["coupler2"], "--home": ["elsewhere"]}),
    "self-test": ([], {}),
    "run": ([str(BELL)], {"--shots": ["7"], "--no-transpile": [], "--yes": []}),
    "scan": (["Q0", "--axis", "x.amplitude=0:1:5"],
             {"--axis": ["x.beta=0:1:5"], "--play": ["x"], "--shots": ["7"], "--apart": [], "--out": ["elsewhere"],
              "--yes": [], "--live": []}),
    "pulses": ([str(BELL)], {"--program": ["1"], "--channels": [], "--no-transpile": [], "--no-includes": [],
                             "--html": ["sheet.html"]}),
    "note": (["Q0", "it is old"], {}),
    "notes": ([], {"--limit": ["1"]}),
    "logs": ([], {"--limit": ["1"], "--level": ["error"], "--process": ["rack"], "--grep": ["late"],
                  "--home": ["elsewhere"]}),
    "jobs": ([], {"--limit": ["1"], "--tag": ["x"], "--all": [], "--state": ["done"], "--user": ["bob"],
                  "--session": ["s1"]}),
    "queue": ([], {"--limit": ["1"]}),
    "queue pause": (["--reason", "so"], {"--reason": ["otherwise"], "--now": []}),
    "queue drain": (["--reason", "so"], {"--reason": ["otherwise"]}),
    "queue lock": (["--reason", "so"], {"--reason": ["otherwise"]}),
    "queue resume": ([], {}),
    "users": ([], {}),
    "interlock list": ([], {}),
    "interlock rearm": (["still", "--reason", "so"], {"--reason": ["otherwise"]}),
    "job": (["job0"], {"--log": []}),
    "cancel": (["job0"], {}),
    "sessions": ([], {"--all": [], "--limit": ["1"]}),
    "session show": (["s1"], {}),
    "session book": (["--start", "2030-01-01T10:00", "--for", "1h", "--id", "b"],
                     {"--start": ["2030-01-01T11:00"], "--for": ["2h"], "--id": ["c"]}),
    "session close": (["s1"], {"--cancel": []}),
    "instrument get": (["sgs1"], {}),
    "instrument set": (["sgs1", "power=-10"], {}),
    "instrument tone": (["d0"], {"--frequency": ["5GHz"], "--amplitude": ["0.2"], "--seconds": ["2"]}),
    "instrument scope": (["in"], {"--length": ["1us"], "--shots": ["7"], "--amplitude": ["0.2"], "--out": ["in.png"]}),
    "alerts list": ([], {}),
    "alerts test": ([], {}),
    "stop": ([], {}),
    "web": ([], {"--port": ["8811"], "--host": ["192.0.2.7"], "--certificate": ["c.pem"], "--private-key": ["k.pem"],
                 "--no-browser": [], "--person": ["anna"]}),
    "rack": ([], {"--config": ["coupler2"], "--ports": ["ephemeral"]}),
    "rack random": (
        ["chip"], {"--seed": ["7"], "--qubits": ["3"], "--layout": ["heavy-hex"], "--collisions": []},
    ),
    "rack truth": ([], {"--control": ["127.0.0.1:1"], "--json": []}),
    "rack report": ([], {"--control": ["127.0.0.1:1"], "--json": []}),
    "rack inject-fault": (["awg1", "late"], {"--seconds": ["3"], "--control": ["127.0.0.1:1"]}),
    "rack faults": ([], {"--control": ["127.0.0.1:1"], "--json": []}),
    "rack clear": ([], {"--control": ["127.0.0.1:1"]}),
    "import": ([str(QIBOLAB), "--to", "rack"], {"--to": ["other"], "--from": ["qibolab"], "--simulated": []}),
    "config check": (["sim5"], {"--json": []}),
    "cal show": ([], {"--at": ["2026-11-20"], "--tag": ["good"]}),
    "cal log": ([], {"--limit": ["1"], "--name": ["Q2.f01"]}),
    "cal diff": ([OLDER.calibration_id], {}),
    "cal history": (["Q2.f01"], {"--limit": ["1"]}),
    "cal runs": ([], {"--routine": ["t1"], "--target": ["Q0"], "--limit": ["1"]}),
    "cal set": (["Q2.f01", "5.021GHz", "--why", "so"], {"--why": ["otherwise"], "--stderr": ["1kHz"], "--force": [],
                                                   "--expected": ["another"]}),
    "cal disable": (["Q1", "--why", "so"], {"--why": ["otherwise"], "--expected": ["another"]}),
    "cal enable": (["Q4"], {"--why": ["otherwise"], "--expected": ["another"]}),
    "cal analyse": (["id"], {"--set": ["span=1e-5"], "--figure": ["figure.png"]}),
    "cal rollback": ([OLDER.calibration_id], {"--why": ["otherwise"], "--force": []}),
    "cal tag": (["current", "name"], {"--move": []}),
    "cal export": (["set.json"], {"--as": ["csv"]}),
    "cal import": (["warm.json"], {"--adopt": [], "--commit": [], "--why": ["otherwise"], "--force": []}),
    "cal cooldown new": ([], {"--name": ["cold"], "--keep": ["*.mixer.*"], "--why": ["otherwise"]}),
    "cal run": (["t1", "Q0"], {"--set": ["points=9"], "--check": [], "--no-commit": [], "--force": [],
                               "--figures": [], "--folder": ["elsewhere"], "--live": []}),
    "cal bringup": ([], {"--target": ["Q0"], "--without": ["rb"], "--data": ["elsewhere"], "--live": []}),
    "cal maintain": ([], {"--target": ["Q0"], "--without": ["rb"], "--data": ["elsewhere"], "--priority": ["-100"],
                          "--live": []}),
    "cal verify": ([], {"--target": ["Q0"], "--without": ["rb"], "--data": ["elsewhere"]}),
    "cal diagnose": (["Q0"], {"--routine": ["t1"], "--data": ["elsewhere"], "--live": []}),
    "cal graph": ([], {"--image": ["graph.png"]}),
    "cal prune": (
        [], {"--older": ["7"], "--results": ["3"], "--jobs": ["4"], "--dry-run": [], "--files": [],
             "--data": ["elsewhere"]},
    ),
    "cal report": ([], {"--out": ["other.html"], "--data": ["elsewhere"]}),
    "cal to-qcodes": (["run.nc"], {"--database": ["other.db"]}),
    "audit list": ([], {"--limit": ["1"], "--who": ["ann"], "--what": ["submit"], "--about": ["job1"],
                        "--since": ["2026-11-21"], "--refused": [], "--home": ["elsewhere"]}),
    "audit verify": ([], {"--from": ["2"], "--home": ["elsewhere"]}),
    "keys list": ([], {"--home": ["elsewhere"]}),
    "keys add": (["bob"], {"--role": ["viewer"], "--expires": ["2099-01-31"], "--home": ["elsewhere"]}),
    "keys revoke": (["ann"], {"--home": ["elsewhere"]}),
    "keys rotate": (["ann"], {"--overlap": ["0"], "--home": ["elsewhere"]}),
    "keys rotate-server": ([], {"--overlap": ["0"], "--home": ["elsewhere"]}),
}  # fmt: skip
"""By command: the arguments it is run with, and what follows each of its options when that is given."""
COMMON = {"--url": ["tcp://127.0.0.1:1"], "--key": ["bob"], "--json": []}
BESIDE: dict[tuple[str, str], list[str]] = {
    ("import", "--from"): [str(QIBOLAB / "calibration.json"), "--to", "rack"],
    ("pulses", "--no-includes"): ["more.qasm"],
    ("cal analyse", "--set"): ["id", "--json"],
    ("cal set", "--force"): ["Q2.f01", "5.1GHz", "--why", "so"],
    ("cal rollback", "--force"): ["warmer"],
    ("cal import", "--force"): ["warm.json", "--commit"],
    ("cal import", "--why"): ["warm.json", "--commit", "--force"],
    ("cal prune", "--data"): ["--files"],
}
"""The arguments of the command where an option would do nothing, or be refused, beside the usual ones."""
REFUSED = [
    (["cal", "import", "warm.json", "--force"], "--force: does nothing without --commit"),
    (["cal", "import", "warm.json", "--why", "so"], "--why: does nothing without --commit"),
    (["cal", "prune", "--data", "elsewhere"], "--data: does nothing without --files"),
    (["rack", "--ports", "ephemeral", "truth"], "--ports does nothing with truth"),
]


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(command)
    below = command.list_commands(context) if isinstance(command, click.Group) else []
    if path and (not below or command.params):
        yield " ".join(path), command
    for name in below:
        yield from walk(command.get_command(context, name), (*path, name))


def flags(command: click.Command) -> list[str]:
    """Return the name of each option, of a pair the one that changes something."""
    options = [item for item in command.params if isinstance(item, click.Option)]
    return [item.secondary_opts[0] if item.secondary_opts and item.default else item.opts[0] for item in options]


ALL = [(name, flag) for name, command in walk(cli) for flag in flags(command)]


def test_every_command_and_option_is_in_the_table() -> None:
    assert {name for name, _ in walk(cli)} == set(COMMANDS), "a command without a case"
    for name, (_, cases) in COMMANDS.items():
        of = {flag for one, flag in ALL if one == name}
        assert set(cases) | (set(COMMON) & of) == of, f"options of {name}"


def told(value: Any) -> Any:
    """Return what a double was given as something that can be compared."""
    if isinstance(value, Routine):
        return value.name, str(value.parameters)
    if isinstance(value, CalibrationSet):
        return value.to_json().decode()
    if isinstance(value, Mapping):
        return {str(key): told(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [told(one) for one in value]
    if isinstance(value, str | int | float | None | Path):
        return str(value)
    return getattr(value, "told", type(value).__name__)


class Doubles:
    """Stand where the work is done, and note what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[Any] = []
        self.folder = folder

    def note(self, name: str, answer: Any = None) -> Callable[..., Any]:
        def double(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, told(args), told(kwargs)))
            return answer(*args, **kwargs) if callable(answer) else answer

        return double


class Daemon:
    """A client's double."""

    def __init__(self, doubles: Doubles, *args: Any, **kwargs: Any) -> None:
        doubles.asked.append(("client", told(args), told(kwargs)))
        self._doubles = doubles
        self.url = "tcp://127.0.0.1:5810"
        self.greeting = SimpleNamespace(user="me", backends=("sim5",), version="0.2.0")

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *failure: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "device": DEVICE,
            "status": Status("sim5", "0.2.0", True),
            "calibration": self._set,
            "calibration_log": lambda limit=9, name=None: [
                LogEntry("a", 1.0, changed=("Q2.f01",)), LogEntry("b", 0.0, changed=("Q1.f01",)),
            ][: limit],
            "value_history": lambda name, limit: [PastValue(float(k), Value(5e9, "Hz"), "a") for k in range(2)][:limit],
            "runs": lambda *filters, **more: [],
            "all_jobs": lambda **filters: iter(JOBS),
            "job": lambda job_id: JOBS[0],
            "cancel": True,
            "job_log": [JobLogEntry(1.0, "running", "attempt 1")],
            "sessions": [SESSION],
            "session": SESSION,
            "use_instrument": {"SOUR:POW?": "-10"},
            "alerts": ALERTS,
            "subscribe": lambda tell, *kinds: [tell(event) for event in EVENTS if isinstance(event, kinds)],
            "test_alerts": ALERTS,
            "close_session": SESSION,
            "open_session": SESSION,
            "count_jobs": 3,
            "queue": QUEUE,
            "set_queue": QUEUE,
            "stop_now": QUEUE,
            "rearm_interlock": (),
            "notes": lambda about, limit: NOTES[:limit],
            "run_record": RunRecord("id", "t1", "Q0", "calibrate", "good", 0.0, 1.0, file="home/runs/a.nc"),
            "prune": Pruned(1, 1, (str(self._doubles.folder / "runs" / "a.nc"), "elsewhere/a.nc")),
        }  # fmt: skip
        return self._doubles.note(name, answers.get(name))

    @staticmethod
    def _set(calibration_id: str | None = None, *, time: float | None = None, tag: str | None = None) -> CalibrationSet:
        if calibration_id == "warmer":
            return WARMER
        return OLDER if calibration_id == OLDER.calibration_id or time is not None or tag is not None else SET


SESSION = SessionInfo("s1", "sim5", SessionMode.SESSION, "me", 1.0, 600.0, 60.0)
NOTES = [Note("Q0", f"note {k}", "ann", float(k)) for k in range(2)]
LOG = [
    {"timestamp": f"2026-11-21T00:00:0{k}Z", "level": level, "process": process, "event": event}
    for k, (level, process, event) in enumerate([("info", "daemon", "ready"), ("error", "rack", "came late")])
]
ENTRY = QueueEntry("job0", "me", "queued", 0, 1.0, 2.0)
QUEUE = QueueReply(1, QueueControl(), (ENTRY,), 1, (UserShare("me", 1.0, 2.0),))
JOBS = [JobInfo(f"job{k}", "sim5", JobState.DONE, "me", float(k)) for k in range(2)]
EVENTS = [JobChanged(1, JOBS[1]), JobChanged(2, JOBS[0]), SessionChanged(3, SESSION)]
JOBS.append(JobInfo("job2", "sim5", JobState.DONE, "me", 2.0, tags=(CALIBRATION_TAG,)))


def measured(routine: Routine, targets: Any, bench: Executor, **more: Any) -> dict[str, RunResult]:
    points = {name: (("x",), np.arange(5.0)) for name in ("i", "q", "i_error", "q_error")}
    data = xarray.Dataset(points, {"x": np.arange(5.0)}, {"target": "Q0"})
    values = {f"{target}.t1": Value(2e-5, "s") for target in targets}
    records = {
        t: RunRecord("id", routine.name, t, "calibrate", "good", 0.0, 1.0, file="home/runs/a.nc", values=values)
        for t in targets
    }
    finished = {t: RunResult(one, Outcome("good"), data) for t, one in records.items()}
    for done in finished.values():
        if "tell" in more:
            more["tell"](done)
    watch = getattr(routine, "_watch", None)
    if watch is not None:
        watch(targets[0], data)
    return finished


def ask_rack(control: str, operation: str, **fields: Any) -> Any:
    return {
        "truth": {"name": "chip", "qubits": [{"t1": 1e-5}], "couplings": []},
        "report": [{"clusters": [], "dropped_zz": []}],
    }.get(operation, {"awg1": {"late": 1.0}})


class Backend:
    name, dt = "sim5", 1e-9

    def __init__(self, doubles: Doubles) -> None:
        self._doubles = doubles

    def run(self, circuits: Any, **options: Any) -> Any:
        self._doubles.asked.append(("run", len(circuits[0].data), told(options)))
        result = SimpleNamespace(get_counts=lambda i: {"0": 1})
        return SimpleNamespace(job_id=lambda: "id", result=lambda: result, calibration_id="set")

    def preview(self, circuit: Any) -> Any:
        self._doubles.asked.append(("preview", len(circuit.data)))
        sheet = SimpleNamespace(save=_drawn, seconds=True, rows=[], plain=dict)
        return SimpleNamespace(sheet=lambda: sheet)

    def schedule(self, circuit: Any) -> Any:
        self._doubles.asked.append(("schedule", len(circuit.data)))
        return SimpleNamespace(draw=lambda **how: self.preview(circuit).sheet())


@pytest.fixture
def doubles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doubles:
    made = Doubles(tmp_path / "home")
    (made.folder / "runs").mkdir(parents=True)

    def put(where: str, name: str, answer: Any = None) -> None:
        monkeypatch.setattr(importlib.import_module(where), name, made.note(name, answer))

    put("pulsed.calibration.interchange.importing", "write")
    put("pulsed.simulator.engine.imported_chip", "simulated_rack", SimulatedRack(TABLES, load_chip(CHIP), {}, {}))
    for module in (
        "status",
        "alerts",
        "instrument",
        "events",
        "jobs",
        "sessions",
        "queue",
        "interlock",
        "users",
        "self_test",
        "scan",
        "cal_sets",
        "cal_values",
        "cal_run",
        "cal_graph",
        "cal_prune",
        "cal_analyse",
        "note",
    ):
        monkeypatch.setattr(f"pulsed.cli.commands.{module}.Client", lambda *a, **k: Daemon(made, *a, **k))
    monkeypatch.setattr("pulsed.client.Client", lambda *a, **k: Daemon(made, *a, **k))
    for module in ("cal_maintain", "cal_verify"):
        monkeypatch.setattr(f"pulsed.cli.commands.{module}.Behind", lambda *a, **k: Daemon(made, *a, **k))
    for module in ("changes", "commands.cal_sets", "commands.cal_values"):
        monkeypatch.setattr(f"pulsed.cli.{module}.now", lambda: "2026-11-21T00:00:00+00:00")
    monkeypatch.setattr(time, "time", lambda: NOW)
    put("pulsed.calibration.runner.runner", "run", measured)
    for module in ("pulsed.calibration.results.run_plots", "pulsed.cli.screens.scan"):
        put(module, "save_figure", lambda routine, data, outcome, path: _drawn(path))
    put("pulsed.calibration.self_test", "self_test", [PortReport("d0", "seen", "its own tone")])
    put("pulsed.calibration.self_test", "keep")
    put("pulsed.calibration.front_panel", "play_tone", TonePlayed("d0", 5e9, 0.1, 1.0))
    put("pulsed.calibration.front_panel", "record_port", PortRecord("in", np.ones(9, np.complex64), 1e-9, 7, False))
    put("pulsed.calibration.front_panel", "draw_record")
    put(
        "pulsed.calibration.runner.commit",
        "commit_and_verify",
        lambda kind, finished, bench, **more: (finished, Transaction(SET)),
    )
    put("pulsed.calibration.graph.precedence", "kept", lambda graph, name, names, calibration: list(names))
    for work in ("bringup", "maintain", "diagnose"):
        put("pulsed.calibration.bringup", work, lambda lab, *a, **k: _listed(lab, made))
    put("pulsed.calibration.verification", "verify", lambda lab, *a, **k: _listed(lab, made))
    put("pulsed.calibration.report.report", "write_report", lambda lab, path: _listed(lab, made) or path)
    put("pulsed.calibration.report.device_plots", "save")
    put("pulsed.calibration.results.data", "to_qcodes", 1)
    put("pulsed.calibration.results.data", "load", xarray.Dataset(attrs={"routine": "t1", "target": "Q0"}))
    put("pulsed.calibration.results.plots", "plot_of")
    put("pulsed.calibration.runner.runner", "parameters_of", {})
    put("pulsed.cli.commands.demo", "run_demo", 0)
    put("pulsed.cli.doctor.examination", "examine", [])
    put("pulsed.daemon.main", "serve", lambda *a, **k: made.asked.append(told([a[0].name, *a[2:], k])))
    put("pulsed.cli.simulated_rack", "with_simulated_rack", lambda device, path: (device, []))
    put("pulsed.cli.commands.serve", "_stop_with_stdin")
    put("pulsed.cli.simulated_rack", "ask_rack", ask_rack)
    put("pulsed.cli.simulated_rack", "find_control", "127.0.0.1:9")
    put("os", "execv")
    put("pulsed.simulator.chip.random_rack", "write_rack", Path("chip/rack.toml"))
    put("pulsed.provider", "PulsedProvider", lambda *a: SimpleNamespace(backends=lambda: [Backend(made)], client=None))
    put("qiskit", "transpile", lambda circuits, backend: _empty(circuits))
    return made


def _drawn(path: Path | str) -> Path | str:
    Path(path).write_text("picture")
    return path


def _empty(circuits: Any) -> Any:
    return [one.copy_empty_like() for one in circuits] if isinstance(circuits, list) else circuits.copy_empty_like()


def _listed(lab: Any, made: Doubles) -> list[Action]:
    made.asked.append(
        ("lab", str(lab.folder), [step.routine for step in lab.steps], getattr(lab, "live", None) is None)
    )
    return []


@pytest.fixture
def run(
    doubles: Doubles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], Any]:
    def once(arguments: list[str]) -> Any:
        home = tmp_path / "home"
        for pattern in ("*.key", "*.pub", "*.old", "*.png", "*.html", "set.json"):
            for path in tmp_path.rglob(pattern):
                path.unlink()
        monkeypatch.setenv("PULSED_HOME", str(home))
        monkeypatch.setenv("COLUMNS", "160")
        monkeypatch.chdir(tmp_path)
        Path("gates.inc").write_text("gate mine a { x a; }")
        Path("more.qasm").write_text('OPENQASM 2.0; include "gates.inc"; qreg q[1];')
        Path("warm.json").write_bytes(WARMER.to_json())
        for folder in (home, Path("elsewhere")):
            (folder / "runs").mkdir(parents=True, exist_ok=True)
            (folder / "a.nc").write_text("data")
            (folder / "runs" / "a.nc").write_text("data")
            save_key(folder / "server.key", SERVER)
            save_key(folder / "clients" / "ann.key", ANN)
            shutil.rmtree(folder / "audit", ignore_errors=True)
            log = AuditLog(folder / "audit")
            log.append(AUDITED[: 3 if folder == home else 2])
            log.close()
            (folder / "logs").mkdir(exist_ok=True)
            lines = [json.dumps(record) for record in LOG[: 2 if folder == home else 1]]
            (folder / "logs" / "daemon.jsonl").write_text("\n".join(lines))
        doubles.asked.clear()
        code = invoke(arguments)
        said = capsys.readouterr()
        assert code != 2, said.err
        there = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
        keys = [(load_key(path).role, load_key(path).expires) for path in sorted(tmp_path.rglob("clients/*.key"))]
        return re.sub(r"\d{8}-\d{6}", "", str((code, said.out, said.err, doubles.asked, there, keys)))

    return once


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name.replace(" ", "-"))
def test_each_option_acts(name: str, run: Callable[[list[str]], Any]) -> None:
    base, cases = COMMANDS[name]
    plain = run([*name.split(), *base])
    assert plain == run([*name.split(), *base]), "not the same twice: nothing can be said of its options"
    for flag in (flag for one, flag in ALL if one == name):
        beside = BESIDE.get((name, flag))
        without = plain if beside is None else run([*name.split(), *beside])
        value = cases.get(flag, COMMON.get(flag))
        assert value is not None
        found = run([*name.split(), *(base if beside is None else beside), flag, *value])
        assert found != without, f"{flag} of {name} has no effect"
        assert "Traceback" not in found


@pytest.mark.parametrize(("arguments", "said"), REFUSED, ids=lambda part: str(part)[:40])
def test_an_option_that_would_do_nothing_is_refused(
    arguments: list[str], said: str, doubles: Doubles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(arguments) in (1, 2)
    assert said in capsys.readouterr().err
    assert doubles.asked == []


def test_an_option_without_effect_would_be_noticed(run: Callable[[list[str]], Any]) -> None:
    silent = click.Option(["--loud"], is_flag=True, expose_value=False)
    command = cli.get_command(click.Context(cli), "status")
    command.params.append(silent)
    try:
        assert run(["status"]) == run(["status", "--loud"])
    finally:
        command.params.remove(silent)
