"""What the terminal shows of an import: what was taken over, what was left out and why, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from pulsed.cli.screens.terminal import plain, plain_table

if TYPE_CHECKING:
    from pulsed.calibration.interchange.fields import Line
    from pulsed.calibration.interchange.importing import Imported
    from pulsed.calibration.verification import Finding, VerifiedValue


def import_screen(found: Imported, folder: Path) -> RenderableType:
    """Return the screen of `pulsed import`."""
    platform = found.platform
    names = ", ".join(f"Q{q} is {name}" for q, name in enumerate(platform.qubits))
    head = plain(f"{len(found.calibration.values)} values of {platform.stack} {platform.name} in {folder}: {names}")
    parts: list[RenderableType] = [head, Text("They count as unverified until `pulsed cal verify`.", "dim")]
    tables = {"taken over": _taken, "left out": _left, "to do": _todo}
    for outcome, table in tables.items():
        if lines := [line for line in found.lines if line.outcome == outcome]:
            parts += ["", table(outcome, lines)]
    parts += ["", Text("next", "bold"), *(plain(f"  {step}") for step in found.next_steps(str(folder)))]
    return Group(*parts)


FINDINGS = {"good": "green", "mended": "cyan", "faulty": "red", "not measured": "yellow"}
"""What may have become of an imported value, and its style."""


def verify_screen(
    found: Sequence[VerifiedValue], counted: Mapping[Finding, int], calibration_id: str
) -> RenderableType:
    """Return the screen of `pulsed cal verify`: what is not simply good in a table, the rest by name."""
    if not found:
        return Text("no value of the active set is unverified")
    numbers = ", ".join(f"{number} {word}" for word, number in counted.items() if number)
    parts: list[RenderableType] = [plain(f"{numbers}; set {calibration_id} is active")]
    if others := [one for one in found if one.finding != "good"]:
        table = plain_table("value", "", "was", "is", "by", "why", right=("was", "is"), words=("why",), less=("by",))
        for one in others:
            table.add_row(one.name, Text(one.finding, FINDINGS[one.finding]), _shown(one.was), _shown(one.now), one.by,
                          one.why)  # fmt: skip
        parts += ["", table]
    if good := [one.name for one in found if one.finding == "good"]:
        parts += ["", plain(f"good: {', '.join(good)}", "dim")]
    return Group(*parts)


def _taken(title: str, lines: Sequence[Line]) -> RenderableType:
    table = plain_table("value", "is", "unit", "from", "how", title=title, words=("is", "from", "how"),
                        less=("unit",))  # fmt: skip
    for (file, field, text), group in groupby(lines, lambda line: (line.file, line.field, line.text)):
        name, value, unit = _together(list(group))
        table.add_row(name, value, unit, f"{file}: {field}", text)
    return table


def _together(lines: Sequence[Line]) -> tuple[str, str, str]:
    """Return name, value and unit of what came of one field: of a pulse, all its values in one row."""
    if len(lines) == 1:
        return lines[0].name, _shown(lines[0].value), lines[0].unit
    gate = lines[0].name.rpartition(".")[0]
    values = (f"{line.name.rpartition('.')[2]} {_shown(line.value)}" for line in lines)
    return gate, ", ".join(values), ""


def _left(title: str, lines: Sequence[Line]) -> RenderableType:
    table = plain_table("field", "holds", "why", title=title, words=("field", "holds", "why"), less=("holds",))
    for line in lines:
        table.add_row(f"{line.file}: {line.field}", _shown(line.value), line.text)
    return table


def _todo(title: str, lines: Sequence[Line]) -> RenderableType:
    table = plain_table("what", "why", title=title, words=("what", "why"))
    for line in lines:
        table.add_row(line.name, line.text)
    return table


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{one:.4g}" for one in value[:5]) + (", …" if len(value) > 5 else "")
    return f"{value:.10g}" if isinstance(value, float) else "" if value is None else str(value)
