"""The analyser sees carriers, images and leakage with the amplitudes that mixer, line and settings give them."""

from __future__ import annotations

import numpy as np
import pytest

from pulsed.simulator.chip.components import Wire
from pulsed.simulator.dynamics.lines import gain, ideal_correction, mixed
from pulsed.simulator.instruments.n9030b import VirtualN9030b
from pulsed.simulator.instruments.spectrum import Tap, levels
from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity

WIRE = Wire("d0", 0, 350e6, -0.4, 3.0, (-0.000769, 0.0029))
FULL_SCALE, LO = 4.0, 5.1e9
TONE, AMPLITUDE = -130e6, 0.25
RBW = 1e6
SEED = 5


@pytest.fixture
def analyser(bench):
    """An analyser at d0, whose LO and output are on."""
    bench.lo.values |= {"output": True, "frequency": LO}
    bench.awg1.outputs[0].on = True
    analyser = VirtualN9030b(VirtualIdentity("Keysight Technologies", "N9030B", "1"))
    analyser.seed(SEED)
    analyser.taps = {"d0": Tap(bench.conductor.outputs[0], bench.lo, WIRE, FULL_SCALE)}
    analyser.last_run = lambda: bench.conductor.last
    return analyser


def play(bench, samples, amplitude=AMPLITUDE, frequency=TONE, wave=None):
    codes = wave
    if wave is None:
        # Edges of 1 us: a step would splash over all frequencies.
        ramp = np.minimum(1.0, np.minimum(np.arange(samples), samples - 1 - np.arange(samples)) / 1000)
        codes = bench.wave(samples, 0)
        codes[:, 0] = np.round(8191 * np.sin(ramp * np.pi / 2) ** 2)
    bench.awg1.bus = bench.conductor
    awg = bench.client(bench.awg1)
    awg.write('WAV:DATA 1,"tone",', codes)
    awg.write('SEQ:DATA 1,"s",70000,', bench.events((1, 0, 1, 40, amplitude, 0.3, frequency)))
    awg.write("LIST:DATA ", bench.entries((1, 1, 70000)))
    awg.write("INIT;*TRG")
    bench.settle()
    awg.clean()


def level(analyser, frequency, rbw=RBW):
    """Return the highest level (dBm) within 2 MHz of a frequency."""
    client_values = {"rbw": rbw, "points": 401}
    analyser.values |= client_values
    analyser.port = "d0"
    analyser.start, analyser.stop = frequency - 2e6, frequency + 2e6
    analyser._sweep()
    return analyser._trace[:, 1].max()


def near(amplitude):
    """The level of an amplitude, for signals 35 dB and more above the noise: 4 of its sigmas are 0.5 dB."""
    return pytest.approx(dbm(amplitude), abs=0.5)


def dbm(amplitude):
    return FULL_SCALE + 20 * np.log10(amplitude)


def test_carrier_image_and_leakage_of_an_uncorrected_mixer(bench, analyser):
    play(bench, 16384)
    direct, image, leakage = mixed(WIRE, (1, 0, 0, 1), (0, 0))
    through = AMPLITUDE * abs(gain(WIRE.bandwidth, TONE))
    # The noise is 70 dB below the carrier.
    assert level(analyser, LO + TONE) == pytest.approx(dbm(through * abs(direct)), abs=0.05)
    assert level(analyser, LO - TONE) == near(through * abs(image))
    assert level(analyser, LO) == near(abs(leakage))


def test_the_right_correction_and_offset_null_both(bench, analyser):
    play(bench, 16384)
    before = level(analyser, LO - TONE), level(analyser, LO)
    output = bench.awg1.outputs[0]
    output.correction, output.offset = ideal_correction(WIRE)
    assert level(analyser, LO - TONE) < before[0] - 30
    assert level(analyser, LO) < before[1] - 30
    output.offset = (output.offset[0] + 0.01, output.offset[1])
    # What an offset of 0.01 on I is behind this mixer: 0.01 of full scale.
    assert level(analyser, LO) == near(0.01)


