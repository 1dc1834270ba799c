"""`pulsed cal analyse`: the data of a run, looked at again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.text import Text

from pulsed.cli.commands.cal_run import parse_parameters
from pulsed.cli.options import as_json_option, daemon_options
from pulsed.cli.screens.terminal import loading, plain, plain_table, show_answer
from pulsed.client import Client
from pulsed.client.home import home_directory
from pulsed.model.errors import InvalidValueError, NotFoundError

if TYPE_CHECKING:
    from pulsed.calibration.routine import Outcome


@click.command()
@click.argument("run", metavar="RUN|FILE")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Another parameter of the analysis.")
@click.option("--figure", metavar="FILE", help="Draw it into a PNG, too.")
@daemon_options
@as_json_option
def analyse(
    run: str, settings: tuple[str, ...], figure: str | None, url: str | None, key: str | None, as_json: bool
) -> None:
    """Analyse the data of a run again, and show what comes of it; nothing is changed.

    RUN is an id as `pulsed cal runs` shows it, FILE a file that this or another machine has measured. Parameters that
    are not given are those of the run.
    """
    path = Path(run) if Path(run).suffix == ".nc" else _file_of(run, url, key)
    with loading("loading the calibration routines ..."):
        from pulsed.calibration.results.data import load
        from pulsed.calibration.results.plots import plot_of, said_of
        from pulsed.calibration.results.run_plots import save_figure
        from pulsed.calibration.routine import find_routine
        from pulsed.calibration.runner.runner import parameters_of
    try:
        data = load(path)
    except OSError as error:
        raise InvalidValueError(
            f"cannot be read: {error}", subject=str(path), legal="the netCDF file of a run"
        ) from error
    kind = find_routine(str(data.attrs.get("routine", "")))
    routine = kind(**{**parameters_of(data), **parse_parameters(settings)})
    outcome: Outcome | None
    try:
        outcome = routine.analyse(data)
    except Exception as error:  # noqa: BLE001 - a routine is anybody's code, and a run that was stopped has half of it
        outcome, reason = None, f"the analysis failed: {type(error).__name__}: {error}"
    else:
        reason = outcome.reason
    if figure is not None:
        save_figure(routine, data, outcome, Path(figure))
    values = {} if outcome is None else outcome.values
    answer: dict[str, Any] = {
        "run_id": str(data.attrs.get("run_id", "")), "file": str(path), "routine": routine.name,
        "target": str(data.attrs.get("target", "")), "quality": "failed" if outcome is None else outcome.quality,
        "reason": reason, "said": said_of(outcome), "parameters": routine.parameters.model_dump(mode="json"),
        "values": {n: {"value": v.value, "unit": v.unit, "stderr": v.stderr} for n, v in values.items()},
        "plot": plot_of(data, outcome), "variables": _variables(data),
    }  # fmt: skip
    table = plain_table("value", "", "error", right=("", "error"))
    for name, found in answer["values"].items():
        stderr = "" if found["stderr"] is None else f"{found['stderr']:.3g}"
        number = found["value"] if isinstance(found["value"], tuple) else f"{found['value']:.9g} {found['unit']}"
        table.add_row(name, str(number), stderr)
    head = Text.assemble(plain(f"{routine.name} {answer['target']}: ", "bold"), answer["quality"])
    show_answer(answer, Group(head, plain(reason, "dim"), table), as_json=as_json)


def _variables(data: Any) -> list[dict[str, Any]]:
    """Return what is in the file: names, axes, shapes and units."""
    return [
        {"name": str(name), "axes": list(map(str, item.dims)), "shape": list(item.shape),
         "unit": str(item.attrs.get("units", ""))}
        for name, item in data.variables.items()
    ]  # fmt: skip


def _file_of(run: str, url: str | None, key: str | None) -> Path:
    with Client(url, key) as client:
        record = client.run_record(run)
    if not record.file:
        raise NotFoundError("nothing was measured", subject=f"run {run}", value=record.outcome, legal="a run with data")
    there = Path(record.file)
    beside = home_directory() / "runs" / there.name
    return beside if not there.exists() and beside.exists() else there
