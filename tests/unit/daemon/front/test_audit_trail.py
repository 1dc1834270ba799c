"""What is written of a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulsed.daemon.front.audit_trail import AuditTrail, about_request, kind_of
from pulsed.daemon.front.handlers import Peer
from pulsed.model.errors import StoreError
from pulsed.model.job import JobRequest, RunOptions
from pulsed.store.audit_log import AuditRecord, records_of
from pulsed.wire import messages as m
from pulsed.wire.instrument_messages import UseInstrument
from pulsed.wire.roles import READS, RIGHTS, Role, changes_nothing

PEER = Peer(b"", "ann", Role.OPERATOR, "key", "192.0.2.7")


def test_settings_of_instruments_stand_in_the_detail_of_a_submission() -> None:
    options = RunOptions(shots=7, settings={"lo1.frequency": 5e9})
    about, detail = about_request(m.Submit(1, JobRequest("job", ("qpy",), 2, options)))
    assert about == "job"
    assert detail == '2 programs, 7 shots, settings {"lo1.frequency":5000000000.0}'


def test_a_request_is_told_by_what_it_is_about_and_the_rest() -> None:
    commit = m.CommitCalibration(1, "set", "older", "drift")
    assert about_request(commit) == ("set", '{"expected":"older","why":"drift"}')
    assert about_request(m.Cancel(1, "job"), m.CancelReply(1, True)) == ("job", '{"cancelled":true}')
    assert about_request(m.Stop(1)) == ("", "")
    assert len(about_request(m.Cancel(1, "x" * 10**6))[0]) == 2000
    assert kind_of(commit) == "calibration.commit"


def test_what_reads_has_a_right_and_what_is_not_known_to_read_is_written() -> None:
    assert set(RIGHTS) > READS
    assert {kind.__name__ for kind in set(RIGHTS) - READS} >= {"Submit", "Cancel", "Stop", "PutRun", "UpdateJob"}


def test_settings_of_one_instrument_are_written_and_its_reading_alone_is_not() -> None:
    asked, changed = UseInstrument(1, "lo1", {}, ()), UseInstrument(1, "lo1", {"frequency": 5e9}, ())
    assert changes_nothing(asked)
    assert not changes_nothing(changed)
    assert about_request(changed)[0] == "lo1"
    assert "5000000000.0" in about_request(changed)[1]


def test_without_a_log_nothing_is_changed_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trail = AuditTrail(tmp_path)
    full = True
    append = trail.log.append

    def write(records: list[AuditRecord]) -> None:
        if full:
            raise StoreError("no space")
        append(records)

    monkeypatch.setattr(trail.log, "append", write)
    monkeypatch.setattr("pulsed.daemon.front.audit_trail._AGAIN", 0.0)
    stop = m.Stop(1)
    trail.check(stop)
    trail.done(stop, PEER, m.StopReply(1))
    with pytest.raises(StoreError, match="no space"):
        trail.check(stop)
    trail.check(m.GetStatus(1))
    full = False
    trail.check(stop)
    trail.done(m.GetStatus(1), PEER, m.StopReply(1))
    trail.refused("refused", "192.0.2.8", {"user": "eve", "request": "cancel", "error": "not yours", "about": "job"})
    trail.refused("refused", "192.0.2.8", {"why": "not_allowed", "more": "77"})
    trail.close()
    found = list(records_of(tmp_path / "audit"))
    assert [(one.who, one.what, one.outcome, one.host, one.object, one.detail) for one in found] == [
        ("ann", "stop", "done", "192.0.2.7", "", ""),
        ("eve", "cancel", "refused", "192.0.2.8", "job", "not yours"),
        ("", "refused", "refused", "192.0.2.8", "", "77 more"),
    ]


def test_a_log_that_cannot_be_closed_is_told_and_the_daemon_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(tmp_path)
    closing = StoreError("the disk has gone")

    def close() -> None:
        raise closing

    monkeypatch.setattr(trail.log, "close", close)
    trail.close()
    assert trail.error is closing
