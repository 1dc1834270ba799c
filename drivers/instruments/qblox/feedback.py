"""Bits on the trigger network of a Cluster: who sends which, when it has come, and what a channel plays on it.

A readout sequencer sends a trigger at its address when an integral is beyond its threshold; every sequencer counts the
triggers of each of 15 addresses and can play on a predicate of its counters. So a bit is a counter that was set to 0
before its readout ended. The network carries one trigger at a time: readouts that end together are made to end one
after the other, by weights that go on with zeros. The figures are from the maker's manual (docs/instruments/qblox.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, combinations, product

import numpy as np
import numpy.typing as npt

from pulsed.drivers.instruments.qblox.steps import MIN_WAIT, TURN, Predicate
from pulsed.drivers.programs import Playback, Recording

ADDRESSES = 15
LATENCY = 388
"""ns from the end of an integral until a pulse can be played on it: 364, and up to 24 to the network's next slot."""
SPACING = 280
"""ns from trigger to trigger: 252, in whole slots of 28."""

Assignment = tuple[bool, ...]


@dataclass(frozen=True)
class Sent:
    """One bit of an entry on the network. Times in ns since sample 0 of the shot."""

    address: int
    end: int
    """When its readout ends."""
    clear: int
    """From when the triggers before it on its address have come."""
    next_end: float
    """When the next readout at its address ends."""

    @property
    def there(self) -> int:
        """From when it can be asked for."""
        return self.end + LATENCY


class FeedbackError(Exception):
    """What the trigger network cannot do: the message, the value and what is legal."""

    def __init__(self, message: str, value: object, legal: object) -> None:
        super().__init__(message)
        self.message, self.value, self.legal = message, value, legal


@dataclass
class FeedbackPlan:
    """The bits of a chunk."""

    addresses: dict[int, int] = field(default_factory=dict)
    """Slot of the recording → address at which its bits are sent."""
    padded: dict[int, int] = field(default_factory=dict)
    """Row of the recording → samples by which its readout is made to end later."""
    sent: dict[tuple[int, int], list[Sent]] = field(default_factory=dict)
    """By entry and number of the bit, in order of time."""
    terms: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """Of bits that are made of others."""

    def literals(self, entry: int, condition: int, time: int) -> list[tuple[Sent, bool]]:
        """Return what has to hold for a positive ``condition``: bits that have come by ``time``, with their values."""
        found = []
        for term in self.terms.get((entry, condition), [condition]):
            sent = self.sent.get((entry, abs(term)), [])
            if not sent:
                raise FeedbackError(
                    "it waits for a bit that is not measured here", f"bit {abs(term)}", "bits of its inputs"
                )
            there = [one for one in sent if one.there <= time]
            if not there:
                raise FeedbackError(
                    "the bit that it waits for has not come: triggers follow each other by 280 ns", f"{time} ns",
                    f"from {sent[0].there} ns (timing.feedback_latency)",
                )  # fmt: skip
            found.append((there[-1], term > 0))
        return found


def plan_feedback(playback: Playback | None, recording: Recording | None) -> FeedbackPlan:
    """Return the bits of a chunk. Raises :class:`FeedbackError`."""
    plan = FeedbackPlan()
    if recording is None or playback is None or not playback.events["condition"].any():
        return plan
    rows = recording.rows
    slots = np.unique(rows["slot"][rows["feedback"] > 0]).tolist()
    if len(slots) > ADDRESSES:
        raise FeedbackError("more channels tell bits than there are triggers", len(slots), f"up to {ADDRESSES}")
    plan.addresses = {slot: number for number, slot in enumerate(slots, 1)}
    for entry, number, term in recording.decisions.tolist():
        plan.terms.setdefault((entry, number), []).append(term)
    deciding = set(np.unique(playback.events["entry"][playback.events["condition"] != 0]).tolist())
    ends: dict[int, list[tuple[int, int]]] = {}
    sending = np.flatnonzero(np.isin(rows["slot"], slots))
    for entry in np.unique(rows["entry"][sending]).tolist():
        mine = sending[rows["entry"][sending] == entry]
        ends[entry] = _apart(mine, (rows["time"] + rows["length"])[mine], entry in deciding, plan.padded)
    late = max((own[-1][0] - recording.entries["period"][entry] for entry, own in ends.items()), default=0) + LATENCY
    for entry in sorted(deciding & ends.keys()):
        at: dict[int, list[tuple[int, int]]] = {}
        for end, row in ends[entry]:
            at.setdefault(plan.addresses[int(rows["slot"][row])], []).append((end, int(rows["feedback"][row])))
        for address, own in at.items():
            for k, (end, number) in enumerate(own):
                clear = own[k - 1][0] + LATENCY if k else max(0, int(late))
                following = own[k + 1][0] if k + 1 < len(own) else np.inf
                plan.sent.setdefault((entry, number), []).append(Sent(address, end, clear, following))
    return plan


