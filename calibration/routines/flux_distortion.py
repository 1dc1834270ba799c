"""What a flux line does to a step, seen by the phase of a qubit beside the coupler that it moves."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.optimize import least_squares
from scipy.signal import lfilter

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit
from pulsed.calibration.results.data import signal, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    Verdict,
    bad_data,
    first_bad,
)
from pulsed.calibration.routines.cz import SETTLED, flux_duration, ramsey, repeated
from pulsed.calibration.routines.phases import TURNS, phasor
from pulsed.calibration.schedules import sequence
from pulsed.compiler.predistortion import SWITCH
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import CouplingDescription, DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.channels import ControlChannel
from pulsed.pulse.library import GaussianSquare

Real = npt.NDArray[np.float64]
_OFF = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Amplitudes of the probe, in units of the span from the one that is used."""


class FluxDistortion(Routine):
    """The exponentials with which a flux line answers a step, and by which the compiler makes it straight.

    A long flux pulse, a gap, and a probe: a shorter pulse that brings the coupler so near to a qubit that its frequency
    falls steeply with the flux. What the line has left of the long pulse adds to the probe, so that the qubit's phase
    decays over the gap as the line does. The phase over the probe's own amplitude says how much flux a phase is, and
    which part of the probe counts: nothing has to be known of the coupler.

    ``distortion`` is a and τ (s) of each exponential in turn; the response to a step is 1 + Σ a exp(-t/τ).
    """

    name: ClassVar = "flux-distortion"
    subject: ClassVar = "port"
    gives: ClassVar = ("distortion",)

    class Parameters(RoutineParameters):
        """Of the pulses; times in dt."""

        amplitude: float = Field(default=0.21, gt=0, le=1)
        """Full scale: short of where the coupler takes the qubit with it."""
        span: float = Field(default=0.03, gt=0, le=0.2)
        """Of the probe's amplitude, as a part of it: over it the phase turns by less than π to either side."""
        long: PositiveInt = 304
        """Width of the pulse before the probe: as long as what the line forgets."""
        probe: PositiveInt = 48
        """Width of the probe."""
        sigma: PositiveFloat = 8.0
        """Of the flanks, which are two sigma long."""
        gaps: int = Field(default=16, ge=8)
        longest: int = Field(default=240, ge=64)
        repeats: int = Field(default=12, ge=1, le=30)
        """Of long pulse and probe: the phase grows with them."""
        exponentials: int = Field(default=1, ge=1, le=2)
        shots: PositiveInt = 800

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the flux ports of couplers."""
        return tuple(dict.fromkeys(pair.flux for pair in device.couplings if pair.flux is not None))

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Ramsey of the pair's control, the target in 0, over the gap and over the probe's amplitude."""
        p, blocks = self.parameters, executor.blocks
        number, pair = _pair(executor.device, target)
        qubit, channel = pair.control, ControlChannel(number)

        def pulse(width: int, amplitude: float) -> Any:
            length = flux_duration(executor, width, p.sigma)
            return blocks.play(GaussianSquare(length, amplitude, sigma=p.sigma, width=width), channel)

        rest = SETTLED + p.longest
        gaps = np.unique(np.round(np.geomspace(8, p.longest + 8, p.gaps)).astype(int) - 8)
        before, probe = pulse(p.long, p.amplitude), pulse(p.probe, p.amplitude)
        # The same time for every gap: a frequency that is off adds the same phase to all.
        trains = [repeated(sequence(before, gap, probe), p.repeats, rest - gap) for gap in gaps.tolist()]
        schedules = [ramsey(blocks, qubit, (), train, turn) for turn in TURNS.tolist() for train in trains]
        off = {"settings": {SWITCH: 0.0}}
        answer = yield MeasurementRequest(schedules, p.shots, options=off)
        axes = {"turn": (TURNS, "rad"), "gap": (gaps * blocks.dt, "s")}
        data = sweep(axes, answer, known=executor.calibration, target=f"Q{qubit}")
        amplitudes = p.amplitude * (1 + p.span * np.array(_OFF))
        probes = [(pulse(p.probe, a), rest) for a in amplitudes.tolist()]
        schedules = [ramsey(blocks, qubit, (), probe, turn) for turn in TURNS.tolist() for probe in probes]
        answer = yield MeasurementRequest(schedules, p.shots, options=off)
        axes = {"turn": (TURNS, "rad"), "amplitude": (amplitudes, "full scale")}
        data = data.merge(sweep(axes, answer, suffixes=("_probe",)), combine_attrs="override")
        shapes = {"long": p.long, "probe": p.probe}
        lengths = {f"{name}_length": flux_duration(executor, width, p.sigma) for name, width in shapes.items()}
        about = {"repeats": p.repeats, "sigma": p.sigma, "dt": blocks.dt, "exponentials": p.exponentials}
        return data.assign_attrs({**shapes, **lengths, **about})

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a parabola to the phase over the amplitude, and with it the line's exponentials over the gap."""
        (z, error), (own, own_error) = (phasor(*signal(data, suffix)) for suffix in ("", "_probe"))
        if not (np.isfinite(z).all() and np.isfinite(own).all()):
            return bad_data("points are not numbers")
        least = float(min(np.abs(z).min(), np.abs(own).min()))
        if least < 0.2:
            return bad_data(f"the fringe vanishes, {least:.2f} of full contrast: a lower amplitude, or fewer repeats?")
        # From the longest gap on, where the least is left of the long pulse.
        phase = np.unwrap(np.angle(z)[::-1])[::-1]
        middle = own.size // 2
        turned = np.unwrap(np.angle(own / own[middle]))
        slope, power = _sensitivity(data, turned - turned[middle], own_error)
        if not abs(slope[0]) > 10 * slope[1]:
            return bad_data("the amplitude makes no difference to the phase: is the flux line alive?")
        fits = {"phase": _exponentials(data, phase, error, slope, power)}
        if refused := first_bad(fits):
            return refused
        (fit,) = fits.values()
        numbers = tuple(fit.values[name] for name in _names(fit))
        told = "; ".join(f"a = {a:.4f}, τ = {t * 1e9:.1f} ns" for a, t in zip(numbers[::2], numbers[1::2], strict=True))
        return Outcome("good", told, {"distortion": Proposal(numbers, "", fit.stderr["a1"])}, fits)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare the step responses: they may differ by 0.002 of the step and three standard errors."""
        outcome, name = self.analyse(data), f"{target}.distortion"
        if not outcome.good:
            return "bad data", outcome.reason
        t = np.linspace(0, 2e-7, 200)
        found = outcome.values["distortion"]
        known = calibration.numbers(name) if calibration.has(name) else ()
        here, there = (response(np.array(n), t) for n in (found.value, known))
        apart = float(np.abs(here - there).max())
        if apart > 2e-3 + 3 * (found.stderr or 0.0):
            return "out of spec", f"the response of {target} to a step differs by {apart:.4f} from the active one"
        return "in spec", ""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the phase over the gap with its fit, and the line's response to a step."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        left, right = figure.subplots(1, 2)
        for fit in outcome.fits.values():
            left.errorbar(fit.x * 1e9, np.real(fit.y), fit.sigma, fmt=".")
            left.plot(fit.x * 1e9, np.real(fit.curve), "-")
        left.set(xlabel="gap (ns)", ylabel="phase (rad)")
        if outcome.good:
            t = np.linspace(0, 2e-7, 300)
            right.plot(t * 1e9, response(np.array(outcome.values["distortion"].value), t))
        right.axhline(1, color="grey", lw=0.8)
        right.set(xlabel="time (ns)", ylabel="response to a step")
        right.ticklabel_format(useOffset=False)


def _pair(device: DeviceDescription, port: str) -> tuple[int, CouplingDescription]:
    for number, pair in enumerate(device.couplings):
        if pair.flux == port:
            return number, pair
    raise InvalidValueError("no coupler is tuned through this port", subject="routine flux-distortion", value=port)


def response(numbers: Real, t: Real) -> Real:
    """Return the response to a step at times ``t`` (s), for a and τ of each exponential in turn."""
    return np.asarray(1 + sum((a * np.exp(-t / tau) for a, tau in numbers.reshape(-1, 2)), np.zeros_like(t)))


def _names(fit: Fit) -> tuple[str, ...]:
    return tuple(f"{name}{k}" for k in range(1, len(fit.names) // 2 + 1) for name in ("a", "tau"))


def _shape(data: xarray.Dataset, name: str) -> Real:
    """Return the envelope of the long pulse or of the probe, of height 1."""
    length, width = int(data.attrs[f"{name}_length"]), float(data.attrs[name])
    return np.asarray(GaussianSquare(length, 1.0, sigma=float(data.attrs["sigma"]), width=width).envelope().real)


def _sensitivity(data: xarray.Dataset, turned: Real, error: Real) -> tuple[tuple[float, float], float]:
    """Return the probe's phase per full scale with its error, and the power p of the flux that it grows with.

    With a slope of the frequency that goes as the p-th power of the flux, the phase goes as the (p + 1)-th.
    """
    amplitude = data["amplitude"].to_numpy()
    centre = amplitude[amplitude.size // 2]
    (bend, slope, _), covariance = np.polyfit(amplitude - centre, turned, 2, w=1 / error, cov="unscaled")
    power = float(np.clip(2 * bend * centre / slope, 0.0, 10.0)) if slope else 0.0
    return (float(slope), float(np.sqrt(covariance[1, 1]))), power


def _felt(data: xarray.Dataset, tau: float, power: float) -> Real:
    """Return what the probe feels, in full scales, of the long pulse before each gap, for a = 1.

    Its samples count as its phase depends on them: as its own flux to the power of ``power``.
    """
    dt, long, probe = float(data.attrs["dt"]), _shape(data, "long"), _shape(data, "probe")
    gaps = np.round(data["gap"].to_numpy() / dt).astype(int)
    amplitude = float(data["amplitude"][data.sizes["amplitude"] // 2])
    train = np.concatenate([long, np.zeros(int(gaps.max()) + probe.size)])
    left = lfilter([1.0], [1.0, -np.exp(-dt / tau)], np.diff(train, prepend=0.0)) * amplitude
    weight = np.maximum(probe, 0.0) ** power
    begins = long.size + gaps
    return np.array([weight @ left[b : b + probe.size] for b in begins.tolist()]) / float(weight @ probe)


def _exponentials(
    data: xarray.Dataset, phase: Real, error: Real, slope: tuple[float, float], power: float
) -> Fit:  # fmt: skip
    """Fit τ of each exponential; sizes and the phase without any follow by linear least squares."""
    count, repeats = int(data.attrs["exponentials"]), int(data.attrs["repeats"])
    gain, weight, x = repeats * slope[0], 1 / error, data["gap"].to_numpy()

    def columns(logs: Real) -> Real:
        felt = [gain * _felt(data, float(np.exp(log)), power) for log in logs]
        return np.stack([*felt, np.ones(x.size)], axis=1)

    def best(logs: Real) -> tuple[Real, Real]:
        model = columns(logs)
        found: Real = np.linalg.lstsq(model * weight[:, None], phase * weight, rcond=None)[0].astype(np.float64)
        return found, np.asarray(model @ found)

    low, high = np.log(4 * float(data.attrs["dt"])), np.log(2 * x.max())
    begin = np.log(x.max() / 6) + 1.5 * np.arange(count)
    found = least_squares(lambda logs: (best(logs)[1] - phase) * weight, np.minimum(begin, high - 0.1),
                          bounds=(low, high))  # fmt: skip
    sizes, curve = best(found.x)
    taus = np.exp(found.x)
    step = 1e-4
    slopes = [(columns(found.x + step * row)[:, k] - columns(found.x)[:, k]) * sizes[k] / step
              for k, row in enumerate(np.eye(count))]  # fmt: skip
    jacobian = np.column_stack([columns(found.x), *slopes]) * weight[:, None]
    dof = x.size - jacobian.shape[1]
    chi2 = float(np.sum(((curve - phase) * weight) ** 2)) / dof
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * max(chi2, 1.0)
    errors = np.sqrt(np.diag(covariance))
    values, stderr = {"phase": float(sizes[-1])}, {"phase": float(errors[count])}
    for k in range(count):
        values |= {f"a{k + 1}": float(sizes[k]), f"tau{k + 1}": float(taus[k])}
        own = float(np.hypot(errors[k], sizes[k] * slope[1] / slope[0]))
        stderr |= {f"a{k + 1}": own, f"tau{k + 1}": float(taus[k] * errors[count + 1 + k])}
    names = tuple(name for name in values if name != "phase")
    fit = Fit("exponentials of a step", values, stderr, chi2, dof, x=x, curve=curve, y=phase, sigma=error, names=names)
    unseen = [k for k in range(1, count + 1) if abs(values[f"a{k}"]) < 3 * stderr[f"a{k}"]]
    if chi2 > 5:
        return fit.refused(f"exponentials do not describe the line: reduced chi squared {chi2:.1f}")
    if unseen:
        told = ", ".join(f"{values[f'a{k}']:.4f} ± {stderr[f'a{k}']:.4f}" for k in unseen)
        return fit.refused(f"no distortion is seen: a = {told}")
    if np.any((found.x < low + 1e-3) | (found.x > high - 1e-3)):
        return fit.refused("the fit is at its bound: the time constant is not one that these gaps show")
    return fit
