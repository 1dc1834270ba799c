"""Flux lines made straight: behind the line's exponentials arrives what was asked for."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

import pulsed.configs
from pulsed.compiler.compile import Compiler
from pulsed.compiler.predistortion import SWITCH, straighten, tail
from pulsed.model.calibration import Value, load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import CircuitError, ConfigError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, ControlChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant, GaussianSquare
from pulsed.pulse.schedule import Schedule
from pulsed.simulator.dynamics.lines import distort

CONFIGS = Path(pulsed.configs.__file__).parent
U0, LINE = ControlChannel(0), ((-0.03, 30e-9), (0.01, 120e-9))
BIT = 1 / 8192


@pytest.fixture(scope="module")
def coupler():
    return load_device(CONFIGS / "coupler2.toml")


@pytest.fixture(scope="module")
def plain(coupler):
    return Compiler(coupler, load_calibration(CONFIGS / "calibrations" / "coupler2.json"))


def with_line(compiler, line=LINE):
    value = Value(tuple(number for pair in line for number in pair))
    return Compiler(compiler.device, compiler.calibration.with_values({"f0.distortion": value}, "later"))


def program(*plays, at=20_000):
    schedule = Schedule(*((time, Play(pulse, U0)) for time, pulse in plays))
    return schedule.insert(at, Acquire(800, AcquireChannel(0), MemorySlot(0)))


def played(compiler, schedule, length, options=None):
    """The samples of the flux port from the shot's start."""
    result = np.zeros(length)
    for segment in compiler.preview(schedule, options or RunOptions(shots=1)).segments("f0"):
        result[segment.start : segment.start + len(segment.samples)] += segment.samples.real
    return result


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    line=st.lists(st.tuples(st.floats(-0.1, 0.1), st.floats(5e-9, 2e-7)), min_size=1, max_size=3),
)
def test_what_arrives_is_what_was_asked_for(seed, line):
    wanted = np.random.default_rng(seed).uniform(-1, 1, 300)
    line = tuple(line)
    sent = straighten(wanted, line, 1e9, 2000)
    arrived = distort(sent, line)
    assert np.abs(arrived[:300] - wanted).max() < 1e-12, f"seed {seed}"
    assert np.abs(arrived[300:]).max() < 1e-12
    # A few exponentials may add up to a tail that is longer than that of the slowest by as much as they overlap.
    assert np.abs(sent[300 + tail(line, 1e9) * 2 :]).max(initial=0) < 2 * BIT


def test_pulses_of_a_schedule_arrive_as_they_are_written(plain):
    """Two close ones, whose tails overlap, and one far away; more bits than a converter has are left."""
    shape = GaussianSquare(96, 0.3, sigma=12, width=48)
    schedule = program((0, shape), (104, GaussianSquare(96, -0.2, sigma=12, width=48)), (5000, shape))
    wanted = played(plain, schedule, 8000)
    sent = played(with_line(plain), schedule, 8000)
    assert np.abs(sent - wanted).max() > 2e-3
    assert np.abs(distort(sent, LINE) - wanted).max() < BIT
    assert np.abs(distort(wanted, LINE) - wanted).max() > 20 * BIT
    assert np.array_equal(played(with_line(plain), schedule, 8000, RunOptions(shots=1, settings={SWITCH: 0.0})), wanted)
    assert np.array_equal(played(with_line(plain, ((0.0, 30e-9),)), schedule, 8000), wanted)


def test_what_is_longer_than_the_port_plays_at_once_is_cut(plain, coupler):
    port = coupler.ports["f0"].model_copy(update={"max_length": 512})
    short = coupler.model_copy(update={"ports": {**coupler.ports, "f0": port}})
    schedule = program(*((120 * k, Constant(104, 0.2)) for k in range(20)))
    sent = Compiler(short, with_line(plain).calibration)
    (chunk,) = sent.compile([schedule], RunOptions(shots=1))
    events = chunk.array(chunk.programs[0].events)
    flux = [row for row in events if chunk.head.slots[row["slot"]].port == "f0"]
    assert len(flux) > 4
    for row in flux:
        assert len(chunk.envelope(row["envelope"])) <= 512
        assert len(chunk.envelope(row["envelope"])) % 8 == 0
    assert np.abs(distort(played(sent, schedule, 8000), LINE) - played(plain, schedule, 8000)).max() < BIT


def test_late_amplitudes_and_circuits_go_through_it(plain):
    size, compiler = Parameter("size"), with_line(plain)
    late = program((0, Constant(96, size)))
    (chunk,) = compiler.sweep(late, {size: [0.1, 0.2]}, RunOptions(shots=1))
    assert sum(item.count for item in chunk.programs) == 2
    circuit = QuantumCircuit(2, 1)
    circuit.cz(0, 1)
    circuit.measure(0, 0)
    assert np.abs(distort(played(compiler, circuit, 3000), LINE) - played(plain, circuit, 3000)).max() < BIT
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    circuit.measure(0, 0)
    with pytest.raises(CircuitError, match=r"distortion of the line at port f0|feedback latency"):
        compiler.compile([circuit], RunOptions(shots=1))


@pytest.mark.parametrize("line", [(0.1,), (0.1, -1e-9), (0.6, 1e-8), (float("nan"), 1e-8)])
def test_bad_values_are_refused_by_name(plain, line):
    wrong = Compiler(plain.device, plain.calibration.with_values({"f0.distortion": Value(line)}, "later"))
    with pytest.raises(ConfigError, match="not a valid distortion") as caught:
        wrong.compile([program((0, Constant(96, 0.1)))], RunOptions(shots=1))
    assert caught.value.subject == "f0.distortion"


def test_more_than_full_scale_is_refused(plain):
    with pytest.raises(LoweringError, match="beyond full scale when the line's distortion"):
        with_line(plain).compile([program((0, Constant(96, 0.99)))], RunOptions(shots=1))
