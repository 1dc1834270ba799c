"""How long a readout is to last: long enough to tell 0 from 1, and not so long that 1 decays meanwhile."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, clouds
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    MeasurementResponse,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    Verdict,
    bad_data,
)
from pulsed.calibration.routines.readout import rested
from pulsed.calibration.schedules import READOUT_SIGMA, Blocks, together
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import samples_per_dt
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.instructions import Acquire
from pulsed.pulse.schedule import Schedule

_STATES = ("0", "1")


class ReadoutLength(Routine):
    """The length of the readout pulses and of the window: that of the smallest assignment error, one for the chip.

    Readouts that are played together share the digitizer's window, so all qubits are read at once, and the mean of
    their errors counts; of lengths that are as good within a standard error the shortest one is taken. Records are
    integrated evenly. It gives ``readout.duration`` of every qubit, and what depends on it: ``readout.width``,
    ``readout.discriminator``, ``readout.p01``, ``p10`` and ``error``, and a boxcar for a ``readout.kernel``, whose
    weights are of another length. Powers stay; with a length that is much changed run readout-optimum again.
    """

    name: ClassVar = "readout-length"
    subject: ClassVar = "chip"
    disturbs: ClassVar = "all"

    class Parameters(RoutineParameters):
        """Of the sweep."""

        shortest: PositiveFloat = 2.4e-7
        longest: PositiveFloat = 1.6e-6
        """s."""
        points: int = Field(default=9, ge=4)
        shots: PositiveInt = 1500
        final_shots: PositiveInt = 3000
        worse: float = Field(default=0.004, gt=0, lt=0.5)
        """For a check: by how much the mean error at the active length may be above the best one."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Read all qubits in 0 and in 1 at every length, then more often at the best."""
        p, blocks = self.parameters, executor.blocks
        qubits = _qubits(executor)
        lengths = _lengths(executor, p.shortest, p.longest, p.points)
        schedules = [_read(blocks, qubits, length, state) for length in lengths for state in (0, 1)]
        answer = yield MeasurementRequest(schedules, p.shots)
        data = _errors(answer, qubits, np.array(lengths), blocks.dt)
        chosen = lengths[_best(data)]
        answer = yield MeasurementRequest(
            [_read(blocks, qubits, chosen, state) for state in (0, 1)], p.final_shots, options=rested(executor)
        )
        known, weighted = executor.calibration, []
        for q in qubits:
            name = f"Q{q}.readout.kernel"
            weighted.append(int(known.has(name) and any(known.numbers(name))))
        sigma = [blocks.value(f"Q{q}.readout.sigma", READOUT_SIGMA) for q in qubits]
        shaped = [int(known.has(f"Q{q}.readout.sigma", f"Q{q}.readout.width")) for q in qubits]
        now = [blocks.value(f"Q{q}.readout.duration", 0.0) for q in qubits]
        for name, values in (("weighted", weighted), ("sigma", sigma), ("shaped", shaped), ("duration", now)):
            data[name] = ("qubit", values)
        return data.merge(_points(answer)).assign_attrs(chosen=chosen, dt=blocks.dt)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Judge the lengths; fit the clouds at the best."""
        told = np.isfinite(data["assignment"].to_numpy())
        lost = [f"Q{q}" for q, seen in zip(data["qubit"].to_numpy(), told.any(axis=1), strict=True) if not seen]
        if lost:
            return bad_data(f"0 and 1 of {', '.join(lost)} read the same at every length")
        best, lengths = _best(data), data["length"].to_numpy()
        if best == lengths.size - 1 and lengths.size > 1:
            return bad_data(f"the longest readout is the best, {lengths[best] * 1e9:.0f} ns: sweep to longer ones")
        values: dict[str, Proposal] = {}
        fits: dict[str, Fit] = {}
        for k, q in enumerate(data["qubit"].to_numpy().tolist()):
            shots = data["shot_i"].to_numpy()[:, k] + 1j * data["shot_q"].to_numpy()[:, k]
            fit = fits[f"Q{q}"] = clouds(list(shots))
            if not fit.ok:
                return bad_data(f"Q{q}: {fit.reason}", **fits)
            values |= _values(data, k, q, fit)
        mean, _ = _mean(data)
        reason = f"{lengths[best] * 1e9:.0f} ns, mean assignment error {mean[best]:.4f}"
        return Outcome("good", reason, values, fits)

    def check(self, executor: Executor, target: str) -> Measurement:
        """Sweep with fewer shots."""
        return type(self)(**{**self.parameters.model_dump(), "shots": 600, "final_shots": 600}).measure(
            executor, target
        )

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Compare the mean error at the active length with the best one."""
        outcome = self.analyse(data)
        if not outcome.good:
            return "bad data", outcome.reason
        mean, stderr = _mean(data)
        now, best = float(data["duration"].max()) * float(data.attrs["dt"]), _best(data)
        here = float(np.interp(now, data["length"].to_numpy(), mean))
        if here > mean[best] + self.parameters.worse + 3 * stderr[best]:
            length = float(data["length"][best])
            return (
                "out of spec",
                f"the mean error is {here:.4f} at {now * 1e9:.0f} ns, {mean[best]:.4f} at {length * 1e9:.0f}",
            )
        return "in spec", ""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw every qubit's assignment error over the length, their mean, and what was chosen."""
        from pulsed.calibration.results.run_plots import axis_of

        figure.suptitle(
            f"{self.name} {data.attrs.get('target', '')}: {outcome.quality}, {outcome.reason}", fontsize="medium"
        )
        axes, across = figure.subplots(), axis_of(data, "length")
        lengths = across(data["length"])
        for k, q in enumerate(data["qubit"].to_numpy().tolist()):
            axes.errorbar(lengths, data["assignment"][k], data["assignment_error"][k], fmt=".-", lw=0.8, label=f"Q{q}")
        mean, stderr = _mean(data)
        axes.errorbar(lengths, mean, stderr, fmt="ko-", lw=1.5, label="mean")
        axes.axvline(lengths[_best(data)], color="grey", lw=0.8, ls="--", label="chosen")
        axes.set(yscale="log", xlabel=across.label, ylabel="assignment error")
        axes.legend(fontsize="small")


