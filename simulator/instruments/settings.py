"""Instruments that are mostly settings: each one a header, a parameter, and a value after reset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pulsed.simulator.instruments.scpi import (
    ChoiceParameter,
    Command,
    IntegerParameter,
    RealParameter,
    SwitchParameter,
    TextParameter,
)
from pulsed.simulator.instruments.virtual_instrument import VirtualInstrument

Value = float | bool | str


@dataclass(frozen=True)
class Setting:
    """One thing that can be set and asked for: header, parameter, value after reset."""

    name: str
    header: str
    parameter: RealParameter | IntegerParameter | SwitchParameter | ChoiceParameter | TextParameter
    default: Value


def switch(name: str, header: str, default: bool = False) -> Setting:
    """Return a setting that is ON or OFF."""
    return Setting(name, header, SwitchParameter(name), default)


def real(name: str, header: str, low: float, high: float, default: float) -> Setting:
    """Return a setting that is a number."""
    return Setting(name, header, RealParameter(name, low, high), float(default))


def integer(name: str, header: str, low: int, high: int, default: int) -> Setting:
    """Return a setting that is an integer."""
    return Setting(name, header, IntegerParameter(name, low, high), default)


def choice(name: str, header: str, *words: str) -> Setting:
    """Return a setting that is one of some words; the first one after reset."""
    parameter = ChoiceParameter(name, words)
    return Setting(name, header, parameter, parameter.parse(words[0].encode()))


def show(value: Value) -> str:
    """Return a value as it is answered: a switch as 1 or 0, text as it is, a number in decimal."""
    return str(int(value)) if isinstance(value, bool) else str(value)


class SettingsInstrument(VirtualInstrument):
    """Keeps ``SETTINGS``; :meth:`change` may refuse or act on one."""

    SETTINGS: ClassVar[tuple[Setting, ...]] = ()

    def clear_memory(self) -> None:
        """Set every value to what it is after reset."""
        self.values: dict[str, Value] = {setting.name: setting.default for setting in self.SETTINGS}

    def change(self, name: str, value: Value) -> None:
        """Set a value; ScpiError when it is refused now."""
        self.values[name] = value

    def number(self, name: str) -> float:
        """Return the value of a setting that is a number."""
        return float(self.values[name])


def without(table: Sequence[Command], *headers: str) -> tuple[Command, ...]:
    """Return the commands of ``table`` but those that this model of instrument does not have."""
    assert {*headers} <= {command.header for command in table}
    return tuple(command for command in table if command.header not in headers)


def commands(settings: tuple[Setting, ...]) -> Iterator[Command]:
    """Yield a command and a query for each setting."""
    for setting in settings:

        def store(self: SettingsInstrument, value: Value, name: str = setting.name) -> None:
            self.change(name, value)

        def ask(self: SettingsInstrument, name: str = setting.name) -> str:
            return show(self.values[name])

        yield Command(setting.header, store, (setting.parameter,))
        yield Command(setting.header + "?", ask)
