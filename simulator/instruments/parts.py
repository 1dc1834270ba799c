"""What an instrument has to give of itself so that its outputs and inputs can be those of the simulated rack.

The conductor knows no model of instrument: whatever is a :class:`Playing` or a :class:`Recorded` one is played.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np

from pulsed.simulator.dynamics.sequence import AcquiredData, ClassifiedBit, Mode, Window
from pulsed.simulator.instruments.virtual_instrument import ListPlayer

TRIGGER_LATENCY = 24
"""Samples from a shot of the leader to the same shot of its followers."""
RATE = 1e9
"""Samples per second of the chip's clock, and of every AWG and digitizer here."""


class Carrier(Protocol):
    """A local oscillator, inside of an instrument or an instrument of its own."""

    @property
    def frequency(self) -> float:
        """Hz."""

    @property
    def on(self) -> bool:
        """Whether it is there."""


class Output(Protocol):
    """How one output is set: whether it is on, and what is done to (I, Q) before the converter."""

    on: bool
    correction: tuple[float, float, float, float]
    offset: tuple[float, float]


class PlayedPart(Protocol):
    """What one instrument plays in a run, entry by entry of the list. Times are samples of its own clock."""

    @property
    def player(self) -> ListPlayer:
        """The instrument."""

    def first(self, entry: int) -> int:
        """Return the earliest time of an event; the trigger latency when there is none."""

    def bursts(self, entry: int, shift: int, offset: int) -> tuple[np.ndarray, list[np.ndarray], list[bytes]]:
        """Return BURST rows on the chip's clock, where its sample 0 is sample ``shift``; envelopes and their hashes.

        The rows count the envelopes from ``offset``.
        """

    def conditional(self, entry: int) -> bool:
        """Whether something waits for a bit."""

    def conditions(self, entry: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return (condition, time) of all that waits for a bit, and of each burst (condition 0: of none)."""

    def conditional_turns(self, entry: int) -> list[tuple[int, int, float, np.ndarray]]:
        """Return condition, time and phase of each turn of an oscillator, and which bursts come after it."""

    def marks(self, entry: int) -> list[tuple[int, int, int, int, int]]:
        """Return pair, marker, start, stop and condition of each time that a marker is up."""


class RecordedPart(Protocol):
    """What one instrument records in a run."""

    @property
    def player(self) -> ListPlayer:
        """The instrument."""

    @property
    def mode(self) -> Mode:
        """What it wants to have."""

    def first(self, entry: int) -> int:
        """Return the start of the first window; the trigger latency when there is none."""

    def windows(self, entry: int, shift: int) -> tuple[Window, ...]:
        """Return the windows on the chip's clock, where sample 0 of the instrument is sample ``shift``."""

    def sent(self, entry: int) -> list[tuple[int, int, ClassifiedBit]]:
        """Return number, time from which it counts, and classification of each bit that is told to the AWGs."""

    def decisions(self, entry: int) -> Mapping[int, tuple[int, ...]]:
        """Return the terms of each bit that is made of others, by its number."""

    def deliver(self, entry: int, outcome: AcquiredData) -> None:
        """Take the data of an entry."""


@runtime_checkable
class Playing(Protocol):
    """An instrument with outputs."""

    @property
    def pair_numbers(self) -> tuple[int, ...]:
        """Of its outputs."""

    def output(self, pair: int) -> Output:
        """Return how a pair is set now."""

    def carrier(self, pair: int) -> Carrier | None:
        """Return the LO inside that mixes a pair; None where it is mixed outside."""

    def played(self, lines: Mapping[int, int]) -> PlayedPart:
        """Return what it plays; ``lines``: index of the line of each pair that has a cable."""


@runtime_checkable
class Acquiring(Protocol):
    """An instrument with inputs."""

    @property
    def input_numbers(self) -> tuple[int, ...]:
        """Of its inputs."""

    def input_carrier(self, number: int) -> Carrier | None:
        """Return the LO inside that an input is mixed down with; None where it is mixed outside."""

    def recorded(self) -> RecordedPart | None:
        """Return what it records; None when nothing."""
