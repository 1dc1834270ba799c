"""Flux lines: real samples without a carrier, what cannot be played on them, and the CZ made of them."""

from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

import pulsed.configs
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.compile import Compiler
from pulsed.compiler.gates import gate_table
from pulsed.drivers.rack.rack import Rack
from pulsed.model.calibration import Value, load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError, InstrumentLimitError, LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play, SetFrequency, SetPhase, ShiftFrequency, ShiftPhase
from pulsed.pulse.library import Constant, Drag, GaussianSquare, Waveform
from pulsed.pulse.schedule import Schedule

CONFIGS = Path(pulsed.configs.__file__).parent
U0, D0 = ControlChannel(0), DriveChannel(0)


@pytest.fixture(scope="module")
def coupler():
    return load_device(CONFIGS / "coupler2.toml")


@pytest.fixture(scope="module")
def values():
    return load_calibration(CONFIGS / "calibrations" / "coupler2.json")


@pytest.fixture(scope="module")
def flux(coupler, values):
    return Compiler(coupler, values)


def events_of(compiler, schedule, port):
    """The chunk, and the events of the schedule on a port."""
    (chunk,) = compiler.compile([measured(schedule)], RunOptions(shots=1))
    events = chunk.array(chunk.programs[0].events)
    slots = [i for i, slot in enumerate(chunk.head.slots) if slot.port == port]
    return chunk, events[np.isin(events["slot"], slots)]


def measured(schedule):
    """The schedule with an acquisition after it, without which nothing comes back."""
    return schedule.insert(2000, Acquire(800, AcquireChannel(0), MemorySlot(0)))


def test_samples_of_either_sign_at_zero_carrier_late_by_the_delay_of_the_port(flux):
    shape = GaussianSquare(64, 0.3, sigma=8, width=32)
    schedule = Schedule((40, Play(shape, U0)), (160, Play(GaussianSquare(64, -0.3, sigma=8, width=32), U0)))
    chunk, events = events_of(flux, schedule, "f0")
    assert events["time"].tolist() == [40 + 24, 160 + 24]
    assert events["frequency"].tolist() == [0.0, 0.0]
    signs = events["amplitude"] * np.exp(1j * events["phase"])
    samples = [z * chunk.envelope(row) for z, row in zip(signs, events["envelope"], strict=True)]
    assert np.allclose(samples, [shape.envelope(), -shape.envelope()], atol=1e-12)


def test_the_direct_current_is_the_calibrated_one_else_that_of_the_description(coupler, values, flux):
    (chunk,) = flux.compile([measured(Schedule((0, Play(Constant(16, 0.1), U0))))], RunOptions(shots=1))
    assert chunk.settings.biases == {"f0": values.number("f0.bias")} == {"f0": 0.418e-3}
    own = RunOptions(shots=1, settings={"ports.f0.bias": -0.3e-3})
    (moved,) = flux.compile([measured(Schedule((0, Play(Constant(16, 0.1), U0))))], own)
    assert moved.settings.biases == {"f0": -0.3e-3}
    with pytest.raises(ConfigError, match="no such name") as caught:
        flux.compile([], RunOptions(settings={"ports.d0.bias": 0.0}))
    assert "ports.f0.bias" in caught.value.legal
    bare = type(values)(values.device, {}, values.created)
    assert ChannelMap(coupler, bare).biases == {"f0": 0.4e-3}


