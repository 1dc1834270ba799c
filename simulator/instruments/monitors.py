"""The virtual instruments that no job plays on and that only interlocks read."""

from __future__ import annotations

from collections.abc import Callable

from pulsed.model.device import DeviceDescription
from pulsed.simulator.instruments.ls336 import VirtualLs336
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity, VirtualInstrument

MONITORS: dict[str, tuple[str, str, Callable[[VirtualIdentity], VirtualInstrument]]] = {
    "qcodes.instrument_drivers.Lakeshore:LakeshoreModel336": ("LSCI", "MODEL336", VirtualLs336),
}
"""Vendor, model and virtual instrument for each driver of an interlock; one that is not here is read where it is."""
_KEY = "interlocks."


def simulated_monitors(device: DeviceDescription) -> dict[str, tuple[str, ...]]:
    """Return by the key of its first interlock (``"interlocks.NAME"``) the keys of all that read one such instrument.

    Interlocks with the same driver and address read the same one.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name, interlock in device.interlocks.items():
        if interlock.driver in MONITORS:
            found.setdefault((interlock.driver, interlock.address), []).append(_KEY + name)
    return {names[0]: tuple(names) for names in found.values()}


def monitor_addresses(device: DeviceDescription) -> dict[str, str]:
    """Return the address that the description has for each of :func:`simulated_monitors`."""
    return {key: device.interlocks[key.removeprefix(_KEY)].address for key in simulated_monitors(device)}


def build_monitors(device: DeviceDescription) -> dict[str, VirtualInstrument]:
    """Return a virtual instrument for each of :func:`simulated_monitors`."""
    monitors: dict[str, VirtualInstrument] = {}
    for number, key in enumerate(simulated_monitors(device), 1):
        vendor, model, factory = MONITORS[device.interlocks[key.removeprefix(_KEY)].driver]
        monitors[key] = factory(VirtualIdentity(vendor, model, f"LSA{number:04d}"))
    return monitors
