"""What a client asks of interlocks."""

from __future__ import annotations

from pulsed.client.calls import Calls
from pulsed.model.interlock_status import InterlockStatus
from pulsed.wire.interlock_messages import InterlocksReply, RearmInterlock


class InterlockCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about interlocks; how they are says the status."""

    def rearm_interlock(self, name: str, reason: str) -> tuple[InterlockStatus, ...]:
        """Arm an interlock again that has tripped, as an operator; return all. It is durable when this returns.

        Raises :class:`InterlockError` while its value is out of limits or cannot be read.
        """
        return self._ask(InterlocksReply, RearmInterlock, name=name, reason=reason).interlocks
