"""Telling 0, 1 and 2 apart."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, clouds, cosine
from pulsed.calibration.results.data import signal, sweep
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
)
from pulsed.calibration.routines.readings import room
from pulsed.calibration.routines.readout import judge_places, shots_of
from pulsed.calibration.schedules import Part
from pulsed.model.calibration import CalibrationSet
from pulsed.pulse.library import Gaussian


class ThreeStates(Routine):
    """The discriminator of 0, 1 and 2, with the assignment matrix.

    The local oscillator is put below both transitions, as for anharmonicity. There the line has another gain, so that
    Rabi oscillations of 0-1 and then of 1-2 find the amplitudes of both π pulses first, up to what the correction of
    the line's mixer leaves of full scale; where that is too little for 0-1, its pulse is made twice as long.
    ``readout.assignment`` is the matrix (prepared, read), row by row: the pulses' own errors and decay are part of it.
    """

    name: ClassVar = "three-states"
    needs: ClassVar = ("f01", "anharmonicity", "x.amplitude", "x.duration", "x.sigma", "readout.amplitude")
    gives: ClassVar = ("readout.discriminator", "readout.assignment")

    class Parameters(RoutineParameters):
        """Of the pulses and of the points."""

        points: int = Field(default=25, ge=9)
        rabi_shots: PositiveInt = 300
        shots: PositiveInt = 3000
        duration: int = Field(default=64, ge=32)
        """dt of the 1-2 pulse, four sigma long."""
        below: PositiveFloat = 240e6
        """Hz, of the local oscillator below f01."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Rabi of 0-1, Rabi of 1-2 between two π pulses of 0-1, then single points of the three states."""
        p, (qubit,), blocks = self.parameters, qubits_of(target, executor.device), executor.blocks
        f01 = blocks.value(f"{target}.f01")
        f12 = f01 + blocks.value(f"{target}.anharmonicity")
        oscillator = executor.device.ports[executor.device.qubits[qubit].drive].lo
        options = {"settings": {f"oscillators.{oscillator}.frequency": round(f01 - p.below, -6)}}
        most = room(executor, executor.device.qubits[qubit].drive)
        amplitudes = np.linspace(0, most, p.points)
        for stretch in (1, 2):
            duration, sigma = (stretch * blocks.value(f"{target}.x.{name}") for name in ("duration", "sigma"))
            pulses = [blocks.drag(qubit, amplitude=a, duration=duration, sigma=sigma) for a in amplitudes.tolist()]
            first = [blocks.shot(qubit, pulse, pulse) for pulse in pulses]
            answer = yield MeasurementRequest(first, p.rabi_shots, options=options)
            data = sweep({"amplitude": (amplitudes, "full scale")}, answer).assign_attrs(most=most)
            found = _rabi(data, "")
            if found.ok and 2 * found.values["half"] <= most:
                break
        else:
            return data
        x = blocks.drag(qubit, amplitude=2 * found.values["half"], duration=duration, sigma=sigma)
        second = [
            blocks.shot(qubit, x, blocks.at(qubit, f12, self._tone(executor, qubit, a)), x) for a in amplitudes.tolist()
        ]
        answer = yield MeasurementRequest(second, p.rabi_shots, options=options)
        data = data.merge(sweep({"amplitude": (amplitudes, "full scale")}, answer, suffixes=("_12",)))
        found = _rabi(data, "_12")
        if not found.ok or found.values["half"] > most:
            return data
        up = blocks.at(qubit, f12, self._tone(executor, qubit, found.values["half"]))
        prepared: tuple[tuple[Part, ...], ...] = ((), (x,), (x, up))
        answer = yield MeasurementRequest([blocks.shot(qubit, *parts) for parts in prepared], p.shots, options=options)
        return data.merge(shots_of(answer, prepared=[0, 1, 2]))

    def _tone(self, executor: Executor, qubit: int, amplitude: float) -> Any:
        length = self.parameters.duration
        return executor.blocks.drive(qubit, Gaussian(length, amplitude, sigma=length / 4))

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit three Gaussian clouds."""
        fits = {"0-1": _rabi(data, "")}
        if "i_12" in data:
            fits["1-2"] = _rabi(data, "_12")
        if refused := first_bad(fits):
            return refused
        for name, oscillation in fits.items():
            needed = oscillation.values["half"] * (2 if name == "0-1" else 1)
            if needed > data.attrs["most"]:
                return bad_data(f"a π pulse of {name} would need {needed:.3g} of full scale", **fits)
        fits["clouds"] = clouds(list(data["shot_i"].to_numpy() + 1j * data["shot_q"].to_numpy()))
        if refused := first_bad(fits):
            return refused
        fit = fits["clouds"].values
        centres = tuple(fit[name] for name in ("z0re", "z0im", "z1re", "z1im", "variance", "z2re", "z2im", "variance"))
        matrix = tuple(fit[f"assigned_{j}{k}"] for j in range(3) for k in range(3))
        values = {
            "readout.discriminator": Proposal(centres, "full scale"),
            "readout.assignment": Proposal(matrix),
        }
        return Outcome("good", "", values, fits)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare where the clouds lie with the active discriminator."""
        outcome, full = self.analyse(data), f"{target}.readout.discriminator"
        if not outcome.good:
            return "bad data", outcome.reason
        known = calibration.numbers(full) if calibration.has(full) else ()
        if len(known) < 8:
            return "out of spec", f"{full} knows no state 2"
        return judge_places(outcome.fits["clouds"], [complex(known[k], known[k + 1]) for k in (0, 2, 5)], full)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw both Rabi oscillations and the points of the three states."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        axes = figure.subplot_mosaic([["0-1", "points"], ["1-2", "points"]])
        for name, suffix in (("0-1", ""), ("1-2", "_12")):
            if f"i{suffix}" not in data:
                continue
            fit = _rabi(data, suffix)
            axes[name].errorbar(fit.x, np.real(fit.y), fit.sigma, fmt=".")
            fine = np.linspace(0, float(data["amplitude"].max()), 200)
            if fit.names:
                axes[name].plot(fine, fit.evaluate(fine))
            axes[name].set_title(name, fontsize="small")
            axes[name].set_ylabel("signal (full scale)")
            axes[name].set_xlabel("amplitude (full scale)")
        if "shot_i" in data:
            for state, (i, q) in enumerate(zip(data["shot_i"].to_numpy(), data["shot_q"].to_numpy(), strict=True)):
                axes["points"].plot(i, q, ".", ms=2, alpha=0.4, label=f"prepared {state}")
            axes["points"].set(xlabel="I (full scale)", ylabel="Q (full scale)")
            axes["points"].legend(fontsize="x-small")
            axes["points"].set_aspect("equal")
        if (found := outcome.fits.get("clouds")) is not None and found.values:
            for state in range(3):
                axes["points"].plot(found.values[f"z{state}re"], found.values[f"z{state}im"], "k+", ms=14)
            rows = [" ".join(f"{found.values[f'assigned_{j}{k}']:.3f}" for k in range(3)) for j in range(3)]
            axes["points"].set_title("\n".join(["prepared (row), read (column)", *rows]), fontsize="small")


def _rabi(data: xarray.Dataset, suffix: str) -> Fit:
    """Fit the oscillation over the amplitude: ``half`` is that of one turn by π."""
    y, sigma = signal(data, suffix)
    return cosine(data["amplitude"].to_numpy(), y, sigma, phase=0.0)
