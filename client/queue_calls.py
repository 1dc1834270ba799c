"""What a client asks of the queue as a whole."""

from __future__ import annotations

from pulsed.client.calls import Calls
from pulsed.model.queue import QueueMode
from pulsed.wire.queue_messages import GetQueue, QueueReply, SetQueue


class QueueCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about the queue."""

    def queue(self, limit: int = 100) -> QueueReply:
        """Return the mode of the queue, its first ``limit`` jobs in order, and what each user has used of the rack.

        With each job comes what decides about its turn; ``total`` says how many there are.
        """
        return self._ask(QueueReply, GetQueue, limit=limit)

    def set_queue(self, mode: QueueMode, reason: str = "") -> QueueReply:
        """Begin another mode of the queue, as an operator; it is durable when this returns, and so is the reason."""
        return self._ask(QueueReply, SetQueue, mode=mode, reason=reason)

    def stop_now(self, reason: str) -> QueueReply:
        """Pause the queue and cancel the job on the rack in one request; ``stopped`` of the answer is that job."""
        return self._ask(QueueReply, SetQueue, mode=QueueMode.PAUSED, reason=reason, stop=True)
