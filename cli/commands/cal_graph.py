"""`pulsed cal graph`, `report` and `to-qcodes`: how everything stands, as a screen, a picture, a page, a database."""

from __future__ import annotations

from pathlib import Path

import click

from pulsed.cli.measuring import data_folder
from pulsed.cli.options import as_json_option, daemon_options, data_option
from pulsed.cli.screens.graph import graph_screen, plain_states
from pulsed.cli.screens.terminal import loading, show_answer
from pulsed.cli.screens.text import say
from pulsed.client import Client
from pulsed.client.home import home_directory


@click.command()
@click.option("--image", metavar="FILE", help="Draw it into a PNG, too.")
@daemon_options
@as_json_option
def graph(image: str | None, url: str | None, key: str | None, as_json: bool) -> None:
    """Show every routine on every target: fresh, stale, failed, never done, and why."""
    with loading("reading the calibration graph ..."):
        from pulsed.calibration.bringup import CalibrationSession
        from pulsed.cli.consequences import events

        with Client(url, key) as client:
            session = CalibrationSession(client, Path(), events=lambda: events(client.status()))
            found = session.states()
        if image is not None:
            from pulsed.calibration.report.device_plots import draw_graph, graph_size, save

            save(lambda figure: draw_graph(session.graph, found, figure), Path(image), graph_size(session.graph))
    show_answer(plain_states(found), graph_screen(session.graph, found), as_json=as_json)


@click.command()
@click.option("--out", metavar="FILE", default="report.html", show_default=True)
@data_option
@daemon_options
def report(out: str, data: str | None, url: str | None, key: str | None) -> None:
    """Write an HTML page: the chip, its values and their drift, the graph, and the figure of each last run.

    Its pictures go into a folder beside it: report_files for report.html.
    """
    with loading("drawing ..."):
        from pulsed.calibration.bringup import CalibrationSession
        from pulsed.calibration.report.report import write_report
        from pulsed.cli.consequences import events

        with Client(url, key) as client:
            session = CalibrationSession(client, data_folder(data), events=lambda: events(client.status()))
            path = write_report(session, Path(out))
    say(f"wrote {path}")


@click.command("to-qcodes")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--database", metavar="FILE", default="runs.db", show_default=True, help="It is made when it does not exist."
)
def to_qcodes(files: tuple[str, ...], database: str) -> None:
    """Copy the files of runs (`pulsed cal runs` names them) into a QCoDeS database, for plottr and its like.

    A name without a folder is also looked for where the data of runs lie by default.
    """
    with loading("loading QCoDeS ..."):
        from pulsed.calibration.results import data
    for file in files:
        path = Path(file) if Path(file).exists() else home_directory() / "runs" / file
        say(f"{path}: run {data.to_qcodes(path, database)} of {database}")
