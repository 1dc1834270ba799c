"""Whether a pulse program keeps to its qubits."""

import pytest

from pulsed import pulse
from pulsed.compiler.channel_use import foreign_channel

TONE = pulse.Constant(64, 0.1)
U0 = pulse.ControlChannel(0)  # of the pair (0, 1)


@pytest.mark.parametrize(
    ("instruction", "qubits", "channel"),
    [
        (pulse.Play(TONE, pulse.DriveChannel(1)), (1,), None),
        (pulse.Play(TONE, pulse.DriveChannel(1)), (0,), "d1"),
        (pulse.Play(TONE, pulse.MeasureChannel(2)), (0, 2), None),
        (pulse.Acquire(64, pulse.AcquireChannel(2), pulse.MemorySlot(0)), (1,), "a2"),
        (pulse.Acquire(64, pulse.AcquireChannel(2), pulse.MemorySlot(0)), (2,), None),
        (pulse.Play(TONE, U0), (1, 0), None),
        (pulse.Play(TONE, U0), (1,), "u0"),
        (pulse.Delay(64, U0), (1,), "u0"),
        (pulse.ShiftPhase(0.1, U0), (1,), None),
        (pulse.ShiftPhase(0.1, U0), (0,), "u0"),
        (pulse.ShiftPhase(0.1, pulse.ControlChannel(99)), (0, 1), "u99"),
    ],
)
@pytest.mark.parametrize("block", [False, True])
def test_channels_are_those_of_the_qubits(device, instruction, qubits, channel, block):
    program = pulse.ScheduleBlock() if block else pulse.Schedule()
    found = foreign_channel(program.append(instruction, inplace=False), qubits, device)
    assert (None if found is None else found.name) == channel
