"""The commands of IBM's pulse defaults as the values of our gates: the shapes are the same, and so is dt."""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pulsed.calibration.interchange.fields import Field
from pulsed.calibration.interchange.platform import Platform
from pulsed.calibration.interchange.pulses import DragNumbers, same_area

_SILENT = ("fc", "delay", "acquire", "setf", "shiftf", "setp", "snapshot")
"""What is no pulse."""


class Commands:
    """The entries of ``cmd_def`` by gate and qubits, and the pulses that they name.

    Args:
        found: what is being read; values are entered there.
        defs: the file.

    """

    def __init__(self, found: Platform, defs: Field) -> None:
        self.found, self.ledger = found, found.ledger
        self._commands: dict[tuple[str, tuple[int, ...]], Field] = {}
        for command in defs["cmd_def"].rows():
            name, qubits = command["name"].value, command["qubits"].value
            if isinstance(name, str) and isinstance(qubits, list) and all(isinstance(q, int) for q in qubits):
                self._commands[name, tuple(qubits)] = command["sequence"]
        self._library = {pulse["name"].value: pulse["samples"] for pulse in defs["pulse_library"].rows()}

    def rotation(self, q: int, gate: str) -> None:
        """Enter x or sx of a qubit, when there is one pulse of it on the drive."""
        sequence = self._commands.get((gate, (q,)))
        if sequence is None:
            return
        plays = [row for row in sequence.rows() if row["ch"].value == f"d{q}" and row["name"].value not in _SILENT]
        if len(plays) != 1:
            self.ledger.leave(sequence, f"{len(plays)} pulses on d{q}: one is expected")
            return
        play = plays[0]
        if play["name"].value == "parametric_pulse":
            numbers = self._drag(play)
            how = "as it is: the shape and dt are the same"
        else:
            numbers, how = self._sampled(play), "same area and width as its samples"
        if numbers is not None:
            self.found.take_drag(f"Q{q}.{gate}", numbers, play, how)

    def measurement(self, q: int) -> None:
        """Enter the readout of a qubit: its own command, or the one that measures all."""
        for (name, qubits), sequence in self._commands.items():
            if name != "measure" or q not in qubits:
                continue
            for row in sequence.rows():
                if row["ch"].value == f"m{q}" and row["name"].value not in _SILENT:
                    self._readout(q, row)
                    return

    def _readout(self, q: int, play: Field) -> None:
        parameters, name = play["parameters"], f"Q{q}.readout"
        shape, duration = play["pulse_shape"].value, parameters["duration"].number(1, 1e6)
        amplitude = _amplitude(parameters)
        if shape not in ("gaussian_square", "constant") or not duration or amplitude is None:
            self.ledger.leave(play, "a readout is read of a constant or a Gaussian with a flat top", str(shape))
            return
        sigma = parameters["sigma"].number(0.1, 1e5) if shape == "gaussian_square" else 1.0
        width = parameters["width"].number(0, 1e6) if shape == "gaussian_square" else duration - 4
        if sigma is None or width is None:
            self.ledger.leave(play, "its flanks are missing")
            return
        for key, value in {"duration": duration, "amplitude": abs(amplitude), "sigma": sigma, "width": width}.items():
            self.ledger.take(f"{name}.{key}", value, play, "as it is" if key != "amplitude" else "its modulus")

    def echo(self, control: int, target: int) -> None:
        """Enter the echoed cross resonance of a pair: its own command, or the tones of its cx."""
        for gate in ("ecr", "cx"):
            sequence = self._commands.get((gate, (control, target)))
            if sequence is not None and self._tones(control, target, gate, sequence):
                return

    def _tones(self, control: int, target: int, gate: str, sequence: Field) -> bool:
        rows = sorted(sequence.rows(), key=lambda row: row["t0"].number(0, 1e7) or 0.0)
        tones = [row for row in rows if row["pulse_shape"].value == "gaussian_square"]
        on = [row for row in tones if str(row["ch"].value).startswith("u")]
        if not on:
            return False
        first, name = on[0], f"Q{control}-Q{target}.ecr"
        beside = [row for row in tones if row["ch"].value == f"d{target}" and row["t0"].value == first["t0"].value]
        how = f"of the first half of {gate}, with the phase of its frame"
        parameters, drive = first["parameters"], _amplitude(first["parameters"])
        shape = {key: parameters[key].number(0, 1e6) for key in ("duration", "sigma", "width")}
        if drive is None or None in shape.values():
            self.ledger.leave(first, "a tone without amplitude or shape")
            return False
        cancel = _amplitude(beside[0]["parameters"]) if beside else 0j
        drive *= cmath.exp(1j * _frame(rows, str(first["ch"].value), first))
        values = {
            **{key: float(value or 0.0) for key, value in shape.items()}, "amplitude": abs(drive),
            "angle": cmath.phase(drive), "cancel.amplitude": abs(cancel or 0j),
            "cancel.angle": cmath.phase(cancel or 0j),
        }  # fmt: skip
        for key, value in values.items():
            self.ledger.take(f"{name}.{key}", value, first, how)
        if gate == "ecr":
            self._turns(name, rows, first, {f"d{control}": "rz_control", f"d{target}": "rz_target"})
        return True

    def _turns(self, name: str, rows: list[Field], first: Field, lines: dict[str, str]) -> None:
        """Enter the virtual z that a gate ends with: a frame that is shifted by φ after it is rz(−φ)."""
        start = first["t0"].number(0, 1e7) or 0.0
        for row in rows:
            key = lines.get(str(row["ch"].value))
            after = (row["t0"].number(0, 1e7) or 0.0) > start
            phase = row["phase"].number() if row["name"].value == "fc" and after else None
            if key is not None and phase is not None:
                self.ledger.take(f"{name}.{key}", -phase, row["phase"], "rz is minus the shift of the frame")

    def _drag(self, play: Field) -> DragNumbers | None:
        parameters = play["parameters"]
        amplitude, duration = _amplitude(parameters), parameters["duration"].number(1, 1e6)
        sigma = parameters["sigma"].number(0.1, 1e5)
        beta = parameters["beta"].number() if play["pulse_shape"].value == "drag" else 0.0
        if play["pulse_shape"].value not in ("drag", "gaussian") or None in (amplitude, duration, sigma, beta):
            self.ledger.leave(play, "no DRAG pulse can be read of it", str(play["pulse_shape"].value))
            return None
        value = amplitude or 0j
        return DragNumbers(abs(value), cmath.phase(value), beta or 0.0, duration or 0.0, sigma or 0.0)

    def _sampled(self, play: Field) -> DragNumbers | None:
        """Return a DRAG pulse for one of the library: of the same area, phase and width."""
        source = self._library.get(play["name"].value)
        samples = None if source is None else np.array(list(_samples(source)))
        if samples is None or len(samples) < 8 or not np.isfinite(samples).all() or not samples.any():
            self.ledger.leave(play, "a pulse that the library does not have", str(play["name"].value))
            return None
        return from_samples(samples)


