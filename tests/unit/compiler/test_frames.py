"""Frames of OpenPulse text, as ports play them: at the frequency and from the phase that ``newframe`` says."""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate

from pulsed.model.errors import CircuitError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import (
    Acquire,
    EnterFrame,
    LeaveFrame,
    Play,
    SetFrequency,
    SetPhase,
    ShiftFrequency,
    ShiftPhase,
)
from pulsed.pulse.library import Constant
from pulsed.pulse.openpulse import dumps, loads
from pulsed.pulse.schedule import Schedule

QUBIT = 1
LINE = DriveChannel(QUBIT)
PULSE = Play(Constant(64, 0.25), LINE)
TURN = 2 * np.pi


@pytest.fixture
def own(calibration):
    """The frequency of d1, Hz."""
    return float(calibration.values[f"Q{QUBIT}.f01"].value)


def gate(device, frequency, phase, *statements):
    text = f"""
cal {{ port d{QUBIT}; frame drive = newframe(d{QUBIT}, {frequency!r}, {phase!r}); }}
defcal probe ${QUBIT} {{ {" ".join(statements)} }}
"""
    return loads(text, device.dt).gates


def circuit(*parts):
    """Gates by name and delays in dt on d1's qubit, then a measurement."""
    made = QuantumCircuit(QUBIT + 1, 1)
    for part in parts:
        if isinstance(part, int):
            made.delay(part, QUBIT)
        else:
            made.append(Gate(part, 1, []), [QUBIT])
    made.measure(QUBIT, 0)
    return made


def carriers(compiler, program, own, gates=None):
    """(amplitude, Hz from d1's own, cycles at the shot's start, start in s) of all that d1 plays."""
    (chunk,) = compiler.compile([program], RunOptions(), gates)
    port = compiler.device.ports[f"d{QUBIT}"]
    lo = compiler.device.lo_frequency(f"d{QUBIT}")
    found = []
    for event in chunk.array(chunk.programs[0].events):
        if chunk.head.slots[event["slot"]].channel != f"d{QUBIT}" or event["envelope"] < 0:
            continue
        frequency = float(event["frequency"])
        # the oscillator counts from the port's own sample 0, which is its delay before the shot's start
        cycles = float(event["phase"]) / TURN - frequency * port.delay / float(port.clock)
        start = (int(event["time"]) - port.delay) / float(port.clock)
        found.append((float(event["amplitude"]), frequency + lo - own, cycles, start))
    return found


def same_turn(cycles, other):
    """2πf·t of some µs at 100 MHz in doubles: within 1e-9 of a turn."""
    return abs((cycles - other + 0.5) % 1 - 0.5) < 1e-8


@pytest.mark.parametrize(("offset", "phase"), [(0.0, 0.0), (0.0, 1.0), (1e8, 0.0), (-7.5e7, -2.0)])
def test_a_frame_is_where_newframe_puts_it_and_the_channels_own_goes_on(compiler, device, own, offset, phase):
    gates = gate(device, own + offset, phase, "play(drive, constant(0.25, 64dt));")
    order = ["probe", 80, "x", 160, "probe", "sx", 240, "x"]
    found = carriers(compiler, circuit(*order), own, gates)
    usual = carriers(compiler, circuit(*order), own, {("probe", (QUBIT,), ()): Schedule(PULSE)})
    assert len(found) == len(usual) == 5
    for ours, plain in zip(found, usual, strict=True):
        if ours[0] == 0.25:
            assert ours[1] == pytest.approx(offset, abs=1e-3)
            # x turns the channel's frame, and with it this one
            assert same_turn(ours[2], plain[2] + phase / TURN)
        else:
            # to the last digit: what is left is left without a trace
            assert ours == plain
    assert same_turn(found[0][2], phase / TURN)


