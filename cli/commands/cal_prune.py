"""`pulsed cal prune`: forget what nothing refers to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.terminal import show_answer
from pulsed.client import Client
from pulsed.client.home import home_directory
from pulsed.model.errors import InvalidValueError

_DAY = 86400.0
_PATIENCE = 600.0
"""Seconds for the daemon to look through its store."""
_DATA = ".nc"


@click.command()
@click.option(
    "--older", "days", metavar="DAYS", type=click.FloatRange(1 / 24), default=90.0, show_default=True,
    help="Only what is older than so many days.",
)  # fmt: skip
@click.option(
    "--results", metavar="DAYS", type=click.FloatRange(1 / 24),
    help="Delete programs and results of jobs older than so many days, too. They stay in lists.",
)  # fmt: skip
@click.option(
    "--jobs", metavar="DAYS", type=click.FloatRange(1 / 24), help="Forget jobs older than so many days, too.",
)  # fmt: skip
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be forgotten.")
@click.option("--files", "with_files", is_flag=True, help="Delete the data files and figures of these records, too.")
@click.option(
    "--data", metavar="DIR", help="With --files: where they lie. Default: `runs` in $PULSED_HOME, else per user."
)
@daemon_options
@as_json_option
def prune(
    days: float, results: float | None, jobs: float | None, dry: bool, with_files: bool, data: str | None,
    url: str | None, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Forget old measurements and candidate sets that nothing refers to.

    Every set stays that was ever active, is tagged or is named by a job; every measurement stays that a value of
    such a set came from, and the newest of each routine on each target. What has a note stays. Jobs and their results
    stay unless asked for; those with a tag of `retention.keep` stay always.
    """
    if data is not None and not with_files:
        raise InvalidValueError("does nothing without --files: no file is deleted", subject="--data", value=data)
    folder = home_directory() / "runs" if data is None else Path(data)
    with Client(url, key, timeout=_PATIENCE) as client:
        now = time.time()
        ages = {"results": results, "jobs": jobs}
        before = {name: now - age * _DAY for name, age in ages.items() if age is not None}
        pruned = client.prune(now - days * _DAY, dry=dry, **before)
    files = within(folder, pruned.files) if with_files else []
    if not dry:
        for path in files:
            path.unlink(missing_ok=True)
    answer = {"runs": pruned.runs, "sets": pruned.sets, "files": [str(path) for path in files], "dry_run": dry}
    answer |= {"jobs": pruned.ended.jobs, "results": pruned.ended.results, "bytes": pruned.ended.bytes}
    what = [f"{pruned.runs} measurements", f"{pruned.sets} calibration sets"]
    what += [f"{len(files)} files in {folder}"] if with_files else []
    text = f"{'would forget' if dry else 'forgot'} {', '.join(what[:-1])} and {what[-1]}, older than {days:g} days"
    if before:
        size = f"{pruned.ended.bytes / 2**20:.1f} MiB"
        text += f"; of jobs {pruned.ended.jobs}, of results {pruned.ended.results}, together {size}"
    show_answer(answer, text, as_json=as_json)


def within(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the data files among ``names`` that lie in ``folder``, each with its figure when there is one.

    What records name was written by whoever measured: a file elsewhere is not for us to delete.
    """
    here = folder.resolve()
    data = [path for path in map(Path, names) if path.suffix == _DATA and path.resolve().is_relative_to(here)]
    return [path for one in data for path in (one, one.with_suffix(".png")) if path.is_file()]
