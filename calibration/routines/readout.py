"""Telling 0 from 1: the discriminator with its assignment errors, and the readout that makes them small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, clouds, parabola
from pulsed.calibration.results.data import errors, points, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    MeasurementResponse,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    Verdict,
    first_bad,
    qubits_of,
)
from pulsed.calibration.routines.readings import room
from pulsed.model.calibration import CalibrationSet
from pulsed.pulse.schedule import Schedule

PREPARED, ERROR = 0.7, 0.25
"""Of the shots of a state, how many are in it at least where its pulse works; and what is read wrongly at most."""
_MOVED = 0.05
"""How far a cloud may be from where the active set has it, in distances of 0 and 1; populations err by as much."""


def _clouds(data: xarray.Dataset) -> Fit:
    return told_apart(data["shot_i"].to_numpy() + 1j * data["shot_q"].to_numpy())


def judge_places(fit: Fit, places: Sequence[complex], name: str) -> tuple[Verdict, str]:
    """Compare where the cloud of each state lies with its place in the discriminator ``name``; 0 and 1 come first."""
    for state, place in enumerate(places):
        re, im = f"z{state}re", f"z{state}im"
        moved = abs(complex(fit.values[re], fit.values[im]) - place)
        allowed = _MOVED * abs(places[1] - places[0]) + 3 * abs(complex(fit.stderr[re], fit.stderr[im]))
        if moved > allowed:
            return "out of spec", f"the points of {state} have moved by {moved:.2g}, {allowed:.1g} is allowed: {name}"
    return "in spec", ""


def told_apart(points: np.ndarray) -> Fit:
    """Fit clouds to points of shape (states, shots); refuse those of states that were not prepared or cannot be told.

    Two clouds are found in any points that lie more one way than the other: half a π pulse has them too.
    """
    fit = clouds(list(points))
    if not fit.ok:
        return fit
    for state in range(len(points)):
        if (part := fit.values[f"population_{state}{state}"]) < PREPARED:
            return fit.refused(f"{part:.2f} of the shots prepared in {state} are in it: is the π pulse right?")
    if fit.values["error"] > ERROR:
        return fit.refused(f"{fit.values['error']:.2f} of the shots are read wrongly: the states cannot be told apart")
    return fit


def shots_of(answer: MeasurementResponse, **axes: Sequence[object]) -> xarray.Dataset:
    """Return single shots, ``shot_i`` and ``shot_q``, over ``axes`` (the last runs fastest): the prepared state..."""
    assert answer.iq is not None, "level 1"
    iq = answer.iq[:, :, 0].astype(np.complex128).reshape(*(len(values) for values in axes.values()), -1)
    data = xarray.Dataset({}, {name: (name, list(values), {"units": ""}) for name, values in axes.items()})
    for name, values in (("shot_i", iq.real), ("shot_q", iq.imag)):
        data[name] = ((*axes, "shot"), values, {"units": "full scale"})
    return data


def _discriminator(fit: Fit) -> dict[str, Proposal]:
    """Return what a fit of two clouds gives."""
    centres = tuple(fit.values[name] for name in ("z0re", "z0im", "z1re", "z1im", "variance"))
    values = {"readout.discriminator": Proposal(centres, "full scale")}
    for name in ("p01", "p10", "error"):
        values[f"readout.{name}"] = Proposal(fit.values[name], "", fit.stderr[name])
    thermal = max(fit.values["population_01"], 0.0)
    return {**values, "thermal": Proposal(thermal, "", fit.stderr["population_01"])}


def rested(executor: Executor) -> dict[str, float]:
    """Return options with twice the usual wait before a shot.

    What is left in 1 of the shot before is not an error of the readout: after 500 us it is 2 % with a T1 of 130 us.
    """
    limits = executor.device.limits
    return {"rep_delay": min(2 * limits.rep_delay, limits.rep_delay_max)}


class Readout(Routine):
    """The discriminator: where the points of 0 and of 1 lie, and how often one is taken for the other.

    ``readout.p10`` is how often 1 is read after preparing 0, ``readout.p01`` how often 0 is read after preparing 1, and
    ``readout.error`` their mean: what a user has who prepares and reads, and Qiskit's prob_meas1_prep0,
    prob_meas0_prep1 and the error of ``measure`` in the Target. A qubit that is in 1 before it is prepared, which
    ``thermal`` says, is part of them. A correction takes that part away: see :class:`fits.assignment.Assignment`.
    """

    name: ClassVar = "discriminator"
    needs: ClassVar = ("x.amplitude", "readout.amplitude")
    gives: ClassVar = ("readout.discriminator", "readout.p01", "readout.p10", "readout.error", "thermal")
    tolerances: ClassVar = {"readout.error": (0.005, 0.2)}
    quick: ClassVar = {"shots": 500}

    class Parameters(RoutineParameters):
        """Of the measurement."""

        shots: PositiveInt = 3000

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Prepare 0 and 1 and keep every shot."""
        (qubit,) = qubits_of(target, executor.device)
        blocks = executor.blocks
        schedules = [blocks.shot(qubit), blocks.shot(qubit, blocks.x(qubit))]
        answer = yield MeasurementRequest(schedules, self.parameters.shots, options=rested(executor))
        return shots_of(answer, prepared=[0, 1])

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit a Gaussian cloud to each state."""
        fits = {"clouds": _clouds(data)}
        return first_bad(fits) or Outcome("good", "", _discriminator(fits["clouds"]), fits)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare the assignment error, and where the clouds lie, with what is active.

        As well told apart as ever, clouds that have turned with the phase of an oscillator are told apart wrongly.
        """
        verdict, why = super().judge(data, calibration, target)
        full = f"{target}.readout.discriminator"
        if verdict != "in spec" or not calibration.has(full):
            return verdict, why
        fit, known = _clouds(data), calibration.numbers(full)
        return judge_places(fit, [complex(known[k], known[k + 1]) for k in (0, 2)], full)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the points of both states and the centres."""
        draw_clouds(self.name, data, outcome, figure)


class ReadoutOptimum(Routine):
    """Frequency and amplitude at which 0 and 1 are told apart best.

    The frequency is where the mean points of both states are farthest apart, weakly driven. More power is not always
    better: the amplitude is the one of the smallest assignment error, found by preparing both states and reading them,
    up to ``readout.highest`` where resonator-power has found it and to where the states cannot be told apart any more.
    Records are integrated evenly. Where a kernel is active, which tells the states apart at another setting and turns
    the points, ``readout.kernel`` is made a boxcar too: the points that are given are those that it reads.
    """

    name: ClassVar = "readout-optimum"
    needs: ClassVar = ("x.amplitude", "readout.amplitude")
    gives: ClassVar = ("readout.frequency", "readout.amplitude", *Readout.gives)
    tolerances: ClassVar = {"readout.error": (0.005, 0.2)}

    class Parameters(RoutineParameters):
        """Of the sweeps."""

        span: PositiveFloat = 5e6
        """Hz, of the sweep of the frequency; centred where the shifted resonance is expected too."""
        points: int = Field(default=26, ge=7)
        shots: PositiveInt = 200
        amplitudes: int = Field(default=10, ge=4)
        largest: PositiveFloat = 2.5
        """Of the amplitudes, as a multiple of the one that is known; the smallest is 0.4 of it."""
        amplitude_shots: PositiveInt = 1500
        final_shots: PositiveInt = 3000

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the frequency, then the amplitude at the best one, then read at the best of both."""
        p, subject, known = self.parameters, f"{target}.readout", executor.calibration
        frequency, amplitude = (
            executor.blocks.value(f"{subject}.frequency"),
            executor.blocks.value(f"{subject}.amplitude"),
        )
        frequencies = frequency + np.linspace(-0.7 * p.span, 0.3 * p.span, p.points)
        answer = yield self._ask(executor, target, [(float(f), 0.5 * amplitude) for f in frequencies], p.shots)
        axes = {"frequency": (frequencies, "Hz"), "prepared": ([0, 1], "")}
        weighted = known.has(kernel := f"{subject}.kernel") and any(known.numbers(kernel))
        data = sweep(axes, answer).assign_attrs(weighted=int(weighted))
        best = _contrast(data)
        if not best.ok:
            return data
        at = best.values["extremum"]
        most = min(amplitude * p.largest, _highest(executor, target), known.get(f"{subject}.highest", np.inf))
        amplitudes = np.geomspace(min(0.4 * amplitude, 0.5 * most), most, p.amplitudes)
        answer = yield self._ask(executor, target, [(at, a) for a in amplitudes.tolist()], p.amplitude_shots)
        data = data.merge(_assignment(answer, amplitudes))
        chosen = _amplitude(data)
        answer = yield self._ask(executor, target, [(at, chosen)], p.final_shots, rested(executor))
        return data.merge(shots_of(answer, prepared=[0, 1]))

    def _ask(
        self, executor: Executor, target: str, settings: list[tuple[float, float]], shots: int,
        options: Mapping[str, Any] | None = None,
    ) -> MeasurementRequest:  # fmt: skip
        """Ask for both states at each (frequency, amplitude)."""
        blocks, (qubit,) = executor.blocks, qubits_of(target, executor.device)
        schedules: list[Schedule] = []
        for frequency, amplitude in settings:
            readout = blocks.measure(qubit, frequency=frequency, amplitude=amplitude)
            schedules += [blocks.shot(qubit, readout=readout), blocks.shot(qubit, blocks.x(qubit), readout=readout)]
        return MeasurementRequest(schedules, shots, options=options or {})

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Find the best frequency and amplitude, and the clouds there."""
        fits = {"contrast": _contrast(data)}
        if refused := first_bad(fits):
            return refused
        fits["clouds"] = _clouds(data)
        if refused := first_bad(fits):
            return refused
        frequency = fits["contrast"]
        values = {
            "readout.frequency": Proposal(frequency.values["extremum"], "Hz", frequency.stderr["extremum"]),
            "readout.amplitude": Proposal(_amplitude(data), "full scale"),
        }
        if data.attrs.get("weighted"):
            values["readout.kernel"] = Proposal((0.0,))
        return Outcome("good", "", {**values, **_discriminator(fits["clouds"])}, fits)

    def check(self, executor: Executor, target: str) -> Measurement:
        """Read both states as they are read now."""
        return Readout().check(executor, target)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare the assignment error with the active one."""
        return Readout().judge(data, calibration, target)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw both sweeps with what was chosen, and the clouds there."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        left, middle, right = figure.subplots(1, 3)
        z = points(data)
        left.plot(data["frequency"] / 1e9, np.abs(z[:, 1] - z[:, 0]), ".")
        left.set(xlabel="frequency (GHz)", ylabel="distance of 0 and 1 (full scale)")
        contrast = outcome.fits.get("contrast")
        if contrast is not None and contrast.x.size:
            left.plot(contrast.x / 1e9, contrast.curve, "-")
        if "assignment" in data:
            middle.errorbar(data["amplitude"], data["assignment"], data["assignment_error"], fmt=".")
            middle.axvline(_amplitude(data), color="grey", lw=0.8)
            middle.set(xlabel="amplitude (full scale)", ylabel="assignment error", yscale="log")
        _draw_points(data, outcome, right)


