"""What the bits of a circuit are worth as it goes on: from which measurements, in which cases.

A measurement that is made in some shots only leaves its bit as it was in the others. So in a circuit with such ones
every measurement has a memory slot of its own, and a bit is worth what the last of them has that was made in a shot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeAlias

from pulsed.compiler.conditions import ConditionError, Literals, both
from pulsed.compiler.program import MadeBit
from pulsed.model.errors import CircuitError

MOST_CASES = 64
"""Of one decision: each is played by itself, after the others."""
_FAR_TOO_MANY = 16 * MOST_CASES
"""On the way to them."""


Write: TypeAlias = tuple[int, Literals]
"""A memory slot that a bit is measured into, and where."""


def without(case: Literals, others: Iterable[Literals]) -> list[Literals]:
    """Return the part of a case in which none of ``others`` holds, as cases that exclude each other.

    Raises :class:`ConditionError` for far too many: they may double with each of the others.
    """
    left = [case]
    for other in others:
        left = [part for one in left for part in _minus(one, other)]
        if len(left) > _FAR_TOO_MANY:
            raise too_many(len(left))
    return left


def too_many(cases: int) -> ConditionError:
    """Return the error of a decision with too many cases."""
    return ConditionError(f"{cases} cases", f"at most {MOST_CASES} cases")


def _minus(case: Literals, other: Literals) -> list[Literals]:
    if both(case, other) is None:
        return [case]
    more = [literal for literal in other if literal not in case]
    return [
        tuple(sorted((*case, *more[:place], (slot, 1 - value)))) for place, (slot, value) in enumerate(more)
    ]  # fmt: skip


class BitValues:
    """The values of the bits of one circuit.

    Args:
        count: of its bits.
        apart: every measurement has a slot of its own: those from ``count`` on. Else the slot of a bit is its number,
            and a condition means what was measured into it last.

    """

    def __init__(self, count: int, apart: bool) -> None:
        self._count = count
        self.apart = apart
        self._slots = count
        # Of each bit the slots that were measured into it and where, later ones before earlier ones.
        self._writes: dict[int, list[Write]] = {}

    @property
    def measured(self) -> tuple[int, ...]:
        """The bits that a measurement is written for, made or not."""
        return tuple(sorted(self._writes))

    def never(self, bit: int) -> None:
        """Remember a measurement into ``bit`` that no shot makes."""
        self._writes.setdefault(bit, [])

    def record(self) -> int:
        """Return the slot of a measurement of which no bit is told."""
        self._slots += 1
        return self._slots - 1

    def measure(self, bit: int, where: Literals = ()) -> int:
        """Return the slot for a measurement into ``bit`` that is made where some literals hold, and remember it."""
        if not self.apart:
            return bit
        slot = self.record()
        new = set(where)
        self._writes[bit] = [(slot, where), *(w for w in self._writes.get(bit, ()) if not new.issubset(w[1]))]
        return slot

    def cases(self, wanted: Literals, within: Literals = ()) -> list[Literals]:
        """Return when, within a case, all of some measured bits have the values that are ``wanted``.

        These are cases of memory slots that exclude each other. Raises :class:`ConditionError` for too many.
        """
        if not self.apart:
            joined = both(within, wanted)
            return [] if joined is None else [joined]
        found: list[Literals] = [within]
        for bit, value in wanted:
            found = [part for case in found for part in self._where(bit, value, case)]
            if len(found) > MOST_CASES:
                raise too_many(len(found))
        return found

    def _where(self, bit: int, value: int, case: Literals) -> list[Literals]:
        """Return the part of a case in which a bit has a value."""
        found: list[Literals] = []
        later: list[Literals] = []
        known = dict(case)
        for slot, where in self._writes[bit]:
            if known.get(slot, value) == value and all(known.get(one, held) == held for one, held in where):
                found += without(tuple(sorted({*case, *where, (slot, value)})), later)
            later.append(where)
        return found + (without(case, later) if not value else [])  # what nothing was measured into is 0

    def numbers(self) -> dict[int, int]:
        """Return the final number of every slot: that of the bit whose last measurement it has, or one after them."""
        final = {writes[0][0]: bit for bit, writes in self._writes.items() if writes}
        hidden = [slot for slot in range(self._count, self._slots) if slot not in final]
        return final | {slot: self._count + place for place, slot in enumerate(hidden)}

    def made(self) -> tuple[MadeBit, ...]:
        """Return the bits that not every shot has measured last in one slot, by the final numbers."""
        final = self.numbers()
        return tuple(
            MadeBit(bit, tuple((final[slot], renamed(where, final)) for slot, where in reversed(writes)))
            for bit, writes in sorted(self._writes.items())
            if writes and writes[0][1]
        )


def renamed(case: Literals, numbers: dict[int, int]) -> Literals:
    """Return a case of other numbers of slots."""
    return tuple(sorted((numbers[slot], value) for slot, value in case))


def check_measured(literals: Literals, measured: Collection[int], subject: str) -> None:
    """Raise :class:`CircuitError` for a case of bits that nothing was measured into before."""
    for slot, _ in literals:
        if slot not in measured:
            raise CircuitError(
                "an if_test on a bit that nothing was measured into before", subject=subject, value=f"bit {slot}",
                legal=", ".join(map(str, sorted(measured))) or "measure first",
            )  # fmt: skip
