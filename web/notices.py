"""What changed, told to every open page: numbered, so that a page that slept catches up."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from pulsed.web.numbers import whole

TOPICS = ("daemon", "rack", "queue", "progress", "calibration", "measurement", "notes", "tasks")
"""What a page may follow."""
SPACING = 0.2
"""Seconds between two notices to one page."""
SILENCE = 15.0
"""Seconds after which a page hears something although nothing changed, so that both sides notice a dead connection."""


class Notice(NamedTuple):
    """What changed up to a moment, and the name of that moment."""

    mark: str
    topics: tuple[str, ...]


class Notices:
    """The number of the last change of each topic. Pages are not kept: each asks for what came after its own mark."""

    def __init__(self) -> None:
        self._start = secrets.token_hex(4)
        self._numbers = itertools.count(1)
        self._changed = dict.fromkeys(TOPICS, 0)
        self._last = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self.listeners = 0
        """Pages that are open."""

    def open(self) -> None:
        """Begin; called in the event loop of the pages."""
        self._loop = asyncio.get_running_loop()

    def tell(self, *topics: str) -> None:
        """Say that something changed, from any thread."""
        for topic in topics:
            self._changed[topic] = self._last = next(self._numbers)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    @property
    def mark(self) -> str:
        """The name of this moment, for a page that is made now."""
        return f"{self._start}-{self._last}"

    def since(self, mark: str) -> Notice:
        """Return what changed after ``mark``; everything after one that is not of this process."""
        start, _, number = mark.partition("-")
        known = whole(number) if start == self._start else None
        after = -1 if known is None else known
        return Notice(self.mark, tuple(topic for topic, last in self._changed.items() if last > after))

    async def listen(self, mark: str, goes_on: Callable[[], bool]) -> AsyncIterator[Notice]:
        """Yield what changes after ``mark``, at most every :data:`SPACING` seconds, while ``goes_on``."""
        event = asyncio.Event()
        self._waiting.add(event)
        self.listeners += 1
        try:
            while goes_on():
                event.clear()
                notice = self.since(mark)
                if notice.topics:
                    mark = notice.mark
                    yield notice
                    await asyncio.sleep(SPACING)
                    continue
                try:
                    await asyncio.wait_for(event.wait(), SILENCE)
                except TimeoutError:
                    yield notice
        finally:
            self._waiting.discard(event)
            self.listeners -= 1

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()
