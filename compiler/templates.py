"""The gates of one calibration set as flat rows, found by name and qubits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.flat import FLAT, SHIFT_PHASE, flatten
from pulsed.compiler.gates import GateInfo, GateKey
from pulsed.compiler.operations import Distinct
from pulsed.compiler.wiring import Wiring
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.schedule import Schedule

OwnKey = tuple[str, tuple[int, ...], tuple[float, ...]]
"""A pulse gate of a job: name, qubits, params."""
Gates = Mapping[OwnKey, Schedule]

_EMPTY = Schedule()
_MOST_REGISTERS, _MOST_OPERATIONS = 16, 1 << 14
"""What is kept between circuits: of 127 qubits each gate on all places is about a thousand operations."""


class Templates:
    """Schedules as FLAT rows. A template's number is its place in ``schedules`` and ``durations`` (dt)."""

    def __init__(self, wiring: Wiring, gates: Mapping[GateKey, GateInfo], table: EnvelopeTable) -> None:
        self._wiring = wiring
        self._table = table
        self._rows: list[npt.NDArray[np.void]] = []
        self._joined: _Joined | None = None
        self.groups = np.zeros(wiring.device.num_qubits, dtype=np.int64)
        """Which group of the meas_map each qubit belongs to."""
        for group, members in enumerate(wiring.device.meas_map):
            self.groups[list(members)] = group
        self.schedules: list[Schedule] = []
        self.durations: list[int] = []
        self._distinct: dict[tuple[Any, ...], Distinct] = {}
        self.ids = {key: self._add(info.schedule) for key, info in gates.items()}
        self.virtual = [self._append(self._turn(q), _EMPTY) for q in range(wiring.device.num_qubits)]
        """The template of rz on each qubit: its rows are for an angle of 1."""

    def _turn(self, qubit: int) -> npt.NDArray[np.void]:
        rows = np.zeros(len(self._wiring.frames_of_qubit[qubit]), dtype=FLAT)
        rows["row"] = self._wiring.frames_of_qubit[qubit]
        rows["kind"], rows["envelope"], rows["memory_slot"] = SHIFT_PHASE, -1, -1
        rows["value"] = rz_phase(1.0)
        return rows

    def _add(self, schedule: Schedule) -> int:
        return self._append(flatten(schedule.unordered(), self._wiring, self._table), schedule)

    def _append(self, rows: npt.NDArray[np.void], schedule: Schedule) -> int:
        self._rows.append(rows)
        self.schedules.append(schedule)
        self.durations.append(schedule.duration)
        return len(self._rows) - 1

    def with_gates(self, gates: Gates, table: EnvelopeTable) -> tuple[Templates, dict[OwnKey, int]]:
        """Return templates that have the pulse gates of one job too, and the template of each."""
        if not gates:
            return self, {}
        extended = copy(self)
        extended._rows, extended.schedules, extended.durations = [*self._rows], [*self.schedules], [*self.durations]
        extended._table, extended._joined, extended._distinct = table, None, {}
        return extended, {key: extended._add(schedule) for key, schedule in gates.items()}

    def distinct(self, qubits: Sequence[Any]) -> Distinct:
        """Return the operations met so far in circuits on these qubits (Qiskit's), to be added to."""
        register = tuple(qubits)
        found = self._distinct.get(register)
        if found is None or len(found) > _MOST_OPERATIONS:
            while len(self._distinct) >= _MOST_REGISTERS:
                self._distinct.pop(next(iter(self._distinct)), None)
            found = self._distinct[register] = Distinct()
        return found

    def _join(self) -> _Joined:
        if self._joined is None:
            counts = np.array([*map(len, self._rows), 0], dtype=np.int64)
            first = np.concatenate(([0], np.cumsum(counts[:-1])))
            self._joined = _Joined(np.concatenate(self._rows), first, counts, np.array([*self.durations, 0], np.int64))
        return self._joined

    def joined(self) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
        """Return all rows, and where each template's begin (one entry more than there are templates)."""
        return self._join().rows, self._join().first

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Rows of each template; entry -1 is 0, for operations that play nothing."""
        return self._join().counts

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The durations, dt; entry -1 is 0, for operations that play nothing."""
        return self._join().lengths


class _Joined(NamedTuple):
    rows: npt.NDArray[np.void]
    first: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
