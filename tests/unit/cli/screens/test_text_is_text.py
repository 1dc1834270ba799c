"""Whatever somebody writes somewhere, every screen shows it as text: no markup, no command to the terminal."""

from __future__ import annotations

import ast
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Group

import pulsed.configs
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.maintenance import Action
from pulsed.calibration.graph.status import NodeStatus
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.result import RunResult
from pulsed.calibration.self_test import PortReport
from pulsed.cli import main
from pulsed.cli.consequences import Consequences
from pulsed.cli.screens import calibration as calibration_screens
from pulsed.cli.screens import scan as scan_screens
from pulsed.cli.screens import status as screens
from pulsed.cli.screens.alerts import alerts_screen
from pulsed.cli.screens.calibration_runs import check_screen, result_screen, runs_screen
from pulsed.cli.screens.daemon import status_screen
from pulsed.cli.screens.doctor import doctor_screen, note, problem
from pulsed.cli.screens.events import EventLines
from pulsed.cli.screens.graph import action_line, graph_screen
from pulsed.cli.screens.instrument import readings_screen, record_screen
from pulsed.cli.screens.rack import truth_screen
from pulsed.cli.screens.self_test import self_test_screen
from pulsed.cli.screens.terminal import Terminal, plain, plain_table
from pulsed.cli.screens.text import say_json
from pulsed.model.alerts import Alert, AlertState, Receiver
from pulsed.model.calibration import CalibrationSet, Fault, LogEntry, PastValue, RunRecord, Value
from pulsed.model.device import load_device
from pulsed.model.errors import ErrorInfo, PulsedError
from pulsed.model.job import JobInfo, JobState
from pulsed.model.session import SessionEnd, SessionInfo, SessionMode
from pulsed.model.visible import visible
from pulsed.wire.messages import (
    AnyEvent,
    CalibrationChanged,
    InstrumentStatus,
    JobChanged,
    Progress,
    Status,
    StatusChanged,
    WorkerStatus,
)  # fmt: skip
from pulsed.wire.observation_messages import AlertsReply
from pulsed.wire.session_messages import SessionChanged

FOLDER = Path(main.__file__).parent
NASTY = [
    "[/]", "[red]", "T1 [us]", "[link=http://192.0.2.1]x[/link]", "\\[/]", ":smile:", "\x1b[2J", "\x1b]0;title\x07",
    "\x9b2J", "a\nb", "a\tb", "\r", "\u202eabc", "\u2028", "\x7f", "\x00", "[", "]", "[@click=f]", "é ü", "漢字",
]  # fmt: skip
texts = st.text(min_size=1, max_size=20) | st.sampled_from(NASTY) | st.lists(st.sampled_from(NASTY)).map("".join)
ERROR = ErrorInfo("config", "m", "s", "v", "l")


def job(t: str) -> JobInfo:
    times = {"queued": 1.0, "done": 2.0, f"seconds.{t}": 1.0}
    return JobInfo(t, t, JobState.DONE, t, 0.0, 1, name=t, tags=(t,), calibration_id=t, times=times,
                   error=ErrorInfo(t, t, t, t, t))  # fmt: skip


def calibration(t: str, number: float = 1.0) -> CalibrationSet:
    values = {
        f"Q0.{t}": Value(number, t),
        "Q1.t1": Value(2e-5, "s", 1e-6, t, t, t, "set"),
        "d0.k": Value((1.0, 2.0), t),
    }
    return CalibrationSet(t, values, t, t, t, faults={"Q1": Fault(t, t, t)})


def status(t: str) -> Status:
    instruments = {t: InstrumentStatus(f"{t},{t},{t},{t}"), "b": InstrumentStatus("", ErrorInfo(t, t, t, t, t))}
    return Status(t, t, False, t, 3, t, t, 0.0, instruments, {t: WorkerStatus(t, 3, 1)}, {t: t},
                  alerts=(alert(t),))  # fmt: skip


def alert(t: str) -> Alert:
    return Alert(t, t, AlertState.FIRING, t, t, 0.0, 0.0)


def events_of(t: str) -> list[AnyEvent]:
    session = SessionInfo(t, t, SessionMode.SESSION, t, 1.0, 1.0, 1.0, ended_as=SessionEnd.CLOSED, ended_by=t)
    progress = Progress(0, t, 0, 1, t, 0.5)
    return [
        JobChanged(0, job(t)),
        progress,
        CalibrationChanged(0, t),
        SessionChanged(0, session),
        StatusChanged(0, status(t)),
    ]


def record(t: str) -> RunRecord:
    return RunRecord(t, t, t, "calibrate", "bad data", 0.0, 1.0, t, t, t, t, {f"Q0.{t}": Value(1.0, t)}, t)


def scan(t: str) -> xarray.Dataset:
    axis = ("x", np.arange(5.0), {"units": t, "long_name": t})
    return xarray.Dataset(
        {name: (("x",), np.arange(5.0)) for name in ("i", "q", "i_error", "q_error")}, {"x": axis}, {"target": t}
    )


def check(t: str) -> object:
    routine = find_routine("t1")()
    finished = {"Q0": RunResult(record(t), None, None), t: RunResult(record(t), None, None)}  # type: ignore[arg-type]
    found = {"Q0": {"Q0.t1": Value(1.0, t)}, t: {}}
    return check_screen(routine, finished, found, calibration(t))


GRAPH = Graph((Step("t1", "qubit"),), load_device(Path(pulsed.configs.__file__).parent / "sim5.toml"))


