"""What a Cluster does in a run: bursts, windows and bits of all its sequencers together.

The maker's oscillator turns the other way than a burst: an output has Re(z exp(+2 pi i LO t)), a line of the chip
Re(z exp(-2 pi i LO t)). So envelopes are conjugated and phases negated; integrals are conjugates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from pulsed.simulator.dynamics.sequence import (
    BURST,
    AcquiredData,
    ClassifiedBit,
    IntegrationKernel,
    Mode,
    Window,
)
from pulsed.simulator.instruments.parts import RATE, TRIGGER_LATENCY
from pulsed.simulator.instruments.qblox.module import EmulatedModule
from pulsed.simulator.instruments.qblox.pipeline import QUARTERS
from pulsed.simulator.instruments.qblox.shots import Counted, Integral, PlayedBurst, ProgramError, Shots, side_by_side
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.virtual_instrument import LIST_ENTRY, ListPlayer

_FULL_GAIN = 32767
LATENCY = 388
"""ns from the end of an integral until its trigger counts everywhere: 364 from input to output, 24 to the next slot."""
SPACING = 280
"""ns that the network needs for a trigger: 252, in whole slots of 28."""


@dataclass(frozen=True)
class TriggerRule:
    """How a sequencer makes a trigger of an integral."""

    address: int
    angle: float
    """Of the boundary, in the plane of what the chip integrates."""
    threshold: float
    inverted: bool

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> TriggerRule | None:
        """Return that of the settings of an acquisition path, None when it sends none."""
        network, rule = settings["th_acq_trg_map"], settings["th_acq"]
        if not network["en"]:
            return None
        # I' = a11 I + a12 Q, and I + iQ is the conjugate of what the chip integrates.
        turned = complex(float(rule["rotation_matrix_a11"]), float(rule["rotation_matrix_a12"]))
        angle = -float(np.angle(turned))
        return cls(int(network["addr"]), angle, float(rule["discr_threshold"]), bool(network["inv"]))


@dataclass
class PlayedSequencer:
    """One sequencer in a run."""

    slot: int
    number: str
    output: int
    listens: bool
    shots: list[Shots]
    waveforms: dict[int, np.ndarray[Any, Any]]
    weights: dict[int, np.ndarray[Any, Any]]
    integration: int
    rule: TriggerRule | None = None

    def length(self, integral: Integral) -> int:
        """Return how long its weights are."""
        pair = integral.weights
        return self.integration if pair is None else max(len(self.weights[weight]) for weight in pair)

    @cached_property
    def last(self) -> dict[int, int]:
        """Samples of the weights up to the last one that counts, by index."""
        return {index: int(np.max(np.flatnonzero(w), initial=0)) + 1 for index, w in self.weights.items()}

    def heard(self, integral: Integral) -> int:
        """Return how long it listens: weights may go on with zeros."""
        pair = integral.weights
        return self.integration if pair is None else max(self.last[weight] for weight in pair)


@dataclass(frozen=True)
class _Sending:
    """An integral that is told to all sequencers. Times since the shot's start."""

    sequencer: PlayedSequencer
    integral: Integral
    end: int
    number: int
    """Of its bit, from 1."""


