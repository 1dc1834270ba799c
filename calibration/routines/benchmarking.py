"""Randomized benchmarking: how much an average Clifford, pulse or ECR errs, and how much of it T1 and T2 explain.

Random Cliffords and the one that undoes them leave a qubit where it was with a probability that falls as p^length; the
average error is (1 − p)(d − 1)/d (Magesan, Gambetta, Emerson, Phys. Rev. Lett. 106, 180504, 2011). What undoes them
brings each sequence to another basis state, evenly, so that the decay ends at a known level whatever the readout does.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xarray
from pydantic import Field, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit, rb_decay
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
    tone_pairs,
)
from pulsed.calibration.routines.benchmarking_cliffords import PULSES_PER_CLIFFORD, Step, Turn, benchmark
from pulsed.calibration.routines.benchmarking_plots import draw_decays
from pulsed.calibration.schedules import Blocks, sequence
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.pulse.instructions import Instruction
from pulsed.pulse.schedule import Schedule

Real = npt.NDArray[np.float64]


def coherence_limit(duration: float, times: Sequence[tuple[float, float]]) -> float:
    """Return the average error of doing nothing for ``duration`` (s) on qubits with (T1, T2 of the echo) in s each.

    The process fidelity of relaxation with dephasing is (1 + exp(−t/T1) + 2 exp(−t/T2))/4, that of several qubits the
    product, and the average fidelity (d·F + 1)/(d + 1) (Nielsen, Phys. Lett. A 303, 249, 2002).
    """
    process = float(np.prod([(1 + np.exp(-duration / t1) + 2 * np.exp(-duration / t2)) / 4 for t1, t2 in times]))
    d = 2 ** len(times)
    return float(1 - (d * process + 1) / (d + 1))


class Player:
    """Makes schedules of steps; gates of the working set are looked up once."""

    def __init__(self, blocks: Blocks, qubits: Sequence[int]) -> None:
        self._blocks, self._qubits = blocks, tuple(qubits)
        self._known: dict[object, tuple[tuple[tuple[int, Instruction], ...], int]] = {}

    def _of(self, key: tuple[int, Turn] | str) -> tuple[tuple[tuple[int, Instruction], ...], int]:
        if key not in self._known:
            if isinstance(key, str):
                part = self._blocks.gate(key, *self._qubits)
            else:
                qubit, turn = key
                ends = (self._blocks.rz(qubit, np.pi / 2 * k) if k else Schedule() for k in (turn.before, turn.after))
                pulse = self._blocks.gate(turn.pulse, qubit) if turn.pulse else Schedule()
                before, after = ends
                part = sequence(before, pulse, after)
            self._known[key] = (tuple(part.instructions), part.duration)
        return self._known[key]

    def schedule(self, steps: Sequence[Step]) -> Schedule:
        """Return the steps one after the other; what is played at once starts together."""
        items: list[tuple[int, Instruction]] = []
        time = 0
        for step in steps:
            keys = [step] if isinstance(step, str) else list(zip(self._qubits, step, strict=True))
            parts = [self._of(key) for key in keys]
            for instructions, _ in parts:
                items += [(time + start, item) for start, item in instructions]
            time += max(duration for _, duration in parts)
        return Schedule(*items)


class _Sequences(RoutineParameters):
    points: int = Field(default=6, ge=4)
    """Lengths, evenly from 1 to the longest."""
    longest: int = Field(default=2000, ge=8)
    """Cliffords of the longest sequences."""
    sequences: PositiveInt = 6
    """Random sequences of each length, a multiple of the number of basis states."""
    shots: PositiveInt = 500
    seed: int | None = Field(default=None, ge=0)
    """Of the sequences; None for another one each time."""


def _lengths(parameters: _Sequences) -> list[int]:
    return sorted({round(n) for n in np.linspace(1, parameters.longest, parameters.points)})


def _count(parameters: _Sequences, states: int) -> int:
    """Return the number of sequences, the next multiple of the number of basis states."""
    return -(-parameters.sequences // states) * states


def _seed(parameters: _Sequences) -> int:
    return secrets.randbits(32) if parameters.seed is None else parameters.seed


def _coherence(calibration: CalibrationSet, qubits: Sequence[int], duration: float) -> dict[str, float]:
    """Return the limit as an attribute of the data, or nothing when a time is not known."""
    names = [(f"Q{q}.t1", f"Q{q}.t2") for q in qubits]
    if not calibration.has(*(name for both in names for name in both)):
        return {}
    limit = coherence_limit(duration, [(calibration.number(t1), calibration.number(t2)) for t1, t2 in names])
    return {"coherence_limit": limit}


def _compared(error: float, limit: object, what: str) -> str:
    if not isinstance(limit, float):
        return ""
    return f"{what} {error:.3g}: {error / limit:.2f} times the coherence limit of {limit:.3g}"


def decay(lengths: Real, values: Real, variances: Real, qubits: int, offset: float) -> Fit:
    """Fit all sequences, each a point: (lengths, sequences) values with the variances of their shot noise.

    To the shot noise comes the scatter between sequences, as far as it is larger: estimated from all lengths together,
    because a few sequences of one length do not tell.
    """
    noise = variances.mean(axis=1)
    more = max(0.0, float(np.mean(values.var(axis=1, ddof=1) - noise))) if values.shape[1] > 1 else 0.0
    count = values.shape[1]
    sigma = np.repeat(np.sqrt(noise + more), count)
    return rb_decay(np.repeat(lengths, count), values.ravel(), sigma, qubits=qubits, offset=offset)


def _ends(data: xarray.Dataset) -> Real:
    """Return what each sequence adds to the difference of both ends: twice its distance from the middle."""
    y, _ = signal(data)
    sign = np.where(data["sequence"].to_numpy() % 2, 2.0, -2.0)
    ends: Real = sign * (y - (y[:, 0::2].mean() + y[:, 1::2].mean()) / 2)
    return ends


class RandomizedBenchmarking(Routine):
    """The error of a Clifford of one qubit, and of one pulse, with all others at rest.

    Targets go one after the other: even a line two qubits away adds a quarter to an error near the coherence limit.
    Half of the sequences end in 0 and half in 1; their difference decays to nothing.
    """

    name: ClassVar = "rb"
    needs: ClassVar = ("x.amplitude", "sx.amplitude", "readout.discriminator")
    gives: ClassVar[tuple[str, ...]] = ("rb.error", "x.error", "sx.error")
    disturbs: ClassVar[Any] = "all"
    tolerances: ClassVar = {"rb.error": (0.0, 0.5)}
    quick: ClassVar = {"points": 4, "sequences": 4}

    class Parameters(_Sequences):
        """Of the sequences."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play random sequences of each length."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        lengths, count, seed = _lengths(p), _count(p, 2), _seed(p)
        rng, blocks = np.random.default_rng((seed, qubit)), executor.blocks
        player = Player(blocks, [qubit])
        bodies = [player.schedule(benchmark(rng, 1, n, k % 2)) for n in lengths for k in range(count)]
        answer = yield MeasurementRequest([blocks.shot(qubit, body) for body in bodies], p.shots)
        axes = {"length": (np.array(lengths), ""), "sequence": (np.arange(count), "")}
        data = sweep(axes, answer, known=executor.calibration, target=target)
        pulses = [blocks.value(f"{target}.{gate}.duration") for gate in ("x", "sx")]
        duration = PULSES_PER_CLIFFORD * blocks.dt * (pulses[0] + 4 * pulses[1]) / 5
        alone = {"alone": blocks.value(f"{target}.rb.error")} if executor.calibration.has(f"{target}.rb.error") else {}
        return data.assign_attrs(seed=seed, **_coherence(executor.calibration, [qubit], duration), **alone)

    def _fit(self, data: xarray.Dataset) -> Fit:
        _, sigma = signal(data)
        return decay(data["length"].to_numpy(), _ends(data), 4 * sigma**2, 1, 0.0)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the decay; a pulse has the error of a Clifford divided by the pulses per Clifford."""
        fits = {"Clifford": self._fit(data)}
        if refused := first_bad(fits):
            return refused
        error, stderr = fits["Clifford"].values["error"], fits["Clifford"].stderr["error"]
        per_pulse = Proposal(error / PULSES_PER_CLIFFORD, "", stderr / PULSES_PER_CLIFFORD)
        values = {"rb.error": Proposal(error, "", stderr), "x.error": per_pulse, "sx.error": per_pulse}
        reason = _compared(error, data.attrs.get("coherence_limit"), "error per Clifford")
        return Outcome("good", reason, values, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw every sequence, the means, the fit, what the coherence times alone would give, and the residuals."""
        draw_decays(self.name, data, outcome, figure, {"Clifford": _ends(data)}, 1)


