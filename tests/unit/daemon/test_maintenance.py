"""When the rack is looked after."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.daemon import maintenance
from pulsed.daemon.maintenance import MaintenanceScheduler, OneShotProcess, is_overdue, seconds_until_due
from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.workers.supervisor import ChildState
from pulsed.model.calibration import RunRecord
from pulsed.model.policies import Maintenance
from pulsed.store import Store
from pulsed.testing.daemon_process import alive

PLAN = Maintenance(every=100.0, idle=10.0)
times = st.floats(0, 1e6)


@pytest.mark.parametrize(
    ("now", "last", "idle_since", "wait"),
    [
        (1000.0, 950.0, 0.0, 50.0),
        (1000.0, 900.0, 0.0, 0.0),
        (1000.0, 0.0, 995.0, 5.0),
        (1000.0, 0.0, 990.0, 0.0),
        (1000.0, 999.0, 999.0, 99.0),
    ],
)
def test_a_pass_is_due_when_time_is_up_and_nobody_is_there(now, last, idle_since, wait):
    assert seconds_until_due(PLAN, now, last, idle_since) == pytest.approx(wait)


@given(times, times)
def test_never_while_there_are_jobs(now, last):
    assert seconds_until_due(PLAN, now, last, None) > 0


@given(times, times, times)
def test_after_the_wait_it_is_due_and_not_before(now, last, idle_since):
    wait = seconds_until_due(PLAN, now, last, idle_since)
    assert seconds_until_due(PLAN, now + wait + 1e-3, last, idle_since) == 0
    if wait > 0.01:
        assert seconds_until_due(PLAN, now + wait - 0.005, last, idle_since) > 0


@pytest.mark.parametrize(
    ("last", "drifted", "overdue"),
    [
        (1000.0 - 149.0, 0.0, False), (1000.0 - 150.0, 0.0, True), (0.0, 0.0, True),
        (990.0, 995.0, True), (990.0, 985.0, False),
    ],
)  # fmt: skip
def test_a_pass_is_overdue_after_its_time_and_at_once_when_drift_was_seen_since(last, drifted, overdue):
    plan = Maintenance(every=100.0, overdue=50.0)
    assert is_overdue(plan, 1000.0, last, drifted) is overdue
    assert not is_overdue(Maintenance(every=100.0, overdue=None), 1000.0, last, drifted)


@given(now=times, last=times, drifted=times)
def test_what_is_overdue_on_a_busy_rack_is_due_on_an_idle_one_unless_drift_was_seen(now, last, drifted):
    if is_overdue(PLAN, now, last, drifted) and drifted <= last:
        assert seconds_until_due(PLAN, now, last, now - PLAN.idle - 1) == 0


@pytest.mark.parametrize(("may", "drift", "made"), [(True, True, True), (False, True, False), (True, False, False)])
async def test_a_pass_on_a_busy_rack_is_urgent_and_short_and_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may: bool, drift: bool, made: bool
) -> None:
    monkeypatch.setattr(maintenance, "_LOOK", 0.01)
    log, looks = tmp_path / "passes", 0
    store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
    store.start()
    await store.call(Store.open, time.time(), "test")
    # The command would not end by itself: the limit of such a pass ends it.
    process = OneShotProcess("maintenance", ["sh", "-c", f'echo "$2" >> {log}; exec sleep 1000', "sh"], lambda: None)
    plan, seen = Maintenance(every=600.0, overdue_limit=0.5), time.time() + 0.2

    def between() -> bool:
        nonlocal looks
        looks += 1
        return may

    scheduler = MaintenanceScheduler(plan, process, lambda: True, store, between, lambda: seen if drift else 0.0)
    running = asyncio.create_task(scheduler.run())
    deadline = time.monotonic() + 60.0
    while not (log.exists() and process.state is ChildState.DOWN and looks > 20) and (made or looks < 40):
        assert time.monotonic() < deadline
        assert not running.done()
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.call(Store.close)
    await store.stop()
    assert (log.read_text().split() if log.exists() else []) == ([str(maintenance.URGENT)] if made else [])


def looked_after(tmp_path: Path, *ended: float, made: bool) -> bool:
    """Whether a pass is made: waited for if it has to be, else not in five looks after it might be due.

    ``ended``: seconds from now, of a record that is there at the start, and of others that come right after it.
    """
    log = tmp_path / "passes"
    looks: list[float] = []

    def pending() -> int:
        looks.append(time.time())
        return 0

    async def run() -> bool:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(Store.open, time.time(), "test")
        began = time.time()
        process = OneShotProcess("maintenance", ["sh", "-c", f"echo pass >> {log}"], lambda: None)
        scheduler = MaintenanceScheduler(Maintenance(every=600.0, idle=0.0), process, pending, store)
        running: asyncio.Task[None] | None = None
        for number, seconds in enumerate(ended):
            record = RunRecord(f"r{number}", "t1", "Q0", "check", "good", began, began + seconds)
            await store.call(Store.put_run, record)
            running = running or asyncio.create_task(scheduler.run())
            await asyncio.sleep(0)
        running = running or asyncio.create_task(scheduler.run())
        due = began + 600.0 + ended[0] if len(ended) > 1 else began
        async with asyncio.timeout(60):
            while not log.exists() and not running.done() and (made or sum(look > due for look in looks) < 10):
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.call(Store.close)
        await store.stop()
        return log.exists()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("ended", "made"),
    [((), False), ((-3600.0,), True), ((-1.0,), False), ((-599.5,), True), ((-599.0, 0.0), False), ((1e300,), False)],
)
def test_measurements_that_others_make_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: tuple[float, ...], made: bool
) -> None:
    monkeypatch.setattr(maintenance, "_LOOK", 0.01)
    assert looked_after(tmp_path, *ended, made=made) is made


def test_scans_put_no_pass_off(tmp_path: Path) -> None:
    """Somebody who plots all day would else keep the machine from ever being looked after."""

    async def measured() -> tuple[float, float]:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(Store.open, time.time(), "test")
        scheduler = MaintenanceScheduler(
            PLAN, OneShotProcess("maintenance", ["true"], lambda: None), lambda: False, store
        )
        now = time.time()
        await store.call(Store.put_run, RunRecord("s0", "scan", "Q0", "scan", "good", 0.0, now))
        alone = await scheduler._measured()
        await store.call(Store.put_run, RunRecord("c", "t1", "Q0", "check", "good", 0.0, now - 500))
        await store.call(Store.put_run, RunRecord("s1", "scan", "Q0", "scan", "good", 0.0, now))
        found = await scheduler._measured()
        await store.call(Store.close)
        await store.stop()
        return alone - scheduler._began, found - (now - 500)

    assert asyncio.run(measured()) == (0.0, 0.0)


def test_a_record_from_the_future_is_one_of_now(tmp_path: Path) -> None:
    """It puts the next pass off by what the plan says, and not for ever."""

    async def measured() -> float:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(Store.open, time.time(), "test")
        await store.call(Store.put_run, RunRecord("r", "t1", "Q0", "check", "good", 0.0, 1e300))
        scheduler = MaintenanceScheduler(
            PLAN, OneShotProcess("maintenance", ["true"], lambda: None), lambda: False, store
        )
        found = await scheduler._measured()
        await store.call(Store.close)
        await store.stop()
        return found

    assert asyncio.run(measured()) <= time.time()


def test_a_pass_that_cannot_begin_is_put_off_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[bool, int]:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(Store.open, time.time(), "test")
        process = OneShotProcess("maintenance", ["true"], lambda: None)
        tries = []

        async def refuse(**_: object) -> None:
            tries.append(time.time())
            raise BlockingIOError(11, "no more processes")

        monkeypatch.setattr(process, "_spawn", refuse)
        scheduler = MaintenanceScheduler(Maintenance(every=0.001, idle=0.0), process, lambda: False, store)
        task = asyncio.create_task(scheduler.run())
        deadline = time.monotonic() + 60.0
        while len(tries) < 2 and not task.done() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        running = not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.call(Store.close)
        await store.stop()
        return running, len(tries)

    running, tries = asyncio.run(run())
    assert running
    assert tries >= 2


LISTENING = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (open({told!r}, 'w').close(), sys.exit(7)));"
)
LISTENING += "open({ready!r}, 'w').close(); time.sleep(1000)"


def listening(tmp_path: Path) -> list[str]:
    """Return a command that writes ``ready`` when it listens to SIGTERM, and ``told`` when it gets it."""
    code = LISTENING.format(told=str(tmp_path / "told"), ready=str(tmp_path / "ready"))
    return [sys.executable, "-S", "-c", code]


async def test_a_pass_out_of_time_is_asked_to_end_and_gone(tmp_path: Path) -> None:
    steps: list[str] = []
    process = OneShotProcess("maintenance", listening(tmp_path), lambda: steps.append(str(process.state)))
    running = asyncio.create_task(process.run(limit=2.0))
    while not (tmp_path / "ready").exists() and not running.done():
        await asyncio.sleep(0.01)
    pid = process.pid
    assert await running is None
    assert (tmp_path / "told").exists() == (tmp_path / "ready").exists(), "it was killed instead of asked"
    assert steps == ["starting", "up", "stopping", "down"]
    assert not pid or not alive(pid)
    assert process.pid == 0
    again = OneShotProcess("maintenance", ["sh", "-c", "exit 3"], lambda: None)
    assert [await again.run(60.0), await again.run(60.0)] == [3, 3]


async def test_a_pass_that_is_cancelled_ends_before_the_cancellation_comes_out(tmp_path: Path) -> None:
    process = OneShotProcess("maintenance", listening(tmp_path), lambda: None)
    running = asyncio.create_task(process.run())
    while not (tmp_path / "ready").exists() and not running.done():
        await asyncio.sleep(0.01)
    pid = process.pid
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (tmp_path / "told").exists()
    assert not alive(pid)
    assert process.state is ChildState.DOWN


async def test_a_pass_that_is_cancelled_while_it_is_spawned_is_no_orphan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = OneShotProcess("maintenance", ["sleep", "1000"], lambda: None)
    spawn, spawned = process._spawn, []

    async def slowly(**_: object) -> asyncio.subprocess.Process:
        process = await spawn()
        spawned.append(process.pid)
        await asyncio.sleep(0.2)
        return process

    monkeypatch.setattr(process, "_spawn", slowly)
    running = asyncio.create_task(process.run())
    while not spawned and not running.done():
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not alive(spawned[0])
    assert process.state is ChildState.DOWN


async def test_a_pass_that_is_cancelled_while_it_cannot_be_spawned_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, spawning = OneShotProcess("maintenance", ["true"], lambda: None), asyncio.Event()

    async def refuse(**_: object) -> asyncio.subprocess.Process:
        spawning.set()
        await asyncio.sleep(0.05)
        raise BlockingIOError(11, "no more processes")

    monkeypatch.setattr(process, "_spawn", refuse)
    running = asyncio.create_task(process.run())
    await spawning.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_limit_of_the_plan_is_that_of_the_pass(tmp_path: Path) -> None:
    """A command that would not end is ended, and another pass is made."""
    log = tmp_path / "passes"
    store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
    store.start()
    await store.call(Store.open, time.time(), "test")
    process = OneShotProcess("maintenance", ["sh", "-c", f"echo pass >> {log}; exec sleep 1000"], lambda: None)
    scheduler = MaintenanceScheduler(Maintenance(every=0.01, idle=0.0, limit=0.5), process, lambda: False, store)
    running = asyncio.create_task(scheduler.run())
    deadline = time.monotonic() + 60.0
    while not (log.exists() and len(log.read_text().splitlines()) >= 2):
        assert time.monotonic() < deadline
        assert not running.done()
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert process.pid == 0
    await store.call(Store.close)
    await store.stop()
