"""What a client asks and tells of notes, and of measurements under way."""

from __future__ import annotations

from pulsed.client.calls import Calls
from pulsed.model.measurement import MeasurementInfo
from pulsed.model.notes import Note
from pulsed.wire.measurement_messages import GetMeasurements, MeasurementsReply, TellMeasurement
from pulsed.wire.messages import DoneReply
from pulsed.wire.note_messages import AddNote, GetNotes, NotesReply


class NoteCalls(Calls):
    """The calls of :class:`pulsed.client.Client` about notes and measurements under way."""

    def add_note(self, about: str, text: str) -> Note:
        """Write something down about a qubit, a pair, the id of a run or of a calibration set; return the note."""
        return self._ask(NotesReply, AddNote, about=about, text=text).notes[0]

    def notes(self, about: str | None = None, limit: int = 100) -> list[Note]:
        """Return the newest notes first, about one thing or about all."""
        return list(self._ask(NotesReply, GetNotes, about=about, limit=limit).notes)

    def tell_measurement(self, measurement: MeasurementInfo) -> None:
        """Tell everybody who looks how far a measurement is; nothing is kept of it but the latest."""
        self._ask(DoneReply, TellMeasurement, measurement=measurement)

    def measurements(self) -> list[MeasurementInfo]:
        """Return the measurements under way and those that ended last, as far as they are told of."""
        return list(self._ask(MeasurementsReply, GetMeasurements).measurements)
