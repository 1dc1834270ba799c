"""Crosstalk undone: what the qubits see is what was asked for, exactly, whatever plays when and on which port."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from pulsed.compiler.compile import Compiler
from pulsed.compiler.crosstalk import SWITCH, crosstalk_matrix
from pulsed.drivers.instruments.virtual.awg8 import AwgDriver
from pulsed.drivers.limits import check_playback
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.model.calibration import Value
from pulsed.model.errors import ConfigError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

ONE = RunOptions(shots=1)
PORTS = [f"d{q}" for q in range(5)]


def crosstalk(seed, size=0.05, near=5):
    rng = np.random.default_rng(seed)
    matrix = size * np.exp(2j * np.pi * rng.random((5, 5)))
    apart = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    return np.where(apart == 0, 1, np.where(apart <= near, matrix, 0))


def known(calibration, matrix):
    values = {f"Q{q}.crosstalk": Value(tuple(row.view(float).tolist())) for q, row in enumerate(matrix)}
    return calibration.with_values(values, "later")


def played(preview, length=8000):
    """What each drive port plays: complex (ports, samples) from the shot's start."""
    result = np.zeros((5, length), complex)
    for row, port in zip(result, PORTS, strict=True):
        for segment in preview.segments(port):
            row[segment.start : segment.start + len(segment.samples)] += segment.samples
    return result


def circuit(seed=0):
    rng = np.random.default_rng(seed)
    made = QuantumCircuit(5, 5)
    for _ in range(4):
        for q in range(5):
            made.rz(float(rng.uniform(-3, 3)), q)
            made.sx(q)
        made.ecr(*[(0, 1), (2, 1), (2, 3), (4, 3)][rng.integers(4)])
    made.measure(range(5), range(5))
    return made


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_qubits_see_what_was_asked_for(device, calibration, seed):
    """C times what the ports play is what they would play without crosstalk; port d4 has another delay."""
    matrix, wanted = crosstalk(seed), circuit(seed)
    plain = played(Compiler(device, calibration).preview(wanted, ONE))
    undone = played(Compiler(device, known(calibration, matrix)).preview(wanted, ONE))
    assert np.abs(plain - undone).max() > 0.02, "something was added"
    # The inverse leaves out what is below the last bit of a converter.
    assert np.abs(matrix @ undone - plain).max() < 5 * 5 / 8192, f"seed {seed}"
    exact = np.linalg.inv(matrix) @ plain
    assert np.abs(undone - exact).max() < 5 / 8192


def test_without_values_nothing_changes_and_a_job_may_switch_it_off(device, calibration):
    plain = Compiler(device, calibration)
    (before,) = plain.compile([circuit()], ONE)
    compiler = Compiler(device, known(calibration, crosstalk(1)))
    (off,) = compiler.compile([circuit()], RunOptions(shots=1, settings={SWITCH: 0.0}))
    (on,) = compiler.compile([circuit()], RunOptions(shots=1, settings={SWITCH: 1.0}))
    assert off.head.slots == before.head.slots
    assert bytes(off.parts[1]) == bytes(before.parts[1])
    assert len(on.array(on.programs[0].events)) > 3 * len(off.array(off.programs[0].events))
    identity = Compiler(device, known(calibration, np.eye(5, dtype=complex)))
    (same,) = identity.compile([circuit()], ONE)
    assert np.array_equal(same.array(same.programs[0].events), before.array(before.programs[0].events))


def test_late_values_change_what_cancels_them_too(device, calibration):
    """A sweep of phase, amplitude and frequency, bound, is what is compiled for each binding."""
    phase, size = Parameter("phase"), Parameter("size")
    rising = QuantumCircuit(5, 1)
    rising.sx(0)
    rising.rz(phase, 0)
    rising.sx(4)
    rising.ecr(0, 1)
    rising.measure(0, 0)
    tone = Schedule((0, Play(Constant(64, size), DriveChannel(4))), (0, Play(Constant(64, 0.2), ControlChannel(0))))
    tone = tone.insert(64, Acquire(800, AcquireChannel(0), MemorySlot(0)))
    compiler = Compiler(device, known(calibration, crosstalk(2)))
    for program, parameter in ((rising, phase), (tone, size)):
        (chunk,) = compiler.sweep(program, {parameter: [0.1, 0.7]}, ONE)
        bound = chunk.unrolled()
        for number, value in enumerate((0.1, 0.7)):
            given = {parameter: value}
            alone = (
                program.assign_parameters(given)
                if isinstance(program, QuantumCircuit)
                else program.assign_parameters(given, inplace=False)
            )
            (single,) = compiler.compile([alone], ONE)
            a, b = bound.array(bound.programs[number].events), single.array(single.programs[0].events)
            assert len(a) == len(b)
            for name in ("slot", "time"):
                assert np.array_equal(a[name], b[name])
            assert np.allclose(a["amplitude"] * np.exp(1j * a["phase"]), b["amplitude"] * np.exp(1j * b["phase"]))
            assert np.allclose(a["frequency"], b["frequency"])


