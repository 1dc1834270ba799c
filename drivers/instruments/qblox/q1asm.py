"""Q1ASM: the program of one sequencer as text, entry after entry, each a loop over its shots.

A shot begins where the oscillator is set to phase 0, :data:`LEAD` ns before sample 0 of the shot. What is played and
integrated follows in order of time; each instruction waits until the next one. Nothing here knows an instrument.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from pulsed.drivers.instruments.qblox.registers import Grows, Registers
from pulsed.drivers.instruments.qblox.steps import (
    CONSTANT,
    LEAD,
    MAX_WAIT,
    MIN_WAIT,
    TURN,
    ChoiceStep,
    Growth,
    IntegralStep,
    Predicate,
    ResetStep,
    SequencerEntry,
    Step,
    WaveformStep,
)

_LONG = 65532
"""ns of one turn of a loop that waits."""
_SHOTS, _BIN, _WAIT, _POINTS, _FIRST_WEIGHT = 0, 1, 2, 3, 4
"""Registers: shots left, the next bin, turns of a wait, points left, the numbers of weights, and then what is swept."""
_NO_CONDITION = "set_cond 0,0,0,0"


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
        registers = Registers(number, _FIRST_WEIGHT + len(weights), entry.points)
        body, frequency, once = _shot(number, entry, weights, frequency, registers)
        lines += _points(number, entry, registers, [*once, f"shot{number}:", *body, f"loop R{_SHOTS},@shot{number}"])
    return "\n".join([*lines, "stop", ""])


def _points(number: int, entry: SequencerEntry, registers: Registers, shots: list[str]) -> Iterator[str]:
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
    number: int, entry: SequencerEntry, weights: dict[int, int], frequency: int | None, registers: Registers
) -> tuple[list[str], int | None, list[str]]:
    """Return the lines of one shot, the oscillator's frequency at its end, and what is set once before the loop."""
    steps = entry.steps
    growth = entry.growth or [CONSTANT] * len(steps)
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
    lines += _waiting("upd_param", LEAD + spare[0], f"wait{number}_0", Grows(registers, grows[0]))
    at = start
    for k, (step, wait) in enumerate(zip(steps, spare[1:], strict=True), 1):
        own = growth[k - 1]
        if type(step) is WaveformStep and own is CONSTANT and tuned[k - 1] == at and wait <= MAX_WAIT - MIN_WAIT:
            # What most programs consist of, without the ifs.
            _, i, q, gain, phase, _, channel = step
            note = f"  # {channel} at {step.time}" if channel else ""
            lines += (
                f"set_ph {phase % TURN}", f"set_awg_gain {gain},{gain}", f"play {i},{q},{wait + MIN_WAIT}{note}",
            )  # fmt: skip
            continue
        if tuned[k - 1] != at:
            at = tuned[k - 1]
            lines.append(f"set_freq {registers.value('frequency', step.frequency, own.frequency)}")
        lines += _step_lines(step, wait, f"wait{number}_{k}", weights, own, Grows(registers, grows[k]))
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


def _step_lines(
    step: Step, spare: int, label: str, weights: dict[int, int], growth: Growth, grows: Grows
) -> Iterator[str]:
    """Yield the lines of a step, with ``spare`` ns between its end and the next one."""
    wait = step.duration + spare
    if isinstance(step, ChoiceStep):
        yield from _choice_lines(step)
        if 0 < spare < MIN_WAIT:
            raise ValueError(f"{spare} ns after what is chosen at {step.time} ns, none or at least {MIN_WAIT} ns")
        if spare:
            yield from _waiting("wait", spare, label, grows)
        return
    if isinstance(step, ResetStep):
        yield from _waiting("latch_rst", wait, label, grows)
    elif isinstance(step, WaveformStep):
        yield f"set_ph {grows.registers.value('phase', step.phase % TURN, growth.phase)}"
        gain = grows.registers.value("gain", step.gain, growth.gain)
        yield f"set_awg_gain {gain},{gain}"
        yield from _waiting(f"play {step.i},{step.q},", wait, label, grows, _note(step))
    else:
        if step.phase is not None:
            yield f"set_ph {step.phase % TURN}"
        numbers = ",".join(f"R{_FIRST_WEIGHT + weights[w]}" for w in (step.i, step.q))
        # The processor needs an instruction between the change of a register and its use.
        after = [f"add R{_BIN},1,R{_BIN}", "nop"]
        acquire = f"acquire_weighed {step.acquisition},R{_BIN},{numbers},"
        yield from _waiting(acquire, wait, label, grows, _note(step), after)


def _choice_lines(step: ChoiceStep) -> Iterator[str]:
    """Yield its instructions."""
    last, end = step.blocks - 1, step.begin + step.duration - step.time
    blocks: list[tuple[Predicate, WaveformStep | None]] = [*step.pulses]
    if step.silent is not None:
        blocks.append((step.silent, None))
    for number, (asked, pulse) in enumerate(blocks):
        yield f"set_cond 1,{asked.mask},{asked.operator},{MIN_WAIT}"
        if pulse is not None:
            yield from _settings(pulse)
        if number < last:
            yield f"wait {2 * MIN_WAIT * (last - number)}"
            end_of_this = end - MIN_WAIT * (2 * (last - number) - 1)
        else:
            end_of_this = end
        note = _note(pulse) if pulse is not None else ""
        yield f"wait {end_of_this}" if pulse is None else f"play {pulse.i},{pulse.q},{end_of_this}{note}"
    yield _NO_CONDITION


def _note(step: WaveformStep | IntegralStep) -> str:
    """Return the comment that says which pulse or window this is."""
    return f"  # {step.channel} at {step.time}" if step.channel else ""


def _settings(step: WaveformStep) -> tuple[str, str]:
    return f"set_ph {step.phase % TURN}", f"set_awg_gain {step.gain},{step.gain}"


def _waiting(
    instruction: str, wait: int, label: str, grows: Grows, note: str = "", after: Sequence[str] = ()
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
    """Return how many instructions a program that :func:`program` made has: lines that are no labels."""
    return text.count("\n") - text.count(":\n")
