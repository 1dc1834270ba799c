"""Pulse programs as bytes: exact round trips, a hash of the content, and nothing but typed errors for other bytes."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit import Parameter

from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    ControlChannel,
    Delay,
    Discriminator,
    Drag,
    DriveChannel,
    Gaussian,
    GaussianSquare,
    Kernel,
    MeasureChannel,
    MemorySlot,
    Play,
    PulseError,
    RegisterSlot,
    Schedule,
    ScheduleBlock,
    Sech,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
    Sin,
    Snapshot,
    SymbolicPulse,
    Waveform,
    gaussian_square_echo,
)
from pulsed.pulse.exceptions import SerialisationError
from pulsed.pulse.instructions import EnterFrame, Instruction, LeaveFrame, Reference, RelativeBarrier, TimeBlockade
from pulsed.pulse.serialize import MAGIC, content_hash, dumps, loads
from pulsed.pulse.transforms import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignmentKind,
    AlignRight,
    AlignSequential,
    flatten,
)

numbers = st.one_of(st.floats(-1e12, 1e12), st.integers(-(2**60), 2**60))
amps = st.floats(-0.9, 0.9)
lengths = st.integers(1, 50)
names = st.one_of(st.none(), st.text(max_size=5))
pulse_lines = st.sampled_from([DriveChannel, MeasureChannel, ControlChannel])
lines = st.builds(lambda kind, i: kind(i), pulse_lines, st.integers(0, 3))
pulses = st.one_of(
    st.builds(lambda n, a, name: Constant(n, a, name=name), lengths, amps, names),
    st.builds(Gaussian, lengths, amps, st.floats(1, 9), numbers),
    st.builds(lambda n, a, b: Drag(n, a / 3, 10, b), lengths, amps, st.floats(-9, 9)),
    st.builds(lambda n, a: GaussianSquare(n, a, 3, n / 2), lengths, amps),
    st.builds(lambda n, a, z: Sech(n, a, 3, zero_ends=z), lengths, amps, st.booleans()),
    st.builds(lambda n, a: Sin(n, a, 0.3, 0.1), lengths, amps),
    st.builds(lambda n, a: gaussian_square_echo(2 * n, a / 2, 3, 1.5 * n, active_amp=0.1), lengths, amps),
    st.builds(lambda a, g: Constant(9, 3 * a, limit_amplitude=False), amps, amps),
    st.builds(
        lambda v: Waveform(np.array(v) * 0.7), st.lists(st.complex_numbers(max_magnitude=1.4), min_size=1, max_size=9)
    ),
)
kernels = st.builds(
    lambda w, make, name: Kernel(name, weights=make(w), other=[1, "a", None]), st.lists(st.floats(-1, 1)),
    st.sampled_from([np.array, list, lambda w: {"w": [np.array(w), w]}]), names,
)  # fmt: skip
instructions = st.one_of(
    st.builds(lambda p, line, name: Play(p, line, name=name), pulses, lines, names),
    st.builds(Delay, st.integers(0, 2**40), lines),
    st.builds(
        lambda kind, v, line: kind(v, line),
        st.sampled_from([SetFrequency, ShiftFrequency, SetPhase, ShiftPhase]),
        numbers,
        lines,
    ),
    st.builds(
        lambda kind, f, phase, line: kind(f, phase, line),
        st.sampled_from([EnterFrame, LeaveFrame]),
        st.floats(-1e10, 1e10),
        st.floats(-7, 7),
        lines,
    ),
    st.builds(
        lambda n, q, m, k, d: Acquire(n, AcquireChannel(q), MemorySlot(m), RegisterSlot(q) if m > 2 else None, k, d),
        lengths,
        st.integers(0, 2),
        st.integers(0, 5),
        st.one_of(st.none(), kernels),
        st.one_of(st.none(), st.builds(lambda a: Discriminator("d", threshold=a), amps)),
    ),
    st.builds(lambda some: RelativeBarrier(*some), st.lists(lines, max_size=3)),
    st.builds(Snapshot, st.text(max_size=3), st.sampled_from(["statevector", "x"])),
)
metadata = st.dictionaries(
    st.text(max_size=3), st.one_of(st.integers(0, 9), st.text(max_size=3), st.none()), max_size=2
)


@st.composite
def schedules(draw, depth=2):
    made = Schedule(name=draw(st.text(max_size=4)), metadata=draw(metadata))
    part = instructions if depth == 0 else st.one_of(instructions, schedules(depth - 1))
    for item in draw(st.lists(part, max_size=5)):
        made.insert(made.duration + draw(st.integers(0, 2**40)), item, inplace=True)
    return made


contexts = st.one_of(
    st.sampled_from([AlignLeft(), AlignRight(), AlignSequential()]), st.builds(AlignEquispaced, st.integers(0, 10**6))
)


@st.composite
def blocks(draw, depth=2):
    made = ScheduleBlock(draw(st.text(max_size=4)), draw(metadata), draw(contexts))
    part = st.one_of(instructions, st.builds(TimeBlockade, lengths, lines))
    part = part if depth == 0 else st.one_of(part, blocks(depth - 1))
    for item in draw(st.lists(part, max_size=4)):
        made.append(item)
    if draw(st.booleans()):
        made.append(Reference("left", "open"))
    if depth and draw(st.booleans()):
        made.append_subroutine(Reference(f"sub{depth}{made.name.encode().hex()}"), draw(blocks(depth - 1)))
    return made


programs = st.one_of(schedules(), blocks())


def same(a, b):
    """Equality with all that equality leaves out."""
    assert a == b
    assert type(a) is type(b)
    assert (a.name, a.metadata) == (b.name, b.metadata)
    if isinstance(a, Schedule):
        assert a.timeslots == b.timeslots
        pairs = list(zip(a.children, b.children, strict=True))
        assert all(x[0] == y[0] for x, y in pairs)
        pairs = [(x[1], y[1]) for x, y in pairs]
    else:
        assert a.references == b.references
        pairs = list(zip(a.blocks, b.blocks, strict=True))
    for x, y in pairs:
        if isinstance(x, Instruction):
            assert repr(x) == repr(y)
            assert x.name == y.name
            if isinstance(x, Play):
                assert x.pulse.limit_amplitude == y.pulse.limit_amplitude
                assert x.pulse.envelope().tobytes() == y.pulse.envelope().tobytes()
        else:
            same(x, y)


@given(programs)
@settings(deadline=None, max_examples=60)
def test_round_trip_is_exact(program):
    data = dumps(program)
    again = loads(data)
    same(program, again)
    assert dumps(again) == data
    assert content_hash(again) == content_hash(program)


@given(schedules())
@settings(deadline=None, max_examples=30)
def test_hash_of_a_schedule_is_of_what_it_plays(schedule):
    renamed = Schedule(*((t, child) for t, child in schedule.children), name="other", metadata={"x": 1})
    assert content_hash(renamed) == content_hash(flatten(schedule)) == content_hash(schedule)
    if len(schedule):
        assert content_hash(schedule << 1) != content_hash(schedule)


def test_hash_tells_what_differs_and_forgets_how_numbers_are_written():
    one = Schedule(Play(Gaussian(160, 1, 40), DriveChannel(0)), (200, ShiftPhase(1, DriveChannel(0))))
    assert content_hash(one) == content_hash(
        Schedule(Play(Gaussian(160, 1.0, 40.0, name="g"), DriveChannel(0)), (200, ShiftPhase(1.0, DriveChannel(0))))
    )
    others = [
        Schedule(Play(Gaussian(160, 1, 41), DriveChannel(0)), (200, ShiftPhase(1, DriveChannel(0)))),
        Schedule(Play(Gaussian(160, 1, 40), DriveChannel(1)), (200, ShiftPhase(1, DriveChannel(0)))),
        Schedule(Play(Gaussian(160, 1, 40), DriveChannel(0)), (200, SetPhase(1, DriveChannel(0)))),
        Schedule(Play(Gaussian(160, 1, 40), DriveChannel(0)), (200, ShiftPhase(1 + 1e-15, DriveChannel(0)))),
    ]
    assert len({content_hash(program) for program in [one, *others]}) == 5
    assert content_hash(one) == content_hash(loads(dumps(one)))


def test_hash_is_the_same_in_every_process():
    block = ScheduleBlock(name="n")
    block.append(Play(Gaussian(160, 0.5, 40), DriveChannel(0)))
    assert content_hash(block) == "63a29e124207ab70c657ec1449ec4a5008574ff666d6174f14e5588b2f8fa241"


def test_equal_pulses_travel_once():
    def program(n):
        plays = [(100 * k, Play(Waveform(np.full(64, 0.5)), DriveChannel(0))) for k in range(n)]
        return len(dumps(Schedule(*plays, name="s")))

    assert program(100) - program(50) < 50 * 16 < 64 * 16 < program(1)


@pytest.mark.parametrize("limited", [True, False])
def test_the_limit_of_the_amplitude_travels(limited):
    for pulse in (Constant(9, 0.5, limit_amplitude=limited), Waveform([0.5], limit_amplitude=limited)):
        again = loads(dumps(Schedule(Play(pulse, DriveChannel(0))))).instructions[0][1].pulse
        assert again.limit_amplitude is limited
    loud = Schedule(Play(Constant(9, 2.5, limit_amplitude=False), DriveChannel(0)))
    assert loads(dumps(loud)) == loud


def test_a_users_shape_travels_as_its_samples():
    pulse = SymbolicPulse("Ramp", 9, {"a": 0.5}, envelope=lambda t, duration, a: a * t / duration)
    again = loads(dumps(Schedule(Play(pulse, DriveChannel(0))))).instructions[0][1].pulse
    assert again == Waveform(pulse.envelope())


def test_a_function_travels_as_its_positions():
    block = ScheduleBlock(alignment_context=AlignFunc(100, lambda j: (j / 4) ** 2))
    for _ in range(3):
        block.append(Play(Constant(5, 0.1), DriveChannel(0)))
    again = loads(dumps(block))
    assert again.instructions == block.instructions
    same(again, loads(dumps(again)))
    again.append(Play(Constant(5, 0.1), DriveChannel(0)))
    with pytest.raises(PulseError, match="no position"):
        _ = again.duration


class _OwnContext(AlignmentKind):
    def times(self, parts):
        return [0 for _ in parts]


class _OwnInstruction(Delay):
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Schedule(ShiftPhase(Parameter("p"), DriveChannel(0))), "no value; got p"),
        (lambda: Schedule(Play(Gaussian(9, Parameter("p"), 3), DriveChannel(0))), "no value; got p"),
        (lambda: Schedule(Delay(3, DriveChannel(Parameter("p")))), "no value; got p"),
        (lambda: ScheduleBlock(alignment_context=AlignEquispaced(Parameter("p"))), "no value; got p"),
        (lambda: ScheduleBlock(alignment_context=_OwnContext()), "no form as bytes"),
        (lambda: Schedule(_OwnInstruction(3, DriveChannel(0))), "no form as bytes"),
        (lambda: Schedule(metadata={"x": object()}), "no form as bytes"),
        (lambda: 3, "not a pulse program"),
    ],
)
def test_what_has_no_form_as_bytes_is_refused(make, words):
    with pytest.raises(SerialisationError, match=words):
        dumps(make())


def test_deep_nesting_is_refused_on_both_sides():
    program = Schedule()
    for _ in range(70):
        program = Schedule(program)
    with pytest.raises(SerialisationError, match="deep"):
        dumps(program)
    form = [18, "s", {}, []]
    for _ in range(70):
        form = [18, "s", {}, [[0, form]]]
    with pytest.raises(SerialisationError, match="deep"):
        loads(MAGIC + msgspec.msgpack.encode([[], [], form]))


def example():
    block = ScheduleBlock("b", {"k": [1, 2]}, AlignRight())
    block.append(Play(Drag(40, 0.3, 10, 1.5), DriveChannel(0)))
    block.append(Play(Waveform([0.1, 0.2j]), ControlChannel(1)))
    block.append(Acquire(10, AcquireChannel(0), MemorySlot(0), kernel=Kernel("k", w=np.arange(2))))
    block.append(RelativeBarrier(DriveChannel(0), DriveChannel(1)))
    inner = ScheduleBlock(alignment_context=AlignEquispaced(50))
    inner.append(ShiftPhase(0.5, DriveChannel(0)))
    block.append(inner)
    return block.append_subroutine(Reference("x"), inner)


DATA = dumps(example())


def test_equal_kernels_have_one_hash():
    def of(kernel):
        return content_hash(Schedule(Acquire(3, AcquireChannel(0), MemorySlot(0), kernel=kernel)))

    same = [[1, 2.0, 0.5], (1, 2, 0.5), np.array([1, 2, 0.5]), [np.float32(1), np.int64(2), 0.5 + 0j]]
    assert len({of(Kernel("k", weights=w, n=n)) for w, n in zip(same, (3, 3.0, np.int8(3), 3 + 0j), strict=True)}) == 1
    assert of(Kernel("k", weights=[1, 2, 0.25])) != of(Kernel("k", weights=[1, 2, 0.5]))
    for weights in same:
        kernel = Kernel("k", weights=weights, nested={"w": [weights, 1j]}, one=np.float32(0.1))
        program = Schedule(Acquire(3, AcquireChannel(0), MemorySlot(0), kernel=kernel))
        assert loads(dumps(program)) == program
    with pytest.raises(SerialisationError, match="array"):
        dumps(Schedule(Acquire(3, AcquireChannel(0), MemorySlot(0), kernel=Kernel("k", w=np.array([object()])))))


def test_every_cut_is_a_typed_error():
    for end in range(len(DATA)):
        with pytest.raises(SerialisationError):
            loads(DATA[:end])


def reads_or_refuses(data):
    try:
        program = loads(data)
    except SerialisationError:
        return
    assert isinstance(program, (Schedule, ScheduleBlock))


@given(st.integers(0, len(DATA) - 1), st.integers(0, 255), st.integers(0, len(DATA) - 1), st.integers(0, 255))
@settings(deadline=None, max_examples=1500)
def test_every_changed_byte_is_read_or_refused(at, value, other, second):
    data = bytearray(DATA)
    data[at], data[other] = value, second
    reads_or_refuses(bytes(data))


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 30), st.floats(), st.text(max_size=3), st.binary(max_size=17)),
    lambda inner: st.one_of(st.lists(inner, max_size=7), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=30,
)


@given(st.lists(values, min_size=3, max_size=3))
@settings(deadline=None, max_examples=500)
def test_any_values_are_read_or_refused(forms):
    reads_or_refuses(MAGIC + msgspec.msgpack.encode(forms))


@given(st.data())
@settings(deadline=None, max_examples=800)
def test_any_value_in_the_place_of_another_is_read_or_refused(data):
    form = msgspec.msgpack.decode(DATA[len(MAGIC) :])
    node = form
    for _ in range(data.draw(st.integers(1, 7))):
        inner = [k for k in range(len(node)) if isinstance(node[k], list) and node[k]]
        if not inner or data.draw(st.booleans()):
            break
        node = node[data.draw(st.sampled_from(inner))]
    node[data.draw(st.integers(0, len(node) - 1))] = data.draw(values)
    reads_or_refuses(MAGIC + msgspec.msgpack.encode(form))


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_refused(data):
    for start in (b"", MAGIC):
        with pytest.raises(SerialisationError):
            loads(start + data)


@pytest.mark.parametrize(
    "form",
    [
        [[["Gaussian", True, [2**40, 3.0, 0.1, 0.0], None]], [], [18, "s", {}, []]],
        [[["Drag", True, [2**31, 1.0, 1e9, 0.9, 0.0], None]], [], [18, "s", {}, []]],
        [[["Gaussian", True, [160, 3.0, 1.5, 0.0], None]], [], [18, "s", {}, []]],
        [[["Gaussian", True, [160, 3.0, 0.5], None]], [], [18, "s", {}, []]],
        [[], [], [18, "s", {}, [[0, [11, 5, 0, 0, None]], [3, [11, 5, 0, 0, None]]]]],
        [[], [], [18, "s", {}, [[-1, [11, 5, 0, 0, None]]]]],
        [[], [[True, "k", {"w": ["array", "O", [1], b"12345678"]}]], [18, "s", {}, []]],
        [[], [], [17, ["a"], [19, "b", {}, [0], []]]],
    ],
)
def test_illegal_programs_in_good_form_are_refused(form):
    with pytest.raises(SerialisationError):
        loads(MAGIC + msgspec.msgpack.encode(form))
