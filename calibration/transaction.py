"""From proposed values to a set in force: propose, validate, commit, verify, roll back."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np

from pulsed.calibration.executor import Connection
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ConflictError

Verify = Callable[[CalibrationSet], Mapping[str, str]]
"""Measures quickly under the new set; returns the subjects that are not in spec, with the reason."""


@dataclass(frozen=True)
class Limit:
    """Between what a value may lie, and how far it may be from a good one before it: the larger of both jumps."""

    low: float
    high: float
    jump: float = np.inf
    relative: float = np.inf

    def allowed(self, old: float) -> float:
        """Return the largest step from ``old``; infinite when neither jump is given."""
        given = [step for step in (self.jump, self.relative * abs(old)) if np.isfinite(step)]
        return max(given, default=np.inf)


LIMITS: dict[str, Limit] = {
    "Q*.f01": Limit(1e9, 20e9, jump=5e6),
    "Q*.anharmonicity": Limit(-1e9, 1e9, jump=5e6),
    "Q*.readout.frequency": Limit(1e9, 20e9, jump=5e6),
    "Q*.readout.amplitude": Limit(0, 1),
    "Q*.readout.p01": Limit(0, 0.5),
    "Q*.readout.p10": Limit(0, 0.5),
    "Q*.readout.error": Limit(0, 0.5),
    "*.x.amplitude": Limit(0, 1, relative=0.3),
    "*.sx.amplitude": Limit(0, 1, relative=0.3),
    "*.x.beta": Limit(-50, 50),
    "*.sx.beta": Limit(-50, 50),
    "*.error": Limit(0, 1),
    "*.amplitude": Limit(0, 1),
    "*.angle": Limit(-7, 7),
    "*.t1": Limit(0, 1),
    "*.t2": Limit(0, 1),
    "*.t2star": Limit(0, 1),
    "*.thermal": Limit(0, 0.5),
    "*.delay": Limit(0, 1e5),
}
"""The first pattern that fits a name counts. A value that no pattern fits must be finite, and that is all."""


@dataclass(frozen=True)
class Transaction:
    """What came of proposed values. ``calibration`` is the set in force afterwards."""

    calibration: CalibrationSet
    written: dict[str, Value] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """By name: why it was not written."""
    rolled_back: dict[str, str] = field(default_factory=dict)
    """By subject: why its values were taken back."""


def refusal(name: str, new: Value, calibration: CalibrationSet) -> str:
    """Return why a value may not be written, or nothing. Jumps are judged against a good value of the same cooldown."""
    numbers = np.atleast_1d(np.asarray([*np.atleast_1d(new.value), new.stderr or 0.0], dtype=float))
    if not np.all(np.isfinite(numbers)):
        return "it, or its standard error, is not a number"
    limit = next((limit for pattern, limit in LIMITS.items() if fnmatch.fnmatchcase(name, pattern)), None)
    if limit is None or isinstance(new.value, tuple):
        return ""
    if not limit.low <= new.value <= limit.high:
        return f"{new.value:.7g} {new.unit} is outside {limit.low:g} to {limit.high:g}"
    old = calibration.values.get(name)
    if old is not None and old.quality == "good" and not isinstance(old.value, tuple):
        step = limit.allowed(old.value) + 3 * np.hypot(new.stderr or 0.0, old.stderr or 0.0)
        if abs(new.value - old.value) > step:
            return f"{new.value:.7g} {new.unit} is too far from {old.value:.7g}: the largest step is {step:.3g}"
    return ""


def validate(values: Mapping[str, Value], calibration: CalibrationSet) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the values that may be written, and why the others may not: all of a run or none.

    Values of one run stand or fall together, because a pulse's amplitude without its frequency is of no use.
    """
    reasons = {name: why for name, value in values.items() if (why := refusal(name, value, calibration))}
    bad_runs = {values[name].run_id for name in reasons if values[name].run_id}
    good, refused = {}, dict(reasons)
    for name, value in values.items():
        if name in reasons:
            continue
        if value.run_id in bad_runs:
            refused[name] = "another value of the same run was refused"
        else:
            good[name] = value
    return good, refused


def commit(
    connection: Connection, values: Mapping[str, Value], why: str, *, verify: Verify | None = None
) -> Transaction:
    """Bring ``values`` into force as far as they are valid, over whatever is in force now.

    Another operator's commit in between is taken along unless it changed one of the same names. ``verify`` measures
    under the new set; what it finds out of spec goes back to what it was, and only that.

    Raises:
        ConflictError: somebody else has changed one of these values in the meantime.

    """
    before = connection.calibration()
    good, refused = validate(values, before)
    if not good:
        return Transaction(before, {}, refused)
    after = _commit(connection, before, lambda base: base.with_values(good, _now()), good, why)
    if verify is None:
        return Transaction(after, good, refused)
    failed = verify(after)
    back = {name for name in good if _subject(name) in failed}
    if not back:
        return Transaction(after, good, refused)
    reasons = {subject: failed[subject] for subject in sorted({_subject(name) for name in back})}
    now = _commit(
        connection,
        after,
        lambda base: restored(base, before, back),
        back,
        f"rolled back: {'; '.join(reasons.values())}",
    )
    return Transaction(now, {n: v for n, v in good.items() if n not in back}, refused, reasons)


def restored(calibration: CalibrationSet, old: CalibrationSet, names: Iterable[str]) -> CalibrationSet:
    """Return the child of ``calibration`` in which ``names`` are as in ``old``, or gone when it has none."""
    back = set(names)
    kept = {name: value for name, value in calibration.values.items() if name not in back}
    kept |= {name: old.values[name] for name in back if name in old.values}
    return msgspec.structs.replace(calibration, values=kept, parent=calibration.calibration_id, created=_now())


def _commit(
    connection: Connection,
    base: CalibrationSet,
    change: Callable[[CalibrationSet], CalibrationSet],
    names: Iterable[str],
    why: str,
) -> CalibrationSet:
    ours = set(names)
    while True:
        candidate = change(base)
        connection.put_calibration(candidate)
        try:
            connection.commit_calibration(candidate.calibration_id, base.calibration_id, why)
        except ConflictError:
            now = connection.calibration()
            if ours & set(base.changed(now)) or now.calibration_id == base.calibration_id:
                raise
            base = now
            continue
        return candidate


def _subject(name: str) -> str:
    return name.partition(".")[0]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
