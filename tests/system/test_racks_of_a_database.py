"""Two racks, each with a daemon of its own, on one database: a PostgreSQL server that the test starts."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pulsed.client.keys import client_path, load_key, save_key
from pulsed.provider import PulsedProvider
from pulsed.provider.errors import BackendNotFoundError, UnknownIdError
from pulsed.provider.racks import RackUnavailableWarning
from pulsed.testing import postgres
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip

pytestmark = pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing() or "there is a server")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    server = postgres.PostgresServer()
    with server.database() as url:
        yield url
    server.stop()


def share_keys(one: DaemonProcess, other: DaemonProcess) -> None:
    """Let the other daemon know the admin of this one under another name; its secret stays here."""
    key = load_key(client_path(one.home, "local"))
    public = msgspec.structs.replace(key, secret="")
    save_key(client_path(other.home, "admin-of-the-lab").with_suffix(".pub"), public)


@pytest.fixture(scope="module")
def racks(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DaemonProcess, DaemonProcess]]:
    first = DaemonProcess(tmp_path_factory.mktemp("first"), store=database, name="east").start()
    second = DaemonProcess(tmp_path_factory.mktemp("second"), store=database, name="west").start()
    share_keys(first, second)
    yield first, second
    assert first.stop() == 0
    assert second.stop() == 0


def both_are_there(provider: PulsedProvider) -> bool:
    """Whether both racks are there; a key is known some seconds after its file is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RackUnavailableWarning)
        return len(provider.backends(operational=True)) == 2


def test_one_provider_has_the_backends_and_jobs_of_both(racks: tuple[DaemonProcess, DaemonProcess]) -> None:
    first, _ = racks
    with PulsedProvider(client=first.client()) as provider:
        eventually(lambda: both_are_there(provider), "both racks are there")
        assert [backend.name for backend in provider.backends()] == ["east", "west"]
        assert provider.get_backend("west").name == "west"
        with pytest.raises(BackendNotFoundError, match="east, west"):
            provider.get_backend("north")
        jobs = [provider.get_backend(name).run(flip(), shots=10) for name in ("east", "west", "west")]
        for job in jobs:
            assert sum(job.result(PATIENCE).get_counts().values()) == 10
        assert [job.job_id() for job in provider.jobs()] == [job.job_id() for job in reversed(jobs)]
        assert [job.backend().name for job in provider.jobs(backend_name="west")] == ["west", "west"]
        again = provider.retrieve_job(jobs[1].job_id())
        assert (again.backend().name, again.result(PATIENCE).get_counts()) == ("west", jobs[1].result().get_counts())
        with pytest.raises(UnknownIdError):
            provider.retrieve_job("no-such-job")


def test_the_least_busy_one(racks: tuple[DaemonProcess, DaemonProcess]) -> None:
    first, _ = racks
    with PulsedProvider(client=first.client()) as provider:
        eventually(lambda: both_are_there(provider), "both racks are there")
        first.tell("hold")
        try:
            waiting = [provider.get_backend("east").run(flip(), shots=10) for _ in range(3)]
            eventually(lambda: provider.get_backend("east").status().pending_jobs >= 2, "jobs wait in the east")
            assert provider.least_busy(min_num_qubits=2).name == "west"
        finally:
            first.untell("hold")
        for job in waiting:
            job.result(PATIENCE)
        with pytest.raises(BackendNotFoundError, match="operational"):
            provider.least_busy(min_num_qubits=50)


def test_a_rack_has_one_daemon(racks: tuple[DaemonProcess, DaemonProcess], database: str, tmp_path: Path) -> None:
    third = DaemonProcess(tmp_path, store=database, name="east")
    with pytest.raises(RuntimeError, match="another daemon owns the rack"):
        third.start()


def test_a_dead_daemon_takes_its_own_rack_out_and_brings_it_back(
    racks: tuple[DaemonProcess, DaemonProcess],
) -> None:
    first, second = racks
    with PulsedProvider(client=first.client(timeout=3.0)) as provider:
        eventually(lambda: both_are_there(provider), "both racks are there")
        held = provider.get_backend("west").run(flip(), shots=10)
        held.result(PATIENCE)
        second.signal(signal.SIGKILL)
        second.wait()
        eventually(lambda: not both_are_there(provider), "the west's lease has run out")
        assert [backend.name for backend in provider.backends()] == ["east"]
        assert provider.get_backend("east").run(flip(), shots=10).result(PATIENCE)
        second.start()
        eventually(lambda: both_are_there(provider), "the west is back")
        assert provider.retrieve_job(held.job_id()).result(PATIENCE).get_counts() == held.result().get_counts()
