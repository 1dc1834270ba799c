"""`pulsed scan`: sweep one or two parameters by hand, and watch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.live import Live

from pulsed.cli.measuring import stoppable
from pulsed.cli.options import as_json_option, daemon_options, live_option, yes_option
from pulsed.cli.screens.terminal import Terminal, loading
from pulsed.cli.screens.text import say, say_json
from pulsed.client import Client
from pulsed.client.home import home_directory
from pulsed.model.errors import RackTimeError
from pulsed.model.rack_time import spoken

if TYPE_CHECKING:
    from pulsed.calibration.executor import Executor
    from pulsed.calibration.routines.scan import Scan
    from pulsed.cli.screens.scan import ScanScreen
    from pulsed.model.calibration import RunRecord


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="QUBIT...")
@click.option(
    "--axis",
    "axes",
    metavar="AXIS",
    multiple=True,
    required=True,
    help="wait=0:20us:41 or f01=+-2MHz:41; twice: a map.",
)
@click.option("--play", "program", metavar="STEPS", default="", help='Before the readout: "x", "sx wait rz:1.57 sx".')
@click.option("--shots", type=click.IntRange(2), default=500, show_default=True, help="At each point.")
@click.option("--apart", is_flag=True, help="One after the other where qubits are coupled.")
@click.option("--out", "folder", metavar="DIR", help="Where file and picture go. Default: runs/ beside the keys.")
@yes_option
@live_option
@daemon_options
@as_json_option
def scan(
    targets: tuple[str, ...], axes: tuple[str, ...], program: str, shots: int, apart: bool, folder: str | None,
    yes: bool, live: bool, url: str | None, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Sweep one or two parameters by hand, and watch.

    An axis is a calibrated value (f01, x.amplitude, readout.frequency, Q0-Q1.ecr.angle; nothing is committed), a
    parameter of a step of --play (wait, phase of rz, amplitude, frequency or duration of drive), or a setting
    (oscillators.drive.frequency). +- is about the present value. Ctrl-C keeps what has been measured.
    """
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.executor import Executor
        from pulsed.calibration.routine import qubits_of
        from pulsed.calibration.routines.scan import Scan, parse_axis
        from pulsed.calibration.runner.runner import run as run_routine
        from pulsed.cli.screens.scan import ScanScreen

    console = Terminal(error=True)
    where = Path(folder) if folder is not None else home_directory(None) / "runs"
    shown = Live(console=console, refresh_per_second=4, transient=as_json)
    with stoppable(), Client(url, key) as client, shown:
        executor = Executor(client)
        for target in targets:
            qubits_of(target, executor.device)
        screen = ScanScreen(None if as_json else shown, where, client.tell_measurement if live else None)
        routine = Scan(
            screen.watch, axes=[parse_axis(text, executor.device) for text in axes], program=program, shots=shots,
            confirmed=yes,
        )  # fmt: skip
        screen.scan = routine
        _check_time(routine, executor, targets, console, apart=apart, yes=yes)
        records: list[RunRecord] = []
        try:
            run_routine(
                routine, targets, executor, folder=where, kind="scan", apart=apart,
                tell=lambda done: screen.ended(records, done.record),
            )  # fmt: skip
        finally:
            if screen.latest:
                screen.draw()
            shown.stop()
            if not as_json:
                console.print()
            _tell(records, screen, as_json=as_json)
    if any(record.outcome != "good" for record in records):
        raise SystemExit(1)


def _check_time(
    routine: Scan, executor: Executor, targets: Sequence[str], console: Terminal, *, apart: bool, yes: bool
) -> None:
    """Warn of a scan that takes long: of one with a forgotten unit before all. Raises :class:`RackTimeError`."""
    each = [routine.least_seconds(executor, target) for target in targets]
    seconds, limit = (sum(each) if apart else max(each)), executor.device.limits.rack_time
    if seconds <= limit:
        return
    if not yes:
        raise RackTimeError(
            "would take longer on the rack than jobs may without confirmation", subject="scan",
            value=f"at least {spoken(seconds)}", legal=f"up to {spoken(limit)} (limits.rack_time), or with --yes",
        )  # fmt: skip
    console.print(f"this takes at least {spoken(seconds)} on the rack")


def _tell(records: Sequence[RunRecord], screen: ScanScreen, *, as_json: bool) -> None:
    if as_json:
        say_json(records)
        return
    for record in records:
        picture = screen.drawn.get(record.target)
        told = f"{record.target}: {record.outcome}"
        told += f", {record.reason}" if record.reason else ""
        say(told, f"  {record.file}", *([f"  {picture}"] if picture else []))