def _qubits(executor: Executor) -> list[int]:
    """Return the qubits that can be prepared and read."""
    known = executor.calibration
    return [
        q for q in range(executor.device.num_qubits)
        if known.has(f"Q{q}.x.amplitude", f"Q{q}.readout.amplitude") and known.faulty(f"Q{q}") is None
    ]  # fmt: skip


def _lengths(executor: Executor, shortest: float, longest: float, points: int) -> list[int]:
    """Return lengths in dt, evenly spaced in their logarithm, on the grid of the readout ports."""
    rows, ports, grid = executor.device.qubits, executor.device.ports, executor.device.timing.granularity
    for name in {row.readout for row in rows} | {row.acquire for row in rows}:
        grid = math.lcm(grid, math.ceil(ports[name].granularity / samples_per_dt(executor.device, ports[name])))
    wanted = np.geomspace(shortest, longest, points) / executor.blocks.dt / grid
    return [int(n) * grid for n in np.unique(np.maximum(np.round(wanted), 1).astype(int))]


def _read(blocks: Blocks, qubits: list[int], length: int, state: int) -> Schedule:
    """Return a readout of all qubits at once, each in ``state``, without weights."""
    shots = []
    for q in qubits:
        readout = Schedule()
        for time, item in blocks.measure(q, duration=length).instructions:
            even = item
            if isinstance(item, Acquire):
                even = Acquire(item.duration, item.channel, item.mem_slot, kernel=Kernel("boxcar"))
            readout = readout.insert(time, even)
        shots.append(blocks.shot(q, *([blocks.x(q)] * state), readout=readout))
    return together(shots, blocks.device.timing.acquire_alignment)


def _errors(answer: MeasurementResponse, qubits: list[int], lengths: np.ndarray, dt: float) -> xarray.Dataset:
    """Return the assignment error of each qubit at each length, NaN where 0 and 1 cannot be told apart."""
    assert answer.iq is not None, "level 1"
    found = np.full((2, len(qubits), lengths.size), np.nan)
    for k in range(len(qubits)):
        for n in range(lengths.size):
            fit = clouds([answer.iq[2 * n, :, k], answer.iq[2 * n + 1, :, k]])
            if fit.ok:
                found[:, k, n] = fit.values["error"], fit.stderr["error"]
    coords = {"qubit": ("qubit", qubits), "length": ("length", lengths * dt, {"units": "s"})}
    data = xarray.Dataset(coords=coords)
    data["assignment"] = (("qubit", "length"), found[0], {"units": ""})
    data["assignment_error"] = (("qubit", "length"), found[1], {"units": ""})
    return data


def _points(answer: MeasurementResponse) -> xarray.Dataset:
    """Return single shots of both states: (prepared, qubit, shot)."""
    assert answer.iq is not None, "level 1"
    iq = np.moveaxis(answer.iq, 2, 1).astype(np.complex128)
    data = xarray.Dataset(coords={"prepared": ("prepared", list(_STATES))})
    for name, values in (("shot_i", iq.real), ("shot_q", iq.imag)):
        data[name] = (("prepared", "qubit", "shot"), values, {"units": "full scale"})
    return data


def _mean(data: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean error of all qubits at each length and its standard error; one not told apart errs in half."""
    error = np.nan_to_num(data["assignment"].to_numpy(), nan=0.5)
    stderr = np.nan_to_num(data["assignment_error"].to_numpy(), nan=0.05)
    return error.mean(axis=0), np.linalg.norm(stderr, axis=0) / stderr.shape[0]


def _best(data: xarray.Dataset) -> int:
    """Return the number of the shortest length that is within a standard error of the best."""
    mean, stderr = _mean(data)
    least = int(np.argmin(mean))
    return int(np.flatnonzero(mean <= mean[least] + stderr[least])[0])


def _values(data: xarray.Dataset, k: int, qubit: int, fit: Fit) -> dict[str, Proposal]:
    """Return what one qubit's readout is at the length that was chosen."""
    name, length = f"Q{qubit}.readout", float(data.attrs["chosen"])
    centres = tuple(fit.values[part] for part in ("z0re", "z0im", "z1re", "z1im", "variance"))
    values = {f"{name}.duration": Proposal(length, "dt"), f"{name}.discriminator": Proposal(centres, "full scale")}
    for part in ("p01", "p10", "error"):
        values[f"{name}.{part}"] = Proposal(fit.values[part], "", fit.stderr[part])
    if int(data["shaped"][k]):
        values[f"{name}.width"] = Proposal(length - 4 * float(data["sigma"][k]), "dt")
    if int(data["weighted"][k]):
        values[f"{name}.kernel"] = Proposal((0.0,))
    return values
