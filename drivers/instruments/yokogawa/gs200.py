"""Yokogawa GS200 DC source as bias source, by its stock QCoDeS driver (docs/instruments/bias.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcodes.instrument_drivers.yokogawa.Yokogawa_GS200 import YokogawaGS200

from pulsed.drivers.contract import BiasSettings, Capabilities, InstrumentState
from pulsed.drivers.scpi.driver import POWER_ON, ScpiDriver, StockSessionIO, qcodes_name
from pulsed.drivers.scpi.held_settings import HeldSetting, read_switch
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, io_coroutine
from pulsed.drivers.scpi.session import NEXT_ERROR, ScpiCommand
from pulsed.model.errors import (
    InstrumentError,
    InstrumentLimitError,
    InstrumentMemoryLostError,
    InstrumentOverheatedError,
)

RANGES: dict[str, tuple[float, ...]] = {"VOLT": (10e-3, 100e-3, 1.0, 10.0, 30.0), "CURR": (1e-3, 10e-3, 100e-3, 200e-3)}
"""V or A."""


_RESOLUTION = 2e-5
"""Of a range: more than half the last digit of the level."""
_EMERGENCY, _LIMITERS = 1 << 13, (1 << 10, 1 << 11)
"""Bits of the condition register: manual IM GS210-01EN, section 13.3.4."""


def _short(text: str) -> str:
    return text[:4].upper()


def _on_or_off(text: str) -> str:
    return "on" if read_switch(text) else "off"


class _Gs200(StockSessionIO, YokogawaGS200):  # type: ignore[misc]  # qcodes is not followed by mypy
    """The stock driver over a session that is open."""


class Gs200Driver(ScpiDriver):
    """A bias source: level, range, on or off."""

    error_query = NEXT_ERROR
    option_names = ()
    capabilities = Capabilities()

    @io_coroutine
    def configure(self, settings: BiasSettings, deadline: float) -> IoCoroutine[None]:
        """Set function, range and level and switch on; only differences are sent."""
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
        yield from self._applying(
            (
                HeldSetting(
                    source.source_mode, settings.function, f"SOUR:FUNC {settings.function}", "SOUR:FUNC?", _short
                ),
                HeldSetting(
                    source.voltage_range if volt else source.current_range,
                    limit,
                    f"SOUR:RANG {limit!r}",
                    "SOUR:RANG?",
                    float,
                ),
                HeldSetting(
                    source.voltage if volt else source.current,
                    float(settings.level),
                    f"SOUR:LEV {settings.level:.6e}",
                    "SOUR:LEV?",
                    float,
                    _RESOLUTION * limit,
                ),
                HeldSetting(source.output, "on", "OUTP 1", "OUTP?", _on_or_off),
            ),
            deadline,
        )

    def validate(self, work: BiasSettings) -> None:
        """Check function, range and level. Raises :class:`InstrumentLimitError`."""
        most = RANGES.get(work.function, (0.0,))[-1]
        unit = "V" if work.function == "VOLT" else "A"
        checks = (
            ("function", work.function, work.function in RANGES, ", ".join(RANGES)),
            ("range", f"{work.range:g} {unit}", 0 < work.range <= most, f"above 0 to {most:g} {unit}"),
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
