"""A run: what the armed instruments hold when their leader starts becomes sequences for the chip.

The chip's time runs on the followers' clock: its sample 0 is sample 0 of the followers and sample 24 of the leader,
because a trigger takes 24 samples. When the leader plays something earlier than that, time begins at the leader's
sample 0 instead. Each instrument's oscillators have phase 0 at its own sample 0, so an event of an instrument whose
sample 0 is the chip's sample s, e^{i phase} e^{-2 pi i f (t - s)}, has phase + 2 pi f s on the chip's clock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from pulsed.simulator.dynamics.report import Report
from pulsed.simulator.dynamics.sequence import (
    BURST,
    ClassifiedBit,
    ConditionalPhase,
    Decision,
    LineSettings,
    PulseSequence,
    Window,
)
from pulsed.simulator.instruments.gs200 import VirtualGs200
from pulsed.simulator.instruments.parts import TRIGGER_LATENCY, Carrier, Output, PlayedPart, Playing, RecordedPart
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.virtual_instrument import ListPlayer


@dataclass(frozen=True)
class OutputCable:
    """The cable from one pair of an AWG to one line of the chip: through a mixer, or from I past a bias tee."""

    line: str
    awg: Playing
    pair: int
    lo: Carrier | None
    bias: VirtualGs200 | None = None

    @property
    def output(self) -> Output:
        """How the pair is set now."""
        return self.awg.output(self.pair)

    def setting(self) -> LineSettings:
        """Return the line as the instruments are set now."""
        output = self.output
        if self.lo is None:
            bias = None if self.bias is None else self.bias.current
            return LineSettings(self.line, 0.0, output.on, output.correction, output.offset, bias)
        return LineSettings(self.line, self.lo.frequency, output.on and self.lo.on, output.correction, output.offset)


@dataclass
class Run:
    """One run: what the instruments held when it started. ``recorded`` is by the section of the chip that is heard."""

    number: int
    leader: ListPlayer
    members: tuple[ListPlayer, ...]
    entries: np.ndarray
    lines: tuple[LineSettings, ...]
    played: tuple[PlayedPart, ...]
    recorded: Mapping[int, RecordedPart]
    left: set[ListPlayer] = field(default_factory=set)
    reports: list[Report | None] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def reading(self) -> dict[int, RecordedPart]:
        """What is recorded by the digitizers that are still there."""
        return {section: part for section, part in self.recorded.items() if part.player not in self.left}

    def sequence(self, entry: int) -> PulseSequence:
        """Return what the chip is given in one entry of the list."""
        parts = [part for part in self.played if part.player not in self.left]
        first = [part.first(entry) for part in parts if part.player is self.leader]
        first += [reader.first(entry) for reader in self.recorded.values() if reader.player is self.leader]
        begin = 0 if min(first, default=TRIGGER_LATENCY) < TRIGGER_LATENCY else TRIGGER_LATENCY
        bursts = [np.empty(0, BURST)]
        envelopes: list[np.ndarray] = []
        keys: list[bytes] = []
        for part in parts:
            found, waveforms, hashes = part.bursts(entry, self._shift(part.player, begin), len(envelopes))
            bursts.append(found)
            envelopes += waveforms
            keys += hashes
        windows = tuple(window for window, _ in self._windows(entry, begin))
        period = int(self.entries[entry]["period"])
        plain = PulseSequence(self.lines, np.concatenate(bursts), tuple(envelopes), tuple(keys), windows, period)
        if not any(part.conditional(entry) for part in parts):
            return plain
        return self._branching(plain, parts, entry, begin)

    def _shift(self, player: ListPlayer, begin: int) -> int:
        """Return the sample of the chip's clock, which begins at ``begin``, that is an instrument's sample 0."""
        return (0 if player is self.leader else TRIGGER_LATENCY) - begin

    def _windows(self, entry: int, begin: int) -> list[tuple[Window, int]]:
        """Return the windows of all digitizers in order of time, each with its number among those of its digitizer."""
        found = [
            (replace(window, section=section) if section else window, own)
            for section, reader in self.recorded.items()
            for own, window in enumerate(reader.windows(entry, self._shift(reader.player, begin)))
        ]
        return sorted(found, key=lambda one: (one[0].start, one[0].section))

    def _branching(self, plain: PulseSequence, parts: list[PlayedPart], entry: int, begin: int) -> PulseSequence:
        """Return a sequence with its conditions on the digitizer's bits; ScpiError (-221) for a missing bit.

        A bit holds until its number is sent again.
        """
        place = {(w.section, own): k for k, (w, own) in enumerate(self._windows(entry, begin))}
        sent: list[tuple[int, int, ClassifiedBit]] = []
        decisions: dict[int, tuple[int, ...]] = {}
        for section, reader in self.recorded.items():
            shift = self._shift(reader.player, begin)
            for number, at, bit in reader.sent(entry):
                sent.append((number, at + shift, replace(bit, window=place[section, bit.window])))
            decisions |= reader.decisions(entry)
        told = _SentBits(sent, decisions)
        conditions, turns, first = [], [], 0
        for part in parts:
            who = part.player.identity
            resolve = partial(told.condition, f"{who.model} {who.serial}, entry {entry}")
            shift = self._shift(part.player, begin)
            every, of_bursts = part.conditions(entry)
            for c, t in every:
                resolve(c, t + shift)  # markers, and what is on no cable, wait for their bits too
            conditions += [resolve(c, t + shift) for c, t in of_bursts]
            for c, t, phase, later in part.conditional_turns(entry):
                condition = resolve(c, t + shift)
                if condition:
                    turns.append(ConditionalPhase(condition, first + later, phase))
            first += len(of_bursts)
        return replace(plain, bits=tuple(told.bits), conditions=np.array(conditions, np.int64), turns=tuple(turns))

    def marks(self, entry: int) -> list[tuple[ListPlayer, int, int, int, int, int]]:
        """Return AWG, pair, marker, start, stop and condition of each time that a marker is up in an entry of the list.

        Times are samples of the followers' clock, on which the leader begins at -24.
        """
        found = []
        for part in self.played:
            shift = self._shift(part.player, TRIGGER_LATENCY)
            found += [(part.player, pair, n, a + shift, b + shift, c) for pair, n, a, b, c in part.marks(entry)]
        return found

    def check_feedback(self) -> None:
        """Refuse (-221) an event that depends on a bit which does not arrive in time."""
        for entry in range(len(self.entries)):
            if any(part.conditional(entry) for part in self.played):
                self.sequence(entry)


class _SentBits:
    """The bits that a digitizer sends to the AWGs in a shot.

    Args:
        sent: number, time of arrival on the chip's clock, and classification of each bit of a record.
        decisions: the terms of each bit that is made of others, by its number.

    """

    def __init__(
        self,
        sent: Iterable[tuple[int, int, ClassifiedBit]] = (),
        decisions: Mapping[int, tuple[int, ...]] | None = None,
    ) -> None:
        self._sent: dict[int, list[tuple[int, int]]] = {}
        self._decisions = decisions or {}
        self.bits: list[ClassifiedBit | Decision] = []
        for number, at, bit in sent:
            self._sent.setdefault(number, []).append((at, len(self.bits)))
            self.bits.append(bit)

    def condition(self, name: str, condition: int, time: int) -> int:
        """Return a condition of :class:`PulseSequence` for one of an event of an AWG at ``time`` of the chip's clock.

        ``name``: of the AWG and the entry, for the ScpiError (-221) about a missing bit.
        """
        if not condition:
            return 0
        number = abs(condition)
        if number in self._decisions:
            terms = tuple(self.condition(name, term, time) for term in self._decisions[number])
            decision = Decision(max(self.bits[abs(term) - 1].window for term in terms), terms)
            if decision not in self.bits:
                self.bits.append(decision)
            index = self.bits.index(decision) + 1
            return index if condition > 0 else -index
        there = self._sent.get(number, [])
        good = [(at, index) for at, index in there if at <= time]
        if not good:
            late = f"is there from {min(there)[0] - time} samples after its event" if there else "is sent by no record"
            raise ScpiError(-221, f"{name}: bit {number} {late}")
        index = max(good)[1] + 1
        return index if condition > 0 else -index
