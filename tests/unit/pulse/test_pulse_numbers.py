"""Numbers of numpy are the numbers they stand for, wherever one is taken; truth values are none."""

import numpy as np
import pytest
from qiskit.circuit import Parameter, ParameterVector

from pulsed import pulse
from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    Delay,
    DriveChannel,
    Gaussian,
    MemorySlot,
    Play,
    PulseError,
    Schedule,
    ScheduleBlock,
    SetFrequency,
    ShiftPhase,
    channels,
)
from pulsed.pulse.serialize import dumps, loads
from pulsed.pulse.transforms import AlignEquispaced, block_to_schedule

P = Parameter("p")
LINE = DriveChannel(0)
WHOLE = [np.int64, np.int8, np.uint8, np.uint64, np.float64, np.float32, np.float16, np.array, float, complex]
REAL = [*WHOLE, np.longdouble, np.complex64, np.complex128]


def given(make):
    """What ``make`` makes of a number at once, and of a parameter that gets it later."""
    return {
        "at once": make,
        "late": lambda value: ScheduleBlock().append(make(P)).assign_parameters({P: value}, inplace=False).blocks[0],
        "by name": lambda value: (
            ScheduleBlock().append(make(P)).assign_parameters({"p": value}, inplace=False).blocks[0]
        ),
    }


DURATIONS = {
    "Delay": lambda n: Delay(n, LINE),
    "Acquire": lambda n: Acquire(n, AcquireChannel(0), MemorySlot(0)),
    "Play": lambda n: Play(Constant(n, 0.1), LINE),
    "gaussian_square_echo": lambda n: Play(pulse.gaussian_square_echo(n, 0.1, 2, 8), LINE),
}
VALUES = {
    "ShiftPhase": lambda x: ShiftPhase(x, LINE),
    "SetFrequency": lambda x: SetFrequency(x, LINE),
    "amp": lambda x: Play(Constant(16, x / 32), LINE),
    "angle": lambda x: Play(Constant(16, 0.1, x), LINE),
    "sigma": lambda x: Play(Gaussian(16, 0.1, x), LINE),
}


@pytest.mark.parametrize("how", ["at once", "late", "by name"])
@pytest.mark.parametrize("place", DURATIONS)
@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.__name__)
def test_durations(place, how, kind):
    if kind in (np.array, complex) and how == "at once":
        with pytest.raises(PulseError):
            given(DURATIONS[place])[how](kind(16))
        return
    made = given(DURATIONS[place])[how](kind(16))
    assert made == DURATIONS[place](16)
    assert type(made.duration) is int
    for wrong in (16.5, -1, np.nan):
        with pytest.raises(PulseError):
            given(DURATIONS[place])[how](np.float32(wrong))


@pytest.mark.parametrize("how", ["at once", "late"])
@pytest.mark.parametrize("place", VALUES)
@pytest.mark.parametrize("kind", REAL, ids=lambda kind: kind.__name__)
def test_values(place, how, kind):
    make = given(VALUES[place])[how]
    made = make(kind(3))
    assert made == VALUES[place](3)
    assert loads(dumps(Schedule(made))).instructions[0][1] == made
    assert all(
        type(value) in (int, float) for value in (made.operands[0],) if not isinstance(value, pulse.library.Pulse)
    )


@pytest.mark.parametrize("how", ["at once", "late"])
@pytest.mark.parametrize("place", [*DURATIONS, *VALUES])
@pytest.mark.parametrize("value", [True, np.True_, np.array(True), 1j, np.complex64(1j), np.array([1.0]), "1", None])
def test_what_is_no_number_is_refused(place, how, value):
    make = {**DURATIONS, **VALUES}[place]
    if place == "amp" and how == "at once":
        make = lambda x: Play(Constant(16, x), LINE)  # noqa: E731 - the same without a division
    with pytest.raises(PulseError):
        given(make)[how](value)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_indices_of_channels(kind):
    assert DriveChannel(kind(2)) == DriveChannel(2)
    assert type(DriveChannel(kind(2)).index) is int
    late = ScheduleBlock().append(Delay(8, DriveChannel(P)))
    assert late.assign_parameters({P: kind(2)}, inplace=False).blocks == (Delay(8, DriveChannel(2)),)
    for wrong in (True, np.True_, 1.5, -1, "1", 1j):
        with pytest.raises(PulseError):
            late.assign_parameters({P: wrong}, inplace=False)
        with pytest.raises(PulseError):
            DriveChannel(wrong)


@pytest.mark.parametrize("kind", [channels.Channel, channels.PulseChannel, channels.ClassicalIOChannel])
def test_abstract_channels_are_not_made(kind):
    with pytest.raises(PulseError, match=f"{kind.__name__}: this kind of channel is abstract.*DriveChannel"):
        kind(0)


def test_arrays_of_numpy_for_a_vector_and_a_duration_of_a_context():
    vector = ParameterVector("v", 2)
    made = Schedule(*(ShiftPhase(one, LINE) for one in vector))
    values = np.array([0.5, 0.25], np.float32)
    assert made.assign_parameters({vector: values}, inplace=False) == Schedule(
        *(ShiftPhase(x, LINE) for x in (0.5, 0.25))
    )
    block = ScheduleBlock(alignment_context=AlignEquispaced(P)).append(Delay(8, LINE))
    assert block_to_schedule(block.assign_parameters({P: np.int64(16)}, inplace=False)).instructions[0][0] == 4
