"""Events as samples: the complex baseband of a port, and int16 codes as a converter takes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed import old_names
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.predistortion import straighten, tail
from pulsed.compiler.program import EVENT
from pulsed.model.errors import LoweringError

__getattr__ = old_names(__name__)

_TURN = 256
"""Samples after which the carrier is taken from cos and sin again; within, it comes from a table."""


@dataclass(frozen=True)
class Segment:
    """A run of samples without a gap: complex128, full scale 1. ``start`` counts samples of the port's clock."""

    start: int
    samples: npt.NDArray[np.complex128]


CODED = np.dtype(
    [
        ("shape", "<i8"),
        ("length", "<i8"),
        ("out", "<i8"),
        ("time", "<i8"),
        ("amplitude", "<f8"),
        ("phase", "<f8"),
        ("frequency", "<f8"),
    ]
)
"""An event to be coded. shape, length: where its envelope lies in the shapes, samples; out: where its first sample
goes; time: of the first sample, in samples of the clock; amplitude: full scale 1; phase: rad; frequency: Hz."""


@njit(cache=True, fastmath=True)
def _turns(step, turn_re, turn_im):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write exp(i step n): a table is doubled by one rotation of itself."""
    turn_re[0], turn_im[0] = 1.0, 0.0
    filled = 1
    while filled < _TURN:
        c, s = np.cos(step * filled), np.sin(step * filled)
        for k in range(filled):
            turn_re[filled + k] = turn_re[k] * c - turn_im[k] * s
            turn_im[filled + k] = turn_re[k] * s + turn_im[k] * c
        filled *= 2


@njit(cache=True, fastmath=True)
def _codes(re, im, rows, clock, top, out):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write round(top amplitude (re + i im) exp(i phase - i 2 pi f t)), clipped to +-top, I low and Q high of an int32.

    One store of 32 bits per sample and a carrier without recurrence let the inner loop run in vector registers.
    """
    wide_re, wide_im = np.empty(_TURN), np.empty(_TURN)
    turn_re, turn_im = np.empty(_TURN, np.float32), np.empty(_TURN, np.float32)
    limit, known = np.float32(top), 0.0
    for e in range(rows.shape[0]):
        row = rows[e]
        step = -2 * np.pi * row.frequency / clock
        if e == 0 or step != known:
            _turns(step, wide_re, wide_im)
            turn_re[:], turn_im[:] = wide_re, wide_im
            known = step
        for first in range(0, row.length, _TURN):
            angle = row.phase + step * (row.time + first)
            a, b = np.float32(top * row.amplitude * np.cos(angle)), np.float32(top * row.amplitude * np.sin(angle))
            count = min(_TURN, row.length - first)
            begin, to = row.shape + first, row.out + first
            x, y, codes = re[begin : begin + count], im[begin : begin + count], out[to : to + count]
            for k in range(count):
                c = a * turn_re[k] - b * turn_im[k]
                d = a * turn_im[k] + b * turn_re[k]
                i = min(max(x[k] * c - y[k] * d, -limit), limit)
                q = min(max(x[k] * d + y[k] * c, -limit), limit)
                codes[k] = (np.int32(np.rint(q)) << 16) | (np.int32(np.rint(i)) & 0xFFFF)


def codes(
    shapes: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    rows: npt.NDArray[np.void],
    clock: float,
    out: npt.NDArray[np.int16],
    top: int = 8191,
) -> None:
    """Write events with their carriers as int16 codes, I and Q in turn, into ``out`` (2 * samples,).

    ``shapes``: real and imaginary part of all envelopes, one after the other; ``rows``: CODED, which must not overlap
    in ``out``; ``clock`` in Hz. The carrier is exp(i phase) exp(-i 2 pi frequency t); full scale is ``top``, beyond it
    clips. Fastest when rows of one frequency follow each other.
    """
    _codes(shapes[0], shapes[1], rows, clock, top, out.view(np.int32))


def samples_of(event: np.void, envelope: npt.NDArray[np.complex128], clock: float) -> npt.NDArray[np.complex128]:
    """Return the baseband of one event (a row of EVENT): complex128, full scale 1."""
    time = (event["time"] + np.arange(len(envelope))) / clock
    carrier = np.exp(1j * (event["phase"] - 2 * np.pi * event["frequency"] * time))
    samples: npt.NDArray[np.complex128] = event["amplitude"] * envelope * carrier
    return samples


