"""Gates that follow from others: u1, u2, u3 and id from sx and x; cx in both directions of a pair from ecr or cx.

Products are read in time: the first factor acts first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
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
        inst_map: has ``sx``, and for cx and id ``x``, of each qubit; of each pair ``ecr`` or ``cx`` in one direction.
        rz_channels: the channels whose phase ``rz`` of a qubit shifts.
        pairs: pairs of coupled qubits, in any order.

    Raises:
        PulseError: a qubit has no channels, or a pair neither ecr nor cx.

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
        _derive_cx(inst_map, rz_channels, a, b)


def _add(inst_map: InstructionScheduleMap, name: str, qubits: Any, definition: Callable[..., Schedule]) -> None:
    if not inst_map.has(name, qubits):
        inst_map.add(name, qubits, definition)


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
    whole = Schedule(name=name)
    for part in parts:
        whole.append(part, inplace=True)
    return whole


def _derive_cx(inst_map: InstructionScheduleMap, rz_channels: RzChannels, a: int, b: int) -> None:
    """Add cx of (a, b) and (b, a), the direct one from ecr if it is not there."""
    gates = {qubit: _OneQubit(inst_map, qubit, rz_channels[qubit]) for qubit in (a, b)}

    def direct(control: int, target: int) -> Callable[[], Schedule]:
        def cx() -> Schedule:
            # x(control)·ecr·rz(π/2)(control)·sx(target)
            ecr = target_qobj_transform(inst_map.get("ecr", (control, target)))
            first, last = gates[control], gates[target]
            return _in_turn("cx", first.get("x"), ecr, first.rz(_HALF), last.get("sx"))

        return cx

    def reverse(control: int, target: int) -> Callable[[], Schedule]:
        def cx() -> Schedule:
            # h on both, cx the other way, h on both
            turned = [gates[qubit].h() for qubit in (control, target)]
            there = target_qobj_transform(inst_map.get("cx", (target, control)))
            return _in_turn("cx", *turned, there, *turned)

        return cx

    for pair in ((a, b), (b, a)):
        if inst_map.has("ecr", pair):
            _add(inst_map, "cx", pair, direct(*pair))
    for pair in ((a, b), (b, a)):
        if inst_map.has("cx", pair):
            _add(inst_map, "cx", pair[::-1], reverse(*pair[::-1]))
    if not inst_map.has("cx", (a, b)):
        raise PulseError("neither ecr nor cx in either direction", subject=f"pair {(a, b)}")
