"""Start times: every operation as late (or as early) as its qubits and bits, grid and the digitizer's windows allow.

A classical bit is a wire like a qubit: what is measured into it is measured in the order of the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.instruction_table import ACQUIRE, FLAT, PLAY
from pulsed.compiler.operations import DELAY, GATE, MEASURE, RESET, SCALED, VIRTUAL, Operations
from pulsed.compiler.templates import Templates
from pulsed.model.device import DeviceDescription
from pulsed.pulse.channels import MemorySlot
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instructions import Acquire, Instruction, ShiftPhase
from pulsed.pulse.schedule import Schedule

Method: TypeAlias = Literal["alap", "asap"]
"""As late, or as soon, as possible."""


@dataclass(frozen=True)
class Timed:
    """Operations with their start times, dt."""

    operations: Operations
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    duration: int


@njit(cache=True)
def _align(position, duration, grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    edge = position + duration if backward else position
    return position + (-edge) % grid


@njit(cache=True)
def _window(windows, used, at, duration, offset, length, group, grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where an operation goes that could be at ``at``, and write the window it acquires in.

    Windows (start, length, group) of one digitizer coincide or are apart; those written so far are sorted by start.
    This one is ``length`` long and begins ``offset`` after the operation, which lasts ``duration``.
    """
    at = _align(at, duration, grid, backward)
    for w in range(used):
        if windows[w, 2] != group or at + offset >= windows[w, 0] + windows[w, 1]:
            continue
        if at + offset + length <= windows[w, 0]:
            break
        same = windows[w, 0] - offset
        if same >= at and windows[w, 1] == length and _align(same, duration, grid, backward) == same:
            at = same
            break
        at = _align(windows[w, 0] + windows[w, 1] - offset, duration, grid, backward)
    insert = used
    while insert > 0 and windows[insert - 1, 0] > at + offset:
        windows[insert] = windows[insert - 1]
        insert -= 1
    windows[insert, 0], windows[insert, 1], windows[insert, 2] = at + offset, length, group
    return at


