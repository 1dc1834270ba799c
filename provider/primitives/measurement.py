"""Measurements added to circuits in gates of the rack: the axes of a basis, and readouts of turned-over qubits."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ClassicalRegister, QuantumCircuit

if TYPE_CHECKING:
    from qiskit.circuit import CircuitInstruction

    from pulsed.provider.primitives.observables import Basis

_REGISTER = "observables"


def measured(circuit: QuantumCircuit, basis: Basis, flipped: Sequence[bool]) -> QuantumCircuit:
    """Return ``circuit`` with a measurement of each qubit of ``basis`` at its end, into a register of their own.

    A quarter turn by sx brings Y to Z, and X too after a quarter turn about Z; the half turns of ``flipped``
    qubits cost a pulse only where Z is measured.
    """
    found = circuit.copy()
    name = _REGISTER
    while any(name == register.name for register in circuit.cregs):
        name += "_"
    register = ClassicalRegister(len(basis), name)
    found.add_register(register)
    for (q, axis), flip in zip(basis, flipped, strict=True):
        if axis == "Z":
            if flip:
                found.x(q)
            continue
        angle = (-pi / 2 if flip else pi / 2) if axis == "X" else (pi if flip else 0.0)
        if angle:
            found.rz(angle, q)
        found.sx(q)
    found.measure([q for q, _ in basis], register)
    return found


def flip_readouts(circuit: QuantumCircuit, rng: np.random.Generator) -> tuple[QuantumCircuit, npt.NDArray[np.bool_]]:
    """Return ``circuit`` with x before some of its last measurements, at random, and which bits that turns over.

    A measurement is a last one when nothing follows on its qubit, and nothing writes or reads its bit after it.
    """
    last = _last_measurements(circuit)
    flips = dict(zip(last, rng.integers(2, size=len(last)).astype(bool), strict=True))
    found = circuit.copy_empty_like()
    bits = np.zeros(circuit.num_clbits, dtype=bool)
    for place, item in enumerate(circuit.data):
        if flips.get(place):
            found.x(item.qubits[0])
            bits[circuit.find_bit(item.clbits[0]).index] = True
        found.append(item)
    return found, bits


def _last_measurements(circuit: QuantumCircuit) -> list[int]:
    """Return the places of the measurements after which neither qubit nor bit is used."""
    used: set[object] = set()
    found = []
    for place, item in reversed(list(enumerate(circuit.data))):
        if item.name == "barrier":
            continue
        if item.name == "measure" and not _conditional(item) and used.isdisjoint((*item.qubits, *item.clbits)):
            found.append(place)
        used.update(circuit.clbits if _conditional(item) else item.clbits)
        used.update(item.qubits)
    return found[::-1]


def _conditional(item: CircuitInstruction) -> bool:
    """Return whether an instruction of Qiskit 1.4 has a condition of its own."""
    return getattr(item.operation, "_condition", None) is not None
