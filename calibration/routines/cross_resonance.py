"""Cross resonance: its Hamiltonian from the target's Bloch vector, and amplitude, phase and cancellation from that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.fit import Fit
from pulsed.calibration.fits.hamiltonian import TERMS, cross_resonance
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
    qubits_of,
    tone_pairs,
)
from pulsed.calibration.routines.rabi import CLOSE
from pulsed.calibration.routines.readings import assignment, population
from pulsed.calibration.schedules import Blocks, Part
from pulsed.compiler.channel_map import ChannelMap
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.pulse.schedule import Schedule

SIGMA, LONG_SIGMA = 12.0, 24.0
"""dt of the flanks, which are two sigma long; the long ones near a transition of the control."""
NEAR, RABI = 30e6, 25e6
"""Hz: what is near the two-photon transition 0-2 of the control, and the drive that is allowed there."""
FOLLOWS = 0.6
"""Of the detuning: the Rabi frequency at which a control near the tone still comes back to where it was."""
MOST = 0.9
"""Full scale: the largest tone."""
LONGEST = 600
"""dt of one half."""
BASES = ("x", "y", "z")
_NEEDS = (
    "control.x.amplitude", "control.f01", "target.x.amplitude", "target.sx.amplitude", "target.f01",
    "target.readout.discriminator", "target.readout.p01", "target.readout.p10",
)  # fmt: skip


@dataclass(frozen=True)
class Tone:
    """A cross-resonance tone with its cancellation on the target's line; amplitudes complex, times in dt."""

    drive: complex
    cancel: complex = 0j
    sigma: float = SIGMA

    @classmethod
    def of(cls, blocks: Blocks, pair: str) -> Tone:
        """Return that of the working set; what it does not know is 0."""
        name = f"{pair}.ecr"
        drive = blocks.value(f"{name}.amplitude") * np.exp(1j * blocks.value(f"{name}.angle", 0.0))
        size = blocks.value(f"{name}.cancel.amplitude", 0.0)
        cancel = size * np.exp(1j * blocks.value(f"{name}.cancel.angle", 0.0))
        return cls(complex(drive), complex(cancel), blocks.value(f"{name}.sigma"))

    @property
    def edge(self) -> float:
        """The dt of flat top that the flanks are worth: their area."""
        length = round(4 * self.sigma)
        return float(np.abs(GaussianSquare(length, 1.0, sigma=self.sigma, width=0).envelope()).sum())

    def play(self, executor: Executor, pair: str, width: float) -> Schedule:
        """Return the tone with a flat top of ``width``."""
        control, target = qubits_of(pair, executor.device)
        channel = ChannelMap(executor.device, executor.calibration).control_channel(control, target)
        assert channel is not None, "a pair of the device"
        result = Schedule(name="cr")
        for size, where in ((self.drive, channel), (self.cancel, DriveChannel(target))):
            if size:
                pulse = GaussianSquare(
                    round(width + 4 * self.sigma), abs(size), sigma=self.sigma, width=width,
                    angle=float(np.angle(size)),
                )  # fmt: skip
                result = result.insert(0, Play(pulse, where))
        return result


def rabi_rate(blocks: Blocks, qubit: int) -> float:
    """Return the turns per second at full scale of the qubit's line, from the area of its π pulse."""
    value = {k: blocks.value(f"Q{qubit}.x.{k}") for k in ("amplitude", "duration", "sigma")}
    envelope = Drag(round(value["duration"]), value["amplitude"], sigma=value["sigma"], beta=0.0).envelope()
    return 0.5 / float(np.real(envelope).sum() * blocks.dt)


def _loss(executor: Executor, control: int, target: int) -> float:
    """Return the gain of the control's line at the target's frequency over that at its own, as a single pole."""
    port = executor.device.ports[executor.device.qubits[control].drive]
    lo = executor.device.lo_frequency(executor.device.qubits[control].drive)
    own, other = ((executor.blocks.value(f"Q{q}.f01") - lo) / port.bandwidth for q in (control, target))
    return float(np.sqrt((1 + own**2) / (1 + other**2)))


def basis_change(blocks: Blocks, qubit: int, basis: str) -> tuple[Part, ...]:
    """Return what turns an axis of the Bloch sphere up."""
    if basis == "z":
        return ()
    return (blocks.sx(qubit),) if basis == "y" else (blocks.rz(qubit, np.pi / 2), blocks.sx(qubit))


class _Sweep(RoutineParameters):
    """Of the width of the flat top."""

    points: int = Field(default=21, ge=9)
    span: int = Field(default=480, ge=64)
    """dt, the longest."""
    shots: PositiveInt = 200