def test_a_pulse_shorter_than_the_filter_shows_less(bench, analyser):
    """A Gaussian of standard deviation s in a Gaussian filter of s_f: the peak is s / sqrt(s^2 + s_f^2)."""
    spread = 200
    n = np.arange(2048) - 1023.5
    codes = np.zeros((2048, 2), "<i2")
    codes[:, 0] = np.round(8191 * np.exp(-0.5 * (n / spread) ** 2))
    play(bench, 2048, wave=codes)
    direct, _, _ = mixed(WIRE, (1, 0, 0, 1), (0, 0))
    through = AMPLITUDE * abs(gain(WIRE.bandwidth, TONE)) * abs(direct)
    for rbw in (8e6, 1e6, 3e5):
        filter_spread = 1e9 * 2 * np.sqrt(np.log(2)) / (2 * np.pi * rbw)
        expected = dbm(through * spread / np.hypot(spread, filter_spread))
        # The filter is sampled at steps of its spread: at worst half a step from the peak, 1 dB for the widest.
        step = 20 * np.log10(np.exp(0.125 * filter_spread**2 / (spread**2 + filter_spread**2)))
        assert expected - step - 0.1 < level(analyser, LO + TONE, rbw) < expected + 0.1


def test_what_is_off_is_not_seen(bench, analyser):
    play(bench, 16384)
    bench.awg1.outputs[0].offset = (0.3, 0.0)
    bench.awg1.outputs[0].on = False
    noise = -155 + 10 * np.log10(RBW) + 10
    assert level(analyser, LO + TONE) < noise + 12
    assert level(analyser, LO) == near(np.hypot(*WIRE.lo_leakage))
    bench.lo.values["output"] = False
    assert level(analyser, LO) < noise + 12


def test_the_noise_has_the_power_that_the_manual_says():
    rng = np.random.default_rng(SEED)
    shown = levels(np.zeros(20001), FULL_SCALE, 1e5, 20.0, rng.standard_normal)
    power = 10 ** (shown / 10) / 10 ** ((-155 + 50 + 20) / 10)
    # Exponentially distributed: mean 1 with an error of 1/sqrt(N).
    assert abs(power.mean() - 1) < 5 / np.sqrt(20001), f"seed {SEED}"


def test_a_narrow_line_is_not_lost_between_points(bench, analyser):
    analyser.values |= {"points": 11, "rbw": 1e4}
    analyser.port, analyser.start, analyser.stop = "d0", 5.0e9 + 3e6, 5.2e9 + 3e6
    analyser._sweep()
    assert analyser._trace[:, 1].max() == near(np.hypot(*WIRE.lo_leakage))


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('INP:SEL "d7"', -224),
        ("READ:SAN2?", -224),
        ("FETC:SAN1?", -221),
        ("FORM ASC,8", -224),
        ("FREQ:STAR 99e9", -222),
        ("SWE:POIN 0", -222),
        ("BAND 1e9", -222),
        ("FREQ:SPAN 1", -222),
    ],
)
def test_what_it_refuses(bench, analyser, line, code):
    client = bench.client(analyser)
    assert client.query(line) == ""
    assert client.error() == code


def test_frequencies_follow_each_other(bench, analyser):
    client = bench.client(analyser)
    client.write("FREQ:CENT 5e9;SPAN 100e6")
    assert client.query("FREQ:STAR?;STOP?") == "4950000000.0;5050000000.0"
    client.write("FREQ:STOP 4e9")
    assert client.query("FREQ:STAR?;SPAN?") == "3999999990.0;10.0"
    client.write("FREQ:CENT -79e6;SPAN 5e9")
    start, stop = map(float, client.query("FREQ:STAR?;STOP?").split(";"))
    assert (start, stop > start) == (-80e6, True)
    client.clean()
    client.write('INP:SEL "d0";:BAND 1e5;:FREQ:STAR 5.05e9;STOP 5.15e9;:FREQ:TUNE:IMM')
    # A tenth of a MHz: a point of the trace.
    assert float(client.query("FREQ:CENT?")) == pytest.approx(LO, abs=1e5)
