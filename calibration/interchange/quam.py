"""States of QUAM 0.6: state.json and wiring.json, as Quantum Machines' stack keeps them."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pulsed.calibration.interchange.fields import Field, Ledger, read_json
from pulsed.calibration.interchange.ibm_pulses import from_samples
from pulsed.calibration.interchange.platform import Box, Oscillator, Pair, Platform, PlatformPort
from pulsed.calibration.interchange.pulses import DragNumbers, cosine, offset_removed, same_area, unlifted
from pulsed.calibration.interchange.quam_tree import Tree
from pulsed.calibration.interchange.readout import ours
from pulsed.model.errors import InvalidValueError

_GRID, _SHORTEST = 4, 16
"""ns: of an OPX's pulses."""
VOLTS = 0.5
"""Full scale of an output that is told in volts."""
DEMOD = 4096
"""Demodulated units of a full-scale mean per sample."""
_HZ = (1e6, 20e9)


def fits(data: Mapping[str, Any]) -> bool:
    """Whether the JSON of one file is a state or its wiring."""
    qubits = data.get("qubits")
    state = isinstance(qubits, dict) and any(isinstance(q, dict) and "xy" in q for q in qubits.values())
    return state or ("wiring" in data and "network" in data)


def read(files: Mapping[str, Path], ledger: Ledger) -> Platform:
    """Read a state. Raises :class:`ConfigError` and :class:`InvalidValueError` for files that are none."""
    data: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name, path in files.items():
        found = read_json(path)
        if not isinstance(found, dict):
            raise InvalidValueError(
                "is no state of QUAM", subject=str(path), legal="a table of qubits, or of the wiring"
            )
        data |= found
        origin |= dict.fromkeys(found, name)
    if not isinstance(data.get("qubits"), dict):
        raise InvalidValueError("no qubits", subject="quam", value=", ".join(files), legal="state.json with qubits")
    return _QuamReader(Tree(data, origin, ledger), ledger, next(iter(files.values())).resolve().parent.name).platform()


