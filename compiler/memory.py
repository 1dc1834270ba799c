"""What programs take of the instruments: memory, data to bring back, and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pulsed.compiler.envelopes import EnvelopeTable
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
    """What one program takes, for each binding and shot."""

    shares: npt.NDArray[np.float64]
    """Parts of a chunk: events of each instrument; and of each shot, data and time."""
    used: npt.NDArray[np.bool_]
    """Which waveforms each instrument holds: (instruments, rows of the envelope table)."""


class Memory:
    """The memories of one rack, and what lowered programs take of them."""

    def __init__(self, wiring: Wiring) -> None:
        described = wiring.device.instruments
        self.names = tuple(described)
        self._dt = wiring.dt
        of_port = {name: self.names.index(port.instrument) for name, port in wiring.device.ports.items()}
        self._instrument = np.array([of_port[slot.port] for slot in wiring.slots], dtype=np.int64)
        none = np.iinfo(np.int64).max
        self._most_events = np.array([item.event_memory or none for item in described.values()])
        self._most_samples = np.array([item.waveform_memory or none for item in described.values()])

    def nothing(self, table: EnvelopeTable) -> npt.NDArray[np.bool_]:
        """Return that no waveform is held."""
        return np.zeros((len(self.names), len(table.rows)), dtype=bool)

    def of(self, lowered: Lowered, name: str, table: EnvelopeTable, settings: Settings) -> Load:
        """Return the load of one program.

        Raises :class:`LoweringError` with the numbers when it alone is more than an instrument holds.
        """
        instrument = self._instrument[lowered.events["slot"]]
        used = self.nothing(table)
        used[instrument, lowered.events["envelope"]] = True
        events = np.bincount(instrument, minlength=len(self.names))
        if not self.fits(used, table) or (events > self._most_events).any():
            raise self._never(events, self._samples(used, table), name)
        acquisitions = lowered.acquisitions
        size = 4.0 * acquisitions["length"].sum() if settings.meas_level == 0 else 8.0 * len(acquisitions)
        seconds = lowered.duration * self._dt + float(settings.rep_delay)
        data = (size * settings.shots / MAX_BYTES, seconds * settings.shots / MAX_SECONDS)
        return Load(np.concatenate((events / self._most_events, data)), used)

    def fits(self, used: npt.NDArray[np.bool_], table: EnvelopeTable) -> bool:
        """Whether the instruments can hold these waveforms."""
        return bool((self._samples(used, table) <= self._most_samples).all())

    def _samples(self, used: npt.NDArray[np.bool_], table: EnvelopeTable) -> npt.NDArray[np.int64]:
        samples: npt.NDArray[np.int64] = used @ table.lengths
        return samples

    def _never(self, events: npt.NDArray[np.int64], samples: npt.NDArray[np.int64], name: str) -> LoweringError:
        taken = {"events": (events, self._most_events), "samples": (samples, self._most_samples)}
        what, i = next((what, int(np.argmax(a > b))) for what, (a, b) in taken.items() if (a > b).any())
        found, most = taken[what]
        return LoweringError(
            f"program {name} can never fit the memory of the instrument",
            subject=f"instrument {self.names[i]}",
            value=f"{found[i]} {what}",
            legal=f"at most {most[i]} {what}",
        )
