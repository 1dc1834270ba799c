"""Whether calibration sets were made for the rack as it is: the active one, and each that is named."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.basis import Basis, basis_of, check_basis
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, NotFoundError
from pulsed.store.store import Store

RackChanged = Literal["refuse", "keep", "anew"]
"""What to do when the active set was made for another rack."""
_ADOPTED = "adopted-rack"
"""Tag of the set with which one of an older version, which did not say what it was made for, was taken over."""
_MOST_PARENTS = 10_000


class BasisChecker:
    """Knows what the sets of one rack were made for. ``adopted``: those that do not say, nor their parents."""

    def __init__(self, device: DeviceDescription, store: StoreThread, adopted: Basis | None = None) -> None:
        self.device, self.store, self.adopted = device, store, adopted

    async def check(self, calibration: CalibrationSet) -> None:
        """Raise :class:`ConfigError` unless ``calibration`` was made for this rack."""
        basis = await self.made_for(calibration)
        if basis is None:
            raise ConfigError(
                "does not say what rack it was made for", subject=f"calibration set {calibration.calibration_id}",
                value="none", legal="a set with it, or `pulsed cal import FILE --adopt`, which takes it for this one",
            )  # fmt: skip
        check_basis(calibration, self.device, basis)

    async def made_for(self, calibration: CalibrationSet) -> Basis | None:
        """Return what a set was made for, None when nobody knows.

        Clients of older versions leave it out of the children that they make.
        """
        for _ in range(_MOST_PARENTS):
            if calibration.made_for is not None or calibration.parent is None:
                break
            try:
                calibration = await self.store.call_patiently(Store.calibration, calibration.parent)
            except NotFoundError:
                break
        return calibration.made_for or self.adopted


@dataclass
class RackCalibrations:
    """The calibration sets of one rack: the active one, and what the others were made for."""

    active: CalibrationSet
    basis: BasisChecker

    async def named(self, calibration_id: str) -> CalibrationSet:
        """Return a stored set. Raises :class:`NotFoundError`, and :class:`ConfigError` for one of another rack."""
        if calibration_id == self.active.calibration_id:
            return self.active
        store = self.basis.store
        found = await store.call_patiently(Store.calibration, calibration_id)
        await self.basis.check(found)
        return found

    async def commit(self, calibration_id: str, expected: str, user: str, why: str) -> bool:
        """Make a stored set the active one if ``expected`` is; return whether another one was active before.

        Raises :class:`NotFoundError`, :class:`ConflictError`, and :class:`ConfigError` for one of another rack.
        """
        await self.named(calibration_id)
        store = self.basis.store
        new = await store.call(Store.commit_calibration, calibration_id, expected, time.time(), user, why)
        changed = new.calibration_id != self.active.calibration_id
        if changed:
            self.active = new
        return changed


async def open_calibrations(
    device: DeviceDescription, store: StoreThread, start: CalibrationSet | None, changed: RackChanged
) -> RackCalibrations:
    """Return the sets of a rack, with the one to start with as the active one.

    Without one in the store it is ``start``. One of an older version, which does not say what it was made for, is taken
    over for the rack as it is, once: a child of it says so from then on. Raises :class:`ConfigError` for one that was
    made for another rack, unless ``changed`` says what to do.
    """
    basis = BasisChecker(device, store)
    current = await store.call(Store.current_calibration)
    try:
        basis.adopted = (await store.call(Store.tagged_calibration, _ADOPTED)).made_for
    except NotFoundError:
        if current is not None and await basis.made_for(current) is None:
            why = "taken over for the rack as it is: an older version kept no record of what it was made for"
            current = await _put(store, current.adopted(device, _now()), why)
            await store.call(Store.tag_calibration, current.calibration_id, _ADOPTED)
            basis.adopted = current.made_for
    if current is None:
        return RackCalibrations(await _put(store, _begin(device, start, changed), ""), basis)
    try:
        await basis.check(current)
    except ConfigError as error:
        if changed == "refuse":
            raise
        if changed == "keep":
            current = await _put(store, current.adopted(device, _now()), f"kept: {error.message}")
        else:
            current = await _put(store, _begin(device, start, changed), f"begun again: {error.message}")
    return RackCalibrations(current, basis)


def _begin(device: DeviceDescription, start: CalibrationSet | None, changed: RackChanged) -> CalibrationSet:
    if start is None:
        raise ConfigError("there is no calibration set yet: name one to start from", subject=f"rack {device.name}")
    if start.made_for is None or changed == "keep":
        return msgspec.structs.replace(start, made_for=basis_of(device))
    check_basis(start, device)
    return start


async def _put(store: StoreThread, calibration: CalibrationSet, why: str) -> CalibrationSet:
    """Store a set, make it active and return it: a child, where the store has its values for another rack."""
    now = time.time()
    with contextlib.suppress(NotFoundError):
        stored = await store.call_patiently(Store.calibration, calibration.calibration_id)
        if stored.made_for != calibration.made_for:  # which the id does not tell: the store keeps the one it has
            calibration = msgspec.structs.replace(calibration, parent=stored.calibration_id, created=_now())
    if why:
        logs.get("calibration").warning("set is active", id=calibration.calibration_id, why=why)
    await store.call(Store.put_calibration, calibration, now)
    await store.call(Store.set_current_calibration, calibration.calibration_id, now, "daemon" if why else "", why)
    return calibration


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