def _highest(executor: Executor, target: str) -> float:
    """Return the largest amplitude that all tones of a readout line can have at once, full scale.

    They share what mixer correction and offset leave of it when all of them are in phase.
    """
    rows = executor.device.qubits
    port = rows[qubits_of(target, executor.device)[0]].readout
    return room(executor, port) / sum(row.readout == port for row in rows)


def _contrast(data: xarray.Dataset) -> Fit:
    """Fit the distance of both states' mean points over the readout frequency, near its maximum, by a parabola."""
    frequency, z, sigma = data["frequency"].to_numpy(), points(data), errors(data)
    distance = np.abs(z[:, 1] - z[:, 0])
    noise = np.hypot(sigma[:, 0], sigma[:, 1])
    top = np.convolve(distance, np.ones(3) / 3, "same")
    near = _around(int(np.argmax(top)), top >= 0.7 * top.max())
    return parabola(frequency[near], distance[near], noise[near], sign=-1)


def _around(middle: int, good: np.ndarray) -> slice:
    """Return the stretch around ``middle`` without a gap: a point that is not good vouches for none behind it."""
    bad = np.flatnonzero(~good)
    before, behind = bad[bad < middle], bad[bad > middle]
    return slice(int(before[-1]) + 1 if before.size else 0, int(behind[0]) if behind.size else good.size)


