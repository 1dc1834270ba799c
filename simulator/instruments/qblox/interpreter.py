"""Q1ASM executed: what one sequencer plays and integrates, shot by shot, identical shots once.

Of the instruction set version 1 that of a sequencer without waits for triggers and TTL. A shot begins where the phase
of the oscillator is reset. A loop whose turns differ in nothing but the bins of their integrals is executed twice; what
is left of it is counted. What a condition decides is executed both ways, until both are alike again. Times are ns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import product

from pulsed.simulator.instruments.qblox.pipeline import SETTERS, WORD, Pipeline, joined, signed
from pulsed.simulator.instruments.qblox.shots import Asked, Counted, PlayedBurst, ProgramError, Shots, merged

INSTRUCTIONS, REGISTERS = 16384, 64
ADDRESSES = 15
_MOST_STEPS = 20_000_000
_TOKEN = re.compile(r"^(?:(\w+):)?\s*(?:(\w+)\s*(.*))?$")


@dataclass
class _LoopTurn:
    """The state of a loop when its instruction is reached."""

    registers: list[int]
    shots: int
    time: int


@dataclass(frozen=True)
class _Condition:
    """What instructions wait for: counters by the bits of ``mask`` under an operator, and ns if it does not hold."""

    mask: int
    operator: int
    otherwise: int


class Sequencer:
    """One run of a program.

    ``lengths``: samples of the waveforms by index. ``integration``: of an unweighed integral. ``weights``: of the
    weights by index. ``inverted``: addresses whose counters are. ``forgets``: whether what is set of the oscillator is
    dropped with the instruction that a condition skips, else it waits for the next one.
    """

    def __init__(
        self, lengths: Mapping[int, int], integration: int = 1024, weights: Mapping[int, int] | None = None,
        inverted: Collection[int] = (), forgets: bool = False,
    ) -> None:  # fmt: skip
        self.shots: list[Shots] = []
        self._inverted, self._forgets = inverted, forgets
        self._ways = [Pipeline(lengths, weights or {}, integration)]
        self._registers = [0] * REGISTERS
        self._used: dict[int, set[int]] = {}  # registers that what is played depends on, by open loop
        self._turns: dict[int, _LoopTurn] = {}
        self._condition: _Condition | None = None
        self._counts = False
        self._since: int | None = None  # when the counters were set to 0 in this shot

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
        ends = [shots.start for shots in self.shots[1:]] + [self._only_way().time]
        for one, end in zip(self.shots, ends, strict=True):
            bursts = _simplified(one.bursts)
            shots = replace(one, bursts=bursts, period=(end - one.start) // one.count)
            last = found[-1] if found else None
            together = None if last is None else merged(last, shots)
            if together is not None:
                found[-1] = together
            else:
                found.append(shots)
        return found

    def _only_way(self) -> Pipeline:
        """Return the one way that a run can go."""
        if len(self._ways) > 1:
            one = joined(self._ways)
            if one is None:
                raise ProgramError("what a condition decides does not take equally long, which is not emulated")
            self._ways = [one]
        return self._ways[0]

    # --- instructions --------------------------------------------------------------------------------------------

    def _step(self, at: int, name: str, arguments: list[str], labels: dict[str, int]) -> int:
        """Carry out one instruction and return the place of the next."""
        if name in _ARITHMETIC:
            a, b = self._classic(arguments[0]), self._classic(arguments[1])
            self._registers[_register(arguments[2])] = _ARITHMETIC[name](a, b) % WORD
        elif name == "move":
            self._registers[_register(arguments[1])] = self._classic(arguments[0]) % WORD
        elif name == "not":
            self._registers[_register(arguments[1])] = self._classic(arguments[0]) ^ (WORD - 1)
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
        if name in SETTERS:
            for way in self._ways:
                way.set(name, values)
        elif name == "set_cond":
            self._ask(*values)
        elif name in ("wait_sync", "set_latch_en", "latch_rst"):
            self._unconditional(name, values)
        elif name in ("wait", "upd_param", "play"):
            for way in self._playing_ways():
                self._carry_out(way, name, values)
        else:
            raise ProgramError("not carried out by this emulation")

    def _carry_out(self, way: Pipeline, name: str, values: list[int]) -> None:
        if name == "play":
            burst = way.play(values[0], values[1])
            self.shots[-1] = replace(self.shots[-1], bursts=(*self.shots[-1].bursts, burst))
        elif name == "upd_param":
            if way.next.reset and (len(self._ways) > 1 or self._condition):
                raise ProgramError("a shot begins on a condition, which is not emulated")
            if way.latch():
                self.shots.append(Shots(way.time, (), (), way.now.marker))
                self._since = None
        way.wait(values[-1])

    def _unconditional(self, name: str, values: list[int]) -> None:
        """Carry out what no condition skips."""
        way = self._only_way()
        if name == "wait_sync":
            if self.shots:
                raise ProgramError("waits for the others after it has begun, which is not emulated")
            way.time = way.zero = 0
        elif name == "set_latch_en":
            self._counts = bool(values[0])
        else:
            self._since = way.since
        way.wait(values[-1])

    def _acquire(self, arguments: list[str]) -> None:
        acquisition = self._value(arguments[0])
        index = self._registers[_register(arguments[1])] if arguments[1][:1] == "R" else self._value(arguments[1])
        numbers = [self._value(one) for one in arguments[2:]]
        weights = (numbers[0], numbers[1]) if len(numbers) == 3 else None
        if self._condition:
            raise ProgramError("an integral on a condition, which is not emulated")
        way = self._only_way()
        one = way.acquire(acquisition, index, weights)
        self.shots[-1] = replace(self.shots[-1], integrals=(*self.shots[-1].integrals, one))
        way.wait(numbers[-1])

    # --- conditions ----------------------------------------------------------------------------------------------

    def _ask(self, enabled: int, mask: int, operator: int, otherwise: int) -> None:
        """Have what follows wait for counters, or no longer."""
        self._condition = None
        if enabled:
            if not 0 < mask < 1 << ADDRESSES or operator >= len(_OPERATORS):
                raise ProgramError(f"no such condition: mask {mask}, operator {operator}")
            if not self._counts:
                raise ProgramError("the counters of triggers are not enabled")
            if self._since is None:
                raise ProgramError("asks for counters that were not set to 0 in this shot, which is not emulated")
            self._condition = _Condition(mask, operator, otherwise)
        elif len(self._ways) > 1:
            one = joined(self._ways)
            self._ways = self._ways if one is None else [one]

    def _playing_ways(self) -> list[Pipeline]:
        """Return the ways on which the next instruction is carried out; on the others it is waited instead."""
        condition = self._condition
        if condition is None:
            return self._ways
        assert self._since is not None, "who asks has set the counters to 0"
        counters = [Counted(k + 1, self._since) for k in range(ADDRESSES) if condition.mask >> k & 1]
        ways: list[Pipeline] = []
        for way in self._ways:
            self._note(counters, way.since)
            open_ = [one for one in counters if one not in way.known]
            answers = product((False, True), repeat=len(open_))
            ways += [way.way(dict(zip(open_, answer, strict=True))) for answer in answers] if open_ else [way]
        self._ways = ways
        playing = []
        for way in ways:
            if _OPERATORS[condition.operator]([way.known[c] != (c.address in self._inverted) for c in counters]):
                playing.append(way)
            else:
                way.skip(condition.otherwise, self._forgets)
        return playing

    def _note(self, counters: list[Counted], time: int) -> None:
        """Note when counters are asked for."""
        asked = {one.counter: one for one in self.shots[-1].asked}
        for counter in counters:
            known = asked.get(counter, Asked(counter, time, time))
            asked[counter] = Asked(counter, min(known.first, time), max(known.last, time))
        self.shots[-1] = replace(self.shots[-1], asked=tuple(asked.values()))

    # --- loops ---------------------------------------------------------------------------------------------------

    def _loop(self, at: int, register: int, target: int) -> int:
        """Go on with a loop; when its last two turns are alike, count the turns that are left."""
        left = (self._registers[register] - 1) % WORD
        self._registers[register] = left
        before = self._turns.get(at)
        self._turns[at] = _LoopTurn(list(self._registers), len(self.shots), self._only_way().time)
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
        return not changed & used and other.start - one.start == self._ways[0].time - before.time

    def _fold(self, before: _LoopTurn, register: int, left: int) -> None:
        last, first = self.shots.pop(), self.shots.pop()
        steps = [b.bin - a.bin for a, b in zip(first.integrals, last.integrals, strict=True)]
        integrals = tuple(replace(one, step=step) for one, step in zip(first.integrals, steps, strict=True))
        self.shots.append(replace(first, integrals=integrals, count=left + 2))
        for k in range(REGISTERS):
            change = self._registers[k] - before.registers[k]
            self._registers[k] = (self._registers[k] + left * change) % WORD
        self._registers[register] = 0
        self._ways[0].shift(left * (self._ways[0].time - before.time))

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
    "asr": lambda a, b: signed(a) >> (b & 31),
}
_OPERATORS: tuple[Callable[[list[bool]], bool], ...] = (
    any, lambda v: not any(v), all, lambda v: not all(v), lambda v: sum(v) % 2 == 1, lambda v: sum(v) % 2 == 0,
)  # fmt: skip


def _simplified(bursts: tuple[PlayedBurst, ...]) -> tuple[PlayedBurst, ...]:
    """Return bursts in order of time, those as one that are alike whatever some counter says."""
    found = list(bursts)
    k = 0
    while k < len(found):
        one = found[k]
        for counter, came in one.condition:
            other = tuple((c, v != (c == counter)) for c, v in one.condition)
            twin = replace(one, condition=other)
            if twin in found:
                found.remove(twin)
                k = found.index(one)
                found[k] = replace(one, condition=tuple(x for x in one.condition if x != (counter, came)))
                k = -1
                break
        k += 1
    return tuple(sorted(found, key=lambda burst: burst.time)) if any(b.condition for b in bursts) else bursts


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


def _register(text: str) -> int:
    number = int(text[1:]) if text[:1] == "R" and text[1:].isdigit() else REGISTERS
    if number >= REGISTERS:
        raise ProgramError(f"no register {text}")
    return number


def _target(text: str, labels: dict[str, int]) -> int:
    if text[:1] != "@" or text[1:] not in labels:
        raise ProgramError(f"no label {text}")
    return labels[text[1:]]
