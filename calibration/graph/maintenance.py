"""maintain and diagnose (Kelly et al., arXiv:1803.03226): redo what is stale, and what depends on it, and nothing else.

Targets of one row are measured at once. What is known after each measurement is in the store, so a pass that was
stopped goes on where it was when it is started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from pulsed import old_names
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.status import CalibrationContext, NodeStatus, states
from pulsed.calibration.routine import Verdict
from pulsed.model.calibration import Value

__getattr__ = old_names(__name__)

WALKS = 4
"""Most walks of a pass: what one walk mended by diagnosis may have made rows stale that it had behind it."""


class CheckResult(NamedTuple):
    """What a check or a calibration of one target came to."""

    verdict: Verdict
    """Of a calibration: "in spec" when its values were committed."""
    why: str = ""
    values: Mapping[str, Value] = {}
    """Of a calibration: what it found, by full name."""


class GraphRunner(Protocol):
    """Measures. What it measures it also keeps, so that :meth:`situation` shows it."""

    def situation(self) -> CalibrationContext:
        """Return set, records and events as they are now."""
        ...

    def check(self, step: Step, targets: Sequence[str]) -> Mapping[str, CheckResult]:
        """Take a few points of each target and compare them with the active values."""
        ...

    def calibrate(
        self, step: Step, targets: Sequence[str], parameters: Mapping[str, object]
    ) -> Mapping[str, CheckResult]:
        """Measure each target and commit what it gives."""
        ...

    def fault(self, target: str, why: str) -> None:
        """Mark a target as faulty."""
        ...


class Action(NamedTuple):
    """One measurement of a pass and what it came to."""

    kind: Literal["check", "calibrate", "fault"]
    node: Node
    verdict: Verdict
    why: str = ""
    values: Mapping[str, Value] = {}


OnAction = Callable[[Action], None]


@dataclass
class Pass:
    """Walks through the graph: :meth:`update` is what the paper calls maintain, :meth:`mend` what it calls diagnose."""

    graph: Graph
    runner: GraphRunner
    tell: OnAction | None = None
    again: bool = False
    """Try once more what failed before and has no new reason to come out well."""
    actions: list[Action] = field(default_factory=list)
    _began: float = 0.0
    _given_up: set[Node] = field(default_factory=set)

    def update(self, nodes: Iterable[Node]) -> list[Action]:
        """Bring ``nodes`` up to date; return what was done.

        Row by row from the top: what its state says is fresh is left alone; what was never calibrated is, and what a
        rougher routine above has written over; the rest is checked, and calibrated when out of spec. Bad data mean
        that something above is wrong: that is diagnosed first.
        """
        wanted = set(nodes)
        self._began = self.runner.situation().now
        for _ in range(WALKS):
            before = len(self.actions)
            for step, targets in self.graph.rows(wanted):
                self._row([Node(step.routine, target) for target in targets])
            if not any(action.kind == "calibrate" for action in self.actions[before:]):
                break
        return self.actions

    def _row(self, nodes: Sequence[Node]) -> None:
        now = self._states()
        able = [node for node in nodes if self._able(node, now)]
        new = [node for node in able if now[node].status in ("never", "failed") or now[node].overwritten]
        old = [node for node in able if now[node].status == "stale" and node not in new]
        verdicts = self._check(old)
        for node in old:
            if verdicts[node].verdict == "bad data":
                self._diagnose_above(node, set())
        self._calibrate(new)
        self._calibrate(self._left([node for node in old if verdicts[node].verdict != "in spec"]), mend=True)

    def mend(self, nodes: Iterable[Node]) -> list[Action]:
        """Somebody says that ``nodes`` are wrong: find the cause above them, mend it and what depends on it."""
        self._began = self.runner.situation().now
        for node in sorted(set(nodes), key=self.graph.nodes.index):
            if self._able(node, self._states()):
                self._diagnose(node, set())
        return self.actions

    def _diagnose(self, node: Node, visited: set[Node]) -> bool:
        """Return whether something was calibrated: this node, or what it depends on."""
        visited.add(node)
        found = self._check([node])[node]
        if found.verdict == "in spec":
            return False
        mended = found.verdict == "bad data" and self._diagnose_above(node, visited)
        return bool(self._calibrate(self._left([node]), mend=True)) or mended

    def _diagnose_above(self, node: Node, visited: set[Node]) -> bool:
        now = self._states()
        mended = False
        for parent in self.graph.parents(node):
            just_seen = now[parent].status == "fresh" and (now[parent].seen or 0.0) > self._began
            if parent not in visited and not just_seen and self._able(parent, now):
                mended |= self._diagnose(parent, visited)
        return mended

    def _able(self, node: Node, now: Mapping[Node, NodeStatus]) -> bool:
        """Whether a node can be measured: its target is used, and nothing vital above it is missing."""
        status = now[node].status
        if status in ("faulty", "unused") or node in self._given_up or (status == "failed" and not self.again):
            return False
        if self.graph.step(node).subject == "chip":
            return True  # of the whole chip, what is left of it counts
        return not any(
            self.graph.step(parent).vital
            and (parent in self._given_up or now[parent].status in ("failed", "faulty", "never"))
            for parent in self.graph.above(node)
        )

    def _left(self, nodes: Sequence[Node]) -> list[Node]:
        """Return those that can still be measured: what is above one may have been given up since, and is the cause."""
        now = self._states() if nodes else {}
        return [node for node in nodes if self._able(node, now)]

    def _states(self) -> dict[Node, NodeStatus]:
        return states(self.graph, self.runner.situation())

    def _check(self, nodes: Sequence[Node]) -> dict[Node, CheckResult]:
        found: dict[Node, CheckResult] = {}
        for step, targets in self.graph.rows(nodes):
            if not step.checkable:
                found |= {
                    Node(step.routine, target): CheckResult("out of spec", "no check tells") for target in targets
                }
                continue
            for target, result in self.runner.check(step, targets).items():
                node = Node(step.routine, target)
                found[node] = result
                self._note(Action("check", node, result.verdict, result.why))
        return found

    def _calibrate(self, nodes: Sequence[Node], *, mend: bool = False) -> list[Node]:
        """Calibrate, again with the next parameters where the data were bad; return what was calibrated."""
        done: list[Node] = []
        for step, targets in self.graph.rows(nodes):
            left = list(targets)
            lost: dict[Node, CheckResult] = {}
            attempts = step.attempts if step.mend is None or not mend else (step.mend, *step.attempts)
            for number, parameters in enumerate(attempts):
                if not left:
                    break
                again = []
                for target, result in self.runner.calibrate(step, left, parameters).items():
                    node = Node(step.routine, target)
                    self._note(Action("calibrate", node, *result))
                    if result.verdict == "in spec":
                        done.append(node)
                    elif number + 1 < len(attempts):
                        again.append(target)
                    else:
                        lost[node] = result
                left = again
            self._give_up(step, lost, everything=len(lost) == len(targets) > 1)
        return done

    def _give_up(self, step: Step, lost: Mapping[Node, CheckResult], *, everything: bool) -> None:
        """Leave nodes, and with a vital one its target, without stopping the others.

        When not one qubit of several came out well the rack is to blame, and none of them is called faulty.
        """
        for node, result in lost.items():
            self._given_up.add(node)
            if step.vital and (step.subject == "pair" or (step.subject == "qubit" and not everything)):
                why = f"{step.routine}: {result.why}"
                self.runner.fault(node.target, why)
                self._note(Action("fault", node, result.verdict, why))

    def _note(self, action: Action) -> None:
        self.actions.append(action)
        if self.tell is not None:
            self.tell(action)
