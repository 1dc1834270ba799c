"""Start times: every operation as late (or as early) as qubits, grid and the digitizer's windows allow."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.compiler.flat import ACQUIRE, FLAT
from pulsed.compiler.operations import DELAY, GATE, MEASURE, RESET, VIRTUAL, Operations
from pulsed.compiler.templates import Templates
from pulsed.compiler.wiring import Wiring
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
def _window(windows, used, at, duration, group, grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where a measurement goes that could be at ``at``, and write its window: (start, length, group).

    Windows of one digitizer coincide or are apart; those written so far are sorted by start.
    """
    at = _align(at, duration, grid, backward)
    for w in range(used):
        if windows[w, 2] != group or at >= windows[w, 0] + windows[w, 1]:
            continue
        if at + duration <= windows[w, 0]:
            break
        if windows[w, 0] >= at and windows[w, 1] == duration:
            at = windows[w, 0]
            break
        at = _align(windows[w, 0] + windows[w, 1], duration, grid, backward)
    insert = used
    while insert > 0 and windows[insert - 1, 0] > at:
        windows[insert] = windows[insert - 1]
        insert -= 1
    windows[insert, 0], windows[insert, 1], windows[insert, 2] = at, duration, group
    return at


@njit(cache=True)
def _place(code, value, tables, length, group, pulse_grid, acquire_grid, grid, backward):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return start and length of each operation, and the duration of all, a multiple of ``grid``.

    Positions count from the end of the circuit when ``backward``.
    """
    count = code.shape[0]
    kind, template, _, pointer, members = tables
    start, lengths = np.empty(count, np.int64), np.empty(count, np.int64)
    front, measured = np.zeros(group.shape[0], np.int64), 0
    for i in range(count):
        measured += kind[code[i]] == MEASURE
    windows, used = np.empty((measured, 3), np.int64), 0
    for step in range(count):
        i = count - 1 - step if backward else step
        c = code[i]
        at = np.int64(0)
        for k in range(pointer[c], pointer[c + 1]):
            at = max(at, front[members[k]])
        d = np.int64(value[i]) if kind[c] == DELAY else length[template[c]]
        if kind[c] == GATE and d > 0:
            at = _align(at, d, pulse_grid, backward)
        elif kind[c] == MEASURE:
            at = _window(windows, used, at, d, group[members[pointer[c]]], acquire_grid, backward)
            used += 1
        start[i], lengths[i] = at, d
        for k in range(pointer[c], pointer[c + 1]):
            front[members[k]] = at + d
    end = front.max()
    duration = end + (-end) % grid
    if backward:
        for i in range(count):
            start[i] = duration - start[i] - lengths[i]
    return start, lengths, duration


def place(operations: Operations, templates: Templates, device: DeviceDescription, method: Method = "alap") -> Timed:
    """Give every operation its start, as late or as early as possible, on the device's grid."""
    pulse_grid, acquire_grid = device.timing.pulse_alignment, device.timing.acquire_alignment
    starts, lengths, duration = _place(
        operations.code, operations.value, operations.distinct.tables, templates.lengths, templates.groups, pulse_grid,
        acquire_grid, lcm(pulse_grid, acquire_grid), method == "alap",
    )  # fmt: skip
    return Timed(operations, starts, lengths, duration)


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
    """Return the FLAT rows of placed operations in the order of the circuit, which is that of time on each channel."""
    rows, first = templates.joined()
    operations = timed.operations
    found: npt.NDArray[np.void] = _expand(
        operations.code, operations.value, timed.starts, operations.distinct.tables, rows, first
    )
    return found


def to_schedule(timed: Timed, templates: Templates, wiring: Wiring, name: str) -> Schedule:
    """Return placed operations as the Schedule that will be played."""
    operations = timed.operations
    children: list[tuple[int, Instruction]] = []
    starts, values = timed.starts.tolist(), operations.value.tolist()
    turned = [[wiring.lines[row].channel for row in rows.tolist()] for rows in wiring.frames_of_qubit]
    for i, code in enumerate(operations.code.tolist()):
        kind, start = operations.kind[code], starts[i]
        if kind == VIRTUAL:
            shift = rz_phase(values[i])
            children += [(start, ShiftPhase(shift, channel)) for channel in turned[operations.qubits[code][0]]]
        elif kind in (GATE, MEASURE, RESET):
            for time, instruction in templates.schedules[operations.template[code]].instructions:
                played = instruction
                if kind == MEASURE and isinstance(instruction, Acquire):
                    played = Acquire(instruction.duration, instruction.channel, MemorySlot(int(values[i])))
                children.append((start + time, played))
    return Schedule.from_instructions(children, name)
