"""A preview as a sheet that one can zoom: a row per port, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pulsed.compiler.preview_events import PreviewPulse, PreviewWindow
from pulsed.model.sheet import PulseSheet, SheetRow, SheetSpan
from pulsed.model.units import format_quantity

if TYPE_CHECKING:
    from pulsed.compiler.render import Segment
    from pulsed.model.device import DeviceDescription, PortDescription

PortEvents = tuple["PortDescription", str, "Sequence[Segment]", Sequence[PreviewPulse], Sequence[PreviewWindow]]
"""A port and its name, its runs of samples, its events and its acquisitions."""


def sheet_of(ports: Sequence[PortEvents], device: DeviceDescription, title: str, duration: float) -> PulseSheet:
    """Return what each port plays, and what it records with which weights; ``duration`` in seconds."""
    rows = [_row(device, *port) for port in ports]
    return PulseSheet(title, rows, max([duration, *(span.end for row in rows for span in row.windows)]))


def _row(
    device: DeviceDescription, port: PortDescription, name: str, runs: Sequence[Segment],
    pulses: Sequence[PreviewPulse], windows: Sequence[PreviewWindow],
) -> SheetRow:  # fmt: skip
    lo = device.oscillators[port.lo].frequency if port.lo else None
    period = 1 / float(port.clock)
    return SheetRow(
        name, f"LO {format_quantity(lo, 'Hz', 5)}" if lo else "", period, [(run.start, run.samples) for run in runs],
        1.0,
        [
            SheetSpan(
                pulse.start * period, (pulse.start + pulse.length) * period,
                f"{pulse.channel} {pulse.amplitude:.3g} at {format_quantity(pulse.frequency, 'Hz', 5)}",
            )
            for pulse in pulses
        ],
        [
            SheetSpan(
                window.start * period, (window.start + window.length) * period,
                f"{window.channel} {format_quantity(window.frequency, 'Hz', 5)}", window.weights,
            )
            for window in windows
        ],
    )  # fmt: skip