@pytest.mark.parametrize(
    ("instruction", "value"),
    [
        (Play(Constant(16, 0.1, angle=0.3), U0), "an angle of 0.3 rad"),
        (Play(Drag(32, 0.1, sigma=8, beta=0.5), U0), "imaginary part"),
        (Play(Waveform(np.full(16, 0.1 + 0.001j)), U0), "imaginary part"),
        (ShiftPhase(0.1, U0), "0.1"),
        (SetPhase(0.0, U0), "0.0"),
        (ShiftFrequency(1e6, U0), "1000000.0"),
        (SetFrequency(4.9e9, U0), "4900000000.0"),
    ],
    ids=str,
)
def test_what_is_not_real_is_refused_by_name(flux, instruction, value):
    with pytest.raises(LoweringError, match="flux line") as caught:
        flux.compile([measured(Schedule((48, instruction)))], RunOptions(shots=1))
    assert "at 48 dt" in caught.value.subject
    assert "u0" in caught.value.subject or "ControlChannel(0)" in caught.value.subject
    assert value in caught.value.value


def test_late_amplitudes_change_sign_and_late_angles_are_refused(flux):
    level = Parameter("level")
    shape = measured(Schedule((0, Play(GaussianSquare(64, level, sigma=8, width=32), U0))))
    (chunk,) = flux.sweep(shape, {level: [-0.4, 0.0, 0.4]}, RunOptions(shots=1))
    chunk = chunk.unrolled()
    played = [chunk.array(program.events)[0] for program in chunk.programs]
    assert [round(float(e["amplitude"] * np.cos(e["phase"])), 9) for e in played] == [-0.4, 0.0, 0.4]
    turned = measured(Schedule((0, Play(GaussianSquare(64, 0.1, sigma=8, width=32, angle=level), U0))))
    with pytest.raises(LoweringError, match="flux line"):
        flux.sweep(turned, {level: [0.1]}, RunOptions(shots=1))


def test_virtual_z_leaves_flux_lines_alone(coupler, values):
    channel_map = ChannelMap(coupler, values)
    assert [[channel_map.lines[row].channel.name for row in rows] for rows in channel_map.frames_of_qubit] == [
        ["d0"],
        ["d1"],
    ]


def test_cz_is_one_flux_pulse_and_virtual_z_either_way_round(coupler, values, flux):
    table = gate_table(coupler, values)
    assert {key for key in table if key[0] in ("cz", "ecr")} == {("cz", (0, 1)), ("cz", (1, 0))}
    assert table["cz", (0, 1)] is table["cz", (1, 0)]
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.cz(1, 0)
    circuit.sx([0, 1])
    circuit.measure([0, 1], [0, 1])
    (chunk,) = flux.compile([circuit], RunOptions(shots=1))
    events = chunk.array(chunk.programs[0].events)
    by_port = {chunk.head.slots[slot].port: events[events["slot"] == slot] for slot in np.unique(events["slot"])}
    (pulse,) = by_port["f0"]
    assert pulse["amplitude"] == pytest.approx(values.number("Q0-Q1.cz.amplitude"))
    first, last = by_port["d0"]
    assert last["time"] - first["time"] == 32 + values.number("Q0-Q1.cz.duration")
    assert pulse["time"] == first["time"] + 32
    # rz(angle) is a shift of -angle for all that comes after it
    turned = last["phase"] - first["phase"] + values.number("Q0-Q1.cz.rz_control")
    assert np.exp(1j * turned) == pytest.approx(1.0, abs=1e-9)


def test_a_pair_without_all_values_has_no_cz(coupler, values):
    kept = {name: value for name, value in values.values.items() if name != "Q0-Q1.cz.width"}
    assert not any(name == "cz" for name, _ in gate_table(coupler, type(values)(values.device, kept, values.created)))


def test_a_current_beyond_the_range_is_refused_before_anything_is_sent(coupler, values):
    wrong = values.with_values({"f0.bias": Value(2e-3, "A")}, values.created)
    schedule = measured(Schedule((0, Play(Constant(16, 0.1), U0))))
    (chunk,) = Compiler(coupler, wrong).compile([schedule], RunOptions(shots=1, meas_level=1))
    rack = Rack(coupler)
    try:
        with pytest.raises(InstrumentLimitError) as caught:
            rack.validate(chunk)
    finally:
        rack.close()
    assert (caught.value.subject, caught.value.value) == ("instrument gs1", "0.002 A")
