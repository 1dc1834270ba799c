"""What an AWG8 holds, and what of it a run plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pulsed.simulator.dynamics.sequence import BURST
from pulsed.simulator.instruments.parts import RATE, TRIGGER_LATENCY
from pulsed.simulator.instruments.stored_tables import StoredTable
from pulsed.simulator.instruments.virtual_instrument import ListPlayer

PAIRS, OSCILLATORS, MARKERS = 4, 8, 2
SLOTS = OSCILLATORS + MARKERS
"""Slots of a pair: its oscillators, then its markers."""
TURN = 0xFFFFFFFF
"""In place of a waveform: the oscillator is turned by the event's phase from then on."""
FULL_SCALE = 8191
WAVE_MEMORY, EVENT_MEMORY = 16 << 20, 1 << 20
TABLES = 1 << 16
GRANULARITY, SHORTEST, LONGEST = 8, 16, 1 << 16
BANDWIDTH = 500e6
EVENT = np.dtype(
    [
        ("pair", "u1"), ("oscillator", "u1"), ("condition", "<i2"), ("waveform", "<u4"), ("time", "<i8"),
        ("amplitude", "<f8"), ("phase", "<f8"), ("frequency", "<f8"),
    ]
)  # fmt: skip

TERM = np.dtype([("event", "<u4"), ("field", "<u2"), ("column", "<u2"), ("coefficient", "<f8")])
"""What a value of the list adds to a field of an event, times a coefficient."""
FIELDS = {1: "amplitude", 2: "phase", 3: "frequency"}
"""By the number of a term's field."""
ROUNDED = 1e-6
"""So much beyond 1 an amplitude with values may be, and counts as 1: what sums of products lose."""

SEQUENCE = np.dtype([("id", "<u4"), ("events", "<u4"), ("length", "<i8"), ("name", "S64")])
"""What ``SEQuence:LOAD`` says of each of its sequences, before the events of all."""


@dataclass(frozen=True)
class StoredWaveform(StoredTable):
    """I and Q codes, shape (samples, 2), and their content hash."""

    codes: np.ndarray
    key: bytes

    def envelope(self) -> np.ndarray:
        """Return the waveform in full scales, complex128."""
        pairs = self.codes.astype(np.float64) / FULL_SCALE
        return pairs.view(np.complex128)[:, 0]


@dataclass(frozen=True)
class EventTable(StoredTable):
    """Events in order of pair, oscillator and time, and the samples they last."""

    events: np.ndarray
    length: int
    conditional: bool
    terms: np.ndarray = field(default_factory=lambda: np.empty(0, TERM))
    """Of the events as they are here."""

    @property
    def columns(self) -> int:
        """How many values an entry of the list has to have."""
        return int(self.terms["column"].max()) + 1 if len(self.terms) else 0

    def moved(self, name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the events with terms of a field, and it in them with ``values`` (rows, columns): (rows, events)."""
        terms = self.terms[[FIELDS[number] == name for number in self.terms["field"].tolist()]]
        events, place = np.unique(terms["event"], return_inverse=True)
        gains = np.zeros((len(events), values.shape[1]))
        np.add.at(gains, (place, terms["column"]), terms["coefficient"])
        return events, self.events[name][events] + values @ gains.T

    def bound(self, values: np.ndarray) -> np.ndarray:
        """Return the events of each row of ``values`` (rows, columns): EVENT (rows, events)."""
        events = np.repeat(self.events[None], len(values), axis=0)
        for name in FIELDS.values():
            which, moved = self.moved(name, values)
            events[name][:, which] = moved
        # A negative amplitude is half a turn.
        events["phase"] = np.where(events["amplitude"] < 0, events["phase"] + np.pi, events["phase"]) % (2 * np.pi)
        events["amplitude"] = np.minimum(np.abs(events["amplitude"]), 1.0)
        return events


def marks(events: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return (marker, start, stop, condition) of events of one pair's markers, in order of marker and time."""
    return [
        (int(row["oscillator"]) - OSCILLATORS + 1, int(row["time"]), int(row["time"]) + int(row["waveform"]),
         int(row["condition"]))
        for row in events
    ]  # fmt: skip


@dataclass
class AwgPart:
    """What one AWG does in a run. ``line_of_pair`` is the index of each pair's line, -1 for a pair without cable."""

    player: ListPlayer
    tables: list[EventTable]
    waveforms: Mapping[int, StoredWaveform]
    line_of_pair: np.ndarray
    values: np.ndarray
    """Of each entry: (entries, columns)."""
    _envelopes: dict[bytes, np.ndarray] = field(default_factory=dict)
    _bound: tuple[int, np.ndarray] = (-1, np.empty(0, EVENT))
    """The events of the entry that was bound last."""

    def events(self, entry: int) -> np.ndarray:
        """Return the events of an entry, with its values."""
        table = self.tables[entry]
        if not len(table.terms):
            return table.events
        number, events = self._bound
        if number != entry:
            events = table.bound(self.values[entry : entry + 1])[0]
            self._bound = entry, events
        return events

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
        events = self.events(entry)
        plays = (events["oscillator"] < OSCILLATORS) & (events["waveform"] != TURN)
        found: np.ndarray = events[plays & (self.line_of_pair[events["pair"]] >= 0)]
        return found

    def turns(self, entry: int) -> np.ndarray:
        """Return the events that turn an oscillator from their time on."""
        events = self.events(entry)
        found: np.ndarray = events[(events["oscillator"] < OSCILLATORS) & (events["waveform"] == TURN)]
        return found

    def conditional(self, entry: int) -> bool:
        """Whether something waits for a bit."""
        return self.tables[entry].conditional

    def conditions(self, entry: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return (condition, time) of all events that wait, markers and those on no cable too, and of each burst."""
        events, every = self.played(entry), self.tables[entry].events
        names = ["condition", "time"]
        return every[every["condition"] != 0][names].tolist(), events[names].tolist()

    def conditional_turns(self, entry: int) -> list[tuple[int, int, float, np.ndarray]]:
        """Return condition, time and phase of each turn, and which bursts come after it."""
        events, found = self.played(entry), []
        for turn in self.turns(entry):
            same = (events["pair"] == turn["pair"]) & (events["oscillator"] == turn["oscillator"])
            after = np.flatnonzero(same & (events["time"] >= turn["time"]))
            found.append((int(turn["condition"]), int(turn["time"]), float(turn["phase"]), after))
        return found

    def marks(self, entry: int) -> list[tuple[int, int, int, int, int]]:
        """Return pair, marker, start, stop and condition of each time that a marker is up."""
        events = self.tables[entry].events
        found = []
        for pair in range(1, PAIRS + 1):
            mine = events[(events["pair"] == pair) & (events["oscillator"] >= OSCILLATORS)]
            found += [(pair, *mark) for mark in marks(mine)]
        return found

    def bursts(self, entry: int, shift: int, offset: int) -> tuple[np.ndarray, list[np.ndarray], list[bytes]]:
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
        waveforms = [self.waveforms[number] for number in numbers.tolist()]
        return bursts, [self.envelope(waveform) for waveform in waveforms], [waveform.key for waveform in waveforms]
