"""Requests about single instruments: they wait for no job, and no job waits for them long."""

from __future__ import annotations

from collections.abc import Sequence

from pulsed.daemon import logs
from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.daemon.workers.rack_connection import RackConnection
from pulsed.model.errors import BusyError, NotAllowedError
from pulsed.model.payload import Part
from pulsed.wire.instrument_messages import InstrumentReply, UseInstrument
from pulsed.wire.messages import AnyRequest
from pulsed.wire.roles import OTHERS_JOBS, SETTINGS

_SECONDS = 5.0
"""For an instrument to answer, while a client waits."""


class InstrumentHandlers:
    """Serves them."""

    def __init__(self, jobs: Jobs, rack: RackConnection) -> None:
        self._jobs, self._rack = jobs, rack
        self.handlers: dict[type[AnyRequest], Handler] = {UseInstrument: self._use}

    async def _use(self, message: UseInstrument, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        self._check_right(message, peer)
        if self._jobs.running or self._rack.client.rpc.turn.locked():
            raise BusyError(
                "the rack is in use, and nobody turns a knob under a job", subject=f"instrument {message.instrument}",
                value=f"job {self._jobs.running}" if self._jobs.running else "in a moment",
                legal="while no job plays: wait, or take a session",
            )  # fmt: skip
        await self._rack.recovered(_SECONDS)
        readings = await self._rack.client.use_front_panel(
            message.instrument, message.settings, message.reading, _SECONDS
        )
        if message.settings:
            logs.get("rack").warning(
                "set by hand", user=peer.user, instrument=message.instrument, settings=dict(message.settings)
            )
        return InstrumentReply(message.id, readings), ()

    def _check_right(self, message: UseInstrument, peer: Peer) -> None:
        """Raise :class:`NotAllowedError` for somebody who neither is an operator nor has the rack."""
        holder = self._jobs.sessions.holder
        if holder is not None and holder.owner != peer.user and peer.role < OTHERS_JOBS:
            raise NotAllowedError(
                f"the session of {holder.owner} holds the rack", subject=f"key {peer.user}", value=message.instrument
            )
        if holder is None and peer.role < SETTINGS:
            raise NotAllowedError(
                f"the role {peer.role} may not use an instrument without a session", subject=f"key {peer.user}",
                value=message.instrument, legal=f"from {SETTINGS} on, or while a session of yours holds the rack",
            )  # fmt: skip
