"""What becomes of the values of runs: made active, verified where they replace others, put into the records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from pulsed import old_names
from pulsed.calibration.executor import Executor
from pulsed.calibration.graph.precedence import LEFT, bound
from pulsed.calibration.routine import Routine
from pulsed.calibration.runner.result import RunResult, RunResults
from pulsed.calibration.runner.runner import OnResult, run
from pulsed.calibration.runner.transaction import Transaction, commit
from pulsed.model.calibration import CalibrationSet, RunOutcome, Value

__getattr__ = old_names(__name__)

_CHECKS = 2
"""Of a target before its values go back: where everything is right, a fit in some hundreds is refused by chance."""


def commit_and_verify(
    routine: type[Routine], finished: Mapping[str, RunResult], executor: Executor, *, folder: Path,
    tell: OnResult | None = None, by: str = "", passing: Collection[str] = (), keep: Mapping[str, str] | None = None,
) -> tuple[RunResults, Transaction | None]:  # fmt: skip
    """Commit what runs of one routine found, and return the runs with what became of them, and the transaction.

    Targets of which a value was replaced that is not of the design sheet, and that a check judges, are checked under
    the new set, all at once; what neither the check nor another one finds in spec goes back. A record gets the set that
    it led to, or the reason why its values are not active. It says "stopped" where somebody else has changed one of
    its values in the meantime.

    Args:
        routine: of the runs; it is checked with its own parameters.
        finished: by target.
        executor: that the runs were played on, under the set that they were played under.
        folder: for the files of the checks.
        tell: called with each check.
        by: who runs it.
        passing: names without subject of values that need no check, because something finer measures them next.
        keep: full names of values that stay as they are, and why. What a run found of the same gate stays with them,
            and its reason names all of these; what else it found becomes active. It stays good.

    Raises:
        ConflictError: a cooldown has begun since.
        PulsedError: what the rack did wrong during the check; everything has gone back.

    """
    keep = dict(keep or {})
    finished = RunResults({target: _left(done, keep, executor) for target, done in finished.items()})
    wanted = [done for done in finished.values() if done.good and _new(done, keep)]
    values = {name: value for done in wanted for name, value in _new(done, keep).items()}
    if not values:
        return finished, None
    known = executor.calibration.values
    judged = (set(routine.tolerances) or set(routine.gives)) - set(passing)
    replaced = {
        name for name in values
        if name in known and known[name].quality != "design" and name.partition(".")[2] in judged
    }  # fmt: skip

    def verify(calibration: CalibrationSet) -> dict[str, str]:
        there = {name for name in replaced if calibration.values.get(name) == values[name]}
        left = [target for target, done in finished.items() if there & done.values.keys()]
        under, checks = executor.on(calibration), dict[str, RunResult]()
        for _ in range(_CHECKS):
            checks |= run(routine(), left, under, folder=folder, kind="check", tell=tell, by=by)
            for done in checks.values():
                if done.error is not None:
                    raise done.error
            left = [target for target in left if not checks[target].good]
        return {
            subject: done.record.reason or done.record.outcome
            for target, done in checks.items() if not done.good
            for subject in (target, *map(_subject, finished[target].values))
        }  # fmt: skip

    why = f"{routine.name} of {', '.join(done.record.target for done in wanted)}"
    checked = verify if replaced and routine.checkable() else None
    transaction = commit(executor.connection, values, why, base=executor.calibration, verify=checked)
    settled = {done.record.target: _settled(done, transaction, executor) for done in wanted if done.values}
    return RunResults(finished | settled), transaction


def _left(done: RunResult, keep: Mapping[str, str], executor: Executor) -> RunResult:
    """Return a run with the reason why not all that it found is active, when it found a value that is to be kept."""
    reasons: dict[str, list[str]] = {}
    for name in done.values if done.good else ():
        if name in keep:
            reasons.setdefault(keep[name], []).append(name)
    if not reasons:
        return done
    parts = [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {why}" for why, names in reasons.items()]
    if others := bound(done.values, keep):
        parts.append(f"{', '.join(others)} {'goes' if len(others) == 1 else 'go'} with what is kept")
    why = LEFT + "; ".join(parts)
    record = msgspec.structs.replace(done.record, reason=why)
    executor.connection.put_run(record)
    return replace(done, record=record)


def _new(done: RunResult, keep: Mapping[str, str]) -> dict[str, Value]:
    """Return what a run found but for what is to be kept, and what belongs to that."""
    stay = {*keep, *bound(done.values, keep)}
    return {name: value for name, value in done.values.items() if name not in stay}


def _settled(done: RunResult, transaction: Transaction, executor: Executor) -> RunResult:
    refused = {name: transaction.refused[name] for name in done.values if name in transaction.refused}
    lost = [why for subject, why in transaction.rolled_back.items() if _owns(done, subject)]
    if refused:
        outcome: RunOutcome = "stopped" if transaction.conflicts & done.values.keys() else "failed"
        why = "not written: " + "; ".join(f"{name}: {text}" for name, text in refused.items())
        record = msgspec.structs.replace(done.record, outcome=outcome, reason=why)
    elif lost:
        why = f"rolled back, the check after it failed: {lost[0]}"
        record = msgspec.structs.replace(done.record, outcome="failed", reason=why)
    else:
        record = msgspec.structs.replace(done.record, after=transaction.calibration.calibration_id)
    executor.connection.put_run(record)
    return replace(done, record=record)


def _owns(done: RunResult, subject: str) -> bool:
    return done.record.target == subject or any(_subject(name) == subject for name in done.values)


def _subject(name: str) -> str:
    return name.partition(".")[0]
