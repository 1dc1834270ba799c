"""What one instrument has to play or record in a chunk: tables of events, envelopes, list entries.

Times are samples of the instrument's clock since its sample 0 of the shot, as the Program has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.compiler.program import Chunk, PortSettings, bind, changes

Rows = npt.NDArray[np.void]

MODES = ("integrate", "raw", "average")
"""What a digitizer may return: integrated values of each shot, records of each shot, records averaged."""

PLAYED = np.dtype(
    [
        ("entry", "<i4"), ("slot", "<u2"), ("pair", "u1"), ("oscillator", "u1"), ("envelope", "<i4"),
        ("time", "<i8"), ("amplitude", "<f8"), ("phase", "<f8"), ("frequency", "<f8"), ("condition", "<i2"),
    ]
)  # fmt: skip
"""Rows of :attr:`Playback.events`, sorted by entry. Envelope -1: nothing is played, the oscillator is turned by the
phase from then on. Condition k: in shots whose bit k is 1; -k: whose bit k is 0; 0: always. Bits count from 1."""

RECORDED = np.dtype(
    [
        ("entry", "<i4"), ("slot", "<u2"), ("qubit", "<u2"), ("memory_slot", "<i4"), ("window", "<u4"),
        ("kernel", "<i4"), ("time", "<i8"), ("length", "<i8"), ("frequency", "<f8"),
        ("feedback", "<u2"), ("angle", "<f4"), ("threshold", "<f4"), ("order", "<i4"),
    ]
)  # fmt: skip
"""Rows of :attr:`Recording.rows`, sorted by entry and time; windows of an entry are numbered in order of time.
Feedback: number of the bit that goes to the AWGs, 1 where Re(v exp(-i angle)) > threshold, or 0.
Order: place in the program, of those on all digitizers: what is measured into one memory slot last has the highest."""

DECIDED = np.dtype([("entry", "<i4"), ("number", "<u2"), ("term", "<i2")])
"""Rows of :attr:`Recording.decisions`, sorted by entry and number: bit ``number`` of the entry is made of others, and 1
in shots where each of its terms holds: that bit k is 1 (k), or 0 (-k)."""

LIST = np.dtype([("length", "<i8"), ("shots", "<i8"), ("period", "<i8"), ("bindings", "<i8")])
"""One row per entry: length of the table, shots, samples from shot to shot, and how many times it is in the list, one
after the other: 1, or once for each binding."""


@dataclass(frozen=True)
class EventSweep:
    """What the bindings of one entry change in its events."""

    parameters: Rows
    """:data:`~pulsed.compiler.program.PARAMETER`; they count the events of the entry."""
    values: npt.NDArray[np.float64]
    """(bindings, columns)."""


@dataclass(frozen=True)
class Envelopes:
    """The table of envelopes of a chunk, read when needed."""

    chunk: Chunk

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each."""
        return np.array([ref.shape[0] for ref in self.chunk.head.envelopes], dtype=np.int64)

    def name(self, row: int) -> str:
        """Return the content hash, hexadecimal."""
        return self.chunk.head.keys[row].hex()

    def read(self, row: int) -> npt.NDArray[Any]:
        """Return the samples: complex128, full scale 1."""
        return self.chunk.envelope(row)


