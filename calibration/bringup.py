"""Bring-up and maintenance of a rack: the graph's runner that measures for real, and what a pass leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pulsed.calibration.collisions import collisions, directions
from pulsed.calibration.executor import Connection, Executor, Progress
from pulsed.calibration.graph import Graph, Node, Step
from pulsed.calibration.maintain import Action, Found, Pass, Tell
from pulsed.calibration.order import usual
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner import Finished, run
from pulsed.calibration.settling import settle
from pulsed.calibration.states import Event, Situation, State, states
from pulsed.calibration.transaction import committed
from pulsed.model.calibration import Fault, RunKind, RunRecord
from pulsed.model.errors import ConflictError, InvalidValueError

Events = Callable[[], Sequence[Event]]
REMEMBERED = 1000
"""Records that are looked through for the latest ones of each node."""
NEWEST = 200
"""Records that are asked for again each time: those of other operators since."""
TRIES = 5
"""Of measuring targets whose values others keep changing."""


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
        old, known = {record.run_id for record in self._records}, set[str]()
        for limit in (NEWEST, REMEMBERED) if old else (REMEMBERED,):
            new = self.connection.runs(limit=limit)
            known = {record.run_id for record in new}
            if known & old:
                break  # else there have been more since than were asked for
        self._records = [*new, *(record for record in self._records if record.run_id not in known)]
        calibration = self.connection.calibration()
        return Situation(calibration, self._records, self.events(), self.clock(), directions(self.device, calibration))

    def states(self) -> dict[Node, State]:
        """Return the state of every node."""
        return states(self.graph, self.situation())

    def check(self, step: Step, targets: Sequence[str]) -> dict[str, Found]:
        """Take a few points of each target and judge the values in force.

        Raises :class:`PulsedError` when the rack or the daemon did not do its part: that says nothing about targets.
        """
        finished = self._run(step, targets, "check", {}, self._bench())
        _heard(finished)
        return {target: _judged(done.record) for target, done in finished.items()}

    def calibrate(self, step: Step, targets: Sequence[str], parameters: Mapping[str, object]) -> dict[str, Found]:
        """Measure each target and commit what it gives. What replaces a value is verified by a check, or taken back.

        A target of which somebody else has changed a value in the meantime is measured again under the new set.

        Raises :class:`PulsedError` when the rack or the daemon did not do its part; what was good is committed then.
        """
        found: dict[str, Found] = {}
        left = list(targets)
        for _ in range(TRIES):
            bench = self._bench()
            finished, transaction = settle(
                find_routine(step.routine), self._run(step, left, "calibrate", parameters, bench), bench,
                folder=self.folder, tell=self.told, by=self.by, passing=self._refined(step),
            )  # fmt: skip
            _heard(finished)
            found |= {target: _judged(done.record) for target, done in finished.items()}
            conflicts = frozenset[str]() if transaction is None else transaction.conflicts
            left = [target for target, done in finished.items() if conflicts & done.values.keys()]
            if not left:
                return found
        raise ConflictError("somebody else changes the same values again and again", subject=step.routine,
                            value=", ".join(sorted(conflicts)))  # fmt: skip

    def fault(self, target: str, why: str) -> None:
        """Mark a target as faulty in the set in force."""
        self._faults({target: why}, {})

    # --- how ----------------------------------------------------------------------------------------------------

    def _refined(self, step: Step) -> set[str]:
        """Return the values of a rough routine that finer ones below it measure anew when it has put them."""
        nodes = [Node(step.routine, target) for target in step.targets(self.device)]
        below = {one.routine for node in nodes for one in self.graph.below(node) if one.target == node.target}
        return {name for routine in below for name in self.graph.steps[routine].gives} if step.rough else set()

    def _bench(self) -> Executor:
        return Executor(self.connection, progress=self.progress)

    def _run(
        self, step: Step, targets: Sequence[str], kind: RunKind, parameters: Mapping[str, object], bench: Executor
    ) -> dict[str, Finished]:
        routine = find_routine(step.routine)(**parameters)
        return run(routine, targets, bench, folder=self.folder, kind=kind, tell=self.told, by=self.by)

    def _faults(self, new: Mapping[str, str], gone: Iterable[str] | Mapping[str, str]) -> None:
        while True:
            now = self.connection.calibration()
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            left = {subject: fault for subject, fault in now.faults.items() if subject not in set(gone)}
            candidate = now.with_faults({**left, **{s: Fault(why, stamp, self.by) for s, why in new.items()}}, stamp)
            if candidate.faults == now.faults:
                return
            why = "; ".join([*(f"{s}: {text}" for s, text in new.items()), *(f"{s} is used again" for s in gone)])
            if committed(self.connection, now, candidate, why):
                return

    def unfault(self, targets: Iterable[str]) -> None:
        """Take the marks of faulty targets away, as far as there are any."""
        marked = self.connection.calibration().faults
        if gone := [target for target in targets if target in marked]:
            self._faults({}, gone)


def _judged(record: RunRecord) -> Found:
    if record.outcome == "good":
        return Found("in spec")
    return Found("out of spec" if record.outcome == "out of spec" else "bad data", record.reason)


def _heard(finished: Mapping[str, Finished]) -> None:
    """Raise what the rack or the daemon did wrong."""
    for done in finished.values():
        if done.error is not None:
            raise done.error


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
        new = {pair: why for pair, why in found.items() if pair not in calibration.faults}
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
    """Find what is wrong with a target, of one routine or of all it has, mend it and what hangs on it.

    What failed before is tried once more. Raises :class:`InvalidValueError` when nothing can be looked at.
    """
    nodes = [node for node in lab.graph.nodes if node.target == target and routine in (None, node.routine)]
    if not nodes:
        there = [node for node in lab.graph.nodes if node.target == target]
        if there:
            legal = ", ".join(node.routine for node in there)
            raise InvalidValueError("no such routine of this target", subject=target, value=str(routine), legal=legal)
        legal = ", ".join(dict.fromkeys(node.target for node in lab.graph.nodes))
        raise InvalidValueError("nothing to diagnose", subject="target", value=target, legal=legal)
    now = lab.states()
    chosen = [node for node in nodes if now[node].status == "failed"]
    chosen += [node for node in nodes if not any(child in nodes for child in lab.graph.children(node))]
    done = Pass(lab.graph, lab, tell, again=True).diagnose(chosen)
    if not done:
        why = "; ".join(dict.fromkeys(f"{now[node].status}: {now[node].why}" for node in chosen))
        raise InvalidValueError("nothing of it can be looked at as it stands", subject=target, value=why,
                                legal="a target that is in use and has been brought up")  # fmt: skip
    return done
