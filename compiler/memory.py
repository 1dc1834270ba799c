"""What programs take of the instruments: memory, data to bring back, and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pulsed.compiler.flat import EnvelopeTable
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.program import Settings
from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import LoweringError

MAX_BYTES = 256 * 2**20
"""Bytes that one chunk brings back."""
MAX_SECONDS = 30.0
"""Wall time of one chunk: what is lost, and played again, when an instrument dies."""


@dataclass(frozen=True)
class Load:
    """What some programs take: per instrument events and which waveforms, and for each shot bytes and seconds."""

    events: npt.NDArray[np.int64]
    used: npt.NDArray[np.bool_]
    """(instruments, rows of the envelope table)."""
    size: float
    seconds: float

    def plus(self, other: Load, times: int = 1) -> Load:
        """Return the load of both; ``other`` is there with that many bindings."""
        return Load(
            self.events + times * other.events,
            self.used | other.used,
            self.size + times * other.size,
            self.seconds + times * other.seconds,
        )


class Memory:
    """The memories of one rack, and what lowered programs take of them."""

    def __init__(self, wiring: Wiring, table: EnvelopeTable, settings: Settings) -> None:
        described = wiring.device.instruments
        self.names = tuple(described)
        self._table = table
        self._settings = settings
        self._dt = wiring.dt
        of_port = {name: self.names.index(port.instrument) for name, port in wiring.device.ports.items()}
        self._instrument = np.array([of_port[slot.port] for slot in wiring.slots], dtype=np.int64)
        none = np.iinfo(np.int64).max
        self._most_events = np.array([item.event_memory or none for item in described.values()])
        self._most_samples = np.array([item.waveform_memory or none for item in described.values()])

    def empty(self) -> Load:
        """Return the load of nothing."""
        count = len(self.names)
        return Load(np.zeros(count, np.int64), np.zeros((count, len(self._table.rows)), dtype=bool), 0.0, 0.0)

    def of(self, lowered: Lowered) -> Load:
        """Return the load of one program."""
        load = self.empty()
        instrument = self._instrument[lowered.events["slot"]]
        load.used[instrument, lowered.events["envelope"]] = True
        acquisitions = lowered.acquisitions
        size = 4.0 * acquisitions["length"].sum() if self._settings.meas_level == 0 else 8.0 * len(acquisitions)
        seconds = lowered.duration * self._dt + float(self._settings.rep_delay)
        return Load(np.bincount(instrument, minlength=len(self.names)), load.used, float(size), seconds)

    def samples(self, load: Load) -> npt.NDArray[np.int64]:
        """Return the samples of waveform memory that ``load`` takes of each instrument."""
        lengths = np.array([len(row.samples) for row in self._table.rows], dtype=np.int64)
        return load.used @ lengths

    def fits(self, load: Load) -> bool:
        """Whether the instruments can hold ``load``."""
        return bool((load.events <= self._most_events).all() and (self.samples(load) <= self._most_samples).all())

    def check(self, load: Load, name: str) -> None:
        """Raise :class:`LoweringError` with the numbers when one program alone is more than an instrument holds."""
        taken = {"events": (load.events, self._most_events), "samples": (self.samples(load), self._most_samples)}
        for what, (found, most) in taken.items():
            over = np.flatnonzero(found > most)
            if len(over):
                raise LoweringError(
                    f"program {name} can never fit the memory of the instrument",
                    subject=f"instrument {self.names[over[0]]}",
                    value=f"{found[over[0]]} {what}",
                    legal=f"at most {most[over[0]]} {what}",
                )

    def parts(self, load: Load, shots: int) -> float:
        """Return how many chunks' worth ``load`` is, by its events, data and time."""
        shares = (
            float((load.events / self._most_events).max(initial=0.0)),
            load.size * shots / MAX_BYTES,
            load.seconds * shots / MAX_SECONDS,
        )
        return max(shares)
