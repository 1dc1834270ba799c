"""The always-on ZZ of a pair: how much the control's excitation shifts the target."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.fringes import fringes
from pulsed.calibration.results.data import signal, sweep
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
from pulsed.calibration.routines.phases import TURNS, phasor, quadrature_error
from pulsed.calibration.routines.tomography import both


class ZZ(Routine):
    """An echo of the target in whose middle the control is flipped too: what is left is half of the ZZ.

    Joint amplification of ZZ (Garbow, Weitekamp, Pines, Chem. Phys. Lett. 93, 504, 1982): the target's own detuning is
    echoed away, and so is slow noise. The last pulse's frame turns by ``fringes`` turns over the span, so that little
    ZZ shows too; two quadratures give the sign.
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
        shots: PositiveInt = 200

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the wait, in two quadratures."""
        p, blocks = self.parameters, executor.blocks
        control, qubit = qubits_of(target, executor.device)
        halves = [round(half) for half in np.linspace(0, p.span / blocks.dt / 2, p.points)]
        seconds = 2 * np.array(halves) * blocks.dt
        sx, flip = blocks.sx(qubit), both(blocks.x(control), blocks.x(qubit))
        schedules = [
            blocks.shot(
                qubit, sx, half, flip, half,
                blocks.rz(qubit, turn + 2 * np.pi * p.fringes * time / p.span), sx,
            )
            for turn in TURNS.tolist()
            for half, time in zip(halves, seconds.tolist(), strict=True)
        ]  # fmt: skip
        answer = yield MeasurementRequest(schedules, p.shots)
        axes = {"turn": (TURNS, "rad"), "wait": (seconds, "s")}
        data = sweep(axes, answer, known=executor.calibration, target=f"Q{qubit}")
        return data.assign_attrs(turned=p.fringes / p.span)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both quadratures; a target that the control makes faster turns backwards."""
        y, sigma = signal(data)
        waits, z = data["wait"].to_numpy(), phasor(y, sigma)[0]
        fit = fringes(waits, z, quadrature_error(sigma), timed=False)
        fits = {"fringes": fit.shown(y=("both quadratures of the fringe", ""))}
        if refused := first_bad(fits):
            return refused
        fit = fits["fringes"]
        found = 2 * (float(data.attrs["turned"]) - fit.values["frequency"])
        value = Proposal(found, "Hz", 2 * fit.stderr["frequency"])
        return Outcome("good", "", {"zz": value}, fits)