def _assignment(answer: MeasurementResponse, amplitudes: np.ndarray) -> xarray.Dataset:
    """Return the assignment error at each amplitude, NaN where the clouds cannot be told apart or are clipped."""
    assert answer.iq is not None, "level 1"
    found, error = np.full(amplitudes.size, np.nan), np.full(amplitudes.size, np.nan)
    for k in range(amplitudes.size):
        fit = clouds([answer.iq[2 * k, :, 0], answer.iq[2 * k + 1, :, 0]])
        if fit.ok and not answer.overrange[2 * k : 2 * k + 2].any():
            found[k], error[k] = fit.values["error"], fit.stderr["error"]
    data = xarray.Dataset(coords={"amplitude": ("amplitude", amplitudes, {"units": "full scale"})})
    data["assignment"] = ("amplitude", found, {"units": ""})
    data["assignment_error"] = ("amplitude", error, {"units": ""})
    return data


def _amplitude(data: xarray.Dataset) -> float:
    """Return the amplitude of the smallest assignment error: of a parabola in its logarithm through those near it.

    Where there is no minimum within the sweep it is the best amplitude that was tried. The sweep ends where the states
    cannot be told apart any more: beyond that the resonator is another one.
    """
    told = np.isfinite(data["assignment"].to_numpy())
    if not told.any():
        return float(data["amplitude"].to_numpy().min())
    known = data.isel(amplitude=_around(int(np.argmax(told)), told))
    amplitudes, found = known["amplitude"].to_numpy(), known["assignment"].to_numpy()
    best = int(np.argmin(found))
    near = slice(max(best - 2, 0), best + 3)
    x, y = np.log(amplitudes[near]), found[near]
    if x.size >= 4:
        fit = parabola(x, y, known["assignment_error"].to_numpy()[near], sign=1)
        if fit.ok:
            return float(np.exp(fit.values["extremum"]))
    return float(amplitudes[best])


