"""What a daemon writes into its audit log: every change, every refused right; and that nothing is changed without."""

from __future__ import annotations

import json
import signal
import uuid

import pytest

from pulsed.cli.main import invoke
from pulsed.client.keys import add_client
from pulsed.model.errors import NotAllowedError, NotFoundError, StoreError
from pulsed.model.session import SessionMode
from pulsed.store.audit_log import AuditRecord, records_of
from pulsed.store.audit_verify import verify
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run


def records(daemon: DaemonProcess, who: str) -> list[AuditRecord]:
    return [one for one in records_of(daemon.home / "audit") if one.who == who]


def test_every_change_is_written_with_who_what_from_where_and_how_it_ended(daemon: DaemonProcess) -> None:
    name = f"op-{uuid.uuid4().hex}"
    add_client(daemon.home, name, "operator")
    mine, other = job(), job()
    with daemon.client(key=name) as client, daemon.client() as admin:
        run(client, mine, packed(flip()))
        admin.submit(other, [packed(flip())])
        admin.result(other.job_id, PATIENCE)
        client.update_job(mine.job_id, name="mine")
        client.cancel(other.job_id)
        session = uuid.uuid4().hex
        client.open_session(session, SessionMode.BATCH)
        client.close_session(session)
        client.tag_calibration(client.status().calibration_id, name)
        with pytest.raises(NotAllowedError):
            client.stop_daemon()
        with pytest.raises(NotFoundError):
            client.cancel("nothing")
        client.status()  # asks only, as the results above
        with pytest.raises(NotFoundError):
            client.job("nothing")
    found = records(daemon, name)
    assert [(one.what, one.outcome) for one in found] == [
        ("submit", "done"), ("job.update", "done"), ("cancel", "done"), ("session.open", "done"),
        ("session.close", "done"), ("calibration.tag", "done"), ("stop", "refused"), ("cancel", "refused"),
    ]  # fmt: skip
    assert {(one.role, one.host) for one in found} == {("operator", "127.0.0.1")}
    assert [one.object for one in found[:4]] == [mine.job_id, mine.job_id, other.job_id, session]
    assert json.loads(found[2].detail) == {"cancelled": False}
    assert "may not do this" in found[6].detail
    assert verify(daemon.home / "audit").faults == ()


def test_the_results_of_others_that_somebody_wanted_are_in_the_log(daemon: DaemonProcess) -> None:
    name = f"eve-{uuid.uuid4().hex}"
    add_client(daemon.home, name, "experimenter")
    theirs = job()
    with daemon.client() as client:
        run(client, theirs, packed(flip()))
    with daemon.client(key=name) as eve, pytest.raises(NotAllowedError):
        eve.result(theirs.job_id, PATIENCE)
    (found,) = records(daemon, name)
    assert (found.what, found.outcome, found.object) == ("result", "refused", theirs.job_id)


def test_nothing_is_changed_while_the_log_cannot_be_written_and_a_kill_leaves_it_whole(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    daemon = DaemonProcess(tmp_path_factory.mktemp("audit")).start()
    file = daemon.home / "audit" / "000000001.jsonl"
    away = file.with_suffix(".away")
    requests = [job() for _ in range(8)]
    try:
        with daemon.client() as client:
            for request in requests[:5]:
                client.submit(request, [packed(flip())])
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        assert verify(file.parent).faults == ()
        daemon.start()
        with daemon.client() as client:
            file.rename(away)
            file.mkdir()  # what cannot be written to
            client.submit(requests[5], [packed(flip())])  # is written when that is possible again
            with pytest.raises(StoreError, match="audit log cannot be written"):
                client.submit(requests[6], [packed(flip())])
            assert client.job(requests[5].job_id).owner == "local", "what only asks is served"
            file.rmdir()
            away.rename(file)

            def submitted() -> bool:
                try:
                    client.submit(requests[7], [packed(flip())])
                except StoreError:
                    return False
                return True

            eventually(submitted, "it can be written again")
    finally:
        assert daemon.stop() == 0
    assert verify(file.parent).faults == ()
    found = [one.object for one in records(daemon, "local") if one.outcome == "done" and one.what == "submit"]
    assert found == [request.job_id for request in (*requests[:6], requests[7])]
    assert [one.what for one in records(daemon, "pulsed")] == ["daemon.start", "daemon.start", "daemon.stop"]


def test_the_command_lists_and_verifies(daemon: DaemonProcess, capsys: pytest.CaptureFixture[str]) -> None:
    request = job()
    with daemon.client() as client:
        run(client, request, packed(flip()))
    home = ["--home", str(daemon.home), "--json"]
    assert invoke(["audit", "list", "--about", request.job_id[:12], *home]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["who"], row["what"], row["outcome"]) == ("local", "submit", "done")
    assert invoke(["audit", "verify", *home]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == []
