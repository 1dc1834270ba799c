"""Messages about single instruments; they came with revision 1."""

from __future__ import annotations

from pulsed.wire.base import Reply, Request


class UseInstrument(Request, frozen=True, tag="instrument.use"):
    """Set something of one instrument, where ``settings`` has any, and read it. Answered by :class:`InstrumentReply`.

    For operators, and for whoever's session holds the rack; while no job plays.
    """

    instrument: str
    settings: dict[str, float] = {}  # noqa: RUF012 - a copy for each
    """Those of a job: ``"oscillators.drive.power"`` (dBm) or ``".frequency"`` (Hz), ``"ports.f0.bias"`` (A)."""
    reading: str = ""
    """A parameter of its QCoDeS driver; empty: everything that it was set to."""


class InstrumentReply(Reply, frozen=True, tag="instrument.reply"):
    """What the instrument answers."""

    readings: dict[str, str]
