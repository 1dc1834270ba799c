"""Circuits with if_test: their parts one after the other, each a block of the program, some played on a bit.

All qubits wait for each other between the parts. A part on a bit begins when the bit has reached the AWGs: the end of
its acquisition, the time of flight to the digitizer, and the rack's feedback latency. Phases that such a part shifts
become turns, events that turn an oscillator for the rest of the shot, since later pulses depend on the bit then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ClassicalRegister, Clbit, IfElseOp
from qiskit.circuit.classical import expr

from pulsed.compiler.circuits import CONTROL_FLOW, walk
from pulsed.compiler.flat import ACQUIRE, PLAY, SHIFT_PHASE
from pulsed.compiler.lowering import Lowered, lower
from pulsed.compiler.placement import place, to_rows
from pulsed.compiler.program import EVENT, Block, Branch
from pulsed.compiler.templates import OwnKey, Templates
from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import CircuitError

_LEGAL = "if_test((bit, value)), on a register of one bit, or on an expression of one bit"


@dataclass(frozen=True)
class Part:
    """Instructions without control flow, on the qubits and bits of the whole circuit."""

    circuit: QuantumCircuit
    branch: Branch | None = None


@dataclass(frozen=True)
class _Placed:
    """A part in dt: its rows with times since the shot's start."""

    rows: npt.NDArray[np.void]
    start: int
    stop: int
    branch: Branch | None


def split(circuit: QuantumCircuit) -> list[Part]:
    """Return the parts of a circuit. Raises :class:`CircuitError` for control flow other than if_test on one bit."""
    parts: list[Part] = []
    plain = circuit.copy_empty_like()
    for instruction in circuit.data:
        if instruction.name not in CONTROL_FLOW:
            plain.append(instruction)
            continue
        if plain.data:
            parts.append(Part(plain))
            plain = circuit.copy_empty_like()
        parts += _bodies(circuit, instruction)
    return [*parts, Part(plain)] if plain.data else parts


def _bodies(circuit: QuantumCircuit, instruction: CircuitInstruction) -> Iterator[Part]:
    operation = instruction.operation
    if not isinstance(operation, IfElseOp):
        raise CircuitError(
            "this control flow cannot be played", subject=f"circuit {circuit.name}", value=instruction.name,
            legal=_LEGAL,
        )  # fmt: skip
    bit, value = _condition(circuit, operation.condition)
    slot = circuit.find_bit(bit).index
    for body, wanted in zip(operation.blocks, (value, 1 - value), strict=False):
        qubits = dict(zip(body.qubits, instruction.qubits, strict=True))
        clbits = dict(zip(body.clbits, instruction.clbits, strict=True))
        part = circuit.copy_empty_like()
        for inner in body.data:
            if inner.name in CONTROL_FLOW or inner.name == "measure":
                raise CircuitError(
                    "cannot be played on a measured bit", subject=f"circuit {circuit.name}, if_else",
                    value=inner.name, legal="gates, delays and barriers",
                )  # fmt: skip
            part.append(inner.operation, [qubits[q] for q in inner.qubits], [clbits[c] for c in inner.clbits])
        if part.data:
            yield Part(part, Branch(slot, wanted))


def _condition(circuit: QuantumCircuit, condition: Any) -> tuple[Clbit, int]:
    """Return the bit that an if_test looks at, and the value with which its first body is played."""
    target, value = condition if isinstance(condition, tuple) else (condition, 1)
    while isinstance(target, expr.Unary) and target.op in (expr.Unary.Op.LOGIC_NOT, expr.Unary.Op.BIT_NOT):
        target, value = target.operand, 1 - value
    if isinstance(target, expr.Var):
        target = target.var
    if isinstance(target, ClassicalRegister) and target.size == 1:
        target = target[0]
    if not isinstance(target, Clbit) or int(value) not in (0, 1):
        raise CircuitError(
            "a condition on more than one bit", subject=f"circuit {circuit.name}, if_else", value=str(condition)[:120],
            legal=_LEGAL,
        )  # fmt: skip
    return target, int(value)


