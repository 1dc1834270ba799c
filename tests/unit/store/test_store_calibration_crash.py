"""A commit that is cut off between any two of its steps leaves the active set that was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from pulsed.model.calibration import CalibrationSet, LogEntry, PastValue, Value
from pulsed.store import Store


class PowerCutError(BaseException):
    """The process ends here."""


@contextmanager
def cut(store: Store, at: int) -> Iterator[list[str]]:
    """Let everything but the first ``at`` statements of a transaction fail; the commit counts as one."""
    seen: list[str] = []
    engine = store._engine
    assert engine is not None

    def step(what: str) -> None:
        if len(seen) == at:
            raise PowerCutError
        seen.append(what)

    def statement(_connection, _cursor, text, *_rest) -> None:
        step(text)

    def commit(_connection) -> None:
        step("COMMIT")

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", statement)
        event.remove(engine, "commit", commit)


def whole(store: Store) -> tuple[CalibrationSet | None, list[LogEntry], list[PastValue], list[PastValue]]:
    return (
        store.current_calibration(), store.calibration_log(), store.value_history("Q1.f01"),
        store.value_history("Q2.f01"),
    )  # fmt: skip


def test_a_commit_cut_off_anywhere_did_not_happen(url):
    store = Store(url, "sim5")
    store.open(0.0, "daemon")
    first = CalibrationSet("sim5", {f"Q{i}.f01": Value(float(i), "Hz") for i in range(5)}, "t0")
    second = first.with_values({"Q1.f01": Value(9.0), "Q2.f01": Value(8.0)}, "t1")
    store.commit_calibration(store.put_calibration(first, 1.0), None, 1.0, "alice", "start")
    store.put_calibration(second, 2.0)
    before, steps = whole(store), 0
    while True:
        try:
            with cut(store, steps) as seen:
                store.commit_calibration(second.calibration_id, first.calibration_id, 3.0, "bob", "better")
        except PowerCutError:
            store._dispose()  # as the end of the process does: nothing is said to the database any more
            store.open(100.0 + steps, "daemon")
            assert whole(store) == before, f"cut off after {steps} steps"
            steps += 1
            assert steps < 50
            continue
        break
    assert seen[-1] == "COMMIT"
    assert sum("INSERT" in text for text in seen) >= 3, "set, log and history were written one after the other"
    assert steps == len(seen)
    assert store.current_calibration() == second
    assert [entry.by for entry in store.calibration_log()] == ["bob", "alice"]
    store.close()


def test_a_candidate_cut_off_anywhere_is_not_there(url):
    store = Store(url, "sim5")
    store.open(0.0, "daemon")
    first = CalibrationSet("sim5", {f"Q{i}.f01": Value(float(i), "Hz") for i in range(5)}, "t0")
    second = first.with_values({"Q1.f01": Value(9.0)}, "t1")
    store.commit_calibration(store.put_calibration(first, 1.0), None, 1.0)
    for steps in range(50):
        try:
            with cut(store, steps):
                store.put_calibration(second, 3.0)
        except PowerCutError:
            store._dispose()
            store.open(100.0 + steps, "daemon")
            assert store.current_calibration() == first
            with pytest.raises(Exception, match="no such calibration set"):
                store.calibration(second.calibration_id)
            continue
        break
    assert steps > 3
    assert store.calibration(second.calibration_id) == second
    store.close()
