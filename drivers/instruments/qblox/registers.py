"""The registers of a sweep: what stands for a value that grows from point to point in a program."""

from __future__ import annotations

from dataclasses import dataclass

from pulsed.drivers.instruments.qblox.steps import MAX_WAIT, MIN_WAIT, TURN

REGISTERS = 64
_WORD = 1 << 32


class RegistersError(ValueError):
    """There are more values in a sweep than registers."""


class Registers:
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


@dataclass(frozen=True)
class Grows:
    """By how many ns a wait grows from point to point."""

    registers: Registers
    step: int = 0

    def split(self, wait: int) -> tuple[int, str]:
        """Return what is waited at every point, and what stands for the rest; ValueError when that is too long."""
        span = self.step * (self.registers.points - 1)
        always = min(wait, wait + span) - MIN_WAIT
        if always < MIN_WAIT or abs(span) > MAX_WAIT - MIN_WAIT:
            raise ValueError(f"a wait that grows from {wait} ns by {span} ns")
        return always, self.registers.value("wait", wait - always, self.step)
