"""The calibrated values that pulsed itself uses: one row for each, from which all else that is known of it follows.

A row says what a value may be (:mod:`pulsed.calibration.runner.transaction` and ``pulsed cal set`` go by it), which
rows of the calibration graph depend on it (:mod:`pulsed.calibration.graph.references`), whether reports show its drift,
and as which property the provider shows it. A new value is a new row here and no change elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pulsed import old_names
from pulsed.model.errors import InvalidValueError

if TYPE_CHECKING:
    from pulsed.model.device import DeviceDescription

__getattr__ = old_names(__name__)


class Limit(NamedTuple):
    """Between what a value may lie, and how far it may be from a good one before it: the larger of both jumps."""

    low: float
    high: float
    jump: float = math.inf
    relative: float = math.inf

    def allowed(self, old: float) -> float:
        """Return the largest step from ``old``; infinite when neither jump is given."""
        given = [step for step in (self.jump, self.relative * abs(old)) if math.isfinite(step)]
        return max(given, default=math.inf)


class Dependents(NamedTuple):
    """Which rows of the graph depend on a value, and how far it may move before they have to be looked at."""

    rows: tuple[str, ...] = ()
    """On every target that shares a qubit with the value's subject; those of a pair's value, on that pair."""
    absolute: float = 0.0
    relative: float = 0.0
    everywhere: bool = False
    """On every target of the chip."""


NONE = Dependents()
"""Of a value that nothing is derived from: an outcome, such as a time or an error."""


class CalibratedParameter(NamedTuple):
    """What is known of one calibrated value."""

    unit: str
    limit: Limit
    """Of a value that is one number; of several, each must be finite."""
    dependents: Dependents | Mapping[str, Dependents] = NONE
    """Of a port's value: by what the port is for (drive, readout, acquire, flux); not used on the others."""
    counts: tuple[int, ...] = (1,)
    """How many numbers it may be; empty: any number of them."""
    drift: bool = False
    """Whether a report shows how it has changed."""
    qubit_property: str = ""
    """Qiskit's name of the property of a qubit that it is."""

    def dependents_on(self, role: str) -> Dependents:
        """Return what depends on the value of a subject that is there for ``role``."""
        return self.dependents if isinstance(self.dependents, Dependents) else self.dependents.get(role, NONE)


_P = CalibratedParameter
_FULL_SCALE = "full scale"

FINITE = Limit(-math.inf, math.inf)
"""Of values without a legal range of their own."""
_LENGTH = Limit(0, 1e6)
_ANGLE = Limit(-7, 7)
_UNIT = Limit(0, 1)
_HALF = Limit(0, 0.5)
_FREQUENCY = Limit(1e9, 20e9, jump=5e6)

_READ = ("discriminator", "readout-optimum")
_SINGLE = ("fine-amplitude", "fine-drag", "fine-frequency", "rb")
_TONE = ("cr-phase", "cr-cancel", "fine-ecr", "rb-ecr")
_FLUX = ("cz-chevron", "cz-leakage", "cz-phase", "cz-virtual-z")
_BOTH = (*_SINGLE, "fine-ecr", "rb-ecr")


def _drag(*, drift: bool) -> dict[str, CalibratedParameter]:
    return {
        "amplitude": _P(_FULL_SCALE, Limit(0, 1, relative=0.3), Dependents(_BOTH, relative=0.02), drift=drift),
        # The frame of a qubit is that of its own pulses: a tone on it from another line has its angle from there.
        "angle": _P("rad", _ANGLE, Dependents((*_SINGLE, *_TONE), 0.02)),
        "beta": _P("dt", Limit(-50, 50), Dependents(_BOTH, 0.2)),
        "duration": _P("dt", _LENGTH, Dependents((*_SINGLE, "drag", *_TONE))),
        "sigma": _P("dt", _LENGTH, Dependents((*_SINGLE, "drag", *_TONE), 0.1)),
        "phase": _P("rad", FINITE, Dependents((*_SINGLE, *_TONE), 0.02)),
        "error": _P("", _UNIT),
    }


