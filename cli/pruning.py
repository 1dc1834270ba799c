"""`pulsed cal prune`: forget what nothing refers to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pulsed.cli.asking import show
from pulsed.client import Client
from pulsed.client.keys import home_directory

_DAY = 86400.0
_PATIENCE = 600.0
"""Seconds for the daemon to look through its store."""
_DATA = ".nc"


def prune(
    days: float, data: str | None, url: str | None, key: str | None, *, dry: bool, with_files: bool, as_json: bool
) -> None:
    """Have the daemon forget what is older than ``days``, and delete the files of that when asked to."""
    folder = home_directory() / "runs" if data is None else Path(data)
    with Client(url, key, timeout=_PATIENCE) as client:
        pruned = client.prune(time.time() - days * _DAY, dry=dry)
    files = within(folder, pruned.files) if with_files else []
    if not dry:
        for path in files:
            path.unlink(missing_ok=True)
    answer = {"runs": pruned.runs, "sets": pruned.sets, "files": [str(path) for path in files], "dry_run": dry}
    what = [f"{pruned.runs} measurements", f"{pruned.sets} calibration sets"]
    what += [f"{len(files)} files in {folder}"] if with_files else []
    text = f"{'would forget' if dry else 'forgot'} {', '.join(what[:-1])} and {what[-1]}, older than {days:g} days"
    show(answer, text, as_json=as_json)


def within(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the data files among ``names`` that lie in ``folder``, each with its figure when there is one.

    What records name was written by whoever measured: a file elsewhere is not for us to delete.
    """
    here = folder.resolve()
    data = [path for path in map(Path, names) if path.suffix == _DATA and path.resolve().is_relative_to(here)]
    return [path for one in data for path in (one, one.with_suffix(".png")) if path.is_file()]
