"""Gates of any angle from the calibrated pulses: rx by one scaled pulse, rzz by a stretched cross resonance.

rx(θ) is the calibrated x with its amplitude times θ/π, and with it the derivative that DRAG adds; a virtual z that x
ends with goes with the square. The angle grows linearly with the amplitude, but for what the other levels change, and
an amplifier near its limit: at θ = π it is x itself, and between, on a transmon with DRAG, it is off by less than x.

rzz(θ) is the calibrated echo with shorter tones of the same height (:mod:`pulsed.compiler.cross_resonance`), between
two h of the target. The angle goes with the area of a tone but for its edges, where the other terms of the
interaction have another share, too: :data:`STRETCHED` is what this adds to the error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar

from qiskit.circuit import Parameter, ParameterExpression

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.cross_resonance import rzx_schedule
from pulsed.compiler.gates import GateInfo, GateKey, gate_table
from pulsed.compiler.instruction_table import NotLinearError
from pulsed.compiler.virtual_z import turned
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Drag
from pulsed.pulse.schedule import Schedule

THETA = Parameter("θ")
STRETCHED = 1e-3
"""Average infidelity that stretching adds at most to that of the calibrated gate, as seen on simulated chips."""


def part_of_half_turn(angle: ParameterExpression) -> ParameterExpression:
    """Return which part of π an angle is, from -1 to 1: the way round is shorter for one beyond."""
    return (angle / 2).tan().arctan() * (2 / math.pi)


@dataclass(frozen=True)
class FractionalRx:
    """rx(θ) of one qubit: its x, scaled."""

    channel_map: ChannelMap
    qubit: int
    x: GateInfo

    names: ClassVar = (THETA.name,)

    @property
    def duration(self) -> int:
        """In dt, the same for every angle."""
        return self.x.duration

    @property
    def error(self) -> float | None:
        """That of x, which no other angle exceeds: it takes as long, and what is wrong with its amplitude scales."""
        return self.x.error

    @cached_property
    def schedule(self) -> Schedule:
        """The pulses with their angle as a parameter."""
        part = part_of_half_turn(THETA)
        found = Schedule(name="rx")
        (play,) = [item for _, item in self.x.schedule.instructions if isinstance(item, Play)]
        pulse = play.pulse
        assert isinstance(pulse, Drag), "x is one pulse"
        scaled = Drag(
            pulse.duration, pulse.amp * part, pulse.sigma, pulse.beta, angle=pulse.angle, name=f"rx_q{self.qubit}"
        )
        found = found.insert(0, Play(scaled, play.channel))
        leftover = self.channel_map.calibration.get(f"Q{self.qubit}.x.phase", 0.0)
        return turned(self.channel_map, found, self.qubit, part**2 * leftover) if leftover else found

    def assigned(self, values: Sequence[float | ParameterExpression]) -> Schedule:
        """Return the pulses of one angle (rad), which may be bound later."""
        return self.schedule.assign_parameters({THETA: values[0]}, inplace=False)


@dataclass(frozen=True)
class FractionalRzz:
    """rzz(θ) of a pair with cross resonance, in either direction."""

    channel_map: ChannelMap
    pair: tuple[int, int]
    ecr: GateInfo
    flips: tuple[GateInfo, GateInfo]
    """x of control and target."""
    quarter: GateInfo
    """sx of the target."""

    names: ClassVar = (THETA.name,)

    @property
    def duration(self) -> int:
        """In dt, at θ = π/2; other angles are shorter or as long."""
        return self.schedule.duration

    @cached_property
    def schedule(self) -> Schedule:
        """The pulses of the longest, at θ = π/2."""
        return self.assigned([math.pi / 2])

    @cached_property
    def error(self) -> float | None:
        """An upper bound over all angles: its gates at θ = π/2, what waits beside each, and what stretching adds."""
        pair, *single = self.ecr.error, self.flips[0].error, self.quarter.error, self.quarter.error
        known = [part for part in single if part is not None]
        if pair is None or len(known) < len(single):
            return None
        calibration, dt = self.channel_map.calibration, float(self.channel_map.device.dt)
        control, target = self.pair
        waits = [(target, self.flips[0].duration), *[(control, self.quarter.duration)] * 2]
        # Of gates one after the other the infidelities of their processes add up: 5/4 of the average one of two
        # qubits, 3/2 of one.
        process = 1.25 * pair + 1.5 * sum(known)
        process += sum(1.5 * _idle(calibration, q, length * dt) for q, length in waits)
        return 0.8 * process + STRETCHED

    def assigned(self, values: Sequence[float | ParameterExpression]) -> Schedule:
        """Return the pulses of one angle, rad. Raises :class:`NotLinearError` for one that is bound later."""
        (angle,) = values
        if isinstance(angle, ParameterExpression) and angle.parameters:
            raise NotLinearError(
                "an unbound angle of rzz, which tells how long it is", subject=f"rzz on {self.pair}", value=str(angle)
            )
        control, target = self.pair
        turn = rzx_schedule(
            self.channel_map, control, target, float(angle), (self.flips[0].schedule, self.flips[1].schedule)
        )
        found = self._with_h(Schedule(name="rzz"))
        return self._with_h(found.insert(found.duration, turn))

    def _with_h(self, schedule: Schedule) -> Schedule:
        """Return ``schedule`` with h of the target at its end."""
        target = self.pair[1]
        schedule = turned(self.channel_map, schedule, target, math.pi / 2)
        schedule = schedule.insert(schedule.duration, self.quarter.schedule)
        return turned(self.channel_map, schedule, target, math.pi / 2)


FractionalGate = FractionalRx | FractionalRzz


def _idle(calibration: CalibrationSet, qubit: int, seconds: float) -> float:
    """Return the average infidelity of waiting; 0 for a qubit of which nothing is known."""
    found = 0.0
    for name, share in (("t1", 1 / 6), ("t2", 1 / 3)):
        if calibration.has(f"Q{qubit}.{name}"):
            found += share * (1 - math.exp(-seconds / calibration.number(f"Q{qubit}.{name}")))
    return found


def fractional_gates(channel_map: ChannelMap, table: Mapping[GateKey, GateInfo]) -> dict[GateKey, FractionalGate]:
    """Return the gates of any angle that follow from ``table``; both directions of a pair are one."""
    found: dict[GateKey, FractionalGate] = {}
    for (name, qubits), info in table.items():
        if name == "x":
            found["rx", qubits] = FractionalRx(channel_map, qubits[0], info)
        if name != "ecr":
            continue
        control, target = qubits
        flips, quarter = (table.get(("x", (control,))), table.get(("x", (target,)))), table.get(("sx", (target,)))
        if flips[0] is not None and flips[1] is not None and quarter is not None:
            gate = FractionalRzz(channel_map, (control, target), info, (flips[0], flips[1]), quarter)
            found["rzz", qubits] = found["rzz", qubits[::-1]] = gate
    return found


def add_fractional(result: InstructionScheduleMap, device: DeviceDescription, calibration: CalibrationSet) -> None:
    """Add the gates of any angle to the map of all gates; rzz is made when it is asked for."""
    for (name, qubits), gate in fractional_gates(
        ChannelMap(device, calibration), gate_table(device, calibration)
    ).items():
        if isinstance(gate, FractionalRx):
            result.add(name, qubits, gate.schedule, [THETA.name], derived=True)
        else:
            result.add(name, qubits, partial(_made, gate), derived=True)


def _made(gate: FractionalRzz, theta: float | ParameterExpression) -> Schedule:
    return gate.assigned([theta])
