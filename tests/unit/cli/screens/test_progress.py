"""What `pulsed run` and `pulsed cal run` say while one waits, and at Ctrl-C."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pulsed.calibration.runner.result import RunResult
from pulsed.cli.commands.cal_run import telling
from pulsed.cli.screens.progress import shown
from pulsed.client.following import spoken
from pulsed.model.calibration import RunRecord
from pulsed.model.job import JobInfo, JobState
from pulsed.wire.messages import JobChanged


def info(state: JobState, job_id: str = "ours", **fields: object) -> JobInfo:
    return JobInfo(job_id, "sim5", state, "me", 0.0, **fields)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (info(JobState.QUEUED, queue_position=0), "waits"),
        (info(JobState.QUEUED, queue_position=1), "waits, 1 job before it"),
        (info(JobState.QUEUED, queue_position=0, waits_for="s1"), "waits for the end of session s1"),
        (info(JobState.READY, queue_position=2, waits_for="s1"), "waits for the end of session s1, 2 jobs before it"),
        (info(JobState.READY, queue_position=3, chunks=4), "is ready, 3 jobs before it"),
        (info(JobState.RUNNING, chunks=4, chunks_done=3), "plays, 3 of 4 chunks done"),
    ],
)
def test_what_a_job_does_is_told(job, said):
    assert spoken(job) == said


class Told:
    """A client that tells what it is given."""

    def __init__(self) -> None:
        self.position = 2
        self.ended = 0

    def job(self, job_id):
        return info(JobState.READY, job_id, queue_position=self.position)

    def watch(self, job_id, callback):
        self.ours = callback
        callback(self.job(job_id))
        return self.end

    def subscribe(self, callback, *kinds):
        self.others = callback
        return self.end

    def end(self):
        self.ended += 1


def test_place_and_chunks_are_shown_as_they_change():
    client, out = Told(), io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, _environ={})

    def seen():
        bars_said = out.getvalue()
        out.truncate(0)
        return bars_said

    with shown(client, "ours", console):
        client.position = 1
        client.others(JobChanged(0, info(JobState.DONE, "theirs")))
        client.ours(info(JobState.RUNNING, chunks=4, chunks_done=1))
    assert "job ours plays, 1 of 4 chunks done" in seen()
    assert client.ended == 2
    client.position = 2
    with shown(client, "ours", console):
        client.position = 1
        client.others(JobChanged(0, info(JobState.DONE, "theirs")))
    assert "job ours is ready, 1 job before it" in seen()


def test_nothing_is_shown_where_there_is_no_terminal():
    client, out = Told(), io.StringIO()
    with shown(client, "ours", Console(file=out)):
        pass
    assert (out.getvalue(), client.ended) == ("", 0)


def stopped(file: str) -> RunResult:
    return RunResult(
        RunRecord(
            run_id="1", routine="t1", target="Q1", kind="calibrate", outcome="stopped", started=0.0, ended=1.0,
            reason="by hand", before="", file=file, values={}, by="",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ([], "nothing was measured\n"),
        ([stopped("")], "Q1: stopped, by hand; nothing was measured\nno value was made active\n"),
        ([stopped("/r/1.nc")], "Q1: stopped, by hand; kept in /r/1.nc\nno value was made active\n"),
    ],
)
def test_ctrl_c_says_what_was_kept(ended, said, capsys):
    def stop():
        with telling() as kept:
            kept.extend(ended)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert capsys.readouterr().err == said
