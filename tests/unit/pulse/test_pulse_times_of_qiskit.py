"""Random nested programs have the times that Qiskit 1.4 gave them.

``data/blocks_qiskit_1_4.json`` holds programs, each [context, duration, parts], with the times of their instructions as
``qiskit.pulse.transforms.block_to_schedule`` of 1.4.6 printed them, or null where it raised PulseError.
"""

import json
from pathlib import Path

import pytest

from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    ControlChannel,
    Delay,
    DriveChannel,
    MemorySlot,
    Play,
    PulseError,
    ScheduleBlock,
    ShiftPhase,
)
from pulsed.pulse.instructions import RelativeBarrier
from pulsed.pulse.serialize import dumps, loads
from pulsed.pulse.transforms import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignRight,
    AlignSequential,
    block_to_schedule,
)

PROGRAMS = json.loads((Path(__file__).parent / "data" / "blocks_qiskit_1_4.json").read_text())
CONTEXTS = {
    "left": lambda _: AlignLeft(),
    "right": lambda _: AlignRight(),
    "sequential": lambda _: AlignSequential(),
    "equispaced": AlignEquispaced,
    "func": lambda duration: AlignFunc(duration, lambda j: min(0.2 + 0.15 * j, 0.9)),
}


def line(name):
    return {"d": DriveChannel, "u": ControlChannel}[name[0]](int(name[1:]))


def build(form):
    kind, *rest = form
    if kind in CONTEXTS:
        block = ScheduleBlock(alignment_context=CONTEXTS[kind](rest[0]))
        for part in rest[1]:
            block.append(build(part))
        return block
    return {
        "play": lambda n, on: Play(Constant(n, 0.1), line(on)),
        "delay": lambda n, on: Delay(n, line(on)),
        "phase": lambda phase, on: ShiftPhase(phase, line(on)),
        "barrier": lambda lines: RelativeBarrier(*map(line, lines)),
        "acquire": lambda n, q: Acquire(n, AcquireChannel(q), MemorySlot(q)),
    }[kind](*rest)


@pytest.mark.parametrize("index", range(len(PROGRAMS)))
def test_times(index):
    known = PROGRAMS[index]
    block = build(known["program"])
    if known["times"] is None:
        with pytest.raises(PulseError):
            block_to_schedule(block, as_qiskit=True)
        return
    schedule = block_to_schedule(block, as_qiskit=True)
    times = [
        [t, type(i).__name__, sorted(channel.name for channel in i.channels), i.duration]
        for t, i in schedule.instructions
    ]
    assert sorted(times) == known["times"]
    assert schedule.duration == known["duration"]
    assert block_to_schedule(loads(dumps(block)), as_qiskit=True) == schedule
