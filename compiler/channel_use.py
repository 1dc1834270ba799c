"""Which qubits the channels of a pulse program belong to."""

from __future__ import annotations

from collections.abc import Collection

from pulsed.model.device import DeviceDescription
from pulsed.pulse.channels import AcquireChannel, Channel, ControlChannel, PulseChannel
from pulsed.pulse.instructions import Delay, Instruction, Play
from pulsed.pulse.schedule import Schedule, ScheduleBlock, instructions_of


def foreign_channel(
    program: Schedule | ScheduleBlock, qubits: Collection[int], device: DeviceDescription
) -> Channel | None:
    """Return a channel on which ``program`` acts on other qubits than these, None if there is none.

    What is played on a control channel acts on both qubits of its pair; its frame is the target's alone. The scheduler
    knows a gate by its qubits: what is on the line of another one could fall together with its gates.
    """
    known = set(qubits)
    for instruction in instructions_of(program):
        for channel in instruction.channels:
            if (
                isinstance(channel, PulseChannel | AcquireChannel)
                and not _acts_on(instruction, channel, device) <= known
            ):
                return channel
    return None


def _acts_on(instruction: Instruction, channel: Channel, device: DeviceDescription) -> set[int]:
    """Return the qubits; -1, which is none of a rack, for a channel that it lacks."""
    if not isinstance(channel, ControlChannel):
        return {channel.index}
    if channel.index >= len(device.couplings):
        return {-1}
    pair = device.couplings[channel.index]
    if pair.flux is None and not isinstance(instruction, Play | Delay):
        return {pair.target}
    return {pair.control, pair.target}
