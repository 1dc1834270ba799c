"""Requests about sessions and batches."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer, check_backend, check_limit
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.model.payload import Part
from pulsed.wire.messages import AnyRequest
from pulsed.wire.roles import check_owner
from pulsed.wire.session_messages import (
    CloseSession,
    GetSession,
    GetSessions,
    OpenSession,
    SessionReply,
    SessionsReply,
)


class SessionHandlers:
    """One handler per request."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.handlers: dict[type[AnyRequest], Handler] = {
            OpenSession: self._open,
            CloseSession: self._close,
            GetSession: self._get,
            GetSessions: self._list,
        }

    async def _open(self, message: OpenSession, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        device = self.jobs.device
        check_backend(message.backend, device.name)
        opened = await self.jobs.sessions.open(
            message.session_id,
            message.mode,
            message.max_time,
            peer.user,
            device.name,
            device.limits,
            message.start,
        )
        return SessionReply(message.id, opened), ()

    async def _close(self, message: CloseSession, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        info = await self.jobs.sessions.find(message.session_id)
        check_owner(info.session_id, info.owner, peer.user, peer.role, "session")
        return SessionReply(message.id, self.jobs.close_session(info, peer.user, cancel=message.cancel)), ()

    async def _get(self, message: GetSession, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        return SessionReply(message.id, await self.jobs.sessions.look_up(message.session_id)), ()

    async def _list(self, message: GetSessions, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        found = await self.jobs.sessions.listed(ended=message.ended, limit=message.limit)
        return SessionsReply(message.id, tuple(found)), ()
