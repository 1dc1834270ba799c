"""`pulsed scan`: sweep one or two parameters by hand, and watch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
import xarray
from rich.console import Console, Group
from rich.live import Live

from pulsed.calibration.executor import Executor
from pulsed.calibration.figures import save_figure
from pulsed.calibration.routine import Outcome, qubits_of
from pulsed.calibration.routines.scan import Scan, parse_axis
from pulsed.calibration.runner import run as run_routine
from pulsed.cli.measuring import stoppable
from pulsed.cli.scan_screens import scan_screen
from pulsed.client import Client
from pulsed.client.keys import home_directory
from pulsed.model.calibration import RunRecord

_PICTURE_SECONDS = 2.0
"""Between two pictures while points come: drawing one takes a part of a second."""


class _Screen:
    """Draws what has been measured: on the terminal at each answer, as PNG every now and then."""

    def __init__(self, live: Live | None, pictures: Path) -> None:
        self.latest: dict[str, xarray.Dataset] = {}
        self.drawn: dict[str, Path] = {}
        self._live, self._pictures = live, pictures
        self._when = 0.0
        self._began = time.strftime("%Y%m%d-%H%M%S")
        self.scan: Scan | None = None

    def watch(self, target: str, data: xarray.Dataset) -> None:
        self.latest[target] = data
        if self._live is not None:
            width = self._live.console.width
            self._live.update(Group(*(scan_screen(one, width) for one in self.latest.values())))
        if time.monotonic() - self._when > _PICTURE_SECONDS:
            self.draw()

    def draw(self) -> None:
        """Write the pictures again; one that is looked at is always whole."""
        assert self.scan is not None, "there are data"
        self._pictures.mkdir(parents=True, exist_ok=True)
        for target, data in self.latest.items():
            path = self._pictures / f"scan-{target}-{self._began}.png"
            save_figure(self.scan, data, Outcome("good"), path.with_suffix(".part.png")).replace(path)
            self.drawn[target] = path
        self._when = time.monotonic()


def scan(
    targets: Sequence[str], axes: Sequence[str], program: str, shots: int, folder: str | None, url: str | None,
    key: str | None, *, apart: bool, as_json: bool,
) -> None:  # fmt: skip
    """Play ``program`` at all points of the axes on all targets at once, drawing as they come.

    Ctrl-C keeps what has been measured: the file is written and the record says "stopped".
    """
    console = Console(stderr=True, highlight=False)
    where = Path(folder) if folder is not None else home_directory(None) / "runs"
    live = Live(console=console, refresh_per_second=4, transient=as_json)
    with stoppable(), Client(url, key) as client, live:
        bench = Executor(client)
        for target in targets:
            qubits_of(target, bench.device)
        screen = _Screen(None if as_json else live, where)
        routine = Scan(
            screen.watch, axes=[parse_axis(text, bench.device) for text in axes], program=program, shots=shots
        )  # fmt: skip
        screen.scan = routine
        records: list[RunRecord] = []
        try:
            run_routine(
                routine, targets, bench, folder=where, kind="scan", apart=apart,
                tell=lambda done: records.append(done.record),
            )  # fmt: skip
        finally:
            if screen.latest:
                screen.draw()
            live.stop()
            if not as_json:
                console.print()
            _tell(records, screen, as_json=as_json)
    if any(record.outcome != "good" for record in records):
        raise SystemExit(1)


def _tell(records: Sequence[RunRecord], screen: _Screen, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(records), indent=1))
        return
    for record in records:
        picture = screen.drawn.get(record.target)
        told = f"{record.target}: {record.outcome}"
        told += f", {record.reason}" if record.reason else ""
        click.echo(f"{told}\n  {record.file}" + (f"\n  {picture}" if picture else ""))
