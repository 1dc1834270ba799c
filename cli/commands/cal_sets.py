"""`pulsed cal show`, `log`, `diff`, `rollback`, `tag`, `export` and `import`: calibration sets as a whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from pulsed.cli.changes import CURRENT, LOOKED_THROUGH, commit_set, known_name, now
from pulsed.cli.commands.exports import KINDS, exported, write_exported
from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.calibration import diff_screen, log_screen, set_screen
from pulsed.cli.screens.terminal import plain, show_answer
from pulsed.cli.screens.text import say_json_text
from pulsed.client import Client
from pulsed.client.export import export_json
from pulsed.model.calibration import CalibrationSet, load_calibration
from pulsed.model.errors import InvalidValueError, NotFoundError

_SHORTEST = 4
"""Letters of the beginning of an id."""


def find_set(client: Client, name: str) -> CalibrationSet:
    """Return the set that ``name`` means: an id, a tag, the beginning of an id in the log, or ``current``.

    Raises :class:`NotFoundError`.
    """
    if name == CURRENT:
        return client.calibration()
    for by in ({"calibration_id": name}, {"tag": name}):
        try:
            return client.calibration(**by)  # type: ignore[arg-type]
        except NotFoundError:
            continue
    known = {entry.calibration_id for entry in client.calibration_log(LOOKED_THROUGH)}
    fitting = sorted(one for one in known if one.startswith(name)) if len(name) >= _SHORTEST else []
    if len(fitting) == 1:
        return client.calibration(fitting[0])
    raise NotFoundError(
        "more than one set begins like this" if fitting else "no such calibration set", subject="calibration set",
        value=name, legal=", ".join(fitting) or f"an id, the first {_SHORTEST} letters or more of one in the log, "
        f"a tag, or {CURRENT}",
    )  # fmt: skip


def parse_time(text: str) -> float:
    """Return an ISO 8601 time, local unless it says otherwise, as Unix time. Raises :class:`InvalidValueError`."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InvalidValueError(
            "not a time", subject="--at", value=text, legal="2026-11-21, 2026-11-21T14:30, 2026-11-21T13:30:00Z"
        ) from None


