"""What refers to a value: the rows of the graph whose results mean something else once that value is another.

The edges of the graph say in what order things are measured. They do not say that the angle of a cross-resonance tone
is told in the frame that the target's own pulses define, nor that a CZ holds for one current through its coupler. A
value may be changed by anybody: by hand, by a routine without a row, by a set from a file. Whatever changes it, what
refers to it has to be looked at.
"""

from __future__ import annotations

import numpy as np

from pulsed import old_names
from pulsed.calibration.routine import qubits_of
from pulsed.model.calibration import Value
from pulsed.model.device import DeviceDescription
from pulsed.model.parameters import NONE, PARAMETERS, Dependents

__getattr__ = old_names(__name__)

KINDS = {"qubit": "qubit", "pair": "pair", "drive": "port", "readout": "port", "acquire": "port", "flux": "port"}
"""What a subject is there for → its kind in :data:`~pulsed.model.parameters.PARAMETERS`."""


def roles(device: DeviceDescription) -> dict[str, str]:
    """Return subject → key of :data:`KINDS`; a pair is there in both directions."""
    found = {f"Q{q}": "qubit" for q in range(device.num_qubits)}
    for row in device.qubits:
        found |= {row.drive: "drive", row.readout: "readout", row.acquire: "acquire"}
    for pair in device.couplings:
        found[f"Q{pair.control}-Q{pair.target}"] = found[f"Q{pair.target}-Q{pair.control}"] = "pair"
        if pair.flux is not None:
            found[pair.flux] = "flux"
    return found


def reference(name: str, device: DeviceDescription) -> Dependents:
    """Return who refers to the value ``name``: nobody, when it is none of the usual ones."""
    subject, _, parameter = name.partition(".")
    role = roles(device).get(subject)
    row = None if role is None else PARAMETERS[KINDS[role]].get(parameter)
    return NONE if row is None or role is None else row.dependents_on(role)


def concerns(subject: str, target: str, device: DeviceDescription) -> bool:
    """Whether a value of ``subject`` may be about ``target``: they share a qubit, or are the same pair.

    A flux line is about the pair whose coupler it tunes and about the two qubits.
    """
    kind = roles(device).get(subject, "")
    pairs = [{pair.control, pair.target} for pair in device.couplings if kind == "flux" and pair.flux == subject]
    own = set().union(*pairs) if pairs else set(qubits_of(subject, device))
    there = set(qubits_of(target, device))
    if kind in ("pair", "flux") and len(there) == 2:
        return there in (pairs or [own])
    return bool(own & there)


def far(old: Value, new: Value, slack: Dependents) -> bool:
    """Whether a value has moved by more than it may: any of several numbers, by the scale of the largest of them."""
    was, now = (np.atleast_1d(np.asarray(value.value, dtype=float)) for value in (old, new))
    if was.shape != now.shape:
        return True
    off = now - was
    if new.unit == "rad":
        off = (off + np.pi) % (2 * np.pi) - np.pi
    return bool(np.any(np.abs(off) > slack.absolute + slack.relative * np.abs(was).max(initial=0.0)))