class SimultaneousBenchmarking(RandomizedBenchmarking):
    """The error of a Clifford of one qubit while all targets of the run are driven at random too.

    What it is above ``rb`` is what neighbours do: ZZ and crosstalk.
    """

    name: ClassVar = "rb-simultaneous"
    gives: ClassVar = ("rb.simultaneous",)
    disturbs: ClassVar[Any] = "none"
    tolerances: ClassVar = {"rb.simultaneous": (0.0, 0.5)}

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the decay, and say what it is alone where that is known."""
        found = super().analyse(data)
        if not found.good:
            return found
        value, alone = found.values["rb.error"], data.attrs.get("alone")
        reason = found.reason + (f"; alone {float(alone):.3g}" if alone is not None else "")
        return Outcome("good", reason, {"rb.simultaneous": value}, found.fits)


class InterleavedBenchmarking(RandomizedBenchmarking):
    """The errors of x and of sx, each interleaved with random Cliffords (Magesan et al., PRL 109, 080505, 2012).

    ``rb`` gives what an average pulse errs; this tells the two apart, with all other qubits at rest.
    """

    name: ClassVar = "rb-interleaved"
    gives: ClassVar = ("rb.x", "rb.sx")
    tolerances: ClassVar = {"rb.x": (0.0, 0.5), "rb.sx": (0.0, 0.5)}

    class Parameters(_Sequences):
        """Of the sequences."""

        longest: int = Field(default=1000, ge=8)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play random sequences of each length, and others with an x, or an sx, behind each Clifford."""
        p, (qubit,) = self.parameters, qubits_of(target, executor.device)
        lengths, count, seed = _lengths(p), _count(p, 2), _seed(p)
        rng, blocks = np.random.default_rng((seed, qubit)), executor.blocks
        player = Player(blocks, [qubit])
        extras: tuple[tuple[Step, ...], ...] = ((), ((Turn(0, "x", 0),),), ((Turn(0, "sx", 0),),))
        bodies = [
            player.schedule(benchmark(rng, 1, n, k % 2, extra))
            for extra in extras
            for n in lengths
            for k in range(count)
        ]
        answer = yield MeasurementRequest([blocks.shot(qubit, body) for body in bodies], p.shots)
        axes = {
            "interleaved": (np.arange(len(extras)), ""),
            "length": (np.array(lengths), ""),
            "sequence": (np.arange(count), ""),
        }
        data = sweep(axes, answer, known=executor.calibration, target=target)
        limits: dict[str, float] = {}
        for gate in ("x", "sx"):
            duration = blocks.value(f"{target}.{gate}.duration") * blocks.dt
            limits |= {
                f"{gate}_{name}": value for name, value in _coherence(executor.calibration, [qubit], duration).items()
            }
        return data.assign_attrs(seed=seed, **limits)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the three decays; the ratio of one to that of the Cliffords alone is its pulse's."""
        fits = {name: self._fit(data.isel(interleaved=k)) for k, name in enumerate(("Clifford", "with x", "with sx"))}
        if refused := first_bad(fits):
            return refused
        values, told = {}, []
        for gate in ("x", "sx"):
            error, stderr = _interleaved(fits["Clifford"], fits[f"with {gate}"], 2)
            if error < 2 * stderr:
                return bad_data(
                    f"{gate} does not stand out of the Cliffords: {error:.3g} ± {stderr:.2g}; take more", **fits
                )
            values[f"rb.{gate}"] = Proposal(error, "", stderr)
            told.append(_compared(error, data.attrs.get(f"{gate}_coherence_limit"), gate))
        return Outcome("good", "; ".join(text for text in told if text), values, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw every sequence, the means, the three fits, and the residuals."""
        decays = {name: _ends(data.isel(interleaved=k)) for k, name in enumerate(("Clifford", "with x", "with sx"))}
        draw_decays(self.name, data, outcome, figure, decays, 1)


def _interleaved(plain: Fit, both: Fit, d: int) -> tuple[float, float]:
    """Return the average error of what was interleaved, and its standard error: (d − 1)/d·(1 − the ratio of decays)."""
    ratio = (1 - both.values["rate"]) / (1 - plain.values["rate"])
    stderr = np.hypot(both.stderr["rate"], ratio * plain.stderr["rate"]) / (1 - plain.values["rate"])
    return (d - 1) / d * (1 - ratio), float((d - 1) / d * stderr)


class PairBenchmarking(Routine):
    """The error of a Clifford of two qubits, and by interleaving that of ECR (Magesan et al., PRL 109, 080505, 2012).

    A quarter of the sequences ends in each basis state. A shot survives when both qubits are read right, so that the
    decay ends at 1/4 whatever the readout does.
    """

    name: ClassVar = "rb-ecr"
    subject: ClassVar = "pair"
    needs: ClassVar = (
        "ecr.amplitude", "control.x.amplitude", "control.sx.amplitude", "target.x.amplitude", "target.sx.amplitude",
        "control.readout.discriminator", "target.readout.discriminator",
    )  # fmt: skip
    gives: ClassVar = ("rb.error", "ecr.error")
    disturbs: ClassVar = "all"
    tolerances: ClassVar = {"ecr.error": (0.0, 0.5)}
    quick: ClassVar = {"points": 4, "sequences": 4}

    class Parameters(_Sequences):
        """Of the sequences."""

        points: int = Field(default=5, ge=4)
        longest: int = Field(default=51, ge=8)
        sequences: PositiveInt = 8

    @classmethod
    def targets(cls, device: DeviceDescription) -> tuple[str, ...]:
        """Return the pairs without a flux line."""
        return tone_pairs(device)

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play random sequences of each length, and others with an ECR behind each Clifford."""
        p, qubits, blocks = self.parameters, qubits_of(target, executor.device), executor.blocks
        lengths, count, seed = _lengths(p), _count(p, 4), _seed(p)
        rng, player = np.random.default_rng((seed, *qubits)), Player(blocks, qubits)
        readout = Schedule(*((0, blocks.measure(q)) for q in qubits))
        schedules, cliffords, duration = [], 0, 0
        for extra in ((), ("ecr",)):
            for n in lengths:
                for k in range(count):
                    body = player.schedule(benchmark(rng, 2, n, k % 4, extra))
                    schedules.append(blocks.shot(qubits[0], body, readout=readout))
                    cliffords, duration = (
                        (cliffords, duration) if extra else (cliffords + n + 1, duration + body.duration)
                    )
        answer = yield MeasurementRequest(schedules, p.shots, level=2)
        assert answer.bits is not None
        # Slots come in the order of the qubits, the bits of a state in that of the pair.
        bits = answer.bits[:, :, [sorted(qubits).index(q) for q in qubits]]
        end = np.tile(np.arange(count) % 4, 2 * len(lengths))
        right = (bits[:, :, 0] == (end & 1)[:, None]) & (bits[:, :, 1] == (end >> 1)[:, None])
        data = xarray.Dataset(
            {"survival": (("interleaved", "length", "sequence"), right.mean(axis=1).reshape(2, len(lengths), count))},
            {"interleaved": [0, 1], "length": lengths, "sequence": np.arange(count)},
        )
        gate = blocks.gate("ecr", *qubits).duration * blocks.dt
        known = _coherence(executor.calibration, qubits, duration / cliffords * blocks.dt)
        known |= {f"gate_{name}": value for name, value in _coherence(executor.calibration, qubits, gate).items()}
        return data.assign_attrs(seed=seed, shots=p.shots, **known)

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit both decays; their ratio is the gate's."""
        shots, lengths = int(data.attrs["shots"]), data["length"].to_numpy()
        fits = {}
        for name, survival in zip(("Clifford", "with ECR"), data["survival"].to_numpy(), strict=True):
            # One more of each outcome: the variance of a probability that was found to be 0 or 1 is not 0.
            guess = (survival.mean(axis=1, keepdims=True) * shots + 1) / (shots + 2)
            fits[name] = decay(lengths, survival, guess * (1 - guess) / shots, 2, 0.25)
        if refused := first_bad(fits):
            return refused
        plain = fits["Clifford"]
        error, stderr = _interleaved(plain, fits["with ECR"], 4)
        if error < 2 * stderr:
            return bad_data(f"ECR does not stand out of the Cliffords: {error:.3g} ± {stderr:.2g}; take more", **fits)
        values = {
            "rb.error": Proposal(plain.values["error"], "", plain.stderr["error"]),
            "ecr.error": Proposal(error, "", stderr),
        }
        told = [
            _compared(plain.values["error"], data.attrs.get("coherence_limit"), "error per Clifford"),
            _compared(error, data.attrs.get("gate_coherence_limit"), "ECR"),
        ]
        return Outcome("good", "; ".join(text for text in told if text), values, fits)

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw every sequence, the means, both fits, what the coherence times alone would give, and the residuals."""
        plain, both = data["survival"].to_numpy()
        draw_decays(self.name, data, outcome, figure, {"Clifford": plain, "with ECR": both}, 2)