def graph(t: str) -> object:
    return graph_screen(GRAPH, {node: NodeStatus("failed", t) for node in GRAPH.nodes})


SCREENS: dict[str, Callable[[str], object]] = {
    "status": lambda t: status_screen(status(t), 1.0),
    "alerts": lambda t: alerts_screen(AlertsReply(1, (alert(t),), (Receiver(t, error=t),)), 1.0),
    "events": lambda t: Group(*(line for event in events_of(t) for line in EventLines(status("x")).lines(event, 1.0))),
    "readings": lambda t: readings_screen({t: t}),
    "record": lambda t: record_screen(t, np.ones(50, np.complex64), 1e-9, 3, 60),
    "doctor": lambda t: doctor_screen([problem(t, t, t), note(t, t, t)]),
    "jobs": lambda t: screens.jobs_screen([job(t), job(t)]),
    "job": lambda t: screens.job_screen(job(t)),
    "counts": lambda t: screens.counts_chart({t: 3, "0": 1}),
    "set": lambda t: calibration_screens.set_screen(calibration(t), in_force=True),
    "truth": lambda t: truth_screen({"name": t, "qubits": [{t: 1.0}], "couplings": []}),
    "log": lambda t: calibration_screens.log_screen([LogEntry(t, 0.0, t, t, (t,), (t,))]),
    "diff": lambda t: calibration_screens.diff_screen(calibration(t), CalibrationSet(t, {}, "")),
    "change": lambda t: calibration_screens.change_screen(calibration(t), calibration(t, 2.0)),
    "history": lambda t: calibration_screens.history_screen(t, [PastValue(0.0, Value(1.0, t, routine=t), t)]),
    "no history": lambda t: calibration_screens.history_screen(t, []),
    "runs": lambda t: runs_screen([record(t)]),
    "scan": lambda t: scan_screens.scan_screen(scan(t), 100),
    "check": check,
    "graph": graph,
    "action": lambda t: action_line(Action("check", Node("t1", t), "bad data", t)),
    "consequences": lambda t: Consequences({Node(t, t): NodeStatus("stale", t)}).screen(),
    "result": lambda t: result_screen({t: RunResult(record(t), None, None)}, None),  # type: ignore[arg-type]
    "self-test": lambda t: self_test_screen([PortReport(t, "dead", t)]),
    "status with a self-test": lambda t: status_screen(status(t), 1.0, [record(t)]),
    "string": lambda t: t,
    "plain": plain,
    "headings": lambda t: plain_table(t, "b", title=t),
}


def shown(renderable: object, width: int) -> str:
    file = io.StringIO()
    Terminal(file=file, width=width).print(renderable)
    return file.getvalue()


def obeyed(text: str) -> set[str]:
    """What of a text a terminal would act on, but for ends of lines and joiners of letters and emoji."""
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}} - set("\n\u200c\u200d")


@pytest.mark.parametrize("name", SCREENS)
@settings(max_examples=25, deadline=None)
@given(texts, st.sampled_from([20, 40, 80, 120]))
@example("".join(NASTY), 80)
@example("[/]", 80)
@example("T1 [us]", 80)
@example("\x1b[2J", 80)
def test_every_screen_shows_text_as_it_is(name: str, text: str, narrow: int) -> None:
    wide = shown(SCREENS[name](text), 20_000)
    assert visible(text).strip() in wide, "not shown as it is"
    assert obeyed(wide) == obeyed(shown(SCREENS[name](text), narrow)) == set()


@given(texts)
def test_visible_text_says_what_was_there(text: str) -> None:
    assert obeyed(visible(text) + "\n") == set()
    assert "\n" not in visible(text)
    if not obeyed(text) and "\n" not in text:
        assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [("a\nb\t", r"a\nb\t"), ("\x1b[0m", r"\x1b[0m"), ("\x9b", r"\x9b"), ("\u202e", r"\u202e"),
     ("\U000e0001", r"\U000e0001"), ("\xad", r"\xad"), ("é漢👩\u200d🔬", "é漢👩\u200d🔬"),
     ("\xa0", "\xa0"), ("\ud800", r"\ud800")],
)  # fmt: skip
def test_what_is_seen_of_a_character(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_text_of_ours_that_was_not_made_plain_is_not_obeyed_either() -> None:
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    for renderable in (Text("a\x1b[2Jb"), Group("[/]\x07"), Panel(Text("\x9b"))):
        assert obeyed(shown(renderable, 80)) == set()
    assert shown(Text("two\nlines"), 80) == "two\nlines\n"


@given(texts)
def test_json_is_equal_and_has_nothing_to_obey(text: str) -> None:
    file = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.echo", file.write)
        say_json({"name": text, text: [text]})
    assert json.loads(file.getvalue()) == {"name": text, text: [text]}
    assert obeyed(file.getvalue()) == set()


@pytest.mark.parametrize("text", NASTY)
def test_an_error_is_one_line(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(**_: object) -> None:
        raise PulsedError(text, subject=text, value=text, legal=text)

    monkeypatch.setattr(main.cli, "main", fail)
    assert main.invoke([]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert visible(text) in err
    assert obeyed(err) == set()


def test_nothing_is_printed_past_the_one_console() -> None:
    """Every module of the command line: what prints is `cli.text` and `cli.terminal`."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            plain_column = name == "TextColumn" and "markup=False" not in ast.unparse(node)
            if plain_column or name in ("Console", "print", "click.echo", "click.secho", "Text.from_markup"):
                found.append((path.name, name))
    assert set(found) == {("text.py", "click.echo"), ("text.py", "click.secho")}