def test_what_waits_for_a_bit_is_cancelled_on_that_bit_and_turned_with_it(device, calibration):
    made = QuantumCircuit(5, 1)
    made.sx(1)
    made.measure(0, 0)
    with made.if_test((made.clbits[0], 1)):
        made.x(1)
        made.rz(0.5, 1)
    made.sx(1)
    made.measure(1, 0)
    matrix = crosstalk(3, near=1)
    (chunk,) = Compiler(device, known(calibration, matrix)).compile([made], ONE)
    program, slots = chunk.programs[0], chunk.head.slots
    events = chunk.array(program.events)
    factors = np.linalg.inv(matrix)
    for block in program.blocks:
        own = events[slice(*block.events)]
        ports = np.array([slots[s].port for s in own["slot"]])
        turns, plays = (own["envelope"] < 0), own["envelope"] >= 0
        heard = np.abs(factors[:, 1]) >= 1 / 8192
        lines = (ports == "d1") & plays & np.array([slots[s].channel == "d1" for s in own["slot"]])
        for q in np.flatnonzero(heard & (np.arange(5) != 1)):
            beside = plays & (ports == f"d{q}")
            assert beside.sum() == lines.sum(), f"d{q}"
            lag = 24e-9 - float(device.ports[f"d{q}"].delay) * 1e-9
            ratio = (
                own["amplitude"][beside]
                * np.exp(1j * own["phase"][beside])
                / (own["amplitude"][lines] * np.exp(1j * own["phase"][lines]))
            )
            wanted = factors[q, 1] / factors[1, 1] * np.exp(-2j * np.pi * own["frequency"][lines] * lag)
            assert np.allclose(ratio, wanted)
        if block.branch is not None:
            turned = {slots[s].port for s in own["slot"][turns]}
            assert {f"d{q}" for q in np.flatnonzero(heard)} <= turned
            assert set(np.round(own["phase"][turns], 9)) == {-0.02, -0.5}, "of the pulse itself, and of the rz"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1.0, 0.0, 0.1), "re and im for each of 5"),
        ((1.0, 0.0, 0.6, 0, 0, 0, 0, 0, 0, 0), "below 0.5"),
        ((0.9, 0.0, 0.1, 0, 0, 0, 0, 0, 0, 0), "1 and 0 for its own"),
        ((1.0, 0.0, float("nan"), 0, 0, 0, 0, 0, 0, 0), "re and im"),
    ],
)
def test_bad_values_are_refused_by_name(device, calibration, row, message):
    wrong = calibration.with_values({"Q0.crosstalk": Value(row)}, "later")
    with pytest.raises(ConfigError, match="not valid crosstalk") as caught:
        Compiler(device, wrong).compile([circuit()], ONE)
    assert caught.value.subject == "Q0.crosstalk"
    assert message in str(caught.value.legal)


def test_ports_with_other_oscillators_cannot_help(device, calibration):
    lo = device.oscillators["drive"]
    ports = {**device.ports, "d1": device.ports["d1"].model_copy(update={"lo": "other"})}
    apart = device.model_copy(update={"oscillators": {**device.oscillators, "other": lo}, "ports": ports})
    with pytest.raises(ConfigError, match="cannot cancel") as caught:
        crosstalk_matrix(apart, known(calibration, crosstalk(1)))
    assert "d1" in str(caught.value.value)


def test_too_many_tones_and_full_scale_are_refused_with_the_numbers(device, calibration):
    few = {name: port.model_copy(update={"oscillators": 4}) for name, port in device.ports.items() if name[0] == "d"}
    small = device.model_copy(update={"ports": {**device.ports, **few}})
    compiler = Compiler(small, known(calibration, crosstalk(1)))
    busy = QuantumCircuit(5, 1)
    busy.sx(range(5))
    busy.measure(0, 0)
    with pytest.raises(LoweringError, match="more tones at once than the port") as caught:
        compiler.compile([busy], ONE)
    assert SWITCH in str(caught.value.legal)
    real = np.eye(5, dtype=complex)
    real[0, 1] = real[1, 0] = 0.1
    loud = Schedule((0, Play(Constant(64, 1.0), DriveChannel(0))))
    loud = loud.insert(64, Acquire(800, AcquireChannel(0), MemorySlot(0)))
    with pytest.raises(LoweringError, match="beyond full scale when crosstalk"):
        Compiler(device, known(calibration, real)).compile([loud], ONE)


def test_the_instruments_take_what_is_played_for_others(device, calibration):
    """No oscillator plays two things at once, and none is one that the AWG does not have."""
    compiler = Compiler(device, known(calibration, crosstalk(4)))
    (chunk,) = compiler.compile([circuit(seed) for seed in range(4)], ONE)
    playbacks = partition_chunk(chunk, device).playbacks
    for name, playback in playbacks.items():
        check_playback(playback, AwgDriver.capabilities, name)
    assert max(playback.events["oscillator"].max() for playback in playbacks.values()) > 3