class CrHamiltonian(Routine):
    """The target's Bloch vector against the width of the tone, for the control in 0 and in 1.

    Both rotation vectors are fitted jointly (Sheldon et al., Phys. Rev. A 93, 060302, 2016): rates in Hz of
    H/h = (ix IX + iy IY + … + zz ZZ)/2.
    """

    name: ClassVar = "cr-hamiltonian"
    subject: ClassVar = "pair"
    needs: ClassVar[tuple[str, ...]] = (*_NEEDS, "ecr.amplitude", "ecr.sigma")
    gives: ClassVar[tuple[str, ...]] = tuple(f"cr.{term}" for term in TERMS)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"cr.zx": (0.0, 0.1), "cr.zy": (5e4, 0.0), "cr.ix": (5e4, 0.0), "cr.iy": (5e4, 0.0)}
    quick: ClassVar = {"points": 9}

    class Parameters(_Sweep):
        """Of the sweep."""

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the pairs without a flux line."""
        return tone_pairs(device)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Measure under the tone of the working set."""
        return (yield from self._tomography(executor, target, Tone.of(executor.blocks, target)))

    def _tomography(self, executor: Executor, pair: str, tone: Tone, suffix: str = "") -> Measurement:
        """Sweep the width: Bloch vectors (control, basis, width) with errors."""
        p, blocks = self.parameters, executor.blocks
        control, target = qubits_of(pair, executor.device)
        grain = executor.device.timing.granularity
        widths = [grain * round(width / grain) for width in np.linspace(0, p.span, p.points)]
        schedules = [
            blocks.shot(
                target, *flip, tone.play(executor, pair, width), *basis_change(blocks, target, basis)
            )
            for flip in ((blocks.x(control).duration,), (blocks.x(control),))
            for basis in BASES
            for width in widths
        ]  # fmt: skip
        answer = yield MeasurementRequest(schedules, p.shots, level=2)
        found, error = population(answer, 0, assignment(executor, target))
        axis = f"width{suffix}"
        data = xarray.Dataset(coords={axis: (axis, np.array(widths) * blocks.dt, {"units": "s"})})
        data.coords["control"] = ("control", [0, 1], {"units": ""})
        data.coords["basis"] = ("basis", list(BASES), {"units": ""})
        shape = (2, 3, len(widths))
        data[f"bloch{suffix}"] = (("control", "basis", axis), (1 - 2 * found).reshape(shape), {"units": ""})
        data[f"bloch_error{suffix}"] = (("control", "basis", axis), (2 * error).reshape(shape), {"units": ""})
        attributes = {
            "dt": blocks.dt, "sigma": tone.sigma, "edge": tone.edge * blocks.dt, "shots": p.shots, "granularity": grain,
            f"drive{suffix}": [tone.drive.real, tone.drive.imag],
            f"cancel{suffix}": [tone.cancel.real, tone.cancel.imag],
            "rabi_target": rabi_rate(blocks, target), "line_target": blocks.value(f"Q{target}.x.angle", 0.0),
        }  # fmt: skip
        return data.assign_attrs(attributes)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both rotation vectors."""
        fit = rates(data)
        if refused := first_bad({"tomography": fit}):
            return refused
        values = {f"cr.{term}": Proposal(fit.values[term], "Hz", fit.stderr[term]) for term in TERMS}
        return Outcome("good", "", values, {"tomography": fit})

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the Bloch vectors of the last sweep, what the fit leaves, and the rates."""
        from pulsed.calibration.results.run_plots import heading

        name, fit = list(outcome.fits.items())[-1] if outcome.fits else ("", None)
        suffix = name.removeprefix("tomography")
        told = [heading(self.name, data, outcome)]
        if fit is not None and fit.names and "cr.zx" not in outcome.values:
            found = [f"{term.upper()} {fit.values[term] / 1e3:.1f} ± {fit.stderr[term] / 1e3:.1f}" for term in TERMS]
            told += [f"kHz: {', '.join(found[:3])},", f"{', '.join(found[3:])}; χ² = {fit.chi2:.2f}"]
        figure.suptitle("\n".join(told), fontsize="medium")
        axes = figure.subplots(2, 3, sharex=True, height_ratios=(3, 1))
        y, error = data[f"bloch{suffix}"].to_numpy(), data[f"bloch_error{suffix}"].to_numpy()
        time = data[f"width{suffix}"].to_numpy()
        smooth = np.linspace(time.min(), time.max(), 200)
        curves = None if fit is None or not fit.names else fit.evaluate(np.tile(smooth, 6)).reshape(2, 3, -1)
        for k, basis in enumerate(BASES):
            for control in (0, 1):
                top, bottom, colour = axes[0][k], axes[1][k], f"C{control}"
                label = f"control {control}"
                top.errorbar(time * 1e9, y[control, k], error[control, k], fmt=".", color=colour, label=label)
                if curves is not None and fit is not None:
                    top.plot(smooth * 1e9, curves[control, k], "-", color=colour)
                    left = y[control, k] - np.asarray(fit.curve).reshape(y.shape)[control, k]
                    bottom.errorbar(time * 1e9, left, error[control, k], fmt=".", color=colour)
            top.set_title(basis.upper(), fontsize="small")
            top.set_ylim(-1.15, 1.15)
            bottom.axhline(0, color="grey", lw=0.8)
            bottom.set_xlabel("width (ns)")
        axes[0][0].legend(fontsize="x-small")
        axes[0][0].set_ylabel("Bloch vector of the target")
        axes[1][0].set_ylabel("residuals")


