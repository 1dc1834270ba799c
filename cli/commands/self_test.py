"""`pulsed self-test`."""

from __future__ import annotations

import time

import click

from pulsed.cli.measuring import stoppable
from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.self_test import self_test_screen
from pulsed.cli.screens.terminal import loading, show_answer
from pulsed.client import Client


@click.command("self-test")
@daemon_options
@as_json_option
@click.pass_context
def self_test(context: click.Context, url: str | None, key: str | None, as_json: bool) -> None:
    """Play a tone on every port and record it: which is alive, which is dead, which nothing hears.

    A spectrum analyser looks at drive ports, where the rack has one. Exits with 1 when a port is dead.
    """
    with loading("connecting ..."):
        from pulsed.calibration.executor import Executor
        from pulsed.calibration.self_test import keep
        from pulsed.calibration.self_test import self_test as look_at_ports

    began = time.time()
    with stoppable(), Client(url, key) as client:
        executor = Executor(client)
        reports = look_at_ports(executor)
        keep(executor, reports, began)
    show_answer(reports, self_test_screen(reports), as_json=as_json)
    context.exit(int(any(report.found == "dead" for report in reports)))
