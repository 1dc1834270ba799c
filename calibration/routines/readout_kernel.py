"""The weights with which a record is integrated: the difference of what 0 and 1 send back."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit
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
from pulsed.calibration.routines.readout import rested, shots_of, told_apart
from pulsed.calibration.schedules import first_acquisition
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.instructions import Acquire
from pulsed.pulse.schedule import Schedule

_SMOOTH = 25
"""Samples of each of two means over the difference: short against a resonator, long against other qubits' tones."""
_WAYS = ("boxcar", "weighted")


class ReadoutKernel(Routine):
    """Records of 0 and of 1, averaged: the conjugate of their difference weighs each sample by what it tells.

    In white noise no other linear weights tell the states apart better (Gambetta et al., Phys. Rev. A 76, 012325,
    2007, neglecting jumps). The discriminator is that of points integrated so. Both go together: readout-optimum
    integrates without weights and puts a boxcar in their place, so that this one is to be run again after it.
    """

    name: ClassVar = "readout-kernel"
    needs: ClassVar = ("x.amplitude", "readout.amplitude", "readout.duration", "readout.frequency")
    gives: ClassVar = (
        "readout.kernel", "readout.discriminator", "readout.p01", "readout.p10", "readout.error",
    )  # fmt: skip
    tolerances: ClassVar = {"readout.error": (0.005, 0.2)}
    quick: ClassVar = {"shots": 1000, "records": 2000}

    class Parameters(RoutineParameters):
        """Of the measurement."""

        records: PositiveInt = 4000
        """Shots of which the records are averaged."""
        shots: PositiveInt = 3000

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Average records of 0 and of 1; then single points of both, integrated evenly and with the weights."""
        p, (qubit,), blocks = self.parameters, qubits_of(target, executor.device), executor.blocks
        x = blocks.x(qubit)
        starts: tuple[Schedule | int, ...] = (x.duration, x)  # so that both records begin at the same time
        boxcar = _with(blocks.measure(qubit), Kernel("boxcar"))
        schedules = [blocks.shot(qubit, start, readout=boxcar) for start in starts]
        answer = yield MeasurementRequest(schedules, p.records, average=True, level=0)
        assert answer.records is not None, "level 0"
        acquire = executor.device.qubits[qubit].acquire
        port, tone = executor.device.ports[acquire], blocks.value(f"{target}.readout.frequency")
        begin = first_acquisition(schedules[0]) * blocks.dt
        seconds = begin + np.arange(answer.records.shape[-1]) / float(port.clock)
        turned = np.exp(2j * np.pi * (tone - executor.device.lo_frequency(acquire)) * seconds)
        records = answer.records[:, 0].astype(np.complex128) * turned
        data = xarray.Dataset(coords={"time": ("time", seconds - begin, {"units": "s"})})
        for name, values in (("record_i", records.real), ("record_q", records.imag)):
            data[name] = (("prepared", "time"), values, {"units": "full scale"})
        weighted = _with(blocks.measure(qubit), Kernel("weighted", weights=weights(data)))
        schedules = [blocks.shot(qubit, start, readout=readout) for readout in (boxcar, weighted) for start in starts]
        answer = yield MeasurementRequest(schedules, p.shots, options=rested(executor))
        return data.merge(shots_of(answer, way=_WAYS, prepared=[0, 1]))

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit clouds to the points of both ways of integration."""
        fits = clouds_of(data)
        if refused := first_bad(fits):
            return refused
        plain, own = fits["boxcar"], fits["weighted"]
        spread = 3 * float(np.hypot(plain.stderr["separation"], own.stderr["separation"]))
        if own.values["separation"] < plain.values["separation"] - spread:
            return bad_data("the weights tell the states apart worse than none do", **fits)
        kernel = np.ascontiguousarray(weights(data)).view(np.float64)
        centres = tuple(own.values[name] for name in ("z0re", "z0im", "z1re", "z1im", "variance"))
        values = {
            "readout.kernel": Proposal(tuple(kernel.tolist())),
            "readout.discriminator": Proposal(centres, "full scale"),
        }
        for name in ("p01", "p10", "error"):
            values[f"readout.{name}"] = Proposal(own.values[name], "", own.stderr[name])
        return Outcome("good", "", values, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw the records, the weights, and the points along the line between the states, without and with them."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        axes = figure.subplot_mosaic([["records", "boxcar"], ["weights", "weighted"]])
        time, kernel = data["time"].to_numpy() * 1e9, weights(data)
        for state in range(2):
            smooth = np.convolve(data["record_i"][state], np.ones(_SMOOTH) / _SMOOTH, "same")
            axes["records"].plot(time, smooth, label=f"I of {state}, mean of {_SMOOTH} samples")
        axes["records"].legend(fontsize="x-small")
        axes["records"].set(xlabel="time (ns)", ylabel="I (full scale)")
        axes["weights"].plot(time, kernel.real, label="re")
        axes["weights"].plot(time, kernel.imag, label="im")
        axes["weights"].legend(fontsize="x-small")
        axes["weights"].set(xlabel="time (ns)", ylabel="weight")
        for way, fit in clouds_of(data).items():
            zero, one = (complex(fit.values[f"z{k}re"], fit.values[f"z{k}im"]) for k in range(2))
            for state, row in enumerate(_points(data, way)):
                along = ((row - zero) / (one - zero)).real
                axes[way].hist(along, 60, histtype="step", label=f"prepared {state}")
            apart, error = fit.values["separation"], fit.stderr["separation"]
            axes[way].set(xlabel="along the line from 0 to 1", ylabel="shots")
            axes[way].set_title(f"{way}: {apart:.2f} ± {error:.2f} standard deviations apart", fontsize="small")


def weights(data: xarray.Dataset) -> np.ndarray:
    """Return the weights of an averaged pair of records, (samples,) complex; their magnitudes add up to 1."""
    records = data["record_i"].to_numpy() + 1j * data["record_q"].to_numpy()
    mean = np.ones(_SMOOTH) / _SMOOTH
    smooth = records[1] - records[0]
    for _ in range(2):
        smooth = np.convolve(np.pad(smooth, _SMOOTH // 2, mode="edge"), mean, "valid")
    found: np.ndarray = smooth.conj() / np.abs(smooth).sum()
    return found


def clouds_of(data: xarray.Dataset) -> dict[str, Fit]:
    """Return the fit of two clouds to the points of each way of integration."""
    return {way: told_apart(_points(data, way)) for way in _WAYS}


def _points(data: xarray.Dataset, way: str) -> np.ndarray:
    found: np.ndarray = (data["shot_i"] + 1j * data["shot_q"]).to_numpy()[_WAYS.index(way)]
    return found


def _with(readout: Schedule, kernel: Kernel) -> Schedule:
    """Return a measurement that is integrated with ``kernel``."""
    return Schedule(
        *(
            (time, Acquire(item.duration, item.channel, item.mem_slot, kernel=kernel))
            if isinstance(item, Acquire)
            else (time, item)
            for time, item in readout.instructions
        ),
        name="measure",
    )
