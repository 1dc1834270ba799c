"""What `pulsed doctor` finds, and how the terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from pulsed.cli.screens.terminal import plain


class Verdict(StrEnum):
    """What is thought of a thing that was looked at."""

    GOOD = "good"
    NOTE = "note"
    """Not wrong, but good to know."""
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    message: str
    advice: str = ""
    """What to do about it."""


_MARKS = {Verdict.GOOD: ("✓", "green"), Verdict.NOTE: ("!", "yellow"), Verdict.PROBLEM: ("✗", "bold red")}


def good(subject: str, message: str) -> Finding:
    """Return that something is well."""
    return Finding(subject, Verdict.GOOD, message)


def note(subject: str, message: str, advice: str = "") -> Finding:
    """Return something that is good to know."""
    return Finding(subject, Verdict.NOTE, message, advice)


def problem(subject: str, message: str, advice: str) -> Finding:
    """Return something that is wrong, and what to do."""
    return Finding(subject, Verdict.PROBLEM, message, advice)


def doctor_screen(findings: Sequence[Finding]) -> RenderableType:
    """Return one line for each finding, and below those that are not well what to do."""
    width = max((len(one.subject) for one in findings), default=0)
    lines: list[RenderableType] = []
    for one in findings:
        mark, style = _MARKS[one.verdict]
        head = Text(f"{mark} ", style)
        indent = width + 4
        body = plain(one.message, "" if one.verdict is not Verdict.PROBLEM else "red")
        subject = plain(one.subject)
        subject.pad_right(max(0, width - len(subject)))
        lines.append(_hanging(Text.assemble(head, subject, "  "), body, indent))
        if one.advice:
            lines.append(Padding(Text.assemble("→ ", plain(one.advice, "bold")), (0, 0, 0, indent), expand=False))
    counted = {kind: sum(one.verdict is kind for one in findings) for kind in (Verdict.PROBLEM, Verdict.NOTE)}
    said = ", ".join(f"{number} {kind}{'s' * (number != 1)}" for kind, number in counted.items() if number)
    wrong = bool(counted[Verdict.PROBLEM])
    last = said if wrong else ", ".join(filter(None, ("nothing is wrong", said)))
    return Group(*lines, "", Text(last, "bold red" if wrong else "green"))


def _hanging(head: Text, body: Text, indent: int) -> RenderableType:
    """Return ``body`` behind ``head``; where it is wrapped it stays to the right of it."""
    from rich.table import Table

    row = Table.grid()
    row.add_column(width=indent, no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(head, body)
    return row
