"""Small errors, repeated until they show: of a pulse's angle, of its phase, and of a qubit's frequency."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, error_amplification, line
from pulsed.calibration.results.data import signal, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    bad_data,
    first_bad,
    qubits_of,
)
from pulsed.calibration.routines.drag import pair, tilted
from pulsed.calibration.routines.phases import TURNS, followed, phasor, quadrature_error, waits_of

_OFF_LINE = 0.3
"""rad, rms: phases farther from a line than this, and than their errors, are those of another turn or of two lines."""


def _counted(counts: Sequence[int], suffix: str, answer: object, executor: Executor, target: str) -> xarray.Dataset:
    """Return a sweep over numbers of repetitions."""
    axes = {f"repeats{suffix}": (np.array(counts), "")}
    return sweep(axes, answer, suffixes=(suffix,), known=executor.calibration, target=target)  # type: ignore[arg-type]


def _levels(data: xarray.Dataset) -> tuple[float, float]:
    """Return the readings of 0 and of 1."""
    y, _ = signal(data, "_levels")
    return float(y[0]), float(y[1])


class FineAmplitude(Routine):
    """The amplitudes of x and of sx: a quarter turn, then more and more pulses.

    The reading after them is linear in the error of one pulse, times their number (Sheldon et al., Phys. Rev. A 93,
    012301, 2016). sx comes first, because it makes the quarter turn before x.
    """

    name: ClassVar = "fine-amplitude"
    needs: ClassVar = ("x.amplitude", "sx.amplitude", "readout.discriminator")
    gives: ClassVar = ("x.amplitude", "sx.amplitude")
    tolerances: ClassVar = {"x.amplitude": (0.0, 0.003), "sx.amplitude": (0.0, 0.003)}
    quick: ClassVar = {"most": 9}

    class Parameters(RoutineParameters):
        """Of the sweep."""

        most: int = Field(default=17, ge=5)
        """Most repetitions of x; of sx it is twice as many."""
        shots: PositiveInt = 600

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Repeat sx an odd number of times, x any number of times after one sx of the amplitude just found."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        blocks = executor.blocks
        sx, x = blocks.sx(qubit), blocks.x(qubit)
        levels = yield MeasurementRequest([blocks.shot(qubit), blocks.shot(qubit, x)], 4 * p.shots)
        data = sweep({"state": ([0, 1], "")}, levels, suffixes=("_levels",), known=executor.calibration, target=target)
        odd = list(range(1, 2 * p.most, 2))
        answer = yield MeasurementRequest([blocks.shot(qubit, *[sx] * n) for n in odd], p.shots)
        data = data.merge(_counted(odd, "_sx", answer, executor, target), combine_attrs="override")
        was = {gate: blocks.value(f"{target}.{gate}.amplitude") for gate in ("x", "sx")}
        found = _angle_error(data, "sx")
        factor = np.pi / 2 / (np.pi / 2 + found.values["error"]) if found.ok else 1.0
        half = blocks.drag(qubit, "sx", amplitude=was["sx"] * factor)
        counts = list(range(p.most))
        answer = yield MeasurementRequest([blocks.shot(qubit, half, *[x] * n) for n in counts], p.shots)
        data = data.merge(_counted(counts, "_x", answer, executor, target), combine_attrs="override")
        return data.assign_attrs(amplitude_x=was["x"], amplitude_sx=was["sx"])

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the error of one pulse of each; the angle is proportional to the amplitude."""
        fits = {gate: _angle_error(data, gate) for gate in ("x", "sx")}
        if refused := first_bad(fits):
            return refused
        values = {}
        for gate, angle in (("x", np.pi), ("sx", np.pi / 2)):
            was, fit = float(data.attrs[f"amplitude_{gate}"]), fits[gate]
            right = was * angle / (angle + fit.values["error"])
            values[f"{gate}.amplitude"] = Proposal(right, "full scale", was * fit.stderr["error"] / angle)
        return Outcome("good", "", values, fits)


def _angle_error(data: xarray.Dataset, gate: str) -> Fit:
    low, high = _levels(data)
    y, sigma = signal(data, f"_{gate}")
    angle, phase = (np.pi, np.pi / 2) if gate == "x" else (np.pi / 2, 0.0)
    fit = error_amplification(
        data[f"repeats_{gate}"].to_numpy(), y, sigma, angle=angle, phase=phase, low=low, high=high
    )
    return fit.shown(x=("pulses in a row", ""))


