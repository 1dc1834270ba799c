"""Resets in the order of a circuit's operations: those that do nothing are dropped, others wait for readouts.

A reset is a wait of several T1, in which the other qubits relax, too. A qubit that has been put into motion before it
is read before it, where the circuit allows that: a transpiler may list either of the two first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from pulsed.compiler.operations import BARRIER, DELAY, GATE, MEASURE, OWN, RESET, SCALED, Operations
from pulsed.compiler.templates import Templates


def without_first_resets(operations: Operations) -> Operations:
    """Drop resets of qubits that nothing has touched: the wait between shots has reset them."""
    touched: set[int] = set()
    kept: list[int] = []
    for i, code in enumerate(operations.code.tolist()):
        qubits = operations.qubits[code]
        if operations.kind[code] != RESET or qubits[0] in touched:
            kept.append(i)
        if operations.kind[code] not in (BARRIER, DELAY, RESET):
            touched.update(qubits)
    return _taken(operations, kept)


def readouts_before_resets(operations: Operations, templates: Templates) -> Operations:
    """Reorder operations so that no qubit waits for its readout while another is reset, unless it has to.

    The level of an operation is the number of resets that it comes after, on the longest way there along qubits and
    memory slots. Before the resets of a level begin, everything is played that they need, and every readout of a qubit
    that this has put into motion, with what that readout needs; a barrier says so to the scheduler. All else may still
    be as late as before, behind the resets.
    """
    wires = [_wires(operations, templates, i) for i in range(len(operations.code))]
    levels = _levels(operations, wires)
    resets: dict[int, list[int]] = defaultdict(list)
    for i, level in enumerate(levels):
        if _kind(operations, i) == RESET:
            resets[level].append(i)
    left, taken = list(range(len(levels))), []
    moving: set[Any] = set()
    for level in sorted(resets):
        before = [i for i in left if levels[i] < level]
        forced = _closure(before, wires, {wire for i in resets[level] for wire in wires[i]})
        moving = _moved(operations, [i for i in before if i in forced], wires, moving)
        hurried = _waiting(operations, templates, [i for i in before if i not in forced], wires, moving)
        played = forced | _closure(before, wires, set(), hurried)
        moving = _moved(operations, [i for i in before if i in played and i not in forced], wires, moving)
        taken += [i for i in before if i in played]
        left = [i for i in left if i not in played]
        readouts = [i for i in before if i in played and _acquires(operations, templates, i)]
        if readouts:
            taken.append(
                ~_barrier(operations, {q for i in (*readouts, *resets[level]) for q in _qubits(operations, i)})
            )
    return _taken(operations, taken + left)


def _closure(among: list[int], wires: list[list[Any]], wanted: set[Any], ends: Iterable[int] = ()) -> set[int]:
    """Return ``ends`` and what is before them, or before what comes last on the ``wanted`` wires."""
    wanted, ends, found = set(wanted), set(ends), set()
    for i in reversed(among):
        if i in ends or not wanted.isdisjoint(wires[i]):
            found.add(i)
            wanted.update(wires[i])
    return found


def _moved(operations: Operations, played: list[int], wires: list[list[Any]], moving: set[Any]) -> set[Any]:
    """Return the qubits that may be in another state than 0 after ``played``, where those of ``moving`` were before."""
    found = set(moving)
    for i in played:
        if _kind(operations, i) == RESET:
            found.difference_update(wires[i])
        elif _kind(operations, i) in (GATE, MEASURE, OWN, SCALED):
            found.update(_qubits(operations, i))
    return found


def _waiting(
    operations: Operations, templates: Templates, later: list[int], wires: list[list[Any]], moving: set[Any]
) -> list[int]:
    """Return the readouts among ``later`` that tell of qubits which are ``moving``."""
    told, found = set(moving), []
    for i in later:
        if _kind(operations, i) == RESET:
            told.difference_update(wires[i])
        elif not told.isdisjoint(_qubits(operations, i)):
            if _kind(operations, i) != BARRIER:
                told.update(_qubits(operations, i))
            if _acquires(operations, templates, i):
                found.append(i)
    return found


def _kind(operations: Operations, i: int) -> int:
    kind: int = operations.kind[operations.code[i]]
    return kind


def _qubits(operations: Operations, i: int) -> tuple[int, ...]:
    qubits: tuple[int, ...] = operations.qubits[operations.code[i]]
    return qubits


def _acquires(operations: Operations, templates: Templates, i: int) -> bool:
    template = operations.template[operations.code[i]]
    return template >= 0 and bool(templates.lasting.acquired[template, 1] > 0)


def _wires(operations: Operations, templates: Templates, i: int) -> list[Any]:
    """Return the qubits of an operation, and its memory slots as pairs."""
    wires: list[Any] = list(_qubits(operations, i))
    if _kind(operations, i) == MEASURE:
        wires.append(("slot", int(operations.value[i])))
    elif _acquires(operations, templates, i):
        wires += [("slot", slot) for slot in templates.memory_slots(operations.template[operations.code[i]])]
    return wires


def _levels(operations: Operations, wires: list[list[Any]]) -> list[int]:
    reached: dict[Any, int] = defaultdict(int)
    levels = []
    for i, mine in enumerate(wires):
        level = max((reached[wire] for wire in mine), default=0) + (_kind(operations, i) == RESET)
        levels.append(level)
        reached.update(dict.fromkeys(mine, level))
    return levels


def _barrier(operations: Operations, qubits: Iterable[int]) -> int:
    """Return the code of a barrier on these qubits."""
    members = tuple(sorted(qubits))
    key = ("barrier", members)
    known = operations.distinct.codes.get(key)
    return operations.distinct.add(BARRIER, -1, members, key) if known is None else known


def _taken(operations: Operations, order: list[int]) -> Operations:
    """Return the operations of these numbers in this order; the complement of a code is a new one without value."""
    source = np.array(order, dtype=np.int64)
    old = np.maximum(source, 0)
    new = source < 0
    code, value = operations.code[old], operations.value[old]
    code[new], value[new] = ~source[new], 1.0
    unbound = {at: operations.unbound[i] for at, i in enumerate(order) if i in operations.unbound}
    return Operations(code, value, operations.distinct, unbound)
