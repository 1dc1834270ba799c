"""Write docs/reference/routines.md: what each routine says of itself, with a figure from the simulated rack.

It takes sim5 from the design sheet through the usual order, so that every figure is what a bring-up shows; what is of a
tunable coupler is measured on coupler2 without its CZ. Give names of routines to draw only these again (what they need
is measured all the same).
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from tempfile import mkdtemp

from pulsed.calibration.executor import Executor
from pulsed.calibration.graph.default_graph import DEFAULT_GRAPH
from pulsed.calibration.results.run_plots import save_figure
from pulsed.calibration.routine import Routine, find_routine, routine_names
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import CalibrationSet
from pulsed.testing.simulated_lab import SimulatedLab

DOCS = Path(__file__).resolve().parent.parent
IMAGES = DOCS / "images" / "routines"
TARGETS = {"qubit": ("Q0", "Q1"), "pair": ("Q0-Q1",)}
"""Enough for every routine to have what it needs."""

AT_ONCE = {"none": "all targets", "neighbours": "targets that are not coupled", "all": "one target"}

HEAD = """# Calibration routines

Each is run by `pulsed cal run NAME [TARGETS] --set KEY=VALUE`, and by the graph in the order of this page.
[How to write one](../how-to/write-a-routine.md). The figures are of the simulated rack `sim5`, brought up from its
design sheet or as it is shipped, and those of a tunable coupler of `coupler2`, its qubits calibrated and its CZ not.
This page is written by `docs/reference/routines.py`.
"""


def ordered() -> list[str]:
    """Return the names of all routines, those of the usual order first."""
    usual = [row.routine for row in DEFAULT_GRAPH if row.routine in routine_names()]
    return usual + [name for name in routine_names() if name not in usual]


def section(routine: type[Routine], drawn: bool) -> str:
    """Return what a routine says of itself."""
    parameters = ", ".join(f"`{name}={field.default}`" for name, field in routine.Parameters.model_fields.items())
    rows = {
        "of": "each " + routine.subject if routine.subject != "chip" else "the chip",
        "needs": ", ".join(f"`{name}`" for name in routine.needs) or "nothing",
        "gives": ", ".join(f"`{name}`" for name in routine.gives) or "no value",
        "at once": AT_ONCE[routine.disturbs],
        "parameters": parameters or "none",
    }
    text = [f"## {routine.name}", "", inspect.getdoc(routine) or "", "", "| | |", "|---|---|"]
    text += [f"| {key} | {value} |" for key, value in rows.items()]
    if drawn:
        text += ["", f"![{routine.name}](../images/routines/{routine.name}.png)"]
    return "\n".join(text) + "\n"


def without_cz() -> Executor:
    """Return coupler2 with its qubits calibrated and its CZ not."""
    lab = SimulatedLab.coupler2()
    known = lab.calibration()
    values = {name: value for name, value in known.values.items() if ".cz." not in name}
    return Executor(lab, CalibrationSet(known.device, values, known.created))


def main(only: list[str]) -> None:
    """Measure, draw and write."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    benches, folder = [Executor(SimulatedLab.sim5(calibrated=False)), without_cz()], Path(mkdtemp())
    names, usual = ordered(), {row.routine for row in DEFAULT_GRAPH}
    last = max((names.index(name) for name in only), default=len(names) - 1)
    for name in names[: last + 1]:
        routine = find_routine(name)()
        number = 0 if routine.targets(benches[0].device) else 1
        executor = benches[number]
        # Values from outside the order would put gates off that were tuned up without them: crosstalk turns the tones.
        kept = name in usual
        if number and only and not any(other.startswith(name[:3]) for other in only):
            continue  # nothing of the other rack depends on it
        targets = [t for t in routine.targets(executor.device) if t in TARGETS.get(routine.subject, (t,))][:2]
        found = run(routine, targets, executor, folder=folder)
        values = {full: value for item in found.values() for full, value in item.values.items()}
        benches[number] = executor.propose(values) if values and kept else executor
        item = found[targets[0]]
        print(name, item.record.outcome, item.record.reason, flush=True)
        if item.data is not None and item.outcome is not None and (not only or name in only):
            save_figure(routine, item.data, item.outcome, IMAGES / f"{name}.png")
    sections = [section(find_routine(name), (IMAGES / f"{name}.png").exists()) for name in ordered()]
    (DOCS / "reference" / "routines.md").write_text("\n".join([HEAD, *sections]), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
