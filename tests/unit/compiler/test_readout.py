"""Integration weights and discriminators: from calibrated values and from the instruction into the chunk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from pulsed import pulse
from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import Chunk, IqDiscriminator
from pulsed.model.calibration import Value
from pulsed.model.errors import ConfigError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, MeasureChannel, MemorySlot
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

OPTIONS = RunOptions(shots=16)
WEIGHTS = np.exp(-np.arange(800) / 300) * np.exp(0.3j) / 250
INTERLEAVED = tuple(WEIGHTS.view(float).tolist())


def compiler_with(device, calibration, **values):
    named = {name.replace("_", "."): Value(value) for name, value in values.items()}
    return Compiler(device, calibration.with_values(named, "2026-11-21T00:00:01Z"))


def measured():
    circuit = QuantumCircuit(2)
    circuit.measure_all()
    return circuit


def kernels(chunk: Chunk, program: int = 0):
    """Return the weights by qubit, None for a boxcar."""
    rows = chunk.array(chunk.programs[program].acquisitions)
    return {row["qubit"]: None if row["kernel"] < 0 else chunk.envelope(row["kernel"]) for row in rows}


def test_calibrated_weights_are_a_row_of_the_envelope_table(device, calibration):
    compiler = compiler_with(device, calibration, Q1_readout_kernel=INTERLEAVED, Q0_readout_kernel=0.0)
    (chunk,) = compiler.compile([measured(), measured()], OPTIONS)
    for program in (0, 1):
        found = kernels(Chunk.decode(chunk.encode()), program)
        assert found[0] is None
        assert np.array_equal(found[1], WEIGHTS)
    assert sum(ref.shape[0] == 800 for ref in chunk.head.envelopes) >= 1
    assert len(set(chunk.head.keys)) == len(chunk.head.keys)


def test_the_instructions_own_kernel_comes_first(device, calibration):
    compiler = compiler_with(device, calibration, Q0_readout_kernel=INTERLEAVED)
    for kernel, expected in (
        (None, WEIGHTS),
        (Kernel("calibrated"), WEIGHTS),
        (Kernel("boxcar"), None),
        (Kernel("mine", weights=[1j] * 800), np.full(800, 1j)),
        (Kernel("mine", weights=np.arange(800)), np.arange(800)),
        (Kernel("boxcar", start_window=0, stop_window=800), None),
        (Kernel("boxcar", start_window=0, stop_window=10), np.repeat([0.1, 0.0], [10, 790])),
        (Kernel("boxcar", start_window=np.int64(400)), np.repeat([0.0, 1 / 400], [400, 400])),
        (Kernel("boxcar", stop_window=1), np.repeat([1.0, 0.0], [1, 799])),
    ):
        schedule = Schedule((0, Acquire(800, AcquireChannel(0), MemorySlot(0), kernel=kernel)))
        (chunk,) = compiler.compile([schedule], OPTIONS)
        found = kernels(chunk)[0]
        assert (found is None) == (expected is None)
        assert expected is None or np.array_equal(found, expected)


@pytest.mark.parametrize("length", [800 - 1, 800 + 8, 1])
def test_a_calibrated_kernel_of_another_length_is_named(device, calibration, length):
    with pytest.raises(LoweringError, match="another length") as caught:
        compiler_with(device, calibration, Q2_readout_kernel=(0.5,) * (2 * length)).compile([measured()], OPTIONS)
    assert caught.value.subject == "Q2.readout.kernel"
    assert (caught.value.value, caught.value.legal) == (f"{length} samples", "800 samples")


@pytest.mark.parametrize(
    "kernel",
    [
        Kernel("no such"), Kernel("mine", weights="abc"), Kernel("mine", weights=[]), Kernel("mine", weights=[np.inf]),
        Kernel("mine", weights=[[1.0] * 800]), Kernel("mine", weights={"a": 1}), Kernel("boxcar", start=0),
        Kernel("boxcar", start_window=10, stop_window=10), Kernel("boxcar", stop_window=801),
        Kernel("boxcar", start_window=-1), Kernel("boxcar", stop_window=9.5), Kernel("boxcar", stop_window=True),
        Kernel("boxcar", start_window=0, stop_window=10, rise=2), Kernel("mine", weights=[1.0] * 800, start_window=5),
        Kernel("mine", start_window=0, stop_window=10), Kernel(), Kernel("centroid"),
    ],
    ids=repr,
)  # fmt: skip
def test_an_instructions_kernel_that_is_none(compiler, kernel):
    schedule = Schedule((0, Acquire(800, AcquireChannel(2), MemorySlot(0), kernel=kernel)))
    with pytest.raises(LoweringError, match="no such kernel") as caught:
        compiler.compile([schedule], OPTIONS)
    assert "AcquireChannel(2)" in caught.value.subject
    assert "boxcar" in caught.value.legal


def test_the_calibrated_discriminator_by_name_is_as_none(compiler):
    made = []
    for found in (None, pulse.Discriminator("calibrated")):
        acquire = Acquire(800, AcquireChannel(2), MemorySlot(0), discriminator=found)
        (chunk,) = compiler.compile([Schedule((0, acquire), name="read")], OPTIONS)
        made.append([bytes(part) for part in chunk.encode()])
    assert made[0] == made[1]


def test_a_kernel_that_weighs_nothing_is_refused(compiler):
    schedule = Schedule((0, Acquire(800, AcquireChannel(2), MemorySlot(0), kernel=Kernel("mine", weights=[0.0] * 800))))
    with pytest.raises(LoweringError, match="all 0 tells no states apart"):
        compiler.compile([schedule], OPTIONS)


@pytest.mark.parametrize("found", [pulse.Discriminator("linear"), pulse.Discriminator("mine", zero=0.1, one=0.3)])
def test_an_instructions_discriminator_is_refused_not_ignored(compiler, found):
    schedule = Schedule((16, Acquire(800, AcquireChannel(2), MemorySlot(0), discriminator=found)))
    with pytest.raises(LoweringError, match="no discriminator of its own") as caught:
        compiler.compile([schedule], OPTIONS)
    assert caught.value.subject == "AcquireChannel(2) at 16 dt"
    assert found.name in caught.value.value
    assert "meas_level 1" in caught.value.legal


@pytest.mark.parametrize("value", [(1.0,), (1.0, 2.0, 3.0), (1.0, float("nan")), (0.0, 0.0), 0.5])
def test_calibrated_weights_that_are_none(device, calibration, value):
    with pytest.raises(ConfigError) as caught:
        compiler_with(device, calibration, Q3_readout_kernel=value).compile([measured()], OPTIONS)
    assert caught.value.subject == "Q3.readout.kernel"
    assert "0 for a boxcar" in caught.value.legal


def test_two_and_three_states(device, calibration):
    values = (1.0, 2.0, 3.0, 4.0, 0.1, 5.0, 6.0, 0.2)
    compiler = compiler_with(device, calibration, Q0_readout_discriminator=values)
    (chunk,) = compiler.compile([measured()], OPTIONS)
    found = Chunk.decode(chunk.encode()).settings.discriminators
    assert found[0] == IqDiscriminator(1 + 2j, 3 + 4j, 5 + 6j, (0.1, 0.1, 0.2))
    assert found[1] == IqDiscriminator(0.01 + 0j, -0.01 + 0j)


@pytest.mark.parametrize(
    "value",
    [(1.0,) * 4, (1.0,) * 7, (0.0, 1.0, 2.0, 3.0, 0.0), (1.0,) * 7 + (-1.0,), (float("nan"),) * 5],
)
def test_discriminators_that_are_none(device, calibration, value):
    with pytest.raises(ConfigError) as caught:
        compiler_with(device, calibration, Q4_readout_discriminator=value).compile([measured()], OPTIONS)
    assert caught.value.subject == "Q4.readout.discriminator"
    assert "re2, im2, variance" in caught.value.legal


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [("correction", (1.0,), 4), ("offset", (0.1, 0.2, 0.3), 2), ("offset", (0.1, float("nan")), 2)],
)
def test_mixer_settings_that_are_none(device, calibration, name, value, count):
    changed = calibration.with_values({f"d0.mixer.{name}": Value(value)}, "now")
    with pytest.raises(ConfigError, match="mixer") as caught:
        Compiler(device, changed).compile([measured()], OPTIONS)
    assert caught.value.subject == f"d0.mixer.{name}"
    assert caught.value.legal == f"{count} finite numbers"


@given(flight=st.integers(0, 400), time=st.integers(0, 100))
@settings(deadline=None, max_examples=20)
def test_a_window_opens_after_the_ports_delay_and_the_time_of_flight(device, calibration, flight, time):
    compiler = Compiler(device, calibration.with_values({"in.delay": Value(float(flight))}, "now"))
    port = device.ports["in"]
    per_dt = port.clock * device.dt
    (chunk,) = compiler.compile([Schedule((4 * time, Acquire(800, AcquireChannel(0), MemorySlot(0))))], RunOptions())
    (found,) = chunk.array(chunk.programs[0].acquisitions)
    assert (found["time"], found["length"]) == (4 * time * per_dt + port.delay + round(flight * per_dt), 800 * per_dt)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_time_of_flight_that_is_none(device, calibration, value):
    changed = calibration.with_values({"in.delay": Value(value)}, "now")
    with pytest.raises(ConfigError, match="before its pulse") as caught:
        Compiler(device, changed).compile([measured()], OPTIONS)
    assert (caught.value.subject, caught.value.legal) == ("in.delay", ">= 0 dt")


def acquired_over(stimulus, start, length, kernel=None):
    """Return a schedule that reads qubit 0 with pulses (start, length) and acquires from ``start`` on."""
    plays = [(t, Play(Constant(d, 0.1), MeasureChannel(0))) for t, d in stimulus]
    return Schedule(*plays, (start, Acquire(length, AcquireChannel(0), MemorySlot(0), kernel=kernel)))


@pytest.mark.parametrize(
    ("stimulus", "start", "length", "covered"),
    [
        ([(0, 800)], 0, 800, None), ([(0, 800)], 200, 400, None), ([], 0, 800, None), ([(1000, 80)], 0, 800, None),
        ([(0, 800)], 0, 1600, (0, 800)), ([(400, 800)], 0, 1600, (400, 1200)), ([(0, 800)], 400, 800, (0, 400)),
        ([(0, 400), (480, 320)], 0, 1000, (0, 800)),
    ],
)  # fmt: skip
def test_the_mean_is_over_what_is_read(device, calibration, stimulus, start, length, covered):
    """An acquisition that lasts longer than its stimulus has the mean that the discriminator knows, not half of it."""
    compiler = Compiler(device, calibration)
    (chunk,) = compiler.compile([acquired_over(stimulus, start, length)], OPTIONS)
    found = kernels(chunk)[0]
    if covered is None:
        assert found is None
    else:
        n = np.arange(length)
        expected = np.where((n >= covered[0]) & (n < covered[1]), 1 / (covered[1] - covered[0]), 0)
        np.testing.assert_allclose(found, expected)
    (chunk,) = compiler.compile([acquired_over(stimulus, start, length, Kernel("boxcar"))], OPTIONS)
    assert kernels(chunk)[0] is None, "who asks for a boxcar gets one"
