"""Requests about notes, and about measurements under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import get_args

import msgspec

from pulsed.daemon.front.handlers import Handler, HandlerReply, Peer, check_limit
from pulsed.daemon.store_thread import StoreThread
from pulsed.model.calibration import RunKind, RunOutcome
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError, NotAllowedError
from pulsed.model.measurement import LONGEST, MOST_NUMBERS, MOST_TRACES, MeasurementInfo, numbers_of
from pulsed.model.notes import MOST_LETTERS, Note
from pulsed.model.payload import Part
from pulsed.store.store import Store
from pulsed.wire.measurement_messages import (
    GetMeasurements,
    MeasurementChanged,
    MeasurementsReply,
    TellMeasurement,
)
from pulsed.wire.messages import AnyEvent, AnyRequest, DoneReply
from pulsed.wire.note_messages import AddNote, GetNotes, NoteAdded, NotesReply

_KEPT = 64
"""Measurements that are told of, the last."""
_OLD = 24 * 3600.0
"""Seconds after which one is no longer."""
_SILENT = 300.0
"""Seconds without a word after which one that has not ended may have been left alone: its process was killed, say."""


class NoteHandlers:
    """Keeps notes in the store, and of each measurement the latest that its maker told; all hear of both."""

    def __init__(self, device: DeviceDescription, store: StoreThread, publish: Callable[[AnyEvent], None]) -> None:
        self._store, self._publish = store, publish
        pairs = (f"Q{pair.control}-Q{pair.target}" for pair in device.couplings)
        self._subjects = {*(f"Q{q}" for q in range(device.num_qubits)), *pairs}
        self._measurements: dict[str, tuple[str, MeasurementInfo]] = {}
        self.handlers: dict[type[AnyRequest], Handler] = {
            AddNote: self._add, GetNotes: self._list, TellMeasurement: self._told, GetMeasurements: self._measured,
        }  # fmt: skip

    async def _add(self, message: AddNote, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        text = message.text.strip()
        if not 0 < len(text) <= MOST_LETTERS:
            raise InvalidValueError(
                "not a note", subject="text", value=f"{len(text)} letters", legal=f"1 to {MOST_LETTERS} letters"
            )
        note = Note(message.about[:LONGEST], text, peer.named, time.time())
        await self._store.call(Store.add_note, note, known=note.about in self._subjects)
        self._publish(NoteAdded(0, note))
        return NotesReply(message.id, (note,)), ()

    async def _list(self, message: GetNotes, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        check_limit(message.limit)
        return NotesReply(message.id, tuple(await self._store.call(Store.notes, message.about, message.limit))), ()

    def _told(self, message: TellMeasurement, _parts: Sequence[Part], peer: Peer) -> HandlerReply:
        told = message.measurement
        _check(told)
        before = self._measurements.pop(told.run_id, (peer.user, told))
        if before[0] != peer.user:
            self._measurements[told.run_id] = before
            raise NotAllowedError(
                "the measurement is somebody else's", subject=f"measurement {told.run_id}", value=peer.user,
                legal=before[0],
            )  # fmt: skip
        now = time.time()
        told = msgspec.structs.replace(told, by=peer.named, changed=now, silent=0.0, said=told.said[:LONGEST])
        self._measurements[told.run_id] = peer.user, told
        for run_id, (_, other) in list(self._measurements.items()):
            if len(self._measurements) > _KEPT or other.changed < now - _OLD:
                del self._measurements[run_id]
        self._publish(
            MeasurementChanged(0, told.run_id, told.routine, told.target, told.done, told.total, told.outcome)
        )
        return DoneReply(message.id), ()

    def _measured(self, message: GetMeasurements, _parts: Sequence[Part], _peer: Peer) -> HandlerReply:
        now = time.time()
        found = (_heard(told, now) for _, told in reversed(self._measurements.values()))
        return MeasurementsReply(message.id, tuple(found)), ()


def _heard(told: MeasurementInfo, now: float) -> MeasurementInfo:
    """Return a measurement with the time since it was heard of, where that is long."""
    silent = now - told.changed
    return told if told.outcome or silent < _SILENT else msgspec.structs.replace(told, silent=silent)


def _check(told: MeasurementInfo) -> None:
    """Raise :class:`InvalidValueError` for a measurement that cannot be, or has more than is shown."""
    for what, text in (("run_id", told.run_id), ("routine", told.routine), ("target", told.target)):
        if not (0 < len(text) <= LONGEST and text.isprintable()):
            raise InvalidValueError("not a name", subject=what, value=text[:LONGEST], legal=f"1 to {LONGEST} letters")
    known = (("kind", told.kind, get_args(RunKind)), ("outcome", told.outcome, ("", *get_args(RunOutcome))))
    for what, text, legal in known:
        if text not in legal:
            words = ", ".join(word or "empty" for word in legal)
            raise InvalidValueError(f"no such {what}", subject=what, value=text[:LONGEST], legal=words)
    plot, subject = told.plot, f"measurement {told.run_id}"
    labels = (plot.x_label, plot.y_label, plot.z_label, *(trace.label for trace in plot.traces))
    for what, number, most in (
        ("lines", len(plot.traces), MOST_TRACES),
        ("letters at an axis or a line", max(map(len, labels)), LONGEST),
        ("numbers", numbers_of(plot), MOST_NUMBERS),
    ):
        if number > most:
            raise InvalidValueError(f"more {what} than are shown", subject=subject, value=number, legal=f"up to {most}")
