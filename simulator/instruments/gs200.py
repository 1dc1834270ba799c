"""A Yokogawa GS200 DC source, as far as its stock QCoDeS driver goes. Manual: docs/instruments/bias.md.

Programs run in real time: each step takes the interval, and the level goes there in the slope time at its beginning.
"""

from __future__ import annotations

import time

import numpy as np

from pulsed.simulator.instruments.faults import OVERHEATED
from pulsed.simulator.instruments.scpi import Command, RealParameter, ScpiError
from pulsed.simulator.instruments.settings import (
    SettingsInstrument,
    Value,
    choice,
    commands,
    integer,
    real,
    switch,
    without,
)

RANGES = {"VOLT": (10e-3, 100e-3, 1.0, 10.0, 30.0), "CURR": (1e-3, 10e-3, 100e-3, 200e-3)}
_ABOVE, _MOST = 1.2, {"VOLT": 32.0, "CURR": 0.2}
"""A level may be this much of its range, up to so many V or A."""
LINE_RESISTANCE = 1e3
"""Ohm, of a flux line's filter."""
_END_OF_PROGRAM = 1 << 7
_AT_REST, _EMERGENCY = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 8, 1 << 13
"""Of the condition register: no measurement, storage, file or program is under way, and no sampling error."""
SETTINGS = (
    switch("output", "OUTPut[:STATe]"),
    choice("function", "[SOURce]:FUNCtion", "VOLTage", "CURRent"),
    integer("voltage_limit", "[SOURce]:PROTection:VOLTage", 1, 30, 30),
    real("current_limit", "[SOURce]:PROTection:CURRent", 1e-3, 0.2, 0.2),
    switch("remote_sense", "SENSe:REMote"),
    switch("guard", "SENSe:GUARd"),
    choice("bnc_out", "ROUTe:BNCOut", "TRIGger", "OUTPut", "READy"),
    choice("bnc_in", "ROUTe:BNCIn", "TRIGger", "OUTPut"),
    real("interval", "PROGram:INTerval", 0.1, 3600, 1),
    real("slope", "PROGram:SLOPe", 0, 3600, 1),
    switch("repeat", "PROGram:REPeat"),
)


class VirtualGs200(SettingsInstrument):
    """One GS200."""

    SETTINGS = SETTINGS
    abilities = frozenset()
    now = staticmethod(time.monotonic)

    def clear_memory(self) -> None:
        """Set every value to what it is after reset, and forget the program."""
        super().clear_memory()
        self._level: float = 0.0
        self._running: tuple[list[float], list[float]] | None = None
        """Times and levels between which a program goes; None: none runs."""
        self.range, self.level = 10.0, 0.0
        self._program: list[float] = []
        self._editing = False
        self._events = 0

    @property
    def level(self) -> float:
        """What it makes while its output is on, V or A; changes while a program runs."""
        if self._running is None:
            return self._level
        times, levels = self._running
        level = float(np.interp(self.now(), times, levels))
        if self.now() >= times[-1]:
            self._level, self._running = level, None
            self._events |= _END_OF_PROGRAM
        return level

    @level.setter
    def level(self, value: float) -> None:
        self._level, self._running = value, None

    @property
    def out(self) -> float:
        """What flows, V or A: the level while the output is on, else 0."""
        return self.level if self.values["output"] else 0.0

    @property
    def current(self) -> float:
        """What flows through a flux line (A); a voltage drives it through the line's resistor."""
        return self.out / (LINE_RESISTANCE if self.values["function"] == "VOLT" else 1.0)

    def switch_off(self) -> None:
        """Switch the output off."""
        self.values["output"] = False

    def change(self, name: str, value: Value) -> None:
        """Set a value. The function cannot change while the output is on, and comes with its largest range at zero."""
        if name == "output" and value:
            self.check_health(OVERHEATED)
        if name == "function":
            if self.values["output"]:
                raise ScpiError(-221, "not while the output is on")
            self.range, self.level = RANGES[str(value)][-1], 0.0
        super().change(name, value)

    def _legal(self) -> tuple[float, ...]:
        return RANGES[str(self.values["function"])]

    def _set_range(self, value: float) -> None:
        fitting = [limit for limit in self._legal() if limit >= value * (1 - 1e-9)]
        if not fitting:
            raise ScpiError(-222, f"range {value:g}, legal up to {self._legal()[-1]:g}")
        if abs(self.level) > self._most(fitting[0]):
            raise ScpiError(-221, f"the level {self.level:g} is beyond range {fitting[0]:g}")
        self.range = fitting[0]

    def _most(self, limit: float) -> float:
        return min(_ABOVE * limit, _MOST[str(self.values["function"])])

    def _check(self, level: float, limit: float) -> None:
        if abs(level) > self._most(limit):
            raise ScpiError(-222, f"level {level:g}, legal up to {self._most(limit):g} in range {limit:g}")

    def _set_level(self, level: float) -> None:
        self._check(level, self.range)
        if self._editing:
            self._program.append(level)
        else:
            self.level = level

    def _set_level_auto(self, level: float) -> None:
        fitting = [limit for limit in self._legal() if abs(level) <= self._most(limit)]
        self._check(level, self._legal()[-1])
        self.range, self.level = fitting[0], level

    def _edit(self, on: bool) -> None:
        self._editing = on
        if on:
            self._program = []

    def _run(self) -> None:
        if not self._program:
            raise ScpiError(-221, "there is no program")
        interval, slope = self.number("interval"), self.number("slope")
        times, levels, begin = [], [self.level], self.now()
        for step in range(len(self._program)):
            at = begin + step * interval
            times += [at, at + min(slope, interval)]
            levels += [self._program[step]] * 2
        self._running = [*times, begin + len(self._program) * interval], levels

    def _read_events(self) -> str:
        _ = self.level  # a program that has ended by now is one of the events
        value, self._events = self._events, 0
        return str(value)

    def _clear(self) -> None:
        self._clear_status()
        self._events = 0

    COMMANDS = (
        *without(
            SettingsInstrument.COMMANDS,
            "*CLS",
            "SYSTem:EPOCh?",
            "SYSTem:ERRor[:NEXT]?",
            "SYSTem:ERRor:ALL?",
            "SYSTem:ERRor:COUNt?",
            "STATus:QUEStionable:CONDition?",
        ),
        *commands(SETTINGS),
        Command("*CLS", _clear),
        Command("*OPT?", lambda _: "0"),
        Command("[SOURce]:RANGe", _set_range, (RealParameter("range", 0, 32),)),
        Command("[SOURce]:RANGe?", lambda self: f"{self.range:E}"),
        Command("[SOURce]:LEVel[:FIXed]", _set_level, (RealParameter("level", -32, 32),)),
        Command("[SOURce]:LEVel:AUTO", _set_level_auto, (RealParameter("level", -32, 32),)),
        Command("[SOURce]:LEVel?", lambda self: f"{self.level:E}"),
        Command("SYSTem:LFRequency?", lambda _: "50"),
        Command("STATus:EVENt?", _read_events),
        Command("STATus:CONDition?", lambda self: str(_AT_REST | _EMERGENCY * (OVERHEATED in self.faults.conditions))),
        Command("SYSTem:ERRor?", SettingsInstrument._next_error),
        Command("PROGram:EDIT:STARt", lambda self: self._edit(True)),
        Command("PROGram:EDIT:END", lambda self: self._edit(False)),
        Command("PROGram:RUN", _run),
        Command("PROGram:COUNt?", lambda self: str(max(1, len(self._program)))),
    )
