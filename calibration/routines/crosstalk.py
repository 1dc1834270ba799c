"""Crosstalk of the drive lines: what a qubit sees of every line but its own, so that the compiler can undo it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray
from pydantic import Field, PositiveFloat, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit
from pulsed.calibration.results.data import signal, sweep
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
from pulsed.calibration.routines.phases import TURNS
from pulsed.calibration.schedules import Blocks, first_acquisition, sequence
from pulsed.compiler.crosstalk import SWITCH
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play, SetFrequency, ShiftPhase
from pulsed.pulse.library import GaussianSquare
from pulsed.pulse.schedule import Schedule

Complex = npt.NDArray[np.complex128]
_SIGMA = 16
"""dt, of the tone's flanks, which are two sigma long: they must not shake the qubit whose line it is."""
_SEEN = 3.0
"""Standard errors from which a line is seen at all; what is less is taken for nothing."""
_LARGEST = 0.5


@dataclass(frozen=True)
class _Case:
    """One line, with the qubit it belongs to in 0 or in 1."""

    qubit: int
    line: int
    prepared: int
    amplitude: float


class Crosstalk(Routine):
    """What a qubit sees of the other drive lines at its own frequency, in amplitude and phase, in units of its own.

    A tone leaves another line, and one of the qubit's own line is sought with which the qubit does not turn: tomography
    of the rotation that is left says what is missing, three times, with longer and longer tones. Where the line's qubit
    is coupled to this one, the tone turns it through the coupling as well (cross-resonance), by an amount that depends
    on the other's state. To first order the two states give −JΩ/Δ and −JΩ(Δ−α)/(Δ(Δ+α)) (Magesan and Gambetta, Phys.
    Rev. A 101, 052308, 2020), whose share is taken away: what is left is of the lines alone, at any frequency.

    ``crosstalk`` has re and im for each drive line, in the order of the qubits, 1 and 0 for the own one; a line that
    is not seen has 0. The compiler then cancels it, see docs/how-to/compensate-crosstalk.md.
    """

    name: ClassVar = "crosstalk"
    disturbs: ClassVar = "all"
    needs: ClassVar = ("x.amplitude", "sx.amplitude", "readout.discriminator")
    gives: ClassVar = ("crosstalk",)
    quick: ClassVar = {"shots": 100, "last_shots": 150}

    class Parameters(RoutineParameters):
        """Of the tones."""

        first: int = Field(default=96, ge=64)
        """dt, of the first tones."""
        longer: float = Field(default=4.5, gt=1, le=10)
        """By how much those of each round are longer than the ones before."""
        rounds: int = Field(default=3, ge=2, le=5)
        amplitude: float = Field(default=0.4, gt=0, le=0.9)
        """Full scale of the other line."""
        drive: PositiveFloat = 0.07
        """Of the detuning of a coupled qubit: its Rabi frequency stays below it, for first order to hold."""
        shots: PositiveInt = 300
        """Of each schedule in all rounds but the last: with 200 one measurement in twelve was refused by chance."""
        last_shots: PositiveInt = 500

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Go through the rounds, each with what the ones before have found on the own line."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        cases = _cases(executor, qubit, p.amplitude, p.drive)
        found = np.zeros(len(cases), complex)
        rounds = []
        for number in range(p.rounds):
            length = round(p.first * p.longer**number / 8) * 8
            shape = GaussianSquare(length, 1.0, sigma=_SIGMA, width=length - 4 * _SIGMA)
            schedules = [
                _shot(executor.blocks, case, shape, cancel, turn)
                for case, cancel in zip(cases, found.tolist(), strict=True)
                for turn in (*TURNS.tolist(), None)
            ]
            schedules += [executor.blocks.shot(qubit), executor.blocks.shot(qubit, executor.blocks.x(qubit))]
            shots = p.last_shots if number == p.rounds - 1 else p.shots
            answer = yield MeasurementRequest(schedules, shots, options={"settings": {SWITCH: 0.0}})
            data = sweep(
                {"schedule": (np.arange(len(schedules)), "")}, answer, known=executor.calibration, target=target
            )
            gains = (
                _rate(executor, qubit) * np.array([case.amplitude for case in cases]) * np.sum(shape.envelope().real)
            )
            data.attrs["axis"] = executor.blocks.value(f"{target}.sx.angle", 0.0)
            data["gain"] = ("case", gains, {"units": "rad"})
            data["cancel"] = (("case", "part"), found.view(float).reshape(-1, 2), {"units": ""})
            data["duration"] = ((), length * executor.blocks.dt, {"units": "s"})
            rounds.append(data)
            turned, _ = _rotations(data)
            found = found + turned / gains
        data = xarray.concat(rounds, "round", combine_attrs="override")
        return data.assign_coords(_about(executor, qubit, cases)).assign_attrs(
            qubit=qubit, qubits=executor.device.num_qubits, drive=p.drive
        )

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Take the last round's word, the others' as a check, and what comes through the couplings away."""
        if not np.isfinite(data["i"].to_numpy()).all():
            return bad_data("points are not numbers")
        contrast = _contrast(data.isel(round=-1))
        if contrast < 0.5:
            return bad_data(f"the qubit's own π pulse takes it to {contrast:.2f}: is its drive line alive?")
        fits = {f"line {line}": _line(data, line) for line in np.unique(data["line"]).tolist()}
        if refused := first_bad(fits):
            return refused
        row = np.zeros(int(data.attrs["qubits"]), complex)
        row[int(data.attrs["qubit"])] = 1
        for line, fit in zip(np.unique(data["line"]).tolist(), fits.values(), strict=True):
            value = complex(fit.values["re"], fit.values["im"])
            row[line] = value if abs(value) > _SEEN * fit.stderr["re"] else 0
        stderr = max((fit.stderr["re"] for fit in fits.values()), default=0.0)
        numbers = tuple(float(x) for x in row.view(float))
        told = [f"d{k} {abs(z):.4f}∠{np.angle(z):+.2f}" for k, z in enumerate(row) if z not in (0, 1)]
        return Outcome("good", ", ".join(told), {"crosstalk": Proposal(numbers, "", stderr)}, fits)

    def judge(self, data: xarray.Dataset, calibration: Any, target: str) -> tuple[Any, str]:
        """Ask of each line whether it is seen as it was, within 0.003 and three standard errors."""
        outcome, name = self.analyse(data), f"{target}.crosstalk"
        if not outcome.good:
            return "bad data", outcome.reason
        if not calibration.has(name):
            return "out of spec", f"{name} has no value"
        known = np.array(calibration.numbers(name)).view(complex)
        for label, fit in outcome.fits.items():
            line, value = int(label.split()[1]), complex(fit.values["re"], fit.values["im"])
            allowed = 3e-3 + 3 * fit.stderr["re"]
            if line >= known.size or abs(value - known[line]) > allowed:
                return "out of spec", f"{label} is seen as {value:.4f}, {known[line]:.4f} is active"
        return "in spec", ""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw what is seen of each line in the plane, and how the rotation that is left falls from round to round."""
        from pulsed.calibration.results.run_plots import heading

        figure.suptitle(heading(self.name, data, outcome), fontsize="medium")
        plane, left = figure.subplots(1, 2)
        for label, fit in outcome.fits.items():
            if fit.ok:
                plane.errorbar(fit.values["re"], fit.values["im"], fit.stderr["im"], fit.stderr["re"], "o", label=label)
        plane.axhline(0, color="grey", lw=0.8)
        plane.axvline(0, color="grey", lw=0.8)
        plane.set(xlabel="re (of the own line)", ylabel="im (of the own line)", title="what is seen of each line")
        plane.margins(0.2)
        plane.set_aspect("equal", "datalim")
        if outcome.fits:
            plane.legend(fontsize="x-small")
        turned, errors = zip(*(_rotations(data.isel(round=r)) for r in range(data.sizes["round"])), strict=True)
        rounds = np.arange(1, data.sizes["round"] + 1)
        for k, line in enumerate(data["line"].to_numpy().tolist()):
            style = "-" if int(data["prepared"][k]) == 0 else ":"
            size = [abs(z[k]) / g for z, g in zip(turned, data["gain"].to_numpy()[:, k], strict=True)]
            left.plot(rounds, size, style, marker=".", label=f"line {line}, its qubit in {int(data['prepared'][k])}")
        floor = [float(np.mean(e / g)) for e, g in zip(errors, data["gain"].to_numpy(), strict=True)]
        left.plot(rounds, floor, "k--", lw=0.8, label="standard error")
        left.set(yscale="log", xlabel="round", ylabel="what is left (of the own line)", xticks=rounds)
        left.legend(fontsize="x-small")


