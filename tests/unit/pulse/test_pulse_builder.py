"""The builder, the macros and the instruction schedule map, with a small backend."""

import math
import threading

import numpy as np
import pytest
from qiskit.circuit import Parameter
from qiskit.circuit.library import XGate

from pulsed import pulse
from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    BackendNotSet,
    Constant,
    ControlChannel,
    Delay,
    DriveChannel,
    Gaussian,
    InstructionScheduleMap,
    MeasureChannel,
    MemorySlot,
    NoActiveBuilder,
    Play,
    PulseError,
    RegisterSlot,
    Schedule,
    ScheduleBlock,
    SetFrequency,
    ShiftFrequency,
    ShiftPhase,
    Snapshot,
    builder,
    frames,
    macros,
)
from pulsed.pulse.instructions import Reference, RelativeBarrier, TimeBlockade
from pulsed.pulse.transforms import (
    AlignEquispaced,
    AlignFunc,
    AlignLeft,
    AlignRight,
    AlignSequential,
    block_to_schedule,
    remove_directives,
)

D = [DriveChannel(i) for i in range(3)]
C = Constant(10, 0.1)


class Backend:
    """Three qubits in a row; u0 drives 1 at the frequency of 0, u1 drives 1 at that of 2."""

    name = "three"
    num_qubits = 3
    dt = 1e-9
    coupling_map = ((1, 0), (1, 2))
    meas_map = ([0, 1, 2],)

    def __init__(self):
        self.meas_map = [[0, 1, 2]]
        self.instruction_schedule_map = InstructionScheduleMap()
        for q in range(3):
            readout = Schedule(
                (0, Play(Constant(100 + q, 0.2), MeasureChannel(q))),
                (20, Acquire(80, AcquireChannel(q), MemorySlot(q))),
            )
            self.instruction_schedule_map.add("measure", q, readout)

    def drive_channel(self, q):
        return DriveChannel(q)

    def measure_channel(self, q):
        return MeasureChannel(q)

    def acquire_channel(self, q):
        return AcquireChannel(q)

    def control_channel(self, pair):
        return {(1, 0): [ControlChannel(0)], (1, 2): [ControlChannel(1)]}[tuple(pair)]


@pytest.fixture
def backend():
    return Backend()


def block(*parts, context=None):
    made = ScheduleBlock(alignment_context=context)
    for part in parts:
        made.append(part)
    return made


def test_every_instruction_has_its_function():
    with pulse.build(name="all") as program:
        pulse.play(C, D[0])
        pulse.play(np.array([0.1, 0.2]), D[0], name="samples")
        pulse.delay(5, D[1])
        pulse.acquire(7, 0, MemorySlot(1))
        pulse.acquire(7, AcquireChannel(1), RegisterSlot(1))
        pulse.set_frequency(5e9, D[0])
        pulse.shift_frequency(1e6, D[0])
        pulse.set_phase(0.5, D[0])
        pulse.shift_phase(0.25, D[0])
        pulse.snapshot("s")
        pulse.barrier(D[0], D[1])
        pulse.barrier(D[0])
        pulse.reference("sub", "q0")
        builder.append_instruction(Delay(1, D[2]))
        builder.append_schedule(block(Play(C, D[2])))
    assert program.name == "all"
    assert list(program.blocks) == [
        Play(C, D[0]),
        Play(pulse.Waveform([0.1, 0.2]), D[0]),
        Delay(5, D[1]),
        Acquire(7, AcquireChannel(0), MemorySlot(1)),
        Acquire(7, AcquireChannel(1), reg_slot=RegisterSlot(1)),
        SetFrequency(5e9, D[0]),
        ShiftFrequency(1e6, D[0]),
        pulse.SetPhase(0.5, D[0]),
        ShiftPhase(0.25, D[0]),
        Snapshot("s"),
        RelativeBarrier(D[0], D[1]),
        Reference("sub", "q0"),
        Delay(1, D[2]),
        block(Play(C, D[2])),
    ]


@pytest.mark.parametrize(
    ("function", "arguments", "context"),
    [
        (pulse.align_left, (), AlignLeft()),
        (pulse.align_right, (), AlignRight()),
        (pulse.align_sequential, (), AlignSequential()),
        (pulse.align_equispaced, (100,), AlignEquispaced(100)),
        (pulse.align_func, (100, abs), AlignFunc(100, abs)),
        (builder.general_transforms, (AlignRight(),), AlignRight()),
    ],
)
def test_contexts_become_nested_blocks(function, arguments, context):
    with pulse.build() as program:
        with function(*arguments):
            pulse.play(C, D[0])
            with pulse.align_left():
                pulse.play(C, D[1])
        pulse.play(C, D[2])
        with function(*arguments):
            # an empty context leaves no trace
            pass
    assert program.blocks == (block(Play(C, D[0]), block(Play(C, D[1])), context=context), Play(C, D[2]))


