"""Circuits with control flow: their parts one after the other, each a block of the program, some played on bits.

All qubits wait for each other between the parts, but for parts on bits that follow each other on different qubits:
these begin together. A part on a bit begins when the bit has reached the AWGs: the end of its acquisition, the time of
flight to the digitizer, and the rack's feedback latency. Phases that such a part shifts become turns, events that turn
an oscillator for the rest of the shot, since later pulses depend on the bit then. A readout in such a part is played in
some shots and recorded in all: what the record is worth in the others is known (:mod:`pulsed.compiler.bit_values`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Clbit

from pulsed.compiler.bit_values import check_measured
from pulsed.compiler.canonical import Key
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.circuits import walk
from pulsed.compiler.conditions import Literals
from pulsed.compiler.control_flow_checks import check_feedback
from pulsed.compiler.control_flow_steps import Flow, flow
from pulsed.compiler.instruction_table import ACQUIRE, FRAME, PLAY, SHIFT_PHASE
from pulsed.compiler.lowering import Lowered, lower
from pulsed.compiler.program import EVENT, Block, Branch
from pulsed.compiler.scheduling import schedule_operations, to_rows
from pulsed.compiler.templates import LateProgram, OwnKey, Templates
from pulsed.model.errors import CircuitError
from pulsed.pulse.channels import MemorySlot


@dataclass(frozen=True)
class CircuitPart:
    """Instructions without control flow, on the qubits and bits of the whole circuit."""

    circuit: QuantumCircuit
    branch: Branch | None = None

    @property
    def reads(self) -> bool:
        """Whether it waits for bits and measures."""
        return self.branch is not None and any(item.clbits for item in self.circuit.data)


@dataclass(frozen=True)
class _Placed:
    """A part in dt: its rows with times since the shot's start."""

    rows: npt.NDArray[np.void]
    start: int
    stop: int
    branch: Branch | None


def split(found: Flow, acquired: Mapping[Key, Collection[int]] | None = None) -> list[CircuitPart]:
    """Return the parts of a circuit, as few as its qubits and bits allow: what nothing holds back comes before.

    ``acquired``: the memory slots that pulse gates acquire into by themselves.
    """
    circuit = found.circuit
    plain: dict[int, QuantumCircuit] = {}
    branching: dict[int, list[CircuitPart]] = {}
    # Even stages hold what is always played, odd ones what waits for bits. By qubit or bit the stage it is free from,
    # and by bit the one from which what was measured into it can be waited for.
    free: dict[Any, int] = defaultdict(int)
    known: dict[Any, int] = defaultdict(int)
    for literals, together in groupby(found.steps, key=lambda step: step.literals):
        if literals:
            part = CircuitPart(circuit.copy_empty_like(), _branch(literals))
            part.circuit.data = [step.instruction for step in together]
            qubits = {qubit for item in part.circuit.data for qubit in item.qubits}
            bits = [circuit.clbits[slot] for slot, _ in literals]
            stage = max([*(free[qubit] for qubit in qubits), *(known[bit] for bit in bits)])
            stage += 1 - stage % 2
            branching.setdefault(stage, []).append(part)
            for qubit in qubits:
                free[qubit] = stage + 1
            for bit in bits:
                free[bit] = max(free[bit], stage)
            for item in part.circuit.data:
                for bit in item.clbits:
                    free[bit] = known[bit] = stage + 1
            continue
        for _, instruction, _ in together:
            written = [*instruction.clbits, *_own_bits(circuit, instruction, acquired)]
            resources = [*instruction.qubits, *written]
            stage = max((free[item] for item in resources), default=0)
            stage += stage % 2
            if stage not in plain:
                plain[stage] = circuit.copy_empty_like()
            plain[stage].append(instruction)
            for item in resources:
                free[item] = stage
            for bit in written:
                known[bit] = stage + 1
    parts: list[CircuitPart] = []
    for stage in sorted({*plain, *branching}):
        parts += branching[stage] if stage % 2 else [CircuitPart(plain[stage])]
    return parts