def _rate(executor: Executor, qubit: int) -> float:
    """Return the rotation (rad) by one dt of full scale on the qubit's own line, as its π pulse tells."""
    ((_, play),) = ((t, i) for t, i in executor.blocks.drag(qubit).instructions if isinstance(i, Play))
    return float(np.pi / abs(np.sum(play.pulse.envelope())))


def _cases(executor: Executor, qubit: int, most: float, drive: float) -> list[_Case]:
    """Return every line that shares the LO of the qubit's, with its qubit in 0, and in 1 too where it is coupled."""
    rows, ports, known = executor.device.qubits, executor.device.ports, executor.calibration
    coupled = {frozenset((pair.control, pair.target)) for pair in executor.device.couplings}
    own, cases = rows[qubit].drive, []
    for line, row in enumerate(rows):
        if row.drive == own or ports[row.drive].lo != ports[own].lo or ports[row.drive].clock != ports[own].clock:
            continue
        if frozenset((qubit, line)) not in coupled or not known.has(f"Q{line}.x.amplitude"):
            cases.append(_Case(qubit, line, 0, most))
            continue
        rabi = _rate(executor, line) / (2 * np.pi * executor.blocks.dt)
        detuning = abs(known.number(f"Q{line}.f01") - known.number(f"Q{qubit}.f01"))
        amplitude = float(min(most, max(drive * detuning / rabi, 0.01)))
        cases += [_Case(qubit, line, prepared, amplitude) for prepared in (0, 1)]
    return cases


