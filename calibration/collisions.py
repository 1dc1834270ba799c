"""Pairs that cross resonance cannot use: which direction, and which frequencies collide."""

from __future__ import annotations

from pulsed.model.calibration import CalibrationSet
from pulsed.model.chip_map import directions, measured_f01, measured_number
from pulsed.model.device import DeviceDescription

TOO_NEAR = 25e6
"""Hz: control and target this near to each other mix."""
TWO_PHOTON = (-12e6, 8e6)
"""Hz from half of the control's f02, in which the tone excites its state 2 with two photons."""
SAME_TARGETS = 17e6
"""Hz: two neighbours of a control this near to each other are driven by one tone."""


def collisions(device: DeviceDescription, calibration: CalibrationSet) -> dict[str, str]:
    """Return the pairs that measured frequencies make useless, with the collision named.

    See Hertzberg et al., npj Quantum Information 7, 129 (2021), for the kinds.
    """
    unused = directions(device, calibration)
    used = [(pair.control, pair.target) for pair in device.couplings if f"Q{pair.control}-Q{pair.target}" not in unused]
    found: dict[str, str] = {}
    for control, target in used:
        name = f"Q{control}-Q{target}"
        high, low = measured_f01(calibration, control), measured_f01(calibration, target)
        bend = measured_number(calibration, f"Q{control}.anharmonicity")
        if high is None or low is None:
            continue
        apart = high - low
        if abs(apart) < TOO_NEAR:
            found[name] = f"collision: Q{control} and Q{target} are {abs(apart) / 1e6:.1f} MHz apart"
        elif bend is not None and TWO_PHOTON[0] < apart + bend / 2 < TWO_PHOTON[1]:
            found[name] = f"collision: Q{target} is {abs(apart + bend / 2) / 1e6:.1f} MHz from f02/2 of Q{control}"
        for other in (t for c, t in used if c == control and t != target):
            near = measured_f01(calibration, other)
            if near is not None and abs(near - low) < SAME_TARGETS:
                why = f"collision: Q{target} and Q{other}, both neighbours of Q{control}, are "
                found.setdefault(name, f"{why}{abs(near - low) / 1e6:.1f} MHz apart")
    return found
