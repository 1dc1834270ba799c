from __future__ import annotations

import copy
import pickle
import re
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit, transpile
from qiskit.exceptions import QiskitError

from pulsed.model.errors import NotFoundError, SessionEndedError
from pulsed.model.session import SessionEnd, SessionMode
from pulsed.provider import Batch, PulsedBackend, Session
from pulsed.provider.errors import OptionValueError
from pulsed.provider.session import read_max_time


@pytest.fixture
def ready(backend: PulsedBackend, bell: QuantumCircuit) -> QuantumCircuit:
    return transpile(bell, backend, seed_transpiler=1)


@pytest.mark.parametrize("kind", [Session, Batch])
def test_what_is_run_in_the_block_belongs_to_it(backend: PulsedBackend, ready: QuantumCircuit, daemon, kind) -> None:
    assert backend.session is None
    before = backend.run(ready)
    with kind(backend, max_time="25m") as session:
        assert backend.session is session
        assert session.backend() is backend
        jobs = [backend.run(ready) for _ in range(2)]
    after = backend.run(ready)
    assert backend.session is None
    assert [job.session_id for job in jobs] == [session.session_id] * 2
    assert before.session_id is after.session_id is None
    info = daemon.sessions[session.session_id]
    assert (info.mode, info.max_time, info.ended_as) == (kind.mode, 1500.0, SessionEnd.CLOSED)
    found = backend.provider.jobs(session_id=session.session_id)
    assert daemon.asked_for[-1] == session.session_id, "the daemon looks for them, among all it has ever had"
    assert [job.job_id() for job in found] == [job.job_id() for job in reversed(jobs)]
    assert session.status() == "Closed"


def test_the_older_spelling(backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
    session = backend.open_session(max_time=20)
    assert backend.session is session
    assert session.status() == "Pending"
    assert session.details()["accepting_jobs"]
    with pytest.raises(QiskitError, match=f"has a session already.*{session.session_id}"):
        backend.open_session()
    with pytest.raises(QiskitError, match="has a session already"), Batch(backend):
        pass
    (batch,) = (info for info in daemon.sessions.values() if info.mode is SessionMode.BATCH)
    assert batch.ended_as is SessionEnd.CLOSED, "nobody would close it"
    assert len([info for info in daemon.sessions.values() if info.mode is SessionMode.SESSION]) == 1
    backend.close_session()
    backend.close_session()
    assert daemon.sessions[session.session_id].ended_as is SessionEnd.CLOSED
    daemon.hold = True
    with backend.open_session() as second:
        job = backend.run(ready)
        backend.cancel_session()
        assert job.cancelled()
    backend.cancel_session()
    assert daemon.sessions[second.session_id].ended_as is SessionEnd.CANCELLED


def test_one_that_ended_by_itself_is_told_and_makes_room(backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
    session = backend.open_session()
    daemon.end_session(session.session_id, SessionEnd.SILENCE)
    with pytest.raises(SessionEndedError, match="takes no more jobs") as caught:
        backend.run(ready)
    assert isinstance(caught.value, QiskitError)
    assert session.details()["ended_as"] == "silence"
    assert backend.open_session() is backend.session


def test_one_that_has_ended_is_not_entered(backend: PulsedBackend, daemon) -> None:
    session = Session(backend)
    daemon.end_session(session.session_id, SessionEnd.TIME)
    with pytest.raises(SessionEndedError, match="takes no more jobs; got ended; legal: an open session") as caught:
        session.__enter__()
    assert isinstance(caught.value, QiskitError)
    assert backend.session is None


def test_the_error_of_the_block_is_told_and_not_that_of_the_end(backend: PulsedBackend, monkeypatch) -> None:
    session = Session(backend)
    monkeypatch.setattr(session, "close", Mock(side_effect=NotFoundError("no such session")))
    with pytest.raises(ValueError, match="mine") as caught, session:
        raise ValueError("mine")
    assert caught.value.__notes__ == ["the session was not closed: no such session"]
    with pytest.raises(NotFoundError, match="no such session"), session:
        pass


def test_another_process_finds_it(backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
    session = Session(backend)
    again = Session.from_id(session.session_id[:8], backend)
    assert again.session_id == session.session_id
    with again:
        assert backend.run(ready).session_id == session.session_id
    with pytest.raises(OptionValueError, match="is no batch; got session; legal: batch"):
        Batch.from_id(session.session_id, backend)
    with pytest.raises(NotFoundError) as caught:
        Session.from_id("nothing", backend)
    assert isinstance(caught.value, QiskitError)


def test_a_copy_of_the_backend_is_in_the_same_session(backend: PulsedBackend, ready: QuantumCircuit) -> None:
    with Session(backend) as session:
        assert copy.deepcopy(backend).run(ready).session_id == session.session_id


def test_a_backend_enters_and_leaves_one_session(backend: PulsedBackend, daemon) -> None:
    assert backend.connected_client("no daemon") is daemon
    first, second = Session(backend), Session(backend)
    backend.no_other_session()
    backend.enter_session(first)
    backend.enter_session(first)
    with pytest.raises(QiskitError, match=first.session_id):
        backend.enter_session(second)
    backend.leave_session(second)
    assert backend.session is first
    backend.leave_session(first)
    assert backend.session is None


def test_details_have_ibms_names(backend: PulsedBackend) -> None:
    with Session(backend, max_time=60) as session:
        details = session.details()
    assert details["id"] == session.session_id
    assert (details["backend_name"], details["mode"], details["max_time"]) == ("sim5", "dedicated", 60.0)
    assert (details["interactive_timeout"], details["state"]) == (5.0, "open")
    assert details["activated_at"] is details["closed_at"] is None
    assert re.fullmatch(r"\d{4}-.*\+00:00", details["started_at"])
    assert session.details()["state"] == "ended"
    assert repr(session) == f"<Session({session.session_id!r}, ended)>"


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_times_as_text(hours: int, minutes: int, seconds: int) -> None:
    total = 3600.0 * hours + 60 * minutes + seconds
    assert read_max_time(f"{hours}h {minutes}m {seconds}s") == total
    assert read_max_time(f"{hours}h{minutes}min") == total - seconds
    assert read_max_time(total) == read_max_time(f" {total:.0f}s ") == total


@pytest.mark.parametrize("value", ["", "soon", "5", "5m 3h", "-5m", True, [], "1h 1h"])
def test_no_times(value: object) -> None:
    with pytest.raises(OptionValueError, match=r"max_time: not a time.*1h 30m"):
        read_max_time(value)
    assert read_max_time(None) is None


def test_an_offline_backend_has_none(device, calibration) -> None:
    offline = PulsedBackend.from_export(device, calibration)
    with pytest.raises(NotImplementedError, match="no daemon to open a session"):
        offline.open_session()
    assert offline.session is None
    assert pickle.loads(pickle.dumps(offline)).session is None
