"""What a client asks of calibration sets and of records of measurements."""

from __future__ import annotations

from pulsed.client.calls import Calls
from pulsed.client.replies import only_part
from pulsed.model.calibration import CalibrationSet, LogEntry, PastValue, Pruned, RunRecord, from_json
from pulsed.model.errors import NotFoundError
from pulsed.wire.messages import (
    CalibrationLogReply,
    CalibrationReply,
    CommitCalibration,
    DoneReply,
    GetCalibration,
    GetCalibrationLog,
    GetRuns,
    GetValueHistory,
    Prune,
    PruneReply,
    PutCalibration,
    PutRun,
    RunsReply,
    TagCalibration,
    ValueHistoryReply,
)

_LOOKED_THROUGH = 1000


class CalibrationCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about calibrations."""

    def calibration(
        self, calibration_id: str | None = None, *, time: float | None = None, tag: str | None = None
    ) -> CalibrationSet:
        """Return the active calibration set, that of an id or a tag, or the one active at ``time`` (Unix time, s)."""
        reply, parts = self._call(CalibrationReply, GetCalibration, calibration_id=calibration_id, time=time, tag=tag)
        return from_json(bytes(only_part(parts)), reply.calibration_id).known_as(reply.calibration_id)

    def put_calibration(self, calibration: CalibrationSet) -> str:
        """Store a set, which does not become active by that; jobs may name it. Returns its id."""
        return self._call(CalibrationReply, PutCalibration, [calibration.to_json()])[0].calibration_id

    def commit_calibration(self, calibration_id: str, expected: str, why: str = "") -> None:
        """Make a stored set the active one, provided that ``expected`` is active.

        Raises :class:`ConflictError` when another one became active in the meantime; it names what that changed.
        """
        self._ask(DoneReply, CommitCalibration, calibration_id=calibration_id, expected=expected, why=why)

    def calibration_log(self, limit: int = 100, name: str | None = None) -> list[LogEntry]:
        """Return the sets that became active, the newest first, or those that changed the value ``name``."""
        return list(self._ask(CalibrationLogReply, GetCalibrationLog, limit=limit, name=name).entries)

    def tag_calibration(self, calibration_id: str, tag: str, *, move: bool = False) -> None:
        """Give a stored set a name. Raises :class:`ConflictError` for one that is taken, unless ``move`` takes it."""
        self._ask(DoneReply, TagCalibration, calibration_id=calibration_id, name=tag, move=move)

    def value_history(self, name: str, limit: int = 100) -> list[PastValue]:
        """Return the values that ``name`` has had, the newest first, each with the time and set it came with."""
        return list(self._ask(ValueHistoryReply, GetValueHistory, name=name, limit=limit).values)

    def put_run(self, run: RunRecord) -> None:
        """Keep the record of a measurement, in place of an older one with its id."""
        self._ask(DoneReply, PutRun, run=run)

    def runs(self, routine: str | None = None, target: str | None = None, limit: int = 100) -> list[RunRecord]:
        """Return the newest records of measurements first that fit every filter given."""
        return list(self._ask(RunsReply, GetRuns, routine=routine, target=target, limit=limit).runs)

    def run_record(self, run_id: str) -> RunRecord:
        """Return the record of one measurement. Raises :class:`NotFoundError`."""
        found = self._ask(RunsReply, GetRuns, run_id=run_id, limit=_LOOKED_THROUGH).runs
        for record in found:  # an older daemon answers the newest, of which it may be one
            if record.run_id == run_id:
                return record
        raise NotFoundError("no such run", value=run_id, legal="`pulsed cal runs` lists them")

    def prune(
        self, before: float, *, dry: bool = False, results: float | None = None, jobs: float | None = None
    ) -> Pruned:
        """Forget records and sets older than ``before`` that nothing refers to; the right of an admin.

        Of jobs that have ended, unless a tag keeps them, programs and results from before ``results`` are deleted, and
        all that is known of those from before ``jobs``. Times are Unix times. With ``dry`` nothing is done, and what
        would be is returned. The files of the records are left alone.
        """
        return self._ask(PruneReply, Prune, before=before, dry=dry, results_before=results, jobs_before=jobs).pruned
