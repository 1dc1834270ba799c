"""Rohde & Schwarz SGS100A microwave source as local oscillator, by its stock QCoDeS driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcodes.instrument_drivers.rohde_schwarz import RohdeSchwarzSGS100A

from pulsed.drivers.contract import Capabilities, InstrumentState, SourceSettings
from pulsed.drivers.scpi.driver import CONDITION_QUERIES, ScpiDriver, StockSessionIO, qcodes_name
from pulsed.drivers.scpi.held_settings import HeldSetting, read_switch
from pulsed.drivers.scpi.io_coroutines import IoCoroutine, io_coroutine
from pulsed.drivers.scpi.session import ScpiCommand
from pulsed.model.errors import InstrumentLimitError

_ROUNDS = 0.006
"""Hz and dB: what is sent has two decimals."""


class _Sgs100a(StockSessionIO, RohdeSchwarzSGS100A):  # type: ignore[misc]  # qcodes is not followed by mypy
    """The stock driver over a session that is open."""


class Sgs100aDriver(ScpiDriver):
    """A local oscillator: frequency, power, on or off."""

    option_names = ()
    capabilities = Capabilities(min_frequency=1e6, max_frequency=12.75e9, power=(-120.0, 25.0))

    @io_coroutine
    def configure(self, settings: SourceSettings, deadline: float) -> IoCoroutine[None]:
        """Set frequency (Hz, to 0.01 Hz) and power (dBm, to 0.01 dB) and switch on; only differences are sent."""
        self.validate(settings)
        source = self._connected()
        frequency, power = round(settings.frequency, 2), round(settings.power, 2)
        yield from self._applying(
            (
                HeldSetting(source.frequency, frequency, f"SOUR:FREQ {frequency:.2f}", "SOUR:FREQ?", float, _ROUNDS),
                HeldSetting(source.power, power, f"SOUR:POW {power:.2f}", "SOUR:POW?", float, _ROUNDS),
                HeldSetting(source.status, True, "OUTP:STAT 1", "OUTP:STAT?", read_switch),
            ),
            deadline,
        )

    def validate(self, work: SourceSettings) -> None:
        """Check the ranges. Raises :class:`InstrumentLimitError`."""
        can = self.capabilities
        for what, value, low, high, unit in (
            ("frequency", work.frequency, can.min_frequency, can.max_frequency, "Hz"),
            ("power", work.power, *can.power, "dBm"),
        ):
            if not low <= value <= high:
                raise InstrumentLimitError(
                    f"the {what} is out of range",
                    subject=self.subject,
                    value=f"{value:.12g} {unit}",
                    legal=f"{low:.6g} to {high:.6g} {unit}",
                )

    @io_coroutine
    def status(self, deadline: float) -> IoCoroutine[InstrumentState]:
        """Ask whether it still is as it was set.

        Raises when it is hot, unlocked, was switched off and on, or changed by somebody else.
        """
        answers = yield from self._talking((), (*CONDITION_QUERIES, *self._held_queries), deadline)
        self.check_conditions(*answers[: len(CONDITION_QUERIES)])
        self._check_held(answers[len(CONDITION_QUERIES) :])
        return self._state

    def _make_instrument(self) -> Any:
        return _Sgs100a(qcodes_name(self.name), self.session)

    def _safe_commands(self) -> Sequence[ScpiCommand]:
        return ("OUTP:STAT 0",)
