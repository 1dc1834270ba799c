"""How a client asks its daemon."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from pulsed.client.replies import Reply
from pulsed.model.payload import Part
from pulsed.wire.base import Request


class Calls(ABC):
    """Root of the groups of calls: one request, one reply."""

    @abstractmethod
    def _call(
        self, reply: type[Reply], kind: type[Request], parts: Sequence[Part] = (), **fields: Any
    ) -> tuple[Reply, Sequence[Part]]:
        """Send a request, wait for its reply and return it with its parts. Raises the error that was answered."""

    def _ask(self, reply: type[Reply], kind: type[Request], **fields: Any) -> Reply:
        """As :meth:`_call`, without parts either way."""
        return self._call(reply, kind, **fields)[0]
