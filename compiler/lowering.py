"""From flat rows to events: frames are resolved, limits are checked, times become samples of each port."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.compiler.channel_map import ChannelMap, PhysicalChannel
from pulsed.compiler.instruction_table import (
    ACQUIRE,
    FRAME,
    PLAY,
    SET_FREQUENCY,
    SET_PHASE,
    SHIFT_FREQUENCY,
    SHIFT_PHASE,
)
from pulsed.compiler.program import ACQUISITION, EVENT, Block, MadeBit
from pulsed.model.errors import LoweringError

_OK, _OVERLAP, _BAND, _EARLY, _CLOCK, _LENGTH, _START, _ACQUIRE_START, _LOUD = range(9)


@dataclass(frozen=True)
class Lowered:
    """One schedule, lowered: EVENT rows sorted by slot and time, and ACQUISITION rows.

    Their envelopes are rows of the compiler's table. ``duration`` in dt. With ``blocks`` the rows are sorted by block
    first, and their times are since the block's start. ``made``: the bits of the result that are made of others.
    """

    events: npt.NDArray[np.void]
    acquisitions: npt.NDArray[np.void]
    duration: int
    blocks: tuple[Block, ...] = ()
    made: tuple[MadeBit, ...] = ()


@njit(cache=True)
def _fault(row, line, end, frequency, grid):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return what is wrong with a play or an acquisition; ``grid`` has granularity, minimum and the two alignments."""
    status = _OK
    samples = row.length * line.samples // line.steps
    if samples % line.granularity or samples < line.min_length or samples > line.max_length:
        status = _LENGTH
    if row.kind == PLAY:
        if row.length % grid[0] or row.length < grid[1]:
            status = _LENGTH
        elif row.time % grid[2]:
            status = _START
        elif row.amplitude > 1 + 1e-9:
            status = _LOUD
    elif row.time % grid[3]:
        status = _ACQUIRE_START
    if row.time * line.samples % line.steps or row.length * line.samples % line.steps:
        status = _CLOCK
    if row.time < 0:
        status = _EARLY
    elif row.time < end:
        status = _OVERLAP
    elif abs(frequency) > line.bandwidth:
        status = _BAND
    return status


@njit(cache=True)
def _room(rows, count):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return where the events of each of ``count`` lines begin, empty events and empty acquisitions."""
    place = np.zeros(count, np.int64)
    acquired = 0
    for i in range(rows.shape[0]):
        if rows[i].kind == PLAY:
            place[rows[i].row] += 1
        elif rows[i].kind == ACQUIRE:
            acquired += 1
    total = 0
    for line in range(count):
        total, place[line] = total + place[line], total
    return place, np.empty(total, EVENT), np.empty(acquired, ACQUISITION)


@njit(cache=True)
def _lower(rows, lines, grid, dt):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Walk the rows, which are in order of time on each channel.

    Return events, acquisitions, a status, and the row it is about with the frequency there. ``state`` has per line
    phase, carried phase and intermediate frequency, then frequency and phase of the frame that the channel is in, from
    its own. A hop from f1 to f2 at time t leaves the carrier continuous:
    exp(-i 2 pi f2 t) exp(i phase) has to go on where exp(-i 2 pi f1 t) was, so it carries a phase of its own, which
    grows by 2 pi (f2 - f1) t and which SetPhase, a matter of the frame, leaves alone.
    """
    place, events, acquisitions = _room(rows, lines.shape[0])
    end, state = np.zeros(lines.shape[0], np.int64), np.zeros((lines.shape[0], 5))
    for r in range(lines.shape[0]):
        state[r, 2] = lines[r].intermediate
    acquired = 0
    for i in range(rows.shape[0]):
        row = rows[i]
        r, kind, time = row.row, row.kind, row.time
        line = lines[r]
        if kind == SHIFT_PHASE:
            state[r, 0] += row.value
        elif kind == SET_PHASE:
            state[r, 0] = row.value - state[r, 4]
        elif kind == FRAME:
            # no hop: the frame has been there since the shot's start
            state[r, 3] += row.value
            state[r, 4] += row.amplitude
        elif kind in (SHIFT_FREQUENCY, SET_FREQUENCY):
            hop = row.value
            if kind == SET_FREQUENCY:
                hop += line.intermediate - line.frequency - state[r, 2] - state[r, 3]
            state[r, 1] += 2 * np.pi * hop * time * dt
            state[r, 2] += hop
        else:
            frequency = state[r, 2] + state[r, 3]
            status = _fault(row, line, end[r], frequency, grid)
            if status != _OK:
                return events, acquisitions, status, i, frequency
            end[r] = time + row.length
            if kind == PLAY:
                event = events[place[r]]
                place[r] += 1
                event.slot, event.envelope = r, row.envelope
                event.time = time * line.samples // line.steps + line.delay
                event.amplitude, event.frequency = row.amplitude, frequency
                # The oscillator counts from the port's own sample 0, which is ``delay`` before the shot's start:
                # exp(-i 2 pi f t) = exp(-i 2 pi f t_port) exp(+i 2 pi f delay).
                shift = 2 * np.pi * frequency * line.lag
                turned = state[r, 0] + state[r, 1] + state[r, 4]
                event.phase = (turned + row.value + shift) % (2 * np.pi)
            else:
                found = acquisitions[acquired]
                found.slot, found.qubit, found.memory_slot = r, line.qubit, row.memory_slot
                found.time = time * line.samples // line.steps + line.delay
                found.length = row.length * line.samples // line.steps
                found.frequency, found.kernel = frequency, row.envelope
                acquired += 1
    return events, acquisitions, _OK, 0, 0.0


