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
from typing import Any, TypeVar

from pulsed.model.errors import PulsedError
from pulsed.model.job import JobInfo
from pulsed.store.store import Store

T = TypeVar("T")
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


_Order = _Call | _Add


class StoreThread:
    """Carries out calls of ``store`` in order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._back: list[_Order | None] = []
        self._late: list[_Write] = []
        self._late_since = 0.0
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Start the thread; the store is opened by the first call."""
        self._thread.start()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> asyncio.Future[T]:
        """Carry out a method of the store; the future need not be awaited."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._orders.put(_Call(future, partial(function, *args, **kwargs)))
        return future

    def write(self, function: Callable[..., T], *args: Any, soon: bool, **kwargs: Any) -> asyncio.Future[T]:
        """Carry out a method that writes; one that is not needed ``soon`` is put off. Writes keep their order.

        It has to be one that succeeds: when it fails, those in its transaction are carried out one by one.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._orders.put(_Write(future, partial(function, *args, **kwargs), soon))
        return future

    def add(self, info: JobInfo, payload: bytes) -> asyncio.Future[JobInfo]:
        """Store a submission; it is durable when the future is done."""
        future: asyncio.Future[JobInfo] = self._loop.create_future()
        self._orders.put(_Add(future, info, payload))
        return future

    async def stop(self) -> None:
        """Carry out what was ordered, then end the thread."""
        self._orders.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            try:
                order = self._next()
            except queue.Empty:
                self._write_late()
                continue
            if isinstance(order, _Add):
                self._add(self._group(order))
                continue
            if isinstance(order, _Write):
                self._put_off(order)
                continue
            self._write_late()
            if order is None:
                return
            self._do([order.future], partial(_single, order.function))

    def _next(self) -> _Order | None:
        """Return what was put back, else wait for an order. Raises ``queue.Empty`` when late writes are due."""
        if self._back:
            return self._back.pop()
        if not self._late:
            return self._orders.get()
        return self._orders.get(timeout=max(0.0, self._late_since + _PUT_OFF - time.monotonic()))

    def _put_off(self, order: _Write) -> None:
        if not self._late:
            self._late_since = time.monotonic()
        self._late.append(order)
        overdue = time.monotonic() - self._late_since > _PUT_OFF
        if order.soon or overdue or len(self._late) >= _GROUP:
            self._write_late()

    def _write_late(self) -> None:
        """Carry out the writes that were put off, in one transaction."""
        late, self._late = self._late, []
        if not late:
            return

        def together() -> list[Any]:
            with self.store.together():
                return [order.function() for order in late]

        try:
            results = together()
        except Exception:  # noqa: BLE001 - found again below, by whom it belongs to
            for order in late:
                self._do([order.future], partial(_single, order.function))
            return
        self._do([order.future for order in late], lambda: results)

    def _group(self, first: _Add) -> list[_Add]:
        """Return the submissions that wait behind ``first``, up to the next order of another kind."""
        group = [first]
        while len(group) < _GROUP and not self._orders.empty():
            order = self._orders.get()
            if not isinstance(order, _Add):
                self._back.append(order)
                break
            group.append(order)
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
