"""The list of jobs: those of people, and of calibration what has not ended; the others when they are asked for."""

import json
from types import SimpleNamespace

import pytest

from pulsed.cli.main import invoke
from pulsed.cli.screens.status import shortened
from pulsed.model.job import CALIBRATION_TAG, JobInfo, JobState


def job(name, *tags, state=JobState.DONE):
    return JobInfo(f"id-{name}", "sim5", state, "me", 1e9, name=name, tags=tags)


LISTED = [
    job("now", CALIBRATION_TAG, state=JobState.RUNNING),
    *(job(f"pass{k}", CALIBRATION_TAG) for k in range(3)),
    job("bell", "paper"),
    job("older", CALIBRATION_TAG),
    job("ghz"),
]


def fitting(tags=(), state=None, owner=None, session_id=None):
    return [
        one for one in LISTED
        if set(tags) <= set(one.tags) and state in (None, one.state) and owner in (None, one.owner)
        and session_id in (None, one.session_id)
    ]  # fmt: skip


@pytest.fixture
def listed(monkeypatch, capsys):
    """Return the names that `pulsed jobs` lists with some arguments, and what it says beside them."""

    class Daemon:
        def __init__(self, *key):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *failure):
            pass

        def session(self, start):
            return SimpleNamespace(session_id=f"{start}-whole")

        def all_jobs(self, page=100, **filters):
            return iter(fitting(**filters))

        def count_jobs(self, **filters):
            return len(fitting(**filters))

    monkeypatch.setattr("pulsed.cli.commands.jobs.Client", Daemon)

    def ask(*arguments):
        assert invoke(["jobs", "--json", *arguments]) == 0
        said = capsys.readouterr()
        return SimpleNamespace(names=[one["name"] for one in json.loads(said.out)], beside=said.err)

    return ask


def test_calibration_jobs_that_have_ended_are_left_out_and_counted(listed):
    found = listed()
    assert found.names == ["now", "bell", "ghz"]
    assert found.beside.startswith("ended jobs of calibration left out: 4; --all")


def test_what_is_left_out_takes_no_place_of_the_limit(listed):
    found = listed("--limit", "2")
    assert found.names == ["now", "bell"]
    assert found.beside.startswith("ended jobs of calibration left out: 3;")


@pytest.mark.parametrize(
    ("arguments", "count"), [(["--all"], 7), (["--tag", CALIBRATION_TAG], 5), (["--tag", "paper"], 1)]
)
def test_all_of_them_come_when_asked_for(listed, arguments, count):
    found = listed(*arguments)
    assert len(found.names) == count
    assert found.beside == ""


def test_long_names_lose_their_middle():
    name = "qft_on_five_qubits_with_decoupling_of_idle_ones_run_17"
    assert shortened(name, 20) == "qft_on_fi…nes_run_17"
    assert shortened(name[:20], 20) == name[:20]
    assert {len(shortened(name, most)) for most in (10, 11)} == {10, 11}


def test_it_says_how_many_there_are(listed):
    assert "2 of 7 jobs shown; --limit 7 shows all" in listed("--all", "--limit", "2").beside
    assert "shown" not in listed("--all", "--limit", "7").beside
    assert "shown" not in listed().beside


def test_filters(listed):
    assert listed("--state", "running").names == ["now"]
    assert listed("--user", "me", "--limit", "1").names == ["now"]
    assert listed("--user", "eve").names == []
    assert listed("--session", "abcd").names == []
