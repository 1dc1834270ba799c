"""The dependency graph: which routine on which target depends on which (Kelly et al., arXiv:1803.03226)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import rustworkx

from pulsed.calibration.graph.references import concerns, reference
from pulsed.calibration.routine import Subject, qubits_of
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, InvalidValueError

HOUR = 3600.0
DAY = 24 * HOUR


class Node(NamedTuple):
    """One routine on one target."""

    routine: str
    target: str

    def __str__(self) -> str:
        return f"{self.routine} {self.target}"


@dataclass(frozen=True)
class Step:
    """One row of the table: a routine, on all of its targets, and what it depends on."""

    routine: str
    subject: Subject
    after: tuple[str, ...] = ()
    """Routines that have to be done before it, on every target that shares a qubit with its own."""
    gives: tuple[str, ...] = ()
    """Names of values without subject that it writes."""
    age: float = DAY
    """Seconds after which what it found is looked at again."""
    vital: bool = False
    """Its target is of no use without it: when it fails, the target is faulty and what depends on it is left out."""
    oscillator: bool = False
    """What it finds holds as long as the local oscillators keep their phase and level."""
    attempts: tuple[Mapping[str, object], ...] = field(default=({},), hash=False)
    """Parameters of the run, and of those after it when the data were bad."""
    mend: Mapping[str, object] | None = field(default=None, hash=False)
    """Parameters of a first run where values were right not long ago; None: those of the first attempt."""
    moves: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)
    """How far, absolute and relative, each of its values must have moved for what depends on it to be looked at again.

    What was measured before a slow drift was measured with the value right for then: a small correction since does not
    make it doubtful. A value that is not named here says nothing; without any, each new calibration counts.
    """
    rough: bool = True
    """What depends on it and gives the same values finds them better, and does so again when they are measured here."""
    checkable: bool = True
    """A check can tell whether what is active is right. Where it cannot, what is stale is calibrated again."""
    where: Callable[[DeviceDescription], tuple[str, ...]] | None = None
    """Its targets, where they are not all of its kind."""

    def targets(self, device: DeviceDescription) -> tuple[str, ...]:
        """Return every target that a device has for it."""
        return targets(self.subject, device) if self.where is None else self.where(device)


class Graph:
    """Nodes and edges of one device: the rows of a table on all targets.

    A node depends on the nodes of the rows in ``after`` whose targets share a qubit with its own; of rows of the same
    kind of target, on the same target alone.

    Raises:
        ConfigError: a row named twice, or one that depends on an unknown row or on itself.

    """

    def __init__(self, steps: Sequence[Step], device: DeviceDescription) -> None:
        self.steps = {step.routine: step for step in steps}
        self.device = device
        _check(steps, self.steps)
        self._graph: rustworkx.PyDiGraph[Node, None] = rustworkx.PyDiGraph(check_cycle=False)
        self._index: dict[Node, int] = {}
        self._qubits: dict[str, frozenset[int]] = {}
        for name in self._ordered():
            self._add(self.steps[name])
        self._above = {node: self._reached(rustworkx.ancestors, node) for node in self._index}
        self._below = {node: self._reached(rustworkx.descendants, node) for node in self._index}
        self._referring: dict[str, frozenset[Node]] = {}

    def _ordered(self) -> list[str]:
        """Return the rows so that each stands behind those it depends on, else in the order of the table."""
        rows: rustworkx.PyDiGraph[str, None] = rustworkx.PyDiGraph()
        index = {name: rows.add_node(name) for name in self.steps}
        rows.add_edges_from_no_data([(index[a], index[s.routine]) for s in self.steps.values() for a in s.after])
        if cycle := " → ".join(rows[a] for a, _ in rustworkx.digraph_find_cycle(rows)):
            raise ConfigError("these routines depend on each other", subject="calibration graph", value=cycle)
        place = {name: f"{number:06d}" for number, name in enumerate(self.steps)}
        return list(rustworkx.lexicographical_topological_sort(rows, key=lambda name: place[name]))

    def _add(self, step: Step) -> None:
        own = step.targets(self.device)
        for target in own:
            self._qubits[target] = frozenset(qubits_of(target, self.device))
            self._index[Node(step.routine, target)] = self._graph.add_node(Node(step.routine, target))
        for target in own:
            for parent in step.after:
                others = self.steps[parent].targets(self.device)
                same = step.subject == self.steps[parent].subject and set(own) & set(others)
                for other in others:
                    if other == target if same else self._qubits[other] & self._qubits[target]:
                        edge = self._index[Node(parent, other)], self._index[Node(step.routine, target)]
                        self._graph.add_edge(*edge, None)

    @property
    def nodes(self) -> list[Node]:
        """All nodes, each behind those it depends on."""
        return list(self._index)

    def node(self, routine: str, target: str) -> Node:
        """Return one node. Raises :class:`InvalidValueError` with the legal ones."""
        found = Node(routine, target)
        if routine not in self.steps:
            raise InvalidValueError("no such routine in the graph", subject="calibration graph", value=routine,
                                    legal=", ".join(self.steps))  # fmt: skip
        if found not in self._index:
            legal = ", ".join(self.steps[routine].targets(self.device))
            raise InvalidValueError("no such target", subject=f"routine {routine}", value=target, legal=legal)
        return found

    def step(self, node: Node) -> Step:
        """Return the row of a node."""
        return self.steps[node.routine]

    def qubits(self, target: str) -> frozenset[int]:
        """Return the qubits of a target of this graph."""
        return self._qubits[target]

    def parents(self, node: Node) -> list[Node]:
        """Return what a node depends on directly."""
        return sorted(self._graph.predecessors(self._index[node]), key=self._place)

    def children(self, node: Node) -> list[Node]:
        """Return what depends on a node directly."""
        return sorted(self._graph.successors(self._index[node]), key=self._place)

    def above(self, node: Node) -> frozenset[Node]:
        """Return everything that a node depends on, without itself."""
        return self._above[node]

    def below(self, node: Node) -> frozenset[Node]:
        """Return everything that depends on a node, without itself."""
        return self._below[node]

    def referring(self, name: str) -> frozenset[Node]:
        """Return the nodes that refer to the value ``name``, but for those that give it themselves."""
        if name not in self._referring:
            found, subject = reference(name, self.device), name.partition(".")[0]
            self._referring[name] = frozenset(
                node for node in self._index
                if node.routine in found.rows
                and (found.everywhere or concerns(subject, node.target, self.device))
                and name not in {f"{node.target}.{given}" for given in self.step(node).gives}
            )  # fmt: skip
        return self._referring[name]

    def _reached(self, walk: Callable[..., set[int]], node: Node) -> frozenset[Node]:
        return frozenset(self._graph[index] for index in walk(self._graph, self._index[node]))

    def needed(self, wanted: Iterable[str]) -> list[Node]:
        """Return the nodes of these targets and everything that they depend on, in order.

        Raises :class:`InvalidValueError` for a target that no routine of the graph has.
        """
        own = set(wanted)
        if unknown := own - {node.target for node in self._index}:
            legal = ", ".join(dict.fromkeys(node.target for node in self._index))
            raise InvalidValueError("no such target", subject="calibration graph", value=min(unknown), legal=legal)
        chosen = {node for node in self._index if node.target in own}
        chosen |= {above for node in chosen for above in self.above(node)}
        return sorted(chosen, key=self._place)

    def rows(self, nodes: Iterable[Node]) -> Iterator[tuple[Step, list[str]]]:
        """Yield nodes row by row in order: the row and the targets, to be measured at once."""
        grouped: dict[str, list[str]] = {}
        for node in sorted(nodes, key=self._place):
            grouped.setdefault(node.routine, []).append(node.target)
        for routine, found in grouped.items():
            yield self.steps[routine], found

    def _place(self, node: Node) -> int:
        return self._index[node]


def targets(subject: Subject, device: DeviceDescription) -> tuple[str, ...]:
    """Return every target of a kind."""
    if subject == "qubit":
        return tuple(f"Q{q}" for q in range(device.num_qubits))
    if subject == "pair":
        return tuple(f"Q{pair.control}-Q{pair.target}" for pair in device.couplings)
    if subject == "port":
        return tuple(name for name, port in device.ports.items() if port.direction == "output")
    return ("chip",)


def _check(steps: Sequence[Step], known: Mapping[str, Step]) -> None:
    names = [step.routine for step in steps]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError("this routine has two rows", subject="calibration graph", value=twice[0])
    for step in steps:
        if missing := [name for name in step.after if name not in known]:
            raise ConfigError(
                "depends on a routine without a row", subject=f"calibration graph, {step.routine}", value=missing[0],
                legal=", ".join(names),
            )  # fmt: skip
        if step.age <= 0:
            raise ConfigError(
                "not a valid age", subject=f"calibration graph, {step.routine}", value=step.age, legal="> 0 s"
            )
