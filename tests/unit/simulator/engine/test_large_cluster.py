"""Seven and eight transmons as density matrices in sectors: against smaller ones, and where trajectories take over."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.dynamics import noise
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.exact import ExactCluster
from pulsed.simulator.engine.large_cluster import LargeCluster, LeakageError
from pulsed.simulator.engine.plan import SequencePlan

LO, READOUT = 5.10e9, 7.18e9
ENVELOPES = (
    Drag(32, 1.0, 8.0, 0.24).envelope(),
    GaussianSquare(300, 1.0, 16.0, 236).envelope(),
    np.ones(800, complex),
    np.exp(-0.5 * ((np.arange(24) - 11.5) / 6) ** 2) + 0j,
)


def played(chip: Chip, seed: int, depth: int, ladder: bool = False) -> PulseSequence:
    """Layers of rotations of all transmons and of tones on every other pair, then a readout of all."""
    rng, n, rows, now = np.random.default_rng(seed), len(chip.qubits), [], 0
    for layer in range(depth):
        for q, qubit in enumerate(chip.qubits):
            turn = (rng.choice([0.15, 0.3]), rng.uniform(0, 2 * np.pi))
            rows.append((q, now, 0, *turn, qubit.frequency - LO))
            if ladder:
                rows.append((q, now + 40, 3, 0.4, 0.0, qubit.frequency + qubit.anharmonicity - LO))
        now += 80
        for a in range(layer % 2, n - 1, 2):
            control, target = sorted((a, a + 1), key=lambda q: -chip.qubits[q].frequency)
            rows.append((control, now, 1, 0.4, 0.0, chip.qubits[target].frequency - LO))
        now += 312
    line = next(i for i, w in enumerate(chip.wires) if w.reads)
    offsets = [q.readout_frequency - READOUT for q in chip.qubits]
    rows += [(line, now, 2, 0.1, 0.0, offset) for offset in offsets]
    lines = tuple(LineSettings(w.name, READOUT if w.reads else LO, True, *ideal_correction(w)) for w in chip.wires)
    kernels = tuple(IntegrationKernel(offset, np.full(800, 1 / 800, complex)) for offset in offsets)
    keys = tuple(e.tobytes() for e in ENVELOPES)
    window = Window(now + chip.amplifier.delay, 800, kernels)
    return PulseSequence(lines, np.array(rows, BURST), ENVELOPES, keys, (window,), 1_000_000)


def without_coupling(chip: Chip, pair: tuple[int, int]) -> Chip:
    """The chip cut in two, without crosstalk."""
    n = len(chip.qubits)
    crosstalk = tuple(tuple(complex(a == b) for b in range(n)) for a in range(n))
    couplings = tuple(c for c in chip.couplings if set(c.qubits) != set(pair))
    return replace(chip, couplings=couplings, crosstalk=crosstalk)


def planned(chip: Chip, sequence: PulseSequence) -> tuple[Engine, SequencePlan]:
    engine = Engine(chip, 2)
    return engine, engine.model(LO).plan(sequence)


def test_seven_transmons_of_which_three_are_apart_are_the_product_of_both():
    """Joint populations with slow noise, decay and thermal states, in one state and as two whole matrices: to 1e-5."""
    chip = without_coupling(random_chip(7, 7), (3, 4))
    engine, plan = planned(chip, played(chip, 3, 2))
    model, pulses = engine.model(LO), [p for own in plan.pulses for p in own]
    spread = noise.detunings(chip, 2, noise.generator(1))
    thermal = model.thermal()
    pulses.sort(key=lambda p: (p.start + p.stop, p.start, p.qubits))
    whole = LargeCluster(model.free, tuple(range(7)), thermal, spread, None, 1e-3, 1)
    whole.walk(pulses, [], lambda _: None)
    end = max(whole.clock.values()) + 3000
    whole.wait(end)
    joint = np.ones((2, 1))
    for group in ((0, 1, 2, 3), (4, 5, 6)):
        part = ExactCluster(model.free, group, thermal, spread)
        part.walk([p for p in pulses if p.qubits[0] in group], [], lambda _: None)
        part.wait(end)
        joint = (joint[:, :, None] * part.state.populations(tuple(range(len(group))))[:, None]).reshape(2, -1)
    found = whole.state.populations(tuple(range(7)))
    assert 0.5 * np.abs(found - joint).sum(axis=1).max() <= 1e-5 + whole.left_out
    assert whole.left_out < 1e-5
    assert joint.max() < 0.5
    np.testing.assert_allclose(whole.state.populations((5, 2)).sum(axis=1), 1.0)


def test_each_shot_of_eight_qubits_is_a_sample_of_its_own():
    """Signs of all readouts over 40 runs of 100 shots: their spread is binomial, chi squared within 6 sigma."""
    chip = random_chip(7, 8)
    engine, sequence = Engine(chip, 3), played(chip, 1, 2)
    first = engine.play(sequence, 4000, (0, 0), "integrated")
    (cluster,) = first.report.clusters
    assert cluster.method == "density matrix"
    assert 0 < cluster.discarded_weight < 1e-3
    centre = np.median(first.integrated.real, axis=0)
    runs = [engine.play(sequence, 100, (run, 0), "integrated").integrated.real > centre for run in range(1, 41)]
    ones = np.array([run.sum(axis=0) for run in runs])
    p = ones.mean(axis=0) / 100
    assert (np.abs(p - 0.5) < 0.1).all()
    chi = ((ones - 100 * p) ** 2 / (100 * p * (1 - p))).sum(axis=0)
    assert (np.abs(chi - 39) < 6 * np.sqrt(2 * 39)).all()


def test_where_much_leaks_trajectories_take_over():
    chip = random_chip(7, 7)
    found = Engine(chip, 3).play(played(chip, 1, 1, ladder=True), 50, (0, 0), "integrated")
    assert [c.method for c in found.report.clusters] == ["state vectors"]


def test_too_much_leakage_is_refused_with_the_numbers():
    chip = random_chip(7, 7)
    engine, plan = planned(chip, played(chip, 1, 1, ladder=True))
    model = engine.model(LO)
    cluster = LargeCluster(model.free, tuple(range(7)), model.thermal(), np.zeros((1, 7)), None, 1e-3, 1)
    with pytest.raises(LeakageError) as caught:
        cluster.walk(plan.pulses[0], [], lambda _: None)
    assert "7 transmons" in str(caught.value)
    assert "at most 0.001" in str(caught.value)