def test_default_alignment_and_continued_programs():
    with pulse.build(default_alignment="sequential") as program:
        pulse.play(C, D[0])
    assert program == block(Play(C, D[0]), context=AlignSequential())
    with pulse.build(schedule=program, name="new") as same:
        pulse.play(C, D[1])
    assert same is program
    assert program.name == "new"
    assert program.blocks == (Play(C, D[0]), block(Play(C, D[1])))
    for wrong in ({"default_alignment": "middle"}, {"default_alignment": 3}, {"schedule": Schedule()}):
        with pytest.raises(PulseError):
            pulse.build(**wrong)


def test_an_exception_leaves_a_continued_program_unchanged_and_no_builder():
    program = block(Play(C, D[0]))

    def failing():
        with pulse.build(schedule=program), pulse.align_right():
            pulse.play(C, D[1])
            pulse.delay(-1, D[0])

    with pytest.raises(PulseError, match="Delay"):
        failing()
    assert program == block(Play(C, D[0]))
    with pytest.raises(NoActiveBuilder):
        pulse.play(C, D[0])


def test_builders_nest_and_are_of_one_thread():
    seen = []

    def other_thread():
        try:
            pulse.play(C, D[0])
        except NoActiveBuilder as error:
            seen.append(error)

    with pulse.build() as outer:
        with pulse.build() as inner:
            pulse.play(C, D[1])
        pulse.play(C, D[0])
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
    assert outer == block(Play(C, D[0]))
    assert inner == block(Play(C, D[1]))
    assert len(seen) == 1


def test_phase_offset_is_undone():
    with pulse.build() as program, pulse.phase_offset(0.5, D[0], D[1]):
        pulse.play(C, D[0])
    shifts = [ShiftPhase(0.5, D[0]), ShiftPhase(0.5, D[1])]
    back = [ShiftPhase(-0.5, D[0]), ShiftPhase(-0.5, D[1])]
    assert list(program.blocks) == [*shifts, Play(C, D[0]), *back]


@pytest.mark.parametrize("alignment", ["left", "right", "sequential"])
def test_compensated_frequency_offset_continues_the_carrier(backend, alignment):
    shift = 3.7e6
    with pulse.build(backend, default_alignment=alignment) as program:
        pulse.play(Constant(333, 0.1), D[1])
        with pulse.frequency_offset(shift, D[0], compensate_phase=True):
            pulse.play(Constant(500, 0.1), D[0])
            pulse.play(Constant(700, 0.1), D[1])
    found = [(t, i) for t, i in block_to_schedule(program).instructions if D[0] in i.channels]
    (opened, first), (at, phase), (closed, last) = [item for item in found if not isinstance(item[1], Play)]
    assert (first, last) == (ShiftFrequency(shift, D[0]), ShiftFrequency(-shift, D[0]))
    assert at == closed
    # what the field gained, e^{−i2πδT}, times the frame's e^{iφ} is one
    gained = frames.carrier(shift, (closed - opened) * backend.dt)
    assert gained * np.exp(1j * phase.phase) == pytest.approx(1)
    with pulse.build() as plain, pulse.frequency_offset(shift, D[0]):
        pulse.play(C, D[0])
    assert list(plain.blocks) == [ShiftFrequency(shift, D[0]), Play(C, D[0]), ShiftFrequency(-shift, D[0])]


class TestCall:
    p = Parameter("p")

    def sub(self):
        return block(Play(Gaussian(10, self.p, 3), D[0]))

    def test_assigns_parameters(self):
        for arguments in ({"p": 0.5}, {"value_dict": {self.p: 0.5}}, {"value_dict": {"p": 0.5}}):
            with pulse.build() as program:
                pulse.call(self.sub(), **arguments)
            assert program == block(block(Play(Gaussian(10, 0.5, 3), D[0])))
        with pulse.build() as program:
            pulse.call(self.sub())
        assert program.parameters == {self.p}

    def test_with_a_name_makes_a_reference(self):
        with pulse.build() as program:
            pulse.call(self.sub(), name="x", p=0.5)
            pulse.call(self.sub(), name="x", p=0.5)
            with pytest.raises(PulseError, match="already assigned"):
                pulse.call(self.sub(), name="x", p=0.25)
        assert list(program.references) == [("x",)]
        assert len(program.blocks) == 2

    def test_takes_schedules_with_their_times(self):
        schedule = Schedule((3, Play(C, D[0])), (0, Play(C, D[1])))
        with pulse.build() as program:
            pulse.call(schedule)
            pulse.play(C, D[1])
        made = block_to_schedule(program).exclude(instruction_types=TimeBlockade)
        assert made == schedule.insert(13, Play(C, D[1]))

    def test_refuses_what_is_no_program_or_parameter(self):
        with pulse.build():
            for wrong in (lambda: pulse.call(3), lambda: pulse.call(self.sub(), nobody=1)):
                with pytest.raises(PulseError):
                    wrong()


