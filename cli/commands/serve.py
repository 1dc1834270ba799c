"""`pulsed serve` and `pulsed stop`: the daemon, with a simulated rack beside it where the configuration has one."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import click

from pulsed.cli.options import config_option, daemon_options, home_option
from pulsed.cli.screens.text import note, say

if TYPE_CHECKING:
    from pulsed.daemon.jobs.calibration_basis import RackChanged


@click.command()
@config_option
@home_option
@click.option(
    "--url", metavar="URL", help="Address to listen on. Default: tcp://127.0.0.1:5810, for this machine alone."
)
@click.option(
    "--rack-changed", type=click.Choice(["refuse", "keep", "anew"]), default="refuse", show_default=True,
    help="When the active set was made for another dt, wiring or LO plan: do not start, keep its values all the "
    "same, or begin again with the configuration's own set.",
)  # fmt: skip
@click.option(
    "--store", metavar="URL",
    help="Database for jobs and calibrations: postgresql://user@host/database, with the password in ~/.pgpass, or "
    "sqlite:////path. Racks that share one are all backends of one provider. Default: a file in the home directory.",
)  # fmt: skip
@click.option(
    "--emulated", is_flag=True,
    help="Start emulated instruments and a simulated chip in place of the rack: the configuration's addresses are not "
    "dialled.",
)  # fmt: skip
@click.option("--exit-with-stdin", is_flag=True, hidden=True, help="Stop when standard input closes.")
def serve(
    config: str, home: str | None, url: str | None, rack_changed: RackChanged, store: str | None, emulated: bool,
    exit_with_stdin: bool,
) -> None:  # fmt: skip
    """Run the daemon until Ctrl-C or SIGTERM.

    When the rack is a simulated one, its instruments run beside the daemon and end with it.
    """
    from pulsed.cli.lab_part import require_lab_part

    require_lab_part()
    from pulsed.cli.configs import find, starting_set
    from pulsed.cli.simulated_rack import with_simulated_rack
    from pulsed.client.home import DEFAULT_URL, home_directory
    from pulsed.daemon.main import serve as run_daemon
    from pulsed.model.device import load_device

    path = find(config)
    device = load_device(path).emulated() if emulated else load_device(path)
    calibration = starting_set(device, path)
    companion = None
    if device.simulator is not None:
        device, companion = with_simulated_rack(device, path)
    if exit_with_stdin:
        _stop_with_stdin()
    note(f"starting {device.name} ...")
    run_daemon(
        device, calibration, home_directory(home), url or DEFAULT_URL, companion=companion, ready=_say_ready,
        rack_changed=rack_changed, store=store,
    )  # fmt: skip
    note(f"{device.name} has stopped: outputs off, workers ended")


def _say_ready(endpoint: str) -> None:
    say(f"ready at {endpoint} (Ctrl-C stops)")


def _stop_with_stdin() -> None:
    """Stop this process, cleanly, at the end of its standard input: whoever holds the other end is gone."""

    def read() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=read, name="stdin", daemon=True).start()


@click.command()
@daemon_options
def stop(url: str | None, key: str | None) -> None:
    """Stop the daemon: outputs off, workers ended."""
    from pulsed.client import Client

    with Client(url, key) as client:
        client.stop_daemon()
    say("the daemon stops")
