"""Sessions and batches of a daemon with a scripted rack: who waits for whom, and what ends them."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

import pytest

from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.model.errors import (
    InvalidValueError,
    JobCancelledError,
    NotAllowedError,
    NotFoundError,
    SessionEndedError,
)
from pulsed.model.job import JobState
from pulsed.model.session import SessionEnd, SessionMode, SessionState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed
from pulsed.wire.session_messages import SessionChanged

PART = [packed(flip())]


@pytest.fixture(scope="module")
def eve(daemon: DaemonProcess):
    add_client(daemon.home, "eve-s", "experimenter")
    with Client(home=daemon.home, key="eve-s") as client:
        yield client


@pytest.fixture
def session_id(client: Client):
    session_id = uuid.uuid4().hex
    yield session_id
    client.close_session(session_id, cancel=True)


def submit(client: Client, session_id: str = "", **fields: object) -> str:
    return client.submit(job(session_id=session_id, **fields), PART).job_id


def test_others_wait_while_a_session_holds_the_rack(client: Client, eve: Client, session_id: str) -> None:
    events: list[SessionChanged] = []
    client.subscribe(events.append, SessionChanged)
    opened = client.open_session(session_id, max_time=600.0)
    assert (opened.state, opened.started, opened.owner) == (SessionState.OPEN, None, "local")
    assert client.status().session is None, "it holds nothing yet"
    first = submit(client, session_id)
    client.result(first, PATIENCE)
    holder = client.status().session
    assert holder is not None
    assert holder.session_id == session_id
    assert holder.ends == pytest.approx(holder.started + 600.0)
    theirs = submit(eve)
    for _ in range(3):
        client.result(submit(client, session_id), PATIENCE)
    waiting = client.job(theirs)
    assert (waiting.state, waiting.waits_for) == (JobState.QUEUED, session_id)
    assert client.job(first).session_id == session_id
    closed = client.close_session(session_id)
    assert closed.ended_as is SessionEnd.CLOSED
    eve.result(theirs, PATIENCE)
    assert client.job(theirs).waits_for == ""
    assert client.close_session(session_id) == closed, "once is enough"
    with pytest.raises(SessionEndedError, match="takes no more jobs"):
        submit(client, session_id)
    assert client.job(first).session_id == session_id
    eventually(lambda: events and events[-1].session.ended, "its end is told")
    assert [event.session.state for event in events if event.session.session_id == session_id] == [
        SessionState.OPEN, SessionState.OPEN, SessionState.CLOSING, SessionState.ENDED,
    ]  # fmt: skip


def test_closing_and_cancelling(client: Client, eve: Client, daemon: DaemonProcess, session_id: str) -> None:
    client.open_session(session_id)
    other = client.open_session(uuid.uuid4().hex).session_id
    daemon.tell("hold")
    try:
        mine = [submit(client, session_id) for _ in range(3)]
        gone = [submit(client, other) for _ in range(2)]
        theirs = submit(eve)
        eventually(lambda: client.job(mine[0]).state is JobState.RUNNING, "the session has begun")
        with pytest.raises(NotAllowedError, match="the session belongs to local"):
            submit(eve, session_id)
        for cancel in (False, True):
            with pytest.raises(NotAllowedError, match="the session belongs to local"):
                eve.close_session(session_id, cancel=cancel)
        assert client.close_session(session_id).state is SessionState.CLOSING
        assert client.close_session(other, cancel=True).ended_as is SessionEnd.CANCELLED
        assert [client.job(one).state for one in gone] == [JobState.CANCELLED] * 2
    finally:
        daemon.untell("hold")
    for one in mine:
        client.result(one, PATIENCE)
    eve.result(theirs, PATIENCE)
    assert client.job(mine[-1]).times["done"] <= client.job(theirs).times["running"]
    with pytest.raises(JobCancelledError):
        client.result(gone[0], PATIENCE)
    eventually(lambda: client.session(session_id).ended_as is SessionEnd.CLOSED, "it ends with its last job")


def test_a_cancelled_session_ends_the_job_on_the_rack(client: Client, daemon: DaemonProcess, session_id: str) -> None:
    client.open_session(session_id)
    daemon.tell("hold")
    try:
        running = submit(client, session_id)
        eventually(lambda: client.job(running).state is JobState.RUNNING, "the session has begun")
        client.close_session(session_id, cancel=True)
        assert client.job(running).state is JobState.CANCELLED
        assert client.job_log(running)[-1].detail == "by local"
    finally:
        daemon.untell("hold")
    client.result(submit(client), PATIENCE)


def test_time_ends_a_session_and_its_jobs_go_on(client: Client, daemon: DaemonProcess, session_id: str) -> None:
    client.open_session(session_id, max_time=0.3)
    daemon.tell("hold")
    try:
        mine = [submit(client, session_id) for _ in range(2)]
        eventually(lambda: client.session(session_id).ended_as is SessionEnd.TIME, "its time is over")
        assert client.job(mine[0]).state is JobState.RUNNING
        over = client.close_session(session_id, cancel=True)
        assert (over.ended_as, over.ended_by) == (SessionEnd.TIME, "")
        assert [client.job(one).state for one in mine] == [JobState.CANCELLED] * 2
    finally:
        daemon.untell("hold")
    session_id = client.open_session(uuid.uuid4().hex, max_time=0.3).session_id
    daemon.tell("hold")
    try:
        mine = [submit(client, session_id) for _ in range(2)]
        eventually(lambda: client.session(session_id).ended_as is SessionEnd.TIME, "its time is over")
    finally:
        daemon.untell("hold")
    for one in mine:
        client.result(one, PATIENCE)


def test_a_batch_keeps_its_jobs_together(client: Client, daemon: DaemonProcess, session_id: str) -> None:
    client.open_session(session_id, SessionMode.BATCH)
    daemon.tell("hold")
    try:
        before = submit(client)
        mine = [submit(client, session_id)]
        other = submit(client)
        mine.append(submit(client, session_id))
        eventually(lambda: client.job(before).state is JobState.RUNNING, "the first job runs")
        assert [client.job(one).queue_position for one in (*mine, other)] == [1, 2, 3]
    finally:
        daemon.untell("hold")
    for one in (*mine, other):
        client.result(one, PATIENCE)
    assert client.status().session is None


def test_what_may_not_be(client: Client, eve: Client, session_id: str) -> None:
    opened = client.open_session(session_id, max_time=5.0)
    assert client.open_session(session_id, max_time=5.0) == opened
    with pytest.raises(InvalidValueError, match="other terms"):
        client.open_session(session_id, max_time=7.0)
    with pytest.raises(NotAllowedError, match="another user"):
        eve.open_session(session_id)
    with pytest.raises(InvalidValueError, match=r"max_time.*limits\.session_time"):
        client.open_session("too-long", max_time=1e9)
    with pytest.raises(NotFoundError, match="no such session"):
        client.session("nothing-like-that")
    with pytest.raises(SessionEndedError):
        submit(client, "nothing-like-that")


def test_a_job_sent_again_after_the_end_is_the_same_job(client: Client, session_id: str) -> None:
    client.open_session(session_id)
    request = job(session_id=session_id)
    client.submit(request, PART)
    client.result(request.job_id, PATIENCE)
    client.close_session(session_id)
    assert client.submit(request, PART).state is JobState.DONE


def test_a_session_outlives_its_daemon_with_the_time_it_had(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, limits={"session_silence": 60.0}).start()
    try:
        with daemon.client() as client:
            client.open_session("mine-again", max_time=100.0)
            client.result(submit(client, "mine-again"), PATIENCE)
            daemon.tell("hold")
            running = submit(client, "mine-again")
            theirs = submit(client)
            eventually(lambda: client.job(running).state is JobState.RUNNING, "it runs")
        before = time.time()
        assert daemon.stop() == 0
        daemon.untell("hold")
        daemon.start()
        gap = time.time() - before
        with daemon.client() as client:
            assert client.result(running, PATIENCE)
            found = client.session("mine-again")
            assert found.state is SessionState.OPEN
            assert found.started is not None
            assert found.ends is not None
            assert 0.5 * gap < found.ends - found.started - 100.0 < gap + 5.0
            assert client.job(running).attempts == 2
            assert client.job(theirs).state is JobState.QUEUED
            client.result(submit(client, "mine-again"), PATIENCE)
            client.close_session("mine-again")
            client.result(theirs, PATIENCE)
    finally:
        daemon.stop()


def test_operators_end_any_session_from_a_terminal(
    client: Client, eve: Client, daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("PULSED_HOME", str(daemon.home))

    def pulsed(*arguments: str, code: int = 0) -> str:
        assert invoke([*arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    theirs = eve.open_session(uuid.uuid4().hex).session_id
    eve.result(submit(eve, theirs), PATIENCE)
    assert f"session {theirs} of eve-s" in pulsed("status")
    assert "holds the rack" in pulsed("sessions")
    assert theirs in pulsed("session", "show", theirs[:12])
    (listed,) = [one for one in json.loads(pulsed("sessions", "--json")) if one["session_id"] == theirs]
    assert listed["owner"] == "eve-s"
    assert json.loads(pulsed("session", "close", theirs[:12], "--json"))["ended_by"] == "local"
    assert theirs not in pulsed("sessions")
    assert "ended: closed by local" in pulsed("sessions", "--all")
    waiting = eve.open_session(uuid.uuid4().hex).session_id
    assert "ended: cancelled by local" in pulsed("session", "close", waiting, "--cancel")
    assert "no such session" in pulsed("session", "show", "nothing-like-it", code=1)
