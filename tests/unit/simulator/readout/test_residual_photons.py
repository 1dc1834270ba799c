"""What a readout leaves behind, against a cavity-and-qubit master equation; readout power that hurts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qutip

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.sector_cluster import cluster_of
from pulsed.simulator.readout.residual_photons import ResonatorPhotons
from pulsed.simulator.readout.response import respond

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
LO = 7.11e9


@pytest.fixture(scope="module")
def chip() -> Chip:
    """One qubit of sim5 that neither decays nor has a line that rings, its oscillator on resonance."""
    whole = load_chip(CHIP)
    qubit = replace(whole.qubits[0], t1=1.0, t2_echo=1.0, t2_star=1.0, thermal=0.0)
    wires = (replace(whole.wires[0], bandwidth=0.0), whole.wires[-1])
    return replace(whole, qubits=(qubit,), couplings=(), wires=wires, crosstalk=((1 + 0j,),))


def lines(chip: Chip) -> tuple[LineSettings, ...]:
    los = [LO if w.qubit is None else chip.qubits[0].frequency for w in chip.wires]
    return tuple(LineSettings(w.name, lo, True, *ideal_correction(w)) for w, lo in zip(chip.wires, los, strict=True))


def cavity(chip: Chip, levels: int):
    """Qutip's Hamiltonian (frame of the bare level 0), lowering operators of qubit and cavity, collapse operators."""
    qubit = chip.qubits[0]
    b, a = qutip.tensor(qutip.destroy(3), qutip.qeye(levels)), qutip.tensor(qutip.qeye(3), qutip.destroy(levels))
    shifts = 2 * math.pi * (np.array(qubit.resonances()) - qubit.readout_frequency)
    pull = qutip.tensor(qutip.Qobj(np.diag(shifts)), qutip.qeye(levels))
    alpha = 2 * math.pi * qubit.anharmonicity
    h = pull * a.dag() * a + 0.5 * alpha * b.dag() * b.dag() * b * b
    return h, b, [math.sqrt(2 * math.pi * qubit.kappa) * a]


@pytest.mark.parametrize("photons", [0.5, 3.0])
def test_coherence_in_a_cavity_that_empties(chip, photons):
    """(0 + 1)/sqrt 2 with a coherent state in the cavity: rho_10 at 12 times, phase and all, within 1e-4."""
    h, _, collapse = cavity(chip, 24)
    start = qutip.tensor((qutip.basis(3, 0) + qutip.basis(3, 1)).unit(), qutip.coherent(24, math.sqrt(photons)))
    times = np.linspace(0, 400e-9, 12)
    element = qutip.tensor(qutip.basis(3, 0) * qutip.basis(3, 1).dag(), qutip.qeye(24))
    options = {"atol": 1e-9, "rtol": 1e-8}
    found = 2 * qutip.mesolve(h, start, times, collapse, e_ops=[element], options=options).expect[0]
    residual = ResonatorPhotons(chip.qubits[0], np.array([photons]), 0.0)
    ours = np.array([residual.factors(0.0, 1e9 * t)[0, 3] for t in times])
    np.testing.assert_allclose(ours, found, atol=1e-4)
    assert abs(ours[-1]) < 0.8


@pytest.mark.parametrize("gap", [100, 250])
def test_a_flip_after_a_readout_against_the_master_equation(chip, gap):
    """3 photons at t = 0, a square pi/2 pulse of 32 samples after ``gap``, another 100 ns later: P1 within 0.02.

    The pulse sees the photons as its mean detuning to first order; without them P1 is 1.
    """
    photons, width, second = 3.0, 32, gap + 132
    rate = 0.25e9 / width
    settings = lines(chip)
    rows = [(0, start, 0, 1.0, 0.0, 0.0) for start in (gap, second)]
    envelope = np.full(width, rate / chip.qubits[0].drive_rate, complex)
    sequence = PulseSequence(settings, np.array(rows, BURST), (envelope,), (b"half",), (), 10_000)
    reference = chip.qubits[0].frequency
    pulses = PulseMapCache(chip).find(sequence, reference, tail=0)
    got = []
    for n in (photons, 0.0):
        cluster = cluster_of(FreeEvolution(chip, reference), (0,), np.array([[1.0, 0, 0]]), np.zeros((1, 1)))
        cluster.photons.leave(0, np.array([n]), 0.0)
        cluster.walk(pulses, [], lambda measurement: None)
        got.append(cluster.state.populations((0,))[0, 1])
    h, b, collapse = cavity(chip, 20)
    drive = math.pi * rate * (b + b.dag())
    state = qutip.tensor(qutip.basis(3, 0), qutip.coherent(20, math.sqrt(photons))).proj()
    for length, on in ((gap, False), (width, True), (100, False), (width, True)):
        state = qutip.mesolve(h + drive if on else h, state, [0, length * 1e-9], collapse).states[-1]
    wanted = qutip.expect(qutip.tensor(qutip.basis(3, 1).proj(), qutip.qeye(20)), state)
    assert got[1] > 0.98
    assert got[0] == pytest.approx(wanted, abs=0.02)
    assert wanted < got[1] - 0.02


