"""Gates that follow from others: u1, u2, u3 and id from sx and x; of a pair cx, and the other direction of its gates.

Products are read in time: the first factor acts first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from pulsed.pulse.channels import PulseChannel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.instructions import Delay, ShiftPhase
from pulsed.pulse.schedule.timeline import Schedule
from pulsed.pulse.transforms.canonicalization import target_qobj_transform
from pulsed.pulse.utils import Value

RzChannels: TypeAlias = Mapping[int, Sequence[PulseChannel]]
"""For each qubit the channels whose frame it owns: its drive channel first, then the control channels at its
frequency."""

_HALF = math.pi / 2


def derive_gates(
    inst_map: InstructionScheduleMap, rz_channels: RzChannels, pairs: Iterable[tuple[int, int]] = ()
) -> None:
    """Add to ``inst_map`` the gates that follow from those it has; what it has already is kept.

    Args:
        inst_map: has ``sx``, and for cx, ecr and id ``x``, of each qubit; of each pair ``ecr``, ``cz`` or ``cx`` in one
            direction. ``rzx`` gets its other direction too where it is there.
        rz_channels: the channels whose phase ``rz`` of a qubit shifts.
        pairs: pairs of coupled qubits, in any order.

    Raises:
        PulseError: a qubit has no channels, or a pair none of these gates.

    """
    for qubit, channels in rz_channels.items():
        if not channels:
            raise PulseError("no channel whose frame is the qubit's", subject=f"qubit {qubit}")
        one = _OneQubit(inst_map, qubit, channels)
        _add(inst_map, "rz", qubit, one.rz)
        _add(inst_map, "u1", qubit, one.u1)
        if inst_map.has("sx", qubit):
            _add(inst_map, "u2", qubit, one.u2)
            _add(inst_map, "u3", qubit, one.u3)
        if inst_map.has("x", qubit):
            _add(inst_map, "id", qubit, one.id)
    for a, b in pairs:
        _Pair(inst_map, rz_channels, a, b).derive()


def _add(inst_map: InstructionScheduleMap, name: str, qubits: Any, definition: Callable[..., Schedule]) -> None:
    if not inst_map.has(name, qubits):
        inst_map.add(name, qubits, definition, derived=True)


class _OneQubit:
    """The gates of one qubit, from its sx and x."""

    def __init__(self, inst_map: InstructionScheduleMap, qubit: int, channels: Sequence[PulseChannel]) -> None:
        self._map = inst_map
        self._qubit = qubit
        self._channels = tuple(channels)

    def rz(self, angle: Value) -> Schedule:
        """Virtual rotation by ``angle`` about z."""
        return Schedule(*(ShiftPhase(rz_phase(angle), line) for line in self._channels), name="rz")

    def u1(self, lam: Value) -> Schedule:
        """rz(lam), but for a global phase."""
        return self.rz(lam)

    def u2(self, phi: Value, lam: Value) -> Schedule:
        """rz(lam - π/2)·sx·rz(phi + π/2)."""
        return _in_turn("u2", self.rz(lam - _HALF), self.get("sx"), self.rz(phi + _HALF))

    def u3(self, theta: Value, phi: Value, lam: Value) -> Schedule:
        """rz(lam)·sx·rz(theta + π)·sx·rz(phi + π)."""
        sx = self.get("sx")
        return _in_turn("u3", self.rz(lam), sx, self.rz(theta + math.pi), sx, self.rz(phi + math.pi))

    def h(self) -> Schedule:
        """Hadamard: u2(0, π)."""
        return self.u2(0.0, math.pi)

    def id(self) -> Schedule:
        """Idle for as long as x."""
        return Schedule(Delay(self.get("x").duration, self._channels[0]), name="id")

    def get(self, name: str) -> Schedule:
        """Return a gate of the map as a flat schedule."""
        return target_qobj_transform(self._map.get(name, self._qubit))


def _in_turn(name: str, *parts: Schedule) -> Schedule:
    """Return ``parts`` one after the other, each when all before it have ended."""
    whole = Schedule(name=name)
    for part in parts:
        whole.insert(whole.duration, part, inplace=True)
    return whole


def _beside(*parts: Schedule) -> Schedule:
    whole = Schedule()
    for part in parts:
        whole.insert(0, part, inplace=True)
    return whole


class _Pair:
    """The gates of two qubits, from those of one direction. What is not there when it is played raises PulseError."""

    def __init__(self, inst_map: InstructionScheduleMap, rz_channels: RzChannels, a: int, b: int) -> None:
        self._map = inst_map
        self._qubits = (a, b)
        self._gates = {qubit: _OneQubit(inst_map, qubit, rz_channels[qubit]) for qubit in (a, b)}

    def derive(self) -> None:
        """Add the gates to the map. Raises :class:`PulseError` where there are none to start from."""
        orders = (self._qubits, self._qubits[::-1])
        for pair in orders:
            if self._map.has("ecr", pair):
                _add(self._map, "cx", pair, partial(self._cx_of_ecr, pair))
            if self._map.has("cz", pair):
                _add(self._map, "cx", pair, partial(self._cx_of_cz, pair))
        for pair in orders:
            for name, other in (("cx", self._other_cx), ("ecr", self._other_ecr), ("rzx", self._other_rzx)):
                if self._map.has(name, pair):
                    _add(self._map, name, pair[::-1], partial(other, pair[::-1]))
        if not self._map.has("cx", self._qubits):
            raise PulseError("neither ecr, cz nor cx in either direction", subject=f"pair {self._qubits}")

    def _get(self, name: str, qubits: tuple[int, int], *params: Value) -> Schedule:
        return target_qobj_transform(self._map.get(name, qubits, *params))

    def _turned(self, inside: Schedule) -> tuple[Schedule, Schedule, Schedule]:
        """Return h on both qubits before and after ``inside``."""
        both = _beside(*(gate.h() for gate in self._gates.values()))
        return both, inside, both

    # What the map holds are these methods with their pair, which can be pickled as functions inside a function cannot.

    def _cx_of_ecr(self, pair: tuple[int, int]) -> Schedule:
        """x(control)·ecr·rz(π/2)(control)·sx(target)."""
        first, last = (self._gates[qubit] for qubit in pair)
        return _in_turn("cx", first.get("x"), self._get("ecr", pair), first.rz(_HALF), last.get("sx"))

    def _cx_of_cz(self, pair: tuple[int, int]) -> Schedule:
        """h(target)·cz·h(target)."""
        turn = self._gates[pair[1]].h()
        return _in_turn("cx", turn, self._get("cz", pair), turn)

    def _other_cx(self, pair: tuple[int, int]) -> Schedule:
        """H on both, cx the other way, h on both."""
        return _in_turn("cx", *self._turned(self._get("cx", pair[::-1])))

    def _other_ecr(self, pair: tuple[int, int]) -> Schedule:
        """H on both, ecr the other way, z of its target, h on both, z of its control.

        ecr(a, b) is rzx(π/2)(a, b)·x(a), and so ecr(b, a) is h·ecr(a, b)·x(a)·h·x(b) with h on both qubits; each x
        moves through an h as a z.
        """
        before, there, after = self._turned(self._get("ecr", pair[::-1]))
        first, last = (self._gates[qubit].rz(math.pi) for qubit in pair)
        return _in_turn("ecr", before, there, first, after, last)

    def _other_rzx(self, pair: tuple[int, int], theta: Value) -> Schedule:
        """H on both, rzx the other way, h on both."""
        return _in_turn("rzx", *self._turned(self._get("rzx", pair[::-1], theta)))
