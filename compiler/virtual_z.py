"""Virtual rotations about z in schedules of gates: shifts of every frame at a qubit's frequency."""

from __future__ import annotations

from qiskit.circuit import Parameter

from pulsed.compiler.channel_map import ChannelMap
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instructions import ShiftPhase
from pulsed.pulse.schedule import Schedule


def turned(channel_map: ChannelMap, schedule: Schedule, qubit: int, angle: float | Parameter) -> Schedule:
    """Add rz(angle) of ``qubit`` at the end: a shift of every frame at that qubit's frequency."""
    end = schedule.duration
    for row in channel_map.frames_of_qubit[qubit]:
        schedule = schedule.insert(end, ShiftPhase(rz_phase(angle), channel_map.lines[row].channel))
    return schedule


def straightened(
    channel_map: ChannelMap, schedule: Schedule, control: int, target: int, gate: str, part: float = 1.0
) -> Schedule:
    """Add the virtual z of either qubit that a pair's gate ends with; ``part`` of the target's."""
    for qubit, name, factor in ((control, "rz_control", 1.0), (target, "rz_target", part)):
        leftover = channel_map.calibration.get(f"Q{control}-Q{target}.{gate}.{name}", 0.0)
        if leftover:
            schedule = turned(channel_map, schedule, qubit, leftover * factor)
    return schedule