def _own_bits(
    circuit: QuantumCircuit, instruction: CircuitInstruction, acquired: Mapping[Key, Collection[int]] | None
) -> list[Clbit]:
    """Return the bits that a pulse gate acquires into, which the circuit does not say."""
    if not acquired:
        return []
    key = instruction.name, tuple(circuit.find_bit(qubit).index for qubit in instruction.qubits)
    return [circuit.clbits[slot] for slot in acquired.get(key, ()) if 0 <= slot < circuit.num_clbits]


def _acquired(templates: Templates, own: Mapping[OwnKey, int]) -> dict[Key, set[int]]:
    """Return the memory slots that pulse gates acquire into; those for measure take the bit of the circuit."""
    found: dict[Key, set[int]] = {}
    for (name, qubits, _), template in own.items():
        if name != "measure":
            found.setdefault((name, qubits), set()).update(templates.memory_slots(template))
    for key, late in templates.late.items():
        if isinstance(late, LateProgram):
            slots = (channel.index for channel in late.program.channels if isinstance(channel, MemorySlot))
            found.setdefault(key, set()).update(slots)
    return found


def _branch(literals: Literals) -> Branch:
    (slot, value), *others = literals
    return Branch(slot, value, tuple(others))


def lower_parts(
    circuit: QuantumCircuit,
    templates: Templates,
    channel_map: ChannelMap,
    own: Mapping[OwnKey, int],
    fresh: bool = True,
) -> Lowered:
    """Lower a circuit with if_test; ``fresh`` as in :func:`~pulsed.compiler.circuits.walk`.

    Raises :class:`CircuitError` that names what cannot be played, and why.
    """
    check_feedback(channel_map.device, channel_map.distortions, f"circuit {circuit.name}")
    latency = channel_map.device.timing.feedback_latency
    assert latency is not None
    placed: list[_Placed] = []
    known: dict[int, int] = {}
    clock = 0
    acquired = _acquired(templates, own)
    found = flow(circuit, channel_map.device.dt, acquired)
    for group in _together(split(found, acquired), alone=templates.has_own):
        branches = [part.branch for part in group if part.branch is not None]
        clock = _aligned(max([clock, *(_arrival(circuit, known, branch) for branch in branches)]), channel_map)
        parts = [_place(part, clock, templates, channel_map, own, fresh=fresh and not placed) for part in group]
        for rows in (part.rows for part in parts):
            for row in rows[rows["kind"] == ACQUIRE]:
                line = channel_map.lines[row["row"]]
                flight = math.ceil((line.delay - channel_map.device.ports[line.slot.port].delay) / line.ratio)
                known[int(row["memory_slot"])] = int(row["time"] + row["length"]) + flight + latency
        placed += parts
        clock = max(part.stop for part in parts)
    return replace(_lowered(circuit, placed, channel_map), made=found.made)


def _together(parts: list[CircuitPart], alone: bool) -> list[list[CircuitPart]]:
    """Group parts that begin together: those on bits, one after the other, on different qubits.

    Those that measure are by themselves, for windows of a digitizer coincide or are apart. ``alone``: all are, because
    pulse gates may play on channels of other qubits.
    """
    groups: list[list[CircuitPart]] = []
    busy: set[int] = set()
    for part in parts:
        mine = {part.circuit.find_bit(q).index for item in part.circuit.data for q in item.qubits}
        apart = alone or part.branch is None or part.reads or not groups
        if apart or groups[-1][-1].branch is None or groups[-1][-1].reads or mine & busy:
            groups.append([])
            busy = set()
        groups[-1].append(part)
        busy |= mine
    return groups


def _place(
    part: CircuitPart, start: int, templates: Templates, channel_map: ChannelMap, own: Mapping[OwnKey, int], fresh: bool
) -> _Placed:
    operations = walk(part.circuit, templates, channel_map.device, own, fresh=fresh)
    operations.check_bound(f"circuit {part.circuit.name}")
    timed = schedule_operations(operations, templates, channel_map.device)
    rows = to_rows(timed, templates)
    rows["time"] += start
    if templates.has_own:
        rows = rows[np.argsort(rows["time"], kind="stable")]
    return _Placed(rows, start, _aligned(start + timed.duration, channel_map), part.branch)


