"""Many instructions at once are the same as one by one."""

from hypothesis import given
from hypothesis import strategies as st

from pulsed.pulse import Schedule
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire, Delay, Play, ShiftPhase
from pulsed.pulse.library import Constant

channels = st.sampled_from([DriveChannel(0), DriveChannel(1)])
instructions = st.one_of(
    st.builds(lambda n, c: Play(Constant(n, 0.1), c), st.integers(1, 30), channels),
    st.builds(Delay, st.integers(0, 30), channels),
    st.builds(ShiftPhase, st.floats(-3, 3), channels),
    st.just(Acquire(10, AcquireChannel(0), MemorySlot(0))),
)


def outcome(make):
    try:
        return make()
    except PulseError as error:
        return str(error)


@given(st.lists(st.tuples(st.integers(-2, 200), instructions), max_size=8))
def test_the_same_schedule_or_the_same_error(timed):
    expected = outcome(lambda: Schedule(*timed, name="s"))
    found = outcome(lambda: Schedule.from_instructions(timed, "s"))
    assert found == expected
    if isinstance(found, Schedule):
        assert found.instructions == expected.instructions
        assert found.timeslots == expected.timeslots
        assert found.duration == expected.duration
        assert found.name == "s"
