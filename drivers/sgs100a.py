"""Rohde & Schwarz SGS100A microwave source as local oscillator, by its stock QCoDeS driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcodes.instrument_drivers.rohde_schwarz import RohdeSchwarzSGS100A

from pulsed.drivers.base import CONDITION_QUERIES, ScpiDriver, SessionIO, qcodes_name
from pulsed.drivers.contract import Capabilities, InstrumentState, SourceSettings
from pulsed.drivers.scpi import Command, Session
from pulsed.drivers.steps import Steps, stepwise
from pulsed.model.errors import InstrumentLimitError


class _Sgs100a(SessionIO, RohdeSchwarzSGS100A):  # type: ignore[misc]  # qcodes is not followed by mypy
    """The stock driver over a session that is open."""

    def __init__(self, name: str, session: Session) -> None:
        self.session = session
        super().__init__(name, None, resource=session.resource, device_clear=False)


class Sgs100aDriver(ScpiDriver):
    """A local oscillator: frequency, power, on or off."""

    capabilities = Capabilities(min_frequency=1e6, max_frequency=12.75e9, power=(-120.0, 25.0))

    @stepwise
    def configure(self, settings: SourceSettings, deadline: float) -> Steps[None]:
        """Set frequency (Hz, to 0.01 Hz) and power (dBm, to 0.01 dB) and switch on; only differences are sent."""
        self.validate(settings)
        source = self._connected()
        frequency, power = round(settings.frequency, 2), round(settings.power, 2)
        yield from self._applying(
            (
                (source.frequency, frequency, f"SOUR:FREQ {frequency:.2f}"),
                (source.power, power, f"SOUR:POW {power:.2f}"),
                (source.status, True, ":OUTP:STAT 1"),
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

    @stepwise
    def status(self, deadline: float) -> Steps[InstrumentState]:
        """Ask whether it still is as it was set: raises when it is hot, unlocked, or was switched off and on."""
        self.check_conditions(*(yield from self._talking((), CONDITION_QUERIES, deadline)))
        return self._state

    def _make_instrument(self) -> Any:
        return _Sgs100a(qcodes_name(self.name), self.session)

    def _safe_commands(self) -> Sequence[Command]:
        return (":OUTP:STAT 0",)