def _about(executor: Executor, qubit: int, cases: Sequence[_Case]) -> dict[str, Any]:
    """Return what the analysis has to know of each case, as coordinates."""
    known, f01 = executor.calibration, executor.calibration.number(f"Q{qubit}.f01")
    share, shift, wrong, decay = [], [], [], []
    for case in cases:
        own, alpha = (known.get(f"Q{q}.anharmonicity", -3e8) for q in (qubit, case.line))
        delta = known.get(f"Q{case.line}.f01", f01) - f01
        share.append((delta + alpha) / (2 * alpha))
        exchange, both = 0.0, len([other for other in cases if other.line == case.line]) > 1
        if both:
            exchange = _rate(executor, qubit) / _rate(executor, case.line) * delta * (delta + alpha) / (2 * alpha)
        shift.append(2 * exchange**2 * (1 / (delta - own) - 1 / (delta + alpha)) if both else 0.0)
        wrong.append(known.get(f"Q{case.line}.thermal", 0.0))
        decay.append(1 / known.get(f"Q{case.line}.t1", np.inf))
    return {
        "line": ("case", [case.line for case in cases]),
        "prepared": ("case", [case.prepared for case in cases]),
        "share": ("case", share, {"long_name": "of 1 in what is of the line alone"}),
        "shift": ("case", shift, {"units": "Hz", "long_name": "ZZ over the square of how 0 and 1 differ"}),
        "thermal": ("case", wrong),
        "decay": ("case", decay, {"units": "1/s"}),
    }


def _shot(blocks: Blocks, case: _Case, shape: GaussianSquare, cancel: complex, turn: float | None) -> Schedule:
    """Return the other line's tone at the qubit's frequency, the own line's against it, and a last π/2 pulse or none.

    The other channel's frame is where it would be had it been at this frequency since the shot's start: the start of
    the tone is known, because nothing else is measured meanwhile and the acquisition is on its grid.
    """
    qubit, channel = case.qubit, DriveChannel(case.line)
    frequency, home = (blocks.value(f"Q{q}.f01") for q in (qubit, case.line))
    before = [blocks.x(case.line)] if case.prepared else []
    after = [] if turn is None else [blocks.rz(qubit, turn), blocks.sx(qubit)]
    length = int(shape.duration)
    grid = blocks.device.timing.acquire_alignment
    start = -first_acquisition(sequence(*before, length, *after, blocks.measure(qubit))) % grid
    start += sum(part.duration for part in before)
    tones = Schedule(
        (0, SetFrequency(frequency, channel)),
        (0, ShiftPhase(-2 * np.pi * (frequency - home) * start * blocks.dt, channel)),
        (0, Play(_scaled(shape, case.amplitude), channel)),
    )
    if cancel:
        tones = tones.insert(0, Play(_scaled(shape, -case.amplitude * cancel), DriveChannel(qubit)))
    return blocks.shot(qubit, *before, tones, *after)


def _scaled(shape: GaussianSquare, factor: complex) -> GaussianSquare:
    length, sigma, width = int(shape.duration), shape.parameters["sigma"], shape.parameters["width"]
    return GaussianSquare(length, abs(factor), sigma=sigma, width=width, angle=float(np.angle(factor)))


