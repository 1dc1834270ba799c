"""What the daemon writes into the audit log: every request that changes something, and every refusal of a right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pulsed.daemon import logs
from pulsed.daemon.front.handlers import Peer
from pulsed.model.errors import StoreError
from pulsed.store.audit_log import MOST_TEXT, AuditLog, AuditRecord
from pulsed.wire import messages as m
from pulsed.wire.roles import changes_nothing

_SYNC = 0.5
"""Seconds after which what was written is on the disk."""
_AGAIN = 1.0
"""Seconds between two tries to write what could not be written."""
_WAITING = 1000
"""Records that wait for a log that cannot be written; of the others the first are kept."""
_OBJECTS = ("job_id", "session_id", "calibration_id", "run_id", "instrument", "name")
"""Fields of requests that say what they are about, the first that is there."""
_LONG = 500
"""Letters of a detail."""


class AuditTrail:
    """Writes the log of the daemon at ``home``. What cannot be written waits, and meanwhile nothing may be changed."""

    def __init__(self, home: Path) -> None:
        self.log = AuditLog(home / "audit")
        self.error: StoreError | None = None
        """Why it cannot be written."""
        self._waiting: list[AuditRecord] = []
        self._tried = 0.0

    def check(self, message: m.AnyRequest) -> None:
        """Raise :class:`StoreError` for a request that changes something, while the log cannot be written."""
        if self.error is not None and not changes_nothing(message):
            if time.monotonic() - self._tried > _AGAIN:
                self._write()
            if self.error is not None:
                raise self.error

    def done(self, message: m.AnyRequest, peer: Peer, reply: m.AnyReply) -> None:
        """Write what was asked and done."""
        if not changes_nothing(message):
            about, detail = about_request(message, reply)
            self._add(AuditRecord(
                peer.user, kind_of(message), "done", str(peer.role), peer.host, about, detail, person=peer.person
            ))  # fmt: skip

    def refused(self, what: str, peer: str, more: Mapping[str, str]) -> None:
        """Write what was refused to whom; ``more`` is what the log of the daemon says of it."""
        who, kind = more.get("user") or more.get("key", ""), more.get("request") or what
        said = more.get("error") or f"{more['more']} more" if "more" in more else more.get("error", what)
        self._add(AuditRecord(
            who, kind, "refused", more.get("role", ""), more.get("host", peer), more.get("about", "")[:MOST_TEXT],
            said[:_LONG], person=more.get("person", ""),
        ))  # fmt: skip

    def told(self, what: str, detail: str = "") -> None:
        """Write what no request has asked for."""
        self._add(AuditRecord("pulsed", what, "done", detail=detail[:_LONG]))

    async def run(self) -> None:
        """Have what is written on the disk soon, until cancelled."""
        while True:
            await asyncio.sleep(_SYNC)
            if self._waiting:
                self._write()
            try:
                await asyncio.to_thread(self.log.sync)
            except StoreError as error:
                self._failed(error)

    def close(self) -> None:
        """Write what waits, and close the log."""
        try:
            self._write()
            self.log.close()
        except StoreError as error:
            self._failed(error)

    def _add(self, record: AuditRecord) -> None:
        if len(self._waiting) < _WAITING:
            self._waiting.append(record)
        self._write()

    def _write(self) -> None:
        if not self._waiting:
            return
        self._tried = time.monotonic()
        try:
            self.log.append(self._waiting)
        except StoreError as error:
            self._failed(error)
            return
        self._waiting.clear()
        if self.error is not None:
            logs.get("audit").warning("the audit log can be written again")
            self.error = None

    def _failed(self, error: StoreError) -> None:
        if self.error is None:
            logs.get("audit").error("nothing may be changed until the audit log can be written", error=str(error))
        self.error = error


def kind_of(message: m.AnyRequest) -> str:
    """Return the kind of a request as the wire has it."""
    return str(type(message).__struct_config__.tag)


def about_request(message: m.AnyRequest, reply: m.AnyReply | None = None) -> tuple[str, str]:
    """Return what a request is about, and what it says of that."""
    if isinstance(message, m.Submit):
        job = message.job
        detail = f"{job.num_programs} programs, {job.options.shots} shots"
        if job.options.settings:
            detail = f"{detail}, settings {msgspec.json.encode(job.options.settings).decode()}"
        return job.job_id[:MOST_TEXT], detail[:_LONG]
    if isinstance(message, m.PutRun):
        return message.run.run_id, f"{message.run.routine} on {message.run.target}"[:_LONG]
    if isinstance(message, m.PutCalibration):
        return reply.calibration_id if isinstance(reply, m.CalibrationReply) else "", ""
    fields = msgspec.to_builtins(message)
    name = next((name for name in _OBJECTS if isinstance(fields.get(name), str)), "")
    rest = {key: value for key, value in fields.items() if key not in ("id", "type", "person", name)}
    if isinstance(reply, m.CancelReply):
        rest["cancelled"] = reply.cancelled
    return str(fields.get(name, ""))[:MOST_TEXT], msgspec.json.encode(rest).decode()[:_LONG] if rest else ""
