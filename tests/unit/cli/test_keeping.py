"""What the terminal shows of bring-up and maintenance, and what it makes of the daemon's status."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

import pulsed.configs
from pulsed.calibration.collisions import directions
from pulsed.calibration.graph import Graph, Node, Step
from pulsed.calibration.maintain import Action
from pulsed.calibration.order import usual
from pulsed.calibration.states import Event, Situation, State, states
from pulsed.cli.keeping import STYLES, action_line, all_well, events, files, graph_screen
from pulsed.cli.main import cli
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.wire.messages import InstrumentStatus, Status

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
GRAPH = Graph((Step("line", "qubit"), Step("cr", "pair", after=("line",))), DEVICE)


def shown(renderable) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_every_state_has_its_mark_and_what_is_not_fresh_its_reason():
    found = {node: State("fresh") for node in GRAPH.nodes}
    found[Node("line", "Q2")] = State("failed", "nothing there")
    found[Node("cr", "Q0-Q1")] = State("unused", "the other direction")
    text = shown(graph_screen(GRAPH, found))
    assert "● Q0" in text
    assert "✗ Q2" in text
    assert "nothing there" in text
    assert "the other direction" not in text
    assert all(status in text for status in STYLES)
    assert "why" not in shown(graph_screen(GRAPH, {node: State("fresh") for node in GRAPH.nodes}))


def test_one_reason_is_one_line():
    found = {node: State("fresh") for node in GRAPH.nodes}
    found |= {Node("line", f"Q{q}"): State("stale", "too old") for q in (0, 1)} | {
        Node("line", "Q4"): State("stale", "x")
    }
    found |= {node: State("faulty", "open") for node in GRAPH.nodes if "Q3" in node.target}
    lines = [line.strip() for line in shown(graph_screen(GRAPH, found)).splitlines()]
    assert any(line.startswith("line Q0, Q1 ") and line.endswith("too old") for line in lines)
    assert any(line.startswith("line Q4 ") and line.endswith("x") for line in lines)
    (faulty,) = [line for line in lines if line.endswith("open")]
    assert faulty.startswith("Q3, ")


def test_a_line_per_action():
    line = action_line(Action("check", Node("line", "Q2"), "out of spec", "Q2.f01 is off")).plain
    assert line.split() == ["check", "line", "Q2", "out", "of", "spec", "Q2.f01", "is", "off"]


def test_a_pass_went_well_when_what_it_measured_is_well_in_the_end():
    node, other = GRAPH.nodes[:2]
    found = {n: State("fresh") for n in GRAPH.nodes} | {other: State("faulty")}
    mended = [Action("check", node, "out of spec"), Action("calibrate", node, "in spec")]
    assert all_well(mended, found)
    assert not all_well(mended, found | {node: State("failed")})
    assert not all_well([*mended, Action("calibrate", other, "bad data")], found)


def test_instruments_of_which_it_is_known_since_when():
    status = Status("sim5", "0", True, instruments={
        "sgs1": InstrumentStatus("R&S", since=12.0), "sa": InstrumentStatus("Keysight"), "awg1": InstrumentStatus(),
    })  # fmt: skip
    assert events(status) == [Event(12.0, "sgs1", "was identified anew")]


def test_where_files_go(tmp_path, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    assert files(None) == tmp_path / "runs"
    assert files(str(tmp_path / "a" / "b")).is_dir()


def test_the_commands_are_there():
    help_text = CliRunner().invoke(cli, ["cal", "--help"]).output
    assert all(name in help_text for name in ("bringup", "maintain", "diagnose", "graph", "report"))
    assert "--target" in CliRunner().invoke(cli, ["cal", "maintain", "--help"]).output


@pytest.mark.parametrize("name", ["sim5", "coupler2"])
def test_of_a_shipped_set_the_graph_misses_what_nobody_has_measured_alone(name):
    folder = Path(pulsed.configs.__file__).parent
    device, shipped = load_device(folder / f"{name}.toml"), load_calibration(folder / "calibrations" / f"{name}.json")
    graph = Graph(usual(), device)
    found = states(graph, Situation(shipped, [], (), unix_now(shipped), directions(device, shipped)))
    never = {node.routine for node, state in found.items() if state.status == "never"}
    assert never <= {"rb", "rb-ecr", "cz-leakage"}


def unix_now(calibration):
    return datetime.fromisoformat(calibration.created).timestamp()
