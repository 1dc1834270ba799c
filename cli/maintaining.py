"""The commands that keep a machine calibrated: bring-up, maintenance, diagnosis, the graph and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pulsed.cli.cal import as_json_option, cal, daemon_options

if TYPE_CHECKING:
    from collections.abc import Callable

targets_option = click.option(
    "--target",
    "targets",
    metavar="TARGET",
    multiple=True,
    help="Only Q2, Q1-Q0, ... and what they hang on; repeatable.",
)

without_option = click.option(
    "--without", metavar="ROUTINE", multiple=True, help="Leave this routine out, e.g. rb; repeatable."
)


def files_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add the option that says where data go."""
    text = "Where the data of runs lie. Default: `runs` in $PULSED_HOME, else per user."
    return click.option("--data", metavar="DIR", help=text)(command)


def pass_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what a pass over the graph takes: ``targets``, ``without``, ``data``, ``url``, ``key`` and ``as_json``."""
    return targets_option(without_option(files_option(daemon_options(as_json_option(command)))))


@cal.command()
@pass_options
def bringup(**options: Any) -> None:
    """Tune the machine up, from the design sheet if need be, as far as it is not tuned yet.

    A target that fails is marked as faulty and leaves the others alone. Ctrl-C keeps what was measured; the next
    bring-up goes on where this one was. Ends with exit code 1 when a measurement did not succeed.
    """
    from pulsed.cli import keeping

    keeping.bring_up(**options)


@cal.command()
@pass_options
@click.option(
    "--priority",
    type=click.IntRange(-100, 100),
    default=0,
    show_default=True,
    help="Of its jobs: with -100 whatever else waits goes first.",
)
def maintain(**options: Any) -> None:
    """Check what is old or doubtful, and calibrate anew what has drifted and what hangs on it. Nothing else."""
    from pulsed.cli import keeping

    keeping.maintain(**options)


@cal.command()
@click.argument("target")
@click.option("--routine", metavar="NAME", help="What is suspected; default: the last routines of the target.")
@files_option
@daemon_options
@as_json_option
def diagnose(
    target: str, routine: str | None, data: str | None, url: str | None, key: str | None, as_json: bool
) -> None:
    """Find out what is wrong with a target: check it, then what it hangs on, and mend the cause."""
    from pulsed.cli import keeping

    keeping.diagnose(target, routine, data, url, key, as_json=as_json)


@cal.command()
@click.option("--image", metavar="FILE", help="Draw it into a PNG, too.")
@daemon_options
@as_json_option
def graph(image: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Show every routine on every target: fresh, stale, failed, never done, and why."""
    from pulsed.cli import keeping

    keeping.graph(image, url, key, as_json=as_json)


@cal.command()
@click.option(
    "--older", "days", metavar="DAYS", type=click.FloatRange(1 / 24), default=90.0, show_default=True,
    help="Only what is older than so many days.",
)  # fmt: skip
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be forgotten.")
@click.option("--files", "with_files", is_flag=True, help="Delete the data files and figures of these records, too.")
@files_option
@daemon_options
@as_json_option
def prune(
    days: float, dry: bool, with_files: bool, data: str | None, url: str | None, key: str | None, as_json: bool
) -> None:
    """Forget old measurements and candidate sets that nothing refers to.

    Every set stays that was ever in force, is tagged or is named by a job; every measurement stays that a value of
    such a set came from, and the newest of each routine on each target. Jobs and their results stay.
    """
    from pulsed.cli import pruning

    pruning.prune(days, data, url, key, dry=dry, with_files=with_files, as_json=as_json)


@cal.command()
@click.option("--out", metavar="FILE", default="report.html", show_default=True)
@files_option
@daemon_options
def report(out: str, data: str | None, url: str | None, key: str | None) -> None:
    """Write one HTML page: the chip, its values and their drift, the graph, and the figure of each last run."""
    from pulsed.cli import keeping

    keeping.report(out, data, url, key)


@cal.command("to-qcodes")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--database", metavar="FILE", default="runs.db", show_default=True, help="It is made when it is not there."
)
def to_qcodes(files: tuple[str, ...], database: str) -> None:
    """Copy the files of runs (`pulsed cal runs` names them) into a QCoDeS database, for plottr and its like."""
    from pulsed.calibration import data

    for file in files:
        click.echo(f"{file}: run {data.to_qcodes(file, database)} of {database}")
