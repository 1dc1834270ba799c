"""Calibration sets over the wire: who may change them, conflicts, which job plays with which set, crashes."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pulsed.client import Client
from pulsed.client.keys import add_client
from pulsed.model.calibration import CalibrationSet, Fault, RunRecord, Value
from pulsed.model.errors import ConflictError, InvalidValueError, NotAllowedError, NotFoundError, PulsedError
from pulsed.model.job import JobState
from pulsed.provider import PulsedProvider
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, submit
from pulsed.wire.messages import AnyEvent, CalibrationChanged


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    process = DaemonProcess(tmp_path_factory.mktemp("home")).start()
    yield process
    assert process.stop() == 0


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[Client]:
    with daemon.client() as connected:
        yield connected


def nudged(current: CalibrationSet, name: str, by: float) -> CalibrationSet:
    value = current.values[name]
    new = msgspec.structs.replace(value, value=current.number(name) + by, quality="set")
    return current.with_values({name: new}, f"{time.time()}")


def test_a_commit_puts_a_set_in_force_for_everybody(client: Client) -> None:
    seen: list[AnyEvent] = []
    end = client.subscribe(seen.append)
    before, started = client.calibration(), time.time()
    candidate = nudged(before, "Q0.f01", 1e3)
    assert client.put_calibration(candidate) == candidate.calibration_id
    assert client.calibration() == before, "a candidate is not active"
    client.commit_calibration(candidate.calibration_id, before.calibration_id, "a test")
    assert client.calibration() == candidate
    assert client.status().calibration_id == candidate.calibration_id
    eventually(
        lambda: [n.calibration_id for n in seen if isinstance(n, CalibrationChanged)] == [candidate.calibration_id],
        "everybody is told",
    )
    end()
    assert client.calibration(time=started) == before
    assert client.calibration(time=time.time()) == candidate
    (entry,) = client.calibration_log(1)
    assert (entry.calibration_id, entry.by, entry.why, entry.changed) == (
        candidate.calibration_id, "local", "a test", ("Q0.f01",),
    )  # fmt: skip
    newest = client.value_history("Q0.f01")[0]
    assert (newest.value, newest.calibration_id) == (candidate.values["Q0.f01"], candidate.calibration_id)
    client.tag_calibration(before.calibration_id, "before")
    assert client.calibration(tag="before") == before
    client.commit_calibration(before.calibration_id, candidate.calibration_id, "roll back")
    assert client.calibration() == before


def test_the_second_operator_is_told_what_the_first_one_changed(daemon: DaemonProcess, client: Client) -> None:
    with daemon.client() as other:
        base = client.calibration()
        mine, theirs = nudged(base, "Q0.f01", 1e3), nudged(base, "Q2.f01", 2e3)
        client.put_calibration(mine)
        other.put_calibration(theirs)
        other.commit_calibration(theirs.calibration_id, base.calibration_id)
        with pytest.raises(ConflictError, match="another calibration set became active") as caught:
            client.commit_calibration(mine.calibration_id, base.calibration_id)
    assert caught.value.value == "changed: Q2.f01"
    assert client.calibration() == theirs
    rebased = theirs.with_values({"Q0.f01": mine.values["Q0.f01"]}, "again")
    client.put_calibration(rebased)
    client.commit_calibration(rebased.calibration_id, theirs.calibration_id)
    assert client.calibration().changed(base) == ("Q0.f01", "Q2.f01")


def test_jobs_play_with_a_candidate_and_finish_with_the_set_they_began_with(
    daemon: DaemonProcess, client: Client
) -> None:
    before = client.calibration()
    candidate = nudged(before, "Q0.x.amplitude", 1e-3)
    client.put_calibration(candidate)
    tried = submit(client, calibration_id=candidate.calibration_id)
    assert client.result(tried, PATIENCE)[0].calibration_id == candidate.calibration_id
    assert client.calibration() == before
    daemon.tell("hold")
    held = submit(client)
    eventually(lambda: client.job(held).state is JobState.RUNNING, "it plays")
    client.commit_calibration(candidate.calibration_id, before.calibration_id, "while a job plays")
    later = submit(client)
    daemon.untell("hold")
    assert client.result(held, PATIENCE)[0].calibration_id == before.calibration_id
    assert client.result(later, PATIENCE)[0].calibration_id == candidate.calibration_id


def test_a_set_no_gate_can_be_made_of_fails_jobs_and_not_the_daemon(tmp_path: Path) -> None:
    process = DaemonProcess(tmp_path).start()
    try:
        with process.client() as client:
            good = client.calibration()
            bad = good.with_values({"Q0.x.amplitude": Value(7.0, "")}, "t")
            client.put_calibration(bad)
            client.commit_calibration(bad.calibration_id, good.calibration_id, "a slip of the hand")
            with pytest.raises(PulsedError):
                client.result(submit(client), PATIENCE)
        assert process.stop() == 0
        process.start()
        with process.client() as client:
            assert client.calibration() == bad
            with pytest.raises(PulsedError):
                client.result(submit(client), PATIENCE)
            client.commit_calibration(good.calibration_id, bad.calibration_id, "back")
            assert client.result(submit(client), PATIENCE)[0].calibration_id == good.calibration_id
    finally:
        assert process.stop() == 0


def test_a_daemon_that_is_killed_comes_back_with_the_last_committed_set(tmp_path: Path) -> None:
    process = DaemonProcess(tmp_path).start()
    with process.client() as client:
        good = client.calibration()
        committed, candidate = nudged(good, "Q0.f01", 1e3), nudged(good, "Q0.f01", 9e3)
        for one in (committed, candidate):
            client.put_calibration(one)
        client.commit_calibration(committed.calibration_id, good.calibration_id)
        process.signal(signal.SIGKILL)
        process.wait()
    process.start()
    try:
        with process.client() as client:
            assert client.calibration() == committed
            assert client.calibration(candidate.calibration_id) == candidate
            assert [entry.calibration_id for entry in client.calibration_log()] == [
                committed.calibration_id, good.calibration_id,
            ]  # fmt: skip
    finally:
        assert process.stop() == 0


@pytest.mark.parametrize(("role", "may"), [("experimenter", False), ("operator", True)])
def test_only_operators_write(daemon: DaemonProcess, role: str, may: bool) -> None:
    with daemon.client(key=add_client(daemon.home, role, role)) as someone:
        current = someone.calibration()
        record = RunRecord(uuid.uuid4().hex, role, "Q0", "check", "good", 1.0, 2.0)
        for write in (
            lambda: someone.put_calibration(nudged(current, "Q0.f01", 1.0)),
            lambda: someone.commit_calibration(current.calibration_id, current.calibration_id),
            lambda: someone.tag_calibration(current.calibration_id, role),
            lambda: someone.put_run(record),
        ):
            if may:
                write()
            else:
                with pytest.raises(NotAllowedError, match="from operator on"):
                    write()
        assert [(run.run_id, run.by) for run in someone.runs(role, "Q0")] == ([(record.run_id, role)] if may else [])
        assert someone.calibration_log(1)
        assert someone.value_history("Q0.f01")


def test_what_cannot_be_is_refused_by_name(client: Client) -> None:
    current = client.calibration()
    with pytest.raises(NotFoundError, match="nowhere"):
        client.commit_calibration("nowhere", current.calibration_id)
    with pytest.raises(NotFoundError, match="untagged"):
        client.calibration(tag="untagged")
    with pytest.raises(NotFoundError, match="active yet"):
        client.calibration(time=1.0)
    with pytest.raises(InvalidValueError, match="more than one name"):
        client.calibration(current.calibration_id, tag="x")
    with pytest.raises(InvalidValueError, match="another rack"):
        client.put_calibration(msgspec.structs.replace(current, device="sim2"))
    with pytest.raises(InvalidValueError, match="not a name"):
        client.put_calibration(current.with_faults({"": Fault("nothing")}, "t"))
    for bad in ("", "a\nb", "x" * 256):
        with pytest.raises(InvalidValueError, match="not a name"):
            client.tag_calibration(current.calibration_id, bad)
    for limit in (0, 1001):
        with pytest.raises(InvalidValueError, match="not a number of rows to list"):
            client.calibration_log(limit)


def test_a_new_set_reaches_connected_backends_by_event(daemon: DaemonProcess) -> None:
    with daemon.client() as mine, daemon.client() as operator:
        backend = PulsedProvider(client=mine).get_backend("sim5")
        before = operator.calibration()
        assert backend.target["x"][3,].error == before.number("Q3.x.error")
        broken = before.with_faults({"Q3": Fault("no line")}, "t")
        operator.put_calibration(broken)
        operator.commit_calibration(broken.calibration_id, before.calibration_id, "Q3 is dead")
        eventually(lambda: (3,) not in backend.target["x"], "the qubit leaves the Target")
        assert backend.calibration_id == broken.calibration_id
        operator.commit_calibration(before.calibration_id, broken.calibration_id, "it was the cable")
        eventually(lambda: (3,) in backend.target["x"], "the qubit comes back")


def test_old_candidates_are_forgotten_when_an_admin_says_so(daemon: DaemonProcess, client: Client) -> None:
    add_client(daemon.home, "mere-operator", "operator")
    with daemon.client(key="mere-operator") as operator, pytest.raises(NotAllowedError, match="from admin on"):
        operator.prune(0.0)
    with pytest.raises(InvalidValueError, match=r"too young.*1 h ago"):
        client.prune(time.time() - 60)
    candidate = nudged(client.calibration(), "Q0.f01", 7e3)
    client.put_calibration(candidate)
    for number in range(2):
        record = RunRecord(f"ancient {number}", "t2", "Q0", "check", "good", 1.0, 2.0, file=f"{number}.nc")
        client.put_run(record)
    would = client.prune(time.time() - 86400, dry=True)
    assert would.files == ("0.nc",)
    assert client.prune(time.time() - 86400) == would
    assert [record.run_id for record in client.runs("t2")] == ["ancient 1"]
    assert client.calibration(candidate.calibration_id) == candidate, "it was stored just now"
    assert client.prune(time.time() - 86400).runs == 0
