"""check_state: what the active set and the records of runs say of each node, without any measurement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np

from pulsed import old_names
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.precedence import partial
from pulsed.calibration.graph.references import far, reference
from pulsed.calibration.routine import qubits_of
from pulsed.model.calibration import CalibrationSet, RunRecord, Value
from pulsed.model.device import DeviceDescription

__getattr__ = old_names(__name__)

StatusWord = Literal["fresh", "stale", "never", "failed", "faulty", "unused"]


@dataclass(frozen=True)
class Event:
    """Something that happened to an instrument or an oscillator: it was retuned, power-cycled, off its reference."""

    time: float
    subject: str
    """The name of the instrument in the device description."""
    why: str


@dataclass(frozen=True)
class NodeStatus:
    """How a node stands. Times are Unix seconds; None where there is none."""

    status: StatusWord
    why: str = ""
    calibrated: float | None = None
    seen: float | None = None
    """When it was last calibrated or found in spec."""
    overwritten: bool = False
    """A rougher routine above has put its own values over what was found here: a check would only see how rough."""
    untouched: bool = False
    """It is stale without anybody's doing: it has grown old, or an oscillator was disturbed."""


@dataclass(frozen=True)
class CalibrationContext:
    """Everything that check_state looks at."""

    calibration: CalibrationSet
    records: Sequence[RunRecord] = ()
    """In any order; of each node the latest count."""
    events: Sequence[Event] = ()
    now: float = 0.0
    unused: Mapping[str, str] = field(default_factory=dict)
    """Targets that nothing is to be measured on, and why: the other direction of a pair."""
    past: Callable[[str | float], CalibrationSet | None] = lambda _: None
    """Returns the set of an id, or the one that was active at a Unix time; None when that is not known."""


def states(graph: Graph, situation: CalibrationContext) -> dict[Node, NodeStatus]:
    """Return the state of every node, in order.

    A node is fresh when it was calibrated or found in spec within its age, after each of its parents was calibrated,
    and after everything that happened to its instruments, its values are still its own, no check since has found it out
    of spec or brought bad data, and what its values refer to is what it was then. It is failed when its latest
    calibration came to nothing since anything above it changed, and faulty or unused when its target, or a qubit of it,
    is. A run whose record names no set that it led to made nothing active, or stopped before what
    it made active was verified: then a check is due. A run that left finer values as they were is no calibration
    of its node: what depends on these has nothing new to refer to.
    """
    latest: dict[tuple[Node, str], RunRecord] = {}
    past: dict[Node, list[RunRecord]] = {}
    loose: dict[str, float] = {}
    partly: set[str] = set()
    for record in sorted(situation.records, key=lambda record: record.ended):
        group = record.kind if record.outcome == "good" else f"bad {record.kind}"
        if group == "calibrate" and record.values and not record.after:
            loose[record.run_id] = record.ended
        elif group == "calibrate" and partial(record):
            partly.add(record.run_id)
        elif record.kind != "scan" and record.outcome != "stopped":
            latest[Node(record.routine, record.target), group] = record
            if group == "calibrate":
                past.setdefault(Node(record.routine, record.target), []).append(record)
    found: dict[Node, NodeStatus] = {}
    differences = _Differences(situation.calibration, situation.past)
    for node in graph.nodes:
        found[node] = _state(graph, node, situation, differences, latest, past, loose, partly, found)
    return found