def test_macro_is_one_block():
    @pulse.macro
    def twice(amplitude):
        """Doc."""
        for _ in range(2):
            pulse.play(Constant(10, amplitude), D[0])
        return amplitude

    with pulse.build() as program:
        assert twice(0.25) == 0.25
    (inner,) = program.blocks
    assert inner.name == twice.__name__ == "twice"
    assert inner == block(Play(Constant(10, 0.25), D[0]), Play(Constant(10, 0.25), D[0]))


def test_the_backend_answers(backend):
    with pulse.build(backend):
        assert pulse.active_backend() is backend
        assert pulse.num_qubits() == 3
        assert pulse.drive_channel(1) == DriveChannel(1)
        assert pulse.measure_channel(1) == MeasureChannel(1)
        assert pulse.acquire_channel(1) == AcquireChannel(1)
        assert pulse.control_channels(1, 2) == [ControlChannel(1)]
        mine = {DriveChannel(1), MeasureChannel(1), AcquireChannel(1), ControlChannel(0), ControlChannel(1)}
        assert pulse.qubit_channels(1) == mine
        assert pulse.qubit_channels(0) == {D[0], MeasureChannel(0), AcquireChannel(0), ControlChannel(0)}
        assert pulse.samples_to_seconds(160) == pytest.approx(160e-9)
        # 160e-9/1e-9 is a rounding below 160
        assert [pulse.seconds_to_samples(s) for s in (160e-9, 160.5e-9, 0.0)] == [160, 160, 0]
        assert pulse.seconds_to_samples(np.array([1e-9, 3.7e-9])).tolist() == [1, 3]
        for wrong in (lambda: pulse.drive_channel(3), lambda: pulse.control_channels(0, 2)):
            with pytest.raises(PulseError):
                wrong()


@pytest.mark.parametrize(
    "call",
    [
        pulse.active_backend,
        pulse.num_qubits,
        pulse.measure_all,
        lambda: pulse.drive_channel(0),
        lambda: pulse.measure(0),
        lambda: pulse.barrier(0, 1),
        lambda: pulse.samples_to_seconds(3),
        lambda: pulse.delay_qubits(10, 0),
    ],
)
def test_what_needs_a_backend_says_so(call):
    with pulse.build(), pytest.raises(BackendNotSet):
        call()
    with pytest.raises(NoActiveBuilder):
        call()


def test_qubits_stand_for_their_channels(backend):
    with pulse.build(backend) as program:
        pulse.play(C, D[0])
        pulse.barrier(0, 1)
        pulse.delay_qubits(30, 0)
        pulse.play(C, D[0])
    assert program.blocks[1] == RelativeBarrier(
        *{*builder.qubit_channels_of(backend, 0), *builder.qubit_channels_of(backend, 1)}
    )
    assert program.ch_duration(D[0]) == 50
    assert program.ch_duration(ControlChannel(0)) == 40


def test_measure(backend):
    with pulse.build(backend) as program:
        assert pulse.measure(0) == MemorySlot(0)
        assert pulse.measure([1, 2], [MemorySlot(5), MemorySlot(4)]) == [MemorySlot(5), MemorySlot(4)]
        with pytest.raises(PulseError, match="one memory slot"):
            pulse.measure([0, 1], MemorySlot(0))
    made = remove_directives(block_to_schedule(program))
    expected = Schedule(
        *((0, Play(Constant(100 + q, 0.2), MeasureChannel(q))) for q in range(3)),
        *((20, Acquire(80, AcquireChannel(q), MemorySlot(slot))) for q, slot in ((0, 0), (1, 5), (2, 4))),
    )
    assert made == expected


def test_measure_all(backend):
    with pulse.build(backend) as program:
        assert pulse.measure_all() == [MemorySlot(0), MemorySlot(1), MemorySlot(2)]
    made = remove_directives(block_to_schedule(program))
    assert made == macros.measure_all(backend) == macros.measure([0, 1, 2], backend)


