"""Readouts are kept by content and within bounds; sums under kernels against sums sample by sample."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.readout.acquisition import Acquisition, readout_field
from pulsed.simulator.readout.jumps import Jumps
from pulsed.simulator.readout.measurement import Stretch
from pulsed.simulator.readout.readout_cache import ReadoutCache
from pulsed.simulator.readout.records import integrals, integrate, trajectories
from pulsed.simulator.readout.response import STRIDE, respond

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
READOUT = 7.11e9


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip(CHIP)


def sequence(chip: Chip, amplitude: float = 0.14, start: int = 200, weight: float = 1.0) -> PulseSequence:
    """One tone for Q0 behind a pulse on Q1."""
    lines = tuple(LineSettings(w.name, READOUT if w.reads else 5.1e9, True, *ideal_correction(w)) for w in chip.wires)
    offset = chip.qubits[0].readout_frequency - READOUT
    reads = next(i for i, w in enumerate(chip.wires) if w.reads)
    rows = [(reads, start, 0, amplitude, 0.0, offset), (1, 0, 1, 0.3, 0.0, chip.qubits[1].frequency - 5.1e9)]
    kernel = IntegrationKernel(offset, np.full(400, weight / 400, complex))
    window = Window(start + chip.amplifier.delay, 400, (kernel,))
    envelopes = (np.ones(400, complex), np.ones(32, complex))
    return PulseSequence(lines, np.array(rows, BURST), envelopes, (b"long", b"short"), (window,), 500_000)


def test_readouts_are_kept_by_content(chip):
    readouts = ReadoutCache(chip)
    first = readouts.find(sequence(chip))
    assert readouts.find(sequence(chip)) is first
    drives = replace(sequence(chip), bursts=sequence(chip).bursts[::-1].copy())
    drives.bursts["amplitude"][0] = 0.7
    assert readouts.find(drives) is first
    plain = sequence(chip)
    envelope = (np.ones(400, complex) * 0.9, plain.envelopes[1])
    others = [
        sequence(chip, amplitude=0.15),
        sequence(chip, start=201),
        replace(plain, envelopes=envelope, keys=(b"other", b"short")),
        replace(plain, lines=(*plain.lines[:-1], replace(plain.lines[-1], offset=(0.01, 0.0)))),
        replace(plain, windows=(replace(plain.windows[0], length=380),)),
    ]
    found = [first, *(readouts.find(other) for other in others)]
    for other in found[1:]:
        assert other is not first
    fresh = [ReadoutCache(chip).find(other) for other in others]
    for kept, new in zip(found[1:], fresh, strict=True):
        np.testing.assert_array_equal(kept[0].response.alpha, new[0].response.alpha)
    shifted = replace(chip, qubits=(replace(chip.qubits[0], chi=-0.7e6), *chip.qubits[1:]))
    readouts.take(shifted)
    assert np.abs(readouts.find(plain)[0].response.alpha - first[0].response.alpha).max() > 0.01


def test_readouts_are_kept_within_bounds(chip):
    readouts = ReadoutCache(chip, limit=500_000)
    for k in range(30):
        readouts.find(sequence(chip, amplitude=0.1 + 0.001 * k))
        assert readouts.nbytes <= 500_000
    last = readouts.find(sequence(chip, amplitude=0.129))
    assert readouts.find(sequence(chip, amplitude=0.129)) is last


@pytest.mark.parametrize("start", [0, 333, 123_457])
def test_a_readout_of_one_tone_is_the_same_at_any_time(chip, start):
    """Fields, and sums under two kernels, from those at time 0: as worked out on the spot, to 1e-9 of their size."""
    played = sequence(chip, start=start)
    window = played.windows[0]
    other = IntegrationKernel(-37e6, np.exp(0.01j * np.arange(400)) / 400)
    played = replace(played, windows=(replace(window, kernels=(*window.kernels, other)),))
    (kept,) = ReadoutCache(chip).find(played)
    z, lo = readout_field(chip, played, kept.start, kept.stop)
    direct = respond(chip, z, lo)
    assert kept.response.base is not None
    np.testing.assert_allclose(kept.response.alpha, direct.alpha, atol=1e-9 * np.abs(direct.alpha).max())
    np.testing.assert_allclose(kept.response.background, direct.background, atol=1e-9)
    found = []
    for response in (kept.response, direct):
        measurement = Stretch(kept.start, kept.stop, response)
        acquisition = Acquisition(chip, played, [measurement], 5, np.random.default_rng(1), "integrated")
        found.append(acquisition._integrals(played.windows[0], measurement, response))
    for name in ("weights", "total", "rest", "background"):
        ours, theirs = (getattr(sums, name) for sums in found)
        np.testing.assert_allclose(ours, theirs, atol=1e-8 * np.abs(theirs).max(), err_msg=name)
    covariances = [sums.factor @ sums.factor.conj().T for sums in found]
    np.testing.assert_allclose(*covariances, atol=1e-8 * np.abs(covariances[1]).max())
    # Had it not been turned, it would not be the same.
    if start:
        assert np.abs(kept.response.base.alpha - direct.alpha).max() > 0.1 * np.abs(direct.alpha).max()


def test_a_readout_with_tones_on_bits_is_what_is_played_of_it(chip):
    """Two tones, each on a condition: with both the response is that of all, with one that of the other alone, or none.

    They measure at different times or in different shots, so they are two measurements.
    """
    plain = sequence(chip)
    second = plain.bursts[:1].copy()
    second["frequency"], second["start"] = chip.qubits[2].readout_frequency - READOUT, 500
    both = replace(plain, bursts=np.concatenate([plain.bursts, second]))
    waiting = replace(both, conditions=np.array([1, 0, -2]))
    readouts = ReadoutCache(chip)
    (kept,) = readouts.find(waiting)
    assert kept.choices.conditions == (-2, 1)
    assert kept.choices.starts == (500, 200)
    assert {(span.place, span.condition) for span in kept.spans} == {(0, 1), (1, -2)}
    assert readouts.find(both)[0].choices is None
    for held in ((True, True), (True, False), (False, True), (False, False)):
        rows = [1, *[row for row, holds in ((2, held[0]), (0, held[1])) if holds]]
        z, lo = readout_field(chip, replace(both, bursts=both.bursts[rows]), kept.start, kept.stop)
        found, direct = kept.choices.response(held), respond(chip, z, lo, kept.response.measured)
        np.testing.assert_allclose(found.alpha, direct.alpha, atol=1e-9 * np.abs(kept.response.alpha).max())
        np.testing.assert_allclose(found.background, direct.background, atol=1e-9)
    np.testing.assert_allclose(kept.choices.response((True, True)).alpha, kept.response.alpha, atol=1e-9)


def test_one_tone_is_worked_out_once_whatever_ran_before(chip, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "pulsed.simulator.readout.readout_cache.respond", lambda *args: calls.append(1) or respond(*args)
    )
    readouts = ReadoutCache(chip)
    late = [readouts.find(sequence(chip, start=200 + 40 * k))[0].response for k in range(5)]
    assert len(calls) == 1
    np.testing.assert_array_equal(late[4].alpha, ReadoutCache(chip).find(sequence(chip, start=360))[0].response.alpha)
    # Leakage and a second tone do not turn along.
    plain = sequence(chip)
    leaking = replace(plain, lines=(*plain.lines[:-1], replace(plain.lines[-1], offset=(0.01, 0.0))))
    assert readouts.find(leaking)[0].response.base is None
    second = plain.bursts[:1].copy()
    second["frequency"] += 80e6
    assert readouts.find(replace(plain, bursts=np.concatenate([plain.bursts, second])))[0].response.base is None


def test_kernels_of_the_same_readout_are_told_apart(chip):
    """A kept sum is for its own kernel: twice the weight, twice the integral, in shots with the same noise."""
    engine = Engine(chip, 3)
    values = [engine.play(sequence(chip, weight=w), 50, (1,), "integrated").integrated for w in (1.0, 2.0, 1.0)]
    np.testing.assert_allclose(values[1], 2 * values[0], rtol=1e-5)
    np.testing.assert_array_equal(values[2], values[0])


@pytest.mark.parametrize("samples", [5 * STRIDE, 5 * STRIDE + 3])
def test_integrals_are_sums_of_the_mean_records(chip, samples):
    """Without noise, shot by shot, with jumps at every sample and twice in a shot: sums over the records of seed 2."""
    rng = np.random.default_rng(2)
    z = 0.15 * np.exp(-2e-9j * np.pi * (chip.qubits[0].readout_frequency - READOUT) * np.arange(samples))
    response = respond(chip, z, READOUT)
    weights = rng.standard_normal((2, samples)) + 1j * rng.standard_normal((2, samples))
    quiet = replace(chip.amplifier, noise_lsb=0.0)
    shots = np.arange(samples + 1)
    ones = np.ones_like(shots)
    first = Jumps(shots, shots, 2 * ones, ones)
    again = Jumps(shots[:-1], np.minimum(shots[:-1] + 7, samples), ones[:-1], 0 * ones[:-1])
    jumps = Jumps(
        *(np.concatenate([getattr(first, f), getattr(again, f)]) for f in ("shots", "times", "before", "after"))
    )
    sums = integrals(response, weights, quiet)
    sums = replace(sums, factor=np.zeros((2, 2)))
    levels = np.full((samples + 1, 1), 2)
    assert response.measured == (0,)
    got = integrate(response, sums, levels, [jumps], rng)
    wanted = trajectories(response, levels, [jumps]) @ weights.T
    np.testing.assert_allclose(got, wanted, atol=1e-12)
