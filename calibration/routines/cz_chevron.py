"""A first CZ by a flux pulse on a tunable coupler, from what the pulse does to 11 over its amplitude and width."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import minimum_filter

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.fit import Real
from pulsed.calibration.results.data import signal, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    RoutineParameters,
    Verdict,
    bad_data,
    qubits_of,
)
from pulsed.calibration.routines.cz import GATE, NEEDS, SETTLED, Cz, flux_pulse, ramsey
from pulsed.calibration.routines.phases import TURNS
from pulsed.model.calibration import CalibrationSet
from pulsed.pulse.schedule import Schedule

CLOSE = 0.07
"""By how much of a gate, lost from 11 and of the phase, a first CZ may be off for finer routines to mend it."""


class CzChevron(Cz):
    """What a flux pulse does to 11, and the phase it leaves on it, against amplitude and width: a first CZ.

    As the coupler comes nearer, 11 is exchanged with the state of two excitations in one qubit, and comes back after
    whole periods (Strauch et al., Phys. Rev. Lett. 91, 167005, 2003): the target, seen in 0, has lost its excitation.
    A CZ is where 11 is back with a phase of π, that of the target with the control in 1 against that with it in 0.
    """

    name: ClassVar = "cz-chevron"
    needs: ClassVar = NEEDS
    gives: ClassVar = GATE

    class Parameters(RoutineParameters):
        """Of the sweeps."""

        lowest: float = Field(default=0.16, ge=-1, le=1)
        """Full scale of the flux line, of either sign."""
        highest: float = Field(default=0.26, ge=-1, le=1)
        amplitudes: int = Field(default=11, ge=4)
        widths: int = Field(default=9, ge=4)
        longest: PositiveInt = 80
        """dt, of the flat top."""
        shortest: int = Field(default=16, ge=0)
        sigma: PositiveFloat = 12.0
        """dt, of the flanks, which are two sigma long."""
        apart: int = Field(default=SETTLED, ge=0)
        """dt after each pulse: until the flux line has settled."""
        candidates: int = Field(default=8, ge=1)
        """Of the settings that the pattern promises, those that are tried."""
        shots: PositiveInt = 200

    def measure(self, executor: Executor, target: str) -> Measurement:
        """At each setting: the target after 11, and two quadratures of its phase with the control in 0 and in 1."""
        p = self.parameters
        _, qubit = qubits_of(target, executor.device)
        amplitudes = np.linspace(p.lowest, p.highest, p.amplitudes)
        widths = np.linspace(p.shortest, p.longest, p.widths)
        grid = [flux_pulse(executor, target, amplitude=a, width=w, sigma=p.sigma) for a in amplitudes for w in widths]
        answer = yield MeasurementRequest(self._at(executor, target, grid), p.shots)
        axes = {"amplitude": (amplitudes, "full scale"), "width": (widths, "dt"), "setting": (np.arange(5), "")}
        data = sweep(axes, answer, known=executor.calibration, target=f"Q{qubit}")
        data = data.assign_attrs(sigma=p.sigma, granularity=executor.device.timing.granularity)
        tried = _promising(data, p.candidates)
        if tried:
            pulses = [flux_pulse(executor, target, amplitude=a, width=w, sigma=p.sigma) for a, w in tried]
            answer = yield MeasurementRequest(self._at(executor, target, pulses), 2 * p.shots)
            axes = {"candidate": (np.arange(len(tried)), ""), "setting": (np.arange(5), "")}
            data = data.merge(sweep(axes, answer, suffixes=("_tried",)))
        tried_amplitudes, tried_widths = np.array(tried).reshape(-1, 2).T
        data["tried_amplitude"] = ("candidate", tried_amplitudes, {"units": "full scale"})
        data["tried_width"] = ("candidate", tried_widths, {"units": "dt"})
        return data

    def _at(self, executor: Executor, target: str, pulses: list[Schedule]) -> list[Schedule]:
        """Return five shots for each of some flux pulses."""
        blocks, apart = executor.blocks, self.parameters.apart
        control, qubit = qubits_of(target, executor.device)
        x, schedules = blocks.x(control), []
        for pulse in pulses:
            schedules.append(blocks.shot(qubit, x, blocks.x(qubit), pulse))
            for before in ((), (x,)):
                schedules += [ramsey(blocks, qubit, before, (pulse, apart), turn) for turn in TURNS[:2].tolist()]
        return schedules

    def check(self, executor: Executor, target: str) -> Measurement:
        """Do the same with the active pulse alone."""
        _, qubit = qubits_of(target, executor.device)
        now = {
            name: executor.blocks.value(f"{target}.cz.{name}") for name in ("amplitude", "width", "sigma", "duration")
        }
        answer = yield MeasurementRequest(
            self._at(executor, target, [flux_pulse(executor, target, **now)]), 5 * self.parameters.shots
        )
        axes = {"candidate": ([0], ""), "setting": (np.arange(5), "")}
        known = executor.calibration
        return sweep(axes, answer, suffixes=("_tried",), known=known, target=f"Q{qubit}").assign_attrs(**now)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Say whether the active pulse still brings 11 back with a phase near π, as finer routines need it."""
        y, sigma = signal(data, "_tried")
        fringe, noise = float(np.hypot(*(2 * y[0, 1:3] - 1))), 2 * float(np.median(sigma))
        if not fringe > max(5 * noise, 0.5):
            return "bad data", "the target shows no fringe: is its drive line alive?"
        lost, ratio, _ = chevron_maps(data, "_tried")
        wrong, error = float(_wrong(lost, ratio)[0]), float(np.hypot(sigma[0, 0], noise * abs(1 + ratio[0]) / 2))
        if wrong > CLOSE + 3 * error:
            return "out of spec", f"the active gate is wrong by {wrong:.2f}, {CLOSE + 3 * error:.2f} is allowed"
        return "in spec", ""

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Take the best of the settings that were tried: where the pattern is narrow, what lies between misleads."""
        lost, ratio, noise = chevron_maps(data)
        if not np.all(np.isfinite(lost)) or np.median(np.abs(ratio)) < 5 * noise:
            return bad_data("the target shows no fringe: is its drive line alive?")
        if not data.sizes.get("candidate"):
            return bad_data("no CZ within the sweep: no setting brings 11 back with a phase of π")
        wrong = _wrong(*chevron_maps(data, "_tried")[:2])
        widths = data["tried_width"].to_numpy()
        # Of settings that are as good the shorter one: the qubits lose less meanwhile.
        best = int(np.argmin(wrong + 0.02 * (widths - widths.min()) / max(float(np.ptp(widths)), 1.0)))
        if wrong[best] > 0.15 + 3 * noise:
            return bad_data(f"no CZ within the sweep: the best setting is wrong by {wrong[best]:.2f}")
        sigma, step = float(data.attrs["sigma"]), int(data.attrs["granularity"])
        length = -(-int(np.ceil(widths[best] + 4 * sigma)) // step) * step
        values = {
            "cz.amplitude": Proposal(float(data["tried_amplitude"][best]), "full scale"),
            "cz.duration": Proposal(float(length), "dt"),
            "cz.sigma": Proposal(sigma, "dt"),
            "cz.width": Proposal(float(widths[best]), "dt"),
        }
        return Outcome("good", "", values)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw what is lost of 11 and the conditional phase, and the setting that was chosen."""
        from pulsed.calibration.results.run_plots import heading

        lost, ratio, _ = chevron_maps(data)
        chosen = [f"{name} = {item.value:.5g} {item.unit}" for name, item in outcome.values.items()]
        figure.suptitle("\n".join([heading(self.name, data, outcome), ", ".join(chosen)]), fontsize="medium")
        maps = (
            (lost, "lost from 11", "viridis", None),
            (np.angle(ratio), "conditional phase (rad)", "twilight", np.pi),
        )
        for axes, (values, title, colours, most) in zip(figure.subplots(1, 2), maps, strict=True):
            image = axes.pcolormesh(
                data["width"], data["amplitude"], values, cmap=colours, vmin=0 if most is None else -most, vmax=most
            )
            figure.colorbar(image, ax=axes, orientation="horizontal", label=title)
            axes.set_xlabel("width (dt)")
            axes.set_ylabel("amplitude (full scale)")
            if outcome.good:
                axes.plot(outcome.values["cz.width"].value, outcome.values["cz.amplitude"].value, "r+", ms=14, mew=2)


