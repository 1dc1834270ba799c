"""`pulsed import`: a rack and a calibration set of the files of another stack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pulsed.cli.options import as_json_option

if TYPE_CHECKING:
    from pulsed.calibration.interchange.importing import Imported

STACKS = ("qibolab", "quam", "ibm")
"""What `--from` takes; a test holds it equal to the formats that there are."""


@click.command("import")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--from", "stack", type=click.Choice(STACKS), help="Whose files they are. Default: told by what they hold."
)
@click.option("--to", "folder", metavar="DIR", required=True, type=click.Path(path_type=Path), help="A new directory.")
@click.option(
    "--simulated", is_flag=True, help="A rack of virtual instruments, with a chip made of the values, to try it on."
)
@as_json_option
def import_files(files: tuple[Path, ...], stack: str | None, folder: Path, simulated: bool, as_json: bool) -> None:
    """Write a rack and a calibration set from the FILES of another stack; a folder stands for the files in it.

    In DIR are then rack.toml, calibration.json, whose values count as unverified, and import.json, which says of each
    field what became of it. The files are read, never run, and left as they are.
    """
    from pulsed.calibration.interchange.importing import convert, write
    from pulsed.cli.screens.imports import import_screen
    from pulsed.cli.screens.terminal import show_answer

    found = convert(files, stack, datetime.now(UTC).isoformat(timespec="seconds"))
    extra: dict[str, bytes] = {}
    if simulated:
        found, extra = _simulated(found)
    write(found, folder, extra)
    show_answer(found.report(str(folder)), import_screen(found, folder), as_json=as_json)


def _simulated(found: Imported) -> tuple[Imported, dict[str, bytes]]:
    """Return what was imported for a rack of virtual instruments, and the file of its chip."""
    from pulsed.calibration.interchange.importing import elsewhere
    from pulsed.simulator.chip.chip_file import chip_toml
    from pulsed.simulator.engine.imported_chip import simulated_rack

    rack = simulated_rack(found.device, found.calibration)
    moved = elsewhere(found, rack.tables, rack.ports, rack.left)
    return replace(moved, files=found.files), {"chip.toml": chip_toml(rack.chip).encode()}
