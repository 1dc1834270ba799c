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
    Mode,
    PulseSequence,
    Window,
)
from pulsed.simulator.instruments.awg8 import OSCILLATORS, PAIRS, TURN, EventTable, StoredWaveform, VirtualAwg, marks
from pulsed.simulator.instruments.dig2 import RecordTable, VirtualDigitizer, Weights
from pulsed.simulator.instruments.gs200 import VirtualGs200
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.sgs100a import VirtualSgs100a
from pulsed.simulator.instruments.virtual_instrument import ListPlayer

TRIGGER_LATENCY = 24
"""Samples from a shot of the leader to the same shot of its followers."""
RATE = 1e9
"""Samples per second of every AWG and digitizer here."""


@dataclass(frozen=True)
class OutputCable:
    """The cable from one pair of an AWG to one line of the chip: through a mixer, or from I past a bias tee."""

    line: str
    awg: VirtualAwg
    pair: int
    lo: VirtualSgs100a | None
    bias: VirtualGs200 | None = None

    def setting(self) -> LineSettings:
        """Return the line as the instruments are set now."""
        output = self.awg.outputs[self.pair - 1]
        if self.lo is None:
            bias = None if self.bias is None else self.bias.current
            return LineSettings(self.line, 0.0, output.on, output.correction, output.offset, bias)
        return LineSettings(self.line, self.lo.frequency, output.on and self.lo.on, output.correction, output.offset)


@dataclass
class Run:
    """One run: what the instruments held when it started."""

    number: int
    leader: ListPlayer
    members: tuple[ListPlayer, ...]
    entries: np.ndarray
    lines: tuple[LineSettings, ...]
    awgs: tuple[AwgPart, ...]
    digitizer: DigitizerPart | None
    left: set[ListPlayer] = field(default_factory=set)
    reports: list[Report | None] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def sequence(self, entry: int) -> PulseSequence:
        """Return what the chip is given in one entry of the list."""
        parts = [part for part in self.awgs if part.awg not in self.left]
        reader = self.digitizer
        first = [part.first(entry) for part in parts if part.awg is self.leader]
        if reader and reader.digitizer is self.leader:
            first.append(reader.first(entry))
        begin = 0 if min(first, default=TRIGGER_LATENCY) < TRIGGER_LATENCY else TRIGGER_LATENCY
        bursts = [np.empty(0, BURST)]
        envelopes: list[np.ndarray] = []
        keys: list[bytes] = []
        for part in parts:
            found, waveforms = part.bursts(entry, self._shift(part.awg, begin), len(envelopes))
            bursts.append(found)
            envelopes += [part.envelope(waveform) for waveform in waveforms]
            keys += [waveform.key for waveform in waveforms]
        windows: tuple[Window, ...] = ()
        if reader:
            windows = reader.tables[entry].acquisition(reader.kernels, self._shift(reader.digitizer, begin))
        period = int(self.entries[entry]["period"])
        plain = PulseSequence(self.lines, np.concatenate(bursts), tuple(envelopes), tuple(keys), windows, period)
        if not any(part.tables[entry].conditional for part in parts):
            return plain
        return self._branching(plain, parts, entry, begin)

    def _shift(self, player: ListPlayer, begin: int) -> int:
        """Return the sample of the chip's clock, which begins at ``begin``, that is an instrument's sample 0."""
        return (0 if player is self.leader else TRIGGER_LATENCY) - begin

    def _branching(self, plain: PulseSequence, parts: list[AwgPart], entry: int, begin: int) -> PulseSequence:
        """Return a sequence with its conditions on the digitizer's bits; ScpiError (-221) for a missing bit.

        A bit holds until its number is sent again.
        """
        told = _SentBits()
        if self.digitizer:
            shift, table = self._shift(self.digitizer.digitizer, begin), self.digitizer.tables[entry]
            told = _SentBits([(n, at + shift, bit) for n, at, bit in table.sent()], table.decisions)
        conditions, turns, first = [], [], 0
        for part in parts:
            resolve = partial(told.condition, f"{part.awg.identity.model} {part.awg.identity.serial}, entry {entry}")
            shift = self._shift(part.awg, begin)
            events, every = part.played(entry), part.tables[entry].events
            for c, t in every[every["condition"] != 0][["condition", "time"]].tolist():
                resolve(c, t + shift)  # markers, and what is on no cable, wait for their bits too
            conditions += [resolve(int(c), int(t) + shift) for c, t in events[["condition", "time"]].tolist()]
            for turn in part.turns(entry):
                same = (events["pair"] == turn["pair"]) & (events["oscillator"] == turn["oscillator"])
                bursts = first + np.flatnonzero(same & (events["time"] >= turn["time"]))
                condition = resolve(int(turn["condition"]), int(turn["time"]) + shift)
                if condition:
                    turns.append(ConditionalPhase(condition, bursts, float(turn["phase"])))
            first += len(events)
        return replace(plain, bits=tuple(told.bits), conditions=np.array(conditions, np.int64), turns=tuple(turns))

    def marks(self, entry: int) -> list[tuple[VirtualAwg, int, int, int, int, int]]:
        """Return AWG, pair, marker, start, stop and condition of each time that a marker is up in an entry of the list.

        Times are samples of the followers' clock, on which the leader begins at -24.
        """
        found = []
        for part in self.awgs:
            shift = self._shift(part.awg, TRIGGER_LATENCY)
            events = part.tables[entry].events
            for pair in range(1, PAIRS + 1):
                mine = events[(events["pair"] == pair) & (events["oscillator"] >= OSCILLATORS)]
                found += [(part.awg, pair, n, a + shift, b + shift, c) for n, a, b, c in marks(mine)]
        return found

    def check_feedback(self) -> None:
        """Refuse (-221) an event that depends on a bit which does not arrive in time."""
        for entry in range(len(self.entries)):
            if any(part.tables[entry].conditional for part in self.awgs):
                self.sequence(entry)


