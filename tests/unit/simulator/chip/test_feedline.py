"""Ripple, Purcell decay and its filter, photons carried from one readout into the next: each against its formula."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from pulsed.model.errors import ConfigError
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.feedline import Feedline, filtered, purcell_rate, rippled
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.dynamics.superoperators import Idle
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.readout.acquisition import readout_field, readout_spans
from pulsed.simulator.readout.response import respond

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
READOUT = 7.11e9


@pytest.fixture(scope="module")
def chip():
    return load_chip(CHIP)


@pytest.fixture
def chip_file(tmp_path):
    def write(table):
        path = tmp_path / "chip.toml"
        path.write_text(CHIP.read_text() + f"\n[feedline]\n{table}\n")
        return path

    return write


def readouts(chip, tones, period=1_000_000):
    """Return a sequence of readout tones (start, length, frequency, amplitude), with one window for each."""
    ro = next(i for i, w in enumerate(chip.wires) if w.reads)
    lines = tuple(LineSettings(w.name, READOUT if w.reads else 5.1e9, True, *ideal_correction(w)) for w in chip.wires)
    rows = [(ro, start, i, amplitude, 0.0, f - READOUT) for i, (start, _, f, amplitude) in enumerate(tones)]
    envelopes = tuple(np.ones(length, complex) for _, length, _, _ in tones)
    windows = []
    for start, length, f, _ in tones:
        kernel = IntegrationKernel(f - READOUT, np.full(length, 1 / length, complex))
        windows.append(Window(start + chip.amplifier.delay, length, (kernel,)))
    keys = tuple(e.tobytes() for e in envelopes)
    return PulseSequence(lines, np.array(rows, BURST), envelopes, keys, tuple(windows), period)


@pytest.mark.parametrize("delay", [5, 17])
def test_transmission_ripples_over_frequency(chip, delay):
    """Far from every resonance the mean of a tone is that without ripple times 1 + r exp(2 pi i f tau)."""
    feedline = Feedline(ripple=0.2, ripple_delay=delay)
    frequencies = READOUT + np.linspace(-340e6, -250e6, 7)
    found = []
    for f in frequencies:
        tone = np.exp(-2e-9j * math.pi * (f - READOUT) * np.arange(600))
        plain, with_ripple = tone, rippled(feedline, tone, READOUT)
        found.append(np.vdot(plain[200:], with_ripple[200:]) / 400)
    np.testing.assert_allclose(found, 1 + 0.2 * np.exp(2e-9j * math.pi * frequencies * delay), atol=1e-9)
    assert np.ptp(np.abs(found)) > 0.05


def test_ripple_is_seen_by_the_digitizer_and_by_the_resonator(chip):
    """The averaged record of a resonant tone changes by the factor at its frequency, once all has rung up."""
    f, feedline = chip.qubits[0].resonances()[0], Feedline(ripple=0.1, ripple_delay=12)
    tones = [(0, 3000, f, 0.002)]
    records = []
    for found in (chip, replace(chip, feedline=feedline)):
        sequence = readouts(found, tones)
        ((start, stop),) = readout_spans(found, sequence, sequence.bursts)
        z, lo = readout_field(found, sequence, start, stop)
        response = respond(found, z, lo)
        own = response.alpha[response.measured.index(0), 0] if response.measured else response.background
        records.append(own[2900])
    factor = 1 + 0.1 * np.exp(2e-9j * math.pi * f * 12)
    assert records[1] / records[0] == pytest.approx(factor, rel=1e-4)
    assert abs(factor - 1) > 0.05


def test_purcell_rates_are_those_of_the_design_sheet(chip):
    """Unfiltered 23 to 40 us (kappa g^2/D^2); a filter of 30 MHz makes it longer by 2 |D| f_r / (f_q kappa_F)."""
    for q in chip.qubits:
        bare, behind = 1 / purcell_rate(q, 0), 1 / purcell_rate(q, 30e6)
        assert 22e-6 < bare < 41e-6
        delta = abs(q.frequency - q.readout_frequency)
        assert behind / bare == pytest.approx(2 * delta * q.readout_frequency / (q.frequency * 30e6))
        g = math.sqrt(q.coupling_squared)
        assert bare == pytest.approx((delta / g) ** 2 / (2 * math.pi * q.kappa))


def test_the_chip_file_adds_decay_through_the_resonator(chip, chip_file):
    """1/T1 = 1/t1 + the Purcell rate; half of it is dephasing, and the slow noise stays as it was."""
    bare = load_chip(chip_file("purcell_linewidth = 0"))
    behind = load_chip(chip_file("purcell_linewidth = 30e6"))
    for own, short, long in zip(chip.qubits, bare.qubits, behind.qubits, strict=True):
        for found, width in ((short, 0.0), (long, 30e6)):
            rate = purcell_rate(own, width)
            assert 1 / found.t1 == pytest.approx(1 / own.t1 + rate)
            assert 1 / found.t2_echo == pytest.approx(1 / own.t2_echo + rate / 2)
            assert found.detuning_sigma == pytest.approx(own.detuning_sigma, rel=1e-6)
        assert short.t1 < 0.45 * own.t1
        assert long.t1 > 0.97 * own.t1


def test_without_a_filter_the_qubit_relaxes_faster(chip, chip_file):
    """A shot after another, 40 us later: of the 1 that a pulse leaves, exp(-40 us (1/t1 + Purcell rate)) is there."""
    bare = load_chip(chip_file("purcell_linewidth = 0"))
    found = []
    for each in (chip, bare):
        q = each.qubits[0]
        idle = Idle(q, 5.1e9)
        found.append((idle.populations(40_000.0) @ [0.0, 1.0, 0.0] - idle.thermal)[1])
    rate = 1 / chip.qubits[0].t1 + purcell_rate(chip.qubits[0], 0)
    assert found[1] / found[0] == pytest.approx(math.exp(-40e-6 * (rate - 1 / chip.qubits[0].t1)), rel=0.03)
    assert found[1] < 0.5 * found[0]


def test_a_filter_shapes_the_drive(chip):
    """The resonator behind a filter of one pole, against an adaptive solver of both equations, few photons."""
    width, q = 40e6, chip.qubits[1]
    found = replace(chip, feedline=Feedline(purcell_linewidth=width))
    n = 400
    z = 0.03 * np.exp(-2e-9j * math.pi * (q.readout_frequency + 3e6 - READOUT) * (np.arange(n) + 0.5))
    response = respond(found, z, READOUT)
    alpha = response.alpha[response.measured.index(1), 0]
    half, rate = math.pi * width * 1e-9, -1e-9 * math.pi * q.kappa - 2e-9j * math.pi * (q.resonances()[0] - READOUT)
    off, drive = 2e-9 * math.pi * (q.readout_frequency - READOUT), 2e-9 * math.pi * q.readout_drive

    def slope(t, y):
        held = z[min(int(t), n - 1)]
        return [-(half + 1j * off) * y[0] + half * held, rate * y[1] - 1j * drive * y[0]]

    solved = solve_ivp(slope, (0, n), np.zeros(2, complex), t_eval=range(n + 1), max_step=0.5, rtol=1e-9, atol=1e-12)
    scale = np.abs(solved.y[1]).max()
    assert scale**2 < 0.3, "the Kerr shift is not part of the solver"
    np.testing.assert_allclose(alpha, solved.y[1], atol=2e-3 * scale)
    plain = respond(chip, z, READOUT)
    direct = plain.alpha[plain.measured.index(1), 0]
    assert np.abs(direct - alpha).max() > 0.05 * scale, "the filter takes time to fill"


def test_a_filter_as_narrow_as_its_resonator(chip):
    """The two poles coincide; next to it the answer is the same."""
    qubit, z = replace(chip.qubits[0], kappa=5e6), np.ones(400, complex)
    same, wider = (filtered(width, qubit, z, qubit.readout_frequency - 3e6) for width in (5e6, 5e6 * (1 + 1e-9)))
    np.testing.assert_allclose(same, wider, rtol=1e-7)
    assert np.abs(same[-1]) > 0.1


@pytest.mark.parametrize("gap", [60, 300])
@pytest.mark.parametrize("mode", ["integrated", "raw"])
def test_photons_of_one_readout_are_there_in_the_next(chip, gap, mode):
    """The mean of the second window is that of one long readout with a pause, which keeps its photons by itself."""
    qubit = replace(chip.qubits[0], t1=0.1, t2_echo=0.1, t2_star=0.1, thermal=0.0)
    chip = replace(chip, qubits=(qubit, *chip.qubits[1:]))
    f, second, length = qubit.resonances()[0] + 0.3e6, 400 + gap, 400
    sequence = readouts(chip, [(0, 400, f, 0.15), (second, length, f, 0.15)])
    z = [
        readout_field(chip, sequence, start, stop)[0] for start, stop in readout_spans(chip, sequence, sequence.bursts)
    ]
    assert len(z) == 2
    whole = np.concatenate([z[0], np.zeros(second - len(z[0])), z[1]])
    response = respond(chip, whole, READOUT)
    i = response.measured.index(0)
    record = response.scale[i] * response.alpha[i, 0, 1:] + response.background
    window = sequence.windows[1]
    t = (window.start + np.arange(length)) * 1e-9
    weights = window.kernels[0].weights * np.exp(2j * np.pi * window.kernels[0].frequency * t)
    expected = record[second : second + length] @ weights

    def mean(feedline):
        outcome = Engine(replace(chip, feedline=feedline), 7).play(sequence, 3000, (1,), mode)
        if mode == "raw":
            codes = outcome.raw[:, 400:].astype(float).mean(axis=0) / chip.amplifier.full_scale
            return (codes @ (1, 1j)) @ weights
        return outcome.integrated[:, 1].mean()

    noise = chip.amplifier.noise_lsb / chip.amplifier.full_scale / math.sqrt(length * 3000)
    # What other qubits' resonators hold is left out, a part in a thousand of the record.
    assert abs(mean(Feedline()) - expected) < 6 * noise + 2e-3 * abs(expected)
    assert abs(mean(Feedline(carry=False)) - expected) > 2 * (6 * noise + 2e-3 * abs(expected))


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("ripple = 0.7", "ripple"), ("ripple = true", "ripple"), ("ripple_delay = 0", "ripple_delay"),
        ("ripple_delay = 1.5", "ripple_delay"), ("purcell_linewidth = 1e3", "purcell_linewidth"),
        ("purcell_linewidth = false", "purcell_linewidth"), ("carry = 1", "carry"), ("colour = 1", ""),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_by_key(chip_file, table, key):
    with pytest.raises(ConfigError) as caught:
        load_chip(chip_file(table))
    assert caught.value.subject == f"feedline.{key}".rstrip(".")
    assert caught.value.legal
