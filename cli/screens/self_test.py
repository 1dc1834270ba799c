"""What `pulsed self-test` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from pulsed.cli.screens.terminal import plain, plain_table

if TYPE_CHECKING:
    from pulsed.calibration.self_test import PortReport

_COLOURS = {"seen": "green", "dead": "red", "unseen": "yellow"}


def self_test_screen(reports: Sequence[PortReport]) -> RenderableType:
    """Return a table with a row per port."""
    table = plain_table("port", "", "what was found", words=("what was found",))
    for report in reports:
        table.add_row(report.port, plain(report.found, _COLOURS[report.found]), report.reason)
    return table
