"""Which of two routines that measure the same value has the last word: the one further down the graph."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pulsed.calibration.graph.graph import Graph, Node
from pulsed.model.calibration import CalibrationSet, RunRecord

LEFT = "not made active: "
"""How the reason begins of a good run that found what is known better."""
_LEFT_BEFORE = "not put in force: "
"""How it began in records of version 0.2."""


def kept(graph: Graph, routine: str, names: Iterable[str], calibration: CalibrationSet) -> dict[str, str]:
    """Return the values among ``names`` that are finer as they stand than ``routine`` finds them, and why.

    A rough routine finds a value so that finer ones below it in the graph can begin. What one of these has measured, or
    a tune-up that is none of the graph's, is better than what the rough one would put in its place. Values of the
    design sheet, set by hand or doubted are not, nor those of this routine or of one above it.
    """
    step = graph.steps.get(routine)
    if step is None or not step.rough:
        return {}
    found = {}
    for name in names:
        target, _, parameter = name.partition(".")
        node, value = Node(routine, target), calibration.values.get(name)
        if value is None or value.quality != "good" or node not in graph.nodes:
            continue
        finer = [
            below.routine for below in sorted(graph.below(node), key=graph.nodes.index)
            if below.target == target and parameter in graph.step(below).gives
        ]  # fmt: skip
        if finer and value.routine not in {routine, *(above.routine for above in graph.above(node))}:
            found[name] = f"finer in the active set (from {value.routine or 'elsewhere'}), see {finer[-1]}"
    return found


def bound(names: Iterable[str], keep: Collection[str]) -> tuple[str, ...]:
    """Return the values among ``names`` that stay with those of ``keep``, because they are of the same gate or readout.

    The amplitude of a pulse holds for its length and its angle alone. A value of its own, such as a frequency or a
    time, holds whatever becomes of the others.
    """
    gates = {gate for name in keep if (gate := _gate(name))}
    return tuple(name for name in names if name not in keep and _gate(name) in gates)


def _gate(name: str) -> str:
    """Return ``"Q0.x"`` of ``"Q0.x.amplitude"``, and nothing of ``"Q0.f01"``, which is a value of its own."""
    target, _, parameter = name.partition(".")
    gate, dot, _ = parameter.partition(".")
    return f"{target}.{gate}" if dot else ""


def partial(record: RunRecord) -> bool:
    """Whether a run made some of its values active, and left others, that are known better, as they were."""
    return bool(record.after) and left(record)


def left(record: RunRecord) -> bool:
    """Whether a run left values as they were because they are known better."""
    return record.reason.startswith((LEFT, _LEFT_BEFORE))
