"""Tomography of two qubits: what is prepared and in which bases it is measured."""

from __future__ import annotations

from itertools import product

import numpy as np
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.process import MEASURED, PREPARED, confusion
from pulsed.calibration.routine import Answer, qubits_of
from pulsed.calibration.routines.cross_resonance import basis_change
from pulsed.calibration.schedules import Blocks, sequence
from pulsed.pulse.schedule import Schedule

OUTCOMES = ("00", "01", "10", "11")
"""The control's bit first."""


def both(*parts: Schedule, until: int = 0) -> Schedule:
    """Return parts that end together, ``until`` dt from the start at the least."""
    end = max([until, *(part.duration for part in parts)])
    result = Schedule()
    for part in parts:
        result = result.insert(end - part.duration, part)
    return result


def prepared(blocks: Blocks, qubit: int, state: str) -> Schedule:
    """Return what makes one of the states of :data:`PREPARED` from 0."""
    if state == "0":
        return Schedule()
    if state == "1":
        return sequence(blocks.x(qubit))
    return sequence(blocks.sx(qubit), *([blocks.rz(qubit, np.pi / 2)] if state == "+x" else []))


def measured(bench: Executor, pair: str, body: Schedule, basis: tuple[str, str]) -> Schedule:
    """Return a shot: ``body``, then both qubits measured in their bases (control, target)."""
    blocks, qubits = bench.blocks, qubits_of(pair, bench.device)
    turns = [sequence(*basis_change(blocks, qubit, axis)) for qubit, axis in zip(qubits, basis, strict=True)]
    length = max(turn.duration for turn in turns)
    rotations = Schedule(*((0, turn) for turn in turns))
    readout = Schedule(*((0, blocks.measure(qubit)) for qubit in qubits))
    return blocks.shot(qubits[0], body, rotations, length - rotations.duration, readout=readout)


def settings() -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return every preparation with every basis, (control, target) each; bases run fastest."""
    states, bases = list(product(PREPARED, PREPARED)), list(product(MEASURED, MEASURED))
    return [(state, basis) for state in states for basis in bases]


def pair_counts(bench: Executor, pair: str, answer: Answer) -> np.ndarray:
    """Return (schedules, 4) counts, the control's bit the slow one. What lies above 1 counts as 1."""
    assert answer.bits is not None, "level 2"
    control, target = qubits_of(pair, bench.device)
    first, second = (0, 1) if control < target else (1, 0)  # memory slots come in the order of the qubits
    bits = answer.bits > 0
    numbers = 2 * bits[:, :, first] + bits[:, :, second]
    return np.stack([(numbers == k).sum(axis=1) for k in range(4)], axis=1)


def readout_errors(bench: Executor, pair: str) -> dict[str, list[float]]:
    """Return p10 and p01 of the control and of the target, as attributes."""
    rows = zip(("control", "target"), qubits_of(pair, bench.device), strict=True)
    return {
        f"readout_{side}": [bench.blocks.value(f"Q{qubit}.readout.{name}") for name in ("p10", "p01")]
        for side, qubit in rows
    }


def confusions(data: xarray.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return what :func:`readout_errors` put into the attributes as matrices (measured, true)."""
    control, target = (confusion(*(float(x) for x in data.attrs[f"readout_{s}"])) for s in ("control", "target"))
    return control, target
