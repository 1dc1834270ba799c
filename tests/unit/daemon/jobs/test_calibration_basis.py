"""What the daemon does with an active set that was made for another rack, or does not say."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from pulsed.daemon.jobs.calibration_basis import BasisChecker, open_calibrations
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.basis import basis_of
from pulsed.model.calibration import CalibrationSet, Value, load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError
from pulsed.store.store import Store

CONFIGS = Path(__file__).parents[4] / "configs"
DEVICE = load_device(CONFIGS / "sim5.toml")
FINER = DEVICE.model_copy(update={"dt": DEVICE.dt / 2})
START = load_calibration(CONFIGS / "calibrations" / "sim5.json")
OLD = msgspec.structs.replace(START, made_for=None)
"""As a version before had it in its store."""


@asynccontextmanager
async def opened(folder):
    store = StoreThread(Store(f"sqlite:///{folder / 'pulsed.sqlite'}", "sim5"))
    store.start()
    try:
        await store.call(Store.open, time.time(), "here")
        yield store
        await store.call(Store.close)
    finally:
        await store.stop()


async def put(store, calibration):
    await store.call(Store.put_calibration, calibration, time.time())
    await store.call(Store.set_current_calibration, calibration.calibration_id, time.time())


async def test_a_fresh_rack_begins_with_the_set_of_its_configuration(tmp_path):
    async with opened(tmp_path) as store:
        found = (await open_calibrations(DEVICE, store, START, "refuse")).active
        assert found == START
        assert (await open_calibrations(DEVICE, store, None, "refuse")).active == START


async def test_a_set_of_another_dt_is_refused_and_what_to_do_is_said(tmp_path):
    """It would play each pulse at half its length, and call itself active."""
    async with opened(tmp_path) as store:
        with pytest.raises(ConfigError, match="dt was 1 ns and is 1/2 ns"):
            await open_calibrations(FINER, store, START, "refuse")
        await open_calibrations(DEVICE, store, START, "refuse")
        with pytest.raises(ConfigError, match="dt was 1 ns and is 1/2 ns") as caught:
            await open_calibrations(FINER, store, None, "refuse")
        assert "--rack-changed keep" in caught.value.legal
        assert await store.call(Store.current_calibration) == START


async def test_a_person_may_keep_its_values_or_begin_anew(tmp_path):
    async with opened(tmp_path) as store:
        await open_calibrations(DEVICE, store, START, "refuse")
        sets = await open_calibrations(FINER, store, START, "keep")
        kept = sets.active
        assert (kept.values, kept.parent, kept.made_for) == (START.values, START.calibration_id, basis_of(FINER))
        log = await store.call(Store.calibration_log)
        assert log[0].why == "kept: was made for another rack: dt was 1 ns and is 1/2 ns"
        assert log[0].by == "daemon"
        with pytest.raises(ConfigError, match="made for another rack"):
            await sets.basis.check(START)
        anew = (await open_calibrations(DEVICE, store, START, "anew")).active
        assert anew == START


async def test_a_set_of_an_older_version_is_taken_over_once(tmp_path):
    async with opened(tmp_path) as store:
        await put(store, OLD)
        sets = await open_calibrations(DEVICE, store, START, "refuse")
        found = sets.active
        assert (found.values, found.parent, found.made_for) == (OLD.values, OLD.calibration_id, basis_of(DEVICE))
        assert "older version" in (await store.call(Store.calibration_log))[0].why
        await sets.basis.check(OLD)
        sets = await open_calibrations(DEVICE, store, START, "refuse")
        again = sets.active
        assert again == found
        # Active once more, and the rack another one: it is not taken over a second time.
        await put(store, OLD)
        with pytest.raises(ConfigError, match="made for another rack"):
            await open_calibrations(FINER, store, START, "refuse")


async def test_a_child_that_does_not_say_is_made_for_what_its_parent_was(tmp_path):
    """Clients of older versions leave out of the sets that they make what they do not know."""
    async with opened(tmp_path) as store:
        await open_calibrations(DEVICE, store, START, "refuse")
        child = msgspec.structs.replace(START.with_values({"Q0.x.amplitude": Value(0.1)}, "now"), made_for=None)
        await BasisChecker(DEVICE, store).check(child)
        with pytest.raises(ConfigError, match="dt was"):
            await BasisChecker(FINER, store).check(child)
        with pytest.raises(ConfigError, match="does not say") as caught:
            await BasisChecker(DEVICE, store).check(CalibrationSet("sim5", {}, "now"))
        assert "--adopt" in caught.value.legal


async def test_the_values_of_a_set_that_the_store_has_for_another_rack_are_those_of_a_child(tmp_path):
    """An id does not tell what a set was made for, and the store keeps the one it has: the next start is no riddle."""
    finer_start = msgspec.structs.replace(START, made_for=basis_of(FINER))
    async with opened(tmp_path) as store:
        await open_calibrations(DEVICE, store, START, "refuse")
        found = (await open_calibrations(FINER, store, finer_start, "anew")).active
        assert (found.values, found.made_for, found.parent) == (START.values, basis_of(FINER), START.calibration_id)
        sets = await open_calibrations(FINER, store, None, "refuse")
        again = sets.active
        assert again == found
        with pytest.raises(ConfigError, match="dt was 1 ns"):
            await sets.basis.check(await store.call(Store.calibration, START.calibration_id))


async def test_what_a_client_of_before_made_of_a_set_of_today_is_not_taken_over_for_another_rack(tmp_path):
    """It leaves out what the set was made for, which the parent tells."""
    child = msgspec.structs.replace(START.with_values({}, "2026-11-22"), made_for=None)
    async with opened(tmp_path) as store:
        await open_calibrations(DEVICE, store, START, "refuse")
        await put(store, child)
        with pytest.raises(ConfigError, match="dt was 1 ns and is 1/2 ns"):
            await open_calibrations(FINER, store, None, "refuse")
        assert (await open_calibrations(DEVICE, store, None, "refuse")).active == child
