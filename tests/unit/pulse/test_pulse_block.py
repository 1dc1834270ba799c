"""Alignment contexts against placement by hand, references, and equality of blocks."""

from contextlib import nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

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
    SetPhase,
    ShiftPhase,
    UnassignedDurationError,
    UnassignedReferenceError,
)
from pulsed.pulse.filters import with_intervals
from pulsed.pulse.instructions import Reference, RelativeBarrier, TimeBlockade
from pulsed.pulse.transforms import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignRight,
    AlignSequential,
    block_to_schedule,
    inline_subroutines,
    schedule_to_block,
)

D = [DriveChannel(i) for i in range(4)]


def play(duration, line=0, amp=0.1):
    return Play(Constant(duration, amp), D[line])


def block(*parts, context=None, name="b"):
    made = ScheduleBlock(name=name, alignment_context=context)
    for part in parts:
        made.append(part)
    return made


instructions = st.one_of(
    st.builds(play, st.integers(1, 12), st.integers(0, 3)),
    st.builds(lambda n, line: Delay(n, D[line]), st.integers(1, 12), st.integers(0, 3)),
    st.builds(lambda lines: RelativeBarrier(*(D[i] for i in sorted(lines))), st.sets(st.integers(0, 3), min_size=2)),
    st.builds(lambda n, q: Acquire(n, AcquireChannel(q), MemorySlot(q)), st.integers(1, 12), st.integers(0, 1)),
    st.builds(lambda line: ShiftPhase(0.5, D[line]), st.integers(0, 3)),
)
parts = st.lists(instructions, max_size=15)


def by_hand(items):
    """Earliest times: step t from zero until all that precedes on a common channel has ended."""
    placed = []
    for item in items:
        t = 0
        while any(set(item.channels) & set(i.channels) and at + i.duration > t for at, i in placed):
            t += 1
        placed.append((t, item))
    return placed


@given(parts)
@settings(deadline=None)
def test_left_is_as_early_as_possible(items):
    assert block_to_schedule(block(*items)) == Schedule(*by_hand(items))


@given(parts)
@settings(deadline=None)
def test_right_is_the_mirror_of_left(items):
    mirrored = by_hand(items[::-1])[::-1]
    total = max((t + i.duration for t, i in mirrored), default=0)
    expected = Schedule(*((total - t - i.duration, i) for t, i in mirrored))
    assert block_to_schedule(block(*items, context=AlignRight())) == expected


@given(parts)
@settings(deadline=None)
def test_sequential_is_one_after_the_other(items):
    now, expected = 0, []
    for item in items:
        expected.append((now, item))
        now += item.duration
    made = block_to_schedule(block(*items, context=AlignSequential()))
    assert made == Schedule(*expected)
    assert made.duration == now


