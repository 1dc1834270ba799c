"""Draw docs/images/floors.png: the folders of pulsed on the floors that the import contracts of pyproject.toml name.

A caption of a folder, floor or file that does not exist is an error; tests/unit/test_docs.py looks for one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "floors.png"

CHARTERS = {
    "cli": "the pulsed command; speaks to the daemon through client",
    "web": "the operators' page; through client, too",
    "daemon": "the process that owns a rack",
    "provider": "the Qiskit view of a rack",
    "drivers": "the instruments of a rack",
    "calibration": "what measures and keeps the values",
    "client": "one connection, without Qiskit",
    "compiler": "from circuits to what a rack plays",
    "wire": "bytes and states, no sockets",
    "simulator": "the simulated rack, a process of its own",
    "pulse": "the pulse language, without hardware",
    "store": "everything durable",
    "compute": "heavy work on a pool of processes",
    "model": "values that all share, no I/O: device description, calibration set, run options, jobs, results, errors",
}
INSIDE = {
    "cli": {"commands": "one file per command group", "screens": "what is shown on a terminal"},
    "web": {"pages": "one file per page", "lab": "what is known of the daemon", "access": "who may come in"},
    "daemon": {
        "main": "start and stop", "observe": "systemd, metrics, alerts", "front": "sockets, rights, requests",
        "jobs": "registry, scheduler, stages",
        "maintenance": "passes while the rack is idle", "workers": "compile worker, rack worker, RPC to both",
        "store_thread": "writes, without holding up the event loop",
    },
    "drivers": {
        "rack": "all instruments, played as one", "instruments": "one folder per maker", "scpi": "sessions and uploads",
        "limits": "what fits an instrument", "kinds": "a table of kinds of instruments",
        "contract": "what a driver is", "programs": "rows to play and to record",
    },
    "calibration": {
        "report": "plots and page of a device", "bringup": "the calibration session",
        "runner": "many targets; commit, verify", "graph": "what is stale", "routines": "one per family",
        "routine": "what a routine is", "results": "netCDF files, run plots", "executor": "plays, brings data back",
        "fits": "values with errors",
    },
    "simulator": {
        "rack": "starts all of it", "instruments": "SCPI servers, one file each",
        "engine": "plays sequences on the chip", "readout": "resonators, records",
        "dynamics": "Hamiltonian, propagators, states", "chip": "true parameters, drift",
    },
}  # fmt: skip
"""Captions of inner floors; those without one are not drawn."""

WAYS = {
    "provider": ("backend", "run_input", "validation", "serialization", "job", "result"),
    "client": ("client", "transport", "callbacks", "keys"),
    "compiler": ("circuits", "scheduling", "instruction_table", "lowering", "chunks", "program"),
    "wire": ("messages", "protocol", "roles", "revisions"),
}
"""Files of folders without inner floors, in the order in which a job meets them."""

STEPS = {
    **{("provider", name): "1" for name in ("backend", "run_input", "validation", "serialization")},
    ("provider", "job"): "2", ("client", "client"): "2", ("client", "transport"): "2 8", ("wire", "messages"): "2",
    ("wire", "protocol"): "2", ("daemon", "front"): "3 8", ("daemon", "jobs"): "3 4 5 8", ("daemon", "workers"): "4 5",
    ("daemon", "store_thread"): "3 8", **{("compiler", name): "4" for name in WAYS["compiler"]},
    ("drivers", "rack"): "5 6 7", ("drivers", "instruments"): "6", ("drivers", "scpi"): "6",
    ("simulator", "instruments"): "6", ("simulator", "engine"): "6", ("provider", "result"): "8",
}  # fmt: skip
"""Where the steps of "One job, walked" in architecture.md take place."""

BLUE, ORANGE, GREEN, VIOLET, SAND, GREY = "#bcd5ee", "#f8c9b0", "#c5e3c1", "#ddd0ee", "#e2dccd", "#d8dbe0"
COLOURS = {
    "cli": GREY, "web": GREY, "daemon": ORANGE, "provider": BLUE, "drivers": ORANGE, "calibration": GREEN,
    "client": BLUE, "compiler": VIOLET, "wire": BLUE, "simulator": SAND, "pulse": VIOLET, "store": ORANGE,
    "compute": GREY, "model": GREY,
}  # fmt: skip
LEGEND = (
    (BLUE, "the experimenter's side"), (ORANGE, "the daemon and its workers"), (VIOLET, "language and compiler"),
    (GREEN, "calibration"), (SAND, "simulated"), (GREY, "shared"),
)  # fmt: skip
INK, FAINT, PAPER, BADGE = "#22252a", "#7d828b", "#fdfdfb", "#2f6690"
WIDTH, LABEL, GAP, STRIP, HEAD = 122.0, 5.0, 1.3, 3.1, 5.9
SHARES = {"daemon": 2.0, "drivers": 1.75, "calibration": 1.75, "simulator": 2.1}

Floors = list[list[str]]


def _split(layers: list[str]) -> Floors:
    return [[name.strip().removeprefix("pulsed.") for name in layer.split("|")] for layer in layers]


def read_floors() -> tuple[Floors, dict[str, Floors]]:
    """Return the floors of the top folders, and those inside of folders, top floor first."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    top = next(one for one in layers if "containers" not in one)
    inside = {one["containers"][0].removeprefix("pulsed."): _split(one["layers"]) for one in layers if one is not top}
    return _split(top["layers"]), inside


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str, line: str = "none") -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.6", facecolor=colour, edgecolor=line,
            linewidth=0.7,
        )
    )  # fmt: skip


