"""What becomes of the values of runs: brought into force, verified where they replace others, put into the records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from pulsed.calibration.executor import Executor
from pulsed.calibration.routine import Routine
from pulsed.calibration.runner import Finished, Tell, run
from pulsed.calibration.transaction import Transaction, commit
from pulsed.model.calibration import CalibrationSet, RunOutcome

_CHECKS = 2
"""Of a target before its values go back: where everything is right, a fit in some hundreds is refused by chance."""


def settle(
    routine: type[Routine], finished: Mapping[str, Finished], bench: Executor, *, folder: Path,
    tell: Tell | None = None, by: str = "", passing: Collection[str] = (),
) -> tuple[dict[str, Finished], Transaction | None]:  # fmt: skip
    """Commit what runs of one routine found, and return the runs with what became of them, and the transaction.

    Targets of which a value was replaced that is not of the design sheet, and that a check judges, are checked under
    the new set, all at once; what neither the check nor another one finds in spec goes back. A record gets the set that
    it led to, or the reason why its values are not in force. It says "stopped" where somebody else has changed one of
    its values in the meantime.

    Args:
        routine: of the runs; it is checked with its own parameters.
        finished: by target.
        bench: that the runs were played on, under the set that they were played under.
        folder: for the files of the checks.
        tell: called with each check.
        by: who runs it.
        passing: names without subject of values that need no check, because something finer measures them next.

    Raises:
        ConflictError: a cooldown has begun since.
        PulsedError: what the rack did wrong during the check; everything has gone back.

    """
    values = {name: value for done in finished.values() if done.good for name, value in done.values.items()}
    if not values:
        return dict(finished), None
    known = bench.calibration.values
    judged = (set(routine.tolerances) or set(routine.gives)) - set(passing)
    replaced = {
        name for name in values
        if name in known and known[name].quality != "design" and name.partition(".")[2] in judged
    }  # fmt: skip

    def verify(calibration: CalibrationSet) -> dict[str, str]:
        there = {name for name in replaced if calibration.values.get(name) == values[name]}
        left = [target for target, done in finished.items() if there & done.values.keys()]
        under, checks = bench.on(calibration), dict[str, Finished]()
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

    why = f"{routine.name} of {', '.join(target for target, done in finished.items() if done.good)}"
    checked = verify if replaced and routine.checkable() else None
    transaction = commit(bench.connection, values, why, base=bench.calibration, verify=checked)
    return {target: _settled(done, transaction, bench) for target, done in finished.items()}, transaction


def _settled(done: Finished, transaction: Transaction, bench: Executor) -> Finished:
    if not done.good or not done.values:
        return done
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
    bench.connection.put_run(record)
    return replace(done, record=record)


def _owns(done: Finished, subject: str) -> bool:
    return done.record.target == subject or any(_subject(name) == subject for name in done.values)


def _subject(name: str) -> str:
    return name.partition(".")[0]
