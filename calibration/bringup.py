"""Bring-up and maintenance of a rack: the graph's runner that measures for real, and what a pass leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pulsed.calibration.collisions import collisions, directions
from pulsed.calibration.executor import Connection, Executor, Progress
from pulsed.calibration.graph import Graph, Node, Step
from pulsed.calibration.maintain import Action, Found, Pass, Tell
from pulsed.calibration.order import usual
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner import Finished, run
from pulsed.calibration.states import Event, Situation, State, states
from pulsed.calibration.transaction import Transaction, commit
from pulsed.model.calibration import CalibrationSet, Fault, RunKind, RunRecord
from pulsed.model.errors import ConflictError, InvalidValueError

Events = Callable[[], Sequence[Event]]
REMEMBERED = 1000
"""Records that are looked through for the latest ones of each node."""
NEWEST = 200
"""Records that are asked for again each time: those of other operators since."""
TRIES = 5
"""Of marking a fault while others commit too."""


@dataclass
class Lab:
    """Measures on a rack through a daemon, and commits what is good: the :class:`maintain.Runner` of a real machine.

    Args:
        connection: with an operator's key.
        folder: for the files of runs.
        steps: the table; by default the usual order.
        events: what happened to instruments.
        clock: tells the time in Unix seconds.
        by: who runs it.
        told: called with every run that is finished.
        progress: of the jobs.

    """

    connection: Connection
    folder: Path
    steps: Sequence[Step] = ()
    events: Events = tuple
    by: str = ""
    clock: Callable[[], float] = time.time
    told: Callable[[Finished], None] | None = None
    progress: Progress | None = None
    _records: list[RunRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.device = self.connection.device()
        self.graph = Graph(self.steps or usual(), self.device)

    # --- what the graph asks ------------------------------------------------------------------------------------

    def situation(self) -> Situation:
        """Return the set in force, the records and events as they are now."""
        new = self.connection.runs(limit=NEWEST if self._records else REMEMBERED)
        known = {record.run_id for record in new}
        self._records = [*new, *(record for record in self._records if record.run_id not in known)]
        calibration = self.connection.calibration()
        return Situation(calibration, self._records, self.events(), self.clock(), directions(self.device, calibration))

    def states(self) -> dict[Node, State]:
        """Return the state of every node."""
        return states(self.graph, self.situation())

    def check(self, step: Step, targets: Sequence[str]) -> dict[str, Found]:
        """Take a few points of each target and judge the values in force."""
        return {target: _judged(done.record) for target, done in self._run(step, targets, "check", {}).items()}

    def calibrate(self, step: Step, targets: Sequence[str], parameters: Mapping[str, object]) -> dict[str, Found]:
        """Measure each target and commit what it gives. What it gave before is verified by a check, or taken back."""
        finished = self._run(step, targets, "calibrate", parameters)
        values = {name: value for done in finished.values() if done.good for name, value in done.values.items()}
        if not values:
            return {target: _judged(done.record) for target, done in finished.items()}
        before = self.connection.calibration()
        mended = {name for name in values if name in before.values and before.values[name].routine == step.routine}

        def verify(calibration: CalibrationSet) -> dict[str, str]:
            own = sorted({target for target, done in finished.items() if any(name in done.values for name in mended)})
            checks = self._run(step, own, "check", {}, calibration) if own else {}
            return {target: done.record.reason for target, done in checks.items() if not done.good}

        why = f"{step.routine} of {', '.join(target for target, done in finished.items() if done.good)}"
        transaction = commit(self.connection, values, why, verify=verify if mended else None)
        return {target: self._settled(done, transaction) for target, done in finished.items()}

    def fault(self, target: str, why: str) -> None:
        """Mark a target as faulty in the set in force."""
        self._faults({target: why}, {})

    # --- how ----------------------------------------------------------------------------------------------------

    def _run(
        self, step: Step, targets: Sequence[str], kind: RunKind, parameters: Mapping[str, object],
        calibration: CalibrationSet | None = None,
    ) -> dict[str, Finished]:  # fmt: skip
        bench = Executor(self.connection, calibration, progress=self.progress)
        routine = find_routine(step.routine)(**parameters)
        return run(routine, targets, bench, folder=self.folder, kind=kind, tell=self.told, by=self.by)

    def _settled(self, done: Finished, transaction: Transaction) -> Found:
        """Return what became of a run's values, and put it into its record."""
        if not done.good:
            return _judged(done.record)
        if refused := {name: transaction.refused[name] for name in done.values if name in transaction.refused}:
            why = "not written: " + "; ".join(f"{name}: {text}" for name, text in refused.items())
        elif lost := [why for subject, why in transaction.rolled_back.items() if _owns(done, subject)]:
            why = f"rolled back, the check after it failed: {lost[0]}"
        else:
            written = msgspec.structs.replace(done.record, after=transaction.calibration.calibration_id)
            self.connection.put_run(written)
            return Found("in spec")
        record = msgspec.structs.replace(done.record, outcome="failed", reason=why)
        self.connection.put_run(record)
        return Found("bad data", why)

    def _faults(self, new: Mapping[str, str], gone: Iterable[str] | Mapping[str, str]) -> None:
        for attempt in range(TRIES):
            now = self.connection.calibration()
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            left = {subject: fault for subject, fault in now.faults.items() if subject not in set(gone)}
            candidate = now.with_faults({**left, **{s: Fault(why, stamp, self.by) for s, why in new.items()}}, stamp)
            if candidate.faults == now.faults:
                return
            self.connection.put_calibration(candidate)
            why = "; ".join([*(f"{s}: {text}" for s, text in new.items()), *(f"{s} is used again" for s in gone)])
            try:
                return self.connection.commit_calibration(candidate.calibration_id, now.calibration_id, why)
            except ConflictError:
                if attempt + 1 == TRIES:
                    raise

    def unfault(self, targets: Iterable[str]) -> None:
        """Take the marks of faulty targets away, as far as there are any."""
        marked = self.connection.calibration().faults
        if gone := [target for target in targets if target in marked]:
            self._faults({}, gone)


