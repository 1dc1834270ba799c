"""Calibration values computed from a chip's true parameters.

``python -m pulsed.simulator.engine.tuneup --device RACK --out FILE`` writes them as a calibration set.

Every number is computed, from the propagators that the simulated rack itself uses: pulse parameters by solving for
the wanted unitary, gate errors as average gate infidelity with decoherence, readout values from simulated shots.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from pulsed.model.basis import basis_of
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import load_device
from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.hamiltonian import zz_rate
from pulsed.simulator.dynamics.lines import ideal_correction, low_pass, settling
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.angles import ECR, conditional, generators, transverse, virtual
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.gates import Burst, Gates, rotation
from pulsed.simulator.readout.response import respond

Complex = NDArray[np.complex128]

PHOTONS = 3.0
READOUT_LENGTH, READOUT_SIGMA, READOUT_WIDTH = 800, 8.0, 768.0
CR_AMPLITUDE, CR_RABI = 0.9, 25e6
"""Largest amplitude of a cross-resonance tone, and the largest Rabi frequency (Hz) near a two-photon transition."""
CZ_SHAPES, CZ_WIDTH = ((88, 12.0), (112, 20.0)), 40.0
"""Duration and sigma of the flux pulses that are tried, and the width (samples) that the search begins with."""
SHOTS, PERIOD = 20_000, 1_000_000
"""Shots for the readout's errors, and a period (samples) after which nothing of a shot remains."""


