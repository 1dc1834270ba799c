"""Verify: each value that came from another stack's files is measured cheaply, and is then good, mended or faulty.

The rows of the calibration order are walked from the top, on the targets of which they give such a value. A check that
finds it in spec makes it good. One that does not leads to a calibration, which mends it. Where the data are bad the
cause is sought above: what finds the qubit's line and the readout's is measured anew, and then the row again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from pulsed.calibration.bringup import CalibrationSession
from pulsed.calibration.graph.graph import Node, Step
from pulsed.calibration.graph.maintenance import Action, CheckResult, OnAction
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.transaction import committed
from pulsed.model.calibration import CalibrationSet, Number, Value

Finding = Literal["good", "mended", "faulty", "not measured"]
UNVERIFIED = "unverified"
ROUGH = ("mixer", "qubit-spectroscopy", "readout-optimum", "cz-chevron")
"""Rows that find anew what a finer one tells of in less time: they are measured only where that one has bad data."""


class VerifiedValue(NamedTuple):
    """What became of one imported value."""

    name: str
    finding: Finding
    was: Number
    now: Number
    by: str = ""
    """The routine."""
    why: str = ""


def verify(
    session: CalibrationSession, targets: Sequence[str] = (), *, tell: OnAction | None = None
) -> list[VerifiedValue]:
    """Measure every unverified value of ``targets``, by default of all, and return what became of each.

    A target without which nothing can be done is marked as faulty. A value that could be neither confirmed nor found
    is suspect from then on; one that no routine of the order gives stays unverified. What was found until a stop stays
    found. Raises :class:`PulsedError` when the rack or the daemon did not do its part.
    """
    return _Walk(session, frozenset(targets), tell).done()


@dataclass
class _Walk:
    """One walk down the order."""

    session: CalibrationSession
    targets: Collection[str]
    tell: OnAction | None
    confirmed: dict[str, str] = field(default_factory=dict)
    """Imported value → routine that found it in spec."""
    lost: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Imported value → routine that could not find it, and why."""
    anew: set[Node] = field(default_factory=set)

    def done(self) -> list[VerifiedValue]:
        """Walk, commit what was found, and return it."""
        before = self._active()
        imported = {name: value for name, value in before.values.items() if value.quality == UNVERIFIED}
        imported = {name: value for name, value in imported.items() if not self.targets or _of(name, self.targets)}
        graph = self.session.graph
        nodes = [node for node in graph.nodes if node.routine not in ROUGH and self._own(node, imported)]
        try:
            for step, targets in graph.rows(nodes):
                self._row(step, targets, imported)
        finally:
            self._settle(imported)
        after = self._active()
        return [self._found(name, value, after) for name, value in imported.items()]

    def _active(self) -> CalibrationSet:
        return self.session.connection.calibration()

    def _own(self, node: Node, imported: Mapping[str, Value]) -> list[str]:
        return [full for name in self.session.graph.step(node).gives if (full := f"{node.target}.{name}") in imported]

    def _judged(self, node: Node, imported: Mapping[str, Value]) -> list[str]:
        """Return the imported values of a node that a check compares, and those of the same gate or readout."""
        names = {f"{node.target}.{name}" for name in _compared(self.session.graph.step(node))}
        gates = {gate for name in names if (gate := _gate(name))}
        return [name for name in self._own(node, imported) if name in names or _gate(name) in gates]

    def _row(self, step: Step, targets: Sequence[str], imported: Mapping[str, Value]) -> None:
        now = self._active()
        unused = self.session.situation().unused
        left = [target for target in targets if not now.faulty(target) and target not in unused]
        # Of what a file has in part: what is rough has nothing to compare with, and would overwrite the rest.
        whole = {target: now.has(*(f"{target}.{name}" for name in _compared(step))) for target in left}
        left = [target for target in left if whole[target] or not step.rough]
        wrong = {
            target: CheckResult("out of spec", "no check tells") for target in left
            if not step.checkable or (not step.rough and not now.has(*(f"{target}.{name}" for name in step.gives)))
        }  # fmt: skip
        if known := [target for target in left if target not in wrong]:
            for target, result in self.session.check(step, known).items():
                self._note("check", Node(step.routine, target), result)
                if result.verdict == "in spec":
                    self.confirmed |= dict.fromkeys(self._judged(Node(step.routine, target), imported), step.routine)
                else:
                    wrong[target] = result
        out = [target for target, result in wrong.items() if result.verdict == "out of spec"]
        failed = self._calibrate(step, out) if out else {}
        failed |= {target: result for target, result in wrong.items() if result.verdict == "bad data"}
        for target, result in failed.items():
            last = result
            if self._above(Node(step.routine, target)):
                last = self._calibrate(step, [target]).get(target, CheckResult("in spec"))
            if last.verdict != "in spec":
                self._lose(step, target, last, imported)

    def _calibrate(self, step: Step, targets: Sequence[str]) -> dict[str, CheckResult]:
        """Measure with each of the row's attempts; return what came to nothing."""
        left: dict[str, CheckResult] = dict.fromkeys(targets, CheckResult("bad data"))
        for parameters in step.attempts:
            if not left:
                break
            for target, result in self.session.calibrate(step, list(left), parameters).items():
                self._note("calibrate", Node(step.routine, target), result)
                left[target] = result
            left = {target: result for target, result in left.items() if result.verdict != "in spec"}
        return left

    def _above(self, node: Node) -> bool:
        """Measure anew what this node's target is found with, once; return whether all of it came out well."""
        graph, qubits = self.session.graph, {node.target, *node.target.split("-")}
        for step, targets in graph.rows(graph.above(node)):
            for target in targets:
                one = Node(step.routine, target)
                if target not in qubits or one in self.anew or (step.routine not in ROUGH and not step.vital):
                    continue
                self.anew.add(one)
                if self._calibrate(step, [target]):
                    return False
        return True

    def _lose(self, step: Step, target: str, result: CheckResult, imported: Mapping[str, Value]) -> None:
        why = f"{step.routine}: {result.why}"
        self.lost |= dict.fromkeys(self._own(Node(step.routine, target), imported), (step.routine, result.why))
        if step.vital and step.subject in ("qubit", "pair"):
            self.session.fault(target, why)
            self._note("fault", Node(step.routine, target), CheckResult(result.verdict, why))

    def _note(self, kind: Literal["check", "calibrate", "fault"], node: Node, result: CheckResult) -> None:
        if self.tell is not None:
            self.tell(Action(kind, node, *result))

    def _settle(self, imported: Mapping[str, Value]) -> None:
        """Make good what a check has confirmed, and what belongs to it; doubt what could not be found."""
        while True:
            now = self._active()
            still = {name: value for name, value in imported.items() if now.values.get(name) == value}
            stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
            new = {}
            for name, value in still.items():
                if name in self.lost:
                    new[name] = msgspec.structs.replace(value, quality="suspect")
                elif self._carried(name, now) is not None:
                    new[name] = msgspec.structs.replace(value, quality="good", time=stamp)
            if not new:
                return
            if committed(self.session.connection, now, now.with_values(new, stamp), f"verified {len(new)} values"):
                return

    def _carried(self, name: str, now: CalibrationSet) -> str | None:
        """Return the routine by which a value is right: its own, or one that plays the same gate or readout."""
        if name in self.confirmed:
            return self.confirmed[name]
        gate = _gate(name)
        beside = [other for other in self.confirmed if gate and _gate(other) == gate]
        if beside:
            return self.confirmed[beside[0]]
        others = (value for other, value in now.values.items() if gate and _gate(other) == gate)
        found = [value.routine for value in others if value.quality == "good" and value.routine in self._routines]
        return found[0] if found and not any(_gate(other) == gate for other in self.lost) else None

    @property
    def _routines(self) -> Collection[str]:
        return self.session.graph.steps

    def _found(self, name: str, value: Value, after: CalibrationSet) -> VerifiedValue:
        now = after.values.get(name, value)
        if name in self.lost:
            by, why = self.lost[name]
            return VerifiedValue(name, "faulty", value.value, now.value, by, why)
        fault = after.faulty(name.partition(".")[0])
        if now.quality == UNVERIFIED:
            why = fault.why if fault is not None else self._unlooked(name)
            return VerifiedValue(name, "faulty" if fault else "not measured", value.value, now.value, "", why)
        if now.value != value.value:
            return VerifiedValue(name, "mended", value.value, now.value, now.routine)
        by = self.confirmed.get(name) or self._carried(name, after) or now.routine
        return VerifiedValue(name, "good", value.value, now.value, by)

    def _unlooked(self, name: str) -> str:
        """Return why nothing has measured a value."""
        target, _, parameter = name.partition(".")
        graph = self.session.graph
        giving = [node for node in graph.nodes if node.target == target and parameter in graph.step(node).gives]
        if not giving:
            return "no routine of the order gives it"
        return f"no check looks at it: `pulsed cal run {giving[-1].routine} {target}` measures it"


def count(found: Iterable[VerifiedValue]) -> dict[Finding, int]:
    """Return how many values came out how."""
    words: dict[Finding, int] = {"good": 0, "mended": 0, "faulty": 0, "not measured": 0}
    for one in found:
        words[one.finding] += 1
    return words


def _compared(step: Step) -> Collection[str]:
    """Return the values that a check of a row compares with the active ones."""
    routine = find_routine(step.routine)
    return routine.tolerances or routine.gives


def _of(name: str, targets: Collection[str]) -> bool:
    return name.partition(".")[0] in targets


def _gate(name: str) -> str:
    """Return ``"Q0.x"`` of ``"Q0.x.amplitude"``, and nothing of ``"Q0.f01"``, which is a value of its own."""
    subject, _, parameter = name.partition(".")
    gate, dot, _ = parameter.partition(".")
    return f"{subject}.{gate}" if dot else ""