def lower(rows: npt.NDArray[np.void], duration: int, channel_map: ChannelMap) -> Lowered:
    """Lower flat rows (dt), which are in order of time on each channel, to the ports of ``channel_map``.

    Raises :class:`LoweringError` that names channel, time, value and limit.
    """
    timing = channel_map.device.timing
    grid = (timing.granularity, timing.min_length, timing.pulse_alignment, timing.acquire_alignment)
    events, acquisitions, status, at, frequency = _lower(rows, channel_map.table, grid, channel_map.dt)
    if status != _OK:
        raise _failure(status, rows[at], frequency, channel_map)
    return Lowered(events, acquisitions, duration)


def _failure(status: int, row: np.void, frequency: float, channel_map: ChannelMap) -> LoweringError:
    line, timing = channel_map.lines[row["row"]], channel_map.device.timing
    what = "pulse" if row["kind"] == PLAY else "acquisition"
    low, high = line.lo - line.bandwidth, line.lo + line.bandwidth
    message, value, legal = {
        _OVERLAP: ("overlaps what plays before it on this channel", "", ""),
        _BAND: (
            f"the frequency lies outside the band of port {line.slot.port}",
            f"{(line.lo + frequency) / 1e9:.9g} GHz",
            f"{low / 1e9:.9g} to {high / 1e9:.9g} GHz",
        ),
        _EARLY: ("before the shot's start", f"{row['time']} dt", "0 or later"),
        _CLOCK: (
            f"does not convert to samples of port {line.slot.port}",
            f"{row['length']} dt long",
            f"start and length in multiples of {line.ratio.denominator} dt",
        ),
        _LENGTH: (
            f"the {what}'s length does not fit port {line.slot.port}",
            f"{row['length']} dt",
            _lengths(line, channel_map),
        ),
        _START: ("the pulse's start is off the grid", f"{row['time']} dt", f"multiples of {timing.pulse_alignment} dt"),
        _ACQUIRE_START: (
            "the acquisition's start is off the grid",
            f"{row['time']} dt",
            f"multiples of {timing.acquire_alignment} dt",
        ),
        _LOUD: ("the pulse goes beyond full scale", f"amplitude {row['amplitude']:.6g}", "0 to 1"),
    }[status]
    where = f"channel {line.slot.channel} at {row['time']} dt"
    return LoweringError(message, subject=where, value=value, legal=legal)


def _lengths(line: PhysicalChannel, channel_map: ChannelMap) -> str:
    port, timing = channel_map.device.ports[line.slot.port], channel_map.device.timing
    grid, least, most = port.granularity / line.ratio, port.min_length / line.ratio, port.max_length / line.ratio
    if port.direction == "output":
        grid, least = Fraction(lcm(timing.granularity, math.ceil(grid))), max(least, Fraction(timing.min_length))
    return f"multiples of {grid} dt, {least} to {most} dt"
