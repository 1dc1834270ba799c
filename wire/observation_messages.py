"""Messages about alerts; they came with revision 1."""

from __future__ import annotations

from pulsed.model.alerts import Alert, Receiver
from pulsed.wire.base import Reply, Request


class GetAlerts(Request, frozen=True, tag="alerts"):
    """What is wrong, and who is told. Answered by :class:`AlertsReply`."""


class TestAlerts(Request, frozen=True, tag="alerts.test"):
    """Send a test message to everybody who is told. Answered by :class:`AlertsReply` when each has taken it or not."""

    __test__ = False


class AlertsReply(Reply, frozen=True, tag="alerts.reply"):
    """The alerts that are not over, and those who are told."""

    alerts: tuple[Alert, ...]
    receivers: tuple[Receiver, ...]
