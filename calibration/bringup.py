"""Bring-up and maintenance of a rack: the graph's runner that measures for real, and what a pass leaves behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pulsed import old_names
from pulsed.calibration.collisions import collisions
from pulsed.calibration.executor import Connection, Executor, Progress
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.maintenance import Action, CheckResult, OnAction, Pass
from pulsed.calibration.graph.status import CalibrationContext, Event, NodeStatus, states
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.commit import commit_and_verify
from pulsed.calibration.runner.result import RunResult
from pulsed.calibration.runner.runner import run
from pulsed.calibration.runner.telling import Tell
from pulsed.calibration.runner.transaction import committed
from pulsed.model.calibration import CalibrationSet, Fault, RunKind, RunRecord
from pulsed.model.chip_map import directions
from pulsed.model.errors import ConflictError, InvalidValueError, NotFoundError

__getattr__ = old_names(__name__)

Events = Callable[[], Sequence[Event]]
REMEMBERED = 1000
"""Records that are looked through for the latest ones of each node."""
NEWEST = 200
"""Records that are asked for again each time: those of other operators since."""
TRIES = 5
"""Of measuring targets whose values others keep changing."""


@dataclass
class CalibrationSession:
    """Measures on a rack through a daemon, and commits what is good: the graph runner of a real machine.

    Args:
        connection: with an operator's key.
        folder: for the files of runs.
        steps: the table; by default the usual order.
        events: what happened to instruments.
        clock: tells the time in Unix seconds.
        by: who runs it.
        told: called with every run that is finished.
        begun: called with each row and its targets before they are measured.
        progress: of the jobs.
        live: told of each measurement as it grows.

    """

    connection: Connection
    folder: Path
    steps: Sequence[Step] = ()
    events: Events = tuple
    by: str = ""
    clock: Callable[[], float] = time.time
    told: Callable[[RunResult], None] | None = None
    progress: Progress | None = None
    begun: Callable[[RunKind, str, Sequence[str]], None] | None = None
    live: Tell | None = None
    _records: list[RunRecord] = field(default_factory=list)
    _sets: dict[str | float, CalibrationSet | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.device = self.connection.device()
        self.graph = Graph(self.steps or default_steps(), self.device)

    # --- what the graph asks ------------------------------------------------------------------------------------

    def situation(self) -> CalibrationContext:
        """Return the active set, the records and events as they are now."""
        old, known = {record.run_id for record in self._records}, set[str]()
        for limit in (NEWEST, REMEMBERED) if old else (REMEMBERED,):
            new = self.connection.runs(limit=limit)
            known = {record.run_id for record in new}
            if known & old:
                break  # else there have been more since than were asked for
        self._records = [*new, *(record for record in self._records if record.run_id not in known)]
        calibration = self.connection.calibration()
        unused = directions(self.device, calibration)
        return CalibrationContext(calibration, self._records, self.events(), self.clock(), unused, self._past)

    def _past(self, which: str | float) -> CalibrationSet | None:
        """Return a set of the past, by id or by the time at which it was active; the past does not change."""
        if which not in self._sets:
            self._sets[which] = self._asked(which)
        return self._sets[which]

    def _asked(self, which: str | float) -> CalibrationSet | None:
        try:
            if isinstance(which, str):
                return self.connection.calibration(which)
            return self.connection.calibration(time=which)
        except NotFoundError:  # pruned, or from before the first one here
            if isinstance(which, str):
                return None
        log = self.connection.calibration_log(REMEMBERED)
        return self.connection.calibration(log[-1].calibration_id) if log and log[-1].since > which else None

    def states(self) -> dict[Node, NodeStatus]:
        """Return the state of every node."""
        return states(self.graph, self.situation())

    def check(self, step: Step, targets: Sequence[str]) -> dict[str, CheckResult]:
        """Take a few points of each target and judge the active values.

        Raises :class:`PulsedError` when the rack or the daemon did not do its part: that says nothing about targets.
        """
        finished = self._run(step, targets, "check", {}, self._bench())
        _heard(finished)
        return {target: _judged(done.record) for target, done in finished.items()}

    def calibrate(self, step: Step, targets: Sequence[str], parameters: Mapping[str, object]) -> dict[str, CheckResult]:
        """Measure each target and commit what it gives. What replaces a value is verified by a check, or taken back.

        A target of which somebody else has changed a value in the meantime is measured again under the new set.

        Raises :class:`PulsedError` when the rack or the daemon did not do its part; what was good is committed then.
        """
        found: dict[str, CheckResult] = {}
        left = list(targets)
        for _ in range(TRIES):
            executor = self._bench()
            finished, transaction = commit_and_verify(
                find_routine(step.routine), self._run(step, left, "calibrate", parameters, executor), executor,
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
        """Mark a target as faulty in the active set."""
        self._faults({target: why}, {})

    # --- how ----------------------------------------------------------------------------------------------------

    def _refined(self, step: Step) -> set[str]:
        """Return the values of a rough routine that finer ones below it measure again after it."""
        nodes = [Node(step.routine, target) for target in step.targets(self.device)]
        below = {one.routine for node in nodes for one in self.graph.below(node) if one.target == node.target}
        return {name for routine in below for name in self.graph.steps[routine].gives} if step.rough else set()

    def _bench(self) -> Executor:
        return Executor(self.connection, progress=self.progress)

    def _run(
        self, step: Step, targets: Sequence[str], kind: RunKind, parameters: Mapping[str, object], executor: Executor
    ) -> dict[str, RunResult]:
        routine = find_routine(step.routine)(**parameters)
        if self.begun is not None:
            self.begun(kind, step.routine, targets)
        return run(routine, targets, executor, folder=self.folder, kind=kind, tell=self.told, by=self.by,
                   live=self.live)  # fmt: skip

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


def _judged(record: RunRecord) -> CheckResult:
    if record.outcome == "good":
        return CheckResult("in spec", "", record.values)
    return CheckResult("out of spec" if record.outcome == "out of spec" else "bad data", record.reason)


def _heard(finished: Mapping[str, RunResult]) -> None:
    """Raise what the rack or the daemon did wrong."""
    for done in finished.values():
        if done.error is not None:
            raise done.error


def maintain(
    session: CalibrationSession, targets: Sequence[str] = (), *, again: bool = False, tell: OnAction | None = None
) -> list[Action]:
    """Bring targets, by default all, up to date; return what was done.

    First whatever is about qubits and lines alone; then pairs whose frequencies collide are marked faulty, with the
    collision named, and the others follow.
    """
    graph = session.graph
    nodes = graph.needed(targets) if targets else graph.nodes
    walk = Pass(graph, session, tell, again)
    single = [node for node in nodes if graph.step(node).subject in ("port", "qubit")]
    walk.update(single)
    if len(single) < len(nodes):
        calibration = session.connection.calibration()
        found = collisions(session.device, calibration)
        new = {pair: why for pair, why in found.items() if pair not in calibration.faults}
        gone = [pair for pair, fault in calibration.faults.items() if _moved_apart(pair, fault, found)]
        if new or gone:
            session._faults(new, gone)
        walk.update(nodes)
    return walk.actions


def _moved_apart(pair: str, fault: Fault, found: Mapping[str, str]) -> bool:
    return fault.why.startswith("collision: ") and pair not in found


def bringup(session: CalibrationSession, targets: Sequence[str] = (), *, tell: OnAction | None = None) -> list[Action]:
    """Tune up from whatever is there, a design sheet at worst, trying again what failed before.

    Started again after a stop it goes on where it was. What a routine called faulty has another chance; what a person
    did stays out.
    """
    marked = session.connection.calibration().faults
    session.unfault(
        subject for subject, fault in marked.items()
        if fault.why.partition(": ")[0] in session.graph.steps and (not targets or subject in targets)
    )  # fmt: skip
    return maintain(session, targets, again=True, tell=tell)


def diagnose(
    session: CalibrationSession, target: str, routine: str | None = None, *, tell: OnAction | None = None
) -> list[Action]:
    """Find what is wrong with a target, of one routine or of all it has, mend it and what depends on it.

    What failed before is tried once more. Raises :class:`InvalidValueError` when nothing can be looked at.
    """
    nodes = [node for node in session.graph.nodes if node.target == target and routine in (None, node.routine)]
    if not nodes:
        there = [node for node in session.graph.nodes if node.target == target]
        if there:
            legal = ", ".join(node.routine for node in there)
            raise InvalidValueError("no such routine of this target", subject=target, value=str(routine), legal=legal)
        legal = ", ".join(dict.fromkeys(node.target for node in session.graph.nodes))
        raise InvalidValueError("nothing to diagnose", subject="target", value=target, legal=legal)
    now = session.states()
    chosen = [node for node in nodes if now[node].status == "failed"]
    chosen += [node for node in nodes if not any(child in nodes for child in session.graph.children(node))]
    done = Pass(session.graph, session, tell, again=True).mend(chosen)
    if not done:
        why = "; ".join(dict.fromkeys(f"{now[node].status}: {now[node].why}" for node in chosen))
        raise InvalidValueError("nothing of it can be looked at as it stands", subject=target, value=why,
                                legal="a target that is in use and has been brought up")  # fmt: skip
    return done