@njit(cache=True)
def _acquire(at, template, slot, bits, windows, used, lasting, grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where an operation that acquires goes: as :func:`_window`, and in its turn on the wires of its bits.

    ``slot``: the one measured into, -1 for those that its template names; ``bits``: from when on each is free.
    """
    length = lasting.lengths[template]
    own = lasting.slots[lasting.pointer[template] : lasting.pointer[template + 1]]
    if slot >= 0:
        at = max(at, bits[slot])
    else:
        for k in range(own.shape[0]):
            at = max(at, bits[own[k]])
    first, lasts, group = lasting.acquired[template]
    offset = length - first - lasts if backward else first
    at = _window(windows, used, at, length, offset, lasts, group, grid, backward)
    if slot >= 0:
        bits[slot] = at + length
    else:
        for k in range(own.shape[0]):
            bits[own[k]] = at + length
    return at


@njit(cache=True)
def _room(code, value, tables, lasting):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return how many operations acquire, and how many memory slots there are."""
    windows, slots = 0, np.int64(lasting.slots.max()) + 1 if lasting.slots.shape[0] else np.int64(0)
    for i in range(code.shape[0]):
        c = code[i]
        windows += lasting.acquired[tables.template[c], 1] > 0
        if tables.kind[c] == MEASURE:
            slots = max(slots, np.int64(value[i]) + 1)
    return windows, slots


@njit(cache=True)
def _place(code, value, tables, lasting, qubits, pulse_grid, grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return start and length of each operation, and the duration of all, a multiple of ``grid``.

    Positions count from the end of the circuit when ``backward``.
    """
    count = code.shape[0]
    kind, template, _, pointer, members = tables
    start, lengths = np.empty(count, np.int64), np.empty(count, np.int64)
    windows, written = _room(code, value, tables, lasting)
    # From when on each qubit is free, and each memory slot.
    front, bits = np.zeros(qubits, np.int64), np.zeros(written, np.int64)
    taken, used = np.empty((windows, 3), np.int64), 0
    for step in range(count):
        i = count - 1 - step if backward else step
        c = code[i]
        t = template[c]
        at = np.int64(0)
        for k in range(pointer[c], pointer[c + 1]):
            at = max(at, front[members[k]])
        if kind[c] == DELAY:
            d = np.int64(value[i])
        else:
            d = lasting.lengths[t]
            if lasting.acquired[t, 1] > 0:
                slot = np.int64(value[i]) if kind[c] == MEASURE else np.int64(-1)
                at = _acquire(at, t, slot, bits, taken, used, lasting, grid, backward)
                used += 1
            elif (kind[c] == GATE or kind[c] == SCALED) and d > 0:
                at = _align(at, d, pulse_grid, backward)
        start[i], lengths[i] = at, d
        for k in range(pointer[c], pointer[c + 1]):
            front[members[k]] = at + d
    end = front.max()
    duration = end + (-end) % grid
    if backward:
        for i in range(count):
            start[i] = duration - start[i] - lengths[i]
    return start, lengths, duration


def schedule_operations(
    operations: Operations, templates: Templates, device: DeviceDescription, method: Method = "alap"
) -> Timed:
    """Give every operation its start, as late or as early as possible, on the device's grid."""
    pulse_grid = device.timing.pulse_alignment
    starts, lengths, duration = _place(
        operations.code, operations.value, operations.distinct.tables, templates.lasting, device.num_qubits, pulse_grid,
        lcm(pulse_grid, device.timing.acquire_alignment), method == "alap",
    )  # fmt: skip
    return Timed(operations, starts, lengths, duration)


@njit(cache=True)
def _scale(out, n, angle):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Scale a row of the pulses for a half turn: a pulse goes with the angle, a virtual z with its square."""
    part = angle / np.pi - 2.0 * np.round(angle / (2.0 * np.pi))
    if out[n].kind == PLAY:
        out[n].amplitude *= abs(part)
        if part < 0:
            out[n].value += -np.pi if out[n].value > 0 else np.pi
    else:
        out[n].value *= part * part


@njit(cache=True)
def _expand(code, value, start, tables, rows, first):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the rows of each operation's template at their time."""
    kind, template = tables.kind, tables.template
    count = 0
    for i in range(code.shape[0]):
        t = template[code[i]]
        count += first[t + 1] - first[t] if t >= 0 else 0
    out = np.empty(count, FLAT)
    n = 0
    for i in range(code.shape[0]):
        c = code[i]
        t = template[c]
        if t < 0:
            continue
        for r in range(first[t], first[t + 1]):
            out[n] = rows[r]
            out[n].time += start[i]
            if kind[c] == VIRTUAL:
                out[n].value *= value[i]
            elif kind[c] == SCALED:
                _scale(out, n, value[i])
            elif kind[c] == MEASURE and rows[r].kind == ACQUIRE:
                out[n].memory_slot = np.int32(value[i])
            n += 1
    return out


def first_rows(timed: Timed, templates: Templates) -> npt.NDArray[np.int64]:
    """Return the first of the rows of :func:`to_rows` that each operation makes."""
    counts = templates.counts[timed.operations.distinct.tables.template[timed.operations.code]]
    first: npt.NDArray[np.int64] = np.cumsum(counts) - counts
    return first


def to_rows(timed: Timed, templates: Templates) -> npt.NDArray[np.void]:
    """Return the FLAT rows of operations in the order of the circuit, which is that of time on each channel."""
    rows, first = templates.joined()
    operations = timed.operations
    found: npt.NDArray[np.void] = _expand(
        operations.code, operations.value, timed.starts, operations.distinct.tables, rows, first
    )
    return found


def to_schedule(timed: Timed, templates: Templates, channel_map: ChannelMap, name: str) -> Schedule:
    """Return scheduled operations as the Schedule that will be played."""
    operations = timed.operations
    children: list[tuple[int, Instruction]] = []
    starts, values = timed.starts.tolist(), operations.value.tolist()
    turned = [[channel_map.lines[row].channel for row in rows.tolist()] for rows in channel_map.frames_of_qubit]
    for i, code in enumerate(operations.code.tolist()):
        kind, start = operations.kind[code], starts[i]
        if kind == VIRTUAL:
            shift = rz_phase(values[i])
            children += [(start, ShiftPhase(shift, channel)) for channel in turned[operations.qubits[code][0]]]
        elif kind in (GATE, MEASURE, RESET, SCALED):
            schedule = templates.schedules[operations.template[code]]
            if kind == SCALED:
                schedule = schedule.assign_parameters(dict.fromkeys(schedule.parameters, values[i]), inplace=False)
            for time, instruction in schedule.instructions:
                played = instruction
                if kind == MEASURE and isinstance(instruction, Acquire):
                    played = Acquire(
                        instruction.duration, instruction.channel, MemorySlot(int(values[i])),
                        kernel=instruction.kernel, discriminator=instruction.discriminator,
                    )  # fmt: skip
                children.append((start + time, played))
    return Schedule.from_instructions(children, name)
