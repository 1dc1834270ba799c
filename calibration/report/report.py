"""An HTML page about a machine: the chip, its values and their drift, the graph, the figure of each last run.

Its pictures lie beside it, so that a page of a hundred opens at once.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pulsed.calibration.bringup import CalibrationSession
from pulsed.calibration.graph.graph import Node
from pulsed.calibration.report.device_plots import Draw, draw_drift, draw_graph, graph_size, save
from pulsed.calibration.results.data import load
from pulsed.calibration.results.run_plots import digits, draw_run
from pulsed.calibration.routine import find_routine
from pulsed.model.calibration import RunRecord, Value
from pulsed.model.chip_map import draw_chip, map_size
from pulsed.model.html import table
from pulsed.model.parameters import row_of
from pulsed.model.units import format_quantity

HISTORY = 200
_DPI = 90
_QUIET = ("fresh", "unused")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
img { max-width: 100%; height: auto; } .half img { width: 49%; }
table { border-collapse: collapse; font-size: .85rem; } td, th { padding: .15rem .7rem; text-align: left; }
th { color: #777; font-weight: normal; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
tr:nth-child(even) { background: #f6f7f8; }
.good { color: #2c7a48; } .bad { color: #b3362f; } .dim { color: #888; }
"""


class _Pictures:
    """The folder beside the page, ``report_files`` for ``report.html``."""

    def __init__(self, page: Path) -> None:
        self._folder = page.with_name(f"{page.stem}_files")
        self._folder.mkdir(exist_ok=True)

    def add(self, name: str, draw: Draw, size: tuple[float, float], description: str = "") -> str:
        """Draw a picture of so many inches into the folder; return an image element that shows it."""
        path = self._folder / (re.sub(r"[^\w.-]", "_", name) + ".png")
        save(draw, path, size, dpi=_DPI)
        width, height = (round(_DPI * side) for side in size)
        shown = html.escape(description or name)
        return (
            f'<img loading=lazy width={width} height={height} alt="{shown}" '
            f'src="{html.escape(self._folder.name)}/{path.name}">'
        )


def write_report(session: CalibrationSession, path: Path) -> Path:
    """Write the page, and its pictures into the folder beside it; it needs nothing else, no script either."""
    pictures = _Pictures(path)
    parts = [
        _head(session), *_chip(session, pictures), *_values(session), *_drift(session, pictures),
        *_graph(session, pictures), *_runs(session, pictures),
    ]  # fmt: skip
    title = f"{session.device.name}: calibration"
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>"
    path.write_text(page + "\n".join(parts) + "\n", encoding="utf-8")
    return path


def _head(session: CalibrationSession) -> str:
    calibration = session.connection.calibration()
    now = datetime.now(UTC).isoformat(timespec="minutes")
    return (
        f"<h1>{html.escape(session.device.name)}</h1><p>{html.escape(session.device.description)}</p>"
        f"<p>Set <code>{calibration.calibration_id}</code> of {html.escape(calibration.created[:19])}, "
        f"cooldown {html.escape(calibration.cooldown or '–')}; this page of {now}.</p>"
    )


def _chip(session: CalibrationSession, pictures: _Pictures) -> Iterator[str]:
    calibration = session.connection.calibration()
    yield "<h2>The chip</h2>" + pictures.add(
        "chip", lambda figure: draw_chip(session.device, calibration, figure), map_size(session.device)
    )
    if calibration.faults:
        rows = ((subject, fault.why, fault.time, fault.by) for subject, fault in sorted(calibration.faults.items()))
        yield "<h3>Not used</h3>" + table(("what", "why", "since", "by"), rows)


def _values(session: CalibrationSession) -> Iterator[str]:
    calibration = session.connection.calibration()
    yield "<h2>Active values</h2>"
    subjects: dict[str, list[str]] = {}
    for name in sorted(calibration.values):
        subjects.setdefault(name.partition(".")[0], []).append(name)
    for subject, names in subjects.items():
        rows = (_row(name, calibration.values[name]) for name in names)
        heads = ("name", "value", "±", "unit", "routine", "measured", "quality")
        yield f"<details><summary>{html.escape(subject)}: {len(names)} values</summary>{table(heads, rows)}</details>"


def _row(name: str, value: Value) -> tuple[str, ...]:
    numbers = value.value if isinstance(value.value, tuple) else (value.value,)
    prefixed = value.unit in ("Hz", "s", "A")

    def text(number: float, places: int) -> str:
        return format_quantity(number, value.unit, places) if prefixed else f"{number:.{places}g}"

    places = digits(numbers[0], value.stderr) if value.stderr else 9
    shown = ", ".join(text(number, places) for number in numbers[:6]) + (", …" if len(numbers) > 6 else "")
    error = "" if value.stderr is None else text(value.stderr, 2)
    return name, shown, error, "" if prefixed else value.unit, value.routine, value.time[:19], value.quality


def _drift(session: CalibrationSession, pictures: _Pictures) -> Iterator[str]:
    names = [n for n in sorted(session.connection.calibration().values) if (row := row_of(n)) is not None and row.drift]
    shown = []
    for name in names:
        past = session.connection.value_history(name, HISTORY)
        measured = [item for item in past if item.value.quality != "design"]
        if len(measured) > 1:
            draw: Draw = lambda figure, n=name, m=measured: draw_drift(n, m, figure)  # type: ignore[misc]  # noqa: E731
            shown.append(pictures.add(f"drift-{name}", draw, (6, 3), f"{name} over time"))
    if shown:
        yield "<h2>Drift</h2><div class=half>" + "\n".join(shown) + "</div>"


def _graph(session: CalibrationSession, pictures: _Pictures) -> Iterator[str]:
    found = session.states()
    yield "<h2>The graph</h2>" + pictures.add(
        "graph", lambda figure: draw_graph(session.graph, found, figure), graph_size(session.graph)
    )
    rows = [(str(node), state.status, state.why) for node, state in found.items() if state.status not in _QUIET]
    if rows:
        yield table(("not fresh", "", "why"), rows)


def _runs(session: CalibrationSession, pictures: _Pictures) -> Iterator[str]:
    """Draw the last calibration of each node, good or bad, out of its file."""
    latest: dict[Node, RunRecord] = {}
    for record in sorted(session.situation().records, key=lambda record: record.ended):
        if record.kind == "calibrate":
            latest[Node(record.routine, record.target)] = record
    yield "<h2>Last runs</h2>"
    for node in session.graph.nodes:
        if node in latest:
            yield _run(latest[node], pictures)


def _run(record: RunRecord, pictures: _Pictures) -> str:
    good = record.outcome == "good"
    what = f"{record.routine} {record.target}"
    head = (
        f"<h3>{html.escape(what)} <span class={'good' if good else 'bad'}>{record.outcome}</span></h3>"
        f"<p class=dim>{html.escape(record.run_id)}, {record.ended - record.started:.1f} s"
        f"{': ' + html.escape(record.reason) if record.reason else ''}</p>"
    )
    if not record.file or not Path(record.file).is_file():
        return head + "<p class=dim>no data</p>"
    try:
        data = load(Path(record.file))
        routine = find_routine(record.routine)()
        outcome = routine.analyse(data) if record.outcome not in ("failed", "stopped") else None
        name = f"{record.routine}-{record.target}"
        return head + pictures.add(name, lambda figure: draw_run(routine, data, outcome, figure), (8, 4.5), what)
    except Exception as error:  # noqa: BLE001 - a routine is anybody's code: the page is about the others, too
        return head + f"<p class=bad>the data cannot be drawn: {html.escape(str(error) or type(error).__name__)}</p>"
