"""Integration on the host: against the sum written down again, its laws, its limits, and the virtual digitizer."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pulsed.configs
from pulsed.drivers.rack.demodulate import ReadoutTone, average, demodulate
from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine

CLOCK = 1e9
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.tuples(st.integers(0, 9), st.integers(1, 700))
"""Shots and samples: groups of four with every rest, tables of 256 samples with every rest."""


def expected(records, tones, full_scale=1.0):
    """Return the sum of the module's head, in double precision."""
    z = (records[..., 0] + 1j * records[..., 1].astype(float)) / full_scale
    values = np.empty((len(records), len(tones)), complex)
    for column, tone in enumerate(tones):
        t = (tone.time + np.arange(tone.length)) / CLOCK
        kernel = np.full(tone.length, 1 / tone.length) if tone.kernel is None else tone.kernel
        weights = kernel * np.exp(2j * np.pi * tone.frequency * t)
        values[:, column] = z[:, tone.first : tone.first + tone.length] @ weights
    return values


def bound(records, tones):
    """Return how far sums in float32 may be off: a few roundings of the sum of the magnitudes."""
    weights = [1.0 if tone.kernel is None else float(np.abs(tone.kernel).sum()) for tone in tones]
    return 3e-6 * np.abs(records.astype(float)).max(initial=1.0) * max(weights, default=1.0)


def noise(random, shots, samples, low=-2048, high=2048):
    return random.integers(low, high, (shots, samples, 2), dtype=np.int16)


def complex_noise(random, size):
    return random.normal(size=size) + 1j * random.normal(size=size)


@given(SIZES, st.integers(1, 5), st.booleans(), SEEDS)
@settings(deadline=None)
def test_the_sum(size, count, extreme, seed):
    random = np.random.default_rng(seed)
    shots, samples = size
    records = noise(random, shots, samples, -32768, 32767 + 1)
    if extreme:
        records[:] = random.choice([-32768, 32767])
    tones = []
    for _ in range(count):
        first = int(random.integers(0, samples))
        length = int(random.integers(1, samples - first + 1))
        kernel = complex_noise(random, length) if random.random() < 0.7 else None
        tone = ReadoutTone(first, length, int(random.integers(0, 2**24)), float(random.uniform(-5e8, 5e8)), kernel)
        tones += [tone, replace(tone, frequency=-tone.frequency)][: int(random.integers(1, 3))]
    values = demodulate(records, tones, CLOCK)
    assert values.dtype == np.complex64
    error = np.abs(values - expected(records, tones)).max(initial=0.0)
    assert error <= bound(records, tones), f"seed {seed}"


@given(st.integers(1, 9), st.integers(1, 600), SEEDS)
@settings(deadline=None)
def test_linear_in_the_record_and_in_the_kernel(shots, samples, seed):
    random = np.random.default_rng(seed)
    one, two = noise(random, shots, samples, -999, 999), noise(random, shots, samples, -999, 999)
    a, b = complex_noise(random, (2, samples))
    tone = ReadoutTone(0, samples, 17, 123e6, a)
    tolerance = 20 * bound(one, [tone, replace(tone, kernel=b)])

    def value(records, kernel):
        return demodulate(records, [replace(tone, kernel=kernel)] * 2, CLOCK)[:, 0]

    assert np.abs(value(2 * one + 3 * two, a) - 2 * value(one, a) - 3 * value(two, a)).max() < tolerance, f"seed {seed}"
    assert np.abs(value(one, 2 * a + 1j * b) - 2 * value(one, a) - 1j * value(one, b)).max() < tolerance, f"seed {seed}"


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=8, unique=True), st.integers(0, 10_000), SEEDS)
@settings(deadline=None)
def test_orthogonal_tones_do_not_mix(cycles, time, seed):
    """Tones with a whole number of turns in the window: each comes back with its own amplitude and phase."""
    random = np.random.default_rng(seed)
    samples = 800
    amplitudes = 2000 / len(cycles) * np.exp(2j * np.pi * random.random(len(cycles)))
    frequencies = np.array(cycles) * CLOCK / samples
    t = (time + np.arange(samples)) / CLOCK
    z = (amplitudes * np.exp(-2j * np.pi * np.outer(t, frequencies))).sum(axis=1)
    records = np.rint(np.stack([z.real, z.imag], axis=-1)).astype(np.int16)[None].repeat(5, axis=0)
    tones = [ReadoutTone(0, samples, time, frequency) for frequency in frequencies.tolist()]
    # Rounding to codes moves each of I and Q by up to half a code.
    tolerance = np.sqrt(0.5) + bound(records, tones)
    assert np.abs(demodulate(records, tones, CLOCK) - amplitudes).max() < tolerance, f"seed {seed}"