def segments(
    events: npt.NDArray[np.void], envelope: Callable[[int], npt.NDArray[np.complex128]], clock: float
) -> list[Segment]:
    """Return the sum of ``events`` of one port, gaps left out; ``start`` counts as the events' times do."""
    lengths = {int(row): len(envelope(int(row))) for row in np.unique(events["envelope"])}
    spans = sorted((int(e["time"]), int(e["time"]) + lengths[int(e["envelope"])]) for e in events)
    merged: list[list[int]] = []
    for start, stop in spans:
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        else:
            merged.append([start, stop])
    found = [Segment(start, np.zeros(stop - start, dtype=np.complex128)) for start, stop in merged]
    starts = np.array([segment.start for segment in found])
    for event in events:
        segment = found[int(np.searchsorted(starts, event["time"], side="right")) - 1]
        samples = samples_of(event, envelope(int(event["envelope"])), clock)
        at = int(event["time"]) - segment.start
        segment.samples[at : at + len(samples)] += samples
    return found


def _straight(found: list[Segment], channel_map: ChannelMap, name: str) -> list[Segment]:
    """Return segments of a flux port with its line's distortion undone: with their tails, no longer than it plays.

    Raises :class:`LoweringError` for what takes more than full scale.
    """
    port, distortion = channel_map.device.ports[name], channel_map.distortions[name]
    clock, rest = float(port.clock), tail(distortion, float(port.clock))
    groups: list[list[Segment]] = []
    for segment in found:
        before = groups[-1][-1] if groups else None
        # One that begins while another's tail, or what fills its last samples up, still plays goes on from there.
        if before is not None and segment.start <= before.start + len(before.samples) + rest + port.granularity:
            groups[-1].append(segment)
        else:
            groups.append([segment])
    straight = []
    for group in groups:
        start, stop = group[0].start, group[-1].start + len(group[-1].samples)
        wanted = np.zeros(stop - start)
        for segment in group:
            at = segment.start - start
            wanted[at : at + len(segment.samples)] = segment.samples.real
        samples = straighten(wanted, distortion, clock, rest + -(stop - start + rest) % port.granularity)
        if (worst := float(np.abs(samples).max())) > 1 + 1e-9:
            raise LoweringError(
                "the pulses go beyond full scale when the line's distortion is undone", subject=f"port {name}",
                value=f"{worst:.6g}", legal="0 to 1",
            )  # fmt: skip
        most = port.max_length - port.max_length % port.granularity
        pieces = [samples[first : first + most] for first in range(0, len(samples), most)]
        straight += [Segment(start + most * k, piece.astype(complex)) for k, piece in enumerate(pieces)]
    return straight


def upconvert(lowered: Lowered, channel_map: ChannelMap, table: EnvelopeTable) -> Lowered:
    """Return ``lowered`` with phase and frequency multiplied into the samples on ports that have no NCO.

    All channels of such a port are added up: it plays from its first oscillator, with new rows of ``table``. So does a
    flux port whose distortion is undone.
    """
    plain = channel_map.upconverted_ports
    if not plain:
        return lowered
    port_of = np.array([plain.index(slot.port) if slot.port in plain else -1 for slot in channel_map.slots])
    where = port_of[lowered.events["slot"]]
    parts = [lowered.events[where < 0]]
    for number, name in enumerate(plain):
        clock = float(channel_map.device.ports[name].clock)
        found = segments(lowered.events[where == number], lambda row: table.rows[row].samples, clock)
        if name in channel_map.distortions:
            found = _straight(found, channel_map, name)
        slot = next(row for row, line in enumerate(channel_map.lines) if line.slot.port == name)
        upconverted = np.zeros(len(found), dtype=EVENT)
        for row, segment in zip(upconverted, found, strict=True):
            peak = float(np.abs(segment.samples).max(initial=0.0)) or 1.0
            shape = segment.samples / peak
            key = blake2b(shape.tobytes(), digest_size=16, person=b"baked").digest()
            row["slot"], row["time"], row["amplitude"] = slot, segment.start, peak
            row["envelope"] = table.add(key, shape)
        parts.append(upconverted)
    events = np.concatenate(parts)
    return Lowered(events[np.argsort(events["slot"], kind="stable")], lowered.acquisitions, lowered.duration)
