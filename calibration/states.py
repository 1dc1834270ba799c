"""check_state: what the set in force and the records of runs say of each node, without any measurement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np

from pulsed.calibration.graph import Graph, Node, Step
from pulsed.calibration.routine import qubits_of
from pulsed.model.calibration import CalibrationSet, RunRecord, Value
from pulsed.model.device import DeviceDescription

Status = Literal["fresh", "stale", "never", "failed", "faulty", "unused"]


@dataclass(frozen=True)
class Event:
    """Something that happened to an instrument or an oscillator: it was retuned, power-cycled, off its reference."""

    time: float
    subject: str
    """The name of the instrument in the device description."""
    why: str


@dataclass(frozen=True)
class State:
    """How a node stands. Times are Unix seconds; None where there is none."""

    status: Status
    why: str = ""
    calibrated: float | None = None
    seen: float | None = None
    """When it was last calibrated or found in spec."""
    overwritten: bool = False
    """A rougher routine above has put its own values over what was found here: a check would only see how rough."""


@dataclass(frozen=True)
class Situation:
    """Everything that check_state looks at."""

    calibration: CalibrationSet
    records: Sequence[RunRecord] = ()
    """In any order; of each node the latest count."""
    events: Sequence[Event] = ()
    now: float = 0.0
    unused: Mapping[str, str] = field(default_factory=dict)
    """Targets that nothing is to be measured on, and why: the other direction of a pair."""


def states(graph: Graph, situation: Situation) -> dict[Node, State]:
    """Return the state of every node, in order.

    A node is fresh when it was calibrated or found in spec within its age, after each of its parents was calibrated,
    and after everything that happened to its instruments, and its values are still its own. It is failed when its
    latest calibration came to nothing since anything above it changed, and faulty or unused when its target, or a
    qubit of it, is. A run whose record names no set that it led to was not brought into force, or stopped before what
    it brought into force was verified: then a check is due.
    """
    latest: dict[tuple[Node, str], RunRecord] = {}
    past: dict[Node, list[RunRecord]] = {}
    loose: dict[str, float] = {}
    for record in sorted(situation.records, key=lambda record: record.ended):
        group = record.kind if record.outcome == "good" else "trouble"
        if group == "calibrate" and record.values and not record.after:
            loose[record.run_id] = record.ended
        elif record.kind != "scan" and record.outcome != "stopped":
            latest[Node(record.routine, record.target), group] = record
            if group == "calibrate":
                past.setdefault(Node(record.routine, record.target), []).append(record)
    found: dict[Node, State] = {}
    for node in graph.nodes:
        found[node] = _state(graph, node, situation, latest, past, loose, found)
    return found


def _state(
    graph: Graph, node: Node, situation: Situation, latest: Mapping[tuple[Node, str], RunRecord],
    past: Mapping[Node, Sequence[RunRecord]], loose: Mapping[str, float],
    above: Mapping[Node, State],
) -> State:  # fmt: skip
    step = graph.step(node)
    record = latest.get((node, "calibrate"))
    calibrated, why = _calibrated(step, node, situation.calibration, record, _not_below(graph, node))
    checked = latest.get((node, "check"))
    seen = calibrated
    if calibrated is not None and checked is not None and checked.ended > calibrated:
        seen = checked.ended
    if fault := situation.calibration.faulty(node.target):
        return State("faulty", fault.why, calibrated, seen)
    if node.target in situation.unused:
        return State("unused", situation.unused[node.target], calibrated, seen)
    trouble = latest.get((node, "trouble"))
    if trouble is not None and trouble.kind == "calibrate" and trouble.ended > (seen or 0.0):
        newer = [parent for parent in graph.parents(node) if (above[parent].calibrated or 0.0) > trouble.ended]
        if not newer and situation.now - trouble.ended < step.age:
            return State("failed", trouble.reason, calibrated, seen)
    if calibrated is None or seen is None:
        return State("never", why, None, None)
    if rougher := _overwritten(graph, node, step, situation.calibration):
        return State("stale", rougher, calibrated, seen, overwritten=True)
    why = why or _unverified(step, node, situation.calibration, loose, seen)
    stale = why or _stale(graph, node, step, situation, past, above, seen)
    return State("stale" if stale else "fresh", stale, calibrated, seen)


def _calibrated(
    step: Step, node: Node, calibration: CalibrationSet, record: RunRecord | None, routines: Collection[str]
) -> tuple[float | None, str]:
    """Return when what is in force was found, None for never, and a reason to doubt it.

    Without a record of its own a node counts by its values, when at least one is its own, was set by hand, imported, or
    refined by what hangs on it; values that ``routines``, the others of the graph, have put there say nothing about it.
    """
    missing = [name for name in step.gives if f"{node.target}.{name}" not in calibration.values]
    if missing:
        return None, f"{node.target}.{missing[0]} has no value"
    own = {f"{node.target}.{name}": calibration.values[f"{node.target}.{name}"] for name in step.gives}
    doubted = next((f"{name} is suspect" for name, value in own.items() if value.quality == "suspect"), "")
    kept = {name: value for name, value in own.items() if value.quality != "design"}
    if record is not None and _in_force(record, calibration):
        return record.ended, doubted
    if not any(value.routine == step.routine or value.routine not in routines for value in own.values()):
        return None, "it has not been measured"
    if len(kept) < len(own):
        return None, f"{min(own.keys() - kept.keys())} is of the design sheet"
    return min(unix(value) for value in kept.values()), doubted


def _not_below(graph: Graph, node: Node) -> set[str]:
    """Return the routines of the graph that do not hang on this node."""
    return graph.steps.keys() - {other.routine for other in graph.below(node)}


def _in_force(record: RunRecord, calibration: CalibrationSet) -> bool:
    """Whether a run's values are still there, unless another routine or a hand has put its own in their place."""
    for name in record.values:
        value = calibration.values.get(name)
        if value is None or (value.routine == record.routine and value.run_id != record.run_id):
            return False
        if value.quality == "design":
            return False
    return True


