"""How long a readout is felt: the phase that its photons put on the qubit afterwards."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, exponential
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
from pulsed.pulse.instructions import Acquire
from pulsed.pulse.schedule import Schedule


class ResidualPhotons(Routine):
    """A readout pulse, a gap, and a Ramsey experiment of fixed length: what is left in the resonator turns the qubit.

    Each photon shifts the qubit by the dispersive shift, so that the phase falls as the photons do (Gambetta et al.,
    Phys. Rev. A 74, 042318, 2006). ``readout.ringdown`` is the time constant, ``readout.wait`` the gap after which
    less than ``allowed`` is left of the phase.
    """

    name: ClassVar = "residual-photons"
    needs: ClassVar = ("sx.amplitude", "readout.amplitude", "readout.discriminator")
    gives: ClassVar = ("readout.ringdown", "readout.wait")
    tolerances: ClassVar = {"readout.wait": (1e-7, 0.2)}
    quick: ClassVar = {"points": 9}

    class Parameters(RoutineParameters):
        """Of the sweep of the gap."""

        shortest: PositiveFloat = 6e-8
        longest: PositiveFloat = 8e-7
        """s."""
        points: int = Field(default=13, ge=6)
        ramsey: PositiveFloat = 2e-7
        """s between the two pulses: not long against the time in which the photons go."""
        allowed: PositiveFloat = 0.01
        """rad."""
        shots: PositiveInt = 1000

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the gap, in four turns of the last pulse."""
        p, (qubit,), blocks = self.parameters, qubits_of(target, executor.device), executor.blocks
        step = executor.device.timing.acquire_alignment
        grid = np.linspace(p.shortest, p.longest, p.points) / blocks.dt / step
        gaps = (np.unique(np.round(grid).astype(int)) * step).tolist()
        between, sx = round(p.ramsey / blocks.dt / step) * step, blocks.sx(qubit)
        pulse = Schedule(*((t, i) for t, i in blocks.measure(qubit).instructions if not isinstance(i, Acquire)))
        schedules = [
            blocks.shot(qubit, pulse, gap, sx, between, blocks.rz(qubit, turn), sx)
            for turn in TURNS.tolist()
            for gap in gaps
        ]
        answer = yield MeasurementRequest(schedules, p.shots)
        axes = {"turn": (TURNS, "rad"), "gap": (np.array(gaps) * blocks.dt, "s")}
        data = sweep(axes, answer, known=executor.calibration, target=target)
        return data.assign_attrs(allowed=p.allowed)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit an exponential to the phase over the gap."""
        fits = {"phase": _phase(data).shown(y=("phase", "rad"))}
        if refused := first_bad(fits):
            return refused
        fit, allowed = fits["phase"], float(data.attrs["allowed"])
        time, size = fit.values["time"], fit.values["amplitude"]
        wait = time * max(float(np.log(abs(size) / allowed)), 0.0)
        fit = fit.derived("wait", wait, {"time": wait / time, "amplitude": time / size})
        values = {
            "readout.ringdown": Proposal(time, "s", fit.stderr["time"]),
            "readout.wait": Proposal(wait, "s", fit.stderr["wait"]),
        }
        return Outcome("good", "", values, fits)


def _phase(data: xarray.Dataset) -> Fit:
    """Fit the phase over the gap, continued from the longest gap, where the least is left of it."""
    y, sigma = signal(data)
    (z, error), noise = phasor(y, sigma), quadrature_error(sigma)
    # Many photons leave no fringe: what counts begins behind the last gap without one.
    lost = np.flatnonzero(np.abs(z) < 5 * noise)
    used = slice(int(lost.max()) + 1 if lost.size else 0, None)
    phase = np.unwrap(np.angle(z[used])[::-1])[::-1]
    return exponential(data["gap"].to_numpy()[used], phase, error[used])
