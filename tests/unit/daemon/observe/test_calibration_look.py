"""The look at the calibration graph, by a process of its own."""

import asyncio
import sys
import time
from pathlib import Path

import click
import msgspec
import pytest

from pulsed.calibration.graph.graph import Graph, Step
from pulsed.calibration.graph.status import NodeStatus
from pulsed.cli.main import cli
from pulsed.cli.screens.graph import plain_states
from pulsed.daemon.observe import calibration_look
from pulsed.daemon.observe.calibration_look import CalibrationLook, health_of, look_command
from pulsed.model.device import load_device
from pulsed.testing.daemon_process import CONFIGS, eventually

GRAPH = Graph((Step("t1", "qubit"), Step("rabi", "qubit")), load_device(CONFIGS / "sim5.toml"))


def test_what_the_command_prints_is_counted_and_what_drifted_is_named():
    found = {node: NodeStatus("fresh", calibrated=1.0, seen=2.0) for node in GRAPH.nodes}
    found[GRAPH.node("t1", "Q1")] = NodeStatus("stale", "a check found out of spec: 20 µs")
    found[GRAPH.node("t1", "Q2")] = NodeStatus("stale", "seen 30 h ago, 24 h are allowed", untouched=True)
    health = health_of(msgspec.json.encode(plain_states(found)), 7.0)
    assert (health.looked, health.nodes, health.drifted) == (7.0, {"fresh": 8, "stale": 2}, ("t1 Q1",))


@pytest.mark.parametrize("printed", [b"", b"error: no answer", b"{}", b"[1]"])
def test_what_is_no_answer_is_none(printed):
    with pytest.raises(msgspec.MsgspecError):
        health_of(printed, 7.0)


def looking(folder: Path, text: str, every: float = 60.0):
    """Return a look whose command prints ``text`` and appends a line to a file, and the times of looks."""
    count = folder / "count"
    count.touch()
    script = f"import sys; open({str(count)!r}, 'a').write('x'); sys.stdout.write({text!r})"
    looked = []
    command = (sys.executable, "-S", "-E", "-c", script)
    return (
        CalibrationLook(command, folder / "logs" / "look.json", every, lambda: looked.append(time.time())),
        looked,
        count,
    )


ONE = '[{"routine": "t1", "target": "Q0", "status": "fresh", "why": "", "calibrated": 1.0, "more": []}]'


async def test_it_looks_again_soon_after_a_change_and_else_after_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration_look, "FIRST", 0.0)
    monkeypatch.setattr(calibration_look, "SETTLING", 0.0)
    look, looked, _ = looking(tmp_path, ONE)
    assert look.health.looked == 0
    running = asyncio.create_task(look.run())
    await asyncio.to_thread(eventually, lambda: len(looked) == 1, "the first look", 60)
    assert look.health.nodes == {"fresh": 1}
    look.changed()
    await asyncio.to_thread(eventually, lambda: len(looked) == 2, "the one after a change", 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_look_that_comes_to_nothing_leaves_what_was_known(tmp_path):
    good, _, _ = looking(tmp_path, ONE)
    await good.look()
    bad, looked, count = looking(tmp_path, "error: no answer\n")
    bad.health = good.health
    await bad.look()
    assert (bad.health, looked, count.read_text()) == (good.health, [], "xx")


def test_the_command_is_one_that_there_is():
    python, module, name, *words = look_command("python", "tcp://127.0.0.1:1", "/home/key")
    assert (python, module, name) == ("python", "-m", "pulsed.cli")
    command = cli
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    assert command.make_context("graph", words).params["as_json"] is True
