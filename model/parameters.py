"""The calibrated values that pulsed itself uses: by kind of subject, the unit and how many numbers each has."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pulsed.model.errors import InvalidValueError

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription


class Parameter(NamedTuple):
    """Its unit, and how many numbers it may be; empty: any number of them."""

    unit: str
    counts: tuple[int, ...] = (1,)


_FULL_SCALE = "full scale"
_DRAG = {
    "amplitude": _FULL_SCALE, "angle": "rad", "beta": "dt", "duration": "dt", "sigma": "dt", "phase": "rad",
    "error": "",
}  # fmt: skip
_READOUT = {
    "resonance": "Hz", "kappa": "Hz", "frequency": "Hz", "amplitude": _FULL_SCALE, "duration": "dt", "sigma": "dt",
    "width": "dt", "p01": "", "p10": "", "error": "", "highest": _FULL_SCALE, "ringdown": "s", "wait": "s",
}  # fmt: skip
_PAIR = {
    "amplitude": _FULL_SCALE, "duration": "dt", "sigma": "dt", "width": "dt", "rz_control": "rad", "rz_target": "rad",
    "error": "",
}  # fmt: skip
_CROSS_RESONANCE = {**_PAIR, "angle": "rad", "cancel.amplitude": _FULL_SCALE, "cancel.angle": "rad"}

PARAMETERS: dict[str, dict[str, Parameter]] = {
    "qubit": {
        **{name: Parameter("Hz") for name in ("f01", "anharmonicity")},
        **{name: Parameter("s") for name in ("t1", "t2", "t2star")},
        **{name: Parameter("") for name in ("thermal", "rb.error", "rb.simultaneous", "rb.x", "rb.sx")},
        **{f"{gate}.{name}": Parameter(unit) for gate in ("x", "sx") for name, unit in _DRAG.items()},
        **{f"readout.{name}": Parameter(unit) for name, unit in _READOUT.items()},
        "readout.kernel": Parameter("", ()),
        "readout.discriminator": Parameter(_FULL_SCALE, (5, 8)),
        "readout.assignment": Parameter("", (9,)),
        "crosstalk": Parameter("", ()),
    },
    "pair": {
        **{f"ecr.{name}": Parameter(unit) for name, unit in _CROSS_RESONANCE.items()},
        **{f"cz.{name}": Parameter(unit) for name, unit in _PAIR.items()},
        **{f"cr.{name}": Parameter("Hz") for name in ("ix", "iy", "iz", "zx", "zy", "zz")},
        **{name: Parameter("") for name in ("rb.error", "bell.fidelity", "cz.leakage", "ecr.leakage")},
        "zz": Parameter("Hz"),
    },
    "port": {
        "mixer.correction": Parameter("", (4,)),
        "mixer.offset": Parameter("", (2,)),
        "delay": Parameter("dt"),
        "bias": Parameter("A"),
        "distortion": Parameter("", ()),
    },
    "chip": {},
}


def subjects(device: DeviceDescription) -> dict[str, str]:
    """Return subject → kind for all that values can belong to. A pair is there in both directions."""
    found = {f"Q{q}": "qubit" for q in range(device.num_qubits)}
    for pair in device.couplings:
        found[f"Q{pair.control}-Q{pair.target}"] = found[f"Q{pair.target}-Q{pair.control}"] = "pair"
    return found | dict.fromkeys(device.ports, "port")


def parameter_of(name: str, device: DeviceDescription) -> Parameter:
    """Return what the value ``name`` has to be. Raises :class:`InvalidValueError` for a name that is none."""
    subject, _, parameter = name.partition(".")
    kinds = subjects(device)
    if subject not in kinds:
        raise InvalidValueError("no such subject", subject=name, value=subject, legal=", ".join(kinds))
    known = PARAMETERS[kinds[subject]]
    if parameter not in known:
        raise InvalidValueError("no such value", subject=subject, value=parameter, legal=", ".join(sorted(known)))
    return known[parameter]
