"""What the builder and the macros ask a backend for: channels, lengths of time, measurements."""

from types import SimpleNamespace

import numpy as np
import pytest

from pulsed import pulse
from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    BackendNotSet,
    Constant,
    ControlChannel,
    DriveChannel,
    InstructionScheduleMap,
    MeasureChannel,
    MemorySlot,
    NoActiveBuilder,
    Play,
    PulseError,
    Schedule,
    builder,
    macros,
)
from pulsed.pulse.instructions import RelativeBarrier
from pulsed.pulse.transforms import (
    block_to_schedule,
    remove_directives,
)

D = [DriveChannel(i) for i in range(3)]
C = Constant(10, 0.1)


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
        with pytest.raises(PulseError, match=r"measured once at a time; got \[1\]"):
            pulse.measure([1, 0, 1], [MemorySlot(0), MemorySlot(1), MemorySlot(2)])
    made = remove_directives(block_to_schedule(program))
    expected = Schedule(
        *((0, Play(Constant(100 + q, 0.2), MeasureChannel(q))) for q in range(3)),
        *((20, Acquire(80, AcquireChannel(q), MemorySlot(slot))) for q, slot in ((0, 0), (1, 5), (2, 4))),
    )
    assert made == expected
    assert pulse.macros.measure(np.int64(1), backend) == pulse.macros.measure([1], backend)


def everything():
    pulse.measure([0, 2])
    pulse.barrier(0, 1)
    pulse.delay_qubits(40, 1)
    pulse.measure_all()
    pulse.barrier(*pulse.qubit_channels(1))
    pulse.play(C, pulse.control_channels(1, 2)[0])
    pulse.delay(pulse.seconds_to_samples(40e-9), pulse.drive_channel(pulse.num_qubits() - 1))


def test_a_backend_with_defaults_and_configuration_alone(backend, older_backend):
    made = []
    for one in (backend, older_backend):
        with pulse.build(one) as program:
            everything()
            assert pulse.qubit_channels(0) == {D[0], MeasureChannel(0), AcquireChannel(0), ControlChannel(0)}
        made.append(program)
    assert made[0] == made[1]
    assert macros.measure_all(older_backend) == macros.measure_all(backend)
    with pytest.raises(PulseError, match=r"no schedules of gates.*legal: an inst_map, or a backend"):
        macros.measure(0, SimpleNamespace())


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
