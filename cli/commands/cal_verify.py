"""`pulsed cal verify`: measure what came from another stack's files."""

from __future__ import annotations

import click

from pulsed.cli.measuring import Behind, data_folder, stoppable
from pulsed.cli.options import as_json_option, daemon_options, data_option
from pulsed.cli.screens.graph import action_line
from pulsed.cli.screens.imports import verify_screen
from pulsed.cli.screens.terminal import Terminal, loading, show_answer
from pulsed.client.speaking import named, person


@click.command()
@click.option(
    "--target", "targets", metavar="TARGET", multiple=True, help="Only those of Q2, Q1-Q0, in, ...; repeatable."
)
@click.option("--without", metavar="ROUTINE", multiple=True, help="Leave this routine out, e.g. rb; repeatable.")
@data_option
@daemon_options
@as_json_option
def verify(
    targets: tuple[str, ...], without: tuple[str, ...], data: str | None, url: str | None, key: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure each imported value cheaply: it is then good, mended or faulty.

    A check that finds a value in spec makes it good; one that does not leads to a calibration, which mends it. What
    can be neither confirmed nor found is suspect, and a qubit without which nothing can be done is marked as faulty.
    Ends with exit code 1 when something is faulty.
    """
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.bringup import CalibrationSession
        from pulsed.calibration.graph.default_graph import default_steps
        from pulsed.calibration.verification import count
        from pulsed.calibration.verification import verify as measure
        from pulsed.cli.consequences import events

    console = Terminal(error=True)
    with stoppable(), Behind(url, key, 0) as client:
        session = CalibrationSession(
            client, data_folder(data), default_steps(without=without), lambda: events(client.status()),
            named(client.greeting.user, person()),
        )  # fmt: skip
        found = measure(session, targets, tell=lambda action: console.print(action_line(action), soft_wrap=True))
        calibration_id = client.calibration().calibration_id
    counted = count(found)
    answer = {"calibration_id": calibration_id, "count": counted, "values": [one._asdict() for one in found]}
    show_answer(answer, verify_screen(found, counted, calibration_id), as_json=as_json)
    if counted["faulty"]:
        raise SystemExit(1)