def _contrast(data: xarray.Dataset) -> float:
    """Return by how much the qubit's own π pulse raises the population of 1."""
    y, _ = signal(data)
    return float(y[-1] - y[-2])


def _rotations(data: xarray.Dataset) -> tuple[Complex, npt.NDArray[np.float64]]:
    """Return the rotation of each case, rad, re about x and im about y, and its standard error in either.

    A turn t of the last pulse gives the population (1 − X sin t − Y cos t)/2, and a rotation θ of 0 has X = sin|θ| im,
    Y = −sin|θ| re, and cos|θ| along z. The axis of the last pulse is that of its angle.
    """
    y, sigma = signal(data)
    y, sigma = y[:-2].reshape(-1, 5), sigma[:-2].reshape(-1, 5)
    across = (y[:, 0] - y[:, 2]) - 1j * (y[:, 1] - y[:, 3])
    angle = np.arctan2(np.abs(across), 1 - 2 * y[:, 4])
    size = np.where(np.abs(across) > 1e-12, np.abs(across), 1.0)
    error = np.sqrt(np.sum(sigma[:, :4] ** 2, axis=1) / 2) / max(_contrast(data), 0.1)
    return angle * across / size * np.exp(1j * float(data.attrs["axis"])), error


def _line(data: xarray.Dataset, line: int) -> Fit:
    """Return what is of one line alone, re and im, from the last round; the rounds before have to agree with it."""
    own = np.flatnonzero(data["line"].to_numpy() == line)
    estimates, errors = zip(*(_seen(data.isel(round=r), own) for r in range(data.sizes["round"])), strict=True)
    last, error = estimates[-1], errors[-1]
    turned, _ = _rotations(data.isel(round=-1))
    share = float(data["share"][own[0]])
    weights = np.array([1.0]) if own.size == 1 else np.array([1 - share, share])
    # What is beyond first order in the drive is of its square.
    beyond = float(data.attrs["drive"]) ** 2 * float(np.ptp(np.abs(last - last[0])))
    value, stderr = complex(weights @ last), float(np.linalg.norm([*(weights * error), beyond]))
    apart = [float(np.sum(np.abs(e - last) ** 2 / (s**2 + error**2 + (0.1 * np.abs(last)) ** 2)))
             for e, s in zip(estimates[:-1], errors[:-1], strict=True)]  # fmt: skip
    dof = 2 * own.size * len(apart)
    numbers = {"re": value.real, "im": value.imag}
    fit = Fit("crosstalk", numbers, dict.fromkeys(numbers, stderr), sum(apart) / dof, dof)
    if np.abs(last).max() > _LARGEST:
        return fit.refused(f"{np.abs(last).max():.2f} of the own line: are the lines swapped?")
    if np.abs(turned[own]).max() > 0.8:
        return fit.refused(f"no tone of the own line cancels it: {np.abs(turned[own]).max():.2f} rad are left")
    if max(apart) / (2 * own.size) > 12:
        return fit.refused("the rounds do not agree")
    return fit


def _seen(data: xarray.Dataset, own: npt.NDArray[np.int64]) -> tuple[Complex, npt.NDArray[np.float64]]:
    """Return what is seen in one round with the line's qubit in each of its states.

    With it in 1 the qubit precesses by ZZ meanwhile, which the coupling that the states tell of says. Thermal and
    decayed shots turn by the other state's angle, by a part of it where the decay comes under way.
    """
    turned, error = _rotations(data)
    gain, cancel = data["gain"].to_numpy()[own], data["cancel"].to_numpy().view(complex)[own, 0]
    seen: Complex = cancel + turned[own] / gain
    if own.size == 2:
        thermal, duration = float(data["thermal"][own[0]]), float(data["duration"])
        decayed = float(data["decay"][own[0]]) * duration
        precessed = float(data["shift"][own[0]]) * abs(seen[1] - seen[0]) ** 2 * duration
        turned[own[1]] *= np.exp(1j * np.pi * precessed) / np.sinc(precessed)
        raw = cancel + turned[own] / gain
        for k, more in ((0, 0.0), (1, decayed)):
            other = gain[k] * (raw[1 - k] - cancel[k])
            size = max(abs(other), 1e-12)
            minority = (thermal * np.sin(size) + more * (1 - np.cos(size)) / size) * other / size
            seen[k] = cancel[k] + (turned[own[k]] - minority) / gain[k] / (1 - thermal - more)
    return seen, error[own] / gain