def _strip(axes: Axes, folder: str, name: str, x: float, y: float, width: float, colour: str) -> None:
    """Draw one inner floor, or a file of a folder without any, with the steps of a job that take place in it."""
    caption = INSIDE.get(folder, {}).get(name, "")
    _box(axes, x, y + 0.25, width, STRIP - 0.5, colour, "none" if colour == PAPER else FAINT)
    bold = name.replace("_", r"\_")
    text = rf"$\bf{{{bold}}}$  {caption}" if folder in INSIDE else f"{name}.py"
    axes.text(x + 0.8, y + STRIP / 2 - 0.1, text, va="center", fontsize=7.6, color=INK)
    for place, step in enumerate(reversed(STEPS.get((folder, name), "").split())):
        centre = (x + width - 1.6 - 2.5 * place, y + STRIP / 2)
        axes.add_patch(Circle(centre, 1.05, color=BADGE))
        axes.text(*centre, step, fontsize=7, color="white", ha="center", va="center_baseline", weight="bold")


def _inner(axes: Axes, folder: str, floors: Floors, x: float, y: float, width: float) -> None:
    for floor in floors:
        y -= STRIP
        share = (width - 0.5 * (len(floor) - 1)) / len(floor)
        for place, name in enumerate(floor):
            colour = PAPER if folder in INSIDE else COLOURS[folder]
            _strip(axes, folder, name, x + place * (share + 0.5), y, share, colour)


def shown_floors() -> dict[str, Floors]:
    """Return what is drawn inside of each folder. Raises ``ValueError`` for a name that is on no floor or no file."""
    _, inside = read_floors()
    shown = {}
    for folder, captions in INSIDE.items():
        unknown = set(captions) - {name for floor in inside[folder] for name in floor}
        if unknown:
            raise ValueError(f"{folder}: no floor {', '.join(unknown)}")
        kept = [[name for name in floor if name in captions] for floor in inside[folder]]
        shown[folder] = [floor for floor in kept if floor]
    for folder, names in WAYS.items():
        missing = [name for name in names if not (ROOT / folder / f"{name}.py").is_file()]
        if missing:
            raise ValueError(f"{folder}: no file {', '.join(missing)}")
        shown[folder] = [[name] for name in names]
    return shown


def draw() -> Figure:
    """Return the picture."""
    top, _ = read_floors()
    shown = shown_floors()
    heights = [
        HEAD + max((len(shown[name]) * STRIP + 0.6 for name in floor if name in shown), default=0.0) for floor in top
    ]
    total = sum(heights) + GAP * (len(heights) - 1)
    figure = Figure(figsize=((WIDTH + 2) / 11.5, (total + 9) / 11.5), dpi=150, facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-1, WIDTH + 1), ylim=(-8, total + 1))
    axes.axis("off")
    y = total
    for number, (floor, height) in enumerate(zip(top, heights, strict=True)):
        y -= height
        axes.text(1.8, y + height / 2, str(len(top) - number), fontsize=17, color=FAINT, ha="center", va="center")
        unit = (WIDTH - LABEL - GAP * (len(floor) - 1)) / sum(SHARES.get(name, 1.0) for name in floor)
        x = LABEL
        for name in floor:
            width = SHARES.get(name, 1.0) * unit
            _box(axes, x, y, width, height, COLOURS[name])
            axes.text(x + 1, y + height - 1.9, f"{name}/", fontsize=11, weight="bold", color=INK, va="center")
            axes.text(x + 1, y + height - 4.2, CHARTERS[name], fontsize=7.8, color=INK, va="center")
            if name in shown:
                _inner(axes, name, shown[name], x + 0.8, y + height - HEAD, width - 1.6)
            x += width + GAP
        y -= GAP
    x = LABEL
    for colour, text in LEGEND:
        _box(axes, x, -3.6, 2.4, 1.7, colour)
        axes.text(x + 3.1, -2.75, text, fontsize=7.8, color=INK, va="center")
        x += 6.5 + 0.68 * len(text)
    axes.add_patch(Circle((LABEL + 1.2, -6.1), 1.05, color=BADGE))
    axes.text(LABEL + 1.2, -6.1, "1", fontsize=7, color="white", ha="center", va="center_baseline", weight="bold")
    axes.text(
        LABEL + 3.1, -6.1,
        "steps of a job, in the text below the picture.    White strips are floors: an import goes down, never up, "
        "never sideways.  Outlined strips are files.", fontsize=7.8, color=INK, va="center",
    )  # fmt: skip
    return figure


def main() -> None:
    """Draw it."""
    mpl.rcParams["font.family"] = "DejaVu Sans"
    draw().savefig(PICTURE, facecolor=PAPER)
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
