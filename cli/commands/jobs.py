"""`pulsed jobs`, `pulsed job` and `pulsed cancel`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.status import job_screen, jobs_screen, log_screen
from pulsed.cli.screens.terminal import show_answer
from pulsed.cli.screens.text import note, say
from pulsed.client import Client
from pulsed.model.job import CALIBRATION_TAG, FINAL_STATES, JobInfo, JobState

_PAGE = 100
"""Jobs that are asked for at once."""
_LOOKED_THROUGH = 1000
"""Newest jobs among which those to show are looked for."""


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only jobs with this tag; may be repeated.")
@click.option("--state", type=click.Choice([str(state) for state in JobState]), help="Only jobs in this state.")
@click.option("--user", metavar="NAME", help="Only jobs of this user.")
@click.option(
    "--session", "session_id", metavar="SESSION", help="Only jobs of this session, or the beginning of its id."
)
@click.option("--all", "everything", is_flag=True, help="With jobs of routines, self-tests and passes that have ended.")
@daemon_options
@as_json_option
def jobs(
    limit: int, tags: tuple[str, ...], state: str | None, user: str | None, session_id: str | None, url: str | None,
    key: str | None, *, everything: bool, as_json: bool,
) -> None:  # fmt: skip
    """List jobs, newest first, and say how many more there are.

    Jobs that a routine, a scan, a self-test or a maintenance pass has handed in are left out once they have ended,
    unless --all or --tag asks for them.
    """
    everything = everything or bool(tags)
    with Client(url, key) as client:
        if session_id is not None:
            session_id = client.session(session_id).session_id
        filters: dict[str, Any] = {
            "tags": tags, "state": None if state is None else JobState(state), "owner": user, "session_id": session_id,
        }  # fmt: skip
        listed = client.all_jobs(**filters, page=min(limit, _PAGE) if everything else _PAGE)
        found, left_out = _wanted(listed, limit, everything=everything)
        total = client.count_jobs(**filters) if len(found) == limit else None
    show_answer(found, jobs_screen(found), as_json=as_json)
    if left_out:
        note(f"ended jobs of calibration left out: {left_out}; --all lists them")
    if total is not None and total > len(found) + left_out:
        note(
            f"{len(found)} of {total} jobs shown; --limit {total} shows all, --state, --user, --session and --tag fewer"
        )


def _wanted(listed: Iterable[JobInfo], limit: int, *, everything: bool) -> tuple[list[JobInfo], int]:
    """Return at most ``limit`` jobs to show, and how many of calibration were left out before the last of them."""
    found: list[JobInfo] = []
    left_out = 0
    for job in islice(listed, limit if everything else _LOOKED_THROUGH):
        if len(found) == limit:
            break
        if everything or CALIBRATION_TAG not in job.tags or job.state not in FINAL_STATES:
            found.append(job)
        else:
            left_out += 1
    return found, left_out


@click.command()
@click.argument("job_id", metavar="JOB")
@click.option("--log", is_flag=True, help="What the daemon wrote down about it instead.")
@daemon_options
@as_json_option
def job(job_id: str, log: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Show one job: its state, its times, its error.

    JOB is its id, or the first four letters or more of it when no other begins like that.
    """
    with Client(url, key) as client:
        found = client.job(job_id)
        if log:
            entries = client.job_log(found.job_id)
            show_answer(entries, log_screen(entries), as_json=as_json)
            return
    show_answer(found, job_screen(found), as_json=as_json)


@click.command()
@click.argument("job_id", metavar="JOB")
@daemon_options
def cancel(job_id: str, url: str | None, key: str | None) -> None:
    """Cancel a job that has not ended; JOB is its id, or the beginning of it."""
    with Client(url, key) as client:
        job_id = client.job(job_id).job_id
        cancelled = client.cancel(job_id)
    say(f"{job_id} cancelled" if cancelled else f"{job_id} had ended before")
