"""Branch plan of a sequence with conditions: stages, each ending with a readout whose bits decide, and their pulses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.clusters import Begins
from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.sequence import PulseSequence, Window
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.readout.acquisition import RING_DOWN, owner
from pulsed.simulator.readout.measurement import Measurement, stretches_of

Find = Callable[[PulseSequence, Begins], list[PlacedPulse]]
"""Returns the pulses of a sequence that is a part of another, of which is known when all that it plays begins."""

Reached = Callable[[PulseSequence], list[tuple[tuple[int, ...], int, int]]]
"""Returns what each burst of a sequence acts on by itself, and when that begins and has ended."""


KEPT_PULSES = 1 << 13
"""Pulses that a plan keeps for the next run."""

_PULSE_BYTES = 256
"""Memory of a pulse without its map, which others share."""


@dataclass(frozen=True)
class Stage:
    """A part of the shot: at ``stop`` the ``measurements`` up to there tell ``bits``.

    ``settled`` is a time up to which all qubits may idle then: nothing that is left to do starts before.
    """

    measurements: tuple[Measurement, ...]
    start: int
    stop: float
    settled: int
    bits: tuple[int, ...]
    windows: int
    """Windows of the sequence that are complete at the end."""


class BranchPlan:
    """The pulses of a sequence for each value of its bits.

    Args:
        sequence: with conditions.
        chip: the chip.
        measurements: its readouts, in order of time.
        find: returns the pulses of a part of it.
        reached: returns what each burst acts on by itself, and when that begins and has ended.

    Raises:
        SimulationLimitError: a pulse depends on a bit of a readout that has not ended.

    """

    def __init__(
        self,
        sequence: PulseSequence,
        chip: Chip,
        measurements: list[Measurement],
        find: Find,
        reached: Reached,
    ) -> None:
        self.sequence = sequence
        self._find = find
        self._known: dict[tuple[tuple[int, bool], ...], list[PlacedPulse]] = {}
        delay = chip.amplifier.delay
        needed = [_needed(w, measurements, delay) for w in sequence.windows]
        needed = np.maximum.accumulate(np.array(needed, int)).tolist()  # windows are taken in order of time
        self._waiting = {i: self._bursts_of(i) for i in range(len(sequence.bits))}
        used = [i for i, bursts in self._waiting.items() if len(bursts)]
        told = {i: needed[sequence.bits[i].window] for i in used}
        known = {i: _known(sequence.windows[sequence.bits[i].window], measurements[told[i]], delay) for i in used}
        stops = {k: max(known[i] for i in used if told[i] == k) for k in sorted(set(told.values()))}
        self._check({i: stops[told[i]] for i in used})
        ends = [-1, *stops, len(measurements) - 1]
        self.stages: list[Stage] = []
        for before, last in pairwise(ends):
            final = len(self.stages) == len(ends) - 2
            start = stops[before] if before >= 0 else 0
            stop = np.inf if final else float(stops[last])
            own = tuple(measurements[before + 1 : last + 1])
            following = [m.start for m in measurements[last + 1 :]]
            settled = 0 if final else min([stops[last], *following])
            windows = sum(k <= last for k in needed)
            bits = () if final else tuple(i for i in used if told[i] == last)
            self.stages.append(Stage(own, start, stop, settled, bits, windows))
        found = {i: reached(self._of_bit(i)) for i in used}
        self._reached = {i: {q for qubits, _, _ in each for q in qubits} for i, each in found.items()}
        self._over = {i: max(stop for _, _, stop in each) if each else 0 for i, each in found.items()}
        for measurement in measurements:
            if measurement.condition:
                bit = abs(measurement.condition) - 1
                self._reached[bit] |= set(measurement.measured)
                self._over[bit] = max(self._over[bit], measurement.start + 1)
        # A pulse rings until the next one. In shots that do not play that, too: the bit may come later than the pulse.
        self._begins: dict[int, list[int]] = {}
        for qubits, start, _ in sorted(reached(sequence), key=itemgetter(1)):
            for q in qubits:
                self._begins.setdefault(q, []).append(start)

    def _bursts_of(self, bit: int) -> NDArray[np.int64]:
        """Return the bursts that a bit decides something about, by index."""
        conditions = self.sequence.conditions
        assert conditions is not None
        turned = [turn.bursts for turn in self.sequence.turns if abs(turn.condition) == bit + 1]
        found = np.concatenate([np.flatnonzero(np.abs(conditions) == bit + 1), *turned])
        return np.unique(found.astype(np.int64))

    def _check(self, told: Mapping[int, int]) -> None:
        bursts = self.sequence.bursts
        for bit, stop in told.items():
            for burst in bursts[self._waiting[bit]]:
                if burst["start"] < stop:
                    raise SimulationLimitError(
                        "a pulse waits for a bit of a readout that is still on at the chip",
                        subject=f"line {self.sequence.lines[burst['line']].name}",
                        value=f"a pulse at {burst['start']} ns",
                        legal=f"from {stop} ns",
                    )

    def _of_bit(self, bit: int) -> PulseSequence:
        """Return all that a bit decides something about."""
        return replace(self.sequence, bursts=self.sequence.bursts[self._waiting[bit]], conditions=None, turns=())

    def matters(self, bit: int, qubits: tuple[int, ...]) -> bool:
        """Return whether a bit decides about pulses of a cluster."""
        return bool(self._reached[bit] & set(qubits))

    def pulses(self, known: Mapping[int, bool], qubits: tuple[int, ...], stage: Stage) -> list[PlacedPulse]:
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

    def forget(self) -> None:
        """Forget the pulses, when there are many: some values of bits may never come again."""
        if sum(map(len, self._known.values())) > KEPT_PULSES:
            self._known.clear()

    @property
    def nbytes(self) -> int:
        """Memory in bytes of the sequence, and at most of the pulses that are not forgotten."""
        sequence = self.sequence
        kernels = (kernel.weights.nbytes for window in sequence.windows for kernel in window.kernels)
        arrays = sequence.bursts.nbytes + sum(envelope.nbytes for envelope in sequence.envelopes) + sum(kernels)
        return arrays + _PULSE_BYTES * min(KEPT_PULSES, len(sequence.bursts) << min(len(self._waiting), 16))

    def _under(self, known: Mapping[int, bool]) -> list[PlacedPulse]:
        key = tuple(sorted(known.items()))
        if key not in self._known:
            self._known[key] = self._find(self.sequence.under(known), self._begins)
        return self._known[key]


def _needed(window: Window, measurements: list[Measurement], delay: int) -> int:
    """Return the index of the last measurement that a window sees something of."""
    stretch = owner(window, stretches_of(measurements), delay)
    end = window.start - delay + window.length
    mine = [k for k, m in enumerate(measurements) if m.stretch is stretch]
    return max([k for k in mine if measurements[k].start < end], default=mine[0])


def _known(window: Window, last: Measurement, delay: int) -> int:
    """Return when a window has all that it needs, ``last`` being the last measurement that it sees something of.

    The ring-down after a tone does not count as readout: a pulse may begin there, on a bit of an earlier window too.
    """
    end = window.start - delay + window.length
    return min(last.stop - RING_DOWN, max(end, last.start + 1))


def _alike(one: PlacedPulse, other: PlacedPulse) -> bool:
    same = (one.start, one.stop, one.qubits, one.phase) == (other.start, other.stop, other.qubits, other.phase)
    return same and (one.map is other.map or np.array_equal(one.map.unitary, other.map.unitary))
