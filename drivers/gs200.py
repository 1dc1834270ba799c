"""Yokogawa GS200 DC source as bias source, by its stock QCoDeS driver (docs/instruments/bias.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcodes.instrument_drivers.yokogawa.Yokogawa_GS200 import YokogawaGS200

from pulsed.drivers.base import CONDITION_QUERIES, ScpiDriver, SessionIO, qcodes_name
from pulsed.drivers.contract import BiasSettings, Capabilities, InstrumentState
from pulsed.drivers.scpi import Command, Session
from pulsed.drivers.steps import Steps, stepwise
from pulsed.model.errors import InstrumentLimitError

RANGES: dict[str, tuple[float, ...]] = {"VOLT": (10e-3, 100e-3, 1.0, 10.0, 30.0), "CURR": (1e-3, 10e-3, 100e-3, 200e-3)}
"""V or A."""


class _Gs200(SessionIO, YokogawaGS200):  # type: ignore[misc]  # qcodes is not followed by mypy
    """The stock driver over a session that is open."""

    def __init__(self, name: str, session: Session) -> None:
        self.session = session
        super().__init__(name, None, resource=session.resource, device_clear=False)


class Gs200Driver(ScpiDriver):
    """A bias source: level, range, on or off."""

    capabilities = Capabilities()

    @stepwise
    def configure(self, settings: BiasSettings, deadline: float) -> Steps[None]:
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
                (source.voltage_range if volt else source.current_range, limit, f"SOUR:RANG {limit!r}"),
                (source.voltage if volt else source.current, settings.level, f"SOUR:LEV {settings.level:.6e}"),
                (source.output, "on", "OUTP 1"),
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

    @stepwise
    def status(self, deadline: float) -> Steps[InstrumentState]:
        """Ask whether it still is as it was set: raises when it is hot, or was switched off and on."""
        self.check_conditions(*(yield from self._talking((), CONDITION_QUERIES, deadline)))
        return self._state

    def _make_instrument(self) -> Any:
        return _Gs200(qcodes_name(self.name), self.session)

    def _safe_commands(self) -> Sequence[Command]:
        return ("OUTP 0",)