@dataclass
class ClusterPart:
    """What a Cluster does in a run, shot after shot of all its sequencers together."""

    player: ListPlayer
    modules: Mapping[int, EmulatedModule]
    sequencers: list[PlayedSequencer]
    lines: Mapping[int, int] = field(default_factory=dict)
    mode: Mode = "integrated"
    _made: dict[int, dict[tuple[int, ...], int]] = field(default_factory=dict)
    """By entry, the numbers of bits that are made of others, by their terms."""
    _sent: dict[int, list[_Sending]] = field(default_factory=dict)

    def entries(self) -> np.ndarray[Any, Any]:
        """Return the list of the run. Raises :class:`ProgramError` for sequencers that are not in step."""
        for one, shots in zip(self.sequencers, side_by_side([one.shots for one in self.sequencers]), strict=True):
            one.shots = shots
        grid = self.sequencers[0].shots
        if not grid:
            raise ProgramError("nothing is played: no program has a shot")
        for entry in range(len(grid)):
            self._check_triggers(entry)
        return np.array([(0, shots.count, shots.period) for shots in grid], LIST_ENTRY)

    def first(self, entry: int) -> int:
        """Return the earliest time of anything."""
        times = [burst.time for p in self.sequencers for burst in p.shots[entry].bursts]
        times += [one.time for p in self.sequencers for one in p.shots[entry].integrals]
        return min(times, default=TRIGGER_LATENCY)

    def bursts(self, entry: int, shift: int, offset: int) -> tuple[np.ndarray, list[np.ndarray], list[bytes]]:
        """Return what is played on the chip's clock."""
        rows: list[tuple[Any, ...]] = []
        envelopes: list[np.ndarray[Any, Any]] = []
        keys: list[bytes] = []
        index: dict[bytes, int] = {}
        for p, burst in self._played(entry):
            line = self.lines[10 * p.slot + p.output]
            gains = np.array(burst.gain) / _FULL_GAIN
            scale = float(np.abs(gains).max())
            i, q = p.waveforms[burst.i], p.waveforms[burst.q]
            z = (gains[0] * i - 1j * gains[1] * q) / (scale or 1.0)
            key = hashlib.blake2b(z.tobytes(), digest_size=16).digest()
            if key not in index:
                index[key] = offset + len(envelopes)
                envelopes.append(z)
                keys.append(key)
            frequency = burst.frequency / 4
            phase = 2 * np.pi * (frequency * 1e-9 * burst.time - burst.phase / QUARTERS + frequency * shift / RATE)
            rows.append((line, burst.time + shift, index[key], scale, phase, frequency))
        return np.array(rows, BURST), envelopes, keys

    # --- bits ----------------------------------------------------------------------------------------------------

    def _sending(self, entry: int) -> list[_Sending]:
        """Return what is told to all sequencers in a shot, in order of time."""
        if entry not in self._sent:
            self._sent[entry] = self._told(entry)
        return self._sent[entry]

    def _told(self, entry: int) -> list[_Sending]:
        found = [
            (one.time + p.length(one), p, one)
            for p in self.sequencers if p.rule is not None and p.listens
            for one in p.shots[entry].integrals
        ]  # fmt: skip
        found.sort(key=lambda item: item[0])
        return [_Sending(p, one, end, number) for number, (end, p, one) in enumerate(found, 1)]

    def _check_triggers(self, entry: int) -> None:
        """Raise :class:`ProgramError` where counters are not those of one readout each, or triggers meet."""
        asked = [one for p in self.sequencers for one in p.shots[entry].asked]
        if not asked:
            return
        last, sending = max(one.last for one in asked), self._sending(entry)
        for first, second in pairwise(one for one in sending if one.end <= last):
            if second.end - first.end < SPACING:
                raise ProgramError(
                    f"triggers of two readouts follow each other by {second.end - first.end} ns, the network needs "
                    f"{SPACING} ns"
                )
        for one in asked:
            self._counted(sending, *one)
            period = self.sequencers[0].shots[entry].period
            before = sending[-1].end - period + LATENCY if sending else 0
            if one.counter.since < before:
                raise ProgramError(f"a trigger of the shot before comes {before} ns after the start of the next one")

    def _counted(self, sending: list[_Sending], counter: Counted, first: int, last: int) -> _Sending:
        """Return what a counter has counted when it is asked for from ``first`` to ``last``."""
        mine = [one for one in sending if one.sequencer.rule and one.sequencer.rule.address == counter.address]
        possible = [one for one in mine if one.end < last and one.end + LATENCY > counter.since]
        name = f"trigger {counter.address}, counted from {counter.since} ns"
        if len(possible) != 1:
            raise ProgramError(f"{name} is asked for at {first} to {last} ns, and {len(possible)} readouts send it")
        if possible[0].end < counter.since or possible[0].end + LATENCY > first:
            raise ProgramError(f"{name} is asked for at {first} ns, and there from {possible[0].end + LATENCY} ns")
        return possible[0]

    def _condition(self, entry: int, p: PlayedSequencer, burst: PlayedBurst) -> int:
        """Return the condition of a burst: the number of a bit, negative for one that must be 0."""
        if not burst.condition:
            return 0
        sending = self._sending(entry)
        asked = {one.counter: one for one in p.shots[entry].asked}
        terms = []
        for counter, came in burst.condition:
            sent = self._counted(sending, *asked[counter])
            inverted = sent.sequencer.rule is not None and sent.sequencer.rule.inverted
            terms.append(sent.number if came != inverted else -sent.number)
        if len(terms) == 1:
            return terms[0]
        made = self._made.setdefault(entry, {})
        return made.setdefault(tuple(sorted(terms)), len(sending) + 1 + len(made))

    def _played(self, entry: int) -> Iterator[tuple[PlayedSequencer, PlayedBurst]]:
        """Yield what is on a line of the chip."""
        for p in self.sequencers:
            if self.lines.get(10 * p.slot + p.output, -1) >= 0:
                for burst in p.shots[entry].bursts:
                    yield p, burst

    def conditional(self, entry: int) -> bool:
        """Whether something waits for a bit."""
        return any(burst.condition for p in self.sequencers for burst in p.shots[entry].bursts)

    def conditions(self, entry: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return that of all that waits for a bit, and of each burst."""
        found = [(self._condition(entry, p, burst), burst.time) for p, burst in self._played(entry)]
        return [one for one in found if one[0]], found

    def conditional_turns(self, entry: int) -> list[tuple[int, int, float, np.ndarray]]:
        """Return nothing: a burst on a bit has the phase that it has with that bit."""
        return []

    def marks(self, entry: int) -> list[tuple[int, int, int, int, int]]:
        """Return nothing: markers switch the outputs."""
        return []

    def _integrals(self, entry: int) -> dict[tuple[int, int], list[tuple[PlayedSequencer, Integral]]]:
        """Return the integrals of a shot by the start and length of their windows, in order of time."""
        found: dict[tuple[int, int], list[tuple[PlayedSequencer, Integral]]] = {}
        for p in self.sequencers:
            for one in p.shots[entry].integrals if p.listens else ():
                found.setdefault((one.time, p.heard(one)), []).append((p, one))
        return dict(sorted(found.items()))

    def windows(self, entry: int, shift: int) -> tuple[Window, ...]:
        """Return what is integrated on the chip's clock: two kernels of each integral, that of I and that of Q."""
        windows = []
        for (start, length), integrals in self._integrals(entry).items():
            kernels = []
            for p, one in integrals:
                frequency = one.frequency / 4
                turns = one.phase / QUARTERS - frequency * (one.time + shift) * 1e-9
                for weight in one.weights or (None, None):
                    weights = np.zeros(length, complex)
                    own = np.ones(length) if weight is None else p.weights[weight][:length]
                    weights[: len(own)] = own * np.exp(2j * np.pi * turns)
                    kernels.append(IntegrationKernel(frequency, weights))
            windows.append(Window(start + shift, length, tuple(kernels)))
        for before, after in pairwise(windows):
            if after.start < before.start + before.length:
                raise ScpiError(-221, f"windows from {before.start} and {after.start} overlap, which is not emulated")
        return tuple(windows)

    def sent(self, entry: int) -> list[tuple[int, int, ClassifiedBit]]:
        """Return number, time from which it counts, and classification of each bit that makes a trigger."""
        place = {}
        for window, integrals in enumerate(self._integrals(entry).values()):
            for k, (_, one) in enumerate(integrals):
                place[id(one)] = window, 2 * k
        found = []
        for sending in self._sending(entry):
            rule, one = sending.sequencer.rule, sending.integral
            if one.weights is None or one.weights[0] != one.weights[1]:
                raise ScpiError(-221, "a trigger of an integral with different weights of I and Q is not emulated")
            assert rule is not None, "who sends has a rule"
            bit = ClassifiedBit(*place[id(one)], rule.angle, rule.threshold)
            found.append((sending.number, sending.end + LATENCY, bit))
        return found

    def decisions(self, entry: int) -> Mapping[int, tuple[int, ...]]:
        """Return the terms of bits that are made of others."""
        self.conditions(entry)
        return {number: terms for terms, number in self._made.get(entry, {}).items()}

    def deliver(self, entry: int, outcome: AcquiredData) -> None:
        """Add the integrals of an entry to their bins."""
        values = outcome.integrated
        column = 0
        for integrals in self._integrals(entry).values():
            for p, one in integrals:
                module = self.modules[p.slot]
                module.overrange = module.overrange or outcome.overrange or "overrange" in self.player.faults
                bins = module.bins(p.number, one.acquisition)
                if values is None or bins is None:
                    continue
                which = one.bin + one.step * np.arange(p.shots[entry].count)
                good = (which >= 0) & (which < len(bins))
                i, q = values[:, column].real, values[:, column + 1].imag
                module.add(bins, which[good], (i - 1j * q)[good])
                column += 2
