"""The store in a thread of its own: the event loop never waits for a disk.

Orders are carried out one after the other, with as few transactions as may be: a transaction waits for the disk.
Submissions that wait together are stored in one. A write that nobody waits for is put off, for some milliseconds at
most, and shares the transaction of the next write of its kind that somebody does wait for.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from pulsed.model.errors import PulsedError
from pulsed.model.job import JobInfo
from pulsed.store.store import Store

T = TypeVar("T")
P = ParamSpec("P")
_GROUP = 100
"""Submissions, or writes that were put off, in one transaction at most."""
_PUT_OFF = 0.02
"""Seconds that a write may be put off."""


@dataclass(frozen=True, eq=False)
class _Call:
    """Anything but a write."""

    future: asyncio.Future[Any]
    function: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class _Write(_Call):
    soon: bool


@dataclass(frozen=True, eq=False)
class _Add:
    """A submission."""

    future: asyncio.Future[Any]
    info: JobInfo
    payload: bytes


_Task = _Call | _Add


class StoreThread:
    """Carries out calls of ``store`` in order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._back: list[_Task | None] = []
        self._late: list[_Write] = []
        self._late_since = 0.0
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Start the thread; the store is opened by the first call."""
        self._thread.start()

    def call(self, method: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Carry out a method of the store, as ``call(Store.job, job_id)``; the future need not be awaited."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._tasks.put(_Call(future, partial(method, self.store, *args, **kwargs)))
        return future

    def write(self, method: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Carry out a method that writes, with those that were put off. Writes keep their order.

        It has to be one that succeeds: when it fails, those in its transaction are carried out one by one.
        """
        return self._write(partial(method, self.store, *args, **kwargs), soon=True)

    def write_later(
        self, method: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """As :meth:`write`, put off for some milliseconds at most."""
        return self._write(partial(method, self.store, *args, **kwargs), soon=False)

    def _write(self, function: Callable[[], T], *, soon: bool) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._tasks.put(_Write(future, function, soon))
        return future

    def add(self, info: JobInfo, payload: bytes) -> asyncio.Future[JobInfo]:
        """Store a submission; it is durable when the future is done."""
        future: asyncio.Future[JobInfo] = self._loop.create_future()
        self._tasks.put(_Add(future, info, payload))
        return future

    async def stop(self) -> None:
        """Carry out what was ordered, then end the thread."""
        self._tasks.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            try:
                task = self._next()
            except queue.Empty:
                self._write_late()
                continue
            if isinstance(task, _Add):
                self._add(self._group(task))
                continue
            if isinstance(task, _Write):
                self._put_off(task)
                continue
            self._write_late()
            if task is None:
                return
            self._do([task.future], partial(_single, task.function))

    def _next(self) -> _Task | None:
        """Return what was put back, else wait for a task. Raises ``queue.Empty`` when late writes are due."""
        if self._back:
            return self._back.pop()
        if not self._late:
            return self._tasks.get()
        return self._tasks.get(timeout=max(0.0, self._late_since + _PUT_OFF - time.monotonic()))

    def _put_off(self, task: _Write) -> None:
        if not self._late:
            self._late_since = time.monotonic()
        self._late.append(task)
        overdue = time.monotonic() - self._late_since > _PUT_OFF
        if task.soon or overdue or len(self._late) >= _GROUP:
            self._write_late()

    def _write_late(self) -> None:
        """Carry out the writes that were put off, in one transaction."""
        late, self._late = self._late, []
        if not late:
            return

        def together() -> list[Any]:
            with self.store.together():
                return [task.function() for task in late]

        try:
            results = together()
        except Exception:  # noqa: BLE001 - found again below, by whom it belongs to
            for task in late:
                self._do([task.future], partial(_single, task.function))
            return
        self._do([task.future for task in late], lambda: results)

    def _group(self, first: _Add) -> list[_Add]:
        """Return the submissions that wait behind ``first``, up to the next order of another kind."""
        group = [first]
        while len(group) < _GROUP and not self._tasks.empty():
            task = self._tasks.get()
            if not isinstance(task, _Add):
                self._back.append(task)
                break
            group.append(task)
        return group

    def _add(self, group: list[_Add]) -> None:
        try:
            stored = self.store.add_jobs([(item.info, item.payload) for item in group], time.time())
        except PulsedError:  # one of them cannot be stored: find out which
            for item in group:
                self._do([item.future], partial(self.store.add_jobs, [(item.info, item.payload)], time.time()))
            return
        self._do([item.future for item in group], lambda: stored)

    def _do(self, futures: list[asyncio.Future[Any]], function: Callable[[], list[Any]]) -> None:
        results: list[Any] = []
        error: BaseException | None = None
        try:
            results = function()
        except Exception as problem:  # noqa: BLE001 - whoever waits for it gets it
            error = problem

        def tell() -> None:
            for i, future in enumerate(futures):
                if future.cancelled():
                    continue
                if error is None:
                    future.set_result(results[i])
                else:
                    future.set_exception(error)

        self._loop.call_soon_threadsafe(tell)


def _single(function: Callable[[], T]) -> list[T]:
    return [function()]