class _QuamReader:
    """One state on its way."""

    def __init__(self, tree: Tree, ledger: Ledger, name: str) -> None:
        self.tree, self.ledger = tree, ledger
        self.found = Platform("quam", name or "quam", ledger, granularity=_GRID, min_length=_SHORTEST,
                              wiring="wiring.json")  # fmt: skip

    def platform(self) -> Platform:
        """Return all of it."""
        host = self.tree.at("network", "host").text()
        address = f"TCPIP::{host}::80::SOCKET" if host else "unknown"
        self.found.boxes["opx"] = Box("opx", address)
        names = self.tree.at("active_qubit_names").value
        active = [str(name) for name in names] if isinstance(names, list) else self.tree.names("qubits")
        for name in active:
            self._qubit(name)
        for name in self.tree.names("qubit_pairs"):
            self._pair(name)
        return self.found

    def _qubit(self, name: str) -> None:
        at = ("qubits", name)
        drive = self.tree.at(*at, "f_01")
        readout, tone = self.tree.at(*at, "resonator", "f_01"), self.tree.at(*at, "resonator", "RF_frequency")
        f01, probe = drive.number(1e9, 20e9), tone.number(*_HZ) or readout.number(*_HZ)
        if f01 is None or probe is None:
            self.ledger.leave(self.tree.at(*at), "without f_01 of the qubit and of its resonator it is no qubit", name)
            return
        q = len(self.found.qubits)
        self.found.qubits.append(name)
        self.ledger.take(f"Q{q}.f01", f01, drive)
        self.ledger.take(f"Q{q}.readout.frequency", probe, tone if tone.number(*_HZ) else readout)
        self.found.drive[q] = self._port(f"d{q}", (*at, "xy"), "opx_output")
        self.found.readout[q] = self._port(f"ro{q}", (*at, "resonator"), "opx_output")
        self.found.acquire[q] = self._port(f"in{q}", (*at, "resonator"), "opx_input")
        for key, value in (("T1", "t1"), ("T2ramsey", "t2star"), ("T2echo", "t2")):
            source = self.tree.at(*at, key)
            if (number := source.number()) is not None:
                self.ledger.take(f"Q{q}.{value}", number, source)
        self._anharmonicity(q, at)
        for gate, operation in (("x", "x180"), ("sx", "x90")):
            self._rotation(q, gate, (*at, "xy", "operations", operation))
        self._readout(q, (*at, "resonator"))
        if self.tree.at(*at, "z").there:
            self.ledger.leave(
                self.tree.at(*at, "z"), "flux offsets of a qubit are in volts: keep their source as it is"
            )

    def _anharmonicity(self, q: int, at: tuple[str, ...]) -> None:
        upper, source = self.tree.at(*at, "f_12").number(*_HZ), self.tree.at(*at, "anharmonicity")
        value, f01 = source.number(), self.ledger.values[f"Q{q}.f01"].value
        if upper is not None and isinstance(f01, float):
            self.ledger.take(f"Q{q}.anharmonicity", upper - f01, self.tree.at(*at, "f_12"), "f12 − f01")
        elif value == 0:
            self.ledger.leave(source, "0 stands for not known")
        elif value is not None:
            self.ledger.take(f"Q{q}.anharmonicity", -abs(value), source,
                             "as it is" if value < 0 else "sign turned: states hold both")  # fmt: skip

    def _port(self, name: str, channel: tuple[str, ...], key: str) -> str:
        """Return the port of a channel: the one of another at the same place, or a new one with its oscillator."""
        place = "/".join(self.tree.place(*channel, key))
        place = "" if place.startswith("#") else place
        for known, port in self.found.ports.items():
            if place and port.path == place:
                return known
        power = self.tree.at(*channel, key, "full_scale_power_dbm")
        port = PlatformPort("opx" if place else "", place, full_scale=power.number(-100, 60))
        self.found.ports[name] = port
        sources = [self.tree.at(*channel, key, "upconverter_frequency"), self.tree.at(*channel, "LO_frequency"),
                   self.tree.at(*channel, "frequency_converter_up", "LO_frequency")]  # fmt: skip
        if source := next((one for one in sources if one.number(*_HZ) is not None), None):
            frequency = source.number(*_HZ) or 0.0
            port.lo = f"lo_{frequency / 1e6:.0f}MHz"  # those of one frequency keep their phases: one clock makes all
            self.found.oscillators[port.lo] = Oscillator(frequency)
            self.ledger.use(f"oscillators.{port.lo}.frequency", frequency, source)
        return name

    def _scale(self, port: str) -> tuple[float, str]:
        """Return by what an amplitude is divided: full scale in volts, or 1 where it is a part of an output power."""
        power = self.found.ports[port].full_scale
        if power is not None:
            return 1.0, f"relative to {power:g} dBm"
        return VOLTS, f"V, of {VOLTS:g} V full scale"

    # --- pulses ------------------------------------------------------------------------------------------------------

    def _rotation(self, q: int, gate: str, at: tuple[str, ...]) -> None:
        pulse = self.tree.at(*at)
        if not pulse.there:
            return
        get = {
            key: self.tree.at(*at, key) for key in ("length", "amplitude", "axis_angle", "sigma", "alpha", "detuning")
        }
        length, amplitude = get["length"].number(1, 1e6), get["amplitude"].number(-10, 10)
        if not length or not amplitude or length != int(length):
            self.ledger.leave(pulse, "a pulse without whole length and amplitude plays nothing")
            return
        size, unit = self._scale(self.found.drive[q])
        kind = str(self.tree.at(*at, "__class__").value or "").rpartition(".")[2]
        numbers = self._shape(kind, int(length), amplitude / size, get, at)
        if numbers is None:
            return
        angle = get["axis_angle"].number() or 0.0
        how = f"same area; amplitude {unit}"
        if abs(angle) > 2 * math.pi:
            angle, how = math.radians(angle), f"{how}; axis_angle in degrees, though QUAM's unit is rad"
        if (detuning := get["detuning"].number()) not in (None, 0.0):
            turn = math.degrees(math.pi * float(detuning or 0.0) * (length - 1) * 1e-9)
            self.ledger.leave(
                get["detuning"], f"a phase ramp, which turns the axis by {turn:.1f} degrees, is not played"
            )
        turned = cmath.rect(numbers.amplitude, numbers.angle + angle)
        numbers = numbers._replace(amplitude=abs(turned), angle=cmath.phase(turned))
        self.found.take_drag(f"Q{q}.{gate}", numbers, pulse, how)

    def _shape(
        self, kind: str, length: int, amplitude: float, get: Mapping[str, Field], at: tuple[str, ...]
    ) -> DragNumbers | None:
        beta = 0.0
        if kind.startswith("Drag"):
            alpha, anharmonicity = get["alpha"].number() or 0.0, self.tree.at(*at, "anharmonicity").number() or 0.0
            away = anharmonicity - (get["detuning"].number() or 0.0)
            if alpha and not away:
                self.ledger.leave(get["alpha"], "its anharmonicity is not known, so that it has no size", alpha)
            elif alpha:
                beta = alpha / (2 * math.pi * away) * 1e9
        if kind == "DragCosinePulse":
            shape = cosine(length)
            return from_samples(np.asarray(amplitude * (shape + 1j * beta * np.gradient(shape)), complex))
        sigma = get["sigma"].number(0.1, 1e5)
        if kind in ("DragGaussianPulse", "DragPulse", "GaussianPulse") and sigma is not None:
            subtracted = self.tree.at(*at, "subtracted").value is not False
            shape = (offset_removed if subtracted else unlifted)(length, sigma)
            return same_area(amplitude, shape, length, sigma, beta)
        if kind == "SquarePulse":
            return same_area(amplitude, np.ones(length), length, length / 4)
        self.ledger.leave(self.tree.at(*at), f"no {kind or 'pulse without __class__'} can be made of it", kind)
        return None

    # --- readout -----------------------------------------------------------------------------------------------------

    def _readout(self, q: int, at: tuple[str, ...]) -> None:
        pulse, name = (*at, "operations", "readout"), f"Q{q}.readout"
        length, amplitude = self.tree.at(*pulse, "length"), self.tree.at(*pulse, "amplitude")
        duration, size = length.number(1, 1e6), amplitude.number(0, 10)
        if not duration or not size:
            self.ledger.leave(self.tree.at(*pulse), "a readout without length and amplitude plays nothing")
            return
        scale, unit = self._scale(self.found.readout[q])
        for key, value, source, how in (
            ("duration", duration, length, "ns"), ("amplitude", size / scale, amplitude, unit),
            ("sigma", 1.0, length, "flanks of 2 dt for a rectangle"),
            ("width", duration - 4, length, "flanks of 2 dt for a rectangle"),
        ):  # fmt: skip
            self.ledger.take(f"{name}.{key}", value, source, how)
        flight = self.tree.at(*at, "time_of_flight")
        port = f"{self.found.acquire[q]}.delay"
        if (delay := flight.number(0, 1e5)) is not None and port not in self.ledger.values:
            self.ledger.take(port, delay, flight, "ns")
        error = self._confusion(q, at)
        self._discriminator(q, at, duration, error)

    def _confusion(self, q: int, at: tuple[str, ...]) -> float | None:
        matrix = self.tree.at(*at, "confusion_matrix")
        wrong0, wrong1 = matrix[0][1].number(0, 1), matrix[1][0].number(0, 1)
        if wrong0 is None or wrong1 is None:
            return None
        self.ledger.take(f"Q{q}.readout.p10", wrong0, matrix[0][1], "1 read of 0")
        self.ledger.take(f"Q{q}.readout.p01", wrong1, matrix[1][0], "0 read of 1")
        self.ledger.take(f"Q{q}.readout.error", (wrong0 + wrong1) / 2, matrix, "mean of both")
        return (wrong0 + wrong1) / 2

    def _discriminator(self, q: int, at: tuple[str, ...], duration: float, error: float | None) -> None:
        """Take centres, rotation and threshold: I = Re(S e^{−iθ}), the other sign than elsewhere."""
        pulse, centres = (*at, "operations", "readout"), self.tree.at(*at, "gef_centers")
        angle, threshold = self.tree.at(*pulse, "integration_weights_angle"), self.tree.at(*pulse, "threshold")
        theta, level = angle.number() or 0.0, threshold.number()
        points = [(centres[k][0].number(), centres[k][1].number()) for k in range(2)]
        scale = DEMOD / duration
        if any(part is None for point in points for part in point):
            if level is not None:
                self.ledger.leave(threshold, "without centres: a discriminator has to be measured")
            return
        turn = cmath.exp(1j * theta)  # the centres are of the rotated plane
        zero, one = (complex(i or 0.0, k or 0.0) * scale * turn for i, k in points)
        try:
            clouds = ours(zero, one, axis=theta, threshold=None if level is None else level * scale, error=error)
        except InvalidValueError as refused:
            self.ledger.leave(angle, f"{refused.message}: {refused.value}, {refused.legal}")
            return
        how = f"× 4096/length, turned back by {math.remainder(theta, 2 * math.pi):.3f} rad, conjugate"
        if abs(clouds.shift) > 1e-9:
            how += f"; both shifted by {clouds.shift:+.1%} of their distance, to where the threshold is"
        self.ledger.take(f"Q{q}.readout.discriminator", clouds.numbers(), centres, how)

    def _pair(self, name: str) -> None:
        at = ("qubit_pairs", name)
        ends = [self.tree.place(*at, key) for key in ("qubit_control", "qubit_target")]
        numbers = [self.found.number(end[-1]) if len(end) == 2 else None for end in ends]
        if None in numbers:
            self.ledger.leave(self.tree.at(*at), "a pair of qubits that are not there")
            return
        control, target = (int(number or 0) for number in numbers)
        if self.tree.at(*at, "cross_resonance").there:
            self.found.pairs.append(Pair(control, target))
            why = "tones without an echo: an echoed cross resonance is tuned up anew"
            self.ledger.leave(self.tree.at(*at, "cross_resonance"), why)
        for macro in self.tree.names(*at, "macros"):
            if macro.startswith("cz") and isinstance(self.tree.at(*at, "macros", macro).value, dict):
                self.ledger.leave(self.tree.at(*at, "macros", macro), "a flux pulse on a qubit has no gate here")
