"""The distinct operations of circuits: each gate on its qubits, numbered once and kept between circuits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from qiskit.circuit import ParameterExpression

from pulsed.model.errors import CircuitError

BARRIER, DELAY, VIRTUAL, GATE, MEASURE, RESET, OWN, SCALED = range(8)
"""Kinds of operations. VIRTUAL: an rz. SCALED: an rx, whose pulse is as high as its angle. OWN: a name that has pulse
gates of the job, resolved instruction by instruction into one of the others."""

Key = tuple[str, tuple[Any, ...]]
"""Name and qubits (Qiskit's) of an instruction."""


class Tables(NamedTuple):
    """What compiled code reads of each distinct operation: int64 arrays.

    Its qubits are ``members[pointer[c] : pointer[c + 1]]``; ``template`` is -1 when nothing is played; ``special`` is 1
    for those of which every instruction is looked at, for more than name, qubits and angle.
    """

    kind: npt.NDArray[np.int64]
    template: npt.NDArray[np.int64]
    special: npt.NDArray[np.int64]
    pointer: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]


class Distinct:
    """The distinct operations of all circuits on one register of qubits, under one set of templates."""

    def __init__(self) -> None:
        self.codes: dict[Key, int] = {}
        """Number of the operation of a name on qubits; its complement for one that has an angle to be read."""
        self.kind: list[int] = []
        self.template: list[int] = []
        self.qubits: list[tuple[int, ...]] = []
        self._lock = threading.Lock()
        self._tables: Tables | None = None

    def __len__(self) -> int:
        return len(self.kind)

    def add(self, kind: int, template: int, qubits: tuple[int, ...], key: Key | None = None) -> int:
        """Return the code of a new operation, which ``key`` finds from now on."""
        with self._lock:
            self._tables = None
            code = ~len(self.kind) if kind in (VIRTUAL, SCALED) else len(self.kind)
            self.kind.append(kind)
            self.template.append(template)
            self.qubits.append(qubits)
            if key is not None:
                self.codes[key] = code
            return code

    @property
    def tables(self) -> Tables:
        """The operations as arrays."""
        found = self._tables
        if found is None:
            with self._lock:
                sizes = [0, *(len(item) for item in self.qubits)]
                found = self._tables = Tables(
                    np.array(self.kind, np.int64),
                    np.array(self.template, np.int64),
                    np.isin(self.kind, (DELAY, MEASURE, RESET, OWN)).astype(np.int64),
                    np.cumsum(sizes),
                    np.array([q for item in self.qubits for q in item], dtype=np.int64),
                )
        return found


@dataclass
class Operations:
    """A circuit as arrays: ``code[i]`` is the number of the distinct operation of instruction i.

    ``value[i]`` is its angle (VIRTUAL and SCALED, rad), length (DELAY, dt) or memory slot (MEASURE), else 1.
    """

    code: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    distinct: Distinct
    unbound: dict[int, tuple[ParameterExpression, ...]] = field(default_factory=dict)
    """Instructions with values that are expressions of parameters which are bound later; their ``value`` is 0."""

    def check_bound(self, subject: str) -> None:
        """Raise :class:`CircuitError` that names the parameters without a value, if there are any."""
        if self.unbound:
            expressions = [one for several in self.unbound.values() for one in several]
            raise CircuitError(
                "this parameter has no value yet: assign_parameters first", subject=subject,
                value=", ".join(sorted({str(parameter) for one in expressions for parameter in one.parameters})),
            )  # fmt: skip

    @property
    def kind(self) -> list[int]:
        """Kind of each distinct operation."""
        return self.distinct.kind

    @property
    def template(self) -> list[int]:
        """Template of each distinct operation, -1 when nothing is played."""
        return self.distinct.template

    @property
    def qubits(self) -> list[tuple[int, ...]]:
        """Qubits of each distinct operation."""
        return self.distinct.qubits