def _arrival(circuit: QuantumCircuit, known: Mapping[int, int], branch: Branch) -> int:
    """Return from when on (dt) all bits are there that a part waits for."""
    check_measured(branch.literals, known, f"circuit {circuit.name}, if_else")
    return max(known[slot] for slot, _ in branch.literals)


def _aligned(time: int, channel_map: ChannelMap) -> int:
    """Return the first time from ``time`` on (dt) at which anything may start, on every port's clock."""
    timing = channel_map.device.timing
    grid = math.lcm(
        timing.pulse_alignment, timing.acquire_alignment, *(line.ratio.denominator for line in channel_map.lines)
    )
    return time + -time % grid


def _lowered(circuit: QuantumCircuit, placed: list[_Placed], channel_map: ChannelMap) -> Lowered:
    """Lower placed parts together, since frames run through, and share the events out to one block for each part."""
    played, turns = [], []
    for part in placed:
        shifts = part.rows["kind"] == SHIFT_PHASE
        if part.branch is None:
            shifts[:] = False
        elif not np.isin(part.rows["kind"], (PLAY, SHIFT_PHASE, FRAME, ACQUIRE)).all() or _stays(part.rows):
            raise CircuitError(
                "a pulse gate on a measured bit can play pulses, in frames that it leaves again, and shift phases",
                subject=f"circuit {circuit.name}, if_else",
            )
        played.append(part.rows[~shifts])
        turns.append(_turns(part.rows[shifts], channel_map))
    rows, owner = np.concatenate(played), _owners(played)
    whole = lower(rows, max(part.stop for part in placed), channel_map)
    plays = np.flatnonzero(rows["kind"] == PLAY)
    # Events are sorted by slot, and on each slot in the order of their rows.
    plays = plays[np.argsort(rows["row"][plays], kind="stable")]
    events, which = np.concatenate([whole.events, *turns]), np.concatenate([owner[plays], _owners(turns)])
    order = np.lexsort((events["envelope"] >= 0, events["time"], events["slot"], which))
    events, which = events[order], which[order]
    acquired = owner[rows["kind"] == ACQUIRE]
    starts = np.array([part.start for part in placed], dtype=np.int64)
    for found, of in ((events, which), (whole.acquisitions, acquired)):
        lines = channel_map.table[found["slot"]]
        found["time"] -= starts[of] * lines["samples"] // lines["steps"]
    blocks = []
    for number, part in enumerate(placed):
        end = placed[number + 1].start if number + 1 < len(placed) else whole.duration
        (first, last), (begin, stop) = (np.searchsorted(of, [number, number + 1]).tolist() for of in (which, acquired))
        if part.branch is not None and stop > begin:
            # A digitizer records in every shot; only what is played waits for bits.
            blocks.append(Block((first, last), (begin, begin), 0, branch=part.branch))
            blocks.append(Block((last, last), (begin, stop), end - part.start))
        else:
            blocks.append(Block((first, last), (begin, stop), end - part.start, branch=part.branch))
    return Lowered(events, whole.acquisitions, whole.duration, tuple(blocks))


def _stays(rows: npt.NDArray[np.void]) -> bool:
    """Return whether a channel is in another frame after ``rows`` than before."""
    uses = rows[rows["kind"] == FRAME]
    return any(uses[name][uses["row"] == row].sum() != 0 for row in np.unique(uses["row"]) for name in _FRAME_VALUES)


_FRAME_VALUES = ("value", "amplitude")


def _owners(parts: list[npt.NDArray[np.void]]) -> npt.NDArray[np.int64]:
    """Return which part each row of all parts together belongs to."""
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _turns(shifts: npt.NDArray[np.void], channel_map: ChannelMap) -> npt.NDArray[np.void]:
    """Return shifts of phases as EVENT rows without envelope."""
    lines = channel_map.table[shifts["row"]]
    events = np.zeros(len(shifts), dtype=EVENT)
    events["slot"], events["envelope"] = shifts["row"], -1
    events["time"] = shifts["time"] * lines["samples"] // lines["steps"] + lines["delay"]
    events["phase"] = shifts["value"]
    return events
