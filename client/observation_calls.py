"""What a client asks of those that watch the daemon, and of single instruments."""

from __future__ import annotations

from collections.abc import Mapping

from pulsed.client.calls import Calls
from pulsed.wire.instrument_messages import InstrumentReply, UseInstrument
from pulsed.wire.observation_messages import AlertsReply, GetAlerts, TestAlerts


class ObservationCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about alerts and single instruments."""

    def alerts(self) -> AlertsReply:
        """Return what is wrong with the daemon, and who is told of it."""
        return self._ask(AlertsReply, GetAlerts)

    def test_alerts(self) -> AlertsReply:
        """Have a test message sent to everybody who is told; return what came of it."""
        return self._ask(AlertsReply, TestAlerts)

    def use_instrument(
        self, instrument: str, settings: Mapping[str, float] | None = None, reading: str = ""
    ) -> dict[str, str]:
        """Set something of an instrument, while no job plays, and return what it answers.

        ``settings`` are those of a job, ``{"oscillators.drive.power": -10.0}``; they hold until the next job, which
        sets what it needs. ``reading`` is a parameter of its QCoDeS driver; without, all that it was set to is read.
        """
        fields = {"instrument": instrument, "settings": dict(settings or {}), "reading": reading}
        return self._ask(InstrumentReply, UseInstrument, **fields).readings