def _state(
    graph: Graph, node: Node, situation: CalibrationContext, differences: _Differences,
    latest: Mapping[tuple[Node, str], RunRecord], past: Mapping[Node, Sequence[RunRecord]], loose: Mapping[str, float],
    partly: Collection[str], above: Mapping[Node, NodeStatus],
) -> NodeStatus:  # fmt: skip
    step = graph.step(node)
    record = latest.get((node, "calibrate"))
    calibrated, why = _calibrated(step, node, situation.calibration, record, partly, _not_below(graph, node))
    checked = latest.get((node, "check"))
    seen = calibrated
    if calibrated is not None and checked is not None and checked.ended > calibrated:
        seen = checked.ended
    if fault := situation.calibration.faulty(node.target):
        return NodeStatus("faulty", fault.why, calibrated, seen)
    if node.target in situation.unused:
        return NodeStatus("unused", situation.unused[node.target], calibrated, seen)
    trouble = latest.get((node, "bad calibrate"))
    if trouble is not None and trouble.ended > (seen or 0.0):
        newer = [parent for parent in graph.parents(node) if (above[parent].calibrated or 0.0) > trouble.ended]
        if not newer and situation.now - trouble.ended < step.age:
            return NodeStatus("failed", trouble.reason, calibrated, seen)
    if calibrated is None or seen is None:
        return NodeStatus("never", why, None, None)
    if rougher := _overwritten(graph, node, step, situation.calibration):
        return NodeStatus("stale", rougher, calibrated, seen, overwritten=True)
    why = why or _imported(step, node, situation.calibration, checked)
    why = why or _unverified(step, node, situation.calibration, loose, seen)
    why = why or _doubted(latest.get((node, "bad check")), seen)
    where: str | float = seen
    if checked is not None and checked.ended == seen:
        where = checked.before or seen
    elif record is not None and record.ended == seen:
        where = record.after or record.before or seen
    # What somebody has changed is told before what has only happened, or grown old.
    why = why or _stale(graph, node, situation, past, above, seen) or _referred(graph, node, differences, where, seen)
    alone = "" if why else _disturbed(graph, node, step, situation, seen) or _aged(step, situation.now - seen)
    return NodeStatus("stale" if why or alone else "fresh", why or alone, calibrated, seen, untouched=bool(alone))


def _calibrated(
    step: Step, node: Node, calibration: CalibrationSet, record: RunRecord | None, partly: Collection[str],
    routines: Collection[str],
) -> tuple[float | None, str]:  # fmt: skip
    """Return when what is active was found, None for never, and a reason to doubt it.

    Without a record of its own a node counts by its values, when at least one is its own, was set by hand, imported, or
    refined by what depends on it; values that ``routines``, the others of the graph, have put there say nothing of it.
    """
    missing = [name for name in step.gives if f"{node.target}.{name}" not in calibration.values]
    if missing:
        return None, f"{node.target}.{missing[0]} has no value"
    own = {f"{node.target}.{name}": calibration.values[f"{node.target}.{name}"] for name in step.gives}
    doubted = next((f"{name} is suspect" for name, value in own.items() if value.quality == "suspect"), "")
    kept = {name: value for name, value in own.items() if value.quality != "design"}
    if record is not None and _in_force(record, calibration, partly):
        return record.ended, doubted
    if not any(value.routine == step.routine or value.routine not in routines for value in own.values()):
        return None, "it has not been measured"
    if len(kept) < len(own):
        return None, f"{min(own.keys() - kept.keys())} is of the design sheet"
    return min(unix(value) for value in kept.values()), doubted


def _not_below(graph: Graph, node: Node) -> set[str]:
    """Return the routines of the graph that do not depend on this node."""
    return graph.steps.keys() - {other.routine for other in graph.below(node)}


def _in_force(record: RunRecord, calibration: CalibrationSet, partly: Collection[str]) -> bool:
    """Whether a run's values are still there, unless another routine, a hand or a run of ``partly`` has put its own."""
    for name in record.values:
        value = calibration.values.get(name)
        if value is None or (value.routine == record.routine and value.run_id not in {record.run_id, *partly}):
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
            return f"{value.routine} has measured {name} again"
    return ""


def _unverified(
    step: Step, node: Node, calibration: CalibrationSet, loose: Mapping[str, float], seen: float
) -> str:  # fmt: skip
    """Return which value is active without having been verified: not by its own run, nor by a check since."""
    for name in (f"{node.target}.{name}" for name in step.gives):
        value = calibration.values.get(name)
        if value is not None and value.routine == step.routine and loose.get(value.run_id, -np.inf) >= seen:
            return f"{name} was not verified"
    return ""


def _imported(step: Step, node: Node, calibration: CalibrationSet, checked: RunRecord | None) -> str:
    """Return which value is of another stack's files, and no check has found it in spec since."""
    for name in (f"{node.target}.{name}" for name in step.gives):
        value = calibration.values.get(name)
        if value is not None and value.quality == "unverified" and (checked is None or checked.ended < unix(value)):
            return f"{name} was imported and has not been verified"
    return ""


def _doubted(check: RunRecord | None, seen: float) -> str:
    """Return what a check that failed since has found."""
    if check is None or check.ended <= seen:
        return ""
    return f"a check found {check.outcome}: {check.reason}" if check.reason else f"a check found {check.outcome}"


