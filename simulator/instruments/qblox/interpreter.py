"""Q1ASM executed: what one sequencer plays and integrates, shot by shot, identical shots once.

Of the instruction set version 1 that of a sequencer without conditions, triggers and TTL. A shot begins where the phase
of the oscillator is reset. A loop whose turns differ in nothing but the bins of their integrals is executed twice; what
is left of it is counted. Times are ns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

INSTRUCTIONS, REGISTERS = 16384, 64
MIN_WAIT, MAX_WAIT = 4, 65535
QUARTERS = 4 * 10**9
"""Steps of the oscillator's phase in a turn: a quarter of a Hz for a ns."""
TURN = 10**9
_WORD = 1 << 32
_MOST_STEPS = 20_000_000
_TOKEN = re.compile(r"^(?:(\w+):)?\s*(?:(\w+)\s*(.*))?$")


class ProgramError(Exception):
    """The sequencer stops: an instruction cannot be carried out, or not by this emulation."""


@dataclass(frozen=True)
class PlayedBurst:
    """Waveforms ``i`` and ``q``, by index, at ``time`` since the shot's start."""

    time: int
    i: int
    q: int
    gain: tuple[int, int]
    phase: int
    """Of the oscillator at ``time``, in 1 / :data:`QUARTERS` turns."""
    frequency: int
    """Quarters of a Hz."""


@dataclass(frozen=True)
class Integral:
    """An acquisition at ``time`` since the shot's start; ``weights``: indices of those of I and Q, None: unweighed."""

    time: int
    acquisition: int
    bin: int
    weights: tuple[int, int] | None
    phase: int
    frequency: int
    step: int = 0
    """From the bin of one shot to that of the next."""


@dataclass(frozen=True)
class Shots:
    """``count`` shots that are alike but for their bins, each ``period`` long; the last one lasts until the end."""

    start: int
    bursts: tuple[PlayedBurst, ...]
    integrals: tuple[Integral, ...]
    marker: int
    count: int = 1
    period: int = 0

    def split(self, at: int) -> tuple[Shots, Shots]:
        """Return the first ``at`` shots, and those after them."""
        later = tuple(replace(one, bin=one.bin + at * one.step) for one in self.integrals)
        rest = replace(self, start=self.start + at * self.period, integrals=later, count=self.count - at)
        return replace(self, count=at), rest

    def alike(self, other: Shots) -> bool:
        """Whether another one is the same but for its bins."""
        mine, theirs = (tuple(replace(one, bin=0, step=0) for one in shots.integrals) for shots in (self, other))
        return (self.bursts, mine, self.marker) == (other.bursts, theirs, other.marker)


@dataclass
class _Parameters:
    """What is set and becomes effective with the next latch."""

    frequency: int = 0
    phase: int = 0
    gain: tuple[int, int] = (32767, 32767)
    marker: int = 0
    reset: bool = False


@dataclass
class _LoopTurn:
    """The state of a loop when its instruction is reached."""

    registers: list[int]
    shots: int
    time: int