def test_what_shifts_the_channel_shifts_its_frames_and_the_other_way_round(compiler, device, own):
    """set_phase is that of the frame, so the initial phase is gone after it; a hop is continuous."""
    gates = gate(
        device, own + 1e7, 1.0, "shift_phase(drive, 0.5);", "play(drive, constant(0.25, 64dt));",
        "set_phase(drive, 0.125);", "play(drive, constant(0.25, 64dt));",
    )  # fmt: skip
    first, second, third, fourth, last = carriers(compiler, circuit("probe", "probe", "x"), own, gates)
    (plain,) = carriers(compiler, circuit(256, "x"), own)
    assert same_turn(first[2], 1.5 / TURN)
    assert same_turn(second[2], 0.125 / TURN)
    assert same_turn(third[2], 0.625 / TURN)
    assert same_turn(fourth[2], 0.125 / TURN)
    # the channel's own phase is the frame's less what newframe gave it
    assert same_turn(last[2] - plain[2], (0.125 - 1.0) / TURN)

    gates = gate(
        device, own + 1e7, 0.0, "play(drive, constant(0.25, 64dt));", f"set_frequency(drive, {own + 3e7!r});",
        "play(drive, constant(0.25, 64dt));",
    )  # fmt: skip
    first, second = carriers(compiler, circuit("probe"), own, gates)
    assert (first[1], second[1]) == pytest.approx((1e7, 3e7), abs=1e-3)
    hop = second[3]
    assert same_turn(first[2] - first[1] * hop, second[2] - second[1] * hop)


def test_written_gates_play_as_they_were_whatever_the_reader_knows(compiler, device, own):
    frequencies = {LINE: own}
    schedule = Schedule(
        (0, ShiftPhase(0.3, LINE)), (0, PULSE), (64, ShiftFrequency(2e6, LINE)), (80, PULSE),
        (160, SetPhase(0.7, LINE)), (160, PULSE), (224, SetFrequency(own - 5e6, LINE)), (240, PULSE),
        (304, SetFrequency(own, LINE)),
    )  # fmt: skip
    text = dumps({("probe", QUBIT): schedule}, device.dt, frequencies)
    program = circuit("probe", 16, "x", "probe")
    expected = carriers(compiler, program, own, {("probe", (QUBIT,), ()): schedule})
    for known in (frequencies, None):
        gates = loads(text, device.dt, frequencies=known).gates
        assert carriers(compiler, program, own, gates) == expected


def test_a_gate_in_another_frame_can_wait_for_a_bit(compiler, device, own):
    def branching(body):
        made = QuantumCircuit(QUBIT + 1, 2)
        made.measure(QUBIT, 0)
        with made.if_test((0, 1)):
            made.append(Gate(body, 1, []), [QUBIT])
        made.x(QUBIT)
        made.measure(QUBIT, 1)
        return made

    gates = gate(device, own + 1e7, 1.0, "play(drive, constant(0.25, 64dt));")
    (probe, x) = carriers(compiler, branching("probe"), own, gates)
    assert (probe[0], probe[1]) == (0.25, pytest.approx(1e7, abs=1e-3))
    plain = {("probe", (QUBIT,), ()): Schedule(PULSE)}
    assert x[1:3] == carriers(compiler, branching("probe"), own, plain)[1][1:3]
    stays = {("probe", (QUBIT,), ()): Schedule(EnterFrame(own + 1e7, 0, LINE), PULSE)}
    with pytest.raises(CircuitError, match="frames that it leaves again"):
        compiler.compile([branching("probe")], RunOptions(), stays)


def test_an_acquisition_is_demodulated_in_the_frame_of_its_text(compiler, device, calibration):
    line = AcquireChannel(QUBIT)
    acquire = Acquire(800, line, MemorySlot(0))
    frames = {}
    for offset in (0.0, 3e6):
        frequency = float(calibration.values[f"Q{QUBIT}.readout.frequency"].value) + offset
        schedule = Schedule(EnterFrame(frequency, 0, line), acquire, (800, LeaveFrame(frequency, 0, line)))
        (chunk,) = compiler.compile([schedule], RunOptions())
        (row,) = chunk.array(chunk.programs[0].acquisitions)
        frames[offset] = float(row["frequency"])
    assert frames[3e6] - frames[0.0] == pytest.approx(3e6, abs=1e-3)


def test_a_frame_out_of_the_band_is_refused_by_name(compiler, own):
    frame = (own + 9e8, 0.0, LINE)
    schedule = Schedule(EnterFrame(*frame), PULSE, (64, Acquire(800, AcquireChannel(QUBIT), MemorySlot(0))))
    with pytest.raises(LoweringError, match=r"channel d1 at 0 dt: the frequency lies outside the band of port d1"):
        compiler.compile([schedule], RunOptions())
