"""Start times: every operation as late (or as early) as qubits, grid and the digitizer's windows allow."""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.compiler.circuits import DELAY, GATE, MEASURE, RESET, VIRTUAL, Operations
from pulsed.compiler.flat import ACQUIRE, FLAT
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
def _place(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    code, kind, length, pointer, qubits, group, front, pulse_grid, acquire_grid, backward, windows, position
):
    """Write the position of each operation, counted from the end of the circuit when ``backward``.

    Windows of one digitizer coincide or are apart: ``windows`` collects (start, length, group), sorted by start.
    """
    count = code.shape[0]
    used = 0
    for step in range(count):
        i = count - 1 - step if backward else step
        c = code[i]
        at = np.int64(0)
        for k in range(pointer[c], pointer[c + 1]):
            at = max(at, front[qubits[k]])
        d = length[i]
        if kind[c] == GATE and d > 0:
            at = _align(at, d, pulse_grid, backward)
        elif kind[c] == MEASURE:
            at = _align(at, d, acquire_grid, backward)
            g = group[qubits[pointer[c]]]
            for w in range(used):
                if windows[w, 2] != g or at >= windows[w, 0] + windows[w, 1]:
                    continue
                if at + d <= windows[w, 0]:
                    break
                if windows[w, 0] >= at and windows[w, 1] == d:
                    at = windows[w, 0]
                    break
                at = _align(windows[w, 0] + windows[w, 1], d, acquire_grid, backward)
            insert = used
            while insert > 0 and windows[insert - 1, 0] > at:
                windows[insert] = windows[insert - 1]
                insert -= 1
            windows[insert, 0], windows[insert, 1], windows[insert, 2] = at, d, g
            used += 1
        position[i] = at
        for k in range(pointer[c], pointer[c + 1]):
            front[qubits[k]] = at + d


def place(operations: Operations, templates: Templates, device: DeviceDescription, method: Method = "alap") -> Timed:
    """Give every operation its start, as late or as early as possible, on the device's grid."""
    timing = device.timing
    kind, template, _ = operations.table
    lengths = templates.lengths[template][operations.code]
    kinds = kind[operations.code]
    delays = kinds == DELAY
    lengths[delays] = operations.value[delays]
    pointer = np.zeros(len(kind) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in operations.qubits], out=pointer[1:])
    qubits = np.array([q for item in operations.qubits for q in item], dtype=np.int64)
    front = np.zeros(device.num_qubits, dtype=np.int64)
    position = np.empty(len(operations.code), dtype=np.int64)
    windows = np.empty((int(np.count_nonzero(kinds == MEASURE)), 3), dtype=np.int64)
    backward = method == "alap"
    _place(
        operations.code, kind, lengths, pointer, qubits, templates.groups, front, timing.pulse_alignment,
        timing.acquire_alignment, backward, windows, position,
    )  # fmt: skip
    end = int(front.max(initial=0))
    duration = end + (-end) % lcm(timing.pulse_alignment, timing.acquire_alignment)
    return Timed(operations, duration - position - lengths if backward else position, lengths, duration)


@njit(cache=True)
def _expand(code, value, start, kind, template, slot, rows, first, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy the rows of each operation's template to their time; return how many there are."""
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
            elif slot[c] >= 0 and rows[r].kind == ACQUIRE:
                out[n].memory_slot = slot[c]
            n += 1
    return n


def first_rows(timed: Timed, templates: Templates) -> npt.NDArray[np.int64]:
    """Return the first of the rows of :func:`to_rows` that each operation makes."""
    counts = templates.counts[timed.operations.table[1]][timed.operations.code]
    first: npt.NDArray[np.int64] = np.cumsum(counts) - counts
    return first


def to_rows(timed: Timed, templates: Templates) -> npt.NDArray[np.void]:
    """Return the FLAT rows of placed operations in the order of the circuit, which is that of time on each channel."""
    rows, first = templates.joined()
    operations = timed.operations
    kind, template, slot = operations.table
    out = np.empty(int(templates.counts[template][operations.code].sum()), dtype=FLAT)
    _expand(operations.code, operations.value, timed.starts, kind, template, slot, rows, first, out)
    return out


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
                    played = Acquire(instruction.duration, instruction.channel, MemorySlot(operations.slot[code]))
                children.append((start + time, played))
    return Schedule.from_instructions(children, name)