class Tuneup:
    """Computes the values of one chip."""

    def __init__(
        self,
        chip: Chip,
        seed: int = 0,
        drive_lo: float = 5.10e9,
        readout_lo: float = 7.11e9,
        cr_amplitude: float = CR_AMPLITUDE,
        inputs: Sequence[str] = ("in",),
    ) -> None:
        self.inputs = inputs
        self.chip = chip
        self.cr_amplitude = cr_amplitude
        self.engine = Engine(chip, seed)
        self.readout_lo = readout_lo
        self.lines = tuple(
            LineSettings(w.name, 0.0)
            if w.flux is not None
            else LineSettings(w.name, readout_lo if w.reads else drive_lo, True, *ideal_correction(w))
            for w in chip.wires
        )
        self.gates = Gates(chip, self.lines)
        self.values: dict[str, Value] = {}
        self._now = datetime.now(UTC).isoformat(timespec="seconds")

    def put(self, name: str, value: float | tuple[float, ...], unit: str = "", stderr: float | None = None) -> None:
        """Enter one value."""
        plain = tuple(float(v) for v in value) if isinstance(value, tuple) else float(value)
        self.values[name] = Value(plain, unit, stderr, self._now, "tuneup", self.chip.name, "good")

    def run(self) -> dict[str, Value]:
        """Return all values."""
        for q, qubit in enumerate(self.chip.qubits):
            self.put(f"Q{q}.f01", qubit.frequency, "Hz")
            self.put(f"Q{q}.anharmonicity", qubit.anharmonicity, "Hz")
            self.put(f"Q{q}.t1", qubit.t1, "s")
            self.put(f"Q{q}.t2", qubit.t2_echo, "s")
            self.put(f"Q{q}.t2star", qubit.t2_star, "s")
            self.put(f"Q{q}.thermal", qubit.thermal)
            self.rotations(q)
        for wire in self.chip.wires:
            if wire.flux is not None:
                self.put(f"{wire.name}.bias", wire.idle_bias, "A")
                continue
            correction, offset = ideal_correction(wire)
            self.put(f"{wire.name}.mixer.correction", correction)
            self.put(f"{wire.name}.mixer.offset", offset)
        for name in self.inputs:
            self.put(f"{name}.delay", self.chip.amplifier.delay, "dt")
        for index, coupling in enumerate(self.chip.couplings):
            control, target = sorted(coupling.qubits, key=lambda q: -self.chip.qubits[q].frequency)
            if coupling.coupler is None:
                self.cross_resonance(control, target)
                if self.chip.effects.idle_zz:
                    self.put(f"Q{control}-Q{target}.zz", zz_rate(self.chip, control, target), "Hz")
            else:
                self.controlled_phase(index, control, target)
        self.readout()
        return self.values

    # Single-qubit pulses

    def drag(self, q: int, parameters: NDArray[np.float64]) -> Burst:
        """Return a DRAG pulse with (amplitude, beta, angle) on qubit ``q`` at the shot's start."""
        amplitude, beta, angle = (float(p) for p in parameters)
        pulse = Drag(duration=32, amp=amplitude, sigma=8.0, beta=beta, angle=angle, limit_amplitude=False)
        return Burst(q, 0, pulse.envelope(), self.chip.qubits[q].frequency)

    def rotations(self, q: int) -> None:
        """Find x and sx: amplitude, beta and angle that give the rotation exactly, no virtual z left over."""
        for name, theta in (("x", math.pi), ("sx", math.pi / 2)):
            wanted = rotation(theta)

            def residual(p: NDArray[np.float64], wanted: Complex = wanted) -> NDArray[np.float64]:
                return generators(wanted.conj().T @ self.gates.unitary([self.drag(q, p)], (q,), 32))

            guess = self._guess(q, theta)
            found = least_squares(residual, guess, xtol=1e-12, ftol=1e-14, gtol=1e-14)
            amplitude, beta, angle = (float(x) for x in found.x)
            error = self.gates.error([self.drag(q, found.x)], (q,), 32, wanted)
            self.put(f"Q{q}.{name}.amplitude", amplitude, "full scale")
            self.put(f"Q{q}.{name}.angle", angle, "rad")
            self.put(f"Q{q}.{name}.beta", beta, "dt")
            self.put(f"Q{q}.{name}.duration", 32.0, "dt")
            self.put(f"Q{q}.{name}.sigma", 8.0, "dt")
            self.put(f"Q{q}.{name}.phase", 0.0, "rad")
            self.put(f"Q{q}.{name}.error", error)

    def _guess(self, q: int, theta: float) -> NDArray[np.float64]:
        """Return amplitude, beta and angle of first order: area, -1/alpha, and the phase of the line."""
        qubit = self.chip.qubits[q]
        beta = -1e9 / (2 * math.pi * qubit.anharmonicity)
        small = self.gates.unitary([self.drag(q, np.array([0.05, beta, 0.0]))], (q,), 32)
        turn = 1j * small[1, 0] / small[0, 0]
        return np.array([0.05 * theta / (2 * abs(turn)), beta, -float(np.angle(turn))])

    # Cross resonance

    def cross_resonance(self, control: int, target: int) -> None:
        """Find the shortest echoed cross resonance of a pair within the amplitude limits.

        Edges of 12 ns: shorter ones gain 5 % of the time and turn neighbours that are 25 MHz away through crosstalk.
        """
        delta = self.chip.qubits[control].frequency - self.chip.qubits[target].frequency
        alpha = -self.chip.qubits[control].anharmonicity
        near = abs(delta - alpha / 2) < 30e6
        sigma = 24.0 if near else 12.0
        limit = self.cr_amplitude
        if near:
            limit = min(limit, CR_RABI / abs(self.gates.response(control, self.chip.qubits[target].frequency)))
        duration = 96
        while True:
            half = self._half(control, target, duration, sigma)
            if abs(half[0]) <= limit:
                break
            duration += 8
            if duration > 600:
                return
        self._finish(control, target, duration, sigma, half)

    def _tones(
        self, control: int, target: int, duration: int, sigma: float, drive: complex, cancel: complex
    ) -> list[Burst]:
        frequency = self.chip.qubits[target].frequency
        width = duration - 4 * sigma
        shape = GaussianSquare(duration=duration, amp=1.0, sigma=sigma, width=width).envelope()
        return [Burst(control, 0, drive * shape, frequency), Burst(target, 0, cancel * shape, frequency)]

    def _half(self, control: int, target: int, duration: int, sigma: float) -> tuple[complex, complex]:
        """Return drive and cancel amplitudes of a half pulse that makes RZX(pi/4) and no IX, IY, ZY.

        Newton's iteration on the rotation of the target for either state of the control.
        """
        frequency = self.chip.qubits[target].frequency
        shape = self._tones(control, target, duration, sigma, 1.0, 1.0)[1].envelope
        area = float(np.abs(shape).sum()) * 1e-9
        response = self.gates.response(target, frequency)
        per_cancel, line = 2 * math.pi * abs(response) * area, float(np.angle(response))
        drive, cancel = 0.4 * np.exp(1j * (math.pi - line)), 0j
        for _ in range(12):
            tones = self._tones(control, target, duration, sigma, drive, cancel)
            u = self.gates.unitary(tones, (control, target), duration)
            zero, one = transverse(u[:2, :2]), transverse(u[2:, 2:])
            common, split = (zero + one) / 2, (zero - one) / 2
            if abs(split - math.pi / 4) < 1e-3 and abs(common) < 1e-3:
                break
            factor = (math.pi / 4) / split
            factor *= float(np.clip(abs(factor), 0.6, 1.6)) / abs(factor)
            drive *= factor
            cancel = factor * (cancel - common / per_cancel * np.exp(-1j * line))
            if abs(drive) > 3:
                break
        return complex(drive), complex(cancel)

    def _echo(
        self, control: int, target: int, duration: int, sigma: float, half: tuple[complex, complex]
    ) -> list[Burst]:
        first = self._tones(control, target, duration, sigma, *half)
        second = self._tones(control, target, duration, sigma, -half[0], -half[1])
        values = [self.values[f"Q{control}.x.{k}"].value for k in ("amplitude", "beta", "angle")]
        flip = self.drag(control, np.array(values, dtype=float))
        later = [b.at(duration + 32) for b in second]
        return [*first, flip.at(duration), *later]

    def _finish(self, control: int, target: int, duration: int, sigma: float, half: tuple[complex, complex]) -> None:
        total, pair = 2 * duration + 32, (control, target)

        def unpack(p: NDArray[np.float64]) -> tuple[list[Burst], Complex]:
            drive, cancel = complex(p[0], p[1]), complex(p[2], p[3])
            z = np.exp(-0.5j * p[4] * np.array([1, 1, -1, -1]) - 0.5j * p[5] * np.array([1, -1, 1, -1]))
            return self._echo(control, target, duration, sigma, (drive, cancel)), np.diag(z)

        def residual(p: NDArray[np.float64]) -> NDArray[np.float64]:
            bursts, z = unpack(p)
            return generators(ECR.conj().T @ z @ self.gates.unitary(bursts, pair, total))

        first = self.gates.unitary(self._echo(control, target, duration, sigma, half), pair, total)
        rz = virtual(first)
        guess = np.array([half[0].real, half[0].imag, half[1].real, half[1].imag, *rz])
        found = least_squares(residual, guess, x_scale=np.array([0.1, 0.1, 0.02, 0.02, 1, 1]), xtol=1e-9)
        bursts, z = unpack(found.x)
        drive, cancel = complex(*found.x[:2]), complex(*found.x[2:4])
        error = self.gates.error(bursts, pair, total, z.conj().T @ ECR)
        name = f"Q{control}-Q{target}.ecr"
        self.put(f"{name}.duration", duration, "dt")
        self.put(f"{name}.sigma", sigma, "dt")
        self.put(f"{name}.width", duration - 4 * sigma, "dt")
        self.put(f"{name}.amplitude", abs(drive), "full scale")
        self.put(f"{name}.angle", float(np.angle(drive)), "rad")
        self.put(f"{name}.cancel.amplitude", abs(cancel), "full scale")
        self.put(f"{name}.cancel.angle", float(np.angle(cancel)), "rad")
        self.put(f"{name}.rz_control", _wrapped(found.x[4]), "rad")
        self.put(f"{name}.rz_target", _wrapped(found.x[5]), "rad")
        self.put(f"{name}.error", error)

    # Coupler

    def _flux(self, index: int, duration: int, sigma: float, amplitude: float, width: float) -> list[Burst]:
        shape = GaussianSquare(duration=duration, amp=1.0, sigma=sigma, width=width).envelope()
        return [Burst(None, 0, amplitude * shape, flux=index)]

    def controlled_phase(self, index: int, control: int, target: int) -> None:
        """Find the flux pulse on the coupler of coupling ``index`` that makes a CZ with the least error.

        For each of a few lengths: the smallest amplitude with a conditional phase of pi, then amplitude and width for
        that phase and no leakage, the virtual z that are left, and the error with decoherence.
        """
        pair, wanted = (control, target), np.diag([1.0, 1.0, 1.0, -1.0]).astype(complex)
        rest = next(settling(w.distortion) for w in self.chip.wires if w.flux == index)
        found: list[tuple[float, float, float, int, float, NDArray[np.float64]]] = []
        for duration, sigma in CZ_SHAPES:

            def unitary(amplitude: float, width: float, duration: int = duration, sigma: float = sigma) -> Complex:
                return self.gates.unitary(self._flux(index, duration, sigma, amplitude, width), pair, duration)

            def residual(p: NDArray[np.float64], unitary: Callable[..., Complex] = unitary) -> NDArray[np.float64]:
                u = unitary(*p)
                lost = np.sqrt(np.maximum(0.0, 1 - (np.abs(u) ** 2).sum(axis=0)))
                return np.array([_wrapped(conditional(u) - math.pi), lost[2], lost[3]])

            amplitudes = np.linspace(0.05, 0.95, 61)
            phases = np.zeros(1)
            for amplitude in amplitudes:
                phases = np.unwrap([*phases, conditional(unitary(amplitude, CZ_WIDTH))])
                if abs(phases[-1]) >= math.pi:
                    break
            else:
                continue
            fit = least_squares(residual, [amplitude, CZ_WIDTH], x_scale=[0.01, 4.0], diff_step=1e-5, max_nfev=15)
            u = unitary(*fit.x)
            rz = np.angle([u[2, 2] / u[0, 0], u[1, 1] / u[0, 0]])
            turn = np.diag(np.exp(1j * np.array([0.0, rz[1], rz[0], rz[0] + rz[1]])))
            # The line settles after the pulse, while the qubits idle.
            error = self.gates.error(self._flux(index, duration, sigma, *fit.x), pair, duration + rest, turn @ wanted)
            error -= self.gates.error([], pair, rest, np.eye(4, dtype=complex))
            found.append((error, *fit.x.tolist(), duration, sigma, -rz))
        if not found:
            return
        error, amplitude, width, duration, sigma, rz = min(found, key=lambda item: item[0])
        name = f"Q{control}-Q{target}.cz"
        self.put(f"{name}.duration", duration, "dt")
        self.put(f"{name}.sigma", sigma, "dt")
        self.put(f"{name}.width", width, "dt")
        self.put(f"{name}.amplitude", amplitude, "full scale")
        self.put(f"{name}.rz_control", _wrapped(rz[0]), "rad")
        self.put(f"{name}.rz_target", _wrapped(rz[1]), "rad")
        self.put(f"{name}.error", error)

    # Readout

    def _readout_pulse(self, amplitude: float) -> Complex:
        pulse = GaussianSquare(duration=READOUT_LENGTH, amp=amplitude, sigma=READOUT_SIGMA, width=READOUT_WIDTH)
        return np.asarray(pulse.envelope(), dtype=complex)

    def readout(self) -> None:
        """Find amplitude, discriminator and errors of all qubits of a readout line read out at once."""
        for number in range(len(self.chip.sections)):
            self._readout_of(number)

    def _readout_of(self, number: int) -> None:
        line, qubits = self.chip.sections[number]
        wire, section = self.chip.wire(line), self.chip.section(number)
        amplitudes = []
        for i, qubit in enumerate(section.qubits):
            offset = qubit.readout_frequency - self.readout_lo
            n = np.arange(20_000)
            z = low_pass(0.1 * np.exp(-2e-9j * np.pi * offset * n), wire.bandwidth, offset, 0)
            response = respond(section, z, self.readout_lo)
            photons = float(np.abs(response.alpha[response.measured.index(i), 0, -1]) ** 2)
            amplitudes.append(0.1 * math.sqrt(PHOTONS / photons))
        flips = [self.values[f"Q{q}.x.{k}"].value for q in qubits for k in ("amplitude", "beta", "angle")]
        x = np.array(flips, dtype=float).reshape(len(qubits), 3)
        ground = self._calibration(number, amplitudes, [])
        excited = self._calibration(number, amplitudes, [self.drag(q, x[i]) for i, q in enumerate(qubits)])
        variance = (self.chip.amplifier.noise_lsb**2 + 1 / 12) / self.chip.amplifier.full_scale**2 / READOUT_LENGTH
        for i, q in enumerate(qubits):
            qubit, (zero, one) = self.chip.qubits[q], _centroids(ground[:, i], excited[:, i])
            axis = one - zero
            threshold = (abs(one) ** 2 - abs(zero) ** 2) / 2
            wrong0 = float(np.mean((ground[:, i] * axis.conjugate()).real > threshold))
            wrong1 = float(np.mean((excited[:, i] * axis.conjugate()).real <= threshold))
            name = f"Q{q}.readout"
            self.put(f"{name}.frequency", qubit.readout_frequency, "Hz")
            self.put(f"{name}.resonance", qubit.readout_frequency - qubit.chi, "Hz")
            self.put(f"{name}.kappa", qubit.kappa, "Hz")
            self.put(f"{name}.amplitude", amplitudes[i], "full scale")
            self.put(f"{name}.duration", READOUT_LENGTH, "dt")
            self.put(f"{name}.sigma", READOUT_SIGMA, "dt")
            self.put(f"{name}.width", READOUT_WIDTH, "dt")
            self.put(f"{name}.kernel", 0.0)
            discriminator = (zero.real, zero.imag, one.real, one.imag, variance)
            self.put(f"{name}.discriminator", discriminator, "full scale")
            self.put(f"{name}.p10", wrong0, "", math.sqrt(wrong0 * (1 - wrong0) / SHOTS))
            self.put(f"{name}.p01", wrong1, "", math.sqrt(wrong1 * (1 - wrong1) / SHOTS))
            spread = math.sqrt((wrong0 * (1 - wrong0) + wrong1 * (1 - wrong1)) / SHOTS) / 2
            self.put(f"{name}.error", (wrong0 + wrong1) / 2, "", spread)

    def _calibration(self, number: int, amplitudes: list[float], flips: list[Burst]) -> Complex:
        """Return (shots, qubits) integrated IQ after ``flips``, all qubits of a readout line read out at once."""
        start = 64
        name, qubits = self.chip.sections[number]
        line = next(i for i, w in enumerate(self.chip.wires) if w.name == name)
        bursts, envelopes = self.gates.rows(flips)
        kernels = []
        for q, amplitude in zip(qubits, amplitudes, strict=True):
            offset = self.chip.qubits[q].readout_frequency - self.readout_lo
            bursts.append((line, start, len(envelopes), 1.0, 0.0, offset))
            envelopes.append(self._readout_pulse(amplitude))
            kernels.append(IntegrationKernel(offset, np.full(READOUT_LENGTH, 1 / READOUT_LENGTH, complex)))
        window = Window(start + self.chip.amplifier.delay, READOUT_LENGTH, tuple(kernels), number)
        keys = tuple(e.tobytes() for e in envelopes)
        sequence = PulseSequence(self.lines, np.array(bursts, BURST), tuple(envelopes), keys, (window,), PERIOD)
        outcome = self.engine.play(sequence, SHOTS, (len(flips),), "integrated")
        assert outcome.integrated is not None  # the mode asked for
        return outcome.integrated.astype(complex)


def _wrapped(angle: float) -> float:
    return float((angle + math.pi) % (2 * math.pi) - math.pi)


def _centroids(ground: Complex, excited: Complex) -> tuple[complex, complex]:
    """Return the centroids of the two clouds: component-wise medians, which jumps and thermal shots hardly move."""
    zero = complex(np.median(ground.real), np.median(ground.imag))
    one = complex(np.median(excited.real), np.median(excited.imag))
    return zero, one


def main() -> None:
    """Write the calibration set of a chip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    device = load_device(arguments.device)
    chip = load_chip(arguments.device.parent / str(device.simulator))
    first = device.qubits[0]
    los = device.lo_frequency(first.drive), device.lo_frequency(first.readout)
    inputs = list(dict.fromkeys(qubit.acquire for qubit in device.qubits))
    values = Tuneup(chip, 0, *los, inputs=inputs).run()
    created = datetime.now(UTC).isoformat(timespec="seconds")
    arguments.out.write_bytes(CalibrationSet(device.name, values, created, made_for=basis_of(device)).to_json())


if __name__ == "__main__":
    main()
