"""What systemd is told, read from a socket as systemd has it."""

import asyncio
import os
import socket

import pytest

from pulsed.daemon.observe.systemd import SystemdNotifier, status_line
from pulsed.wire.messages import Status

GOOD = Status("sim5", "0.2.0", True, pending_jobs=3, running="job7")


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A socket, and the environment that names it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@pulsed-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0") if request.param == "abstract" else name)
        listener.settimeout(5)
        yield listener, {"NOTIFY_SOCKET": name, "HOME": "/"}


def test_ready_and_stopping(systemd):
    listener, environment = systemd
    notifier = SystemdNotifier(environment)
    notifier.ready()
    notifier.stopping()
    assert [listener.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]
    assert environment == {"HOME": "/"}, "children would inherit it"


async def test_the_watchdog_hears_from_the_loop_three_times_in_its_time(systemd):
    listener, environment = systemd
    notifier = SystemdNotifier({**environment, "WATCHDOG_USEC": "300000", "WATCHDOG_PID": str(os.getpid())})
    assert notifier.watchdog == 0.3
    running = asyncio.create_task(notifier.run(lambda: GOOD))
    heard = [await asyncio.to_thread(listener.recv, 200) for _ in range(4)]
    running.cancel()
    assert heard == [b"WATCHDOG=1", f"STATUS={status_line(GOOD)}".encode(), b"WATCHDOG=1", b"WATCHDOG=1"]


async def test_a_changed_status_is_told_and_the_same_one_is_not(systemd, monkeypatch):
    monkeypatch.setattr("pulsed.daemon.observe.systemd._STATUS_EVERY", 0.01)
    listener, environment = systemd
    bad = Status("sim5", "0.2.0", False, "awg1 does\nnot answer")
    told = iter([GOOD, GOOD, bad])
    running = asyncio.create_task(SystemdNotifier(environment).run(lambda: next(told, bad)))
    heard = [await asyncio.to_thread(listener.recv, 200) for _ in range(2)]
    running.cancel()
    assert heard[0] == b"STATUS=sim5: operational; jobs: 3 waiting, job7 on the rack"
    assert heard[1] == b"STATUS=sim5: not operational: awg1 does not answer; jobs: 0 waiting, none on the rack"


@pytest.mark.parametrize("other", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": ""}])
def test_a_watchdog_of_another_process_or_of_no_time_is_none(other):
    assert SystemdNotifier({"WATCHDOG_USEC": "300000", **other}).watchdog == 0


async def test_without_systemd_nothing_is_sent_and_a_dead_one_costs_nothing(tmp_path):
    silent = SystemdNotifier({})
    silent.ready()
    await asyncio.wait_for(silent.run(lambda: GOOD), 1)
    SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
