"""What the terminal shows of bring-up and maintenance, and what it makes of the daemon's status."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

import pulsed.configs
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.maintenance import Action
from pulsed.calibration.graph.status import CalibrationContext, Event, NodeStatus, states
from pulsed.cli.commands.cal_maintain import all_well
from pulsed.cli.consequences import events
from pulsed.cli.main import cli
from pulsed.cli.measuring import data_folder
from pulsed.cli.screens.graph import action_line, graph_screen
from pulsed.cli.screens.status import STATES
from pulsed.model.calibration import Value, load_calibration
from pulsed.model.chip_map import directions
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
    found = {node: NodeStatus("fresh") for node in GRAPH.nodes}
    found[Node("line", "Q2")] = NodeStatus("failed", "nothing there")
    found[Node("line", "Q4")] = NodeStatus("never", "Q4.f01 has no value")
    found[Node("cr", "Q0-Q1")] = NodeStatus("unused", "the other direction")
    text = shown(graph_screen(GRAPH, found))
    assert "● Q0" in text
    assert "✗ Q2" in text
    assert "nothing there" in text
    assert "Q4.f01 has no value" in text
    assert "the other direction" not in text
    assert all(status in text for status in STATES)
    assert "why" not in shown(graph_screen(GRAPH, {node: NodeStatus("fresh") for node in GRAPH.nodes}))


@pytest.mark.parametrize(
    ("status", "others", "command"),
    [
        ("stale", "stale", "bringup"),  # a new installation: nothing has been measured
        ("never", "stale", "bringup"),
        ("stale", "fresh", "maintain"),
        ("never", "fresh", "maintain"),
        ("failed", "fresh", "bringup"),
        ("faulty", "fresh", None),
        ("unused", "fresh", None),
    ],
)
def test_the_command_that_mends_what_is_not_fresh_is_the_last_line(status, others, command):
    found = {node: NodeStatus(others) for node in GRAPH.nodes} | {Node("line", "Q2"): NodeStatus(status, "why")}
    text = shown(graph_screen(GRAPH, found))
    if command is None:
        assert "mend" not in text
    else:
        assert text.splitlines()[-1].strip() == f"mend it with: pulsed cal {command}"


def test_one_reason_is_one_line():
    found = {node: NodeStatus("fresh") for node in GRAPH.nodes}
    found |= {Node("line", f"Q{q}"): NodeStatus("stale", "too old") for q in (0, 1)} | {
        Node("line", "Q4"): NodeStatus("stale", "x")
    }
    found |= {node: NodeStatus("faulty", "open") for node in GRAPH.nodes if "Q3" in node.target}
    lines = [line.strip() for line in shown(graph_screen(GRAPH, found)).splitlines()]
    assert any(line.startswith("line Q0, Q1 ") and line.endswith("too old") for line in lines)
    assert any(line.startswith("line Q4 ") and line.endswith("x") for line in lines)
    (faulty,) = [line for line in lines if line.endswith("open")]
    assert faulty.startswith("Q3, ")


def test_a_line_per_action():
    line = action_line(Action("check", Node("line", "Q2"), "out of spec", "Q2.f01 is off")).plain
    assert line.split() == ["check", "line", "Q2", "out", "of", "spec", "Q2.f01", "is", "off"]


def test_a_calibration_shows_what_it_found():
    values = {"Q2.f01": Value(5.02e9, "Hz", 120.0), "Q2.t2star": Value(45e-6, "s", 2e-6)}
    line = action_line(Action("calibrate", Node("line", "Q2"), "in spec", "", values)).plain
    assert line.endswith("in spec  f01 5.02000000 ± 0.00000012 GHz, t2star 45 ± 2 µs")
    many = {f"Q2.v{k}": Value(0.5) for k in range(6)}
    assert action_line(Action("calibrate", Node("line", "Q2"), "in spec", "", many)).plain.endswith(", and 2 more")


def test_a_pass_went_well_when_what_it_measured_is_well_in_the_end():
    node, other = GRAPH.nodes[:2]
    found = {n: NodeStatus("fresh") for n in GRAPH.nodes} | {other: NodeStatus("faulty")}
    mended = [Action("check", node, "out of spec"), Action("calibrate", node, "in spec")]
    assert all_well(mended, found)
    assert not all_well(mended, found | {node: NodeStatus("failed")})
    assert not all_well([*mended, Action("calibrate", other, "bad data")], found)


def test_instruments_of_which_it_is_known_since_when():
    status = Status("sim5", "0", True, instruments={
        "sgs1": InstrumentStatus("R&S", since=12.0), "sa": InstrumentStatus("Keysight"), "awg1": InstrumentStatus(),
    })  # fmt: skip
    assert events(status) == [Event(12.0, "sgs1", "was identified again")]


def test_where_files_go(tmp_path, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    assert data_folder(None) == tmp_path / "runs"
    assert data_folder(str(tmp_path / "a" / "b")).is_dir()


def test_the_commands_are_there():
    help_text = CliRunner().invoke(cli, ["cal", "--help"]).output
    assert all(name in help_text for name in ("bringup", "maintain", "diagnose", "graph", "report"))
    assert "--target" in CliRunner().invoke(cli, ["cal", "maintain", "--help"]).output


@pytest.mark.parametrize("name", ["sim5", "coupler2"])
def test_of_a_shipped_set_the_graph_misses_what_nobody_has_measured_alone(name):
    folder = Path(pulsed.configs.__file__).parent
    device, shipped = load_device(folder / f"{name}.toml"), load_calibration(folder / "calibrations" / f"{name}.json")
    graph = Graph(default_steps(), device)
    found = states(graph, CalibrationContext(shipped, [], (), unix_now(shipped), directions(device, shipped)))
    never = {node.routine for node, state in found.items() if state.status == "never"}
    assert never <= {"rb", "rb-ecr", "cz-leakage"}


def unix_now(calibration):
    return datetime.fromisoformat(calibration.created).timestamp()