def test_measure_of_a_group_keeps_only_the_wanted_qubits():
    together = Schedule(
        (0, Play(Constant(9, 0.2), MeasureChannel(0))),
        (0, Play(Constant(9, 0.2), MeasureChannel(1))),
        (2, Acquire(7, AcquireChannel(0), MemorySlot(0), name="n")),
        (2, Acquire(7, AcquireChannel(1), MemorySlot(1))),
    )
    inst_map = InstructionScheduleMap()
    inst_map.add("measure", (0, 1), together)
    made = macros.measure([0], inst_map=inst_map, meas_map=[[0, 1]], qubit_mem_slots={0: 3})
    assert made == Schedule(
        (0, Play(Constant(9, 0.2), MeasureChannel(0))), (2, Acquire(7, AcquireChannel(0), MemorySlot(3)))
    )
    for wrong in (
        lambda: macros.measure([2], inst_map=inst_map, meas_map=[[0, 1]]),
        lambda: macros.measure([0], inst_map=inst_map, meas_map=[[0, 1]], measure_name="other"),
        lambda: macros.measure([0, 1], inst_map=inst_map, meas_map=[[0, 1]], qubit_mem_slots={0: 1}),
        lambda: macros.measure([0]),
    ):
        with pytest.raises(PulseError):
            wrong()


class TestInstructionScheduleMap:
    p, q = Parameter("p"), Parameter("q")

    @pytest.fixture
    def inst_map(self):
        made = InstructionScheduleMap()
        rotation = Schedule(Play(Gaussian(10, self.p, 3), D[0]), (20, ShiftPhase(self.q, D[0])))
        made.add("u", 0, rotation)
        made.add("v", (1,), rotation, ["q", "p"])
        made.add(XGate(), [0], Schedule(Play(C, D[0])))
        made.add("cx", (0, 1), lambda a, b=2: Schedule(Play(Constant(a, 0.1), DriveChannel(b))))
        return made

    def test_lists_what_it_has(self, inst_map):
        assert inst_map.instructions == ["u", "v", "x", "cx"]
        assert inst_map.qubit_instructions(0) == ["u", "x"]
        assert inst_map.qubit_instructions((0, 1)) == ["cx"]
        assert inst_map.qubits_with_instruction("x") == [0]
        assert inst_map.qubits_with_instruction("cx") == [(0, 1)]
        assert inst_map.qubits_with_instruction("none") == []
        assert inst_map.has(XGate(), 0)
        assert not inst_map.has("x", 1)

    def test_gives_schedules_with_their_parameters(self, inst_map):
        expected = Schedule(Play(Gaussian(10, 0.1, 3), D[0]), (20, ShiftPhase(0.2, D[0])))
        assert inst_map.get("u", 0, 0.1, 0.2) == expected
        assert inst_map.get("u", 0, 0.1, q=0.2) == expected
        assert inst_map.get("v", 1, 0.2, 0.1) == expected
        assert inst_map.get("u", 0, 0.1).parameters == {self.q}
        assert inst_map.get("u", 0).parameters == {self.p, self.q}
        assert inst_map.get_parameters("u", 0) == ("p", "q")
        assert inst_map.get("cx", (0, 1), 7) == Schedule(Play(Constant(7, 0.1), D[2]))
        assert inst_map.get_parameters("cx", (0, 1)) == ("a", "b")

    def test_refuses_what_it_does_not_have(self, inst_map):
        for wrong in (
            lambda: inst_map.get("x", 1),
            lambda: inst_map.get("none", 0),
            lambda: inst_map.assert_has("cx", (1, 0)),
            lambda: inst_map.get("u", 0, 1, 2, 3),
            lambda: inst_map.get("u", 0, z=3),
            lambda: inst_map.get("u", 0, 0.1, p=0.1),
            lambda: inst_map.add("x", (), Schedule()),
            lambda: inst_map.add("x", 0, 3),
            lambda: inst_map.add("u", 0, Schedule(), ["p"]),
            lambda: inst_map.remove("none", 0),
        ):
            with pytest.raises(PulseError):
                wrong()
        assert inst_map.instructions == ["u", "v", "x", "cx"]

    def test_forgets(self, inst_map):
        assert inst_map.pop("x", 0) == Schedule(Play(C, D[0]))
        assert not inst_map.has("x", 0)
        assert "x" not in inst_map.instructions


def test_rz_by_the_builder_turns_the_axis_of_the_next_pulse():
    with pulse.build() as program:
        pulse.shift_phase(frames.rz_phase(math.pi / 2), D[0])
        pulse.play(C, D[0])
    (_, shift), _ = program.instructions
    # rz(π/2) followed by a drive along x equals a drive along −y: e^{−iπ/2} = −i
    assert np.exp(1j * shift.phase) == pytest.approx(-1j)
