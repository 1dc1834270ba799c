"""The echoed cross-resonance gate, finely: process tomography, and every knob turned until nothing is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.fit import Fit, wrapped
from pulsed.calibration.fits.process import (
    KNOBS,
    MEASURED,
    PAULIS,
    PREPARED,
    corrections,
    echoed_process,
    generators_of,
    infidelity,
)
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
from pulsed.calibration.routines.cross_resonance import Tone, rabi_rate
from pulsed.calibration.routines.tomography import (
    OUTCOMES,
    assignments,
    both,
    measured,
    pair_counts,
    prepared,
    readout_errors,
    settings,
)
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import DeviceDescription

VALUES = ("amplitude", "angle", "cancel.amplitude", "cancel.angle", "rz_control", "rz_target")
UNITS = {"amplitude": "full scale", "cancel.amplitude": "full scale"}
LINEAR = 0.1
"""rad: the largest move of a knob that is right to first order."""


class FineEcr(Routine):
    """The gate's small errors from process tomography, taken away one round after the other.

    The errors are generators of the 15 Paulis. ZX answers to the amplitude, ZY to the angle, IY and ZZ to the
    cancellation, ZI and IZ to virtual z. Of the other generators none has a knob, and IX is echoed away.
    """

    name: ClassVar = "fine-ecr"
    subject: ClassVar = "pair"
    needs: ClassVar = (
        "control.x.amplitude", "control.sx.amplitude", "target.x.amplitude", "target.sx.amplitude",
        "control.readout.p01", "control.readout.p10", "target.readout.p01", "target.readout.p10",
        "ecr.amplitude", "ecr.angle", "ecr.duration", "ecr.sigma", "ecr.width", "ecr.cancel.amplitude",
        "ecr.cancel.angle",
    )  # fmt: skip
    gives: ClassVar = tuple(f"ecr.{name}" for name in VALUES)
    disturbs: ClassVar = "neighbours"
    quick: ClassVar = {"rounds": 1}

    class Parameters(RoutineParameters):
        """Of the rounds."""

        rounds: int = Field(default=3, ge=1)
        """The most; it ends when what is left is within the noise."""
        shots: PositiveInt = 250
        """Of each of the 144 settings."""
        allowed: PositiveFloat = 1e-3
        """The coherent error that a check leaves in spec."""

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the pairs without a flux line."""
        return tone_pairs(device)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Measure, turn the knobs, and measure again."""
        data = xarray.Dataset()
        values = {name: executor.blocks.value(f"{target}.ecr.{name}", 0.0) for name in VALUES}
        for k in range(self.parameters.rounds):
            here = executor.propose({f"{target}.ecr.{name}": Value(value) for name, value in values.items()})
            new = yield from self._tomography(here, target, f"_{k}")
            data = data.merge(new, combine_attrs="override").assign_attrs(new.attrs | data.attrs)
            fit = process(data, f"_{k}")
            if not fit.ok or _settled(fit):
                break
            values, _ = _turned(data, fit, f"_{k}")
        return data

    def _tomography(self, executor: Executor, pair: str, suffix: str) -> Measurement:
        blocks, (control, target) = executor.blocks, qubits_of(pair, executor.device)
        gate, schedules = blocks.gate("ecr", control, target), []
        for states, basis in settings():
            start = both(*(prepared(blocks, q, state) for q, state in zip((control, target), states, strict=True)))
            schedules.append(measured(executor, pair, start.insert(start.duration, gate), basis))
        answer = yield MeasurementRequest(schedules, self.parameters.shots, level=2)
        counts = pair_counts(executor, pair, answer).reshape(16, 9, 4)
        data = xarray.Dataset()
        data.coords["prepared"] = ("prepared", [f"{a} {b}" for a in PREPARED for b in PREPARED])
        data.coords["basis"] = ("basis", [f"{a}{b}" for a in MEASURED for b in MEASURED])
        data.coords["outcome"] = ("outcome", list(OUTCOMES))
        data[f"counts{suffix}"] = (("prepared", "basis", "outcome"), counts, {"units": ""})
        tone = Tone.of(blocks, pair)
        length = (blocks.value(f"{pair}.ecr.width") + tone.edge) * blocks.dt
        values = {
            f"values{suffix}": [blocks.value(f"{pair}.ecr.{name}", 0.0) for name in VALUES],
            "turn_target": 2 * np.pi * rabi_rate(blocks, target) * length,
            "line_target": blocks.value(f"Q{target}.x.angle", 0.0),
        }
        return data.assign_attrs(values | readout_errors(executor, pair))

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit every round. The values are the mean of what the rounds since the last large move say they should be."""
        count = sum(str(name).startswith("counts_") for name in data.data_vars)
        if not count:
            return bad_data("no round was measured to its end")
        fits = {f"round {k + 1}": process(data, f"_{k}") for k in range(count)}
        if refused := first_bad(fits):
            return refused
        far = [k for k, fit in enumerate(list(fits.values())[:-1]) if _largest(fit) >= LINEAR]
        near = range(far[-1] + 1 if far else 0, count)
        rounds = [_turned(data, fits[f"round {k + 1}"], f"_{k}") for k in near]
        found = _polished([values for values, _ in rounds])
        errors = {name: float(np.mean([error[name] for _, error in rounds])) / len(near) ** 0.5 for name in VALUES}
        proposals = {f"ecr.{name}": Proposal(found[name], UNITS.get(name, "rad"), errors[name]) for name in VALUES}
        return Outcome("good", "", proposals, fits)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare the coherent error with what is allowed."""
        fit = process(data, "_0")
        if not fit.ok:
            return "bad data", fit.reason
        error, noise = infidelity(fit)
        if error > self.parameters.allowed + 3 * noise:
            return "out of spec", f"the coherent error of {target}.ecr is {error:.2g} ± {noise:.1g}"
        return "in spec", ""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the generators of every round, and the data of the last one against its fit."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        top, bottom = figure.subplots(2, 1, height_ratios=(3, 2))
        shown = {name: fit for name, fit in outcome.fits.items() if fit.names}
        for k, (name, fit) in enumerate(shown.items()):
            found, errors = generators_of(fit)
            error, noise = infidelity(fit)
            places = np.arange(len(PAULIS)) + 0.8 * (k + 0.5) / len(shown) - 0.4
            label = f"{name}: error {error:.1e} ± {noise:.0e}, chi2 {fit.chi2:.2f}"
            top.bar(places, found * 1e3, 0.8 / len(shown), yerr=errors * 1e3, label=label)
        top.axhline(0, color="grey", lw=0.8)
        top.set_xticks(range(len(PAULIS)), PAULIS, fontsize="x-small")
        top.set_ylabel("generator (mrad)")
        top.set_ylim(-120, 120)
        if shown:
            top.legend(fontsize="x-small")
            fit = list(shown.values())[-1]
            pulls = (np.asarray(fit.y) - np.asarray(fit.curve)) / np.asarray(fit.sigma)
            bottom.plot(fit.x // 36, pulls, ".", ms=2)
        bottom.axhline(0, color="grey", lw=0.8)
        bottom.set_xticks(
            range(16), [str(name) for name in data["prepared"].to_numpy()], fontsize="xx-small", rotation=60
        )
        bottom.set_xlabel("prepared state of control and target")
        bottom.set_ylabel("residuals (sigma)")


def process(data: xarray.Dataset, suffix: str) -> Fit:
    """Fit one round of a file."""
    return echoed_process(data[f"counts{suffix}"].to_numpy(), *assignments(data))


def _settled(fit: Fit) -> bool:
    """Return whether what the knobs could still take away is within the noise."""
    moves, errors = corrections(fit)
    return all(abs(moves[name]) < 2 * errors[name] for name in KNOBS if errors[name] > 0)


def _largest(fit: Fit) -> float:
    return max(abs(move) for move in corrections(fit)[0].values())


def _polished(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of values of several rounds; amplitudes and angles as complex numbers."""
    result: dict[str, float] = {}
    for prefix in ("", "cancel."):
        size, angle = f"{prefix}amplitude", f"{prefix}angle"
        mean = np.mean([values[size] * np.exp(1j * values[angle]) for values in rounds])
        result |= {size: float(abs(mean)), angle: float(np.angle(mean))}
    for name in ("rz_control", "rz_target"):
        result[name] = float(np.angle(np.mean([np.exp(1j * values[name]) for values in rounds])))
    return result


