"""CZ by a flux pulse on a tunable coupler: conditional phase, leakage, and the virtual z after it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, line, parabola
from pulsed.calibration.fits.fit import Real, determined
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
from pulsed.calibration.routines.phases import TURNS, phasor
from pulsed.calibration.schedules import Blocks, Part
from pulsed.compiler.channel_map import ChannelMap
from pulsed.model.calibration import Value
from pulsed.model.device import DeviceDescription
from pulsed.pulse.library import GaussianSquare
from pulsed.pulse.schedule import Schedule

SETTLED = 160
"""dt after a flux pulse until nothing is left of it on its line."""
NEEDS = (
    "control.x.amplitude", "target.x.amplitude", "target.sx.amplitude", "target.readout.discriminator",
)  # fmt: skip
GATE = ("cz.amplitude", "cz.duration", "cz.sigma", "cz.width")


def flux_pairs(device: DeviceDescription) -> tuple[str, ...]:
    """Return the pairs that have a tunable coupler."""
    return tuple(f"Q{pair.control}-Q{pair.target}" for pair in device.couplings if pair.flux is not None)


def flux_pulse(executor: Executor, pair: str, **changes: float) -> Schedule:
    """Return the flux pulse of the CZ without virtual z, some of amplitude, duration, sigma, width (dt) changed.

    Without a duration it is the whole number of samples, in the device's granularity, that two sigma of flank on
    either side of the width need.
    """
    control, target = qubits_of(pair, executor.device)
    channel = ChannelMap(executor.device, executor.calibration).control_channel(control, target)
    assert channel is not None, "a pair of the device"
    value = {
        k: changes[k] if k in changes else executor.blocks.value(f"{pair}.cz.{k}")
        for k in ("amplitude", "sigma", "width")
    }
    length = changes.get("duration", flux_duration(executor, value["width"], value["sigma"]))
    pulse = GaussianSquare(round(length), value["amplitude"], sigma=value["sigma"], width=value["width"], name="cz")
    return executor.blocks.play(pulse, channel)


def flux_duration(executor: Executor, width: float, sigma: float) -> int:
    """Return the dt that flanks of two sigma and a flat top of ``width`` need, in the device's granularity."""
    step = executor.device.timing.granularity
    return -(-int(np.ceil(width + 4 * sigma)) // step) * step


def ramsey(blocks: Blocks, qubit: int, before: tuple[Part, ...], body: tuple[Part, ...], turn: float) -> Schedule:
    """Return a shot: ``before``, ``body`` between two π/2 pulses of the qubit, its frame turned by ``turn`` (rad).

    After a z rotation of φ by the body the population of 1 is (1 + cos(φ + turn))/2.
    """
    sx = blocks.sx(qubit)
    return blocks.shot(qubit, *before, sx, *body, blocks.rz(qubit, turn), sx)


def repeated(gate: Schedule, count: int, apart: int) -> tuple[Part, ...]:
    """Return a gate ``count`` times with a wait of ``apart`` dt after each."""
    return (gate, apart) * count


class Cz(Routine):
    """A routine of pairs with a tunable coupler."""

    subject: ClassVar = "pair"
    disturbs: ClassVar = "neighbours"

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the pairs with a flux line."""
        return flux_pairs(device)


class CzPhase(Cz):
    """The amplitude of the flux pulse at which the conditional phase is π: Ramsey of the target, control in 0 and in 1.

    An odd number of gates in a row makes the error of each larger by their number.
    """

    name: ClassVar = "cz-phase"
    needs: ClassVar = (*NEEDS, *GATE)
    gives: ClassVar = ("cz.amplitude",)
    tolerances: ClassVar = {"cz.amplitude": (0.0, 0.002)}
    quick: ClassVar = {"points": 4, "shots": 200}

    class Parameters(RoutineParameters):
        """Of the sweep around the amplitude that is known."""

        span: float = Field(default=0.03, gt=0, le=0.5)
        """Of the amplitude, as a part of it."""
        points: int = Field(default=7, ge=4)
        repeats: int = Field(default=3, ge=1)
        """Gates in a row, an odd number; the error of each has to be less than π by their number."""
        apart: int = Field(default=SETTLED, ge=0)
        """dt after each: until the flux line has settled."""
        shots: PositiveInt = 500

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the amplitude."""
        p, blocks = self.parameters, executor.blocks
        control, qubit = qubits_of(target, executor.device)
        amplitude, repeats = blocks.value(f"{target}.cz.amplitude"), p.repeats - (p.repeats + 1) % 2
        known = {k: blocks.value(f"{target}.cz.{k}") for k in ("duration", "sigma", "width")}
        amplitudes = amplitude * (1 + np.linspace(-p.span / 2, p.span / 2, p.points))
        pulses = [flux_pulse(executor, target, amplitude=a, **known) for a in amplitudes.tolist()]
        schedules = [
            ramsey(blocks, qubit, before, repeated(pulse, repeats, p.apart), turn)
            for before in ((), (blocks.x(control),))
            for turn in TURNS.tolist()
            for pulse in pulses
        ]
        answer = yield MeasurementRequest(schedules, p.shots)
        axes = {"control": ([0, 1], ""), "turn": (TURNS, "rad"), "amplitude": (amplitudes, "full scale")}
        data = sweep(axes, answer, known=executor.calibration, target=f"Q{qubit}")
        return data.assign_attrs(repeats=repeats, centre=amplitude)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a line to the phase of one gate less π: the amplitude is where it is 0."""
        fits = {"conditional phase": _conditional(data)}
        if refused := first_bad(fits):
            return refused
        (fit,) = fits.values()
        slope, offset = fit.values["slope"], fit.values["offset"]
        fit = fit.derived("zero", -offset / slope, {"offset": -1 / slope, "slope": offset / slope**2})
        low, high = fit.x.min(), fit.x.max()
        if not low - (high - low) / 2 <= fit.values["zero"] <= high + (high - low) / 2:
            return bad_data("the conditional phase is not π near the sweep", **fits)
        centre = float(data.attrs["centre"])
        value = Proposal(centre + fit.values["zero"], "full scale", fit.stderr["zero"])
        return Outcome("good", "", {"cz.amplitude": value}, fits)


def _conditional(data: xarray.Dataset) -> Fit:
    """Fit a line to the conditional phase of one gate less π over the amplitude less the one known."""
    y, sigma = signal(data)
    repeats = int(data.attrs["repeats"])
    (zero, e0), (one, e1) = phasor(y[0], sigma[0]), phasor(y[1], sigma[1])
    x = data["amplitude"].to_numpy() - float(data.attrs["centre"])
    if np.min(np.abs([zero, one])) < 0.2:
        return line(x, np.full(x.size, np.nan)).refused("the fringe of the target vanishes")
    off = -one * zero.conj()
    middle = off[np.argmin(np.abs(x))]
    # Unwrapped from the middle of the sweep: there the phase is nearest to what it should be.
    turns = np.angle(middle) + np.angle(off / middle) if repeats == 1 else _unwrapped(off, int(np.argmin(np.abs(x))))
    return line(x, turns / repeats, np.hypot(e0, e1) / repeats).shown(
        x=("amplitude less the known one", "full scale"), y=("conditional phase − π", "rad")
    )


def _unwrapped(z: np.ndarray, middle: int) -> Real:
    angle = np.unwrap(np.angle(z))
    return np.asarray(angle - angle[middle] + np.angle(z[middle]))


class CzLeakage(Cz):
    """The width of the flux pulse after which most of 11 is back, and what is lost there per gate.

    The target is seen in 0 when 11 has gone to two excitations of the control. What the wait alone and the readout
    take is measured beside it. The width at which the least is lost depends on the amplitude, and the amplitude of a
    conditional phase of π on the width: between sweeps of the width, each half as wide as the one before, the amplitude
    is set again until the width stays where it is.
    """

    name: ClassVar = "cz-leakage"
    needs: ClassVar = (*NEEDS, *GATE)
    gives: ClassVar = ("cz.width", "cz.leakage", "cz.amplitude")
    tolerances: ClassVar = {"cz.width": (2.0, 0.0)}
    quick: ClassVar = {"points": 7, "shots": 300, "rounds": 1}

    class Parameters(RoutineParameters):
        """Of the sweeps around the width that is known, the duration held."""

        span: PositiveFloat = 20.0
        """dt, of the first sweep."""
        points: int = Field(default=9, ge=5)
        shots: PositiveInt = 1000
        """Of the first sweep; each next one has twice as many."""
        rounds: int = Field(default=3, ge=1, le=5)
        """At most."""
        phase_span: float = Field(default=0.06, gt=0, le=0.5)
        """Of the amplitude, as a part of it, where its phase is sought."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the width and set the amplitude in turns; the last schedules wait as long as the gate lasts instead."""
        p, blocks = self.parameters, executor.blocks
        control, qubit = qubits_of(target, executor.device)
        start = (blocks.x(control), blocks.x(qubit))
        width, amplitude = (blocks.value(f"{target}.cz.{name}") for name in ("width", "amplitude"))
        known = {k: blocks.value(f"{target}.cz.{k}") for k in ("duration", "sigma")}
        rounds: list[xarray.Dataset] = []
        for number in range(p.rounds):
            data = yield from self._widths(executor, target, start, known, (amplitude, width, number))
            rounds.append(data)
            top = _kept(data)
            if not top.ok or number == p.rounds - 1 or (number and _settled(_kept(rounds[-2]), top)):
                break
            width = top.values["extremum"]
            given = {f"{target}.cz.width": Value(width), f"{target}.cz.amplitude": Value(amplitude)}
            phase = CzPhase(span=p.phase_span, points=5, repeats=1, shots=p.shots // 2)
            found = yield from phase.measure(executor.propose(given), target)
            right = phase.analyse(found)
            if not right.good:
                return data.assign_attrs(lost_phase=right.reason)
            amplitude = float(np.asarray(right.values["cz.amplitude"].value))
        wait = blocks.shot(qubit, *start, round(known["duration"]))
        answer = yield MeasurementRequest([wait, wait], p.shots)
        last = rounds[-1].merge(sweep({"wait": ([0, 1], "")}, answer, suffixes=("_wait",)))
        return last.assign_attrs(rounds=len(rounds))

    def _widths(
        self, executor: Executor, target: str, start: tuple[Part, ...], known: dict[str, float],
        at: tuple[float, float, int],
    ) -> Measurement:  # fmt: skip
        """Sweep the width at an amplitude, around a width, in the round of a number."""
        p, (_, qubit), (amplitude, width, number) = self.parameters, qubits_of(target, executor.device), at
        longest, span = known["duration"] - 2 * known["sigma"], p.span / 2**number
        widths = np.linspace(max(width - span / 2, 0.0), min(width + span / 2, longest), p.points)
        pulses = [flux_pulse(executor, target, width=w, amplitude=amplitude, **known) for w in widths.tolist()]
        answer = yield MeasurementRequest(
            [executor.blocks.shot(qubit, *start, pulse) for pulse in pulses], p.shots * 2**number
        )
        data = sweep({"width": (widths, "dt")}, answer, known=executor.calibration, target=f"Q{qubit}")
        return data.assign_attrs(amplitude=amplitude)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a parabola to the last sweep: at its top the least is lost."""
        fits = {"target in 1 after 11": _kept(data)}
        if refused := first_bad(fits):
            return refused
        if reason := data.attrs.get("lost_phase"):
            return bad_data(f"no amplitude with a conditional phase of π: {reason}", **fits)
        (fit,) = fits.values()
        still, error = signal(data, "_wait")
        lost = float(still.mean()) - fit.values["offset"]
        stderr = float(np.hypot(np.linalg.norm(error) / error.size, fit.stderr["offset"]))
        if lost > 0.2:
            return bad_data(f"{lost:.2f} of 11 is lost at the best width", **fits)
        values = {
            "cz.width": Proposal(fit.values["extremum"], "dt", fit.stderr["extremum"]),
            "cz.leakage": Proposal(max(lost, 0.0), "", stderr),
            "cz.amplitude": Proposal(float(data.attrs["amplitude"]), "full scale"),
        }
        return Outcome("good", "", values, fits)


def _kept(data: xarray.Dataset) -> Fit:
    """Fit a parabola to what is kept of 11 over the width."""
    y, sigma = signal(data)
    top = parabola(data["width"].to_numpy(), y, sigma, sign=-1)
    return determined(top, "curvature", 0.2, "the width makes no difference")


def _settled(before: Fit, now: Fit) -> bool:
    """Return whether two sweeps agree on the width."""
    return bool(
        abs(now.values["extremum"] - before.values["extremum"])
        < 2 * np.hypot(now.stderr["extremum"], before.stderr["extremum"])
    )


class CzVirtualZ(Cz):
    """The virtual z after the gate: the phase it leaves on either qubit with the other in 0.

    Five gates in a row tell it five times better; one gate tells which of the turns it is.
    """

    name: ClassVar = "cz-virtual-z"
    needs: ClassVar = (
        "control.sx.amplitude", "target.sx.amplitude", "control.readout.discriminator", "target.readout.discriminator",
        *GATE,
    )  # fmt: skip
    gives: ClassVar = ("cz.rz_control", "cz.rz_target")
    tolerances: ClassVar = {"cz.rz_control": (0.05, 0.0), "cz.rz_target": (0.05, 0.0)}
    quick: ClassVar = {"shots": 300}

    class Parameters(RoutineParameters):
        """Of the measurement."""

        repeats: int = Field(default=5, ge=2)
        """Gates in a row, beside one."""
        apart: int = Field(default=SETTLED, ge=0)
        """dt after each: until the flux line has settled."""
        shots: PositiveInt = 1000

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Ramsey of one qubit after the other around the gate without its virtual z."""
        p, pair = self.parameters, qubits_of(target, executor.device)
        pulse = flux_pulse(executor, target, duration=executor.blocks.value(f"{target}.cz.duration"))
        counts, data, known = [1, p.repeats], xarray.Dataset(), {}
        for side, qubit in zip(("control", "target"), pair, strict=True):
            schedules = [
                ramsey(executor.blocks, qubit, (), repeated(pulse, count, p.apart), turn)
                for turn in TURNS.tolist()
                for count in counts
            ]
            answer = yield MeasurementRequest(schedules, p.shots)
            axes = {"turn": (TURNS, "rad"), "gates": (counts, "")}
            found = sweep(axes, answer, suffixes=(f"_{side}",), known=executor.calibration, target=f"Q{qubit}")
            data = data.merge(found, combine_attrs="drop")
            known[f"discriminator_{side}"] = found.attrs["discriminator"]
        return data.assign_attrs(known)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Take the phases away."""
        values: dict[str, Proposal] = {}
        counts = data["gates"].to_numpy()
        for side in ("control", "target"):
            own = data.assign_attrs(discriminator=data.attrs[f"discriminator_{side}"])
            z, error = phasor(*signal(own, f"_{side}"))
            if np.min(np.abs(z)) < 0.2:
                return bad_data(f"the fringe of the {side} vanishes: {np.abs(z).min():.2f} of full contrast")
            one = np.angle(z[0])
            rest = float(np.angle(z[1] * np.exp(-1j * counts[1] * one)))
            spread = float(np.hypot(error[1], counts[1] * error[0]))
            if abs(rest) + 3 * spread > np.pi:
                return bad_data(f"one gate and {counts[1]} gates do not agree on the phase of the {side}")
            phase = one + rest / counts[1]
            angle = float(np.angle(np.exp(-1j * phase)))
            values[f"cz.rz_{side}"] = Proposal(angle, "rad", float(error[1] / counts[1]))
        return Outcome("good", "", values)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the fringes of both qubits, and the cosines with the phase that was found."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        fine = np.linspace(0, 2 * np.pi, 200)
        for axes, side in zip(figure.subplots(1, 2, sharey=True), ("control", "target"), strict=True):
            own = data.assign_attrs(discriminator=data.attrs[f"discriminator_{side}"])
            y, sigma = signal(own, f"_{side}")
            z, _ = phasor(y, sigma)
            for k, count in enumerate(data["gates"].to_numpy()):
                points = axes.errorbar(TURNS, y[:, k], sigma[:, k], fmt=".", label=f"{count} gates")
                level, size = y[:, k].mean(), abs(z[k]) / 2
                if outcome.good:
                    found = outcome.values[f"cz.rz_{side}"].value
                    assert isinstance(found, float)
                    phase = -count * found
                    axes.plot(fine, level + size * np.cos(fine + phase), color=points[0].get_color())
            axes.set_title(side, fontsize="small")
            axes.set_xlabel("turn of the last pulse (rad)")
            axes.legend(fontsize="x-small")
        figure.axes[0].set_ylabel("population of 1")
