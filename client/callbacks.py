"""Functions of the caller's that are told of jobs and events, one after the other in a thread of their own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from functools import partial

from pulsed.model.job import FINAL_STATES, JobInfo
from pulsed.wire.messages import AnyEvent, JobChanged

_log = logging.getLogger(__name__)


class Callbacks:
    """Who watches which job, and who is told of which events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: dict[str, list[Callable[[JobInfo], None]]] = {}
        self._subscribers: list[tuple[Callable[[AnyEvent], None], tuple[type[AnyEvent], ...]]] = []
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def __bool__(self) -> bool:
        return bool(self._watchers or self._subscribers)

    def start(self) -> None:
        """Start the thread; does nothing when it runs."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=_run, args=(self._calls,), name="pulsed-events", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Forget all functions and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._watchers.clear()
            self._subscribers.clear()
        if thread is not None:
            self._calls.put(None)
            if thread is not threading.current_thread():
                thread.join()

    def watch(self, job_id: str, callback: Callable[[JobInfo], None]) -> Callable[[], None]:
        """Tell ``callback`` of a job until it has ended; return a function that ends it before."""
        with self._lock:
            self._watchers.setdefault(job_id, []).append(callback)

        def end() -> None:
            with self._lock:
                callbacks = self._watchers.get(job_id, [])
                if callback in callbacks:
                    callbacks.remove(callback)
                if not callbacks:
                    self._watchers.pop(job_id, None)

        return end

    def subscribe(
        self, callback: Callable[[AnyEvent], None], kinds: tuple[type[AnyEvent], ...]
    ) -> Callable[[], None]:  # fmt: skip
        """Tell ``callback`` of events of these ``kinds``, of all if there are none; return a function that ends it."""
        subscriber = callback, kinds
        with self._lock:
            self._subscribers.append(subscriber)

        def end() -> None:
            with self._lock:
                if subscriber in self._subscribers:
                    self._subscribers.remove(subscriber)

        return end

    def watched(self) -> list[str]:
        """Return the ids of the jobs that are watched."""
        with self._lock:
            return list(self._watchers)

    def tell_event(self, event: AnyEvent) -> None:
        """Tell the subscribers of an event, and the watchers of its job."""
        with self._lock:
            subscribers = [callback for callback, kinds in self._subscribers if not kinds or isinstance(event, kinds)]
        for callback in subscribers:
            self._calls.put(partial(callback, event))
        if isinstance(event, JobChanged):
            self.tell_job(event.job)

    def tell_job(self, info: JobInfo) -> None:
        """Tell the watchers of a job how it is."""
        with self._lock:
            final = info.state in FINAL_STATES
            callbacks = self._watchers.pop(info.job_id, []) if final else self._watchers.get(info.job_id, [])
            callbacks = list(callbacks)
        for callback in callbacks:
            self._calls.put(partial(callback, info))

    def after_fork(self) -> None:
        """Start afresh in the child of a fork, whose thread did not come along; the functions are told there, too."""
        self._lock = threading.Lock()
        self._calls = queue.SimpleQueue()
        self._thread = None

    def ending(self) -> Callable[[], None]:
        """Return a function that lets the thread end, and keeps nothing of this object."""
        calls = self._calls
        return lambda: calls.put(None)


def _run(calls: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    """Make calls one by one. A function of the queue alone: a client that is dropped is not kept by its thread."""
    while (call := calls.get()) is not None:
        try:
            call()
        except Exception:  # noqa: BLE001 - it is the caller's own function
            _log.exception("a callback failed; the others are told all the same")
        del call  # it may be the last that refers to the client
