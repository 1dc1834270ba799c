"""What programs take of the instruments: memory, data to bring back, and time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed import old_names
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.program import ChunkSettings
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import LoweringError
from pulsed.model.result_size import program_bytes

__getattr__ = old_names(__name__)

MAX_BYTES = 256 * 2**20
"""Bytes that one chunk brings back from its instruments."""
MAX_RESULT = 4 * 2**20
"""Bytes of the results of one chunk: a large result is kept and sent chunk by chunk."""
MAX_SECONDS = 30.0
"""Wall time of one chunk: what is lost, and played again, when an instrument dies."""


class Load(NamedTuple):
    """What programs take, for each binding and shot."""

    shares: npt.NDArray[np.float64]
    """Parts of a chunk: events of each memory; of all shots, data, results and time; and of programs."""
    used: npt.NDArray[np.bool_]
    """Which waveforms each memory holds: (memories, rows of the envelope table)."""

    @property
    def most(self) -> float:
        """The largest share."""
        return float(self.shares.max())

    def times(self, count: int) -> Load:
        """Return the load of ``count`` bindings."""
        return self if count == 1 else Load(self.shares * count, self.used)


@njit(cache=True)
def _taken(events, memories, lengths, most_events, most_samples):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return events and samples that each memory holds, its share of events, which waveforms, and if all fits.

    ``memories``: of each slot, (slots, memories of a slot), -1 for none. The shares have room for four more.
    """
    count = most_events.shape[0]
    held, samples = np.zeros(count, np.int64), np.zeros(count, np.int64)
    used = np.zeros((count, lengths.shape[0]), np.bool_)
    for i in range(events.shape[0]):
        row = events[i].envelope
        for j in range(memories.shape[1]):
            k = memories[events[i].slot, j]
            if k < 0:
                continue
            held[k] += 1
            if row >= 0 and not used[k, row]:
                used[k, row] = True
                samples[k] += lengths[row]
    shares, fits = np.zeros(count + 4), True
    for k in range(count):
        shares[k] = held[k] / most_events[k]
        fits = fits and held[k] <= most_events[k] and samples[k] <= most_samples[k]
    return held, samples, shares, used, fits


@njit(cache=True)
def _join(held, share, used, more, count, lengths, most_samples):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return shares and waveforms of both loads together, the second ``count`` times, and if that fits."""
    shares, fits = held + count * share, True
    both = more.copy()
    for s in range(shares.shape[0]):
        fits = fits and shares[s] <= 1
    for k in range(used.shape[0]):
        # The first load may be from before the table had its last rows.
        for row in range(used.shape[1]):
            both[k, row] |= used[k, row]
        samples = 0
        for row in range(both.shape[1]):
            samples += lengths[row] if both[k, row] else 0
        fits = fits and samples <= most_samples[k]
    return shares, both, fits


def _of_oscillators(described: InstrumentDescription) -> tuple[int | None, int | None]:
    """Return events and samples that each oscillator of an instrument holds."""
    return described.oscillator_event_memory, described.oscillator_waveform_memory


class MemoryBudget:
    """The memories of one rack, and what lowered programs take of them.

    An instrument has one for all that it plays; where its oscillators have their own, each of those is one more.
    """

    def __init__(self, channel_map: ChannelMap) -> None:
        described = channel_map.device.instruments
        self.names = tuple(described)
        self._dt = channel_map.dt
        of_port = {name: self.names.index(port.instrument) for name, port in channel_map.device.ports.items()}
        self._instrument = np.array([of_port[slot.port] for slot in channel_map.slots], dtype=np.int64)
        self._raw_only = np.array([item.raw_only for item in described.values()], dtype=bool)
        limits = [item.record_memory for item in described.values() if item.record_memory is not None]
        self._most_bytes = min([MAX_BYTES, *limits])
        self._most_programs = min([item.program_memory or np.inf for item in described.values()])
        none = np.iinfo(np.int64).max
        most = [(item.event_memory or none, item.waveform_memory or none) for item in described.values()]
        self._memories = self._instrument[:, None].copy()
        own = [
            slot
            for slot, k in enumerate(self._instrument.tolist())
            if _of_oscillators(described[self.names[k]]) != (None, None)
        ]
        if own:
            self._memories = np.hstack([self._memories, np.full((len(self._instrument), 1), -1)])
        for slot in own:
            instrument = self.names[self._instrument[slot]]
            self._memories[slot, 1] = len(most)
            events, samples = _of_oscillators(described[instrument])
            most.append((events or none, samples or none))
            self.names += (f"{instrument}, channel {channel_map.slots[slot].channel}",)
        self._most_events, self._most_samples = np.array(most).T.copy()

    def nothing(self) -> Load:
        """Return the load of no programs."""
        return Load(np.zeros(len(self.names) + 4), np.zeros((len(self.names), 0), dtype=bool))

    def of(self, lowered: Lowered, name: str, table: EnvelopeTable, settings: ChunkSettings, memory_slots: int) -> Load:
        """Return the load of one program.

        Raises :class:`LoweringError` with the numbers when it alone is more than an instrument holds.
        """
        events, samples, shares, used, fits = _taken(
            lowered.events, self._memories, table.lengths, self._most_events, self._most_samples
        )
        if not fits:
            raise self._never(events, samples, name)
        size = self._data(lowered, settings)
        seconds = lowered.duration * self._dt + float(settings.rep_delay)
        shares[-4:] = (
            size * settings.shots / self._most_bytes,
            self._results(lowered, settings, memory_slots) / MAX_RESULT,
            seconds * settings.shots / MAX_SECONDS,
            1 / self._most_programs,
        )
        return Load(shares, used)

    def _data(self, lowered: Lowered, settings: ChunkSettings) -> float:
        """Return the bytes of one shot: of records, I and Q as int16, or of integrated values, complex64."""
        acquisitions = lowered.acquisitions
        if settings.meas_level == 0:
            return 4.0 * float(acquisitions["length"].sum())
        if not self._raw_only.any():
            return 8.0 * len(acquisitions)
        instrument = self._instrument[acquisitions["slot"]]
        raw = self._raw_only[instrument]
        # Tones of one window share its record; times count from their block.
        stops = [block.acquisitions[1] for block in lowered.blocks]
        block = np.searchsorted(stops, np.arange(len(acquisitions)), side="right")
        windows = np.unique(
            np.stack([instrument, block, acquisitions["time"], acquisitions["length"]], axis=1)[raw], axis=0
        )
        return 8.0 * np.count_nonzero(~raw) + 4.0 * float(windows[:, 3].sum())

    def _results(self, lowered: Lowered, settings: ChunkSettings, memory_slots: int) -> float:
        """Return the bytes of the results; those of an average do not become less with fewer shots."""
        lengths = lowered.acquisitions["length"] if settings.meas_level == 0 else np.zeros(0)
        levels = any(item.two is not None for item in settings.discriminators.values())
        found = program_bytes(settings, memory_slots, int(lengths.max(initial=0)), levels=levels)
        averaged = settings.spectrum is not None or (settings.meas_level < 2 and settings.meas_return == "avg")
        return min(found, MAX_RESULT) if averaged else found

    def joined(self, held: Load, load: Load, count: int, table: EnvelopeTable) -> Load | None:
        """Return ``held`` and ``count`` times ``load`` in one chunk, or None when that does not fit."""
        shares, used, fits = _join(
            held.shares, load.shares, held.used, load.used, count, table.lengths, self._most_samples
        )
        return Load(shares, used) if fits else None

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
