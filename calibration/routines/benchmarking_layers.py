"""The error of ECRs that are played at the same time: layers of all pairs that share no qubit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import xarray
from pydantic import Field, PositiveInt

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits import Fit
from pulsed.calibration.routine import (
    Measurement,
    MeasurementRequest,
    Outcome,
    Proposal,
    Routine,
    RoutineParameters,
    Verdict,
    bad_data,
    qubits_of,
    tone_pairs,
)
from pulsed.calibration.routines.benchmarking import Player, decay
from pulsed.calibration.routines.benchmarking_cliffords import TURNS, Step, cliffords, matrix_of
from pulsed.calibration.routines.benchmarking_plots import draw_decays
from pulsed.calibration.schedules import Blocks
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.schedule import Schedule

Layer = tuple[str, ...]
"""Pairs without a common qubit."""


class EcrSimultaneous(Routine):
    """The error of an ECR while those of all other pairs of its layer are played, which start when it does.

    Layers are as full as pairs without a common qubit make them. A sequence is a random Clifford on each qubit, then
    the layer, again and again, and at the end what undoes it pair by pair; the survival of each pair falls as p^layers,
    and ``ecr.simultaneous`` is (1 − p)·3/4, the pulses of a layer included (direct randomized benchmarking, Proctor et
    al., Phys. Rev. Lett. 123, 030503, 2019; of layers, McKay et al., arXiv:2311.05933, 2023). What it is above
    ``ecr.error`` is what neighbours do: ZZ, crosstalk of their tones, and waiting for the slowest of the layer.
    """

    name: ClassVar = "ecr-simultaneous"
    subject: ClassVar = "chip"
    disturbs: ClassVar[Any] = "all"

    class Parameters(RoutineParameters):
        """Of the sequences."""

        layers: str | None = None
        """Such as ``"Q2-Q1+Q4-Q3, Q0-Q1"``; without, as few full ones as hold every pair that is in use."""
        points: int = Field(default=5, ge=4)
        """Lengths, evenly from 1 to the longest."""
        longest: int = Field(default=41, ge=8)
        """Layers of the longest sequences."""
        sequences: PositiveInt = 8
        """Random sequences of each length, a multiple of the four basis states in which they end."""
        shots: PositiveInt = 500
        seed: int = Field(default=0, ge=0)
        """Of the sequences."""
        worse: float = Field(default=0.5, gt=0)
        """For a check: by which part an error may be above the active one."""

    def measure(self, executor: Executor, target: str) -> Measurement:
        """Play the sequences of one layer after the other."""
        p = self.parameters
        chosen = layers(executor.device, executor.calibration) if p.layers is None else _parsed(p.layers, executor)
        if not chosen:
            raise InvalidValueError(
                "no pair has an ECR that is in use", subject=f"routine {self.name}", legal="a pair with its values"
            )
        lengths = sorted({round(n) for n in np.linspace(1, p.longest, p.points)})
        count = -(-p.sequences // 4) * 4
        survival: dict[str, np.ndarray] = {}
        for number, layer in enumerate(chosen):
            rng = np.random.default_rng((p.seed, number))
            players = {pair: Player(executor.blocks, qubits_of(pair, executor.device)) for pair in layer}
            shots = [
                _shot(executor.blocks, players, rng, n, k % 4, executor.device) for n in lengths for k in range(count)
            ]
            answer = yield MeasurementRequest(shots, p.shots, level=2)
            assert answer.bits is not None, "level 2"
            slots = sorted(q for pair in layer for q in qubits_of(pair, executor.device))
            end = np.tile(np.arange(count) % 4, len(lengths))
            for pair in layer:
                low, high = (answer.bits[:, :, slots.index(q)] for q in qubits_of(pair, executor.device))
                right = (low == (end & 1)[:, None]) & (high == (end >> 1)[:, None])
                survival[pair] = right.mean(axis=1).reshape(len(lengths), count)
        coords = {"pair": list(survival), "length": lengths, "sequence": np.arange(count)}
        data = xarray.Dataset({"survival": (tuple(coords), np.stack(list(survival.values())))}, coords)
        known = {pair: executor.calibration.get(f"{pair}.ecr.error", np.nan) for pair in survival}
        data["alone"] = ("pair", list(known.values()))
        return data.assign_attrs(shots=p.shots, layers="; ".join("+".join(layer) for layer in chosen))

    def analyse(self, data: xarray.Dataset) -> Outcome:
        """Fit the decay of each pair."""
        fits = {str(pair): self._fit(data, k) for k, pair in enumerate(data["pair"].to_numpy())}
        if all(not fit.ok for fit in fits.values()):
            return bad_data("; ".join(f"{pair}: {fit.reason}" for pair, fit in fits.items()), **fits)
        values, told = {}, []
        for (pair, fit), alone in zip(fits.items(), data["alone"].to_numpy(), strict=True):
            if not fit.ok:
                told.append(f"{pair} not: {fit.reason}")
                continue
            error, stderr = fit.values["error"], fit.stderr["error"]
            values[f"{pair}.ecr.simultaneous"] = Proposal(error, "", stderr)
            told.append(f"{pair} {error:.3g}" + (f", alone {alone:.3g}" if np.isfinite(alone) else ""))
        return Outcome("good", f"in layers {data.attrs['layers']}: {'; '.join(told)}", values, fits)

    def _fit(self, data: xarray.Dataset, k: int) -> Fit:
        shots, survival = int(data.attrs["shots"]), data["survival"].to_numpy()[k]
        # One more of each outcome: the variance of a probability that was found to be 0 or 1 is not 0.
        guess = (survival.mean(axis=1, keepdims=True) * shots + 1) / (shots + 2)
        return decay(data["length"].to_numpy(), survival, guess * (1 - guess) / shots, 2, 0.25)

    def judge(self, data: xarray.Dataset, calibration: CalibrationSet, target: str) -> tuple[Verdict, str]:
        """Say whether a pair errs by more than is known."""
        outcome = self.analyse(data)
        if not outcome.good:
            return "bad data", outcome.reason
        for name, found in outcome.values.items():
            assert not isinstance(found.value, tuple)
            if not calibration.has(name):
                return "out of spec", f"{name} has no value"
            allowed = calibration.number(name) * (1 + self.parameters.worse) + 3 * (found.stderr or 0.0)
            if found.value > allowed:
                return "out of spec", f"{name} is {found.value:.3g}, {allowed:.3g} is allowed"
        return "in spec", ""

    def draw(self, data: xarray.Dataset, outcome: Outcome, figure: Any) -> None:
        """Draw every sequence, the means and the fits, and the residuals."""
        sequences = dict(zip(map(str, data["pair"].to_numpy()), data["survival"].to_numpy(), strict=True))
        draw_decays(self.name, data, outcome, figure, sequences, 2, along="layers")


def layers(device: DeviceDescription, calibration: CalibrationSet) -> list[Layer]:
    """Return full layers that hold every pair with an ECR in use, each at least once, greedily."""
    pairs = [
        pair for pair in tone_pairs(device)
        if calibration.has(f"{pair}.ecr.amplitude") and calibration.faulty(pair) is None
    ]  # fmt: skip
    left, found = list(pairs), list[Layer]()
    while left:
        layer: list[str] = []
        for pair in [*left, *pairs]:
            busy = {q for other in layer for q in qubits_of(other, device)}
            if not busy & set(qubits_of(pair, device)):
                layer.append(pair)
        found.append(tuple(layer))
        left = [pair for pair in left if pair not in layer]
    return found


def _parsed(text: str, executor: Executor) -> list[Layer]:
    """Return the layers that a person wrote. Raises :class:`InvalidValueError`."""
    legal = tone_pairs(executor.device)
    found = [tuple(pair.strip() for pair in layer.split("+")) for layer in text.split(",")]
    for layer in found:
        qubits = [q for pair in layer if pair in legal for q in qubits_of(pair, executor.device)]
        if any(pair not in legal for pair in layer) or len(set(qubits)) < 2 * len(layer):
            raise InvalidValueError(
                "not a layer of pairs without a common qubit", subject="layers", value="+".join(layer),
                legal=f"of {', '.join(legal)}: Q0-Q1+Q2-Q3",
            )  # fmt: skip
    return found


def _shot(
    blocks: Blocks, players: dict[str, Player], rng: np.random.Generator, length: int, end: int,
    device: DeviceDescription,
) -> Schedule:  # fmt: skip
    """Return a sequence of ``length`` layers, what undoes it on each pair, and the readout of all of them."""
    body, undone = Schedule(), {pair: np.eye(4, dtype=complex) for pair in players}

    def together(steps: dict[str, Sequence[Step]]) -> None:
        nonlocal body
        start = body.duration
        for pair, player in players.items():
            body = body.insert(start, player.schedule(steps[pair]))

    for _ in range(length):
        turns: dict[str, Sequence[Step]] = {
            pair: [(TURNS[rng.integers(len(TURNS))], TURNS[rng.integers(len(TURNS))])] for pair in players
        }
        together(turns)
        together({pair: ["ecr"] for pair in players})
        undone = {pair: undone[pair] @ matrix_of([*turns[pair], "ecr"], 2).conj().T for pair in players}
    flips = (TURNS[4] if end & 1 else TURNS[0], TURNS[4] if end >> 1 else TURNS[0])
    together({pair: cliffords(2).steps_of(matrix_of([flips], 2) @ undone[pair]) for pair in players})
    qubits = [q for pair in players for q in qubits_of(pair, device)]
    return blocks.shot(qubits[0], body, readout=Schedule(*((0, blocks.measure(q)) for q in qubits)))
