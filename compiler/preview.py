"""A program as the ports will play it: samples, without an instrument."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.compiler.preview_events import PreviewPulse, PreviewWindow
from pulsed.compiler.program import Chunk, PortSettings, Program
from pulsed.compiler.render import CODED, Segment, codes, segments
from pulsed.model.device import DeviceDescription, samples_per_dt
from pulsed.model.units import format_quantity

if TYPE_CHECKING:
    from pathlib import Path

    from pulsed.model.figure import Picture
    from pulsed.model.sheet import PulseSheet

__getattr__ = old_names(__name__)


class Preview:
    """One program of a chunk, port by port, before mixer correction; |sample| <= 1 is full scale.

    Of blocks that wait for a bit it shows all, with the phases that they have when no bit has turned a frame.
    """

    def __init__(self, chunk: Chunk, device: DeviceDescription, shots: int, program: int = 0) -> None:
        self._chunk, self._shots = chunk, shots
        self._device = device
        self.program: Program = chunk.programs[program]
        events = self._unrolled(chunk.array(self.program.events), [b.events for b in self.program.blocks])
        self._events = events[events["envelope"] >= 0]
        rows = chunk.array(self.program.acquisitions)
        self._acquisitions = self._unrolled(rows, [b.acquisitions for b in self.program.blocks])

    def __repr__(self) -> str:
        return (
            f"<Preview of {self.program.name!r}: {self.duration * 1e9:.9g} ns on {', '.join(self.ports) or 'no port'}>"
        )

    def draw(self, filename: str | None = None) -> Picture:
        """Return a matplotlib figure of each port's samples and acquisitions; a notebook shows it by itself.

        Args:
            filename: also write the figure there.

        Raises :class:`pulsed.model.errors.MissingPackageError` without matplotlib.

        """
        from pulsed.compiler.preview_drawing import PortRow, draw_rows

        slots = self._chunk.head.slots
        recording = {slots[row["slot"]].port for row in self._acquisitions}
        ports = [name for name in self._device.ports if name in recording or name in self.ports]
        rows = []
        for name in ports:
            windows = [
                window for row, window in zip(self._acquisitions, self.windows(), strict=True)
                if slots[row["slot"]].port == name
            ]  # fmt: skip
            rows.append(PortRow(name, self.segments(name), windows, float(self._device.ports[name].clock)))
        figure = draw_rows(rows, self.duration, f"{self.program.name}, {self.duration * 1e9:.9g} ns")
        if filename is not None:
            figure.savefig(filename, dpi=150)
        return figure

    def sheet(self) -> PulseSheet:
        """Return a sheet that one can zoom to the sample; a notebook shows it."""
        from pulsed.compiler.preview_sheet import sheet_of

        title = f"{self.program.name}, {format_quantity(self.duration, 's', 6)}"
        windows = self.acquisitions()
        ports = [name for name in self._device.ports if name in self.ports or name in {w.port for w in windows}]
        return sheet_of(
            [(self._device.ports[name], name, self.segments(name), self.pulses(name),
              [window for window in windows if window.port == name]) for name in ports],
            self._device, title, self.duration,
        )  # fmt: skip

    def to_html(self, path: Path | str) -> Path:
        """Write :meth:`sheet` as a page that needs nothing else, and return where it is."""
        return self.sheet().save(path)

    def _repr_png_(self) -> bytes:
        return self.draw().png(80)

    def _unrolled(self, rows: npt.NDArray[np.void], bounds: list[tuple[int, int]]) -> npt.NDArray[np.void]:
        """Return the rows of all blocks, each as often as its block repeats, with times since the shot's start."""
        if len(bounds) == 1 and self.program.blocks[0].repeat == 1:
            return rows
        ports = [self._device.ports[slot.port] for slot in self._chunk.head.slots]
        ratio = np.array([float(samples_per_dt(self._device, port)) for port in ports])
        pieces, start = [rows[:0]], 0
        for block, (first, last) in zip(self.program.blocks, bounds, strict=True):
            for _ in range(block.repeat):
                own = rows[first:last].copy()
                own["time"] += np.rint(start * ratio[own["slot"]]).astype(np.int64)
                pieces.append(own)
                start += block.duration
        return np.concatenate(pieces)

    @property
    def duration(self) -> float:
        """Seconds from the shot's start to the end of the program."""
        return float(self.program.duration * self._device.dt)

    @property
    def run_time(self) -> float:
        """Seconds that all shots take, repetition delay included."""
        settings = self._chunk.settings
        return self._shots * float(self.program.duration * self._device.dt + settings.rep_delay)

    @property
    def ports(self) -> tuple[str, ...]:
        """The ports that play anything."""
        played = {self._chunk.head.slots[slot].port for slot in np.unique(self._events["slot"])}
        return tuple(name for name in self._device.ports if name in played)

    @property
    def memory(self) -> int:
        """Samples of waveform memory that the envelopes take, each counted once."""
        return sum(ref.shape[0] for ref in self._chunk.head.envelopes)

    def memory_of(self, instrument: str) -> tuple[int, int]:
        """Return events, and samples of waveforms, that ``instrument`` holds of the program."""
        ports = [name for name, port in self._device.ports.items() if port.instrument == instrument]
        events = np.concatenate([self._of(port) for port in ports]) if ports else self._events[:0]
        rows = np.unique(events["envelope"])
        return len(events), sum(self._chunk.head.envelopes[row].shape[0] for row in rows)

    def violations(self) -> list[str]:
        """Return what no single pulse shows: ports whose tones and correction together go beyond full scale."""
        found = []
        for port in self.ports:
            settings = self._chunk.settings.ports.get(port, PortSettings())
            a, b, c, d = settings.correction
            for segment in self.segments(port):
                i, q = segment.samples.real, segment.samples.imag
                out = np.abs([a * i + b * q + settings.offset[0], c * i + d * q + settings.offset[1]]).max(axis=0)
                worst = int(np.argmax(out))
                if out[worst] > 1:
                    at = segment.start + worst
                    found.append(f"port {port} at sample {at}: {out[worst]:.4g} of full scale; legal: at most 1")
        return found

    def pulses(self, port: str) -> list[PreviewPulse]:
        """Return the events of ``port`` in order of time."""
        found = [self._pulse(event) for event in self._of(port)]
        return sorted(found, key=lambda pulse: pulse.start)

    def windows(self) -> list[tuple[str, int, int]]:
        """Return (channel, start, length) of each acquisition, samples from the shot's start."""
        return [
            (self._chunk.head.slots[row["slot"]].channel, int(row["time"]), int(row["length"]))
            for row in self._acquisitions
        ]

    def acquisitions(self) -> list[PreviewWindow]:
        """Return each acquisition with the port that records it, its frequency and its weights."""
        slots = self._chunk.head.slots
        return [
            PreviewWindow(
                slots[row["slot"]].port, slots[row["slot"]].channel, int(row["time"]), int(row["length"]),
                float(row["frequency"]), None if row["kernel"] < 0 else self._chunk.envelope(int(row["kernel"])),
            )
            for row in self._acquisitions
        ]  # fmt: skip

    def segments(self, port: str) -> list[Segment]:
        """Return the complex baseband of ``port``: the sum of all its oscillators, gaps left out.

        Starts count samples of the port's clock from the shot's start.
        """
        settings = self._device.ports[port]
        found = segments(self._of(port), self._chunk.envelope, float(settings.clock))
        return [Segment(segment.start - settings.delay, segment.samples) for segment in found]

    def codes(self, port: str, top: int = 8191) -> list[tuple[int, npt.NDArray[np.int16]]]:
        """Return (start, codes) of each run of samples: int16 (samples, 2), I and Q before mixer correction.

        Full scale is ``top``. Every tone is rounded by itself, then they are added up and clipped.
        """
        settings, events = self._device.ports[port], self._of(port)
        head = self._chunk.head
        used = np.unique(events["envelope"])
        shapes = np.concatenate([self._chunk.envelope(int(row)) for row in used] or [np.zeros(0, complex)])
        first = np.zeros(len(head.envelopes) + 1, dtype=np.int64)
        lengths = np.array([ref.shape[0] for ref in head.envelopes], dtype=np.int64)
        first[used + 1] = lengths[used]
        parts = np.ascontiguousarray(shapes.real, np.float32), np.ascontiguousarray(shapes.imag, np.float32)
        found = []
        for segment in self.segments(port):
            start, stop = segment.start + settings.delay, segment.start + settings.delay + len(segment.samples)
            total = np.zeros(2 * len(segment.samples), dtype=np.int32)
            inside = events[(events["time"] >= start) & (events["time"] < stop)]
            for slot in np.unique(inside["slot"]):
                mine = inside[inside["slot"] == slot]
                rows = np.zeros(len(mine), dtype=CODED)
                rows["shape"], rows["length"] = np.cumsum(first)[mine["envelope"]], lengths[mine["envelope"]]
                rows["out"], rows["time"] = mine["time"] - start, mine["time"]
                for name in ("amplitude", "phase", "frequency"):
                    rows[name] = mine[name]
                tone = np.zeros(len(total), dtype=np.int16)
                codes(parts, rows, float(settings.clock), tone, top)
                total += tone
            found.append((segment.start, np.clip(total, -top, top).astype(np.int16).reshape(-1, 2)))
        return found

    def _of(self, port: str) -> npt.NDArray[np.void]:
        slots = [i for i, slot in enumerate(self._chunk.head.slots) if slot.port == port]
        return self._events[np.isin(self._events["slot"], slots)]

    def _pulse(self, event: np.void) -> PreviewPulse:
        slot = self._chunk.head.slots[event["slot"]]
        length = self._chunk.head.envelopes[event["envelope"]].shape[0]
        start = int(event["time"]) - self._device.ports[slot.port].delay
        return PreviewPulse(slot.channel, start, length, float(event["amplitude"]), float(event["frequency"]))