def lower_parts(circuit: QuantumCircuit, templates: Templates, wiring: Wiring, own: Mapping[OwnKey, int]) -> Lowered:
    """Lower a circuit with if_test. Raises :class:`CircuitError` that names what cannot be played, and why."""
    subject, device = f"circuit {circuit.name}", wiring.device
    latency = device.timing.feedback_latency
    if latency is None or wiring.baked_ports:
        why = "states no feedback latency" if latency is None else f"has no NCO at port {wiring.baked_ports[0]}"
        raise CircuitError(f"the rack cannot play if_test: it {why}", subject=subject, value="if_else")
    placed: list[_Placed] = []
    known: dict[int, int] = {}
    clock = 0
    for number, part in enumerate(split(circuit)):
        if part.branch is not None:
            clock = _aligned(max(clock, _arrival(circuit, known, part.branch)), wiring)
        operations = walk(part.circuit, templates, device, own, fresh=number == 0)
        if operations.late:
            names = ", ".join(sorted({str(p) for value in operations.late.values() for p in value.parameters}))
            raise CircuitError("this parameter has no value yet: assign_parameters first", subject=subject, value=names)
        timed = place(operations, templates, device)
        rows = to_rows(timed, templates)
        rows["time"] += clock
        if own:
            rows = rows[np.argsort(rows["time"], kind="stable")]
        for row in rows[rows["kind"] == ACQUIRE]:
            line = wiring.lines[row["row"]]
            flight = math.ceil((line.delay - device.ports[line.slot.port].delay) / line.ratio)
            known[int(row["memory_slot"])] = int(row["time"] + row["length"]) + flight + latency
        stop = _aligned(clock + timed.duration, wiring)
        placed.append(_Placed(rows, clock, stop, part.branch))
        clock = stop
    return _lowered(circuit, placed, wiring)


def _arrival(circuit: QuantumCircuit, known: Mapping[int, int], branch: Branch) -> int:
    if branch.memory_slot not in known:
        raise CircuitError(
            "an if_test on a bit that nothing was measured into before", subject=f"circuit {circuit.name}, if_else",
            value=f"bit {branch.memory_slot}", legal=", ".join(map(str, sorted(known))) or "measure first",
        )  # fmt: skip
    return known[branch.memory_slot]


def _aligned(time: int, wiring: Wiring) -> int:
    """Return the first time from ``time`` on (dt) at which anything may start, on every port's clock."""
    timing = wiring.device.timing
    grid = math.lcm(
        timing.pulse_alignment, timing.acquire_alignment, *(line.ratio.denominator for line in wiring.lines)
    )
    return time + -time % grid


def _lowered(circuit: QuantumCircuit, placed: list[_Placed], wiring: Wiring) -> Lowered:
    """Lower placed parts together, since frames run through, and share the events out to one block for each part."""
    played, turns, owner = [], [], []
    for number, part in enumerate(placed):
        rows = part.rows
        if part.branch is not None:
            strange = rows[~np.isin(rows["kind"], (PLAY, SHIFT_PHASE))]
            if len(strange):
                line = wiring.lines[strange["row"][0]]
                raise CircuitError(
                    "a pulse gate on a measured bit can play pulses and shift phases, nothing else",
                    subject=f"circuit {circuit.name}, if_else", value=f"channel {line.slot.channel}",
                )  # fmt: skip
            shifts = rows[rows["kind"] == SHIFT_PHASE]
            turns.append(_turns(shifts, wiring))
            owner += [number] * len(shifts)
            rows = rows[rows["kind"] == PLAY]
        played.append(rows)
    whole = lower(np.concatenate(played), placed[-1].stop, wiring)
    starts = np.array([part.start for part in placed], dtype=np.int64)
    events = np.concatenate([whole.events, *turns])
    which = np.concatenate([_block_of(whole.events, starts, wiring), np.array(owner, dtype=np.int64)])
    order = np.lexsort((events["envelope"] >= 0, events["time"], events["slot"], which))
    events, which = events[order], which[order]
    acquired = _block_of(whole.acquisitions, starts, wiring)
    acquisitions = whole.acquisitions[np.argsort(acquired, kind="stable")]
    acquired = np.sort(acquired)
    for rows, of in ((events, which), (acquisitions, acquired)):
        lines = wiring.table[rows["slot"]]
        rows["time"] -= starts[of] * lines["samples"] // lines["steps"]
    blocks = []
    for number, part in enumerate(placed):
        end = placed[number + 1].start if number + 1 < len(placed) else part.stop
        bounds = [tuple(np.searchsorted(of, [number, number + 1]).tolist()) for of in (which, acquired)]
        blocks.append(Block(bounds[0], bounds[1], end - part.start, branch=part.branch))
    return Lowered(events, acquisitions, whole.duration, tuple(blocks))


def _turns(shifts: npt.NDArray[np.void], wiring: Wiring) -> npt.NDArray[np.void]:
    """Return shifts of phases as EVENT rows without envelope."""
    lines = wiring.table[shifts["row"]]
    events = np.zeros(len(shifts), dtype=EVENT)
    events["slot"], events["envelope"] = shifts["row"], -1
    events["time"] = shifts["time"] * lines["samples"] // lines["steps"] + lines["delay"]
    events["phase"] = shifts["value"]
    return events


def _block_of(rows: npt.NDArray[np.void], starts: npt.NDArray[np.int64], wiring: Wiring) -> npt.NDArray[np.int64]:
    """Return which part each event or acquisition begins in."""
    lines = wiring.table[rows["slot"]]
    time = (rows["time"] - lines["delay"]) * lines["steps"] // lines["samples"]
    found: npt.NDArray[np.int64] = np.searchsorted(starts, time, side="right") - 1
    return found