@dataclass(frozen=True)
class Playback:
    """What one AWG plays."""

    events: Rows
    """:data:`PLAYED`."""
    entries: Rows
    """:data:`LIST`."""
    envelopes: Envelopes
    channels: tuple[str, ...]
    """By slot, for messages: ``"d0"``."""
    programs: tuple[str, ...]
    """By entry, for messages."""
    pairs: Mapping[int, PortSettings]
    los: Mapping[int, float] = field(default_factory=dict)
    """Hz of the LO inside of the instrument, by pair, where that is what the pair is mixed with."""
    sweeps: Mapping[int, EventSweep] = field(default_factory=dict)
    """By entry, of those with bindings that change what this AWG plays."""

    @property
    def tables(self) -> tuple[npt.NDArray[Any], ...]:
        """All its rows."""
        parameters = (sweep.parameters for sweep in self.sweeps.values())
        return self.events, self.entries, *parameters, *(sweep.values for sweep in self.sweeps.values())

    def unrolled(self) -> Playback:
        """Return the same with every binding an entry of its own."""
        if (self.entries["bindings"] == 1).all():
            return self
        own = split_entries(self.events, self.events["entry"], len(self.entries))
        pieces: list[Rows] = []
        programs: list[str] = []
        for number, (events, row) in enumerate(zip(own, self.entries, strict=True)):
            sweep, first = self.sweeps.get(number), len(programs)
            count = int(row["bindings"])
            plain = np.repeat(events[None], count, axis=0)
            bound = plain if sweep is None else bind(events, sweep.parameters, sweep.values)
            bound["entry"] = np.arange(first, first + count)[:, None]
            pieces.append(bound.reshape(-1))
            programs += [self.programs[number]] * count
        entries = np.repeat(self.entries, self.entries["bindings"])
        entries["bindings"] = 1
        return replace(self, events=np.concatenate(pieces), entries=entries, programs=tuple(programs), sweeps={})

    def at_most(self) -> Playback | None:
        """Return one entry for all bindings of each, with events as loud as they are in the loudest binding of each.

        What limits it keeps, all bindings keep. None where a frequency is bound: then what adds up is another thing.
        """
        if not self.sweeps:
            return self
        events, entries = self.events.copy(), self.entries.copy()
        entries["bindings"] = 1
        own = split_entries(events, events["entry"], len(entries))
        for number, sweep in self.sweeps.items():
            change = changes(len(own[number]), sweep.parameters, sweep.values)
            if not change.keys() <= {"amplitude", "phase"}:
                return None
            for name, added in change.items():
                own[number][name] = np.abs(own[number][name] + added).max(axis=0)
        return replace(self, events=events, entries=entries, sweeps={})


@dataclass(frozen=True)
class Recording:
    """What one digitizer records; ``mode`` is one of :data:`MODES`."""

    rows: Rows
    """:data:`RECORDED`."""
    entries: Rows
    """:data:`LIST`."""
    envelopes: Envelopes
    """Of which some are kernels."""
    channels: tuple[str, ...]
    programs: tuple[str, ...]
    mode: str
    clock: float
    """Hz."""
    decisions: Rows = field(default_factory=lambda: np.empty(0, DECIDED))
    """:data:`DECIDED`."""
    pairs: tuple[int, ...] = ()
    """Number of the input, by slot, of an instrument with several; 0 for a slot that is another's."""
    los: Mapping[int, float] = field(default_factory=dict)
    """Hz of the LO inside of the instrument, by input, where that is what the input is mixed with."""

    @property
    def tables(self) -> tuple[Rows, ...]:
        """All its rows."""
        return self.rows, self.entries, self.decisions

    @cached_property
    def _bounds(self) -> list[int]:
        """Where the rows of each entry begin, and the last one's end."""
        bounds: list[int] = np.searchsorted(self.rows["entry"], np.arange(len(self.entries) + 1)).tolist()
        return bounds

    def entry(self, index: int) -> Rows:
        """Return the rows of one entry."""
        return self.rows[self._bounds[index] : self._bounds[index + 1]]


def split_entries(rows: Rows, entry: npt.NDArray[np.int32], count: int) -> list[Rows]:
    """Return the ``rows`` of each of ``count`` entries; ``entry`` (ascending) says which each row belongs to."""
    bounds = np.searchsorted(entry, np.arange(count + 1))
    return [rows[start:stop] for start, stop in pairwise(bounds)]


@dataclass(frozen=True)
class Transceived:
    """What a box with outputs and inputs plays and records; both have the same entries, but for their lengths."""

    playback: Playback
    recording: Recording

    @property
    def tables(self) -> tuple[npt.NDArray[Any], ...]:
        """All their rows."""
        return self.playback.tables + self.recording.tables


PlayerWork: TypeAlias = Playback | Recording | Transceived
"""What one instrument is given."""


@dataclass(frozen=True)
class InstrumentPrograms:
    """What each instrument has to do in a chunk, by name; a box with outputs and inputs is in both."""

    playbacks: Mapping[str, Playback]
    recordings: Mapping[str, Recording]

    def keep(self) -> None:
        """Have nobody change it any longer: it stays what it was checked and uploaded as."""
        works: list[Playback | Recording] = [*self.playbacks.values(), *self.recordings.values()]
        for work in works:
            for rows in work.tables:
                rows.flags.writeable = False

    @cached_property
    def work(self) -> dict[str, PlayerWork]:
        """What each instrument is given: AWGs and boxes, then digitizers."""
        work: dict[str, PlayerWork] = dict(self.playbacks)
        for name, recording in self.recordings.items():
            playback = self.playbacks.get(name)
            work[name] = recording if playback is None else Transceived(playback, recording)
        return work


def is_kept(work: PlayerWork) -> bool:
    """Whether nobody can change what an instrument has to do."""
    return not any(rows.flags.writeable for rows in work.tables)


__getattr__ = old_names(__name__)
