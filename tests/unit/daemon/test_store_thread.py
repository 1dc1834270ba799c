"""The store's thread: order, one transaction for what waits together, errors to whom they belong."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from pulsed.daemon import store_thread as module
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.errors import NotAllowedError, PulsedError, StoreLockedError
from pulsed.model.job import JobInfo, JobState
from pulsed.store.disk import DiskWatch


class RecordingStore:
    """Keeps what it is told; a job called ``bad`` cannot be stored."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.free = threading.Event()
        self.free.set()

    def add_jobs(self, new: Sequence[tuple[JobInfo, bytes]], now: float) -> list[JobInfo]:
        names = [info.job_id for info, _ in new]
        self.calls.append(names)
        if "bad" in names:
            raise NotAllowedError("no", subject="bad")
        return [info for info, _ in new]

    def wait(self) -> None:
        self.free.wait(10)

    @contextmanager
    def together(self) -> Iterator[None]:
        self.calls.append("begin")
        yield
        self.calls.append("commit")

    def note(self, what: str) -> str:
        self.calls.append(what)
        return what

    def fail(self) -> None:
        raise PulsedError("broken")


def info(name: str) -> JobInfo:
    return JobInfo(name, "sim5", JobState.QUEUED, "me", 0.0)


async def made() -> tuple[Any, RecordingStore]:
    """The thread with a store of another kind: types are for those who call it with a real one."""
    store = RecordingStore()
    thread = StoreThread(store)  # type: ignore[arg-type]
    thread.start()
    return thread, store


async def test_submissions_that_wait_together_are_one_transaction() -> None:
    thread, store = await made()
    store.free.clear()
    thread.call(RecordingStore.wait)
    adds = [thread.add(info(f"a{i}"), b"") for i in range(5)]
    noted = thread.call(RecordingStore.note, "between")
    more = [thread.add(info(f"b{i}"), b"") for i in range(2)]
    store.free.set()
    assert [(await add).job_id for add in adds + more] == ["a0", "a1", "a2", "a3", "a4", "b0", "b1"]
    assert await noted == "between"
    await thread.stop()
    assert store.calls == [["a0", "a1", "a2", "a3", "a4"], "between", ["b0", "b1"]]


