"""Which bursts act together, and which qubits share a state.

A *segment* is a stretch of time in which bursts overlap on one transmon or on a coupled pair. Pairs are joined only by
a tone that drives coupled dynamics (cross resonance); crosstalk adds a burst to the segments of a qubit that feels it.
What turns a qubit by less than ``NEGLIGIBLE`` (infidelity below 5e-6) is left out.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip import Chip

NEGLIGIBLE = 5e-3
"""Rotation (rad) below which crosstalk of a burst is left out."""

COUPLED = 2e-2
"""Rotation (rad) of the neighbour, through the exchange coupling, from which a tone drives the pair."""


@dataclass(frozen=True)
class Reach:
    """What one burst acts on: a transmon or a pair, and qubits that feel it by crosstalk."""

    main: tuple[int, ...]
    crosstalk: tuple[int, ...]


def _rotation(rate: float, envelope: NDArray[np.complex128], detuning: float) -> float:
    """Return an upper estimate of the rotation (rad) of a qubit: resonant part of the spectrum, or Stark phase.

    Args:
        rate: Rabi frequency at envelope 1 (Hz).
        envelope: samples at 1 ns.
        detuning: qubit minus carrier (Hz).

    """
    n = np.arange(len(envelope))
    turned = 2 * math.pi * rate * 1e-9 * abs(np.dot(envelope, np.exp(2e-9j * np.pi * detuning * n)))
    energy = float(np.vdot(envelope, envelope).real) * 1e-9
    stark = math.pi * rate**2 * energy / max(abs(detuning), rate)
    return max(float(turned), stark)


def reach(
    chip: Chip, qubit: int, envelope: NDArray[np.complex128], carrier: float, rates: NDArray[np.float64]
) -> Reach:
    """Return what a burst on ``qubit``'s line acts on.

    Args:
        chip: the chip.
        qubit: the qubit that the line reaches.
        envelope: samples times amplitude, full scales.
        carrier: radio frequency of the burst (Hz).
        rates: (qubits,) Rabi frequency of each qubit at full scale of this line, crosstalk included (Hz).

    """
    partner, strongest = None, COUPLED
    for coupling in chip.couplings:
        if qubit not in coupling.qubits:
            continue
        other = coupling.qubits[0] if coupling.qubits[1] == qubit else coupling.qubits[1]
        split = abs(chip.qubits[qubit].frequency - chip.qubits[other].frequency)
        rate = float(rates[qubit]) * min(1.0, chip.exchange(coupling) / max(split, 1.0))
        n = np.arange(len(envelope))
        offset = chip.qubits[other].frequency - carrier
        angle = 2e-9 * math.pi * rate * abs(np.dot(envelope, np.exp(2e-9j * np.pi * offset * n)))
        if angle > strongest:
            partner, strongest = other, float(angle)
    main = (qubit,) if partner is None else (min(qubit, partner), max(qubit, partner))
    felt = [
        q
        for q in range(len(chip.qubits))
        if q not in main
        and rates[q] > 0
        and _rotation(float(rates[q]), envelope, chip.qubits[q].frequency - carrier) > NEGLIGIBLE
    ]
    return Reach(main, tuple(felt))


@dataclass
class Segment:
    """Bursts that overlap on ``qubits`` from ``start`` to ``end`` (samples); ``tail`` more ring on."""

    start: int
    end: int
    qubits: tuple[int, ...]
    bursts: list[int] = field(default_factory=list)
    tail: int = 0


Item = tuple[int, int, tuple[int, ...], int]
"""What one burst acts on: first sample, end, qubits, index of the burst."""


def segments(items: Iterable[Item], felt: Iterable[Item], tail: int) -> list[Segment]:
    """Join ``items`` that overlap in time on a qubit, and add to them the crosstalk that is felt meanwhile.

    Crosstalk joins nothing: a burst is cut at the edges of the segments it reaches into, and what is left of it between
    them makes segments of its own, on one transmon each.

    Args:
        items: what drives a transmon or a pair, in any order.
        felt: what crosstalk adds, each on one qubit.
        tail: samples that a burst rings on where nothing follows sooner.

    Returns:
        segments sorted by middle; those on one qubit do not overlap.

    """
    placed: dict[int, list[Segment]] = {}
    for start, end, qubits, burst in sorted(items):
        joined = Segment(start, end, qubits, [burst], tail)
        grown = True
        while grown:
            grown = False
            for q in joined.qubits:
                stack = placed.setdefault(q, [])
                while stack and stack[-1].end > joined.start:
                    other = stack[-1]
                    for p in other.qubits:
                        placed[p].remove(other)
                    joined.start, joined.end = min(joined.start, other.start), max(joined.end, other.end)
                    joined.qubits = tuple(sorted({*joined.qubits, *other.qubits}))
                    joined.bursts = other.bursts + [b for b in joined.bursts if b not in other.bursts]
                    grown = True
        for q in joined.qubits:
            placed.setdefault(q, []).append(joined)
    for stack in placed.values():
        for current, following in pairwise(stack):
            current.tail = min(current.tail, following.start - current.end)
    unique = {id(s): s for stack in placed.values() for s in stack}
    out = [*unique.values(), *_between(placed, felt)]
    return sorted(out, key=lambda s: (s.start + s.end + s.tail, s.start, s.qubits))


def _between(placed: dict[int, list[Segment]], felt: Iterable[Item]) -> list[Segment]:
    """Add crosstalk to the segments it reaches into; return segments for what is left, overlapping pieces joined."""
    out: list[Segment] = []
    last: dict[int, Segment] = {}
    for start, end, (q,), burst in _pieces(placed, felt):
        current = last.get(q)
        if current is not None and start < current.end:
            current.end = max(current.end, end)
            current.bursts.append(burst)
        else:
            last[q] = Segment(start, end, (q,), [burst])
            out.append(last[q])
    return out


def _pieces(placed: dict[int, list[Segment]], felt: Iterable[Item]) -> list[Item]:
    pieces: list[Item] = []
    for begin, end, qubits, burst in felt:
        start = begin
        stack = placed.get(qubits[0], [])
        first = bisect_right(stack, start, key=lambda s: s.end + s.tail)
        for segment in stack[first:]:
            if segment.start >= end:
                break
            if burst not in segment.bursts:
                segment.bursts.append(burst)
            if start < segment.start:
                pieces.append((start, segment.start, qubits, burst))
            start = segment.end + segment.tail
        if start < end:
            pieces.append((start, end, qubits, burst))
    return sorted(pieces)


def union(members: Sequence[Hashable], links: Iterable[tuple[Hashable, Hashable]]) -> list[list[Hashable]]:
    """Return the classes of ``members`` under ``links`` (union-find), each in the order of ``members``."""
    parent = {m: m for m in members}

    def find(x: Hashable) -> Hashable:
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for a, b in links:
        parent[find(b)] = find(a)
    classes: dict[Hashable, list[Hashable]] = {}
    for m in members:
        classes.setdefault(find(m), []).append(m)
    return list(classes.values())
