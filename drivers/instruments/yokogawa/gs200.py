"""Yokogawa GS200 DC source as bias source, by its stock QCoDeS driver (docs/instruments/bias.md)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from qcodes.instrument_drivers.yokogawa.Yokogawa_GS200 import YokogawaGS200

from pulsed.drivers.contract import BiasSettings, Capabilities, InstrumentState, remaining
from pulsed.drivers.scpi.driver import POWER_ON, ScpiDriver, StockSessionIO, qcodes_name
from pulsed.drivers.scpi.held_settings import HeldSetting, read_switch
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, io_coroutine, run_to_end
from pulsed.drivers.scpi.session import NEXT_ERROR, ScpiCommand
from pulsed.model.device import InstrumentDescription
from pulsed.model.errors import (
    InstrumentDataError,
    InstrumentError,
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentOverheatedError,
    InstrumentTimeoutError,
)

RANGES: dict[str, tuple[float, ...]] = {"VOLT": (10e-3, 100e-3, 1.0, 10.0, 30.0), "CURR": (1e-3, 10e-3, 100e-3, 200e-3)}
"""V or A."""


_RESOLUTION = 2e-5
"""Of a range: more than half the last digit of the level."""
_RAMP_STEP, _LONGEST_RAMP = 0.1, 3600.0
"""s: what the slope and the interval of a program are multiples of, and at most."""
_PROGRAM_ENDED = 1 << 7
"""Of the extended event register, section 13.3.3."""
_POLL_SECONDS, _TIME_TO_SWITCH_OFF = 0.02, 1.0
_EMERGENCY, _LIMITERS = 1 << 13, (1 << 10, 1 << 11)
"""Bits of the condition register: manual IM GS210-01EN, section 13.3.4."""


def _short(text: str) -> str:
    return text[:4].upper()


def _on_or_off(text: str) -> str:
    return "on" if read_switch(text) else "off"


def _level(parameter: Any, level: float, limit: float) -> HeldSetting:
    return HeldSetting(parameter, level, f"SOUR:LEV {level:.6e}", "SOUR:LEV?", float, _RESOLUTION * limit)


def _switched_on(source: Any) -> HeldSetting:
    return HeldSetting(source.output, "on", "OUTP 1", "OUTP?", _on_or_off)


class _Gs200(StockSessionIO, YokogawaGS200):  # type: ignore[misc]  # qcodes is not followed by mypy
    """The stock driver over a session that is open."""


class Gs200Driver(ScpiDriver):
    """A bias source: level, range, on or off."""

    error_query = NEXT_ERROR
    option_names = ()
    capabilities = Capabilities()

    def __init__(self, name: str, description: InstrumentDescription) -> None:
        super().__init__(name, description)
        self._slew: float | None = None
        """How fast what flows now may change."""

    @io_coroutine
    def configure(self, settings: BiasSettings, deadline: float) -> IoCoroutine[None]:
        """Set function, range and level and switch on; only differences are sent.

        With a slew rate the level is reached by a ramp from what flows, which is waited for.
        """
        self.validate(settings)
        source = self._connected()
        limit = next(limit for limit in RANGES[settings.function] if limit >= settings.range)
        volt = settings.function == "VOLT"
        changes = not (source.source_mode.cache.valid and source.source_mode.cache.get(False) == settings.function)
        if changes:
            # The output must be off for it; range and level are others afterwards.
            yield from self._talking(("OUTP 0", f"SOUR:FUNC {settings.function}"), (), deadline)
            self._forget_settings()
            source.source_mode.cache.set(settings.function)
        level = source.voltage if volt else source.current
        target = float(settings.level)
        held = (
            HeldSetting(source.source_mode, settings.function, f"SOUR:FUNC {settings.function}", "SOUR:FUNC?", _short),
            HeldSetting(
                source.voltage_range if volt else source.current_range,
                limit,
                f"SOUR:RANG {limit!r}",
                "SOUR:RANG?",
                float,
            ),
        )
        if settings.slew is not None and not (level.cache.valid and level.cache.get(False) == target):
            begin = yield from self._flowing(deadline)
            if not begin:
                yield from self._applying((*held, _level(level, 0.0, limit), _switched_on(source)), deadline)
            yield from self._ramping(begin, target, settings.slew, deadline)
            level.cache.set(target)
        self._slew = settings.slew
        yield from self._applying((*held, _level(level, target, limit), _switched_on(source)), deadline)

    def _flowing(self, deadline: float) -> IoCoroutine[float]:
        """Ask for the level that is at the terminals, V or A."""
        # The register is read for it to be empty when a program begins.
        on, level, _ = yield from self._talking((), ("OUTP?", "SOUR:LEV?", "STAT:EVEN?"), deadline)
        try:
            return float(level) if read_switch(on) else 0.0
        except ValueError:
            raise InstrumentDataError(
                "answers with something other than a level", subject=self.subject, value=f"{on}, {level}"[:80],
                legal="a switch and a number",
            ) from None  # fmt: skip

    def _ramping(self, begin: float, target: float, slew: float, deadline: float) -> IoCoroutine[None]:
        """Let the source itself go from level to level as a program of one step, and wait for its end."""
        seconds = math.ceil(abs(target - begin) / slew / _RAMP_STEP) * _RAMP_STEP
        if seconds > min(remaining(deadline), _LONGEST_RAMP):
            raise InstrumentTimeoutError(
                "the way to its level takes longer than there is time", subject=self.subject,
                value=f"{seconds:.1f} s from {begin:g} to {target:g}",
                legal=f"up to {min(remaining(deadline), _LONGEST_RAMP):.1f} s: a higher slew, or a nearer level",
            )  # fmt: skip
        yield from self._talking(
            (
                "PROG:REP 0", f"PROG:INT {max(seconds, _RAMP_STEP):.1f}", f"PROG:SLOP {seconds:.1f}", "PROG:EDIT:STAR",
                f"SOUR:LEV {target:.6e}", "PROG:EDIT:END", "PROG:RUN",
            ), (), deadline,
        )  # fmt: skip
        while True:
            (events,) = yield from self._talking((), ("STAT:EVEN?",), deadline)
            if events.isdigit() and int(events) & _PROGRAM_ENDED:
                return
            time.sleep(_POLL_SECONDS)

    def safe_state(self, deadline: float) -> None:
        """Bring the level to zero at its slew rate, or as slowly as there is time for, and switch off."""
        slew, self._slew = self._slew, None
        if slew is not None and self.session.is_open and self.instrument is not None:
            with suppress(InstrumentError):  # a source that does not answer is asked to switch off all the same
                run_to_end(self._going_to_zero(slew, deadline))
        super().safe_state(deadline)

    def _going_to_zero(self, slew: float, deadline: float) -> IoCoroutine[None]:
        begin = yield from self._flowing(deadline)
        time_left = max(_RAMP_STEP, remaining(deadline) - _TIME_TO_SWITCH_OFF)
        if begin:
            yield from self._ramping(begin, 0.0, max(slew, abs(begin) / time_left), deadline)

    def validate(self, work: BiasSettings) -> None:
        """Check function, range and level. Raises :class:`InstrumentLimitError`."""
        most = RANGES.get(work.function, (0.0,))[-1]
        unit = "V" if work.function == "VOLT" else "A"
        checks = (
            ("function", work.function, work.function in RANGES, ", ".join(RANGES)),
            ("range", f"{work.range:g} {unit}", 0 < work.range <= most, f"above 0 to {most:g} {unit}"),
            ("slew", f"{work.slew} {unit}/s", work.slew is None or 0 < work.slew < math.inf, f"above 0 {unit}/s"),
            ("level", f"{work.level:g} {unit}", abs(work.level) <= work.range, f"within {work.range:g} {unit}"),
        )
        for what, value, good, legal in checks:
            if not good:
                raise InstrumentLimitError(
                    f"the {what} is out of range", subject=self.subject, value=value, legal=legal
                )

    @io_coroutine
    def status(self, deadline: float) -> IoCoroutine[InstrumentState]:
        """Ask whether it still is as it was set.

        Raises when it reports an emergency or limits, was switched off and on, or was changed.
        """
        events, condition, *settings = yield from self._talking(
            (), ("*ESR?", "STAT:COND?", *self._held_queries), deadline
        )
        self.check_register(
            events, POWER_ON, InstrumentMemoryLostError, "was switched off and on, its settings are gone"
        )
        self.check_register(
            condition, _EMERGENCY, InstrumentOverheatedError, "reports an emergency: it is too hot or broken"
        )
        for bit in _LIMITERS:
            self.check_register(condition, bit, InstrumentError, "is limited: its level does not reach the line")
        self._check_held(settings)
        return self._state

    def _make_instrument(self) -> Any:
        return _Gs200(qcodes_name(self.name), self.session)

    def _safe_commands(self) -> Sequence[ScpiCommand]:
        return ("OUTP 0",)
