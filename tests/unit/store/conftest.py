from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulsed.model.job import JobInfo, JobState
from pulsed.store import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/pulsed.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store(url, "sim5")
    store.open(0.0, "daemon")
    yield store
    store.close()


@pytest.fixture
def make_job() -> Callable[..., JobInfo]:
    def make(job_id: str, owner: str = "alice", created: float = 0.0, **fields: object) -> JobInfo:
        return JobInfo(job_id, "sim5", JobState.QUEUED, owner, created, **fields)  # type: ignore[arg-type]

    return make