PARAMETERS: dict[str, dict[str, CalibratedParameter]] = {
    "qubit": {
        "t1": _P("s", _UNIT, drift=True, qubit_property="T1"),
        "t2": _P("s", _UNIT, qubit_property="T2"),
        "t2star": _P("s", _UNIT),
        "f01": _P(
            "Hz", _FREQUENCY, Dependents(("rabi", "drag", *_SINGLE, "cr-amplitude", *_TONE, *_FLUX), 3e5), drift=True,
            qubit_property="frequency",
        ),
        "anharmonicity": _P(
            "Hz", Limit(-1e9, 1e9, jump=5e6), Dependents(("drag", "cr-amplitude", "cz-chevron"), 1e6),
            qubit_property="anharmonicity",
        ),
        "thermal": _P("", _HALF),
        "rb.error": _P("", _UNIT),
        "rb.simultaneous": _P("", FINITE),
        "rb.x": _P("", FINITE),
        "rb.sx": _P("", FINITE),
        **{f"x.{name}": row for name, row in _drag(drift=True).items()},
        **{f"sx.{name}": row for name, row in _drag(drift=False).items()},
        "readout.resonance": _P("Hz", FINITE),
        "readout.kappa": _P("Hz", FINITE),
        "readout.frequency": _P("Hz", _FREQUENCY, Dependents(_READ, 2e5)),
        "readout.amplitude": _P(_FULL_SCALE, _UNIT, Dependents(_READ, relative=0.02)),
        "readout.duration": _P("dt", _LENGTH, Dependents(_READ)),
        "readout.sigma": _P("dt", _LENGTH, Dependents(_READ, 0.1)),
        "readout.width": _P("dt", _LENGTH, Dependents(_READ, 0.1)),
        "readout.error": _P("", _HALF, drift=True, qubit_property="readout_error"),
        "readout.p01": _P("", _HALF, qubit_property="prob_meas0_prep1"),
        "readout.p10": _P("", _HALF, qubit_property="prob_meas1_prep0"),
        "readout.highest": _P(_FULL_SCALE, FINITE, Dependents(("readout-optimum",), relative=0.2)),
        "readout.ringdown": _P("s", FINITE),
        "readout.wait": _P("s", FINITE),
        "readout.kernel": _P("", FINITE, Dependents(_READ, relative=0.02), counts=()),
        "readout.discriminator": _P(_FULL_SCALE, FINITE, Dependents(_READ, relative=0.2), counts=(5, 8)),
        "readout.assignment": _P("", FINITE, counts=(9,)),
        "crosstalk": _P("", FINITE, Dependents((*_SINGLE, *_TONE), 2e-3, everywhere=True), counts=()),
    },
    "pair": {
        "ecr.amplitude": _P(_FULL_SCALE, _UNIT, Dependents(_TONE, relative=0.02)),
        "ecr.angle": _P("rad", _ANGLE, Dependents(_TONE[1:], 0.05)),
        "ecr.cancel.amplitude": _P(_FULL_SCALE, _UNIT, Dependents(_TONE[2:], 0.005)),
        "ecr.cancel.angle": _P("rad", _ANGLE, Dependents(_TONE[2:], 0.2)),
        "ecr.rz_control": _P("rad", FINITE, Dependents(_TONE[2:], 0.02)),
        "ecr.rz_target": _P("rad", FINITE, Dependents(_TONE[2:], 0.02)),
        "ecr.duration": _P("dt", _LENGTH, Dependents(_TONE)),
        "ecr.sigma": _P("dt", _LENGTH, Dependents(_TONE)),
        "ecr.width": _P("dt", _LENGTH, Dependents(_TONE)),
        "ecr.error": _P("", _UNIT, drift=True),
        "cz.amplitude": _P(_FULL_SCALE, Limit(-1, 1), Dependents(_FLUX[1:], relative=0.005)),
        "cz.width": _P("dt", _LENGTH, Dependents(_FLUX[1:], 2.0)),
        "cz.duration": _P("dt", _LENGTH, Dependents(_FLUX[1:])),
        "cz.sigma": _P("dt", _LENGTH, Dependents(_FLUX[1:])),
        "cz.rz_control": _P("rad", FINITE, Dependents(_FLUX[3:], 0.05)),
        "cz.rz_target": _P("rad", FINITE, Dependents(_FLUX[3:], 0.05)),
        "cz.error": _P("", _UNIT),
        "cz.leakage": _P("", FINITE),
        **{f"cr.{name}": _P("Hz", FINITE) for name in ("ix", "iy", "iz", "zx", "zy", "zz")},
        "rb.error": _P("", _UNIT),
        "bell.fidelity": _P("", FINITE),
        "ecr.leakage": _P("", FINITE),
        "ecr.simultaneous": _P("", FINITE),
        "zz": _P("Hz", FINITE),
    },
    "port": {
        "mixer.correction": _P(
            "", FINITE, {"drive": Dependents((*_SINGLE, *_TONE), 0.02), "readout": Dependents(_READ, 0.02)}, counts=(4,)
        ),
        "mixer.offset": _P(
            "", FINITE, {"drive": Dependents((*_SINGLE, *_TONE), 0.002), "readout": Dependents(_READ, 0.002)},
            counts=(2,),
        ),
        "delay": _P("dt", Limit(0, 1e5), {"acquire": Dependents(_READ, 2.0)}),
        # The current detunes the qubits beside the coupler, too.
        "bias": _P("A", FINITE, {"flux": Dependents(("ramsey", "fine-frequency", *_FLUX), relative=1e-4)}),
        "distortion": _P("", FINITE, {"flux": Dependents(_FLUX, relative=0.01)}, counts=()),
    },
    "chip": {},
}  # fmt: skip
"""By kind of subject and name."""

_QUBIT = re.compile(r"Q\d+")


def subjects(device: DeviceDescription) -> dict[str, str]:
    """Return subject → kind for all that values can belong to. A pair is there in both directions."""
    found = {f"Q{q}": "qubit" for q in range(device.num_qubits)}
    for pair in device.couplings:
        found[f"Q{pair.control}-Q{pair.target}"] = found[f"Q{pair.target}-Q{pair.control}"] = "pair"
    return found | dict.fromkeys(device.ports, "port")


def row_of(name: str) -> CalibratedParameter | None:
    """Return the row of the value ``name``; None for a value of somebody else's routine."""
    subject, _, parameter = name.partition(".")
    first, _, second = subject.partition("-")
    kind = "port" if not _QUBIT.fullmatch(first) else "pair" if _QUBIT.fullmatch(second) else "qubit"
    return PARAMETERS[kind].get(parameter)


def qubit_properties() -> dict[str, str]:
    """Return Qiskit's name of a property of a qubit → the name of the calibrated value."""
    return {row.qubit_property: name for name, row in PARAMETERS["qubit"].items() if row.qubit_property}


def parameter_of(name: str, device: DeviceDescription) -> CalibratedParameter:
    """Return what the value ``name`` has to be. Raises :class:`InvalidValueError` for a name that is none."""
    subject, _, parameter = name.partition(".")
    kinds = subjects(device)
    if subject not in kinds:
        raise InvalidValueError("no such subject", subject=name, value=subject, legal=", ".join(kinds))
    known = PARAMETERS[kinds[subject]]
    if parameter not in known:
        raise InvalidValueError("no such value", subject=subject, value=parameter, legal=", ".join(sorted(known)))
    return known[parameter]