@click.command()
@click.argument("name", metavar="[ID|TAG]", required=False)
@click.option("--at", metavar="TIME", help="The set that was active then: 2026-11-21T14:30, local time.")
@click.option("--tag", metavar="TAG", help="The set with this tag.")
@daemon_options
@as_json_option
def show(name: str | None, at: str | None, tag: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Show a calibration set, by default the active one."""
    if sum(one is not None for one in (name, at, tag)) > 1:
        raise InvalidValueError("more than one name of a set", subject="cal show", legal="an id, --at or --tag")
    with Client(url, key) as client:
        if at is not None:
            found = client.calibration(time=parse_time(at))
        else:
            found = client.calibration(tag=tag) if tag is not None else find_set(client, name or CURRENT)
        current = client.calibration()
    in_force = found.calibration_id == current.calibration_id
    show_answer(found, set_screen(found, in_force=in_force), as_json=as_json)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many, newest first.")
@click.option("--name", metavar="NAME", help="Only those that changed this value, e.g. Q2.f01.")
@daemon_options
@as_json_option
def log(limit: int, name: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """List which sets became active when, by whom, and what each changed."""
    with Client(url, key) as client:
        if name is not None and not name.endswith(".fault"):
            known_name(client, name)
        found = client.calibration_log(limit, name)
    show_answer(found, log_screen(found), as_json=as_json)


@click.command()
@click.argument("first", metavar="ID|TAG")
@click.argument("second", metavar="ID|TAG", default="current")
@daemon_options
@as_json_option
def diff(first: str, second: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show what differs between two sets; the second is by default the active one."""
    with Client(url, key) as client:
        old, new = find_set(client, first), find_set(client, second)
    changed = {
        name: {"old": old.values.get(name), "new": new.values.get(name)}
        for name in old.changed(new)
        if not name.endswith(".fault")
    }
    faults = {
        subject: {"old": old.faults.get(subject), "new": new.faults.get(subject)}
        for subject in sorted(old.faults.keys() | new.faults.keys())
        if old.faults.get(subject) != new.faults.get(subject)
    }
    answer = {"old": old.calibration_id, "new": new.calibration_id, "values": changed, "faults": faults}
    show_answer(answer, diff_screen(old, new), as_json=as_json)


@click.command()
@click.argument("name", metavar="ID|TAG")
@click.option("--why", metavar="TEXT", default="", help="Kept in the log.")
@click.option("--force", is_flag=True, help="Also to a set of another cooldown.")
@daemon_options
@as_json_option
def rollback(name: str, why: str, force: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Make an earlier set, or any other that is stored, active again."""
    with Client(url, key) as client:
        current, wanted = client.calibration(), find_set(client, name)
        _check_cooldown(current, wanted, force=force)
        commit_set(client, current, wanted, why or f"rolled back to {name}", as_json=as_json)


@click.command()
@click.argument("name", metavar="ID|TAG")
@click.argument("tag")
@click.option("--move", is_flag=True, help="Take the tag from the set that has it.")
@daemon_options
@as_json_option
def tag(name: str, tag: str, move: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Give a set a name that is easier to remember."""
    with Client(url, key) as client:
        found = find_set(client, name)
        client.tag_calibration(found.calibration_id, tag, move=move)
    _tell({"calibration_id": found.calibration_id, "tag": tag}, f"{found.calibration_id} is {tag}", as_json=as_json)


@click.command()
@click.argument("file", metavar="FILE")
@click.argument("name", metavar="[ID|TAG]", default="current")
@click.option(
    "--as", "kind", type=click.Choice(KINDS), help="As another stack's files; but for csv, FILE is then a directory."
)
@daemon_options
@as_json_option
def export(file: str, name: str, kind: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Write a set as readable JSON to FILE, or with `-` to the terminal.

    The description of the rack goes with it, so that `PulsedBackend.from_export(FILE)` is a backend away from the rack.
    With --as it is written as conf, props and defs of IBM, as a platform of qibolab, a state of QUAM, or a table; what
    has no place there is named.
    """
    with Client(url, key) as client:
        found, device = find_set(client, name), client.device()
    if kind is not None:
        other = exported(kind, device, found)
        write_exported(other, Path(file), kind)
        answer = {"calibration_id": found.calibration_id, "file": file, "left": list(other.left)}
        text = f"{found.calibration_id} → {file} as {kind}"
        if other.left:
            text += f"; without a place there: {', '.join(other.left)}"
        show_answer(answer, plain(text), as_json=as_json)
        return
    written = export_json(found, device)
    if file == "-":
        say_json_text(written.decode())
        return
    try:
        Path(file).write_bytes(written)
    except OSError as error:
        raise InvalidValueError(f"cannot be written: {error.strerror}", subject=file) from error
    _tell({"calibration_id": found.calibration_id, "file": file}, f"{found.calibration_id} → {file}", as_json=as_json)


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--commit", is_flag=True, help="Make it the active set, too.")
@click.option("--why", metavar="TEXT", default="", help="With --commit: kept in the log.")
@click.option("--force", is_flag=True, help="With --commit: also a set of another cooldown.")
@click.option(
    "--adopt", is_flag=True, help="Take a set that was made for another rack, or does not say, for one of this."
)
@daemon_options
@as_json_option
def import_set(
    file: str, commit: bool, why: str, force: bool, adopt: bool, url: str | None, key: str | None, as_json: bool
) -> None:
    """Store a set from a file that `export` wrote."""
    for given, option, value in ((bool(why), "--why", why), (force, "--force", "")):
        if given and not commit:
            raise InvalidValueError("does nothing without --commit", subject=option, value=value)
    found = load_calibration(Path(file))
    with Client(url, key) as client:
        if adopt:
            found = found.adopted(client.device(), now())
        client.put_calibration(found)
        if commit:
            current = client.calibration()
            _check_cooldown(current, found, force=force)
            commit_set(client, current, found, why or f"imported from {Path(file).name}", as_json=as_json)
            return
    text = f"{found.calibration_id} is stored, and not active"
    _tell({"calibration_id": found.calibration_id}, text, as_json=as_json)


def _check_cooldown(current: CalibrationSet, wanted: CalibrationSet, *, force: bool) -> None:
    if wanted.cooldown != current.cooldown and not force:
        raise InvalidValueError(
            "is of another cooldown; --force makes it active all the same", subject=wanted.calibration_id,
            value=wanted.cooldown or "none", legal=current.cooldown or "none",
        )  # fmt: skip


def _tell(answer: dict[str, str], text: str, *, as_json: bool) -> None:
    show_answer(answer, text, as_json=as_json)