def _apart(
    rows: npt.NDArray[np.intp], ends: npt.NDArray[np.int64], deciding: bool, padded: dict[int, int]
) -> list[tuple[int, int]]:
    """Return (end, row) of the readouts of an entry in order; where bits decide, they end :data:`SPACING` apart."""
    found: list[tuple[int, int]] = []
    for end, row in sorted(zip(ends.tolist(), rows.tolist(), strict=True)):
        wanted = max(end, found[-1][0] + SPACING) if found and deciding else end
        if wanted > end:
            padded[row] = wanted - end
        found.append((wanted, row))
    return found


# --- what is played on bits ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The pulses of one event by the counters: which phase in which case, None where it is silent."""

    addresses: tuple[int, ...]
    cases: Mapping[Assignment, int | None]
    """By whether the trigger of each address came."""
    used: tuple[Sent, ...]

    @property
    def phases(self) -> list[int]:
        """The different phases that are played."""
        return sorted({phase for phase in self.cases.values() if phase is not None})

    @property
    def blocks(self) -> int:
        """How many conditions are asked for."""
        phases = self.phases
        return len(phases) + (len(phases) > 1 and None in self.cases.values())

    def when(self, phase: int | None) -> frozenset[Assignment]:
        """Return the cases with ``phase``."""
        return frozenset(case for case, other in self.cases.items() if other == phase)


@dataclass(frozen=True)
class BitTurn:
    """What turned an oscillator by ``phase``, 1 / :data:`TURN` turns, on a bit; condition 0: in all shots."""

    condition: int
    time: int
    phase: int


def choose(
    plan: FeedbackPlan, entry: int, time: int, condition: int, turns: Sequence[BitTurn], phase: int
) -> Choice:  # fmt: skip
    """Return what is played at ``time``: ``phase`` under a condition, after ``turns``; or :class:`FeedbackError`."""
    asked = [(condition, time), *((turn.condition, turn.time) for turn in turns)]
    literals = {(c, t): plan.literals(entry, abs(c), t) for c, t in asked if c}
    used = tuple(dict.fromkeys(sent for own in literals.values() for sent, _ in own))
    addresses = tuple(sorted({sent.address for sent in used}))
    if len(addresses) < len(used):
        raise FeedbackError(
            "two readouts of one qubit decide one pulse", f"{len(used)} readouts", "the last one of each"
        )

    def holds(number: int, since: int, came: Mapping[int, bool]) -> bool:
        true = all(came[sent.address] == value for sent, value in literals[number, since])
        return true == (number > 0)

    cases: dict[Assignment, int | None] = {}
    for case in product((False, True), repeat=len(addresses)):
        came = dict(zip(addresses, case, strict=True))
        more = sum(turn.phase for turn in turns if holds(turn.condition, turn.time, came))
        plays = not condition or holds(condition, time, came)
        cases[case] = (phase + more) % TURN if plays else None
    choice = Choice(addresses, cases, used)
    first = time - 2 * MIN_WAIT * (choice.blocks - 1)
    for sent in used:
        if sent.there > first:
            raise FeedbackError(
                "the bit that it waits for is asked for before it comes", f"{first} ns", f"from {sent.there} ns"
            )
    return choice


