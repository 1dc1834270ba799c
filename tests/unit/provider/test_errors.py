"""What a daemon that is away, or another one, tells users of Qiskit: their own errors, with its sentence."""

import socket
from pathlib import Path
from typing import Any

import pytest
from qiskit.exceptions import QiskitError
from qiskit.providers.exceptions import JobTimeoutError as QiskitJobTimeoutError

from pulsed.client import keys
from pulsed.model import errors
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.errors import asks_daemon

from .programs import measured


def test_no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    keys.make_keys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(QiskitError, match=r"no daemon answers.*pulsed serve") as caught:
        PulsedProvider(f"tcp://127.0.0.1:{port}").get_backend("sim5")
    assert isinstance(caught.value, errors.ConnectionFailedError)


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (errors.ConnectionFailedError, "submit"),  # it has died since
        (errors.IncompatibleError, "submit"),  # another version is there now
        (errors.ProtocolError, "status"),
        (errors.NotAllowedError, "submit"),
        (errors.NotFoundError, "job"),
    ],
)
def test_what_the_daemon_says_is_an_error_of_qiskit(
    backend: PulsedBackend, daemon: Any, monkeypatch: pytest.MonkeyPatch, kind: Any, call: str
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise kind("says why", subject="the daemon", value="1", legal="2")

    job = backend.run(measured())
    monkeypatch.setattr(daemon, call, refuse)
    asks = {"submit": lambda: backend.run(measured()), "status": backend.status}
    asks["job"] = lambda: backend.provider.retrieve_job(job.job_id())
    with pytest.raises(QiskitError, match="the daemon: says why; got 1; legal: 2") as caught:
        asks[call]()
    assert isinstance(caught.value, kind)


LOCAL = (errors.ConfigError, errors.MissingPackageError, errors.InstrumentError)
"""Errors of files, packages and instruments: no request of the provider is answered with one."""
OF_JOBS = (errors.JobFailedError, errors.JobTimeoutError, errors.JobCancelledError)
"""Errors of results, which have classes of their own in Qiskit."""


def kinds_of(kind: type[errors.PulsedError]) -> list[type[errors.PulsedError]]:
    return [kind, *(below for one in kind.__subclasses__() for below in kinds_of(one))]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in kinds_of(errors.PulsedError)[1:]
        if kind.__module__ == errors.__name__ and not issubclass(kind, (*LOCAL, *OF_JOBS))
    ],
)
def test_every_refusal_is_an_error_of_qiskit_with_all_that_it_says(kind: type[errors.PulsedError]) -> None:
    @asks_daemon
    def ask() -> None:
        first = kind("says why", subject="the daemon", value="1", legal="2")
        raise errors.combined([first, errors.NotFoundError("is absent", subject="another")])

    with pytest.raises(QiskitError) as caught:
        ask()
    assert isinstance(caught.value, kind)
    assert caught.value.code == kind.code
    assert str(caught.value) == "the daemon: says why; got 1; legal: 2 (also affected: another: is absent)"
    assert [type(cause) for cause in caught.value.causes] == [kind, errors.NotFoundError]


def test_a_run_that_is_too_long_is_an_error_of_qiskit(backend: PulsedBackend, daemon: Any) -> None:
    with pytest.raises(QiskitError, match="rack") as caught:
        backend.run([measured()] * 50, shots=100_000, rep_delay=0.01)
    assert isinstance(caught.value, errors.RackTimeError)
    assert not daemon.received


def test_a_daemon_that_dies_while_one_waits(
    backend: PulsedBackend, daemon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.hold = True
    job = backend.run(measured())

    def late(job_id: str, timeout: float | None = None) -> None:
        raise errors.JobTimeoutError("the daemon does not answer: it keeps the job", subject=f"job {job_id}")

    monkeypatch.setattr(daemon, "finished", late)
    with pytest.raises(QiskitJobTimeoutError, match=r"job .*: the daemon does not answer: it keeps the job"):
        job.result(0.1)
