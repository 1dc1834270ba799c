"""Truncation of the matrix product states of a chip's qubits: a table of the chip file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pulsed.simulator.chip.tables import check, is_integer, is_number, read_record

WIDEST = 512
"""Largest bond dimension that may be asked for."""


@dataclass(frozen=True)
class Truncation:
    """Bounds of the states of more than ten qubits that interact; table ``[truncation]`` of a chip file.

    Attributes:
        bond_dimension: Schmidt vectors kept between neighbours. Time rises with its third power.
        discarded_weight: largest weight that may be left out of any state, summed over a shot, before a run is
            refused. A state that lacks the weight w has outcomes within sqrt(w): by default 3 %, the sampling error of
            a thousand shots.

    """

    bond_dimension: int = 64
    discarded_weight: float = 1e-3


DEFAULT = Truncation()


def read_truncation(data: dict[str, Any]) -> Truncation:
    """Return the bounds of a table; ConfigError names the key, the bad value and what is legal."""
    found = read_record(Truncation, data, "truncation")
    bond, weight = found.bond_dimension, found.discarded_weight
    good = is_integer(bond) and 2 <= bond <= WIDEST
    check(good, "the bond dimension is out of range", "truncation.bond_dimension", bond, f"2 to {WIDEST}")
    good = is_number(weight) and 0 <= weight < 1
    check(good, "the weight is out of range", "truncation.discarded_weight", weight, "0 <= weight < 1")
    return found
