"""Messages about measurements under way; they came with revision 1."""

from __future__ import annotations

from pulsed.model.measurement import MeasurementInfo
from pulsed.wire.base import DaemonEvent, Reply, Request


class TellMeasurement(Request, frozen=True, tag="measurement.tell"):
    """Tell others how far a measurement is; nothing is kept of it but the latest. Answered by ``DoneReply``."""

    measurement: MeasurementInfo


class GetMeasurements(Request, frozen=True, tag="measurements"):
    """The measurements under way and those that ended last. Answered by :class:`MeasurementsReply`."""


class MeasurementsReply(Reply, frozen=True, tag="measurements.reply"):
    """Measurements, those that changed last first."""

    measurements: tuple[MeasurementInfo, ...]


class MeasurementChanged(DaemonEvent, frozen=True, tag="measurement.changed"):
    """A measurement has got further; :class:`GetMeasurements` brings its points."""

    run_id: str
    routine: str
    target: str
    done: int
    total: int
    outcome: str = ""
