"""The store in a thread of its own: the event loop never waits for a disk.

Orders are carried out one after the other, with as few transactions as may be: a transaction waits for the disk.
Submissions that wait together are stored in one. A write that nobody waits for is put off, for some milliseconds at
most, and shares the transaction of the next write of its kind that somebody does wait for; until then the thread is not
even woken.

While another process keeps the database from being written, writes that must not be lost wait for it, however long, in
their order. What clients ask for meanwhile, new jobs above all, is refused within two seconds.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from pulsed.daemon import logs
from pulsed.model.errors import PulsedError, StoreLockedError
from pulsed.model.job import JobInfo
from pulsed.store.store import Store

T = TypeVar("T")
P = ParamSpec("P")
_GROUP = 100
"""Submissions, or writes that were put off, in one transaction at most."""
_PUT_OFF = 0.02
"""Seconds that a write may be put off."""
_AGAIN = 0.05
"""Seconds between two attempts to write to a database that is locked; each waits for a second itself."""
_STOPPING = 10.0
"""Seconds that a daemon which stops waits for it."""


@dataclass(frozen=True, eq=False)
class _Call:
    """Anything but a write."""

    future: asyncio.Future[Any]
    function: Callable[[], Any]
    patient: bool = False
    """It waits for a database that is locked."""


@dataclass(frozen=True, eq=False)
class _Write:
    future: asyncio.Future[Any]
    function: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class _Together:
    """Writes of one transaction."""

    writes: list[_Write]


@dataclass(frozen=True, eq=False)
class _Add:
    """A submission."""

    future: asyncio.Future[Any]
    info: JobInfo
    payload: bytes


_Task = _Call | _Together | _Add


class StoreThread:
    """Carries out calls of ``store`` in order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._back: deque[_Task | None] = deque()
        """Taken from the queue, and not carried out yet."""
        self.locked_since: float | None = None
        """Since when (Unix time) the database has been locked by another process; None when it is not."""
        self._stopping: float | None = None
        self._late: list[_Write] = []
        """Writes that were put off, which the thread does not know of yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._loop = asyncio.get_running_loop()

    def problems(self) -> Iterator[str]:
        """Yield why no job is accepted at present."""
        if (full := self.store.disk.problem()) is not None:
            yield str(full)
        if (since := self.locked_since) is not None:
            locked = f"the database has been locked by another process for {time.time() - since:.0f} s"
            yield f"{locked}: no job is accepted, and those that end wait for it"

    def start(self) -> None:
        """Start the thread; the store is opened by the first call."""
        self._thread.start()

    def call(self, method: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Carry out a method of the store, as ``call(Store.job, job_id)``; the future need not be awaited.

        It fails with :class:`StoreLockedError` while another process keeps the database from being written.
        """
        return self._call(partial(method, self.store, *args, **kwargs), patient=False)

    def call_patiently(
        self, method: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """As :meth:`call`, and wait for a database that is locked: what jobs need that are accepted."""
        return self._call(partial(method, self.store, *args, **kwargs), patient=True)

    def _call(self, function: Callable[[], T], *, patient: bool) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._hand_over()
        self._tasks.put(_Call(future, function, patient))
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
        self._late.append(_Write(future, function))
        if soon or len(self._late) >= _GROUP:
            self._hand_over()
        elif self._timer is None:
            self._timer = self._loop.call_later(_PUT_OFF, self._hand_over)
        return future

    def _hand_over(self) -> None:
        """Give the thread what was put off."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._late:
            self._tasks.put(_Together(self._late))
            self._late = []

    def add(self, info: JobInfo, payload: bytes) -> asyncio.Future[JobInfo]:
        """Store a submission; it is durable when the future is done."""
        future: asyncio.Future[JobInfo] = self._loop.create_future()
        self._tasks.put(_Add(future, info, payload))
        return future

    async def stop(self) -> None:
        """Carry out what was ordered, then end the thread. A database that stays locked is not waited for long."""
        self._stopping = time.monotonic()
        self._hand_over()
        self._tasks.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while (task := self._back.popleft() if self._back else self._tasks.get()) is not None:
            if isinstance(task, _Add):
                self._add(self._group(task))
            elif isinstance(task, _Together):
                self._write_together(task.writes)
            else:
                function = partial(_single, task.function)
                self._do([task.future], partial(self._patiently, function) if task.patient else function)

    def _patiently(self, function: Callable[[], T], *, writes: bool = False) -> T:
        """Carry out what must not be lost; while the database is locked, refuse what clients ask for."""
        waited = False
        while True:
            try:
                result = function()
            except StoreLockedError as error:
                if self._stopping is not None and time.monotonic() - self._stopping > _STOPPING:
                    raise
                waited = True
                self._locked(error)
                self._refuse_waiting(error)
                time.sleep(_AGAIN)
            else:
                if writes or waited:
                    self._unlocked()
                return result

    def _locked(self, error: StoreLockedError) -> None:
        if self.locked_since is None:
            self.locked_since = time.time()
            logs.get("store").warning("the database is locked by another process", error=str(error))

    def _unlocked(self) -> None:
        if self.locked_since is not None:
            logs.get("store").info("the database is free again", seconds=time.time() - self.locked_since)
            self.locked_since = None

    def _refuse_waiting(self, error: StoreLockedError) -> None:
        """Refuse what has been asked for and need not be kept; the rest stays in its order."""
        while not self._tasks.empty():
            self._back.append(self._tasks.get())
        kept: deque[_Task | None] = deque()
        for task in self._back:
            if isinstance(task, _Add) or (isinstance(task, _Call) and not task.patient):
                self._tell([task.future], [], error)
            else:
                kept.append(task)
        self._back = kept

    def _write_together(self, writes: list[_Write]) -> None:
        """Carry out writes in one transaction."""

        def together() -> list[Any]:
            with self.store.together():
                return [write.function() for write in writes]

        try:
            results = self._patiently(together, writes=True)
        except Exception:  # noqa: BLE001 - found again below, by whom it belongs to
            for write in writes:
                self._do([write.future], partial(self._patiently, partial(_single, write.function)))
            return
        self._do([write.future for write in writes], lambda: results)

    def _group(self, first: _Add) -> list[_Add]:
        """Return the submissions that wait behind ``first``, up to the next order of another kind."""
        group = [first]
        while len(group) < _GROUP and (self._back or not self._tasks.empty()):
            task = self._back.popleft() if self._back else self._tasks.get()
            if not isinstance(task, _Add):
                self._back.appendleft(task)
                break
            group.append(task)
        return group

    def _add(self, group: list[_Add]) -> None:
        try:
            stored = self.store.add_jobs([(item.info, item.payload) for item in group], time.time())
        except StoreLockedError as error:
            self._locked(error)
            self._tell([item.future for item in group], [], error)
            return
        except PulsedError:  # one of them cannot be stored: find out which
            for item in group:
                self._do([item.future], partial(self.store.add_jobs, [(item.info, item.payload)], time.time()))
            return
        self._unlocked()
        self._do([item.future for item in group], lambda: stored)

    def _do(self, futures: list[asyncio.Future[Any]], function: Callable[[], list[Any]]) -> None:
        results: list[Any] = []
        error: BaseException | None = None
        try:
            results = function()
        except Exception as problem:  # noqa: BLE001 - whoever waits for it gets it
            error = problem
        self._tell(futures, results, error)

    def _tell(self, futures: list[asyncio.Future[Any]], results: list[Any], error: BaseException | None) -> None:
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
