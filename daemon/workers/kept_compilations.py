"""What was compiled lately, by content: a program that is run again and again goes to the compile worker once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from pulsed.daemon.workers import messages
from pulsed.model.payload import Part

KEPT = 8 << 20
"""Bytes of what is kept."""
ENTRY = 4096
"""Bytes that one compilation takes beside its chunks: the answer, its key and their place."""
SMALL = 1 << 16
"""Bytes of a submission, and of its chunks, up to which they are kept: what is larger takes long to play."""

Compilation = tuple[messages.Compiled, Sequence[Part]]
"""The answer of the compile worker and the parts of all chunks."""


class KeptCompilations:
    """Compilations of one device description; the ones used last stay."""

    def __init__(self, limit: int = KEPT) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Compilation] = OrderedDict()
        self._bytes = 0

    def key(self, request: messages.Compile, parts: Sequence[Part]) -> bytes:
        """Return a hash of all that decides what is compiled; empty for what is not kept."""
        if _size(parts) > SMALL:
            return b""
        content = hashlib.blake2b(digest_size=16)
        for part in (messages.encode(msgspec.structs.replace(request, job_id="")), *parts):
            content.update(memoryview(part).nbytes.to_bytes(8, "little"))
            content.update(part)
        return content.digest()

    def find(self, key: bytes, job_id: str) -> Compilation | None:
        """Return what was compiled of this content, as the answer for ``job_id``; None when it is not kept."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return msgspec.structs.replace(found[0], job_id=job_id, seconds=0.0), found[1]

    def keep(self, key: bytes, compiled: Compilation) -> None:
        """Keep what was compiled of a content."""
        size = _size(compiled[1])
        if not key or size > SMALL or key in self._kept:
            return
        self._kept[key] = compiled
        self._bytes += ENTRY + size
        while self._bytes > self._limit:
            self._bytes -= ENTRY + _size(self._kept.popitem(last=False)[1][1])


def _size(parts: Sequence[Part]) -> int:
    return sum(memoryview(part).nbytes for part in parts)