def _turned(data: xarray.Dataset, fit: Fit, suffix: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the values after the knobs have been turned by what ``fit`` found, and their standard errors."""
    was: Mapping[str, float] = dict(zip(VALUES, map(float, data.attrs[f"values{suffix}"]), strict=True))
    moves, errors = corrections(fit)
    factor = (1 + moves["amplitude"]) * np.exp(1j * moves["angle"])
    drive = was["amplitude"] * np.exp(1j * was["angle"]) * factor
    per_turn = np.exp(1j * float(data.attrs["line_target"])) / float(data.attrs["turn_target"])
    cancel = was["cancel.amplitude"] * np.exp(1j * was["cancel.angle"]) * factor
    cancel += complex(moves["cancel_x"], moves["cancel_y"]) * per_turn
    step = max(errors["cancel_x"], errors["cancel_y"]) * abs(per_turn)
    values = {
        "amplitude": abs(drive), "angle": np.angle(drive), "cancel.amplitude": abs(cancel),
        "cancel.angle": np.angle(cancel), "rz_control": wrapped(was["rz_control"] + moves["rz_control"]),
        "rz_target": wrapped(was["rz_target"] + moves["rz_target"]),
    }  # fmt: skip
    spread = {
        "amplitude": abs(drive) * errors["amplitude"], "angle": errors["angle"], "cancel.amplitude": step,
        "cancel.angle": step / max(abs(cancel), step), "rz_control": errors["rz_control"],
        "rz_target": errors["rz_target"],
    }  # fmt: skip
    return {k: float(v) for k, v in values.items()}, {k: float(v) for k, v in spread.items()}
