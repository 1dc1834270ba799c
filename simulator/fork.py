"""What a sequence with conditions plays: its stages, each up to a readout whose bits decide, and the pulses of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.acquisition import owner
from pulsed.simulator.chip import Chip
from pulsed.simulator.measurement import Measurement
from pulsed.simulator.sequence import Sequence
from pulsed.simulator.step import Pulse
from pulsed.simulator.trajectories import SimulationLimitError

Find = Callable[[Sequence], list[Pulse]]
"""Returns the pulses of a sequence."""

Reached = Callable[[Sequence], list[tuple[tuple[int, ...], int]]]
"""Returns what each burst of a sequence acts on by itself, and when that has ended."""


@dataclass(frozen=True)
class Stage:
    """A part of the shot: ``measurements`` of which the last one ends it, at ``stop``, and tells ``bits``."""

    measurements: tuple[Measurement, ...]
    start: int
    stop: float
    bits: tuple[int, ...]
    windows: int
    """Windows of the sequence that are complete at the end."""


class Fork:
    """What a sequence plays, by what is known of its bits.

    Args:
        sequence: with conditions.
        chip: the chip.
        measurements: its readouts, in order of time.
        find: returns the pulses of a sequence.
        reached: returns what each burst acts on by itself, and when that has ended.

    Raises:
        SimulationLimitError: a readout pulse waits for a bit, or a pulse waits for one of a readout that is still on.

    """

    def __init__(
        self,
        sequence: Sequence,
        chip: Chip,
        measurements: list[Measurement],
        find: Find,
        reached: Reached,
    ) -> None:
        self.sequence = sequence
        self._chip = chip
        self._find = find
        self._known: dict[tuple[tuple[int, bool], ...], list[Pulse]] = {}
        owners = [owner(w, measurements, chip.amplifier.delay) for w in sequence.windows]
        self._waiting = {i: self._bursts_of(i) for i in range(len(sequence.bits))}
        used = [i for i, bursts in self._waiting.items() if len(bursts)]
        told = {i: next(k for k, m in enumerate(measurements) if m is owners[sequence.bits[i].window]) for i in used}
        self._check(told, measurements)
        ends = [-1, *sorted(set(told.values())), len(measurements) - 1]
        self.stages: list[Stage] = []
        for before, last in pairwise(ends):
            final = len(self.stages) == len(ends) - 2
            start = measurements[before].stop if before >= 0 else 0
            stop = np.inf if final else float(measurements[last].stop)
            own = tuple(measurements[before + 1 : last + 1])
            windows = sum(any(found is m for m in measurements[: last + 1]) for found in owners)
            bits = () if final else tuple(i for i in used if told[i] == last)
            self.stages.append(Stage(own, start, stop, bits, windows))
        found = {i: reached(self._of_bit(i)) for i in used}
        self._reached = {i: {q for qubits, _ in each for q in qubits} for i, each in found.items()}
        self._over = {i: max(stop for _, stop in each) if each else 0 for i, each in found.items()}

    def _bursts_of(self, bit: int) -> NDArray[np.int64]:
        """Return the bursts that a bit decides something about, by index."""
        conditions = self.sequence.conditions
        assert conditions is not None
        turned = [turn.bursts for turn in self.sequence.turns if abs(turn.condition) == bit + 1]
        found = np.concatenate([np.flatnonzero(np.abs(conditions) == bit + 1), *turned])
        return np.unique(found.astype(np.int64))

    def _check(self, told: Mapping[int, int], measurements: list[Measurement]) -> None:
        bursts = self.sequence.bursts
        for bit, k in told.items():
            for burst in bursts[self._waiting[bit]]:
                line = self.sequence.lines[burst["line"]].name
                if self._chip.wire(line).reads:
                    message, legal = "a readout pulse that waits for a bit cannot be followed", "pulses on other lines"
                elif burst["start"] < measurements[k].stop:
                    message = "a pulse waits for a bit of a readout that is still on at the chip"
                    legal = f"from {measurements[k].stop} ns"
                else:
                    continue
                raise SimulationLimitError(
                    message, subject=f"line {line}", value=f"a pulse at {burst['start']} ns", legal=legal
                )

    def _of_bit(self, bit: int) -> Sequence:
        """Return all that a bit decides something about."""
        return replace(self.sequence, bursts=self.sequence.bursts[self._waiting[bit]], conditions=None, turns=())

    def matters(self, bit: int, qubits: tuple[int, ...]) -> bool:
        """Return whether a bit decides about pulses of a cluster."""
        return bool(self._reached[bit] & set(qubits))

    def pulses(self, known: Mapping[int, bool], qubits: tuple[int, ...], stage: Stage) -> list[Pulse]:
        """Return the pulses of a cluster in a stage when some bits are known."""
        every = self._under(known)
        return [p for p in every if p.qubits[0] in qubits and stage.start <= p.start < stage.stop]

    def remembered(self, known: Mapping[int, bool], qubits: tuple[int, ...], stop: float) -> dict[int, bool]:
        """Return those of some known bits that still decide about what a cluster plays from ``stop`` on."""
        left = {bit: value for bit, value in known.items() if self._over[bit] > stop}
        ahead = [[p for p in self._under(k) if p.qubits[0] in qubits and p.start >= stop] for k in (known, left)]
        same = len(ahead[0]) == len(ahead[1]) and all(map(_alike, *ahead))
        return left if same else dict(known)

    def check_past(
        self, old: Mapping[int, bool], new: Mapping[int, bool], qubits: tuple[int, ...], stop: float
    ) -> None:
        """Refuse (SimulationLimitError) a bit that would change pulses which began before it was known."""
        before, after = (
            [p for p in self._under(known) if p.qubits[0] in qubits and p.start < stop] for known in (old, new)
        )
        if len(before) != len(after) or not all(map(_alike, before, after)):
            raise SimulationLimitError(
                "a pulse that waits for a bit overlaps one that began before the bit was measured",
                subject=f"qubits {', '.join(map(str, qubits))}",
                value=f"a pulse from before {stop:g} ns",
                legal="pulses that end before those that wait begin",
            )

    def _under(self, known: Mapping[int, bool]) -> list[Pulse]:
        key = tuple(sorted(known.items()))
        if key not in self._known:
            self._known[key] = self._find(self.sequence.under(known))
        return self._known[key]


def _alike(one: Pulse, other: Pulse) -> bool:
    same = (one.start, one.stop, one.qubits, one.phase) == (other.start, other.stop, other.qubits, other.phase)
    return same and (one.step is other.step or np.array_equal(one.step.unitary, other.step.unitary))