@dataclass
class AwgPart:
    """What one AWG does in a run. ``line_of_pair`` is the index of each pair's line, -1 for a pair without cable."""

    awg: VirtualAwg
    tables: list[EventTable]
    waveforms: Mapping[int, StoredWaveform]
    line_of_pair: np.ndarray
    _envelopes: dict[bytes, np.ndarray] = field(default_factory=dict)

    def first(self, entry: int) -> int:
        """Return the earliest time of an event, samples of this AWG; the trigger latency when there is none."""
        return int(self.tables[entry].events["time"].min(initial=TRIGGER_LATENCY))

    def envelope(self, waveform: StoredWaveform) -> np.ndarray:
        """Return a waveform in full scales; converted once in a run."""
        found = self._envelopes.get(waveform.key)
        if found is None:
            found = self._envelopes[waveform.key] = waveform.envelope()
        return found

    def played(self, entry: int) -> np.ndarray:
        """Return the events that play a waveform on a cable: no markers, no turns."""
        events = self.tables[entry].events
        plays = (events["oscillator"] < OSCILLATORS) & (events["waveform"] != TURN)
        found: np.ndarray = events[plays & (self.line_of_pair[events["pair"]] >= 0)]
        return found

    def turns(self, entry: int) -> np.ndarray:
        """Return the events that turn an oscillator from their time on."""
        events = self.tables[entry].events
        found: np.ndarray = events[(events["oscillator"] < OSCILLATORS) & (events["waveform"] == TURN)]
        return found

    def bursts(self, entry: int, shift: int, offset: int) -> tuple[np.ndarray, list[StoredWaveform]]:
        """Return the events on the chip's clock, and the waveforms that they count from ``offset``."""
        events = self.played(entry)
        numbers, index = np.unique(events["waveform"], return_inverse=True)
        bursts = np.empty(len(events), BURST)
        bursts["line"] = self.line_of_pair[events["pair"]]
        bursts["start"] = events["time"] + shift
        bursts["envelope"] = index + offset
        bursts["amplitude"] = events["amplitude"]
        bursts["phase"] = events["phase"] + 2 * np.pi * events["frequency"] * (shift / RATE)
        bursts["frequency"] = events["frequency"]
        for turn in self.turns(entry):
            if not turn["condition"]:
                same = (events["pair"] == turn["pair"]) & (events["oscillator"] == turn["oscillator"])
                bursts["phase"][same & (events["time"] >= turn["time"])] += turn["phase"]
        return bursts, [self.waveforms[number] for number in numbers.tolist()]


@dataclass(frozen=True)
class DigitizerPart:
    """What the digitizer does in a run."""

    digitizer: VirtualDigitizer
    tables: list[RecordTable]
    kernels: Mapping[int, Weights]
    mode: Mode

    def first(self, entry: int) -> int:
        """Return the start of the first window; the trigger latency when there is none."""
        return int(self.tables[entry].records["start"].min(initial=TRIGGER_LATENCY))


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