def rates(data: xarray.Dataset, suffix: str = "") -> Fit:
    """Fit the Hamiltonian to one sweep of a file."""
    return cross_resonance(
        data[f"width{suffix}"].to_numpy(), data[f"bloch{suffix}"].to_numpy(), data[f"bloch_error{suffix}"].to_numpy(),
        edge=float(data.attrs["edge"]),
    )  # fmt: skip


def _polar(name: str, value: complex, error: float) -> dict[str, Proposal]:
    size = abs(value)
    turn = error / size if size > 0 else None
    return {
        f"{name}amplitude": Proposal(size, "full scale", error),
        f"{name}angle": Proposal(float(np.angle(value)), "rad", turn),
    }


class CrAmplitude(CrHamiltonian):
    """Amplitude and length of one half of the echoed gate: the shortest that the limits of the drive allow.

    The tone is 0.9 of full scale; where the control's two-photon transition is near, the Rabi frequency is at most
    25 MHz and the flanks are longer. So they are where the control itself is near, at 0.6 of the detuning at most: a
    faster or harder tone leaves the control turned. A half turns the target by ±π/4.
    """

    name: ClassVar = "cr-amplitude"
    needs: ClassVar[tuple[str, ...]] = (*_NEEDS, "control.anharmonicity")
    gives: ClassVar = ("ecr.amplitude", "ecr.duration", "ecr.sigma", "ecr.width")
    tolerances: ClassVar = {"ecr.amplitude": (0.0, 0.15), "ecr.duration": (24.0, 0.0)}

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Measure under the strongest tone that is allowed."""
        return (yield from self._tomography(executor, target, self._strongest(executor, target)))

    def _strongest(self, executor: Executor, pair: str) -> Tone:
        blocks, (control, target) = executor.blocks, qubits_of(pair, executor.device)
        difference = blocks.value(f"Q{control}.f01") - blocks.value(f"Q{target}.f01")
        two_photon = abs(blocks.value(f"Q{control}.anharmonicity")) / 2
        rate = rabi_rate(blocks, control) * _loss(executor, control, target)
        if abs(difference) < CLOSE:
            return Tone(min(MOST, FOLLOWS * abs(difference) / rate), 0j, LONG_SIGMA)
        if abs(difference - two_photon) < NEAR:
            return Tone(min(MOST, RABI / rate), 0j, LONG_SIGMA)
        return Tone(MOST)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Take the rate of ZX and ZY together; the length is rounded up and the amplitude lowered in proportion."""
        fit = rates(data)
        if refused := first_bad({"tomography": fit}):
            return refused
        rate = complex(fit.values["zx"], fit.values["zy"])
        error = max(fit.stderr["zx"], fit.stderr["zy"])
        if abs(rate) < 5 * error:
            return bad_data(f"no ZX stands out of the noise: {abs(rate):.3g} ± {error:.2g} Hz", tomography=fit)
        dt, sigma, grain = (float(data.attrs[name]) for name in ("dt", "sigma", "granularity"))
        edge = fit.values["edge"] / dt
        exact = 1 / (8 * abs(rate)) / dt
        duration = grain * math.ceil((exact - edge + 4 * sigma) / grain)
        duration = max(duration, grain * math.ceil(4 * sigma / grain))
        if duration > LONGEST:
            return bad_data(f"a half would take {duration:.0f} dt, more than {LONGEST}: ZX is too weak", tomography=fit)
        width = duration - 4 * sigma
        amplitude = float(np.hypot(*data.attrs["drive"])) * exact / (width + edge)
        values = {
            "ecr.amplitude": Proposal(amplitude, "full scale", amplitude * error / abs(rate)),
            "ecr.duration": Proposal(float(duration), "dt"),
            "ecr.sigma": Proposal(sigma, "dt"),
            "ecr.width": Proposal(float(width), "dt"),
        }
        return Outcome("good", "", values, {"tomography": fit})


