"""The always-on ZZ of a pair: how much the control's excitation shifts the target."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.data import signal, sweep
from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, damped_cosine
from pulsed.calibration.routine import (
    Ask,
    Measurement,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    first_bad,
    qubits_of,
)
from pulsed.calibration.routines.tomography import both

_TURNS = np.array([0.0, np.pi / 2, np.pi, 3 * np.pi / 2])
"""Of the last pulse's frame: with opposite ones subtracted, two quadratures without an offset."""


class ZZ(Routine):
    """An echo of the target in whose middle the control is flipped too: what is left is half of the ZZ.

    Joint amplification of ZZ (Garbow, Weitekamp, Pines, Chem. Phys. Lett. 93, 504, 1982): the target's own detuning is
    echoed away, and so is slow noise. The last pulse's frame turns by ``fringes`` turns over the span, which gives the
    sign.
    """

    name: ClassVar = "zz"
    subject: ClassVar = "pair"
    needs: ClassVar = ("control.x.amplitude", "target.x.amplitude", "target.sx.amplitude", "target.readout.amplitude")
    gives: ClassVar = ("zz",)
    disturbs: ClassVar = "neighbours"
    tolerances: ClassVar = {"zz": (2e3, 0.05)}
    quick: ClassVar = {"points": 15}

    class Parameters(RoutineParameters):
        """Of the sweep of the wait."""

        span: PositiveFloat = 40e-6
        """Longest wait in s, both halves together."""
        points: int = Field(default=31, ge=9)
        fringes: PositiveFloat = 5.0
        """Half a ZZ of up to as many turns in the span has the right sign."""
        shots: PositiveInt = 200

    def measure(self, bench: Executor, target: str) -> Measurement:
        """Sweep the wait, in two quadratures."""
        p, blocks = self.parameters, bench.blocks
        control, qubit = qubits_of(target, bench.device)
        halves = [round(half) for half in np.linspace(0, p.span / blocks.dt / 2, p.points)]
        seconds = 2 * np.array(halves) * blocks.dt
        sx, flip = blocks.sx(qubit), both(blocks.x(control), blocks.x(qubit))
        schedules = [
            blocks.shot(
                qubit, sx, half, flip, half,
                blocks.rz(qubit, turn + 2 * np.pi * p.fringes * time / p.span), sx,
            )
            for turn in _TURNS.tolist()
            for half, time in zip(halves, seconds.tolist(), strict=True)
        ]  # fmt: skip
        answer = yield Ask(schedules, p.shots)
        axes = {"turn": (_TURNS, "rad"), "wait": (seconds, "s")}
        data = sweep(axes, answer, known=bench.calibration, target=f"Q{qubit}")
        return data.assign_attrs(turned=p.fringes / p.span)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both quadratures; a target that the control makes faster turns backwards."""
        y, sigma = signal(data)
        fits: dict[str, Fit] = {}
        for k, name in enumerate(("cosine", "sine")):
            fits[name] = damped_cosine(data["wait"].to_numpy(), y[k] - y[k + 2], np.hypot(sigma[k], sigma[k + 2]))
        if refused := first_bad(fits):
            return refused
        turned = float(data.attrs["turned"])
        found = np.array([2 * (turned - fit.values["frequency"]) for fit in fits.values()])
        weights = np.array([1 / (2 * fit.stderr["frequency"]) ** 2 for fit in fits.values()])
        value = Proposal(float(found @ weights / weights.sum()), "Hz", float(weights.sum() ** -0.5))
        return Outcome("good", "", {"zz": value}, fits)
