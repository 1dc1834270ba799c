"""The mode of the queue: set by operators, with a reason, and kept for the next daemon."""

from __future__ import annotations

import time
from collections.abc import Callable

from pulsed.daemon import logs
from pulsed.daemon.jobs.registry import JobRegistry
from pulsed.model.errors import InvalidValueError, QueueClosedError
from pulsed.model.queue import QueueControl, QueueMode
from pulsed.store.store import Store

_LONGEST = 200
"""Letters of a reason."""


class QueueModes:
    """The mode of the queue of ``registry``; ``changed`` is called when another one has begun."""

    def __init__(self, registry: JobRegistry, changed: Callable[[], None]) -> None:
        self._registry, self._changed = registry, changed
        self.control = QueueControl()

    async def recover(self) -> None:
        """Take over the mode that the store has."""
        self.control = await self._registry.store.call(Store.queue_control)
        self._registry.queue.mode = self.control.mode

    async def set(self, mode: QueueMode, reason: str, user: str) -> QueueControl:
        """Begin a mode; it is durable when this returns. Raises :class:`InvalidValueError` for what is no reason."""
        control = self._control(mode, reason, user)
        await self._registry.store.write(Store.put_queue_control, control)
        self._begin(control)
        return control

    async def pause_now(self, reason: str, user: str, stop: Callable[[], None]) -> QueueControl:
        """Pause and call ``stop``, both at once; then write it down, for which the store may take its time.

        Raises :class:`InvalidValueError` for what is no reason; then nothing is stopped.
        """
        control = self._control(QueueMode.PAUSED, reason, user)
        self._begin(control)
        stop()
        await self._registry.store.write(Store.put_queue_control, control)
        return control

    @staticmethod
    def _control(mode: QueueMode, reason: str, user: str) -> QueueControl:
        if len(reason) > _LONGEST or not (reason.isprintable() or not reason):
            raise InvalidValueError(
                "not a reason", subject="reason", value=reason[:_LONGEST],
                legal=f"up to {_LONGEST} letters on one line",
            )  # fmt: skip
        return QueueControl(mode, reason, user, time.time())

    def _begin(self, control: QueueControl) -> None:
        self.control, self._registry.queue.mode = control, control.mode
        logs.get("queue").info("mode", mode=str(control.mode), reason=control.reason, user=control.by)
        self._registry.turns_changed()
        self._changed()

    def check_accepts(self, user: str) -> None:
        """Raise :class:`QueueClosedError` when the queue takes no job of ``user``."""
        mode = self.control.mode
        if mode.accepts or (mode is QueueMode.LOCKED and self._registry.accounts.is_operator(user)):
            return
        raise QueueClosedError(
            self.control.sentence(), subject="queue", value=str(mode), legal="hand the job in again when it is open"
        )
