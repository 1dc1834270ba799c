"""Which bursts act together, and which qubits share a state.

A *segment* is a stretch of time in which bursts overlap on one transmon or on a coupled pair. Pairs are joined only by
a tone that drives coupled dynamics (cross resonance); pairs that overlap on one transmon make a segment of three. A
larger one is cut where the bursts that make it so begin or end. Crosstalk adds a burst to the segments of each qubit
that it affects. A rotation of a qubit by less than ``NEGLIGIBLE`` (infidelity below 5e-6) is left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip

MOST_JOINT = 3
"""Transmons that one pulse may couple: 27 levels."""

NEGLIGIBLE = 5e-3
"""Rotation (rad) below which crosstalk of a burst is left out."""

COUPLED = 2e-2
"""Rotation (rad) of the neighbour, through the exchange coupling, from which a tone drives the pair."""


@dataclass(frozen=True)
class Reach:
    """What one burst acts on: a transmon or a pair, and qubits that it affects by crosstalk."""

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
class PulseSegment:
    """Bursts that overlap on ``qubits`` from ``start`` to ``end`` (samples); ``tail`` more ring on."""

    start: int
    end: int
    qubits: tuple[int, ...]
    bursts: list[int] = field(default_factory=list)
    tail: int = 0


Item = tuple[int, int, tuple[int, ...], int]
"""What one burst acts on: first sample, end, qubits, index of the burst."""

Begins = Mapping[int, Sequence[int]]
"""When something may begin to act on each qubit: samples, ascending."""


def segments(
    items: Iterable[Item], felt: Iterable[Item], tail: int, begins: Begins | None = None
) -> list[PulseSegment]:
    """Join ``items`` that overlap in time on a qubit, and add to them the crosstalk of the same time.

    Crosstalk joins nothing: a burst is cut at the edges of the segments it reaches into, and what is left of it between
    them makes segments of its own, on one transmon each.

    Args:
        items: what drives a transmon or a pair, in any order.
        felt: what crosstalk adds, each on one qubit.
        tail: samples that a burst rings on where nothing follows sooner.
        begins: of what is not among ``items`` or ``felt`` and would cut a tail short if it were.

    Returns:
        segments sorted by middle; those on one qubit do not overlap.

    """
    placed: dict[int, list[PulseSegment]] = {}
    items = sorted(items)
    for start, end, qubits, burst in items:
        joined = PulseSegment(start, end, qubits, [burst], tail)
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
    for wide in {id(s): s for stack in placed.values() for s in stack if len(s.qubits) > MOST_JOINT}.values():
        pieces = _cut(wide, items)
        for q in wide.qubits:
            at = placed[q].index(wide)
            placed[q][at : at + 1] = [piece for piece in pieces if q in piece.qubits]
    for stack in placed.values():
        for current, following in pairwise(stack):
            current.tail = min(current.tail, following.start - current.end)
    unique = {id(s): s for stack in placed.values() for s in stack}
    if begins:
        for segment in unique.values():
            segment.tail = min(_room(begins.get(q, ()), segment.end, segment.tail) for q in segment.qubits)
    out = [*unique.values(), *_between(placed, felt)]
    return sorted(out, key=lambda s: (s.start + s.end + s.tail, s.start, s.qubits))


def _room(begins: Sequence[int], end: int, most: int) -> int:
    """Return how many samples are left from ``end`` until the next of ``begins``: ``most`` or fewer."""
    place = bisect_left(begins, end)
    return min(most, begins[place] - end) if place < len(begins) else most


def _cut(wide: PulseSegment, items: Sequence[Item]) -> list[PulseSegment]:
    """Return the pieces of a segment of too many qubits, in order of time: at each moment, what overlaps is together.

    A burst is cut only where it must be, for what a fourth level of its control holds is lost there (1e-4 of a state 1
    under a tone of 40 MHz): a piece goes on with its bursts as long as it stays small and no other needs its qubits.
    """
    mine = [item for item in items if item[3] in wide.bursts]
    edges = sorted({edge for start, end, _, _ in mine for edge in (start, end)})
    pieces: list[PulseSegment] = []
    for first, last in pairwise(edges):
        active = [item for item in mine if item[0] <= first < item[1]]
        going = [p for p in pieces if p.end == first and any(item[3] in p.bursts for item in active)]
        for together in _groups([item[2] for item in active] + [p.qubits for p in going]):
            own = [item for item in active if item[2][0] in together]
            before = [p for p in going if p.qubits[0] in together]
            start = min([p.start for p in before], default=first)
            rest = [p for p in pieces if all(p is not other for other in before)]
            taken = any(p.end > start and set(p.qubits) & set(together) for p in rest)
            if taken or len(together) > MOST_JOINT:
                pieces += [_piece(first, last, group, own, wide.tail) for group in _groups([i[2] for i in own])]
            else:
                earlier = [item for item in mine if any(item[3] in p.bursts for p in before)]
                pieces = [*rest, _piece(start, last, together, [*earlier, *own], wide.tail)]
    return sorted(pieces, key=lambda s: s.start)


def _groups(places: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the connected groups of qubits."""
    links = [(qubits[0], q) for qubits in places for q in qubits]
    return [tuple(int(str(q)) for q in group) for group in union(sorted({q for _, q in links}), links)]


def _piece(start: int, end: int, qubits: tuple[int, ...], items: list[Item], tail: int) -> PulseSegment:
    bursts = dict.fromkeys(item[3] for item in items if item[2][0] in qubits)
    return PulseSegment(start, end, qubits, list(bursts), tail)


def _between(placed: dict[int, list[PulseSegment]], felt: Iterable[Item]) -> list[PulseSegment]:
    """Add crosstalk to the segments it reaches into; return segments for what is left, overlapping pieces joined."""
    out: list[PulseSegment] = []
    last: dict[int, PulseSegment] = {}
    for start, end, (q,), burst in _pieces(placed, felt):
        current = last.get(q)
        if current is not None and start < current.end:
            current.end = max(current.end, end)
            current.bursts.append(burst)
        else:
            last[q] = PulseSegment(start, end, (q,), [burst])
            out.append(last[q])
    return out


def _pieces(placed: dict[int, list[PulseSegment]], felt: Iterable[Item]) -> list[Item]:
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