def _stale(
    graph: Graph, node: Node, situation: CalibrationContext, past: Mapping[Node, Sequence[RunRecord]],
    above: Mapping[Node, NodeStatus], seen: float,
) -> str:  # fmt: skip
    for name in (f"{node.target}.{name}" for name in graph.step(node).gives):
        value = situation.calibration.values.get(name)
        if value is not None and value.quality == "set" and unix(value) > seen:
            return f"{name} was set by hand"
    for parent in graph.parents(node):
        time = above[parent].calibrated
        newer = time is not None and time > seen and above[parent].status != "unused"
        if newer and (moved := _moved(graph.step(parent), past.get(parent, ()), seen)):
            changed = _changed(graph, parent, situation.calibration, past.get(parent, ()), seen)
            return changed or f"{parent} is newer{moved}".rstrip()
    return ""


def _changed(
    graph: Graph, node: Node, calibration: CalibrationSet, runs: Sequence[RunRecord], seen: float
) -> str:  # fmt: skip
    """Return which value of a node has been changed since by what is not its own run, in words."""
    if runs and runs[-1].ended > seen:
        return ""
    for name in (f"{node.target}.{name}" for name in graph.step(node).gives):
        value = calibration.values.get(name)
        if value is None or unix(value) <= seen or value.routine in ("", node.routine):
            continue
        return f"{name} was {'set by hand' if value.quality == 'set' else f'changed by {value.routine}'}"
    return ""


def _disturbed(graph: Graph, node: Node, step: Step, situation: CalibrationContext, seen: float) -> str:
    """Return what has happened since to an oscillator that a node depends on."""
    if step.oscillator:
        instruments = oscillators_of(node.target, graph.device)
        for event in sorted(situation.events, key=lambda event: event.time, reverse=True):
            if event.subject in instruments and event.time > seen:
                return f"{event.subject} {event.why}"
    return ""


def _aged(step: Step, age: float) -> str:
    return f"seen {age / 3600:.1f} h ago, {step.age / 3600:g} h are allowed" if age > step.age else ""


@dataclass(frozen=True)
class _Differences:
    """What differs between the active set and those that nodes were seen under, each compared once."""

    now: CalibrationSet
    past: Callable[[str | float], CalibrationSet | None]
    _known: dict[str | float, tuple[CalibrationSet | None, tuple[str, ...]]] = field(default_factory=dict)

    def since(self, where: str | float) -> tuple[CalibrationSet | None, tuple[str, ...]]:
        """Return the set ``where``, None when it is not known, and the names that differ from it: all, when not."""
        if where not in self._known:
            then, now = self.past(where), self.now.values
            names = now.keys() if then is None else now.keys() | then.values.keys()
            differ = (name for name in sorted(names) if then is None or then.values.get(name) != now.get(name))
            self._known[where] = then, tuple(differ)
        return self._known[where]


def _referred(graph: Graph, node: Node, differences: _Differences, where: str | float, seen: float) -> str:
    """Return which value that a node refers to is another than when it was seen, in words; nothing when none is.

    It was seen under the set ``where``: an id, or the active one at a time. Where that is not known, or it had other
    values of the node's own, a value that is younger counts. What a routine below the node refines is no news: that
    was found with the help of what the node gave.
    """
    now = differences.now
    then, names = differences.since(where)
    if isinstance(where, float) and not {f"{node.target}.{name}" for name in graph.step(node).gives}.isdisjoint(names):
        then, names = None, tuple(sorted(now.values))
    below = {other.routine for other in graph.below(node)}
    for name in names:
        if node not in graph.referring(name):
            continue
        new, old = now.values.get(name), None if then is None else then.values.get(name)
        if new is not None and new.quality == "good" and new.routine in below:
            continue
        if then is None and new is not None:
            if unix(new) > seen:
                return f"{name} is newer"
        elif new is None or old is None:
            return f"{name} is {'gone' if new is None else 'new'}"
        elif far(old, new, reference(name, graph.device)):
            return f"{name} {_step(old, new)} since"
    return ""


def _step(old: Value, new: Value) -> str:
    if isinstance(old.value, tuple) or isinstance(new.value, tuple):
        return "has other numbers"
    return f"went from {old.value:.6g} to {new.value:.6g}"


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