class CrPhase(CrHamiltonian):
    """The phase of the tone at which the conditional rotation is about x, with the sign that the gate wants."""

    name: ClassVar = "cr-phase"
    gives: ClassVar = ("ecr.angle",)
    tolerances: ClassVar = {"ecr.angle": (0.1, 0.0)}

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Turn the tone by minus the angle of (zx, zy), which turns with it."""
        fit = rates(data)
        if refused := first_bad({"tomography": fit}):
            return refused
        rate = complex(fit.values["zx"], fit.values["zy"])
        error = max(fit.stderr["zx"], fit.stderr["zy"]) / abs(rate)
        if error > 0.2:
            return bad_data(f"the phase of ZX is not determined: ± {error:.2f} rad", tomography=fit)
        # Not brought into one turn, so that a tone that is right is near itself.
        angle = float(np.angle(complex(*data.attrs["drive"])) - np.angle(rate))
        return Outcome("good", "", {"ecr.angle": Proposal(angle, "rad", error)}, {"tomography": fit})


class CrCancel(CrHamiltonian):
    """The tone on the target's own line that takes IX and IY away, found twice: without it, then under it."""

    name: ClassVar = "cr-cancel"
    needs: ClassVar[tuple[str, ...]] = (*CrHamiltonian.needs, "ecr.angle")
    gives: ClassVar = ("ecr.cancel.amplitude", "ecr.cancel.angle")
    tolerances: ClassVar = {"ecr.cancel.amplitude": (0.006, 0.0)}
    quick: ClassVar = {"points": 9, "rounds": 1}

    class Parameters(_Sweep):
        """Of each sweep."""

        rounds: int = Field(default=2, ge=1)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Measure, correct, and measure under the corrected tone."""
        tone = Tone.of(executor.blocks, target)
        data = xarray.Dataset()
        for k in range(self.parameters.rounds):
            new = yield from self._tomography(executor, target, tone, f"_{k}")
            data = data.merge(new, combine_attrs="override").assign_attrs(new.attrs | data.attrs)
            fit = rates(data, f"_{k}")
            if not fit.ok:
                break
            tone = Tone(tone.drive, _corrected(data, fit, f"_{k}"), tone.sigma)
        return data

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Correct the tone of the last sweep by the rates that are left under it."""
        count = sum(str(name).startswith("bloch_error_") for name in data.data_vars)
        fits = {f"tomography_{k}": rates(data, f"_{k}") for k in range(count)}
        if refused := first_bad(fits):
            return refused
        fit, suffix = fits[f"tomography_{count - 1}"], f"_{count - 1}"
        error = max(fit.stderr["ix"], fit.stderr["iy"]) / float(data.attrs["rabi_target"])
        return Outcome("good", "", _polar("ecr.cancel.", _corrected(data, fit, suffix), error), fits)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare the tones as points in the plane: one of the right amplitude and the wrong angle cancels nothing."""
        outcome = self.analyse(data)
        if not outcome.good:
            return "bad data", outcome.reason
        names = [f"ecr.cancel.{name}" for name in ("amplitude", "angle")]
        if not calibration.has(*(f"{target}.{name}" for name in names)):
            return "out of spec", f"{target} has no cancellation tone"
        old = [calibration.number(f"{target}.{name}") for name in names]
        new = [float(np.real(outcome.values[name].value)) for name in names]
        off = abs(new[0] * np.exp(1j * new[1]) - old[0] * np.exp(1j * old[1]))
        allowed = self.tolerances[names[0]][0] + 3 * (outcome.values[names[0]].stderr or 0.0)
        if off > allowed:
            return "out of spec", f"the cancellation tone of {target} is {off:.2g} off, {allowed:.2g} is allowed"
        return "in spec", ""


def _corrected(data: xarray.Dataset, fit: Fit, suffix: str) -> complex:
    """Return the cancellation tone less what would make the rates of IX and IY that are left."""
    line = np.exp(1j * float(data.attrs["line_target"]))
    left = complex(fit.values["ix"], fit.values["iy"]) / float(data.attrs["rabi_target"])
    return complex(complex(*data.attrs[f"cancel{suffix}"]) - left * line)
