"""Kept results: populations of sequences that have been played before, by content, so that a second run only draws."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.dynamics.report import ClusterReport
from pulsed.simulator.dynamics.sequence import PulseSequence
from pulsed.simulator.engine.plan import SequencePlan
from pulsed.simulator.engine.steady_state import InitialPopulations

KEPT = 32 << 20
"""Bytes of results that are kept; the populations of five qubits take 8 kB."""


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Result = TypeVar("Result", bound=_Sized)


@dataclass(frozen=True)
class FinalPopulations:
    """What a cluster's only readout finds.

    Attributes:
        joint: (batch, 3**k) populations of the qubits that it measures, one row for each draw of the slow noise.
        report: how they were computed.

    """

    joint: NDArray[np.float64]
    report: ClusterReport

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.joint.nbytes


@dataclass(frozen=True)
class Beginning:
    """What the shots of a sequence begin with: its plan without pulses and measurements, and populations."""

    plan: SequencePlan
    initial: InitialPopulations

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.initial.nbytes


class KeptResults:
    """Results of a chip as it is now, by content; the ones used last stay, up to a number of bytes."""

    def __init__(self, limit: int = KEPT) -> None:
        self._limit = limit
        self.clear()

    def clear(self) -> None:
        """Forget all: the chip has changed."""
        self._results: OrderedDict[tuple[object, ...], Any] = OrderedDict()
        self.nbytes = 0

    def get(self, key: tuple[object, ...]) -> Any:
        """Return the result of ``key`` if it is kept, else None."""
        return self._results.get(key)

    def find(self, key: tuple[object, ...], make: Callable[[], Result]) -> Result:
        """Return the result of ``key``, which ``make`` computes if it is not kept."""
        found: Result | None = self._results.get(key)
        if found is None:
            found = self._results[key] = make()
            self.nbytes += found.nbytes
        self._results.move_to_end(key)
        while self.nbytes > self._limit and len(self._results) > 1:
            self.nbytes -= self._results.popitem(last=False)[1].nbytes
        return found


def content_of(sequence: PulseSequence) -> tuple[int, int]:
    """Return a hash of all that decides what the qubits do: lines, bursts, envelopes, period, what readouts decide."""
    content = hashlib.blake2b(sequence.bursts.tobytes(), digest_size=16)
    for key in sequence.keys:
        content.update(len(key).to_bytes(4) + key)
    content.update(repr((sequence.lines, sequence.period)).encode())
    if sequence.conditions is not None:  # then readouts decide, too
        content.update(sequence.conditions.tobytes())
        content.update(repr(sequence.bits).encode())
        for turn in sequence.turns:
            content.update(repr((turn.condition, turn.phase)).encode() + turn.bursts.tobytes())
        for window in sequence.windows:
            content.update(repr((window.start, window.length, window.section)).encode())
            for kernel in window.kernels:
                content.update(repr(kernel.frequency).encode() + kernel.weights.tobytes())
    digest = content.digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