@given(SEEDS)
@settings(deadline=None, max_examples=30)
def test_what_is_in_a_gap_does_not_count(seed):
    """Neither zeros within a kernel nor samples between two windows."""
    random = np.random.default_rng(seed)
    records = noise(random, 7, 300)
    kernel = complex_noise(random, 100)
    kernel[20:51] = 0
    tones = [
        ReadoutTone(200, 100, 1200, 31e6, kernel),
        ReadoutTone(200, 100, 1200, -7e6),
        ReadoutTone(0, 101, 1000, 31e6),
    ]
    before = demodulate(records, tones, CLOCK, 2048.0)
    tolerance = bound(records, tones) / 2048
    assert np.abs(before - expected(records, tones, 2048.0)).max() < tolerance, f"seed {seed}"
    records[:, 101:200] = -32768
    assert np.array_equal(demodulate(records, tones, CLOCK, 2048.0), before), f"seed {seed}"
    records[:, 220:251] = 32767
    after = demodulate(records, tones, CLOCK, 2048.0)
    # The lanes of a sum change with the records, not its terms.
    assert np.abs(after[:, [0, 2]] - before[:, [0, 2]]).max() < tolerance, f"seed {seed}"
    assert np.abs(after[:, 1] - before[:, 1]).min() > 0.1, f"seed {seed}"


@pytest.mark.parametrize("code", [-32768, 32767])
@pytest.mark.parametrize("tones", [1, 3])
def test_extreme_codes_over_the_longest_window(code, tones):
    records = np.full((5, 16384, 2), code, np.int16)
    same = [ReadoutTone(0, 16384, 0, 0.0, np.ones(16384))] * tones
    # Equal terms are rounded the same way every time: of each lane's sum, half of 2**-23 a term. Eight lanes at least.
    tolerance = 16384 / 8 * 2.0**-24
    assert demodulate(records, same, CLOCK) == pytest.approx(16384 * code * (1 + 1j), rel=tolerance)
    assert np.array_equal(average(np.repeat(records, 3, axis=0)), records[0].astype(np.float32))


@given(SIZES, SEEDS)
@settings(deadline=None)
def test_the_average(size, seed):
    shots, samples = size[0] + 1, size[1]
    records = noise(np.random.default_rng(seed), shots, samples, -32768, 32767)
    assert np.array_equal(average(records), records.mean(axis=0, dtype=float).astype(np.float32)), f"seed {seed}"


@pytest.mark.parametrize("length", [0, 15, 17, 32])
@pytest.mark.parametrize("others", [0, 1])
def test_a_kernel_of_another_length_is_named(length, others):
    tones = [ReadoutTone(0, 16, 0, 0.0)] * others + [ReadoutTone(0, 16, 0, 0.0, np.ones(length), "qubit 3")]
    with pytest.raises(InvalidValueError, match="another length than its window") as caught:
        demodulate(np.zeros((5, 16, 2), np.int16), tones, CLOCK)
    assert (caught.value.subject, caught.value.value) == ("qubit 3", f"{length} samples")
    assert caught.value.legal == "16 samples"


