"""The commands about calibration sets: what is in force, what was, and changes by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a screen.")
why_option = click.option("--why", metavar="TEXT", required=True, help="Kept in the log.")


def daemon_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which daemon to speak to."""
    url = click.option("--url", metavar="URL", help="Daemon, e.g. tcp://lab:5810. Default: this machine's.")
    key = click.option("--key", metavar="FILE|NAME", help="Key to speak with. Default: this machine's own.")
    return url(key(command))


class InOrder(click.Group):
    """Lists its commands in the order in which a person meets them, not by alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of definition."""
        return list(self.commands)


@click.group(cls=InOrder)
def cal() -> None:
    """Look at calibration sets and change them.

    A set is named by its id, by the beginning of it, by a tag, or by `current`. What changes a set makes a child of
    the one in force and puts that in force, unless somebody else has in the meantime.
    """


@cal.command()
@click.argument("name", metavar="[ID|TAG]", required=False)
@click.option("--at", metavar="TIME", help="The set that was in force then: 2026-11-21T14:30, local time.")
@click.option("--tag", metavar="TAG", help="The set with this tag.")
@daemon_options
@as_json_option
def show(name: str | None, at: str | None, tag: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Show a calibration set, by default the one in force."""
    from pulsed.cli import calibrations

    calibrations.show(name, at, tag, url, key, as_json=as_json)


@cal.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@click.option("--name", metavar="NAME", help="Only those that changed this value, e.g. Q2.f01.")
@daemon_options
@as_json_option
def log(limit: int, name: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """List which sets came into force when, by whom, and what each changed."""
    from pulsed.cli import calibrations

    calibrations.log(limit, name, url, key, as_json=as_json)


@cal.command()
@click.argument("first", metavar="ID|TAG")
@click.argument("second", metavar="ID|TAG", default="current")
@daemon_options
@as_json_option
def diff(first: str, second: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show what differs between two sets; the second is by default the one in force."""
    from pulsed.cli import calibrations

    calibrations.diff(first, second, url, key, as_json=as_json)


@cal.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def history(name: str, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """Show the values that NAME, such as Q2.f01, has had."""
    from pulsed.cli import calibrations

    calibrations.history(name, limit, url, key, as_json=as_json)


@cal.command()
@click.option("--routine", metavar="NAME", help="Only those of this routine.")
@click.option("--target", metavar="TARGET", help="Only those of Q2, Q1-Q0, d0, ...")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def runs(routine: str | None, target: str | None, limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List measurements, good and bad: what came of each, why, and where its data lie."""
    from pulsed.cli import calibrations

    calibrations.runs(routine, target, limit, url, key, as_json=as_json)


@cal.command("set")
@click.argument("name")
@click.argument("value")
@why_option
@click.option("--stderr", metavar="VALUE", help="Standard error, in the same unit.")
@click.option("--force", is_flag=True, help="Also a value that is out of bounds or far from the one before.")
@daemon_options
@as_json_option
def set_value(
    name: str, value: str, why: str, stderr: str | None, force: bool, url: str | None, key: str | None, as_json: bool
) -> None:
    """Set one value by hand: `set Q2.f01 4.91GHz`, `set d0.mixer.offset 0.001,-0.003`."""
    from pulsed.cli import calibrations

    calibrations.set_value(name, value, stderr, why, url, key, force=force, as_json=as_json)


@cal.command()
@click.argument("subject")
@why_option
@daemon_options
@as_json_option
def fault(subject: str, why: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Mark a qubit or a pair as faulty: it leaves the Target, and is not calibrated any more."""
    from pulsed.cli import calibrations

    calibrations.fault(subject, why, url, key, as_json=as_json)


@cal.command()
@click.argument("subject")
@click.option("--why", metavar="TEXT", default="", help="Kept in the log.")
@daemon_options
@as_json_option
def unfault(subject: str, why: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Take the mark of a faulty qubit or pair away."""
    from pulsed.cli import calibrations

    calibrations.unfault(subject, why, url, key, as_json=as_json)


@cal.command()
@click.argument("name", metavar="ID|TAG")
@click.option("--why", metavar="TEXT", default="", help="Kept in the log.")
@click.option("--force", is_flag=True, help="Also to a set of another cooldown.")
@daemon_options
@as_json_option
def rollback(name: str, why: str, force: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Put an earlier set, or any other that is stored, in force again."""
    from pulsed.cli import calibrations

    calibrations.rollback(name, why, url, key, force=force, as_json=as_json)


@cal.command()
@click.argument("name", metavar="ID|TAG")
@click.argument("tag")
@click.option("--move", is_flag=True, help="Take the tag from the set that has it.")
@daemon_options
@as_json_option
def tag(name: str, tag: str, move: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Give a set a name that is easier to remember."""
    from pulsed.cli import calibrations

    calibrations.tag(name, tag, url, key, move=move, as_json=as_json)


@cal.command()
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[ID|TAG]", default="current")
@daemon_options
@as_json_option
def export(file: str, name: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Write a set as readable JSON to FILE, or with `-` to the terminal."""
    from pulsed.cli import calibrations

    calibrations.export(file, name, url, key, as_json=as_json)


@cal.command("import")
@click.argument("file", metavar="FILE")
@click.option("--commit", is_flag=True, help="Put it in force, too.")
@click.option("--why", metavar="TEXT", default="", help="Kept in the log.")
@click.option("--force", is_flag=True, help="With --commit: also a set of another cooldown.")
@daemon_options
@as_json_option
def import_set(file: str, commit: bool, why: str, force: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Store a set from a file that `export` wrote."""
    from pulsed.cli import calibrations

    calibrations.import_set(file, why, url, key, commit=commit, force=force, as_json=as_json)


@cal.group()
def cooldown() -> None:
    """Look after cooldowns, between which no value is carried over unasked."""


@cooldown.command("new")
@click.option("--name", metavar="NAME", help="Of the cooldown. Default: the next number.")
@click.option("--keep", metavar="NAMES", default="", help="Values to keep, e.g. '*.mixer.*,in.delay'.")
@click.option("--why", metavar="TEXT", default="new cooldown", show_default=True, help="Kept in the log.")
@daemon_options
@as_json_option
def new_cooldown(name: str | None, keep: str, why: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Begin anew: a set with the design sheet's values alone, nothing faulty."""
    from pulsed.cli import calibrations

    calibrations.new_cooldown(name, keep, why, url, key, as_json=as_json)


@cal.command()
@click.argument("routine")
@click.argument("targets", nargs=-1)
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="A parameter of the routine, e.g. points=41."
)
@click.option("--check", is_flag=True, help="Only look whether the values in force are right: a few points.")
@click.option("--no-commit", is_flag=True, help="Measure and show, change nothing.")
@click.option("--figures", is_flag=True, help="Draw each run beside its file.")
@click.option("--folder", metavar="DIRECTORY", help="For the data. Default: runs/ in the home directory.")
@daemon_options
@as_json_option
def run(
    routine: str, targets: tuple[str, ...], settings: tuple[str, ...], check: bool, no_commit: bool, figures: bool,
    folder: str | None, url: str | None, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure TARGETS (Q0, Q1-Q0, d0; by default all) with ROUTINE, and put what it finds in force.

    Every run is kept as a file and a record, good or bad. Bad data change nothing.
    """
    from pulsed.cli import calibrating

    calibrating.run(
        routine, targets, settings, folder, url, key, check=check, no_commit=no_commit, figures=figures, as_json=as_json
    )