@given(st.lists(st.integers(1, 20), min_size=2, max_size=8), st.integers(0, 60))
@settings(deadline=None)
def test_equispaced_has_equal_gaps_and_even_ends(lengths, slack):
    total = sum(lengths) + slack
    made = block_to_schedule(block(*map(play, lengths), context=AlignEquispaced(total)))
    times = [t for t, _ in made.instructions]
    gaps = {b - a - n for a, b, n in zip(times, times[1:], lengths, strict=False)}
    assert gaps == {slack // (len(lengths) - 1)}
    before, after = times[0], total - times[-1] - lengths[-1]
    assert before - after in (0, 1)


@given(st.lists(st.integers(1, 10), min_size=1, max_size=6), st.integers(100, 400))
@settings(deadline=None)
def test_func_places_centres(lengths, total):
    def fraction(j):
        return j / (len(lengths) + 1)

    made = block_to_schedule(block(*(play(n) for n in lengths), context=AlignFunc(total, fraction)))
    for j, (t, item) in enumerate(made.instructions, 1):
        assert 0 <= fraction(j) * total - (t + item.duration / 2) < 1


def test_too_short_a_duration_gives_a_sequence():
    for context in (AlignEquispaced(10), AlignFunc(10, lambda j: 0.5)):
        assert block_to_schedule(block(play(8), play(7), context=context)) == Schedule(play(8), (8, play(7)))


def outer_times(schedule, line=D[0]):
    return [time for time, part in schedule.instructions if isinstance(part, Play) and part.channel == line]


@pytest.mark.parametrize("context", [AlignLeft(), AlignRight(), AlignSequential()], ids=repr)
@pytest.mark.parametrize("deep", [False, True])
def test_an_echo_keeps_the_gaps_of_its_context(context, deep):
    """A half turn in the middle of 400 dt between two quarter turns, also when it is nested once more."""
    echo = block(play(100), context=AlignEquispaced(400))
    made = block(play(100), block(echo, context=AlignSequential()) if deep else echo, play(100), context=context)
    differs = outer_times(block_to_schedule(made, as_qiskit=True)) != [0, 250, 500]
    with pytest.warns(UserWarning, match="other times than in Qiskit 1.4") if differs else nullcontext():
        schedule = block_to_schedule(made)
    assert outer_times(schedule) == [0, 250, 500]
    assert not any(isinstance(part, TimeBlockade) for _, part in schedule.instructions)


def test_what_qiskit_made_of_an_echo():
    echo = block(play(100), context=AlignEquispaced(400))
    made = block(play(100), echo, play(100), context=AlignLeft())
    assert outer_times(block_to_schedule(made, as_qiskit=True)) == [0, 150, 250]
    alone = block(echo, context=AlignLeft())
    assert outer_times(block_to_schedule(alone, as_qiskit=True)) == [300]
    with pytest.warns(UserWarning, match="other times than in Qiskit 1.4"):
        schedule = block_to_schedule(alone)
    assert outer_times(schedule) == [150]
    assert schedule.duration == 400


blocks_of_two_lines = st.recursive(
    st.builds(play, st.integers(1, 40), st.integers(0, 1)),
    lambda parts: st.builds(
        lambda items, kind, total: block(*items, context=kind(total)), st.lists(parts, min_size=1, max_size=4),
        st.sampled_from([
            lambda _: AlignLeft(), lambda _: AlignRight(), lambda _: AlignSequential(), AlignEquispaced,
            lambda total: AlignFunc(total, lambda j: j / 5),
        ]),
        st.integers(200, 4000),
    ),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*other times than in Qiskit 1.4")
@settings(max_examples=200, deadline=None)
@given(blocks_of_two_lines, st.sampled_from([AlignLeft(), AlignRight(), AlignSequential()]), st.integers(1, 50))
def test_a_context_of_a_duration_takes_all_of_it_wherever_it_is_nested(inner, outer, length):
    """Between two pulses on its channels a context plays as by itself, and its duration lies between them."""
    if not isinstance(inner, ScheduleBlock) or not hasattr(inner.alignment_context, "duration"):
        return
    try:
        alone = block_to_schedule(inner)
    except PulseError:
        return
    lines = sorted(alone.channels, key=str)
    barrier = RelativeBarrier(*D[:2])
    ends = [play(length, line.index) for line in lines]
    if alone.duration > inner.alignment_context.duration:
        return
    made = block_to_schedule(block(*ends, barrier, inner, barrier, *ends, context=outer))
    before = length * (len(ends) if isinstance(outer, AlignSequential) else 1)
    total = inner.alignment_context.duration
    for line in lines:
        times = outer_times(made, line)
        assert times[1:-1] == [before + time for time in outer_times(alone, line)]
    assert min(outer_times(made, line)[-1] for line in lines) == before + total


def test_single_part_of_equispaced_is_in_the_middle():
    assert block(play(10), context=AlignEquispaced(100)).instructions == ((45, play(10)),)


@pytest.mark.parametrize("fraction", [0.01, 1.2, float("nan")])
def test_func_outside_of_the_duration_is_refused(fraction):
    with pytest.raises(PulseError, match="part 1"):
        block_to_schedule(block(play(10), context=AlignFunc(100, lambda j: fraction)))


def test_overlap_by_a_function_is_refused():
    with pytest.raises(PulseError, match="overlaps"):
        block_to_schedule(block(play(10), play(10), context=AlignFunc(100, lambda j: 0.5)))


def test_nested_blocks_move_as_a_whole():
    inner = block(play(10, 0), play(5, 1))
    made = block_to_schedule(block(inner, play(4, 0), play(3, 1)))
    assert made == Schedule(play(10, 0), play(5, 1), (10, play(4, 0)), (5, play(3, 1)))
    right = block(play(10, 0), play(5, 1), context=AlignRight())
    assert block_to_schedule(block(play(7, 1), right)) == Schedule(play(7, 1), (2, play(10, 0)), (7, play(5, 1)))
    assert block_to_schedule(block(play(4, 1), inner, context=AlignRight())) == Schedule(
        play(4, 1), (4, play(10, 0)), (4, play(5, 1))
    )


def test_frame_changes_of_one_time_keep_their_order_in_every_context():
    changes = [ShiftPhase(0.1, D[0]), SetPhase(0.2, D[0]), ShiftPhase(0.3, D[0])]
    for context in (AlignLeft(), AlignRight(), AlignSequential()):
        made = block_to_schedule(block(*changes, play(3), context=context))
        assert [i for _, i in made.instructions] == [*changes, play(3)]


@given(st.lists(st.tuples(st.integers(0, 60), instructions), max_size=10))
@settings(deadline=None)
def test_a_schedule_becomes_a_block_with_the_same_times(items):
    schedule = Schedule()
    for item in items:
        if isinstance(item[1], RelativeBarrier):
            continue
        try:
            schedule.insert(*item, inplace=True)
        except PulseError:
            continue
    again = block_to_schedule(schedule_to_block(schedule))
    assert again.exclude(instruction_types=TimeBlockade) == schedule
    assert again.duration == schedule.duration
    assert all(again.ch_duration(line) == schedule.duration for line in schedule.channels)


@given(parts, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_equality_is_that_of_order_on_each_channel(items, random):
    one = block(*items)
    shuffled = items.copy()
    # swap neighbours without a common channel: nothing can tell
    for _ in range(20):
        if len(shuffled) > 1:
            k = random.randrange(len(shuffled) - 1)
            if not set(shuffled[k].channels) & set(shuffled[k + 1].channels):
                shuffled[k], shuffled[k + 1] = shuffled[k + 1], shuffled[k]
    assert one == block(*shuffled)
    assert block_to_schedule(one) == block_to_schedule(block(*shuffled))
    random.shuffle(shuffled)
    if one == block(*shuffled):
        for line in one.channels:
            assert [i for i in items if line in i.channels] == [i for i in shuffled if line in i.channels]


def test_what_equality_tells_apart():
    assert block(play(10), play(5)) != block(play(5), play(10))
    assert block(play(10), play(5, 1)) == block(play(5, 1), play(10), name="other")
    sequence = AlignSequential()
    assert block(play(10), play(5, 1), context=sequence) != block(play(5, 1), play(10), context=sequence)
    assert block(play(10)) != block(play(10), context=AlignRight())
    barrier = RelativeBarrier(D[0], D[1])
    assert block(play(10), play(5, 1), barrier, play(3, 1)) != block(play(5, 1), barrier, play(10), play(3, 1))
    assert block(play(10)) != Schedule(play(10))


def test_append_and_add():
    one = block(play(3))
    longer = one + play(4)
    assert len(one) == 1
    assert len(longer) == 2
    assert one.append(play(4)) is one
    assert one == longer
    one.append(one)
    assert len(one) == 3
    assert one.duration == 14
    for wrong in (3, Schedule(play(3))):
        with pytest.raises(PulseError, match="cannot be part"):
            one.append(wrong)
    with pytest.raises(PulseError, match="alignment context"):
        ScheduleBlock(alignment_context=3)


def test_filter_keeps_nesting():
    made = block(play(3), block(play(4, 1), play(5, 0)), block(play(6, 1)))
    assert made.filter(channels=[D[0]]) == block(play(3), block(play(5, 0)))
    assert made.exclude(channels=[D[0]]) == block(block(play(4, 1)), block(play(6, 1)))
    assert made.filter(lambda instruction: instruction.duration > 4) == block(block(play(5, 0)), block(play(6, 1)))
    with pytest.raises(PulseError, match="no time"):
        with_intervals((0, 10))(play(3))


def test_replace_reaches_nested_blocks():
    made = block(play(3), block(play(3), play(4)))
    assert made.replace(play(3), play(5), inplace=False) == block(play(5), block(play(5), play(4)))
    assert made == block(play(3), block(play(3), play(4)))


def test_late_durations():
    p = Parameter("p")
    made = block(Play(Gaussian(p, 0.1, 3), D[0]), play(5), context=AlignEquispaced(4 * p))
    assert made.parameters == {p}
    assert not made.is_schedulable()
    with pytest.raises(UnassignedDurationError, match="p"):
        _ = made.duration
    with pytest.raises(UnassignedDurationError):
        block_to_schedule(block(play(3), context=AlignEquispaced(p)))
    bound = made.assign_parameters({p: 20}, inplace=False)
    assert bound.is_schedulable()
    assert bound.alignment_context == AlignEquispaced(80)
    assert bound.instructions[1] == (75, play(5))
    assert made.parameters == {p}


class TestReferences:
    sub = block(play(8, 1), name="sub")

    def test_are_assigned(self):
        made = block(Reference("x", "q1"), play(3))
        assert made.is_referenced()
        assert made.references.unassigned() == (("x", "q1"),)
        for attribute in ("duration", "channels", "instructions"):
            with pytest.raises(UnassignedReferenceError, match="x"):
                getattr(made, attribute)
        full = made.assign_references({("x", "q1"): self.sub}, inplace=False)
        assert full == block(self.sub, play(3))
        assert full.references[("x", "q1")] is self.sub
        assert full.references.unassigned() == ()
        assert made.references.unassigned() == (("x", "q1"),)
        assert inline_subroutines(full).references == {}
        assert inline_subroutines(full) == full

    def test_in_nested_blocks_are_of_the_same_scope(self):
        made = block(Reference("x"), block(Reference("y"), name="inner"))
        assert list(made.references) == [("x",), ("y",)]
        made.assign_references({"y": self.sub, "x": block(Reference("z"))})
        assert list(made.references) == [("x",), ("y",)]
        assert made.references[("x",)].references.unassigned() == (("z",),)
        made.references[("x",)].assign_references({"z": self.sub})
        assert made.duration == 16
        assert made == block(block(self.sub), block(self.sub))

    def test_take_one_subroutine(self):
        made = block(Reference("x"))
        made.assign_references({"x": self.sub})
        made.assign_references({"x": block(play(8, 1))})
        with pytest.raises(PulseError, match="already assigned"):
            made.assign_references({"x": block(play(9, 1))})
        other = block(Reference("x")).assign_references({"x": block(play(9, 1))})
        with pytest.raises(PulseError, match="already assigned"):
            made.append(other)

    def test_wrong_assignments_change_nothing(self):
        made = block(Reference("x"))
        for wrong in ({"y": self.sub}, {"x": 3}, {"x": self.sub, "y": self.sub}, {3: self.sub}):
            with pytest.raises(PulseError):
                made.assign_references(wrong)
            assert made.references.unassigned() == (("x",),)

    def test_must_not_be_cyclic(self):
        first, second = block(Reference("x")), block(Reference("y"))
        first.assign_references({"x": second})
        for wrong in (
            lambda: second.assign_references({"y": first}),
            lambda: first.assign_references({"x": first}),
            lambda: second.append(first),
            lambda: second.append_subroutine(Reference("z"), block(first)),
        ):
            with pytest.raises(PulseError, match="cyclic"):
                wrong()

    def test_parameters_of_subroutines_belong_to_the_program(self):
        p = Parameter("p")
        made = block(Reference("x")).assign_references({"x": block(play(8, 1, p))})
        assert made.parameters == {p}
        made.assign_parameters({p: 0.5})
        assert made.references[("x",)] == block(play(8, 1, 0.5))


def test_repr():
    made = block(play(3), name="n")
    assert repr(made) == f'ScheduleBlock({play(3)!r}, name="n", transform=AlignLeft())'
    assert repr(AlignEquispaced(100)) == "AlignEquispaced(100)"
    assert str(block(Reference("x")).references) == "ReferenceManager:\n  - ('x',): None"
