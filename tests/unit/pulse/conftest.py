"""A small backend: three qubits in a row."""

from types import SimpleNamespace

import pytest

from pulsed.pulse import (
    Acquire,
    AcquireChannel,
    Constant,
    ControlChannel,
    DriveChannel,
    InstructionScheduleMap,
    MeasureChannel,
    MemorySlot,
    Play,
    Schedule,
)


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


class Older(Backend):
    """The same with defaults() and configuration() in place of methods of its own, as a BackendV1 has them."""

    num_qubits = dt = coupling_map = None
    drive_channel = measure_channel = acquire_channel = control_channel = None

    def __init__(self):
        super().__init__()
        schedules, self.instruction_schedule_map, self.meas_map = self.instruction_schedule_map, None, None
        channels = {(1, 0): [ControlChannel(0)], (1, 2): [ControlChannel(1)]}
        given = SimpleNamespace(
            n_qubits=3, dt=1e-9, meas_map=[[0, 1, 2]], coupling_map=[[1, 0], [1, 2]], control=channels.__getitem__
        )
        self.configuration = lambda: given
        self.defaults = lambda: SimpleNamespace(instruction_schedule_map=schedules)


@pytest.fixture
def older_backend():
    return Older()