def from_samples(samples: npt.NDArray[np.complex128]) -> DragNumbers:
    """Return the DRAG pulse of the area, phase and second moment of ``samples``, with the beta nearest to them."""
    angle = cmath.phase(complex(samples.sum()))
    turned = samples * np.exp(-1j * angle)
    t = np.arange(len(samples)) + 0.5 - len(samples) / 2
    weight = np.maximum(turned.real, 0)
    sigma = math.sqrt(float((weight * t**2).sum() / weight.sum()))
    for _ in range(20):  # what is cut off at the ends makes the moment smaller than sigma squared
        shape = np.exp(-0.5 * (t / sigma) ** 2)
        shape -= math.exp(-0.5 * ((len(t) / 2 + 1) / sigma) ** 2)
        seen = math.sqrt(float((shape * t**2).sum() / shape.sum()))
        sigma *= math.sqrt(float((weight * t**2).sum() / weight.sum())) / seen
    tilt = -t / sigma**2 * turned.real
    beta = float((turned.imag * tilt).sum() / (tilt**2).sum())
    return same_area(1.0, turned.real, len(samples), sigma, beta, angle)


def _samples(source: Field) -> Iterator[complex]:
    for row in source.value if isinstance(source.value, list) else ():
        if isinstance(row, list) and len(row) == 2 and all(isinstance(part, int | float) for part in row):
            yield complex(*row)
        elif isinstance(row, int | float):
            yield complex(row)


def _amplitude(parameters: Field) -> complex | None:
    """Return the complex amplitude: two numbers, or one with ``angle`` beside it."""
    amp = parameters["amp"]
    if isinstance(amp.value, list):
        real, imaginary = amp[0].number(-1, 1), amp[1].number(-1, 1)
        return None if real is None or imaginary is None else complex(real, imaginary)
    number = amp.number(-1, 1)
    return None if number is None else cmath.rect(number, parameters["angle"].number() or 0.0)


def _frame(rows: list[Field], channel: str, until: Field) -> float:
    """Return how far a channel's frame has been shifted when ``until`` plays."""
    phase = 0.0
    for row in rows:
        if row is until:
            break
        if row["name"].value == "fc" and row["ch"].value == channel:
            phase += row["phase"].number() or 0.0
    return phase