def predicates(choices: Sequence[Choice]) -> tuple[frozenset[int], list[dict[int | None, Predicate]]]:
    """Return the addresses whose counters are inverted on a sequencer, and what each choice asks for, by phase.

    Inversion is a setting, so it is the same for all that the sequencer plays. Raises :class:`FeedbackError`.
    """
    several = sorted({address for one in choices if len(one.addresses) > 1 for address in one.addresses})
    for inverted in chain.from_iterable(combinations(several, k) for k in range(len(several) + 1)):
        found = [_all_asked(one, inverted) for one in choices]
        if None not in found:
            return frozenset(inverted), [asked for asked in found if asked is not None]
    raise FeedbackError(
        "its sequencer cannot tell the bits apart that it waits for", f"{len(several)} bits",
        "any, none, all or an odd number of some bits, each with one sense in all that the channel plays",
    )  # fmt: skip


def _all_asked(choice: Choice, inverted: tuple[int, ...]) -> dict[int | None, Predicate] | None:
    silent: list[int | None] = [None] if choice.blocks > len(choice.phases) else []
    found: dict[int | None, Predicate] = {}
    for phase in [*choice.phases, *silent]:
        asked = _predicate(choice.addresses, choice.when(phase), inverted)
        if asked is None:
            return None
        found[phase] = asked
    return found


_OPERATORS: tuple[Callable[[list[bool]], bool], ...] = (
    any, lambda v: not any(v), all, lambda v: not all(v), lambda v: sum(v) % 2 == 1, lambda v: sum(v) % 2 == 0,
)  # fmt: skip
"""By their numbers in ``set_cond``."""


@lru_cache(maxsize=4096)
def _predicate(addresses: tuple[int, ...], cases: frozenset[Assignment], inverted: tuple[int, ...]) -> Predicate | None:
    """Return what holds in ``cases`` and in no others."""
    for some in chain.from_iterable(combinations(range(len(addresses)), k) for k in range(1, len(addresses) + 1)):
        for operator, test in enumerate(_OPERATORS):
            true = {
                case for case in product((False, True), repeat=len(addresses))
                if test([case[k] != (addresses[k] in inverted) for k in some])
            }  # fmt: skip
            if true == cases:
                return Predicate(sum(1 << (addresses[k] - 1) for k in some), operator)
    return None


# --- counters --------------------------------------------------------------------------------------------------------


def resets(uses: Mapping[Sent, int], busy: Sequence[tuple[int, int]]) -> list[int]:
    """Return when a sequencer sets its counters to 0, so that each bit is all that its counter says while it is used.

    ``uses``: when each bit is asked for last. ``busy``: (begin, end) of all that the sequencer does, in order, whose
    last one ends the shot. Raises :class:`FeedbackError`.
    """
    found: list[int] = []
    for sent in sorted(uses, key=lambda one: one.end):
        if uses[sent] > sent.next_end:
            raise FeedbackError(
                "a qubit is measured again while its bit is still asked for", f"{uses[sent]} ns",
                f"up to {int(sent.next_end)} ns",
            )  # fmt: skip
        if any(sent.clear <= time <= sent.end - MIN_WAIT for time in found):
            continue
        held = [(one.end - MIN_WAIT, last) for one, last in uses.items() if one is not sent]
        taken = sorted([*busy, *((time, time + MIN_WAIT) for time in found)])
        times = (t for begin, end in _gaps(taken) for t in _times(begin, end, sent, held))
        time = max(times, default=None)
        if time is None:
            raise FeedbackError(
                "there is no time to set the counters of triggers to 0 before a readout that decides",
                f"{sent.end - sent.clear} ns since the readout before it",
                f"{MIN_WAIT} ns without an event, while no other bit is asked for",
            )  # fmt: skip
        found.append(time)
    return sorted(found)


def _times(begin: int, end: int, sent: Sent, held: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yield the last time between ``begin`` and ``end`` for ``sent``, while nothing else is held."""
    time = min(end, sent.end) - MIN_WAIT
    while blocking := [first for first, last in held if first < time < last]:
        time = min(blocking)
    if begin < time < begin + MIN_WAIT:
        time = begin
    if time >= max(begin, sent.clear):
        yield time


def _gaps(busy: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of where nothing is done."""
    at = 0
    for begin, end in busy:
        if begin - at >= MIN_WAIT:
            yield at, begin
        at = end
