"""Schedules as flat rows: one look per distinct instruction changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.compile import Compiler
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.instruction_table import flatten
from pulsed.model.errors import LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire, Delay, Play, SetFrequency, SetPhase, ShiftFrequency, ShiftPhase
from pulsed.pulse.library import Constant, Drag, Gaussian
from pulsed.pulse.schedule import Schedule

PULSES = [Drag(32, 0.4, sigma=8, beta=0.5, angle=0.3), Drag(32, 0.8, sigma=8, beta=0.5), Gaussian(64, 0.3, sigma=16)]
LINES = [DriveChannel, MeasureChannel, ControlChannel]
KINDS = [ShiftPhase, SetPhase, ShiftFrequency, SetFrequency]

channels = st.builds(lambda line, index: line(index), st.sampled_from(LINES), st.integers(0, 2))
values = st.one_of(st.floats(-1e6, 1e6), st.integers(-3, 3))
played = st.builds(Play, st.sampled_from(PULSES), channels)
turned = st.builds(lambda kind, value, channel: kind(value, channel), st.sampled_from(KINDS), values, channels)
waits = st.builds(Delay, st.integers(0, 64), channels)
records = st.builds(lambda q: Acquire(64, AcquireChannel(q), MemorySlot(4 - q)), st.integers(0, 4))
timed = st.lists(st.tuples(st.integers(0, 40).map(lambda t: 8 * t), st.one_of(played, turned, waits, records)))


def built(rows, nested):
    """Return a schedule of what does not overlap, every other part inside another schedule."""
    schedule = Schedule()
    for number, (time, instruction) in enumerate(rows):
        inner = Schedule((8, instruction)) if nested and number % 2 else instruction
        try:
            schedule = schedule.insert(time, inner)
        except PulseError:
            continue
    return schedule


@settings(max_examples=60, deadline=None)
@given(rows=timed, nested=st.booleans())
def test_rows_are_those_of_each_instruction_alone_in_the_order_of_the_schedule(device, calibration, rows, nested):
    channel_map, table = ChannelMap(device, calibration), EnvelopeTable()
    schedule = built(rows, nested)
    found = flatten(schedule.unordered(), channel_map, table)
    alone = [flatten([item], channel_map, table) for item in schedule.instructions]
    assert found.tolist() == [row for rows in alone for row in rows.tolist()]


def test_one_pulse_on_two_channels_and_two_pulses_on_one_are_told_apart(compiler):
    first, second = PULSES[:2]
    schedule = Schedule(
        (0, Play(first, DriveChannel(0))), (0, Play(first, DriveChannel(1))), (32, Play(second, DriveChannel(0))),
        (64, Play(first, DriveChannel(0))), (200, Acquire(400, AcquireChannel(0), MemorySlot(0))),
    )  # fmt: skip
    (chunk,) = compiler.compile([schedule], RunOptions())
    events = chunk.array(chunk.programs[0].events)
    slots = [chunk.head.slots[slot].channel for slot in events["slot"]]
    peak = float(np.abs(PULSES[0].normalized()).max())
    assert slots == ["d0", "d0", "d0", "d1"]
    assert events["amplitude"] == pytest.approx([0.4 * peak, 0.8 * peak, 0.4 * peak, 0.4 * peak])


def test_an_instruction_without_a_number_is_refused_also_after_its_like(device, calibration):
    late = Parameter("late")
    rows = [(0, ShiftPhase(0.1, DriveChannel(0))), (8, ShiftPhase(late, DriveChannel(0)))]
    with pytest.raises(LoweringError, match=r"at 8 dt.*late"):
        flatten(rows, ChannelMap(device, calibration), EnvelopeTable())


def test_late_values_follow_their_rows_into_the_order_of_time(device, calibration):
    late, compiler = Parameter("late"), Compiler(device, calibration)
    parts = [
        (64, Play(Drag(32, late, sigma=8, beta=0.5), DriveChannel(0))),
        (0, Play(Constant(32, 0.5), DriveChannel(0))),
        (32, ShiftPhase(2 * late, DriveChannel(0))),
        (200, Acquire(400, AcquireChannel(0), MemorySlot(0))),
    ]
    bound = np.array([0.1, 0.7])
    (chunk,) = compiler.sweep(Schedule(*parts), {late: bound}, RunOptions())
    for plain, value in zip(chunk.unrolled().programs, bound, strict=True):
        numbers = Schedule(*parts).assign_parameters({late: value})
        (other,) = compiler.compile([numbers], RunOptions())
        mine, theirs = chunk.unrolled().array(plain.events), other.array(other.programs[0].events)
        for name in ("time", "amplitude", "phase", "frequency"):
            assert mine[name] == pytest.approx(theirs[name]), name
