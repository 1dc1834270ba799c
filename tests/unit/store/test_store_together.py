"""Several writes as one transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulsed.model.errors import NotFoundError
from pulsed.model.job import JobInfo, JobState
from pulsed.store.store import Store


def test_writes_together_are_all_or_none(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 's.sqlite'}", "rack")
    store.open(1.0, "me")
    store.add_jobs([(JobInfo(name, "sim5", JobState.QUEUED, "me", 1.0), b"") for name in ("a", "b")], 1.0)
    with store.together():
        store.step("a", JobState.COMPILING, 2.0)
        store.step("a", JobState.READY, 3.0)
        assert store.job("a").state is JobState.QUEUED, "a reader sees nothing before the end"
    assert store.job("a").state is JobState.READY

    def partly() -> None:
        with store.together():
            store.step("b", JobState.COMPILING, 2.0)
            store.step("nobody", JobState.COMPILING, 2.0)

    with pytest.raises(NotFoundError):
        partly()
    assert store.job("b").state is JobState.QUEUED
    store.step("b", JobState.COMPILING, 4.0)
    assert store.job("b").state is JobState.COMPILING
    store.close()
