"""Child processes: started again, ended step by step and with the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pulsed.daemon.workers import parent_death, supervisor
from pulsed.daemon.workers.supervisor import Child, ChildState, Worker
from pulsed.model.errors import IllegalStepError
from pulsed.testing.daemon_process import alive, eventually


async def until(condition: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.01)


async def test_child_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    log = tmp_path / "times"
    command = [sys.executable, "-S", "-c", f"import time; open({str(log)!r}, 'a').write(f'{{time.time()}}\\n')"]
    child = Child("brief", command, lambda: None)
    child.start()
    await until(lambda: log.exists() and len(log.read_text().splitlines()) >= 5)
    await child.stop()
    assert child.restarts >= 4
    assert child.state is ChildState.DOWN
    times = [float(line) for line in log.read_text().splitlines()]
    pauses = [b - a for a, b in pairwise(times)]
    assert pauses[3] > 0.8, f"pauses {pauses}: the fourth is at least 50 ms * 2**4"


async def test_killed_child_comes_back_and_stop_ends_it() -> None:
    steps: list[str] = []
    child = Child("sleeper", ["sleep", "1000"], lambda: steps.append(str(child.state)))
    child.start()
    await until(lambda: child.state is ChildState.UP)
    first = child.pid
    child.kill()
    await until(lambda: child.state is ChildState.UP and child.pid not in (0, first))
    second = child.pid
    await child.stop()
    assert not alive(first)
    assert not alive(second)
    assert child.pid == 0
    assert steps == ["starting", "up", "down", "starting", "up", "stopping", "down"]


async def test_what_a_child_says_before_it_ends_is_kept(tmp_path: Path) -> None:
    """The last line of this life, not of one before; one that is killed has nothing to say."""
    output, talk = tmp_path / "output", tmp_path / "talk"
    output.write_text("from long ago\n")
    script = f"import sys, time; t = open({str(talk)!r}).read(); t and sys.exit('first line\\n' + t); time.sleep(1000)"
    child = Child("talker", [sys.executable, "-S", "-c", script], lambda: None, output)
    talk.write_text("no such chip")
    child.start()
    await until(child.failed.is_set)
    assert child.last_words == "no such chip"
    talk.write_text("")
    await until(lambda: child.state is ChildState.UP and alive(child.pid))
    child.failed.clear()
    child.kill()
    await until(lambda: child.restarts >= 2)
    assert not child.failed.is_set()
    await child.stop()


async def test_child_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"open({str(ready)!r}, 'w').close(); time.sleep(1000)"
    )
    child = Child("deaf", [sys.executable, "-S", "-c", code], lambda: None)
    child.start()
    await until(ready.exists)
    pid = child.pid
    await child.stop(grace=0.2)
    assert not alive(pid)


async def test_stop_during_the_pause_before_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 1000.0)
    monkeypatch.setattr(supervisor, "_LONGEST_PAUSE", 1000.0)
    child = Child("failing", ["false"], lambda: None)
    child.start()
    await until(lambda: child.restarts == 1)
    await asyncio.wait_for(child.stop(), 60)
    with pytest.raises(IllegalStepError):
        child._step(ChildState.UP)


def test_command_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """A process in between starts a command with a parent-death signal, and is killed."""
    pid_file = tmp_path / "pid"
    between = (
        "import os, subprocess, sys, time\n"
        f"command = [sys.executable, '-S', '-E', {parent_death.__file__!r}, str(os.getpid()), 'sleep', '1000']\n"
        "child = subprocess.Popen(command)\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(1000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", between])
    try:
        pid = int(eventually(lambda: pid_file.exists() and pid_file.read_text(), "the child has a number"))
        eventually(lambda: b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()[:6], "it has become the command")
    finally:
        parent.kill()
        parent.wait()
    eventually(lambda: not alive(pid), "the command ends with its parent")


def test_command_with_a_parent_death_signal_ignores_the_interrupt_of_a_terminal() -> None:
    command = [sys.executable, "-S", "-E", parent_death.__file__, str(os.getpid()), "sleep", "1000"]
    with subprocess.Popen(command) as process:
        eventually(lambda: b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes()[:6], "it has become sleep")
        status = Path(f"/proc/{process.pid}/status").read_text()
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        process.terminate()
    assert ignored >> (signal.SIGINT - 1) & 1


def test_worker_that_is_ready_while_it_is_ended_stays_on_its_way_out() -> None:
    worker = Worker("late", "none", list, lambda: None, lambda _: None, lambda: None)
    for state, after in ((ChildState.STARTING, ChildState.UP), (ChildState.STOPPING, ChildState.STOPPING)):
        worker.state = state
        worker.up()
        assert worker.state is after