def chevron_maps(data: xarray.Dataset, suffix: str = "") -> tuple[Real, np.ndarray, float]:
    """Return what is lost of 11, contrast times exp(i conditional phase), both (amplitudes, widths), and the noise."""
    y, sigma = signal(data, suffix)
    zero, one = ((2 * y[..., k] - 1) + 1j * (1 - 2 * y[..., k + 1]) for k in (1, 3))
    lost = np.clip(1 - y[..., 0], 0, 1)
    return lost, one * zero.conj(), float(np.median(sigma) * 2)


def _wrong(lost: Real, ratio: np.ndarray) -> Real:
    """Return what is wrong with a gate: (1 + r)/2 is 0 for a phase of π with the whole contrast."""
    return np.asarray(lost + np.abs(1 + ratio) ** 2 / 4)


def _promising(data: xarray.Dataset, most: int) -> list[tuple[float, float]]:
    """Return (amplitude, width) of the best minima within the pattern, as it is between what was measured."""
    lost, ratio, _ = chevron_maps(data)
    if not np.all(np.isfinite(lost)):
        return []
    a, w = data["amplitude"].to_numpy(), data["width"].to_numpy()
    fine_a, fine_w = np.linspace(a[0], a[-1], 201), np.linspace(w[0], w[-1], 201)
    parts = [RectBivariateSpline(a, w, part)(fine_a, fine_w) for part in (lost, ratio.real, ratio.imag)]
    score = _wrong(parts[0], parts[1] + 1j * parts[2])
    least = score == minimum_filter(score, size=15)
    # The edge is no minimum: it goes on beyond.
    least[[0, -1]], least[:, [0, -1]] = False, False
    places = sorted(np.argwhere(least & (score < 0.4)).tolist(), key=lambda place: float(score[tuple(place)]))
    return [(float(fine_a[i]), float(fine_w[j])) for i, j in places[:most]]
