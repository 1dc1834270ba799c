"""Q1ASM: the program of one sequencer as text, entry after entry, each a loop over its shots.

A shot begins where the oscillator is set to phase 0, :data:`LEAD` ns before sample 0 of the shot. What is played and
integrated follows in order of time; each instruction waits until the next one. Nothing here knows an instrument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

LEAD = 4
"""ns from where the oscillator has phase 0 to sample 0 of the shot: the shortest wait of an instruction."""
MIN_WAIT, MAX_WAIT = 4, 65535
"""ns that one instruction can wait."""
FULL_GAIN = 32767
TURN = 10**9
"""Units of phase in a turn."""
REGISTERS = 64
_LONG = 65532
"""ns of one turn of a loop that waits."""
_SHOTS, _BIN, _WAIT, _POINTS, _FIRST_WEIGHT = 0, 1, 2, 3, 4
"""Registers: shots left, the next bin, turns of a wait, points left, the numbers of weights, and then what is swept."""
_WORD = 1 << 32
_NO_CONDITION = "set_cond 0,0,0,0"


@dataclass(frozen=True)
class WaveformStep:
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
    comment: str = ""

    @property
    def begin(self) -> int:
        """When its first instruction is carried out."""
        return self.time

    @property
    def duration(self) -> int:
        """The least from there to the next step."""
        return MIN_WAIT


@dataclass(frozen=True)
class IntegralStep:
    """A weighed integral into the next bin of an acquisition. Weights by their indices, for I and Q."""

    time: int
    acquisition: int
    i: int
    q: int
    frequency: int
    comment: str = ""
    phase: int | None = None
    """Of the oscillator's offset; None: as the step before it has left it."""

    begin = WaveformStep.begin
    duration = WaveformStep.duration


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

    def lines(self) -> Iterator[str]:
        """Yield its instructions."""
        last, end = self.blocks - 1, self.begin + self.duration - self.time
        blocks: list[tuple[Predicate, WaveformStep | None]] = [*self.pulses]
        if self.silent is not None:
            blocks.append((self.silent, None))
        for number, (asked, pulse) in enumerate(blocks):
            yield f"set_cond 1,{asked.mask},{asked.operator},{MIN_WAIT}"
            if pulse is not None:
                yield from _settings(pulse)
            if number < last:
                yield f"wait {2 * MIN_WAIT * (last - number)}"
                end_of_this = end - MIN_WAIT * (2 * (last - number) - 1)
            else:
                end_of_this = end
            note = f"  # {pulse.comment}" if pulse is not None and pulse.comment else ""
            yield f"wait {end_of_this}" if pulse is None else f"play {pulse.i},{pulse.q},{end_of_this}{note}"
        yield _NO_CONDITION


@dataclass(frozen=True)
class ResetStep:
    """All counters of triggers are set to 0."""

    time: int
    frequency: int

    begin = WaveformStep.begin
    duration = WaveformStep.duration


Step: TypeAlias = WaveformStep | IntegralStep | ChoiceStep | ResetStep


@dataclass(frozen=True)
class Growth:
    """By how much a step grows from point to point of a sweep, in the units of the step."""

    time: int = 0
    gain: float = 0.0
    phase: int = 0
    frequency: int = 0


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

    def growth_of(self, step: int) -> Growth:
        """Return by how much a step grows."""
        return self.growth[step] if self.growth else Growth()


class RegistersError(ValueError):
    """There are more values in a sweep than registers."""


