"""Requests about calibration sets and records of measurements."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer, check_limit
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.daemon.retention import prune as prune_jobs
from pulsed.model.calibration import CalibrationSet, from_json
from pulsed.model.errors import InvalidValueError, NotFoundError, ProtocolError
from pulsed.model.payload import Part
from pulsed.store.store import Store
from pulsed.wire import messages as m

_MAX_NAME = 255
_MAX_WHY = 4096
_YOUNGEST = 3600.0
"""Seconds: younger sets and records are not forgotten."""


class CalibrationHandlers:
    """One handler per request; a set that was committed is made active with ``jobs``."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.handlers: dict[type[m.AnyRequest], Handler] = {
            m.GetCalibration: self._get,
            m.PutCalibration: self._put,
            m.CommitCalibration: self._commit,
            m.TagCalibration: self._tag,
            m.GetCalibrationLog: self._log,
            m.GetValueHistory: self._history,
            m.PutRun: self._put_run,
            m.GetRuns: self._runs,
            m.Prune: self._prune,
        }

    def _get(
        self, message: m.GetCalibration, _parts: Sequence[Part], _peer: Peer
    ) -> HandlerReply | Awaitable[HandlerReply]:
        current = self.jobs.calibrations.active
        asked = [one for one in (message.calibration_id, message.time, message.tag) if one is not None]
        if len(asked) > 1:
            raise InvalidValueError(
                "more than one name of a set", subject="calibration", legal="an id, a time or a tag"
            )
        if not asked or message.calibration_id == current.calibration_id:
            return _reply(message, current)
        return self._find(message)

    async def _find(self, message: m.GetCalibration) -> HandlerReply:
        call = self.jobs.store.call
        if message.tag is not None:
            return _reply(message, await call(Store.tagged_calibration, message.tag))
        if message.time is None:
            return _reply(message, await call(Store.calibration, str(message.calibration_id)))
        found = await call(Store.calibration_as_of, message.time)
        if found is None:
            asked = datetime.fromtimestamp(message.time, UTC).isoformat(timespec="seconds")
            raise NotFoundError("no calibration set was active yet", subject="time", value=asked)
        return _reply(message, found)

    async def _put(self, message: m.PutCalibration, parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        if len(parts) != 1:
            raise ProtocolError("a calibration set is one part", value=len(parts), legal="1")
        calibration = from_json(bytes(parts[0]))
        self._check(calibration)
        await self.jobs.calibrations.basis.check(calibration)
        stored = await self.jobs.store.call(Store.put_calibration, calibration, time.time())
        return m.CalibrationReply(message.id, stored), ()

    def _check(self, calibration: CalibrationSet) -> None:
        rack = self.jobs.device.name
        if calibration.device != rack:
            raise InvalidValueError(
                "the set is that of another rack", subject="calibration set", value=calibration.device, legal=rack
            )
        for name in (*calibration.values, *calibration.faults):
            _check_text("calibration set", name)

    async def _commit(self, message: m.CommitCalibration, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        if len(message.why) > _MAX_WHY:
            raise InvalidValueError("the reason is too long", subject="why", legal=f"{_MAX_WHY} letters")
        await self.jobs.commit_calibration(message.calibration_id, message.expected, peer.named, message.why)
        logs.get("calibration").info("committed", id=message.calibration_id, user=peer.named, why=message.why)
        return m.DoneReply(message.id), ()

    async def _tag(self, message: m.TagCalibration, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        _check_text("tag", message.name)
        store = self.jobs.store
        await store.call(Store.tag_calibration, message.calibration_id, message.name, move=message.move)
        return m.DoneReply(message.id), ()

    async def _log(self, message: m.GetCalibrationLog, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        store = self.jobs.store
        found = await store.call(Store.calibration_log, message.limit, message.name)
        return m.CalibrationLogReply(message.id, tuple(found)), ()

    async def _history(self, message: m.GetValueHistory, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        store = self.jobs.store
        found = await store.call(Store.value_history, message.name, message.limit)
        return m.ValueHistoryReply(message.id, tuple(found)), ()

    async def _put_run(self, message: m.PutRun, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        record = msgspec.structs.replace(message.run, by=peer.named)
        for what, text in (("run_id", record.run_id), ("routine", record.routine), ("target", record.target)):
            _check_text(what, text, 64 if what == "run_id" else _MAX_NAME)
        store = self.jobs.store
        await store.call(Store.put_run, record)
        return m.DoneReply(message.id), ()

    async def _runs(self, message: m.GetRuns, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        store = self.jobs.store
        found = await store.call(Store.runs, message.routine, message.target, message.limit, message.run_id)
        return m.RunsReply(message.id, tuple(found)), ()

    async def _prune(self, message: m.Prune, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        latest = time.time() - _YOUNGEST
        asked = {"before": message.before, "results": message.results_before, "jobs": message.jobs_before}
        for subject, before in asked.items():
            if before is not None and not before <= latest:
                raise InvalidValueError(
                    "too young to be forgotten: somebody may be about to use it", subject=subject, value=before,
                    legal=f"at most {latest:.0f}, {_YOUNGEST / 3600:g} h ago",
                )  # fmt: skip
        store, keep = self.jobs.store, self.jobs.device.retention.keep
        results, jobs = (-math.inf if b is None else b for b in (message.results_before, message.jobs_before))
        ended = await prune_jobs(store, results=results, jobs=jobs, keep=keep, dry=message.dry)
        pruned = msgspec.structs.replace(await store.call(Store.prune, message.before, dry=message.dry), ended=ended)
        logs.get("calibration").info(
            "pruned", runs=pruned.runs, sets=pruned.sets, jobs=ended.jobs, results=ended.results, dry=message.dry,
            user=peer.user,
        )  # fmt: skip
        return m.PruneReply(message.id, pruned), ()


def _reply(message: m.GetCalibration, found: CalibrationSet) -> HandlerReply:
    return m.CalibrationReply(message.id, found.calibration_id), [found.to_json()]


def _check_text(subject: str, text: str, longest: int = _MAX_NAME) -> None:
    if not (0 < len(text) <= longest and text.isprintable()):
        raise InvalidValueError("not a name", subject=subject, value=text[:longest], legal=f"1 to {longest} letters")
