"""Steps of a job on their way to the store, together: what nobody waits for is written at once with what comes next."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pulsed.store.jobs import JobStep


class LateSteps:
    """Steps of one job that are written together, in their order; the thread of the store closes them.

    Made without steps they are closed, so that the first one begins others.
    """

    def __init__(self, *steps: JobStep) -> None:
        self._steps = list(steps)
        self._closed = not steps
        self._lock = threading.Lock()

    def add(self, step: JobStep) -> bool:
        """Have one more written with them; False when it is too late for that."""
        with self._lock:
            if not self._closed:
                self._steps.append(step)
            return not self._closed

    def close(self) -> Sequence[JobStep]:
        """Take no more, and return them: the same each time."""
        with self._lock:
            self._closed = True
            return self._steps

    def withdraw(self) -> Sequence[JobStep]:
        """Have them not written here, and return them; none when it is too late for that."""
        with self._lock:
            taken: list[JobStep] = []
            if not self._closed:
                taken, self._steps, self._closed = self._steps, taken, True
            return taken