@pytest.mark.parametrize(("first", "length"), [(-1, 8), (9, 8), (0, 17), (4, 0), (4, -2)])
def test_a_window_that_is_not_in_the_record(first, length):
    with pytest.raises(InvalidValueError, match="not in the record") as caught:
        demodulate(np.zeros((5, 16, 2), np.int16), [ReadoutTone(first, length, 0, 0.0, name="qubit 1")], CLOCK)
    assert (caught.value.subject, caught.value.legal) == ("qubit 1", "0 to 16")


@pytest.mark.parametrize(
    "records",
    [np.zeros((5, 16, 2)), np.zeros((5, 16), np.int16), np.zeros((5, 16, 3), np.int16)],
    ids=["float", "2d", "3"],
)
def test_what_are_no_records(records):
    for work in (lambda: demodulate(records, [ReadoutTone(0, 16, 0, 0.0)], CLOCK), lambda: average(records)):
        with pytest.raises(InvalidValueError, match="no raw records") as caught:
            work()
        assert caught.value.legal == "int16 (shots, samples, 2)"


def test_records_of_every_layout():
    records = noise(np.random.default_rng(1), 9, 40)
    tones = [ReadoutTone(0, 40, 3, 5e6), ReadoutTone(0, 40, 3, -5e6)]
    whole = demodulate(records, tones, CLOCK)
    turned = np.asfortranarray(records)
    frozen = np.frombuffer(records.tobytes(), np.int16).reshape(records.shape)
    assert np.array_equal(demodulate(turned, tones, CLOCK), whole)
    assert np.array_equal(demodulate(frozen, tones, CLOCK), whole)
    assert np.allclose(demodulate(records[::2], tones, CLOCK), whole[::2], atol=1e-3)


@pytest.mark.parametrize("work", [lambda r: demodulate(r, [ReadoutTone(0, 1000, 0, 3e6)] * 5, CLOCK), average])
def test_records_are_not_copied(work):
    records = noise(np.random.default_rng(1), 2000, 1000)
    work(records[:8])
    tracemalloc.start()
    try:
        work(records)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Weights of five tones and the values of all shots; the records have 8 MB.
    assert peak < 0.05 * records.nbytes


def readout(windows):
    """Return a readout of 400 samples at two frequencies."""
    tones = [(0, 100, 0, 0.2, 0.3, -130e6), (0, 100, 0, 0.2, -0.4, 30e6)]
    return PulseSequence(
        (LineSettings("ro", 7.11e9),),
        np.array(tones, BURST),
        (np.ones(400, complex),),
        (b"one",),
        tuple(windows),
        10_000,
    )


@pytest.mark.parametrize("shots", [700, 3])
def test_the_instrument_integrates_as_the_host_does(shots):
    """The virtual digitizer integrates records when one could clip, here by its noise: the same seed, the same records.

    Two windows, kernels with gaps, boxcars, and three tones of which none is orthogonal to another.
    """
    chip = load_chip(Path(pulsed.configs.__file__).parent / "chips" / "sim5.toml")
    chip = replace(chip, amplifier=replace(chip.amplifier, noise_lsb=400.0))
    random = np.random.default_rng(11)
    kernel = complex_noise(random, 200) / 200
    kernel[30:77] = 0
    plan = [(200, -130e6, kernel), (200, 30e6, None), (200, 110e6, None), (420, 30e6, None), (420, -130e6, kernel)]
    windows = [
        Window(
            start,
            200,
            tuple(IntegrationKernel(f, np.full(200, 1 / 200) if k is None else k) for at, f, k in plan if at == start),
        )
        for start in (200, 420)
    ]
    sequence = readout(windows)
    raw = Engine(chip, 5).play(sequence, shots, (1,), "raw")
    integrated = Engine(chip, 5).play(sequence, shots, (1,), "integrated")
    assert raw.raw is not None
    assert integrated.integrated is not None
    tones = [ReadoutTone(0 if start == 200 else 200, 200, start, f, k) for start, f, k in plan]
    values = demodulate(raw.raw, tones, CLOCK, chip.amplifier.full_scale)
    assert np.abs(values - integrated.integrated).max() < 1e-6
    assert np.abs(values).mean() > 0.01
    assert np.abs(average(raw.raw) / 2048).max() < 1