def _judged(record: RunRecord) -> Found:
    if record.outcome == "good":
        return Found("in spec")
    return Found("out of spec" if record.outcome == "out of spec" else "bad data", record.reason)


def _owns(done: Finished, subject: str) -> bool:
    return done.record.target == subject or any(name.partition(".")[0] == subject for name in done.values)


def maintain(lab: Lab, targets: Sequence[str] = (), *, again: bool = False, tell: Tell | None = None) -> list[Action]:
    """Bring targets, by default all, up to date; return what was done.

    First whatever is about qubits and lines alone; then pairs whose frequencies collide are marked faulty, with the
    collision named, and the others follow.
    """
    graph = lab.graph
    nodes = graph.needed(targets) if targets else graph.nodes
    walk = Pass(graph, lab, tell, again)
    single = [node for node in nodes if graph.step(node).subject in ("port", "qubit")]
    walk.maintain(single)
    if len(single) < len(nodes):
        calibration = lab.connection.calibration()
        found = collisions(lab.device, calibration)
        new = {pair: why for pair, why in found.items() if calibration.faulty(pair) is None}
        gone = [pair for pair, fault in calibration.faults.items() if _moved_apart(pair, fault, found)]
        if new or gone:
            lab._faults(new, gone)
        walk.maintain(nodes)
    return walk.actions


def _moved_apart(pair: str, fault: Fault, found: Mapping[str, str]) -> bool:
    return fault.why.startswith("collision: ") and pair not in found


def bringup(lab: Lab, targets: Sequence[str] = (), *, tell: Tell | None = None) -> list[Action]:
    """Tune up from whatever is there, a design sheet at worst, trying again what failed before.

    Started again after a stop it goes on where it was. What a routine called faulty has another chance; what a person
    did stays out.
    """
    marked = lab.connection.calibration().faults
    lab.unfault(
        subject for subject, fault in marked.items()
        if fault.why.partition(": ")[0] in lab.graph.steps and (not targets or subject in targets)
    )  # fmt: skip
    return maintain(lab, targets, again=True, tell=tell)


def diagnose(lab: Lab, target: str, routine: str | None = None, *, tell: Tell | None = None) -> list[Action]:
    """Find what is wrong with a target, of one routine or of all it has, mend it and what hangs on it."""
    nodes = [node for node in lab.graph.nodes if node.target == target and routine in (None, node.routine)]
    if not nodes:
        there = [node for node in lab.graph.nodes if node.target == target]
        if there:
            legal = ", ".join(node.routine for node in there)
            raise InvalidValueError("no such routine of this target", subject=target, value=str(routine), legal=legal)
        legal = ", ".join(dict.fromkeys(node.target for node in lab.graph.nodes))
        raise InvalidValueError("nothing to diagnose", subject="target", value=target, legal=legal)
    last = [node for node in nodes if not any(child in nodes for child in lab.graph.children(node))]
    return Pass(lab.graph, lab, tell).diagnose(last)
