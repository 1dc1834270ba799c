"""The derivative of a pulse: as much of it as leaves no phase behind."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import line
from pulsed.calibration.results.data import signal, signal_name, sweep
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    first_bad,
    qubits_of,
)
from pulsed.calibration.schedules import Blocks
from pulsed.pulse.schedule import Schedule

QUARTER = np.array([np.pi / 2, -np.pi / 2])
"""Of the frame of the first pulse: its axis is across that of the pairs."""


def tilted(blocks: Blocks, qubit: int, turn: float) -> tuple[Schedule, ...]:
    """Return a π/2 pulse whose axis is turned by ``turn`` rad."""
    return blocks.rz(qubit, -turn), blocks.sx(qubit), blocks.rz(qubit, turn)


def pair(blocks: Blocks, qubit: int, gate: str, beta: float, pulses: int) -> tuple[Schedule, ...]:
    """Return ``pulses`` of a gate and as many of its inverse, with another ``beta``."""
    angle = blocks.value(f"Q{qubit}.{gate}.angle")
    there = blocks.drag(qubit, gate, beta=beta)
    back = blocks.drag(qubit, gate, beta=beta, angle=angle + np.pi)
    return (there,) * pulses + (back,) * pulses


class Drag(Routine):
    """Beta of x and of sx: pairs of a π rotation and its inverse tilt a state on the equator by twice its error.

    The second excited state shifts the frequency while a pulse lasts, so that it turns also about the axis across its
    own; the pairs add this up and undo an error of the angle. Beta cancels the shift (Motzoi et al., Phys. Rev. Lett.
    103, 110501, 2009). From either side of the equator the difference of the readings is linear in beta, and 0 where it
    is right.
    """

    name: ClassVar = "drag"
    needs: ClassVar = ("x.amplitude", "sx.amplitude", "readout.amplitude")
    gives: ClassVar = ("x.beta", "sx.beta")
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"x.beta": (0.05, 0.0), "sx.beta": (0.1, 0.0)}
    quick: ClassVar = {"points": 5}

    class Parameters(RoutineParameters):
        """Of the sweep."""

        span: PositiveFloat = 1.0
        """dt, around what is known."""
        points: int = Field(default=11, ge=4)
        repeats: PositiveInt = 4
        """Pairs of π rotations: x, or two sx."""
        shots: PositiveInt = 500

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep beta of both gates."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        blocks, parts = executor.blocks, []
        for gate, pulses in (("x", 1), ("sx", 2)):
            betas = blocks.value(f"{target}.{gate}.beta") + np.linspace(-p.span / 2, p.span / 2, p.points)
            schedules = [
                blocks.shot(qubit, *tilted(blocks, qubit, turn), *pair(blocks, qubit, gate, beta, pulses) * p.repeats)
                for turn in QUARTER.tolist()
                for beta in betas.tolist()
            ]
            answer = yield MeasurementRequest(schedules, p.shots)
            axes = {"turn": (QUARTER, "rad"), f"beta_{gate}": (betas, "dt")}
            parts.append(sweep(axes, answer, suffixes=(f"_{gate}",), known=executor.calibration, target=target))
        return xarray.merge(parts, combine_attrs="override")

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit straight lines: their zeros."""
        fits = {}
        for gate in ("x", "sx"):
            y, sigma = signal(data, f"_{gate}")
            difference, noise = y[0] - y[1], np.hypot(sigma[0], sigma[1])
            fits[gate] = line(data[f"beta_{gate}"].to_numpy(), difference, noise, zero=True).shown(
                x=("beta", "dt"), y=("difference of both axes", signal_name(data)[1])
            )
        if refused := first_bad(fits):
            return refused
        values = {f"{gate}.beta": Proposal(fit.values["zero"], "dt", fit.stderr["zero"]) for gate, fit in fits.items()}
        return Outcome("good", "", values, fits)
