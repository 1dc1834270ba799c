"""Circuits with if_test: their parts one after the other, each a block of the program, some played on a bit.

All qubits wait for each other between the parts, but for parts on bits that follow each other on different qubits:
these begin together. A part on a bit begins when the bit has reached the AWGs: the end of its acquisition, the time of
flight to the digitizer, and the rack's feedback latency. Phases that such a part shifts become turns, events that turn
an oscillator for the rest of the shot, since later pulses depend on the bit then.
"""

from __future__ import annotations

import math
from collections import defaultdict
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
    """Return the parts of a circuit, as few as its qubits and bits allow: what nothing holds back comes before.

    Raises :class:`CircuitError` for control flow other than if_test on one bit.
    """
    plain: dict[int, QuantumCircuit] = {}
    branching: dict[int, list[Part]] = {}
    # Even stages hold what is always played, odd ones what waits for bits; by qubit or bit the stage it is free from.
    free: dict[Any, int] = defaultdict(int)
    for instruction in circuit.data:
        resources = [*instruction.qubits, *instruction.clbits]
        if instruction.name not in CONTROL_FLOW:
            stage = max((free[item] for item in resources), default=0)
            stage += stage % 2
            if stage not in plain:
                plain[stage] = circuit.copy_empty_like()
            plain[stage].append(instruction)
            for item in resources:
                free[item] = stage + (instruction.name == "measure" and item in instruction.clbits)
            continue
        parts = list(_bodies(circuit, instruction))
        stage = max(free[item] for item in resources)
        stage += 1 - stage % 2
        branching.setdefault(stage, []).extend(parts)
        for qubit in instruction.qubits:
            free[qubit] = stage + 1
        for bit in instruction.clbits:
            free[bit] = max(free[bit], stage)
    found: list[Part] = []
    for stage in sorted({*plain, *branching}):
        found += branching[stage] if stage % 2 else [Part(plain[stage])]
    return found


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
    latency = wiring.device.timing.feedback_latency
    if latency is None or wiring.baked_ports:
        why = "states no feedback latency" if latency is None else _sampled(wiring, wiring.baked_ports[0])
        subject = f"circuit {circuit.name}"
        raise CircuitError(f"the rack cannot play if_test: it {why}", subject=subject, value="if_else")
    placed: list[_Placed] = []
    known: dict[int, int] = {}
    clock = 0
    for group in _together(split(circuit), alone=bool(own)):
        branches = [part.branch for part in group if part.branch is not None]
        clock = _aligned(max([clock, *(_arrival(circuit, known, branch) for branch in branches)]), wiring)
        parts = [_place(part, clock, templates, wiring, own, fresh=not placed) for part in group]
        for rows in (part.rows for part in parts):
            for row in rows[rows["kind"] == ACQUIRE]:
                line = wiring.lines[row["row"]]
                flight = math.ceil((line.delay - wiring.device.ports[line.slot.port].delay) / line.ratio)
                known[int(row["memory_slot"])] = int(row["time"] + row["length"]) + flight + latency
        placed += parts
        clock = max(part.stop for part in parts)
    return _lowered(circuit, placed, wiring)


def _sampled(wiring: Wiring, port: str) -> str:
    distorted = port in wiring.distortions
    return f"undoes the distortion of the line at port {port}" if distorted else f"has no NCO at port {port}"


def _together(parts: list[Part], alone: bool) -> list[list[Part]]:
    """Group parts that begin together: those on bits, one after the other, on different qubits.

    ``alone``: none do, because pulse gates may play on channels of other qubits.
    """
    groups: list[list[Part]] = []
    busy: set[int] = set()
    for part in parts:
        mine = {part.circuit.find_bit(q).index for item in part.circuit.data for q in item.qubits}
        if part.branch is None or alone or not groups or groups[-1][-1].branch is None or mine & busy:
            groups.append([])
            busy = set()
        groups[-1].append(part)
        busy |= mine
    return groups


def _place(
    part: Part, start: int, templates: Templates, wiring: Wiring, own: Mapping[OwnKey, int], fresh: bool
) -> _Placed:
    operations = walk(part.circuit, templates, wiring.device, own, fresh=fresh)
    if operations.late:
        names = ", ".join(sorted({str(p) for value in operations.late.values() for p in value.parameters}))
        subject = f"circuit {part.circuit.name}"
        raise CircuitError("this parameter has no value yet: assign_parameters first", subject=subject, value=names)
    timed = place(operations, templates, wiring.device)
    rows = to_rows(timed, templates)
    rows["time"] += start
    if own:
        rows = rows[np.argsort(rows["time"], kind="stable")]
    return _Placed(rows, start, _aligned(start + timed.duration, wiring), part.branch)


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
    played, turns = [], []
    for part in placed:
        shifts = part.rows["kind"] == SHIFT_PHASE
        if part.branch is None:
            shifts[:] = False
        elif not np.isin(part.rows["kind"], (PLAY, SHIFT_PHASE)).all():
            raise CircuitError(
                "a pulse gate on a measured bit can play pulses and shift phases, nothing else",
                subject=f"circuit {circuit.name}, if_else",
            )
        played.append(part.rows[~shifts])
        turns.append(_turns(part.rows[shifts], wiring))
    rows, owner = np.concatenate(played), _owners(played)
    whole = lower(rows, max(part.stop for part in placed), wiring)
    plays = np.flatnonzero(rows["kind"] == PLAY)
    # Events are sorted by slot, and on each slot in the order of their rows.
    plays = plays[np.argsort(rows["row"][plays], kind="stable")]
    events, which = np.concatenate([whole.events, *turns]), np.concatenate([owner[plays], _owners(turns)])
    order = np.lexsort((events["envelope"] >= 0, events["time"], events["slot"], which))
    events, which = events[order], which[order]
    acquired = owner[rows["kind"] == ACQUIRE]
    starts = np.array([part.start for part in placed], dtype=np.int64)
    for found, of in ((events, which), (whole.acquisitions, acquired)):
        lines = wiring.table[found["slot"]]
        found["time"] -= starts[of] * lines["samples"] // lines["steps"]
    blocks = []
    for number, part in enumerate(placed):
        end = placed[number + 1].start if number + 1 < len(placed) else whole.duration
        bounds = [tuple(np.searchsorted(of, [number, number + 1]).tolist()) for of in (which, acquired)]
        blocks.append(Block(bounds[0], bounds[1], end - part.start, branch=part.branch))
    return Lowered(events, whole.acquisitions, whole.duration, tuple(blocks))


def _owners(parts: list[npt.NDArray[np.void]]) -> npt.NDArray[np.int64]:
    """Return which part each row of all parts together belongs to."""
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _turns(shifts: npt.NDArray[np.void], wiring: Wiring) -> npt.NDArray[np.void]:
    """Return shifts of phases as EVENT rows without envelope."""
    lines = wiring.table[shifts["row"]]
    events = np.zeros(len(shifts), dtype=EVENT)
    events["slot"], events["envelope"] = shifts["row"], -1
    events["time"] = shifts["time"] * lines["samples"] // lines["steps"] + lines["delay"]
    events["phase"] = shifts["value"]
    return events
