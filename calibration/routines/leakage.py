"""How much of a pair an echoed cross-resonance gate leaves outside of 0 and 1."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, line
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    first_bad,
    qubits_of,
    tone_pairs,
)
from pulsed.calibration.routines.readings import assignment
from pulsed.calibration.routines.tomography import both, prepared
from pulsed.calibration.schedules import Blocks, Part, sequence
from pulsed.model.device import DeviceDescription
from pulsed.pulse.schedule import Schedule

SIDES = ("control", "target")


class EcrLeakage(Routine):
    """The part that one gate moves into states above 1, from more and more gates in a row.

    The target starts in a state that the gate leaves alone, the control in 0, so that each gate flips the control and
    nothing else. Between gates random virtual z turn what has leaked against what will, so that it adds up as
    probabilities do. At the end each qubit is read once as it is and once after an x: together 0 and 1 give the same
    sum whatever the populations are, and what that sum is off by is what is above 1. Where the discriminator knows
    three states it is the share of 2 that is added up; a two-state one reads what is above 1 as 1. Leaked population
    decays on the way, with twice the rate of 1.
    """

    name: ClassVar = "ecr-leakage"
    subject: ClassVar = "pair"
    needs: ClassVar = (
        "control.x.amplitude", "target.x.amplitude", "target.sx.amplitude", "control.readout.p01",
        "control.readout.p10", "target.readout.p01", "target.readout.p10", "ecr.amplitude", "ecr.cancel.amplitude",
    )  # fmt: skip
    gives: ClassVar = ("ecr.leakage",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"ecr.leakage": (5e-4, 0.0)}
    quick: ClassVar = {"draws": 3}

    class Parameters(RoutineParameters):
        """Of the sweep."""

        repeats: tuple[PositiveInt, ...] = Field(default=(8, 16, 24), min_length=2)
        """Even numbers of gates; none at all is measured, too."""
        draws: int = Field(default=6, ge=2)
        """Of random virtual z."""
        shots: PositiveInt = 2500
        """Of each."""
        seed: int = 0

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the pairs without a flux line."""
        return tone_pairs(device)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play none and more and more gates, each with and without an x at the end."""
        p, blocks, pair = self.parameters, executor.blocks, qubits_of(target, executor.device)
        rng, repeats = np.random.default_rng(p.seed), [0, *p.repeats]
        schedules = []
        for count in repeats:
            for _ in range(p.draws):
                # A half turn of the target keeps its state, any of the control's does.
                turns = np.pi / 2 * rng.integers(4, size=(count, 2)) * (1, 2)
                body = self._gates(blocks, pair, turns.tolist())
                schedules += [_read(blocks, pair, body, flip=flip) for flip in (False, True)]
        answer = yield MeasurementRequest(schedules, p.shots, level=2)
        assert answer.bits is not None, "level 2"
        gate = blocks.gate("ecr", *pair).duration * blocks.dt
        data = xarray.Dataset(coords={"side": list(SIDES), "repeats": ("repeats", repeats, {"units": ""})})
        found: list[np.ndarray] = []
        attributes: dict[str, float] = {}
        for side, qubit in zip(SIDES, pair, strict=True):
            column = sorted(pair).index(qubit)
            three = len(executor.calibration.numbers(f"Q{qubit}.readout.discriminator")) > 5
            seen = answer.bits[:, :, column] == 2 if three else answer.bits[:, :, column] > 0
            found.append(seen.sum(axis=1).reshape(len(repeats), p.draws, 2))
            t1 = blocks.value(f"Q{qubit}.t1", 0.0)
            attributes |= {
                f"weight_{side}": _weight(executor, qubit, three),
                f"back_{side}": 2 * gate / t1 if t1 > 0 else 0.0,
            }
        data["seen"] = (("side", "repeats", "draw", "flipped"), np.array(found), {"units": ""})
        return data.assign_attrs(shots=p.shots, **attributes)

    def _gates(self, blocks: Blocks, pair: tuple[int, ...], turns: list[list[float]]) -> Schedule:
        control, target = pair
        start = both(Schedule(), prepared(blocks, target, "+x"))
        gate, parts = blocks.gate("ecr", control, target), list[Part]()
        for turn in turns:
            parts += [gate, *(blocks.rz(qubit, angle) for qubit, angle in zip(pair, turn, strict=True))]
        return sequence(start, *parts)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit what has leaked over the number of gates; of late ones more is left than of early ones."""
        fits = {side: accumulated(data, side) for side in SIDES}
        if refused := first_bad(fits):
            return refused
        leaked = sum(fit.values["slope"] for fit in fits.values())
        error = float(np.linalg.norm([fit.stderr["slope"] for fit in fits.values()]))
        return Outcome("good", "", {"ecr.leakage": Proposal(leaked, "", error)}, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw what is above 1 against the number of gates."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        rows = figure.subplots(2, 2, sharex=True, height_ratios=(3, 1))
        for column, side in enumerate(SIDES):
            fit, (top, bottom) = accumulated(data, side), rows[:, column]
            if not fit.names:
                continue
            counts, start, draws = data["repeats"].to_numpy(), fit.values["offset"], data.sizes["draw"]
            points = (np.real(fit.y) - start).reshape(-1, draws) * 100
            error = np.asarray(fit.sigma, dtype=np.float64).reshape(-1, draws).mean(axis=1) / draws**0.5 * 100
            left = np.real(fit.y - fit.curve).reshape(-1, draws).mean(axis=1) * 100
            many = np.linspace(0, counts.max(), 100)
            curve = fit.evaluate(_kept(many, float(data.attrs[f"back_{side}"])))
            top.plot(np.repeat(counts, draws), points.ravel(), ".", color="lightgrey", label="each draw")
            top.errorbar(counts, points.mean(axis=1), error, fmt=".", label="mean")
            top.plot(many, (np.real(curve) - start) * 100)
            top.axhline(0, color="grey", lw=0.8)
            slope = f"{fit.values['slope'] * 1e3:.3f} ± {fit.stderr['slope'] * 1e3:.3f}"
            top.set_title(f"{side}: {slope} ‰ a gate, chi2 = {fit.chi2:.2f}", fontsize="small")
            bottom.errorbar(counts, left, error, fmt=".")
            bottom.axhline(0, color="grey", lw=0.8)
            bottom.set_xlabel("gates")
        rows[0, 0].set_ylabel("above 1 (%)")
        rows[0, 0].legend(fontsize="x-small")
        rows[1, 0].set_ylabel("residuals")


def accumulated(data: xarray.Dataset, side: str) -> Fit:
    """Fit what one qubit has above 1, ``slope`` per gate, over the number of gates as far as it is still there.

    Each draw is a point. Where much leaks it depends on what was drawn: chi squared says so, and widens the error.
    """
    shots, weight = int(data.attrs["shots"]), float(data.attrs[f"weight_{side}"])
    seen = data["seen"].sel(side=side).to_numpy()
    share, smooth = seen / shots, (seen + 0.5) / (shots + 1)
    total, error = share.sum(axis=-1) / weight, np.sqrt((smooth * (1 - smooth)).sum(axis=-1) / shots) / weight
    kept = _kept(data["repeats"].to_numpy(), float(data.attrs[f"back_{side}"]))
    return line(np.repeat(kept, total.shape[1]), total.ravel(), error.ravel())


def _kept(counts: np.ndarray, back: float) -> np.ndarray:
    """Return how many gates' leakage is there after ``counts`` gates, when of each the part ``back`` decays."""
    found: np.ndarray = counts * 1.0 if back == 0 else -np.expm1(-back * counts) / back
    return found


def _weight(executor: Executor, qubit: int, three: bool) -> float:
    """Return by how much the sum of both readings changes when 0 and 1 become 2."""
    if three and executor.calibration.has(f"Q{qubit}.readout.assignment"):
        zero, one, two = np.reshape(executor.calibration.numbers(f"Q{qubit}.readout.assignment"), (3, 3))[:, 2]
        return float(2 * two - zero - one)
    if three:
        return 2.0
    read = assignment(executor, qubit)
    return 2 - read.wrong_zero - (1 - read.wrong_one)


def _read(blocks: Blocks, pair: tuple[int, ...], body: Schedule, *, flip: bool) -> Schedule:
    """Return a shot: ``body``, the target turned from x to z, both qubits flipped or not, and read."""
    control, target = pair
    back = sequence(blocks.rz(target, np.pi / 2), blocks.sx(target))
    flips = both(blocks.x(control), blocks.x(target))
    end: tuple[Part, ...] = (flips,) if flip else (flips.duration,)
    readout = Schedule(*((0, blocks.measure(qubit)) for qubit in pair))
    return blocks.shot(control, body, back, *end, readout=readout)
