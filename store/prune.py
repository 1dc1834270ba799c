"""What may be forgotten: old records of measurements and calibration sets that nothing refers to any more.

Functions on one connection, within the transaction that the caller has opened. Kept are, however old: every set that
was ever active, is tagged, has a note, or is named by a job or by a record that is kept, with all its parents; every
record that has a note, or that a value of a kept set came from; and the newest of each routine, target, kind and
outcome, which is what the graph knows the rack by.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import Connection, Table, delete, select

from pulsed.model.calibration import Pruned, RunRecord
from pulsed.store.calibrations import read_value
from pulsed.store.tables import (
    calibration_change,
    calibration_current,
    calibration_set,
    calibration_tag,
    job,
    note,
    run,
)

_AT_ONCE = 500
"""Rows of one statement: databases bound the number of parameters."""


class _Options(msgspec.Struct):
    calibration_id: str | None = None


class _NamedSets(msgspec.Struct):
    """Of a job, which sets it names."""

    calibration_id: str = ""
    options: _Options = msgspec.field(default_factory=_Options)


_read_job = msgspec.msgpack.Decoder(_NamedSets).decode
_read_run = msgspec.msgpack.Decoder(RunRecord).decode


def prune(connection: Connection, rack: str, before: float, *, dry: bool) -> Pruned:
    """Delete what nothing refers to and is older than ``before`` (Unix time); with ``dry`` only say what that is.

    The age of a record is that of its end, the age of a set that of its storing. Returns how much was deleted, and
    the data files that the deleted records named.
    """
    records = _records(connection, rack)
    noted = set(connection.execute(select(note.c.about).where(note.c.rack == rack)).scalars())
    old = {number for number in _old(records, before) if records[number].run_id not in noted}
    sets = _Sets(connection, rack, before, noted)
    # A record that stays keeps the sets it names, and a set that stays the records of its values: until nothing moves.
    kept_runs = records.keys() - old
    while True:
        kept_sets = sets.kept(
            {name for number in kept_runs for name in (records[number].before, records[number].after)}
        )
        named = sets.runs_of(kept_sets)
        more = {number for number in old if number not in kept_runs and records[number].run_id in named}
        if not more:
            break
        kept_runs = kept_runs | more
    gone_runs, gone_sets = records.keys() - kept_runs, sets.parents.keys() - kept_sets
    files = sorted({records[number].file for number in gone_runs if records[number].file})
    files = [name for name in files if name not in {records[number].file for number in kept_runs}]
    if not dry:
        _delete(connection, run, rack, gone_runs)
        _delete(connection, calibration_change, rack, gone_sets)
        _delete(connection, calibration_set, rack, gone_sets)
    return Pruned(len(gone_runs), len(gone_sets), tuple(files))


def _records(connection: Connection, rack: str) -> dict[int, RunRecord]:
    rows = connection.execute(select(run.c.number, run.c.record).where(run.c.rack == rack))
    return {number: _read_run(record) for number, record in rows}


def _old(records: Mapping[int, RunRecord], before: float) -> set[int]:
    """Return the records that are old enough, without the newest of each routine, target, kind and outcome."""
    newest = {(r.routine, r.target, r.kind, r.outcome): number for number, r in sorted(records.items())}
    return {number for number, r in records.items() if r.ended < before} - set(newest.values())


class _Sets:
    """The sets of a rack by number, and what refers to them; ``noted``: ids of which somebody wrote something down."""

    def __init__(self, connection: Connection, rack: str, before: float, noted: Iterable[str]) -> None:
        c = calibration_set.c
        rows = connection.execute(select(c.number, c.calibration_id, c.parent, c.stored).where(c.rack == rack)).all()
        self.parents: dict[int, int | None] = {row.number: row.parent for row in rows}
        self._numbers = {row.calibration_id: row.number for row in rows}
        self._roots = {row.number for row in rows if row.stored >= before} | self._known(noted)
        for table in (calibration_current, calibration_tag):
            self._roots |= set(connection.execute(select(table.c.calibration).where(table.c.rack == rack)).scalars())
        for info in connection.execute(select(job.c.info).where(job.c.rack == rack)).scalars():
            named = _read_job(info)
            self._roots |= self._known((named.calibration_id, named.options.calibration_id))
        self._runs: dict[int, set[str]] = {}
        changes = calibration_change.c
        for number, value in connection.execute(select(changes.number, changes.value).where(changes.rack == rack)):
            if value is not None and (run_id := read_value(value).run_id):
                self._runs.setdefault(number, set()).add(run_id)

    def _known(self, names: Iterable[str | None]) -> set[int]:
        return {self._numbers[name] for name in names if name in self._numbers}

    def kept(self, named: Iterable[str]) -> set[int]:
        """Return the sets that stay when those ``named`` do, parents included."""
        found: set[int] = set()
        for start in self._roots | self._known(named):
            number: int | None = start
            while number is not None and number not in found and number in self.parents:
                found.add(number)
                number = self.parents[number]
        return found

    def runs_of(self, sets: Iterable[int]) -> set[str]:
        """Return the ids of the records that values of these sets came from."""
        return set().union(*(self._runs.get(number, set()) for number in sets))


def _delete(connection: Connection, table: Table, rack: str, numbers: Iterable[int]) -> None:
    rest = sorted(numbers)
    for first in range(0, len(rest), _AT_ONCE):
        some = rest[first : first + _AT_ONCE]
        connection.execute(delete(table).where(table.c.rack == rack, table.c.number.in_(some)))
