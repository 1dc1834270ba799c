"""Requests about interlocks."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer
from pulsed.daemon.jobs.interlocks import Interlocks
from pulsed.model.payload import Part
from pulsed.wire.interlock_messages import InterlocksReply, RearmInterlock
from pulsed.wire.messages import AnyRequest


class InterlockHandlers:
    """Serves the requests about interlocks."""

    def __init__(self, interlocks: Interlocks) -> None:
        self._interlocks = interlocks
        self.handlers: dict[type[AnyRequest], Handler] = {RearmInterlock: self._rearm}

    async def _rearm(self, message: RearmInterlock, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        await self._interlocks.rearm(message.name, message.reason, peer.named)
        return InterlocksReply(message.id, self._interlocks.status()), ()