@dataclass
class Sequencer:
    """One run of a program. ``lengths``: samples of the waveforms by index."""

    lengths: dict[int, int]
    integration: int = 1024
    """Samples of an unweighed integral."""
    weights: dict[int, int] = field(default_factory=dict)
    """Samples of the weights by index."""
    time: int = 0
    shots: list[Shots] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._registers = [0] * REGISTERS
        self._next, self._now = _Parameters(), _Parameters()
        self._zero, self._offset = 0, 0  # when the oscillator had which phase
        self._busy, self._window = 0, 0  # until when a waveform sounds, and a window is open
        self._used: dict[int, set[int]] = {}  # registers that what is played depends on, by open loop
        self._turns: dict[int, _LoopTurn] = {}
        self._origin: int | None = None

    def run(self, text: str) -> list[Shots]:
        """Execute a program and return its shots. Raises :class:`ProgramError` with the line."""
        code, labels = parse(text)
        at, steps = 0, 0
        while True:
            if at >= len(code):
                raise ProgramError("the program has no stop")
            line, name, arguments = code[at]
            steps += 1
            if steps > _MOST_STEPS:
                raise ProgramError(f"line {line}: has not stopped after {_MOST_STEPS} instructions")
            if name == "stop":
                break
            try:
                at = self._step(at, name, arguments, labels)
            except ProgramError as error:
                raise ProgramError(f"line {line}, {name} {','.join(arguments)}: {error}") from None
        return self._finished()

    def _finished(self) -> list[Shots]:
        """Return the shots with their periods, those that are alike and follow each other evenly as one."""
        found: list[Shots] = []
        ends = [shots.start for shots in self.shots[1:]] + [self.time]
        for one, end in zip(self.shots, ends, strict=True):
            shots = replace(one, period=(end - one.start) // one.count)
            last = found[-1] if found else None
            if last is not None and (merged := _merged(last, shots)) is not None:
                found[-1] = merged
            else:
                found.append(shots)
        return found

    # --- instructions --------------------------------------------------------------------------------------------

    def _step(self, at: int, name: str, arguments: list[str], labels: dict[str, int]) -> int:
        """Carry out one instruction and return the place of the next."""
        if name in _ARITHMETIC:
            a, b = self._classic(arguments[0]), self._classic(arguments[1])
            self._registers[_register(arguments[2])] = _ARITHMETIC[name](a, b) % _WORD
        elif name == "move":
            self._registers[_register(arguments[1])] = self._classic(arguments[0]) % _WORD
        elif name == "not":
            self._registers[_register(arguments[1])] = self._classic(arguments[0]) ^ (_WORD - 1)
        elif name == "loop":
            return self._loop(at, _register(arguments[0]), _target(arguments[1], labels))
        elif name in ("jmp", "jge", "jlt"):
            if name == "jmp" or (self._value(arguments[0]) >= self._value(arguments[1])) == (name == "jge"):
                return _target(arguments[-1], labels)
        elif name != "nop":
            self._real_time(name, arguments)
        return at + 1

    def _real_time(self, name: str, arguments: list[str]) -> None:
        """Carry out an instruction of the real-time part."""
        if name in ("acquire", "acquire_weighed"):
            self._acquire(arguments)
            return
        values = [self._value(one) for one in arguments]
        if name in _SETTERS:
            self._set(name, values)
        elif name in ("wait", "wait_sync"):
            self._wait(values[0])
        elif name == "upd_param":
            self._latch()
            self._wait(values[0])
        elif name == "play":
            self._play(*values)
        else:
            raise ProgramError("not carried out by this emulation")

    def _loop(self, at: int, register: int, target: int) -> int:
        """Go on with a loop; when its last two turns are alike, count the turns that are left."""
        left = (self._registers[register] - 1) % _WORD
        self._registers[register] = left
        before = self._turns.get(at)
        self._turns[at] = _LoopTurn(list(self._registers), len(self.shots), self.time)
        if left and before is not None and self._foldable(before, register, self._used.get(at, set())):
            self._fold(before, register, left)
            left = self._registers[register]
        if not left:
            self._turns.pop(at, None)
            self._used.pop(at, None)
            return at + 1
        self._used[at] = set()
        return target

    def _foldable(self, before: _LoopTurn, register: int, used: set[int]) -> bool:
        """Whether the turn since ``before`` was one shot, like that of the turn before it but for its bins.

        ``used``: registers that what was played in this turn depends on.
        """
        if len(self.shots) != before.shots + 1 or before.shots < 1:
            return False
        one, other = self.shots[-2:]
        if one.count + other.count > 2 or not one.alike(other):
            return False
        changed = {k for k in range(REGISTERS) if self._registers[k] != before.registers[k]} - {register}
        return not changed & used and other.start - one.start == self.time - before.time

    def _fold(self, before: _LoopTurn, register: int, left: int) -> None:
        last, first = self.shots.pop(), self.shots.pop()
        steps = [b.bin - a.bin for a, b in zip(first.integrals, last.integrals, strict=True)]
        integrals = tuple(replace(one, step=step) for one, step in zip(first.integrals, steps, strict=True))
        self.shots.append(replace(first, integrals=integrals, count=left + 2))
        period = self.time - before.time
        for k in range(REGISTERS):
            change = self._registers[k] - before.registers[k]
            self._registers[k] = (self._registers[k] + left * change) % _WORD
        self._registers[register] = 0
        self.time += left * period
        self._zero += left * period
        self._busy += left * period
        self._window += left * period
        if self._origin is not None:
            self._origin += left * period

    def _set(self, name: str, values: list[int]) -> None:
        following = self._next
        if name == "set_freq":
            following.frequency = _signed(values[0])
            if abs(following.frequency) > 2 * 10**9:
                raise ProgramError("beyond 500 MHz")
        elif name == "set_ph":
            following.phase = values[0] % TURN
        elif name == "set_ph_delta":
            following.phase = (following.phase + values[0]) % TURN
        elif name == "set_awg_gain":
            gain = _signed(values[0]), _signed(values[1])
            if not all(-32768 <= one <= 32767 for one in gain):
                raise ProgramError("beyond 16 bits")
            following.gain = gain
        elif name == "set_mrk":
            following.marker = values[0]
        else:
            following.reset, following.phase = True, 0

    def _latch(self) -> None:
        """Make effective what was set."""
        now, following = self._now, self._next
        changed = (now.frequency, now.phase) != (following.frequency, following.phase)
        if following.reset or changed:
            if self.time < self._busy or self.time < self._window:
                raise ProgramError("the oscillator changes while a waveform sounds or a window is open")
            self._offset = 0 if following.reset else self._turned(self.time)
            self._zero = self.time
        if following.reset:
            self._origin = self.time
            self.shots.append(Shots(self.time, (), (), following.marker))
        self._now = replace(following, reset=False)
        self._next = replace(self._now)

    def _turned(self, time: int) -> int:
        """Return the phase that the oscillator has run through at ``time``, without its offset."""
        return (self._offset + self._now.frequency * (time - self._zero)) % QUARTERS

    def _phase(self) -> int:
        return (self._turned(self.time) + self._now.phase * (QUARTERS // TURN)) % QUARTERS

    def _play(self, i: int, q: int, wait: int) -> None:
        for index in (i, q):
            if index not in self.lengths:
                raise ProgramError(f"there is no waveform {index}")
        if self.time < self._busy:
            raise ProgramError("a waveform begins while another one sounds, which this emulation does not cut")
        self._latch()
        burst = PlayedBurst(self._since(), i, q, self._now.gain, self._phase(), self._now.frequency)
        self._busy = self.time + max(self.lengths[i], self.lengths[q])
        self.shots[-1] = replace(self.shots[-1], bursts=(*self.shots[-1].bursts, burst))
        self._wait(wait)

    def _acquire(self, arguments: list[str]) -> None:
        acquisition = self._value(arguments[0])
        index = self._registers[_register(arguments[1])] if arguments[1][:1] == "R" else self._value(arguments[1])
        numbers = [self._value(one) for one in arguments[2:]]
        weights = (numbers[0], numbers[1]) if len(numbers) == 3 else None
        for weight in weights or ():
            if weight not in self.weights:
                raise ProgramError(f"there are no weights {weight}")
        length = self.integration if weights is None else max(self.weights[weight] for weight in weights)
        if self.time < self._window:
            raise ProgramError("a window begins while another one is open")
        self._latch()
        one = Integral(self._since(), acquisition, index, weights, self._phase(), self._now.frequency)
        self._window = self.time + length
        self.shots[-1] = replace(self.shots[-1], integrals=(*self.shots[-1].integrals, one))
        self._wait(numbers[-1])

    def _since(self) -> int:
        """Return the time since the shot's start."""
        if self._origin is None:
            raise ProgramError("nothing has reset the phase, so this is in no shot")
        return self.time - self._origin

    def _wait(self, duration: int) -> None:
        if not MIN_WAIT <= duration <= MAX_WAIT:
            raise ProgramError(f"waits {duration} ns, legal {MIN_WAIT} to {MAX_WAIT}")
        self.time += duration

    def _value(self, argument: str) -> int:
        """Return an argument of what is played: a register's then counts, whatever turn of a loop it is in."""
        if argument[:1] == "R":
            for used in self._used.values():
                used.add(_register(argument))
        return self._classic(argument)

    def _classic(self, argument: str) -> int:
        return self._registers[_register(argument)] if argument[:1] == "R" else int(argument)


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "asl": lambda a, b: a << (b & 31),
    "asr": lambda a, b: _signed(a) >> (b & 31),
}
_SETTERS = {"set_freq", "set_ph", "set_ph_delta", "set_awg_gain", "set_mrk", "reset_ph"}


def parse(text: str) -> tuple[list[tuple[int, str, list[str]]], dict[str, int]]:
    """Return (line, mnemonic, arguments) of each instruction, and the place of each label. Raises ProgramError."""
    code: list[tuple[int, str, list[str]]] = []
    labels: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _TOKEN.match(line.partition("#")[0].strip())
        if match is None:
            raise ProgramError(f"line {number}: not an instruction: {line[:80]}")
        label, name, arguments = match.groups()
        if label:
            labels[label] = len(code)
        if name:
            code.append((number, name, [one.strip() for one in arguments.split(",")] if arguments.strip() else []))
    if len(code) > INSTRUCTIONS:
        raise ProgramError(f"{len(code)} instructions, legal up to {INSTRUCTIONS}")
    return code, labels


def side_by_side(runs: Sequence[list[Shots]]) -> list[list[Shots]]:
    """Return the shots of several sequencers in groups of the same sizes.

    Raises :class:`ProgramError` unless all have as many shots, each with the same start and period.
    """
    ends = sorted({end for run in runs for end in accumulate(shots.count for shots in run)})
    found = []
    for run in runs:
        groups, at, left = [], 0, list(run)
        for end in ends:
            if not left:
                break
            first, count = left.pop(0), end - at
            if count < first.count:
                first, rest = first.split(count)
                left.insert(0, rest)
            groups.append(first)
            at = end
        found.append(groups)
    grids = [[(shots.start, shots.count, shots.period) for shots in groups] for groups in found]
    for number, grid in enumerate(grids):
        if grid != grids[0]:
            raise ProgramError(f"the shots of sequencer {number} are not those of sequencer 0, which is not emulated")
    return found


def _merged(first: Shots, second: Shots) -> Shots | None:
    """Return two groups of shots as one where they are alike, evenly spaced, and so are their bins; else None."""
    if first.period != second.period or not first.alike(second):
        return None
    integrals = []
    for a, b in zip(first.integrals, second.integrals, strict=True):
        step = a.step if first.count > 1 else b.bin - a.bin
        if b.bin != a.bin + step * first.count or (second.count > 1 and b.step != step):
            return None
        integrals.append(replace(a, step=step))
    return replace(first, integrals=tuple(integrals), count=first.count + second.count)


def _register(text: str) -> int:
    number = int(text[1:]) if text[:1] == "R" and text[1:].isdigit() else REGISTERS
    if number >= REGISTERS:
        raise ProgramError(f"no register {text}")
    return number


def _target(text: str, labels: dict[str, int]) -> int:
    if text[:1] != "@" or text[1:] not in labels:
        raise ProgramError(f"no label {text}")
    return labels[text[1:]]


def _signed(value: int) -> int:
    value %= _WORD
    return value - _WORD if value >= _WORD // 2 else value
