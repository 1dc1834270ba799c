"""`pulsed cal`: calibration sets and values, routines, and the graph that says what is stale."""

from __future__ import annotations

import click

from pulsed.cli.lazy import LazyGroup

COMMANDS = {
    "show": ("cal_sets:show", "Show a calibration set, by default the active one."),
    "log": ("cal_sets:log", "List which sets became active when, by whom, and what each changed."),
    "diff": ("cal_sets:diff", "Show what differs between two sets; the second is by default the active one."),
    "history": ("cal_values:history", "Show the values that NAME, such as Q2.f01, has had."),
    "runs": ("cal_run:runs", "List measurements, good and bad: what came of each, why, and where its data lie."),
    "set": ("cal_values:set_value", "Set one value by hand: `set Q2.f01 4.91GHz`, `set d0.mixer.offset 0.001,-0.003`."),
    "disable": (
        "cal_values:disable",
        "Mark a qubit or a pair as faulty: it leaves the Target, and is not calibrated any more.",
    ),
    "enable": ("cal_values:enable", "Take the mark of a faulty qubit or pair away."),
    "rollback": ("cal_sets:rollback", "Make an earlier set, or any other that is stored, active again."),
    "tag": ("cal_sets:tag", "Give a set a name that is easier to remember."),
    "export": ("cal_sets:export", "Write a set as readable JSON to FILE, or with `-` to the terminal."),
    "import": ("cal_sets:import_set", "Store a set from a file that `export` wrote."),
    "cooldown": ("cal_values:cooldown", "Manage cooldowns; a value is carried over to a new one only when asked."),
    "run": (
        "cal_run:run",
        "Measure TARGETS (Q0, Q1-Q0, d0; by default all) with ROUTINE, and make what it finds active.",
    ),
    "analyse": (
        "cal_analyse:analyse",
        "Analyse the data of a run again, and show what comes of it; nothing is changed.",
    ),
    "bringup": (
        "cal_maintain:bringup",
        "Tune the machine up, from the design sheet if need be, as far as it is not tuned yet.",
    ),
    "maintain": (
        "cal_maintain:maintain",
        "Check what is old or doubtful, and calibrate again what has drifted and what depends on it.",
    ),
    "verify": ("cal_verify:verify", "Measure each imported value cheaply: it is then good, mended or faulty."),
    "diagnose": (
        "cal_maintain:diagnose",
        "Find out what is wrong with a target: check it, then what it depends on, and calibrate the cause.",
    ),
    "graph": ("cal_graph:graph", "Show every routine on every target: fresh, stale, failed, never done, and why."),
    "prune": ("cal_prune:prune", "Forget old measurements and candidate sets that nothing refers to."),
    "report": (
        "cal_graph:report",
        "Write an HTML page: the chip, its values and their drift, the graph, and the figure of each last run.",
    ),
    "to-qcodes": (
        "cal_graph:to_qcodes",
        "Copy the files of runs (`pulsed cal runs` names them) into a QCoDeS database, for plottr and its like.",
    ),
}
"""By name, in the order of the help: where the command is, and the first sentence of its help."""


@click.group(cls=LazyGroup, lazy=COMMANDS, former={"fault": "disable", "unfault": "enable"})
def cal() -> None:
    """Show, measure and change calibration sets.

    A set is named by its id, by the beginning of it, by a tag, or by `current`. What changes a set makes a child of
    the active one and makes that active, unless somebody else has in the meantime.
    """
