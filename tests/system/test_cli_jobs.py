"""`pulsed run`, `jobs`, `job` and `cancel` against a scripted rack: ids, their beginnings, and Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import FINAL_STATES, JobInfo, JobState
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import flip, job, packed

QASM = Path(__file__).parents[2] / "examples" / "bell.qasm"


@pytest.fixture
def pulsed(
    daemon: DaemonProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    monkeypatch.setenv("PULSED_HOME", str(daemon.home))

    def run(*arguments: str, code: int = 0) -> str:
        assert invoke([*arguments]) == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


@pytest.fixture
def held(daemon: DaemonProcess):
    daemon.tell("hold")
    yield
    daemon.untell("hold")


def test_a_name_of_brackets_and_escapes_breaks_no_screen(
    client: Client, pulsed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("\x1b[2J\x9b2J", "two\nlines"):
        with pytest.raises(InvalidValueError, match="job_name: has a letter that cannot be shown"):
            client.submit(job(name=name), [packed(flip())])
    names = ["[/]", "T1 [us]", r"\x1b[2J\x9b2J"]
    ids = [client.submit(job(name=name, tags=("[/]",)), [packed(flip())]).job_id for name in names]
    for width in ("80", "160"):
        monkeypatch.setenv("COLUMNS", width)
        screen = pulsed("jobs")
        for name in names:
            assert name in screen
    for job_id, name in zip(ids, names, strict=True):
        screen = pulsed("job", job_id[:10])
        assert name in screen
        assert job_id in screen
    answer = pulsed("jobs", "--json", "--limit", "3")
    assert [one["name"] for one in json.loads(answer)] == names[::-1]


def test_more_jobs_than_a_page_are_listed(client: Client, pulsed: Callable[..., str]) -> None:
    ids = [client.submit(job(tags=("many",)), [packed(flip())]).job_id for _ in range(103)]
    found = [one["job_id"] for one in json.loads(pulsed("jobs", "--limit", "103", "--json"))]
    assert found == ids[::-1]
    assert len(json.loads(pulsed("jobs", "--limit", "7", "--json"))) == 7


def test_a_job_is_cancelled_by_the_beginning_of_its_id(held: None, client: Client, pulsed: Callable[..., str]) -> None:
    job_id = client.submit(job(), [packed(flip())]).job_id
    assert pulsed("cancel", job_id[:8]) == f"{job_id} cancelled\n"
    assert client.job(job_id).state is JobState.CANCELLED
    assert "more than one" not in pulsed("cancel", "no-such-job", code=1)


def started(daemon: DaemonProcess, client: Client, **options: object) -> tuple[subprocess.Popen[str], JobInfo]:
    """Start `pulsed run` and return it with its job once that plays."""
    before = {info.job_id for info in client.jobs()}
    # A child inherits that SIGINT is ignored, as it is where the tests run in a shell's background.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "pulsed.cli", "run", str(QASM), "--shots", "20"], text=True, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, env={**os.environ, "PULSED_HOME": str(daemon.home)}, start_new_session=True,
        **options,
    )  # fmt: skip
    signal.signal(signal.SIGINT, handler)

    def new() -> JobInfo | None:
        assert process.poll() is None
        return next((info for info in client.jobs(state=JobState.RUNNING) if info.job_id not in before), None)

    return process, eventually(new, "the job runs")


def test_a_run_that_is_interrupted_names_its_job_and_how_to_cancel_it(
    held: None, daemon: DaemonProcess, client: Client
) -> None:
    process, info = started(daemon, client, stdin=subprocess.DEVNULL)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"job {info.job_id} goes on" in said
    assert f"`pulsed cancel {info.job_id[:8]}` cancels it" in said
    assert client.job(info.job_id).state not in FINAL_STATES
    assert client.cancel(info.job_id)


def test_ctrl_c_again_cancels_the_job(held: None, daemon: DaemonProcess, client: Client) -> None:
    ours, theirs = pty.openpty()
    process, info = started(daemon, client, stdin=theirs)
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    while "Ctrl-C within" not in (line := process.stderr.readline()):
        assert line, "it ended without a word"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 130
    assert f"job {info.job_id} is cancelled" in said
    assert client.job(info.job_id).state is JobState.CANCELLED