class _Registers:
    """The registers of one sweep: each has a value that grows from point to point."""

    def __init__(self, number: int, taken: int, points: int) -> None:
        self.number, self.points, self.free = number, points, list(range(REGISTERS - 1, taken - 1, -1))
        self.before: list[str] = []
        """Done once."""
        self.first: list[str] = []
        """Done at the beginning of each point."""
        self.after: list[str] = []
        """Done at the end of each point."""
        self._known: dict[tuple[str, int, float], str] = {}

    def value(self, kind: str, start: int, step: float) -> str:
        """Return what stands for a value in an instruction: itself, or a register. Raises :class:`RegistersError`."""
        if not step:
            return str(start)
        key = kind, start, step
        if key not in self._known:
            self._known[key] = self._gain(start, step) if kind == "gain" else self._whole(kind, start, round(step))
        return self._known[key]

    def _take(self) -> str:
        if not self.free:
            raise RegistersError(f"more than {REGISTERS} registers")
        return f"R{self.free.pop()}"

    def _gain(self, start: int, step: float) -> str:
        """A gain grows in steps of 1 / 65536 of its own."""
        exact, shown = self._take(), self._take()
        self.before.append(f"move {(start << 16) + (1 << 15)},{exact}")
        self.first.append(f"asr {exact},16,{shown}")
        self.after.append(_added(exact, round(step * 65536)))
        return shown

    def _whole(self, kind: str, start: int, step: int) -> str:
        """Anything else in whole steps of what it is counted in."""
        register = self._take()
        if kind != "phase":
            self.before.append(f"move {start % _WORD},{register}")
            self.after.append(_added(register, step))
            return register
        label = f"turn{self.number}_{register}"
        self.before.append(f"move {start % TURN},{register}")
        self.after += [
            f"add {register},{step % TURN},{register}", "nop", f"jlt {register},{TURN},@{label}",
            f"sub {register},{TURN},{register}", f"{label}:",
        ]  # fmt: skip
        return register


def _added(register: str, step: int) -> str:
    return f"{'add' if step >= 0 else 'sub'} {register},{abs(step)},{register}"


def program(entries: Iterable[SequencerEntry], marker: int = 0) -> str:
    """Return the program of ``entries``; ``marker``: the value of the markers while it plays.

    Steps are at least :data:`MIN_WAIT` ns apart, and as much before the end of their period: ValueError.
    """
    entries = list(entries)
    steps = [step for entry in entries for step in entry.steps]
    integrals = [step for step in steps if isinstance(step, IntegralStep)]
    weights = {number: k for k, number in enumerate(dict.fromkeys(w for step in integrals for w in (step.i, step.q)))}
    lines = [f"set_mrk {marker}", f"upd_param {MIN_WAIT}"] if marker else []
    if any(isinstance(step, ResetStep | ChoiceStep) for step in steps):
        lines.append(f"set_latch_en 1,{MIN_WAIT}")
    # From here on all sequencers are in step, whatever each had to do before.
    lines += [f"wait_sync {MIN_WAIT}", *(f"move {number},R{_FIRST_WEIGHT + k}" for number, k in weights.items())]
    if integrals:
        lines.append(f"move 0,R{_BIN}")
    frequency: int | None = None
    for number, entry in enumerate(entries):
        registers = _Registers(number, _FIRST_WEIGHT + len(weights), entry.points)
        body, frequency, once = _shot(number, entry, weights, frequency, registers)
        lines += _points(number, entry, registers, [*once, f"shot{number}:", *body, f"loop R{_SHOTS},@shot{number}"])
    return "\n".join([*lines, "stop", ""])


def _points(number: int, entry: SequencerEntry, registers: _Registers, shots: list[str]) -> Iterator[str]:
    """Yield the loop over the points of a sweep around that over the shots of one, where there is more than one."""
    if entry.points > 1:
        yield from registers.before
        yield f"move {entry.points},R{_POINTS}"
        yield f"point{number}:"
        yield from registers.first
    yield f"move {entry.shots},R{_SHOTS}"
    yield from shots
    if entry.points > 1:
        yield from registers.after
        yield f"loop R{_POINTS},@point{number}"


def _shot(
    number: int, entry: SequencerEntry, weights: dict[int, int], frequency: int | None, registers: _Registers
) -> tuple[list[str], int | None, list[str]]:
    """Return the lines of one shot, the oscillator's frequency at its end, and what is set once before the loop."""
    steps = entry.steps
    growth = [entry.growth_of(k) for k in range(len(steps))]
    tuned = [(step.frequency, own.frequency) for step, own in zip(steps, growth, strict=True)]
    start = tuned[0] if tuned else (frequency, 0)
    hops = any(one != start for one in tuned)
    swept = any(own.frequency for own in growth)
    setting = []
    if start[0] is not None and (hops or swept or start[0] != frequency):
        setting = [f"set_freq {registers.value('frequency', start[0], start[1])}"]
    spare = _spare(number, entry)
    grows = [later - earlier for earlier, later in pairwise([0, *(own.time for own in growth), entry.longer])]
    lines = ["reset_ph", *(setting if hops else [])]
    lines += _waiting("upd_param", LEAD + spare[0], f"wait{number}_0", _Grows(registers, grows[0]))
    at = start
    for k, (step, wait) in enumerate(zip(steps, spare[1:], strict=True), 1):
        own = growth[k - 1]
        if tuned[k - 1] != at:
            at = tuned[k - 1]
            lines.append(f"set_freq {registers.value('frequency', step.frequency, own.frequency)}")
        lines += _step_lines(step, wait, f"wait{number}_{k}", weights, own, _Grows(registers, grows[k]))
    return lines, None if swept else at[0], [] if hops else setting


