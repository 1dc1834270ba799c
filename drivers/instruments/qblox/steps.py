"""What a sequencer does, as data: steps of a shot in order of time, entries of shots, sweeps of them. Times are ns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

LEAD = 4
"""ns from where the oscillator has phase 0 to sample 0 of the shot: the shortest wait of an instruction."""
MIN_WAIT, MAX_WAIT = 4, 65535
"""ns that one instruction can wait."""
FULL_GAIN = 32767
TURN = 10**9
"""Units of phase in a turn."""


class WaveformStep(NamedTuple):
    """A pair of waveforms, by their indices, from ``time`` on: ns since sample 0."""

    time: int
    i: int
    q: int
    gain: int
    """Of :data:`FULL_GAIN`, for both paths."""
    phase: int
    """Of the oscillator's offset, in 1 / :data:`TURN` turns."""
    frequency: int
    """Of the oscillator, quarters of a Hz."""
    channel: str = ""
    """For people."""

    @property
    def begin(self) -> int:
        """When its first instruction is carried out."""
        return self.time

    @property
    def duration(self) -> int:
        """The least from there to the next step."""
        return MIN_WAIT


class IntegralStep(NamedTuple):
    """A weighed integral into the next bin of an acquisition. Weights by their indices, for I and Q."""

    time: int
    acquisition: int
    i: int
    q: int
    frequency: int
    channel: str = ""
    phase: int | None = None
    """Of the oscillator's offset; None: as the step before it has left it."""

    @property
    def begin(self) -> int:
        """When its first instruction is carried out."""
        return self.time

    @property
    def duration(self) -> int:
        """The least from there to the next step."""
        return MIN_WAIT


@dataclass(frozen=True)
class Predicate:
    """What is asked of the counters of triggers: those of ``mask`` (bit 0: address 1) under an ``operator``."""

    mask: int
    operator: int
    """0 any, 1 none, 2 all, 3 not all, 4 an odd number, 5 an even number of them."""


@dataclass(frozen=True)
class ChoiceStep:
    """One of several pulses at ``time``, or none, as the counters of triggers say; the predicates exclude each other.

    The processor skips nothing: where a condition does not hold, each instruction under it waits for 4 ns instead. So
    what is chosen from takes the same time in all cases: waits before and after the pulse make up for the others.
    """

    time: int
    pulses: tuple[tuple[Predicate, WaveformStep], ...]
    silent: Predicate | None = None
    """When nothing is played; None for a single pulse, and where one of the pulses always is."""

    @property
    def frequency(self) -> int:
        """Of the oscillator, quarters of a Hz."""
        return self.pulses[0][1].frequency

    @property
    def blocks(self) -> int:
        """How many conditions there are."""
        return len(self.pulses) + (self.silent is not None)

    @property
    def begin(self) -> int:
        """When the first condition is asked for."""
        return self.time - 2 * MIN_WAIT * (self.blocks - 1)

    @property
    def duration(self) -> int:
        """From there until it is over."""
        return self.time - self.begin + max(MIN_WAIT, 2 * MIN_WAIT * (self.blocks - 1))


@dataclass(frozen=True)
class ResetStep:
    """All counters of triggers are set to 0."""

    time: int
    frequency: int

    @property
    def begin(self) -> int:
        """When its first instruction is carried out."""
        return self.time

    @property
    def duration(self) -> int:
        """The least from there to the next step."""
        return MIN_WAIT


Step: TypeAlias = WaveformStep | IntegralStep | ChoiceStep | ResetStep


@dataclass(frozen=True)
class Growth:
    """By how much a step grows from point to point of a sweep, in the units of the step."""

    time: int = 0
    gain: float = 0.0
    phase: int = 0
    frequency: int = 0


CONSTANT = Growth()


@dataclass(frozen=True)
class SequencerEntry:
    """What is done in each of ``shots`` shots, ``period`` ns apart; steps in order of time.

    With ``points`` it is done for so many points of a sweep, of which each step has its ``growth``.
    """

    steps: Sequence[Step]
    shots: int
    period: int
    points: int = 1
    growth: Sequence[Growth] = ()
    """Of each step."""
    longer: int = 0
    """By how much the period grows, ns."""
