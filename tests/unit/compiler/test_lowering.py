"""Frames, carriers and limits, against formulas written down again here."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit

from pulsed.model.errors import LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play, SetFrequency, SetPhase, ShiftFrequency, ShiftPhase
from pulsed.pulse.library import Constant, Gaussian
from pulsed.pulse.schedule import Schedule

D0, D4 = DriveChannel(0), DriveChannel(4)
LO = 5.10e9


def acquire(time=0):
    return time, Acquire(800, AcquireChannel(0), MemorySlot(0))


def waveform(preview, port, stop):
    samples = np.zeros(stop, dtype=complex)
    for segment in preview.segments(port):
        samples[segment.start : segment.start + len(segment.samples)] = segment.samples
    return samples


def test_a_pulse_has_the_sign_of_the_contract(compiler):
    schedule = Schedule((16, Play(Constant(32, 0.5, angle=0.2), D0)), acquire(1000))
    samples = waveform(compiler.preview(schedule), "d0", 48)
    t = np.arange(16, 48) * 1e-9
    expected = 0.5 * np.exp(0.2j) * np.exp(-2j * np.pi * (4.97e9 - LO) * t)
    # The port's oscillator runs from 24 samples before the shot; Preview undoes only the shift of time, so the
    # phase here proves that lowering made up for it.
    assert np.allclose(samples[16:], expected, atol=1e-12)
    assert not samples[:16].any()


@given(st.lists(st.tuples(st.sampled_from(["phase", "set", "hop", "to", "play"]), st.floats(-3, 3)), max_size=12))
@settings(deadline=None, max_examples=100)
def test_the_carrier_is_continuous_through_every_hop(session_compiler, steps):
    schedule, time, phase, frequency, cycles = Schedule(), 0, 0.0, 4.97e9, 0.0
    expected = np.zeros(16 * 14, dtype=complex)
    for kind, value in [*steps, ("play", 0.0)]:
        if kind == "phase":
            schedule = schedule.insert(time, ShiftPhase(value, D0))
            phase += value
        elif kind == "set":
            schedule = schedule.insert(time, SetPhase(value, D0))
            # SetPhase sets the frame's phase, what hops have gathered included in the carrier stays.
            phase = value
        elif kind == "hop":
            schedule = schedule.insert(time, ShiftFrequency(value * 1e7, D0))
            frequency += value * 1e7
        elif kind == "to":
            schedule = schedule.insert(time, SetFrequency(4.95e9 + value * 1e7, D0))
            frequency = 4.95e9 + value * 1e7
        else:
            schedule = schedule.insert(time, Play(Constant(16, 0.5), D0))
            t = np.arange(16) * 1e-9
            expected[time : time + 16] = 0.5 * np.exp(1j * phase - 1j * cycles - 2j * np.pi * (frequency - LO) * t)
        if kind != "play":
            continue
        cycles += 2 * np.pi * (frequency - LO) * 16e-9
        time += 16
    samples = waveform(session_compiler.preview(schedule.insert(*acquire(1000))), "d0", len(expected))
    assert np.allclose(samples, expected, atol=1e-9)


def events(chunk, program=0):
    return chunk.array(chunk.programs[program].events)


def test_circuit_and_its_schedule_lower_to_the_same_events(compiler):
    circuit = QuantumCircuit(3, 3)
    circuit.sx(0)
    circuit.rz(0.7, 1)
    circuit.ecr(0, 1)
    circuit.rz(-0.2, 1)
    circuit.delay(100, 1, "dt")
    circuit.ecr(2, 1)
    circuit.x(1)
    circuit.barrier()
    circuit.measure([0, 1, 2], [2, 1, 0])
    (direct,) = compiler.compile([circuit], RunOptions())
    (through,) = compiler.compile([compiler.schedule(circuit)], RunOptions())
    a, b = np.sort(events(direct), order=["slot", "time"]), np.sort(events(through), order=["slot", "time"])
    assert len(a) == 15
    for name in ("slot", "time", "frequency", "amplitude"):
        assert np.allclose(a[name], b[name])
    assert np.allclose(np.exp(1j * a["phase"]), np.exp(1j * b["phase"]))
    shapes = [[item.head.keys[row] for row in rows["envelope"]] for item, rows in ((direct, a), (through, b))]
    assert shapes[0] == shapes[1]
    one = direct.array(direct.programs[0].acquisitions)
    assert dict(zip(one["qubit"].tolist(), one["memory_slot"].tolist(), strict=True)) == {0: 2, 1: 1, 2: 0}


def test_rz_is_a_frame_change_with_the_sign_of_the_contract(compiler):
    def x_phase(angle):
        circuit = QuantumCircuit(1, 1)
        circuit.rz(angle, 0)
        circuit.x(0)
        circuit.measure(0, 0)
        (chunk,) = compiler.compile([circuit], RunOptions())
        return next(row["phase"] for row in events(chunk) if chunk.head.slots[row["slot"]].channel == "d0")

    assert math.remainder(x_phase(0.3) - x_phase(0.0) + 0.3, 2 * math.pi) == pytest.approx(0, abs=1e-12)


def test_the_pair_of_a_cross_resonance_gate_keeps_its_relative_phase_across_instruments(compiler):
    """u3 leaves d4 (no port delay) and the cancellation tone d3 (24 samples): equal phases in the lab."""
    schedule = Schedule(
        (100, Play(Constant(32, 0.5), ControlChannel(3))),
        (100, Play(Constant(32, 0.5), DriveChannel(3))),
        acquire(1000),
    )
    preview = compiler.preview(schedule)
    (chunk,) = compiler.compile([schedule], RunOptions())
    by_port = {chunk.head.slots[row["slot"]].port: row for row in events(chunk)}
    assert by_port["d3"]["time"] - by_port["d4"]["time"] == 24
    assert np.allclose(waveform(preview, "d3", 132), waveform(preview, "d4", 132), atol=1e-12)


def refuse(compiler, schedule, *words, **options):
    with pytest.raises(LoweringError) as caught:
        compiler.compile([schedule], RunOptions(**options))
    for word in words:
        assert word in str(caught.value)


def test_what_does_not_fit_is_refused_by_name(compiler):
    refuse(compiler, Schedule((0, Play(Constant(20, 0.5), D0)), acquire(100)), "d0", "20 dt", "multiples of 8")
    refuse(compiler, Schedule((0, Play(Constant(8, 0.5), D0)), acquire(100)), "d0", "8 dt", "16 to 65536 dt")
    refuse(compiler, Schedule((0, Play(Constant(16, 0.5), D0)), acquire(101)), "a0", "101 dt", "multiples of 4")
    far = Schedule((0, SetFrequency(4.0e9, D0)), (40, Play(Constant(16, 0.5), D0)), acquire(100))
    refuse(compiler, far, "d0 at 40 dt", "port d0", "4.75 to 5.45 GHz")
    refuse(compiler, Schedule((0, Play(Constant(16, 0.5), DriveChannel(7))), acquire()), "d7", "d0, d1, d2")
    refuse(compiler, Schedule((0, Play(Constant(16, 0.5), D0))), "Acquire")


def test_frequencies_of_the_job_replace_the_calibrated_ones(compiler):
    schedule = Schedule((0, Play(Gaussian(32, 0.5, 8), D0)), (0, Play(Constant(32, 0.1), MeasureChannel(0))), acquire())
    moved = tuple(4.9e9 + 1e7 * q for q in range(5))
    (chunk,) = compiler.compile([schedule], RunOptions(qubit_lo_freq=moved))
    found = {chunk.head.slots[row["slot"]].channel: row["frequency"] for row in events(chunk)}
    assert found["d0"] == pytest.approx(4.9e9 - LO)
    assert found["m0"] == pytest.approx(6.9e9 - 7.11e9)
    (plain,) = compiler.compile([schedule], RunOptions())
    assert events(plain)[0]["frequency"] == pytest.approx(4.97e9 - LO), "the next job has the calibrated ones again"
    from pulsed.model.errors import InvalidValueError

    with pytest.raises(InvalidValueError, match="qubit_lo_freq"):
        compiler.compile([schedule], RunOptions(qubit_lo_freq=(5e9,)))