async def test_one_bad_submission_does_not_spoil_the_others() -> None:
    thread, store = await made()
    store.free.clear()
    thread.call(RecordingStore.wait)
    adds = [thread.add(info(name), b"") for name in ("x", "bad", "y")]
    store.free.set()
    outcomes = await asyncio.gather(*adds, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [JobInfo, NotAllowedError, JobInfo]
    await thread.stop()


async def test_groups_are_bounded_and_order_is_kept() -> None:
    thread, store = await made()
    store.free.clear()
    thread.call(RecordingStore.wait)
    names = [f"{i}" for i in range(250)]
    adds = [thread.add(info(name), b"") for name in names]
    store.free.set()
    await asyncio.gather(*adds)
    await thread.stop()
    assert [name for group in store.calls for name in group] == names
    assert max(map(len, store.calls)) == 100


async def test_error_reaches_who_waits_and_the_thread_goes_on() -> None:
    thread, _ = await made()
    with pytest.raises(PulsedError, match="broken"):
        await thread.call(RecordingStore.fail)
    assert await thread.call(RecordingStore.note, "after") == "after"
    await thread.stop()


async def test_stop_carries_out_what_was_ordered() -> None:
    thread, store = await made()
    store.free.clear()
    thread.call(RecordingStore.wait)
    adding = thread.add(info("last"), b"")
    noted = thread.call(RecordingStore.note, "very last")
    asyncio.get_running_loop().call_later(0.05, store.free.set)
    await thread.stop()
    assert (await adding).job_id == "last"
    assert await noted == "very last"


async def test_writes_that_nobody_waits_for_share_the_next_transaction() -> None:
    thread, store = await made()
    notes = [(thread.write if i == 3 else thread.write_later)(RecordingStore.note, str(i)) for i in range(4)]
    assert [await note for note in notes] == ["0", "1", "2", "3"]
    await thread.stop()
    assert store.calls == ["begin", "0", "1", "2", "3", "commit"]


async def test_late_writes_are_written_in_a_moment_and_before_whoever_reads() -> None:
    thread, store = await made()
    assert await asyncio.wait_for(thread.write_later(RecordingStore.note, "late"), 5) == "late"
    late = thread.write_later(RecordingStore.note, "later")
    read = await thread.call(RecordingStore.note, "read")
    assert late.done()
    assert (await late, read) == ("later", "read")
    unread = thread.write_later(RecordingStore.note, "last")
    await thread.stop()
    assert await unread == "last"
    assert store.calls == ["begin", "late", "commit", "begin", "later", "commit", "read", "begin", "last", "commit"]


async def test_what_is_put_off_does_not_wake_the_thread() -> None:
    thread, store = await made()
    late = thread.write_later(RecordingStore.note, "late")
    time.sleep(0.05)  # the thread has had all the time, and the event loop none
    assert (late.done(), store.calls) == (False, [])
    assert await thread.write(RecordingStore.note, "soon") == "soon"
    assert late.done()
    many = [thread.write_later(RecordingStore.note, str(i)) for i in range(100)]
    time.sleep(0.05)
    assert store.calls[-1] == "commit"  # so many do not wait
    await asyncio.gather(*many)
    await thread.stop()


async def test_write_that_fails_does_not_take_the_others_along() -> None:
    thread, _ = await made()
    outcomes = await asyncio.gather(
        thread.write_later(RecordingStore.note, "a"),
        thread.write_later(RecordingStore.fail),
        thread.write(RecordingStore.note, "b"),
        return_exceptions=True,
    )
    assert [str(outcome) for outcome in outcomes] == ["a", "broken", "b"]
    await thread.stop()


class LockedStore(RecordingStore):
    """Another process has locked it until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = DiskWatch(None, 0)
        self.locked = True

    def _check(self) -> None:
        if self.locked:
            time.sleep(0.01)
            raise StoreLockedError("another process")

    def add_jobs(self, new: Sequence[tuple[JobInfo, bytes]], now: float) -> list[JobInfo]:
        self._check()
        return super().add_jobs(new, now)

    @contextmanager
    def together(self) -> Iterator[None]:
        self._check()
        with super().together():
            yield

    def note(self, what: str) -> str:
        self._check()
        return super().note(what)

    def read(self) -> str:
        self._check()
        return "read"


async def test_a_locked_database_is_waited_for_by_what_must_not_be_lost_and_by_nothing_else() -> None:
    store = LockedStore()
    thread: Any = StoreThread(store)  # type: ignore[arg-type]
    thread.start()
    assert list(thread.problems()) == []
    writes = [thread.write(LockedStore.note, "done"), thread.write_later(LockedStore.note, "later")]
    patient = thread.call_patiently(LockedStore.read)
    refused = [thread.add(info("a"), b""), thread.call(LockedStore.note, "list"), thread.add(info("b"), b"")]
    for future in refused:
        with pytest.raises(StoreLockedError):
            await asyncio.wait_for(future, 60)
    assert not any(future.done() for future in (*writes, patient))
    assert "has been locked by another process" in "".join(thread.problems())
    store.locked = False
    assert await asyncio.gather(*writes, patient) == ["done", "later", "read"]
    assert (await thread.add(info("c"), b"")).job_id == "c"
    assert list(thread.problems()) == []
    await thread.stop()
    assert [call for call in store.calls if call not in ("begin", "commit")] == ["done", "later", ["c"]]


async def test_a_submission_alone_is_refused_and_the_lock_is_told() -> None:
    store = LockedStore()
    thread: Any = StoreThread(store)  # type: ignore[arg-type]
    thread.start()
    with pytest.raises(StoreLockedError):
        await thread.add(info("a"), b"")
    assert thread.locked_since is not None
    await thread.stop()


async def test_a_daemon_that_stops_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOPPING", 0.05)
    store = LockedStore()
    thread: Any = StoreThread(store)  # type: ignore[arg-type]
    thread.start()
    write = thread.write(LockedStore.note, "done")
    await thread.stop()
    with pytest.raises(StoreLockedError):
        await write
