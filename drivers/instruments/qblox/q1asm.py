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
_SHOTS, _BIN, _WAIT, _FIRST_WEIGHT = 0, 1, 2, 3
"""Registers: shots left, the next bin, turns of a wait, and then the numbers of weights."""


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


@dataclass(frozen=True)
class IntegralStep:
    """A weighed integral into the next bin of an acquisition. Weights by their indices, for I and Q."""

    time: int
    acquisition: int
    i: int
    q: int
    frequency: int
    comment: str = ""


Step: TypeAlias = WaveformStep | IntegralStep


@dataclass(frozen=True)
class SequencerEntry:
    """What is done in each of ``shots`` shots, ``period`` ns apart; steps in order of time."""

    steps: Sequence[Step]
    shots: int
    period: int


def program(entries: Iterable[SequencerEntry], marker: int = 0) -> str:
    """Return the program of ``entries``; ``marker``: the value of the markers while it plays.

    Steps are at least :data:`MIN_WAIT` ns apart, and as much before the end of their period: ValueError.
    """
    entries = list(entries)
    steps = [step for entry in entries for step in entry.steps if isinstance(step, IntegralStep)]
    weights = {number: k for k, number in enumerate(dict.fromkeys(w for step in steps for w in (step.i, step.q)))}
    lines = ["wait_sync 4"]
    if marker:
        lines += [f"set_mrk {marker}", "upd_param 4"]
    lines += [f"move {number},R{_FIRST_WEIGHT + k}" for number, k in weights.items()]
    if steps:
        lines.append(f"move 0,R{_BIN}")
    frequency: int | None = None
    for number, entry in enumerate(entries):
        body, frequency, first = _shot(number, entry, weights, frequency)
        lines += [f"move {entry.shots},R{_SHOTS}", *first, f"shot{number}:", *body, f"loop R{_SHOTS},@shot{number}"]
    return "\n".join([*lines, "stop", ""])


def _shot(
    number: int, entry: SequencerEntry, weights: dict[int, int], frequency: int | None
) -> tuple[list[str], int | None, list[str]]:
    """Return the lines of one shot, the oscillator's frequency at its end, and what is set once before the loop."""
    steps = entry.steps
    start = steps[0].frequency if steps else frequency
    hops = any(step.frequency != start for step in steps)
    setting = [f"set_freq {start}"] if start is not None and (hops or start != frequency) else []
    times = [-LEAD, *(step.time for step in steps), entry.period - LEAD]
    waits = [later - earlier for earlier, later in pairwise(times)]
    short = next((k for k, wait in enumerate(waits) if wait < MIN_WAIT), None)
    if short is not None:
        raise ValueError(f"{waits[short]} ns from {times[short]} ns of entry {number}, at least {MIN_WAIT} ns")
    lines = ["reset_ph", *(setting if hops else [])]
    lines += _waiting("upd_param", waits[0], f"wait{number}_0")
    at = start
    for k, (step, wait) in enumerate(zip(steps, waits[1:], strict=True), 1):
        if step.frequency != at:
            lines.append(f"set_freq {step.frequency}")
            at = step.frequency
        label, note = f"wait{number}_{k}", f"  # {step.comment}" if step.comment else ""
        if isinstance(step, WaveformStep):
            lines += [f"set_ph {step.phase % TURN}", f"set_awg_gain {step.gain},{step.gain}"]
            lines += _waiting(f"play {step.i},{step.q},", wait, label, note)
        else:
            registers = ",".join(f"R{_FIRST_WEIGHT + weights[w]}" for w in (step.i, step.q))
            # The processor needs an instruction between the change of a register and its use.
            after = [f"add R{_BIN},1,R{_BIN}", "nop"]
            bin_and_weights = f"R{_BIN},{registers}"
            lines += _waiting(f"acquire_weighed {step.acquisition},{bin_and_weights},", wait, label, note, after)
    return lines, at, [] if hops else setting


def _waiting(instruction: str, wait: int, label: str, note: str = "", after: Sequence[str] = ()) -> Iterator[str]:
    """Yield an instruction that waits ``wait`` ns, with a loop behind it when that is longer than one can wait."""
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


def instructions(text: str) -> int:
    """Return how many instructions a program has."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return sum(bool(line) and not line.endswith(":") for line in lines)
