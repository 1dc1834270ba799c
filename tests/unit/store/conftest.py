from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pulsed.model.job import JobInfo, JobState
from pulsed.store import Store
from pulsed.testing import postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    why = postgres.missing()
    if why:
        pytest.skip(why)
    server = postgres.PostgresServer()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/pulsed.db"
        return
    server: postgres.PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


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
