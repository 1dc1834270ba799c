"""Samples of events: against the formula, and the same whether an NCO or the compiler makes the carrier."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.compiler.compile import Compiler
from pulsed.compiler.render import CODED, codes
from pulsed.model.errors import LoweringError
from pulsed.model.job import RunOptions
from pulsed.pulse import Schedule
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Acquire, Play, ShiftFrequency, ShiftPhase
from pulsed.pulse.library import Constant, Drag, Gaussian, GaussianSquare, Waveform


@given(
    st.lists(
        st.tuples(
            st.integers(1, 600), st.floats(0, 1), st.floats(-7, 7), st.sampled_from([-130e6, 0.0, 87.3e6]),
            st.integers(0, 10**6),
        ),
        min_size=1, max_size=5,
    ),
    st.integers(0, 10**6),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_codes_are_the_rounded_samples(events, seed):
    rng = np.random.default_rng(seed)
    total = sum(length for length, *_ in events)
    shapes = (rng.uniform(-1, 1, (2, total)) / np.sqrt(2)).astype(np.float32)
    rows = np.zeros(len(events), dtype=CODED)
    expected, at = np.zeros(total, complex), 0
    for row, (length, amplitude, phase, frequency, start) in zip(rows, events, strict=True):
        row["shape"], row["length"], row["out"], row["time"] = at, length, at, start
        row["amplitude"], row["phase"], row["frequency"] = amplitude, phase, frequency
        t = (start + np.arange(length)) / 1e9
        envelope = shapes[0, at : at + length] + 1j * shapes[1, at : at + length]
        expected[at : at + length] = 8191 * amplitude * envelope * np.exp(1j * phase - 2j * np.pi * frequency * t)
        at += length
    out = np.empty(2 * total, np.int16)
    codes((shapes[0], shapes[1]), rows, 1e9, out)
    # Half a code of rounding, and single precision over at most 8191 codes.
    assert np.abs(out[::2] - expected.real).max() < 0.5 + 8191 * 1e-6
    assert np.abs(out[1::2] - expected.imag).max() < 0.5 + 8191 * 1e-6


def test_codes_clip_at_full_scale():
    out = np.empty(4, np.int16)
    row = np.array([(0, 2, 0, 0, 3.0, 0.0, 0.0)], dtype=CODED)
    codes((np.array([1, -1], np.float32), np.array([-1, 1], np.float32)), row, 1e9, out)
    assert out.tolist() == [8191, -8191, -8191, 8191]


def test_a_preview_has_the_codes_of_its_samples(device, calibration):
    preview = Compiler(device, calibration).preview(program())
    for port in preview.ports:
        coded, plain = preview.codes(port), preview.segments(port)
        assert [start for start, _ in coded] == [segment.start for segment in plain]
        for (_, found), segment in zip(coded, plain, strict=True):
            # Half a code for each of at most two tones at once.
            assert np.abs(found[:, 0] - 8191 * segment.samples.real).max() < 1.01
            assert np.abs(found[:, 1] - 8191 * segment.samples.imag).max() < 1.01


def program():
    schedule = Schedule()
    schedule = schedule.insert(0, Play(Drag(32, 0.3, 8, 0.5, angle=0.4), DriveChannel(2)))
    schedule = schedule.insert(32, ShiftPhase(0.7, DriveChannel(2)))
    schedule = schedule.insert(32, Play(GaussianSquare(64, 0.2, 8, 32), ControlChannel(1)))
    schedule = schedule.insert(40, ShiftFrequency(3e6, DriveChannel(2)))
    schedule = schedule.insert(48, Play(Gaussian(32, 0.3, 8), DriveChannel(2)))
    schedule = schedule.insert(400, Play(Constant(32, 0.1), DriveChannel(2)))
    schedule = schedule.insert(500, Play(Constant(400, 0.1), MeasureChannel(2)))
    return schedule.insert(500, Acquire(400, AcquireChannel(2), MemorySlot(0)))


def changed(device, *names, **fields):
    ports = {name: port.model_copy(update=fields) if name in names else port for name, port in device.ports.items()}
    return device.model_copy(update={"ports": ports})


def test_a_port_without_nco_plays_the_same_samples(device, calibration):
    with_nco = Compiler(device, calibration).preview(program())
    baked = Compiler(changed(device, "d2", nco=False), calibration)
    without = baked.preview(program())
    assert with_nco.ports == without.ports
    for one, other in zip(with_nco.segments("d2"), without.segments("d2"), strict=True):
        assert one.start == other.start
        assert np.allclose(one.samples, other.samples, atol=1e-12)
    (chunk,) = baked.compile([program()], RunOptions())
    rows = [row for row in chunk.array(chunk.programs[0].events) if chunk.head.slots[row["slot"]].port == "d2"]
    assert len(rows) == 2, "what touches is one waveform, on one oscillator"
    assert {float(row["frequency"]) for row in rows} == {0.0}
    assert {float(row["phase"]) for row in rows} == {0.0}


@pytest.fixture
def gateless(calibration):
    """The calibrated pulses of 32 dt are no whole number of samples on every clock."""
    values = {name: value for name, value in calibration.values.items() if "x." not in name}
    return msgspec.structs.replace(calibration, values=values)


@pytest.mark.parametrize(("clock", "dt"), [(2, 1), (12, 5), (1, 2)])
def test_a_port_with_another_clock_plays_the_same_pulse_on_its_own_samples(device, gateless, clock, dt):
    """Times convert exactly; a closed form is taken at the port's own midpoints."""
    port = {"clock": device.ports["d0"].clock * clock / dt, "granularity": 1, "min_length": 1}
    compiler = Compiler(changed(device, "d0", **port), gateless)
    schedule = Schedule(
        (80, Play(Gaussian(160, 0.5, 40), DriveChannel(0))), (400, Acquire(400, AcquireChannel(0), MemorySlot(0)))
    )
    (segment,) = compiler.preview(schedule).segments("d0")
    rate = 1e9 * clock / dt
    assert segment.start == 80 * clock // dt
    assert len(segment.samples) == 160 * clock // dt
    n = np.arange(len(segment.samples))
    envelope = Gaussian(160, 0.5, 40)
    t = (n + 0.5) * dt / clock
    foot = np.exp(-0.5 * (81 / 40) ** 2)
    expected = 0.5 * (np.exp(-0.5 * ((t - 80) / 40) ** 2) - foot) / (1 - foot)
    assert np.allclose(envelope.envelope()[0], 0.5 * (np.exp(-0.5 * (79.5 / 40) ** 2) - foot) / (1 - foot))
    carrier = np.exp(-2j * np.pi * (4.97e9 - 5.1e9) * (segment.start + n) / rate)
    assert np.allclose(segment.samples, expected * carrier, atol=1e-9)


def test_what_does_not_convert_to_the_ports_clock_is_refused_by_name(device, gateless, calibration):
    slow = Compiler(changed(device, "d0", clock=device.ports["d0"].clock * 12 / 5, granularity=1), gateless)
    acquire = (400, Acquire(400, AcquireChannel(0), MemorySlot(0)))
    off = Schedule((81, Play(Gaussian(160, 0.5, 40), DriveChannel(0))), acquire)
    with pytest.raises(LoweringError, match=r"channel d0 at 81 dt.*port d0.*multiples of 5 dt"):
        slow.compile([off], RunOptions())
    sampled = Schedule((80, Play(Waveform(np.full(160, 0.1)), DriveChannel(0))), acquire)
    with pytest.raises(PulseError, match="12/5"):
        slow.compile([sampled], RunOptions())
    odd = Compiler(changed(device, "d0", clock=430_080_000), gateless)
    with pytest.raises((LoweringError, PulseError)):
        odd.compile([Schedule((80, Play(Gaussian(160, 0.5, 40), DriveChannel(0))), acquire)], RunOptions())
    with pytest.raises(PulseError, match="384/5"):
        Compiler(changed(device, "d0", clock=device.ports["d0"].clock * 12 / 5), calibration)
