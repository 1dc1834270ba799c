"""Requests about the queue as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer, check_limit
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.model.errors import InvalidValueError
from pulsed.model.payload import Part
from pulsed.model.queue import QueueMode
from pulsed.wire.messages import AnyRequest
from pulsed.wire.queue_messages import GetQueue, QueueReply, SetQueue


class QueueHandlers:
    """One handler per request."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.handlers: dict[type[AnyRequest], Handler] = {GetQueue: self._get, SetQueue: self._set}

    def _get(self, message: GetQueue, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        return self._reply(message.id, message.limit), ()

    async def _set(self, message: SetQueue, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        if not message.stop:
            await self.jobs.modes.set(message.mode, message.reason, peer.named)
            return self._reply(message.id, 1), ()
        if message.mode is not QueueMode.PAUSED:
            raise InvalidValueError("only a queue that is paused is stopped", subject="queue", value=str(message.mode),
                                    legal=str(QueueMode.PAUSED))  # fmt: skip
        ended = list[str]()

        def stop() -> None:
            running = self.jobs.running
            if running and self.jobs.cancel(running, peer.named):
                ended.append(running)

        await self.jobs.modes.pause_now(message.reason, peer.named, stop)
        return msgspec.structs.replace(self._reply(message.id, 1), stopped="".join(ended)), ()

    def _reply(self, number: int, limit: int) -> QueueReply:
        entries, total = self.jobs.entries(limit)
        return QueueReply(number, self.jobs.modes.control, entries, total, tuple(self.jobs.accounts.listed()))