def _spare(number: int, entry: SequencerEntry) -> list[int]:
    """Return the ns before each step and after the last one that no step needs; ValueError for less than none."""
    steps = entry.steps
    ends = [0, *(step.begin + step.duration for step in steps)]
    begins = [*(step.begin for step in steps), entry.period - LEAD]
    spare = [begin - end for begin, end in zip(begins, ends, strict=True)]
    short = next((k for k, wait in enumerate(spare) if wait < 0), None)
    if short is not None:
        raise ValueError(
            f"{MIN_WAIT + spare[short]} ns before {begins[short]} ns of entry {number}, at least {MIN_WAIT} ns"
        )
    return spare


@dataclass(frozen=True)
class _Grows:
    """By how many ns a wait grows from point to point."""

    registers: _Registers
    step: int = 0

    def split(self, wait: int) -> tuple[int, str]:
        """Return what is waited at every point, and what stands for the rest; ValueError when that is too long."""
        span = self.step * (self.registers.points - 1)
        always = min(wait, wait + span) - MIN_WAIT
        if always < MIN_WAIT or abs(span) > MAX_WAIT - MIN_WAIT:
            raise ValueError(f"a wait that grows from {wait} ns by {span} ns")
        return always, self.registers.value("wait", wait - always, self.step)


def _step_lines(
    step: Step, spare: int, label: str, weights: dict[int, int], growth: Growth, grows: _Grows
) -> Iterator[str]:
    """Yield the lines of a step, with ``spare`` ns between its end and the next one."""
    wait = step.duration + spare
    if isinstance(step, ChoiceStep):
        yield from step.lines()
        if 0 < spare < MIN_WAIT:
            raise ValueError(f"{spare} ns after what is chosen at {step.time} ns, none or at least {MIN_WAIT} ns")
        if spare:
            yield from _waiting("wait", spare, label, grows)
        return
    note = "" if isinstance(step, ResetStep) or not step.comment else f"  # {step.comment}"
    if isinstance(step, ResetStep):
        yield from _waiting("latch_rst", wait, label, grows)
    elif isinstance(step, WaveformStep):
        yield f"set_ph {grows.registers.value('phase', step.phase % TURN, growth.phase)}"
        gain = grows.registers.value("gain", step.gain, growth.gain)
        yield f"set_awg_gain {gain},{gain}"
        yield from _waiting(f"play {step.i},{step.q},", wait, label, grows, note)
    else:
        if step.phase is not None:
            yield f"set_ph {step.phase % TURN}"
        numbers = ",".join(f"R{_FIRST_WEIGHT + weights[w]}" for w in (step.i, step.q))
        # The processor needs an instruction between the change of a register and its use.
        after = [f"add R{_BIN},1,R{_BIN}", "nop"]
        yield from _waiting(f"acquire_weighed {step.acquisition},R{_BIN},{numbers},", wait, label, grows, note, after)


def _settings(step: WaveformStep) -> tuple[str, str]:
    return f"set_ph {step.phase % TURN}", f"set_awg_gain {step.gain},{step.gain}"


def _waiting(
    instruction: str, wait: int, label: str, grows: _Grows, note: str = "", after: Sequence[str] = ()
) -> Iterator[str]:
    """Yield an instruction that waits ``wait`` ns, with a loop behind it when that is longer than one can wait."""
    more = ""
    if grows.step:
        wait, more = grows.split(wait)
    turns = 0 if wait <= MAX_WAIT else (wait - MIN_WAIT) // _LONG
    gap = "" if instruction.endswith(",") else " "
    yield f"{instruction}{gap}{wait - turns * _LONG}{note}"
    yield from after
    if turns == 1:
        yield f"wait {_LONG}"
    elif turns:
        yield f"move {turns},R{_WAIT}"
        yield f"{label}:"
        yield f"wait {_LONG}"
        yield f"loop R{_WAIT},@{label}"
    if more:
        yield f"wait {more}"


def instructions(text: str) -> int:
    """Return how many instructions a program has."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return sum(bool(line) and not line.endswith(":") for line in lines)
