"""`pulsed audit`: who did what on this machine's daemon."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.options import as_json_option, home_option
from pulsed.cli.screens.terminal import plain_table, show_answer
from pulsed.cli.spans import date
from pulsed.client import speaking
from pulsed.client.home import home_directory
from pulsed.model.wording import moment
from pulsed.store.audit_log import AuditRecord, records_of
from pulsed.store.audit_verify import AuditReport
from pulsed.store.audit_verify import verify as verify_log


@click.group()
def audit() -> None:
    """Show or check the audit log of this machine's daemon: who did what, from where, when, and with what outcome."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest last.")
@click.option("--who", metavar="NAME", help="Of this client, or of this person at the page, alone.")
@click.option("--what", metavar="KIND", help="Of this kind alone, such as submit, cancel, keys.revoke.")
@click.option("--about", metavar="ID", help="About this job, session, calibration set or key; or the beginning of it.")
@click.option("--since", type=date, metavar="DATE", help="From this moment on (UTC), such as 2027-01-31.")
@click.option("--refused", is_flag=True, help="What was refused alone.")
@home_option
@as_json_option
def list_records(
    limit: int, who: str | None, what: str | None, about: str | None, since: float | None, refused: bool,
    home: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List what was changed, and what was refused."""
    begin = "" if since is None else datetime.fromtimestamp(since, UTC).isoformat(timespec="microseconds")
    found: deque[AuditRecord] = deque(maxlen=limit)
    for record in records_of(_folder(home)):
        if (
            (who is None or who in (record.who, record.person))
            and (what is None or record.what == what)
            and record.object.startswith(about or "")
            and record.time >= begin
            and not (refused and record.outcome != "refused")
        ):
            found.append(record)
    show_answer(list(found), _records_screen(list(found)), as_json=as_json)


@audit.command()
@click.option(
    "--from", "first", type=click.IntRange(1), default=1, show_default=True,
    help="Number of the first record that has to be there: older files are kept elsewhere.",
)  # fmt: skip
@home_option
@as_json_option
def verify(first: int, home: str | None, as_json: bool) -> None:
    """Check that the audit log is as it was written.

    It says which line was changed, removed, cut off or moved. The exit code is 1 when there is one.
    """
    report = verify_log(_folder(home), first)
    show_answer(report, _report_screen(report), as_json=as_json)
    if report.faults:
        raise click.exceptions.Exit(1)


def named(record: AuditRecord) -> str:
    """Return who it was: the key, or whom its holder spoke for beside it."""
    return speaking.named(record.who, record.person)


def _folder(home: str | None) -> Path:
    return home_directory(home) / "audit"


def _records_screen(records: list[AuditRecord]) -> RenderableType:
    if not records:
        return Text("no records", "dim")
    table = plain_table(
        "n", "time", "who", "from", "what", "about", "outcome", "detail", right=("n",), words=("detail",)
    )
    for one in records:
        outcome = Text(one.outcome, "red") if one.outcome == "refused" else one.outcome
        table.add_row(str(one.n), moment(one.time), named(one), one.host, one.what, one.object, outcome, one.detail)
    return table


def _report_screen(report: AuditReport) -> RenderableType:
    lines = [Text(str(fault), "red") for fault in report.faults]
    if report.note:
        lines.append(Text(report.note, "dim"))
    if not report.faults:
        said = f"whole: {report.records} records, {report.first} to {report.last}" if report.records else "no records"
        lines.append(Text(said))
    return Group(*lines)
