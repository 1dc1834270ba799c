"""From proposed values to an active set: propose, validate, commit, verify, roll back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import numpy as np

from pulsed import old_names
from pulsed.calibration.executor import Connection
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ConflictError, PulsedError
from pulsed.model.parameters import row_of

__getattr__ = old_names(__name__)

Verify = Callable[[CalibrationSet], Mapping[str, str]]
"""Measures quickly under the new set; returns the subjects that are not in spec, with the reason."""


@dataclass(frozen=True)
class Transaction:
    """What came of proposed values. ``calibration`` is the active set afterwards."""

    calibration: CalibrationSet
    written: dict[str, Value] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """By name: why it was not written."""
    conflicts: frozenset[str] = frozenset()
    """Names among the refused that somebody else has changed since they were measured, and what came with them."""
    rolled_back: dict[str, str] = field(default_factory=dict)
    """By subject: why its values were taken back."""


def refusal(name: str, new: Value, calibration: CalibrationSet) -> str:
    """Return why a value may not be written, or nothing. Jumps are judged against a good value of the same cooldown."""
    numbers = np.atleast_1d(np.asarray([*np.atleast_1d(new.value), new.stderr or 0.0], dtype=float))
    if not np.all(np.isfinite(numbers)):
        return "it, or its standard error, is not a number"
    row = row_of(name)
    if row is None or isinstance(new.value, tuple):
        return ""
    limit = row.limit
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
    known = _same_turns(values, calibration)
    return _sorted_out(values, {n: why for n, value in values.items() if (why := refusal(n, value, known))})


def _same_turns(values: Mapping[str, Value], calibration: CalibrationSet) -> CalibrationSet:
    """Return the set with the amplitude of each pulse whose length is to change such that it would turn as far."""
    scaled = {}
    for name, new in values.items():
        pulse, _, parameter = name.rpartition(".")
        amplitude = f"{pulse}.amplitude"
        if parameter == "duration" and calibration.has(name, amplitude) and isinstance(new.value, float) and new.value:
            turns = calibration.number(amplitude) * calibration.number(name)
            scaled[amplitude] = msgspec.structs.replace(calibration.values[amplitude], value=turns / new.value)
    return msgspec.structs.replace(calibration, values={**calibration.values, **scaled})


def _sorted_out(
    values: Mapping[str, Value], reasons: Mapping[str, str], also: str = "another value of the same run was refused"
) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the values of runs without a reason against any of them, and the reason against each of the others."""
    bad_runs = {values[name].run_id for name in reasons if values[name].run_id}
    refused = {name: reasons.get(name, also) for name, v in values.items() if name in reasons or v.run_id in bad_runs}
    return {name: value for name, value in values.items() if name not in refused}, refused


def commit(
    connection: Connection, values: Mapping[str, Value], why: str, *, base: CalibrationSet | None = None,
    verify: Verify | None = None,
) -> Transaction:  # fmt: skip
    """Make ``values`` active as far as they are valid, over whatever is active now.

    Another operator's commit since they were measured is taken along; a run of which somebody else has changed a value
    is refused. ``verify`` measures under the new set; what it finds out of spec goes back to what it was, and only
    that. When it does not come to its end, everything goes back.

    Args:
        connection: with an operator's key.
        values: by full name.
        why: for the log.
        base: the set that they were measured under; None for the active one.
        verify: measures under the new set.

    Raises:
        ConflictError: a cooldown has begun since they were measured.

    """
    base = connection.calibration() if base is None else base
    while True:
        before = connection.calibration()
        _same_cooldown(base, before)
        theirs = set(base.changed(before))
        kept, refused = _sorted_out(values, {name: _THEIRS for name in values if name in theirs}, _WITH_THEIRS)
        conflicts = frozenset(refused)
        good, invalid = validate(kept, before)
        refused |= invalid
        if not good:
            return Transaction(before, {}, refused, conflicts)
        after = before.with_values(good, _now())
        if committed(connection, before, after, why):
            break
    if verify is None:
        return Transaction(after, good, refused, conflicts)
    try:
        failed = verify(after)
    except BaseException as stopped:
        try:
            _take_back(connection, before, after, set(good), "rolled back: the check after it did not come to its end")
        except PulsedError as error:
            stopped.add_note(f"what was not checked is active: {error}")
        raise
    runs = {value.run_id for name, value in good.items() if _subject(name) in failed} - {""}
    back = {name for name, value in good.items() if _subject(name) in failed or value.run_id in runs}
    if not back:
        return Transaction(after, good, refused, conflicts)
    reasons = dict(sorted(failed.items()))
    now = _take_back(connection, before, after, back, f"rolled back: {'; '.join(reasons.values())}")
    return Transaction(now, {n: v for n, v in good.items() if n not in back}, refused, conflicts, reasons)


_THEIRS = "somebody else has changed it since it was measured"
_WITH_THEIRS = "somebody else has changed another value of the same run since it was measured"


def _same_cooldown(base: CalibrationSet, now: CalibrationSet) -> None:
    if base.cooldown != now.cooldown:
        raise ConflictError(
            "a cooldown has begun since this was measured: its values are not written", subject="calibration set",
            value=now.cooldown or "none", legal=f"values of cooldown {now.cooldown or 'none'}",
        )  # fmt: skip


def restored(calibration: CalibrationSet, old: CalibrationSet, names: Iterable[str]) -> CalibrationSet:
    """Return the child of ``calibration`` in which ``names`` are as in ``old``, or gone when it has none."""
    back = set(names)
    kept = {name: value for name, value in calibration.values.items() if name not in back}
    kept |= {name: old.values[name] for name in back if name in old.values}
    return msgspec.structs.replace(calibration, values=kept, parent=calibration.calibration_id, created=_now())


def _take_back(
    connection: Connection, before: CalibrationSet, after: CalibrationSet, names: set[str], why: str
) -> CalibrationSet:
    """Let ``names`` be as they were ``before``, but for what somebody else has written over since; return the set."""
    while True:
        now = connection.calibration()
        ours = {name for name in names if now.values.get(name) == after.values[name]}
        if not ours:
            return now
        candidate = restored(now, before, ours)
        if committed(connection, now, candidate, why):
            return candidate


def committed(connection: Connection, base: CalibrationSet, candidate: CalibrationSet, why: str) -> bool:
    """Make a candidate active in place of ``base``; return False when another set is active by now.

    Raises :class:`ConflictError` when it is refused although ``base`` still is.
    """
    connection.put_calibration(candidate)
    try:
        connection.commit_calibration(candidate.calibration_id, base.calibration_id, why)
    except ConflictError:
        if connection.calibration().calibration_id == base.calibration_id:
            raise
        return False
    return True


def _subject(name: str) -> str:
    return name.partition(".")[0]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
