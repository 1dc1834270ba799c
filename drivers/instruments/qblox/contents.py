"""What the sequencers of a Cluster hold: waveforms, weights, bins and a program, and where in the bins each row is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pulsed.drivers.instruments.qblox.modules import ModuleModel
from pulsed.drivers.programs import Rows

ACQUISITION = "shots"
Place: TypeAlias = tuple[int, int]
"""Slot and sequencer."""


@dataclass(frozen=True)
class Trigger:
    """What a readout sequencer tells the others: a trigger where Re(v exp(i rotation)) > threshold, v its integral."""

    address: int
    rotation: float
    """Degrees, 0 to 360."""
    threshold: float
    """Full scales times samples, as the integral."""


@dataclass(frozen=True)
class SequencerPlan:
    """What one sequencer holds."""

    slot: int
    number: int
    channels: tuple[str, ...]
    connection: str
    """As the maker writes it."""
    records: bool
    waveforms: dict[str, npt.NDArray[np.float64]]
    """In order of their indices."""
    weights: dict[str, npt.NDArray[np.float64]]
    bins: int
    text: str
    name: str
    """Hash of all of it."""
    trigger: Trigger | None = None
    """Where its bits go."""
    counters: tuple[tuple[int, bool], ...] = ()
    """Addresses that it asks for, and whether that is whether no trigger came."""

    @property
    def place(self) -> Place:
        """Slot and sequencer."""
        return self.slot, self.number

    @property
    def title(self) -> str:
        """What it is called in errors."""
        return f"module {self.slot}, sequencer {self.number}, channel {', '.join(self.channels)}"

    def sequence(self) -> dict[str, Any]:
        """Return it as the maker's driver takes it."""

        def table(arrays: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Any]:
            return {name: {"data": data.tolist(), "index": index} for index, (name, data) in enumerate(arrays.items())}

        acquisitions = {ACQUISITION: {"num_bins": self.bins, "index": 0}} if self.bins else {}
        return {
            "waveforms": table(self.waveforms), "weights": table(self.weights), "acquisitions": acquisitions,
            "program": self.text,
        }  # fmt: skip


@dataclass(frozen=True)
class Column:
    """Where the integrals of one row of a recording are: every ``stride``-th bin of a sequencer from ``first`` on."""

    place: Place
    first: int
    stride: int
    factor: complex
    """What the conjugate of what was integrated is multiplied with."""


@dataclass(frozen=True)
class ClusterPlan:
    """What all sequencers hold, and where in their bins the rows of each entry are."""

    sequencers: tuple[SequencerPlan, ...]
    columns: tuple[tuple[Column, ...], ...]
    """By entry, then by row of the recording."""

    @property
    def name(self) -> str:
        """Hash of all of it."""
        return hashlib.blake2b("".join(one.name for one in self.sequencers).encode(), digest_size=16).hexdigest()


@dataclass
class SequencerDraft:
    """A sequencer in the making."""

    slot: int
    model: ModuleModel
    output: int = 0
    input: int = 0
    channels: list[str] = field(default_factory=list)
    events: Rows | None = None
    """What it plays."""
    numbers: npt.NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    """Rows of the recording that it integrates."""
