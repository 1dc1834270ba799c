"""The queue of a daemon with a scripted rack: shares, quotas, its modes, booked sessions; and what a restart keeps."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.model.errors import ConflictError, InvalidValueError, NotAllowedError, QueueClosedError, QuotaError
from pulsed.model.job import JobInfo, JobState
from pulsed.model.queue import QueueMode
from pulsed.model.session import SessionEnd, SessionMode, SessionState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed

PART = [packed(flip())]
MANY = {"shots": 9000, "options": {"rep_delay": 10e-3}}
"""A job of several chunks."""
QUOTAS = {
    "roles": {"experimenter": {"shots": 50_000, "priority": 5}},
    "users": {"eve": {"jobs": 4, "rack_seconds": 100.0}},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("shared"), quotas=QUOTAS, sharing={"users": {"bob": 2.0}}).start()
    for name in ("eve", "bob"):
        add_client(process.home, name, "experimenter")
    yield process
    assert process.stop() == 0


@pytest.fixture
def admin(shared: DaemonProcess) -> Iterator[Client]:
    with shared.client() as connected:
        yield connected
        connected.set_queue(QueueMode.OPEN)


@pytest.fixture
def eve(shared: DaemonProcess) -> Iterator[Client]:
    with shared.client(key="eve") as connected:
        yield connected


@pytest.fixture
def bob(shared: DaemonProcess) -> Iterator[Client]:
    with shared.client(key="bob") as connected:
        yield connected


def submit(client: Client, **fields: object) -> str:
    return client.submit(job(**fields), PART).job_id  # type: ignore[arg-type]


def played(client: Client, *job_ids: str) -> list[JobInfo]:
    """Return jobs by the time they began to play, when all have."""
    for job_id in job_ids:
        client.result(job_id, PATIENCE)
    return sorted(map(client.job, job_ids), key=lambda info: info.times["running"])


def test_users_take_turns_whoever_came_first(
    admin: Client, eve: Client, bob: Client, shared: DaemonProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """He has used nothing: after hers that lay ready he has his turn. The scripted rack takes what time it takes."""
    shared.tell("hold")
    before = submit(admin)
    eventually(lambda: admin.job(before).state is JobState.RUNNING, "the rack is taken")
    hers = [submit(eve, shots=1000) for _ in range(4)]
    eventually(lambda: admin.job(hers[1]).state is JobState.READY, "two of hers are compiled ahead")
    his = [submit(bob, shots=1000) for _ in range(4)]
    assert admin.job(his[0]).queue_position == 2, "after the one that plays, and her first"
    command = ["queue", "--json", "--url", admin.url, "--key", str(shared.home / "clients" / "local.key")]
    assert invoke(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["total"] == 9
    assert told["entries"][0]["why"] == "is on the rack"
    assert [row["owner"] for row in told["entries"][1:3]] == ["eve", "bob"]
    assert "of a share of 2" in told["entries"][2]["why"]
    shared.untell("hold")
    order = [info.owner for info in played(admin, *hers, *his)]
    assert order.index("bob") <= 2, order


def test_a_quota_refuses_with_value_and_limit(eve: Client, bob: Client, admin: Client, shared: DaemonProcess) -> None:
    with pytest.raises(QuotaError, match=r"key eve: quota shots.*got 50001; legal: up to 50000"):
        submit(eve, shots=50_001)
    with pytest.raises(QuotaError, match=r"key bob: quota priority.*got 6; legal: up to 5"):
        submit(bob, priority=6)
    with pytest.raises(QuotaError, match=r"quota rack_seconds.*up to 100 s"):
        submit(eve, shots=50_000, options={"rep_delay": 2.1e-3})
    admin.set_queue(QueueMode.PAUSED, "to fill it")
    mine = [submit(eve) for _ in range(4)]
    with pytest.raises(QuotaError, match=r"quota jobs.*got 5; legal: up to 4"):
        submit(eve)
    eve.cancel(mine[0])
    mine.append(submit(eve))
    again = job()
    bob.submit(again, PART)
    assert bob.submit(again, PART).job_id == again.job_id, "the same job once more is the same job"
    admin.set_queue(QueueMode.OPEN)
    played(eve, *mine[1:])
    submit(admin, shots=60_000, priority=50)


def test_a_paused_queue_keeps_what_it_gets_and_a_job_stops_between_chunks(admin: Client, shared: DaemonProcess) -> None:
    (shared.script / "played").unlink(missing_ok=True)
    shared.tell("hold_after_first")
    long = submit(admin, **MANY)
    try:
        eventually(lambda: admin.job(long).chunks_done == 1, "its first chunk is played")
        admin.set_queue(QueueMode.PAUSED, "a lid is open")
        assert (admin.status().operational, admin.status().message) == (
            True, "the queue is paused by local: a lid is open",
        )  # fmt: skip
    finally:
        shared.untell("hold_after_first")
    eventually(lambda: admin.job(long).state is JobState.INTERRUPTED, "it gives way after its second chunk")
    done = admin.job(long).chunks_done
    assert done < admin.job(long).chunks
    behind = submit(admin)
    time.sleep(0.3)
    assert (admin.job(long).chunks_done, admin.status().running) == (done, "")
    assert [row.why for row in admin.queue().entries] == ["the queue is paused"] * 2
    admin.set_queue(QueueMode.OPEN)
    result, _ = admin.result(long, PATIENCE)
    assert result.programs[0].shots == MANY["shots"]
    played(admin, behind)
    told = [entry.detail for entry in admin.job_log(long) if entry.what == "interrupted"]
    assert told == ["gives way: the queue is paused"]


def test_a_job_of_higher_priority_goes_between_two_chunks(admin: Client, shared: DaemonProcess) -> None:
    (shared.script / "played").unlink(missing_ok=True)
    shared.tell("hold_after_first")
    long = submit(admin, **MANY)
    eventually(lambda: admin.job(long).chunks_done == 1, "its first chunk is played")
    check = submit(admin, priority=10)
    eventually(lambda: admin.job(check).state is JobState.READY, "it is compiled while the long one plays")
    shared.untell("hold_after_first")
    first, last = played(admin, long, check)
    assert (first.job_id, last.job_id) == (check, long), "the second part of the long one began after the check"
    assert first.times["done"] < last.times["done"]


def test_a_draining_queue_and_a_locked_one(
    admin: Client, eve: Client, shared: DaemonProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NotAllowedError, match="experimenter may not"):
        eve.set_queue(QueueMode.PAUSED, "mine")
    with pytest.raises(InvalidValueError, match="not a reason"):
        admin.set_queue(QueueMode.PAUSED, "two\nlines")
    shared.tell("hold")
    waiting = submit(eve)
    access = ["--url", admin.url, "--key", str(shared.home / "clients" / "local.key")]
    assert invoke(["queue", "drain", "--reason", "warm-up at noon", *access]) == 0
    for client in (admin, eve):
        with pytest.raises(QueueClosedError, match="the queue is draining by local: warm-up at noon"):
            submit(client)
    assert not admin.status().operational
    shared.untell("hold")
    played(eve, waiting)
    shared.tell("hold")
    before = submit_open(admin)
    waiting = submit(eve)
    admin.set_queue(QueueMode.LOCKED, "alignment")
    with pytest.raises(QueueClosedError, match="locked by local: alignment"):
        submit(eve)
    mine = submit(admin)
    shared.untell("hold")
    played(admin, before, mine)
    assert eve.job(waiting).state in (JobState.QUEUED, JobState.READY)
    capsys.readouterr()
    assert invoke(["status", *access]) == 0
    assert "the queue is locked by local: alignment" in capsys.readouterr().out
    assert invoke(["queue", "resume", *access]) == 0
    played(eve, waiting)
    assert admin.status().message == ""


def submit_open(client: Client) -> str:
    client.set_queue(QueueMode.OPEN)
    return submit(client)


def test_a_booked_session_has_the_rack_from_its_start(
    admin: Client, eve: Client, bob: Client, shared: DaemonProcess
) -> None:
    start, mine = time.time() + 2.0, uuid.uuid4().hex
    booked = eve.open_session(mine, max_time=600.0, start=start)
    assert (booked.state, booked.started, booked.start) == (SessionState.OPEN, None, start)
    assert eve.open_session(mine, max_time=600.0, start=start) == booked, "the same terms"
    with pytest.raises(InvalidValueError, match="other terms"):
        eve.open_session(mine, max_time=600.0, start=start + 1)
    for begin, length in ((start + 599, 5.0), (start - 1, 5.0), (start + 10, 10.0)):
        with pytest.raises(ConflictError, match="eve has the rack for a part of this time"):
            bob.open_session(uuid.uuid4().hex, max_time=length, start=begin)
    with pytest.raises(InvalidValueError, match="only a session can be booked"):
        bob.open_session(uuid.uuid4().hex, SessionMode.BATCH, max_time=1.0, start=start + 700)
    with pytest.raises(InvalidValueError, match="not a time to begin"):
        bob.open_session(uuid.uuid4().hex, max_time=1.0, start=time.time() - 1)
    hers = submit(eve, session_id=mine)
    long = submit(bob, shots=50_000, options={"rep_delay": 1e-3})
    short = submit(bob)
    bob.result(short, PATIENCE)
    assert time.time() < start, "what is over before may go first"
    assert admin.job(hers).state is JobState.QUEUED
    (shared.script / "played").unlink(missing_ok=True)
    eve.result(hers, PATIENCE)
    assert admin.job(hers).times["running"] >= start
    assert admin.job(long).state is JobState.QUEUED, "50 s would have run into it"
    holder = admin.status().session
    assert holder is not None
    assert (holder.session_id, holder.started, holder.ends) == (mine, start, start + 600.0)
    with pytest.raises(ConflictError, match="eve has the rack"):
        bob.open_session(uuid.uuid4().hex, max_time=5.0, start=time.time() + 5)
    assert eve.close_session(mine).ended_as is SessionEnd.CLOSED
    bob.result(long, PATIENCE)


def test_a_long_job_stops_between_two_chunks_for_a_booked_session(
    admin: Client, eve: Client, shared: DaemonProcess
) -> None:
    (shared.script / "played").unlink(missing_ok=True)
    shared.tell("hold_after_first")
    long, mine = submit(admin, **MANY), uuid.uuid4().hex
    eventually(lambda: admin.job(long).chunks_done == 1, "its first chunk is played")
    start = time.time() + 0.3
    eve.open_session(mine, max_time=60.0, start=start)
    eventually(lambda: admin.status().session, "it begins with the clock, not with a job")
    shared.untell("hold_after_first")
    hers = submit(eve, session_id=mine)
    eve.result(hers, PATIENCE)
    assert admin.job(long).state is JobState.INTERRUPTED
    eve.close_session(mine)
    admin.result(long, PATIENCE)
    told = [entry.detail for entry in admin.job_log(long) if entry.what == "interrupted"]
    assert told == [f"gives way: session {mine} has begun"]


def test_a_restart_keeps_mode_use_quotas_and_bookings(shared: DaemonProcess) -> None:
    """The last one: it stops the daemon in between."""
    with shared.client() as client, shared.client(key="eve") as eve:
        played(eve, *(submit(eve) for _ in range(3)))
        mine, start = uuid.uuid4().hex, time.time() + 3600.0
        eve.open_session(mine, max_time=60.0, start=start)
        client.set_queue(QueueMode.PAUSED, "a new fridge")
        waiting = submit(eve)
        before = client.queue()
    assert shared.stop() == 0
    shared.start()
    with shared.client() as client, shared.client(key="eve") as eve:
        after = client.queue()
        assert (after.control, after.total) == (before.control, before.total)
        assert client.status().message == "the queue is paused by local: a new fridge"
        ((used,), (again,)) = ([one for one in queue.users if one.user == "eve"] for queue in (before, after))
        assert (again.today, again.bytes_today, again.jobs) == (pytest.approx(used.today), used.bytes_today, 1)
        assert again.used == pytest.approx(used.used, rel=1e-3)
        assert again.used > 0
        assert client.session(mine).start == start
        with pytest.raises(ConflictError):
            client.open_session(uuid.uuid4().hex, max_time=60.0, start=start + 30)
        eve.close_session(mine, cancel=True)
        client.set_queue(QueueMode.OPEN)
        played(eve, waiting)


def test_the_command_books_and_lists(shared: DaemonProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    access = ["--url", shared.endpoint, "--key", str(shared.home / "clients" / "eve.key")]
    assert invoke(["session", "book", "--start", "2026-01-01", "--for", "1h", *access]) == 1
    assert "not a time to begin" in capsys.readouterr().err
    assert invoke(["session", "book", "--start", "soon", "--for", "1h", *access]) == 2
    capsys.readouterr()
    begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 86400))
    assert invoke(["session", "book", "--start", begin, "--for", "1h30m", "--id", "noon", "--json", *access]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["session_id"], told["max_time"]) == ("noon", 5400.0)
    assert invoke(["sessions", *access]) == 0
    assert "booked for" in capsys.readouterr().out
    assert invoke(["session", "close", "noon", "--cancel", *access]) == 0
