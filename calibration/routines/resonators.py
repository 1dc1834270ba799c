"""Where the readout is: the time of flight of a pulse, and each qubit's resonator."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import resonator
from pulsed.calibration.results.data import errors, points, sweep
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
from pulsed.calibration.schedules import READOUT_SIGMA
from pulsed.model.device import DeviceDescription
from pulsed.pulse.channels import AcquireChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

_WINDOW = 24
"""Samples on either side of a step: short against the rise of a resonator."""
_STAYS = 1.5
"""How much higher a record is behind the arrival of a pulse than before; noise before is three times lower."""


class TimeOfFlight(Routine):
    """How much later than its pulse a readout arrives: the first step of the averaged record."""

    name: ClassVar = "time-of-flight"
    subject: ClassVar = "port"
    gives: ClassVar = ("delay",)
    tolerances: ClassVar = {"delay": (2.0, 0.0)}

    class Parameters(RoutineParameters):
        """Of the pulse."""

        amplitude: float = Field(default=0.5, gt=0, le=1)
        shots: PositiveInt = 4000
        before: int = Field(default=200, ge=32)
        """dt of record before the pulse."""
        span: int = Field(default=600, ge=100)
        """dt of record."""

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the inputs."""
        return tuple(name for name, port in device.ports.items() if port.direction == "input")

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play a square pulse on the readout channel of the input's first qubit and record what comes back."""
        p, qubit = self.parameters, qubits_of(target, executor.device)[0]
        length = -(-(p.span - p.before) // 8) * 8
        schedule = Schedule(
            (p.before, Play(Constant(length, p.amplitude), MeasureChannel(qubit))),
            (0, Acquire(-(-p.span // 8) * 8, AcquireChannel(qubit), MemorySlot(qubit))),
        )
        answer = yield MeasurementRequest([schedule], p.shots, average=True, level=0)
        assert answer.records is not None, "level 0"
        record = answer.records[0, 0]
        port = executor.device.ports[target]
        assert port.lo is not None, "an input is mixed down"
        tone = executor.blocks.value(f"Q{qubit}.readout.frequency") - executor.device.oscillators[port.lo].frequency
        late = executor.blocks.value(f"{target}.delay", 0.0)
        samples = np.arange(record.size) / float(port.clock)
        baseband = record * np.exp(2j * np.pi * tone * samples)
        time = ("time", samples / executor.blocks.dt + late - p.before, {"units": "dt"})
        data = xarray.Dataset(coords={"time": time})
        for name, values in (("i", baseband.real), ("q", baseband.imag)):
            data[name] = ("time", values.astype(float), {"units": "full scale"})
        return data

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Find the sample at which the record steps up most: the mean of what follows against that before it.

        A tone that was there before steps with every half of its period, and is refused: behind the step the record
        has to stay above what it was.
        """
        time, z = data["time"].to_numpy(), points(data)
        if not np.isfinite(z).all():
            return bad_data(f"{np.count_nonzero(~np.isfinite(z))} of {z.size} samples are not a number")
        sums = np.concatenate([[0], np.cumsum(z)])
        edges = np.arange(_WINDOW, z.size - _WINDOW)
        steps = np.abs(sums[edges + _WINDOW] - 2 * sums[edges] + sums[edges - _WINDOW]) / _WINDOW
        best = int(edges[np.argmax(steps)])
        # Differences of neighbours, so that neither a level nor a slow rise counts as noise.
        noise = float(np.median(np.abs(np.diff(z)))) / np.sqrt(2 * np.log(2)) / np.sqrt(_WINDOW)
        if steps.max() <= 6 * noise:
            return bad_data("no pulse stands out of the noise of the record")
        means = np.abs(sums[_WINDOW:] - sums[:-_WINDOW]) / _WINDOW
        before, after = float(np.quantile(means[: best - _WINDOW + 1], 0.9)), float(np.median(means[best:]))
        if after < _STAYS * before:
            return bad_data(f"no pulse: {after:.2g} behind the steepest step, {before:.2g} before it already")
        return Outcome("good", "", {"delay": Proposal(float(round(time[best])), "dt", 0.5)})


class ResonatorSpectroscopy(Routine):
    """Transmission around the expected frequency, weak: the resonance with the qubit in 0.

    The first time it is the readout frequency to begin with, and comes with a pulse to begin with. Later the readout
    frequency, which has been optimised since, is moved along with the resonance.
    """

    name: ClassVar = "resonator-spectroscopy"
    gives: ClassVar = (
        "readout.resonance", "readout.kappa", "readout.frequency", "readout.amplitude", "readout.duration",
        "readout.sigma", "readout.width",
    )  # fmt: skip
    tolerances: ClassVar = {"readout.resonance": (2e5, 0.0)}
    quick: ClassVar = {"points": 21, "span": 8e6}

    class Parameters(RoutineParameters):
        """Of the sweep, and of the readout to begin with."""

        span: PositiveFloat = 18e6
        """Hz, around what is known."""
        points: int = Field(default=91, ge=9)
        shots: PositiveInt = 200
        probe: float = Field(default=0.05, gt=0, le=1)
        """Amplitude of the sweep, full scale: of the order of a photon or less."""
        length: PositiveInt = 2400
        settle: PositiveInt = 800
        """dt of the pulse, and of it what is left out while the resonator rings up."""
        amplitude: float = Field(default=0.12, gt=0, le=1)
        """Readout amplitude that is proposed, until the readout is optimised."""
        duration: PositiveInt = 800

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Sweep the frequency of a long readout pulse."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        known, frequency = executor.calibration, executor.blocks.value(f"{target}.readout.frequency")
        centre = known.get(f"{target}.readout.resonance", frequency)
        frequencies = centre + np.linspace(-p.span / 2, p.span / 2, p.points)
        readouts = [
            executor.blocks.measure(qubit, amplitude=p.probe, duration=p.length, settle=p.settle, frequency=float(f))
            for f in frequencies
        ]
        answer = yield MeasurementRequest(
            [executor.blocks.shot(qubit, readout=readout) for readout in readouts], p.shots
        )
        data = sweep({"frequency": (frequencies, "Hz")}, answer)
        first = not known.has(f"{target}.readout.resonance", f"{target}.readout.amplitude")
        begin = {"amplitude": p.amplitude, "duration": p.duration} if first else {}
        return data.assign_attrs(offset=0.0 if first else frequency - centre, **begin)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the complex transmission, a peak on a background. Its phase in books is minus that of our carriers."""
        transmission = points(data).conj()
        fits = {"transmission": resonator(data["frequency"].to_numpy(), transmission, errors(data), kind="notch")}
        if refused := first_bad(fits):
            return refused
        fit = fits["transmission"]
        resonance, error = fit.values["frequency"], fit.stderr["frequency"]
        values = {
            "readout.resonance": Proposal(resonance, "Hz", error),
            "readout.kappa": Proposal(fit.values["kappa"], "Hz", fit.stderr["kappa"]),
            "readout.frequency": Proposal(resonance + float(data.attrs["offset"]), "Hz", error),
        }
        if "duration" in data.attrs:
            duration = int(data.attrs["duration"])
            values |= {
                "readout.amplitude": Proposal(float(data.attrs["amplitude"]), "full scale"),
                "readout.duration": Proposal(float(duration), "dt"),
                "readout.sigma": Proposal(float(READOUT_SIGMA), "dt"),
                "readout.width": Proposal(float(duration - 4 * READOUT_SIGMA), "dt"),
            }
        return Outcome("good", "", values, fits)