def two_readouts(chip: Chip, gap: int) -> PulseSequence:
    """Readout of 10 photons, a pi pulse ``gap`` after its end, a late second readout."""
    offset = chip.qubits[0].readout_frequency - LO
    late = 900 + gap + 3000
    rows = [(1, 0, 1, 0.25, 0.0, offset), (0, 804 + gap, 0, 1.0, 0.0, 0.0), (1, late, 1, 0.25, 0.0, offset)]
    envelopes = (np.full(32, 0.5e9 / 32 / chip.qubits[0].drive_rate, complex), np.ones(800, complex))
    kernel = IntegrationKernel(offset, np.full(800, 1 / 800, complex))
    windows = tuple(Window(start + chip.amplifier.delay, 800, (kernel,)) for start in (0, late))
    return PulseSequence(lines(chip), np.array(rows, BURST), envelopes, (b"pi", b"ro"), windows, 20_000_000)


def test_a_pulse_right_after_a_mid_circuit_readout_fails_and_a_later_one_does_not(chip):
    """The collapse keeps each shot's photons: P1 of the prediction, and the second readout's cloud, for four gaps."""
    qubit = replace(chip.qubits[0], t1=1e-3, t2_echo=1e-3, t2_star=1e-3)
    engine = Engine(replace(chip, qubits=(qubit,)), 5)
    found = [engine.predict(two_readouts(chip, gap)).populations[1] for gap in (0, 100, 300, 1200)]
    assert found[0] < found[1] < found[2]
    assert found[0] < 0.9
    assert min(found[2:]) > 0.98
    clouds = []
    for stream, gap in enumerate((0, 1200)):
        points = engine.play(two_readouts(chip, gap), 4000, (stream,), "integrated").integrated
        clouds.append((points[:, 0].mean(), points[:, 1].mean()))
    split = clouds[1][1] - clouds[1][0]
    flipped = ((clouds[0][1] - clouds[0][0]) / split).real
    assert flipped == pytest.approx(found[0] / found[-1], abs=0.03), "seed 5"


def test_the_resonator_is_found_at_its_bare_frequency_at_high_power(chip):
    """The steady field is largest at f_r(0) at few photons and near the bare resonance at many; slope chi^2/alpha."""
    qubit = chip.qubits[0]
    offsets = np.arange(-9e6, 3e6, 0.5e6)
    peaks = []
    for amplitude in (0.2, 12.0):
        # 2 us at the tone's own frequency as LO: no hold, no turning.
        fields = [
            np.abs(respond(chip, np.full(2000, amplitude, complex), qubit.readout_frequency + d).alpha[0, 0, -1])
            for d in offsets
        ]
        peaks.append(offsets[int(np.argmax(fields))])
    assert peaks[0] == pytest.approx(-qubit.chi, abs=0.5e6)
    assert peaks[1] == pytest.approx(qubit.bare_resonance - qubit.readout_frequency, abs=1.5e6)
    kerr = qubit.chi**2 / abs(qubit.anharmonicity)
    pull = qubit.readout_frequency - qubit.chi - qubit.bare_resonance
    assert pull / (2 * qubit.saturation) == pytest.approx(kerr)


def test_there_is_a_best_readout_power():
    """Assignment errors of Q0 (0 and 1 prepared, 4000 shots, mean threshold): the middle power beats both others."""
    chip = load_chip(CHIP)
    qubit = chip.qubits[0]
    offset = qubit.readout_frequency - LO
    settings = tuple(
        LineSettings(w.name, LO if w.qubit is None else qubit.frequency, True, *ideal_correction(w)) for w in chip.wires
    )
    pulse = np.full(32, 0.5e9 / 32 / qubit.drive_rate, complex)
    kernel = IntegrationKernel(offset, np.full(800, 1 / 800, complex))
    engine, errors = Engine(chip, 8), []
    for amplitude in (0.05, 0.18, 1.2):
        clouds = []
        for flip in (0.0, 1.0):
            rows = [(0, 0, 0, flip, 0.0, 0.0), (5, 40, 1, amplitude, 0.0, offset)]
            window = Window(40 + chip.amplifier.delay, 800, (kernel,))
            envelopes = (pulse, np.ones(800, complex))
            played = PulseSequence(settings, np.array(rows, BURST), envelopes, (b"pi", b"ro"), (window,), 1_000_000)
            clouds.append(engine.play(played, 4000, (int(flip),), "integrated").integrated[:, 0])
        centres = [np.median(c.real) + 1j * np.median(c.imag) for c in clouds]
        axis = (centres[1] - centres[0]).conjugate()
        middle = sum(centres) / 2
        wrong = [np.mean(((clouds[0] - middle) * axis).real > 0), np.mean(((clouds[1] - middle) * axis).real < 0)]
        errors.append(float(np.mean(wrong)))
    assert errors[1] < 0.5 * min(errors[0], errors[2]), f"seed 8: {errors}"