def _overwritten(graph: Graph, node: Node, step: Step, calibration: CalibrationSet) -> str:
    """Return which value is no longer the node's own, because a rougher routine above was calibrated since."""
    rough = {above.routine for above in graph.above(node) if above.target == node.target and graph.step(above).rough}
    for name in (f"{node.target}.{name}" for name in step.gives):
        value = calibration.values.get(name)
        if value is not None and value.quality != "design" and value.routine in rough:
            return f"{value.routine} has put {name} anew"
    return ""


def _unverified(
    step: Step, node: Node, calibration: CalibrationSet, loose: Mapping[str, float], seen: float
) -> str:  # fmt: skip
    """Return which value is in force without having been verified: not by its own run, nor by a check since."""
    for name in (f"{node.target}.{name}" for name in step.gives):
        value = calibration.values.get(name)
        if value is not None and value.routine == step.routine and loose.get(value.run_id, -np.inf) >= seen:
            return f"{name} was not verified"
    return ""


def _stale(
    graph: Graph, node: Node, step: Step, situation: Situation, past: Mapping[Node, Sequence[RunRecord]],
    above: Mapping[Node, State], seen: float,
) -> str:  # fmt: skip
    for name in (f"{node.target}.{name}" for name in step.gives):
        value = situation.calibration.values.get(name)
        if value is not None and value.quality == "set" and unix(value) > seen:
            return f"{name} was set by hand"
    for parent in graph.parents(node):
        time = above[parent].calibrated
        newer = time is not None and time > seen and above[parent].status != "unused"
        if newer and (moved := _moved(graph.step(parent), past.get(parent, ()), seen)):
            return f"{parent} is newer{moved}".rstrip()
    if step.oscillator:
        instruments = oscillators_of(node.target, graph.device)
        for event in sorted(situation.events, key=lambda event: event.time, reverse=True):
            if event.subject in instruments and event.time > seen:
                return f"{event.subject} {event.why}"
    age = situation.now - seen
    return f"seen {age / 3600:.1f} h ago, {step.age / 3600:g} h are allowed" if age > step.age else ""


def _moved(step: Step, runs: Sequence[RunRecord], seen: float) -> str:
    """Return how a parent's values have moved since a child was seen, in words; nothing when that is not enough."""
    before = [run for run in runs if run.ended <= seen]
    if not step.moves or not before or runs[-1] is before[-1]:
        return " "
    old, new = before[-1], runs[-1]
    for name, (absolute, relative) in step.moves.items():
        full = f"{new.target}.{name}"
        was, now = (run.values[full].value if full in run.values else () for run in (old, new))
        if isinstance(was, tuple) or isinstance(now, tuple):
            return " "
        if abs(now - was) > absolute + relative * abs(was):
            return f": {full} went from {was:.8g} to {now:.8g}"
    return ""


def oscillators_of(target: str, device: DeviceDescription) -> frozenset[str]:
    """Return the instruments that are local oscillators of a target's lines, by their names in the description."""
    if target in device.ports:
        ports: Iterable[str] = (target,)
    else:
        rows = [device.qubits[q] for q in qubits_of(target, device)]
        ports = {port for row in rows for port in (row.drive, row.readout)}
    names = {device.ports[port].lo for port in ports}
    return frozenset(device.oscillators[name].instrument for name in names if name is not None)


def unix(value: Value) -> float:
    """Return the time of a value in Unix seconds; 0 when it bears none."""
    return datetime.fromisoformat(value.time).timestamp() if value.time else 0.0
