"""`pulsed self-test` through daemon, drivers and instruments, and what `pulsed status` says of it afterwards."""

import asyncio
import json
import sys

import pytest

from pulsed.cli.main import invoke
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.daemon.maintenance import OneShotProcess, first_self_test


@pytest.fixture
def home(lab, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(lab[0].home))
    monkeypatch.setenv("COLUMNS", "100")


def test_every_port_of_the_rack_is_alive_and_status_says_so(lab, home, capsys):
    assert invoke(["self-test", "--json"]) == 0
    found = {one["port"]: one["found"] for one in json.loads(capsys.readouterr().out)}
    assert found == dict.fromkeys(lab[1].device().ports, "seen")
    assert invoke(["status"]) == 0
    assert "7 of 7 ports alive" in capsys.readouterr().out


def test_a_readout_line_that_is_cut_is_dead_and_status_says_so(lab, home, capsys):
    """Nothing gets through from `ro` to the chip: every circuit would read zeros, like one that does nothing."""
    control = find_control(lab[0].home)
    ask_rack(control, "drift", dead_lines=["ro"])
    try:
        assert invoke(["self-test"]) == 1
        assert "no tone is heard" in capsys.readouterr().out
        assert invoke(["status"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "5 of 7 ports alive" in said
        assert "port in is dead: ro to in: no tone is heard" in said
    finally:
        ask_rack(control, "drift", dead_lines=[])
    assert invoke(["self-test"]) == 0


async def test_the_daemon_runs_it_once_when_the_instruments_answer(tmp_path):
    available = asyncio.Event()
    command = [sys.executable, "-c", f"open({str(tmp_path / 'ran')!r}, 'a').write('once ')"]
    task = asyncio.create_task(first_self_test(OneShotProcess("self-test", command, lambda: None), available))
    await asyncio.sleep(0.2)
    assert not (tmp_path / "ran").exists(), "there is nothing to test yet"
    available.set()
    await asyncio.wait_for(task, 60)
    assert (tmp_path / "ran").read_text() == "once "
