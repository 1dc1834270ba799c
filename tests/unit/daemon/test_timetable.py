"""When the rack is looked after."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.daemon.store_thread import StoreThread
from pulsed.daemon.timetable import Errand, Timetable, seconds_until_due
from pulsed.model.calibration import RunRecord
from pulsed.model.device import Maintenance
from pulsed.store import Store

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


def looked_after(tmp_path: Path, *ended: float) -> bool:
    """Whether a pass is made within a second and a half of its time, or soon if it is one.

    ``ended``: seconds from now, of a record that is there at the start, and of others that come right after it.
    """
    log = tmp_path / "passes"

    async def run() -> bool:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(store.store.open, time.time(), "test")
        began = time.time()
        errand = Errand("maintenance", ["sh", "-c", f"echo pass >> {log}"], lambda: None)
        table = Timetable(Maintenance(every=600.0, idle=0.0), errand, lambda: 0, store)
        running: asyncio.Task[None] | None = None
        for number, seconds in enumerate(ended):
            record = RunRecord(f"r{number}", "t1", "Q0", "check", "good", began, began + seconds)
            await store.call(store.store.put_run, record)
            running = running or asyncio.create_task(table.run())
            await asyncio.sleep(0)
        running = running or asyncio.create_task(table.run())
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline and not log.exists() and not running.done():
            await asyncio.sleep(0.02)
        found = log.exists()  # not the errand's state: the command may be over between two looks
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await errand.stop()
        await store.call(store.store.close)
        await store.stop()
        return found

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("ended", "made"),
    [((), False), ((-3600.0,), True), ((-1.0,), False), ((-599.5,), True), ((-599.5, 0.0), False), ((1e300,), False)],
)
def test_measurements_that_others_make_count(tmp_path: Path, ended: tuple[float, ...], made: bool) -> None:
    assert looked_after(tmp_path, *ended) is made


def test_a_record_from_the_future_is_one_of_now(tmp_path: Path) -> None:
    """It puts the next pass off by what the plan says, and not for ever."""

    async def measured() -> float:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(store.store.open, time.time(), "test")
        await store.call(store.store.put_run, RunRecord("r", "t1", "Q0", "check", "good", 0.0, 1e300))
        table = Timetable(PLAN, Errand("maintenance", ["true"], lambda: None), lambda: 0, store)
        found = await table._measured()
        await store.call(store.store.close)
        await store.stop()
        return found

    assert asyncio.run(measured()) <= time.time()


def test_a_pass_that_cannot_begin_is_put_off_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> tuple[bool, int]:
        store = StoreThread(Store(f"sqlite:///{tmp_path / 's.db'}", "sim5"))
        store.start()
        await store.call(store.store.open, time.time(), "test")
        errand = Errand("maintenance", ["true"], lambda: None)
        tries = []

        async def refuse(**_: object) -> None:
            tries.append(time.time())
            raise BlockingIOError(11, "no more processes")

        monkeypatch.setattr(errand, "_spawn", refuse)
        table = Timetable(Maintenance(every=0.001, idle=0.0), errand, lambda: 0, store)
        task = asyncio.create_task(table.run())
        deadline = time.monotonic() + 5.0
        while len(tries) < 2 and not task.done() and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        running = not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.call(store.store.close)
        await store.stop()
        return running, len(tries)

    running, tries = asyncio.run(run())
    assert running
    assert tries >= 2
