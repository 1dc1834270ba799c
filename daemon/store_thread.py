"""The store in a thread of its own: the event loop never waits for a disk.

Orders are carried out one after the other. Submissions that wait together are stored in one transaction.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from pulsed.model.errors import PulsedError
from pulsed.model.job import JobInfo
from pulsed.store.store import Store

T = TypeVar("T")
_GROUP = 100
"""Submissions in one transaction at most."""


class _Call:
    def __init__(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        self.future, self.function = future, function


class _Add:
    def __init__(self, future: asyncio.Future[Any], info: JobInfo, payload: bytes) -> None:
        self.future, self.info, self.payload = future, info, payload


class StoreThread:
    """Carries out calls of ``store`` in order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._orders: queue.SimpleQueue[_Call | _Add | None] = queue.SimpleQueue()
        self._back: list[_Call | _Add | None] = []
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Start the thread; the store is opened by the first call."""
        self._thread.start()

    def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> asyncio.Future[T]:
        """Carry out a method of the store; the future need not be awaited."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._orders.put(_Call(future, lambda: function(*args, **kwargs)))
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
        while (order := self._next()) is not None:
            if isinstance(order, _Call):
                self._do([order.future], partial(_single, order.function))
            else:
                self._add(self._group(order))

    def _next(self) -> _Call | _Add | None:
        """Return what was put back, else wait for an order."""
        return self._back.pop() if self._back else self._orders.get()

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
        def together() -> list[JobInfo]:
            return self.store.add_jobs([(item.info, item.payload) for item in group], time.time())

        try:
            outcome: list[JobInfo] | None = together()
        except PulsedError:
            outcome = None
        if outcome is not None:
            self._do([item.future for item in group], lambda: outcome)
            return
        for item in group:  # one of them cannot be stored: find out which
            self._do([item.future], partial(self.store.add_jobs, [(item.info, item.payload)], time.time()))

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