class FineDrag(Routine):
    """Beta of x, finely: the tilt that a pair of x and its inverse leaves, amplified by their number.

    How much a dt of beta tilts is measured along with it, by a second beta.
    """

    name: ClassVar = "fine-drag"
    needs: ClassVar = ("x.amplitude", "sx.amplitude", "readout.discriminator")
    gives: ClassVar = ("x.beta",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"x.beta": (0.03, 0.0)}
    quick: ClassVar = {"most": 9}

    class Parameters(RoutineParameters):
        """Of the sweep."""

        most: int = Field(default=17, ge=5)
        """Most pairs."""
        step: PositiveFloat = 0.2
        """dt by which beta is moved to see what it does."""
        shots: PositiveInt = 600

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Repeat pairs between a π/2 pulse and the measurement, at two values of beta."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        blocks = executor.blocks
        x, beta = blocks.x(qubit), blocks.value(f"{target}.x.beta")
        levels = yield MeasurementRequest([blocks.shot(qubit), blocks.shot(qubit, x)], 4 * p.shots)
        data = sweep({"state": ([0, 1], "")}, levels, suffixes=("_levels",), known=executor.calibration, target=target)
        counts = list(range(p.most))
        for suffix, value in (("_here", beta), ("_moved", beta + p.step)):
            start, both = tilted(blocks, qubit, np.pi / 2), pair(blocks, qubit, "x", value, 1)
            answer = yield MeasurementRequest([blocks.shot(qubit, *start, *both * n) for n in counts], p.shots)
            data = data.merge(_counted(counts, suffix, answer, executor, target), combine_attrs="override")
        return data.assign_attrs(beta=beta, step=p.step)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the tilt of a pair at both values; the zero of the line through them."""
        low, high = _levels(data)
        fits = {}
        for suffix in ("_here", "_moved"):
            y, sigma = signal(data, suffix)
            counts = data[f"repeats{suffix}"].to_numpy()
            fit = error_amplification(counts, y, sigma, angle=0.0, phase=np.pi / 2, low=low, high=high)
            fits[suffix[1:]] = fit.shown(x=("pairs in a row", ""))
        if refused := first_bad(fits):
            return refused
        here, moved = fits["here"], fits["moved"]
        slope = (moved.values["error"] - here.values["error"]) / float(data.attrs["step"])
        noise = np.hypot(moved.stderr["error"], here.stderr["error"]) / float(data.attrs["step"])
        if abs(slope) < 4 * noise:
            return bad_data("beta makes no tilt that stands out of the noise", **fits)
        beta = float(data.attrs["beta"]) - here.values["error"] / slope
        error = np.hypot(here.stderr["error"] / slope, here.values["error"] * noise / slope**2)
        return Outcome("good", "", {"x.beta": Proposal(beta, "dt", float(error))}, fits)


class FineFrequency(Routine):
    """The frequency, finely: how the phase grows with the wait between two π/2 pulses, in four quadratures.

    The first two waits are short, so that a qubit that is off by up to 1.6 MHz is seen where it is.
    """

    name: ClassVar = "fine-frequency"
    needs: ClassVar = ("sx.amplitude", "readout.discriminator")
    gives: ClassVar = ("f01",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"f01": (3e3, 0.0)}
    quick: ClassVar = {"points": 7, "shots": 200}

    class Parameters(RoutineParameters):
        """Of the sweep."""

        points: int = Field(default=11, ge=6)
        span: PositiveFloat = 20e-6
        """s, of the longest wait."""
        shots: PositiveInt = 600

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the wait, with the last pulse turned by each quarter."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        blocks = executor.blocks
        sx, waits = blocks.sx(qubit), waits_of(p.span, p.points, blocks.dt)
        schedules = [
            blocks.shot(qubit, sx, wait, blocks.rz(qubit, turn), sx) for turn in TURNS.tolist() for wait in waits
        ]
        answer = yield MeasurementRequest(schedules, p.shots)
        axes = {"turn": (TURNS, "rad"), "wait": (np.array(waits) * blocks.dt, "s")}
        data = sweep(axes, answer, known=executor.calibration, target=target)
        return data.assign_attrs(f01=blocks.value(f"{target}.f01"))

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a straight line to the phase, which does not depend on how the fringes decay."""
        y, sigma = signal(data)
        waits, (z, error) = data["wait"].to_numpy(), phasor(y, sigma)
        if not np.all(np.abs(z) >= 4 * quadrature_error(sigma)):
            return bad_data("the fringes have died away: the waits are too long")
        fits = {"phase": line(waits, followed(waits, np.angle(z), error), error).shown(y=("phase", "rad"))}
        if refused := first_bad(fits):
            return refused
        fit = fits["phase"]
        off = float(np.sqrt(np.mean((fit.y - fit.curve) ** 2)))
        if fit.chi2 > 5 and off > _OFF_LINE:
            return bad_data(f"the phases are {off:.2g} rad off any line: the qubit is off by more than 1.6 MHz", **fits)
        # The ground state is the lower one: a qubit that is faster than its frame turns backwards.
        found = float(data.attrs["f01"]) - fit.values["slope"] / (2 * np.pi)
        return Outcome("good", "", {"f01": Proposal(found, "Hz", fit.stderr["slope"] / (2 * np.pi))}, fits)