def draw_clouds(title: str, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
    """Draw the single shots of prepared states and the centres of their clouds."""
    from pulsed.calibration.results.run_plots import heading

    figure.suptitle(heading(title, data, outcome), fontsize="medium")
    axes = figure.subplots()
    _draw_points(data, outcome, axes)
    axes.set_aspect("equal")


def _draw_decision(fit: Fit, axes: Any, factor: float) -> None:
    """Draw the line on whose sides a point is taken for one state and the other: as far from both centres."""
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    u, v = np.meshgrid(np.linspace(x0, x1, 400), np.linspace(y0, y1, 400))
    centres = [
        factor * complex(fit.values[f"z{k}re"], fit.values[f"z{k}im"]) for k in range(3) if f"z{k}re" in fit.values
    ]
    nearest = np.argmin([np.abs(u + 1j * v - centre) for centre in centres], axis=0)
    axes.contour(u, v, nearest, np.arange(len(centres) - 1) + 0.5, colors="black", linewidths=0.8, linestyles="--")


def _draw_points(data: xarray.Dataset, outcome: Outcome, axes: Any) -> None:
    from pulsed.calibration.results.run_plots import engineering

    if "shot_i" not in data:
        return
    shots = data["shot_i"].to_numpy(), data["shot_q"].to_numpy()
    along, upward = (engineering(name, shots, "full scale") for name in "IQ")
    for state, (i, q) in enumerate(zip(*shots, strict=True)):
        axes.plot(along(i), upward(q), ".", ms=2, alpha=0.4, label=f"prepared {state}")
    fit = outcome.fits.get("clouds")
    if fit is not None and "z0re" in fit.values:
        for state in range(data.sizes["prepared"]):
            axes.plot(along(fit.values[f"z{state}re"]), upward(fit.values[f"z{state}im"]), "k+", ms=14)
        _draw_decision(fit, axes, along.factor)
    axes.set_xlabel(along.label)
    axes.set_ylabel(upward.label)
    axes.legend(markerscale=4, loc="best", fontsize="small")
