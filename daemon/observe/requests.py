"""What clients ask of those that watch the daemon."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer
from pulsed.daemon.observe.alert_center import AlertCenter
from pulsed.model.payload import Part
from pulsed.wire.messages import AnyRequest
from pulsed.wire.observation_messages import AlertsReply, GetAlerts, TestAlerts


class ObservationHandlers:
    """Serves the requests about alerts."""

    def __init__(self, alerts: AlertCenter) -> None:
        self._alerts = alerts
        self.handlers: dict[type[AnyRequest], Handler] = {GetAlerts: self._tell, TestAlerts: self._test}

    def _tell(self, message: GetAlerts, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        return AlertsReply(message.id, self._alerts.active, self._alerts.receivers), ()

    async def _test(self, message: TestAlerts, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        receivers = await self._alerts.test(peer.user)
        return AlertsReply(message.id, self._alerts.active, receivers), ()
