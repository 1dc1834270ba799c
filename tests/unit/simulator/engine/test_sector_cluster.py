"""Clusters in sectors of few leaked transmons: against the whole density matrix, within the bound that they report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.dynamics import noise
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import LineSettings
from pulsed.simulator.engine import sector_cluster
from pulsed.simulator.engine.exact import ExactCluster
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.gates import Burst, Gates
from pulsed.simulator.engine.sector_cluster import LEFT_OUT, SectorCluster

LO, READOUT = 5.10e9, 7.2e9


def layers(chip: Chip, seed: int, depth: int, ladder: bool = False) -> list[PlacedPulse]:
    """Layers of rotations of all transmons and of tones on pairs, at random, with waits; crosstalk as on the chip.

    With ``ladder`` all are driven between levels 1 and 2, too.
    """
    rng, n = np.random.default_rng(seed), len(chip.qubits)
    lines = tuple(LineSettings(w.name, READOUT if w.reads else LO, True, *ideal_correction(w)) for w in chip.wires)
    gauss = np.exp(-0.5 * ((np.arange(32) - 15.5) / 7) ** 2) + 0j
    bursts, now = [], 0
    for _ in range(depth):
        for q in range(n):
            turn = rng.uniform(0.1, 0.35) * np.exp(1j * rng.uniform(0, 2 * np.pi))
            start = now + 8 * int(rng.integers(3))
            bursts.append(Burst(q, start, turn * gauss, chip.qubits[q].frequency))
            if ladder:
                qubit = chip.qubits[q]
                bursts.append(Burst(q, now + 56, 0.25 * gauss, qubit.frequency + qubit.anharmonicity))
        now += 100
        for a in range(int(rng.integers(2)), n - 1, 2):
            control, target = sorted((a, a + 1), key=lambda q: -chip.qubits[q].frequency)
            tone = rng.uniform(0.2, 0.6) * np.ones(150 + 8 * int(rng.integers(8)), complex)
            bursts.append(Burst(control, now, tone, chip.qubits[target].frequency))
        now += 220 + 8 * int(rng.integers(3))
    return PulseMapCache(chip).find(Gates(chip, lines).sequence(bursts), LO)


def followed(chip: Chip, pulses: list[PlacedPulse], left_out: float | None, batch: int = 3):
    """Populations of all transmons and the bound, in sectors, or of the whole matrix if ``left_out`` is None."""
    n, spread = len(chip.qubits), noise.detunings(chip, batch, noise.generator(5))
    thermal = np.array([idle.thermal for idle in FreeEvolution(chip, LO).idles])
    arguments = (FreeEvolution(chip, LO), tuple(range(n)), thermal, spread)
    cluster = ExactCluster(*arguments) if left_out is None else SectorCluster(*arguments, left_out=left_out)
    cluster.walk(pulses, [], lambda _: None)
    cluster.wait(max(cluster.clock.values()) + 40)
    return cluster.state.populations(tuple(range(n))), cluster.report().discarded_weight


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest total variation of any member."""
    return float(0.5 * np.abs(one - other).sum(axis=1).max())


@pytest.mark.parametrize("seed", range(6))
def test_populations_are_those_of_the_whole_matrix_to_within_the_bound(seed):
    """Three to five transmons, four layers: total variation of each member is below the bound, that below 1e-4."""
    chip = random_chip(seed, 3 + seed % 3)
    pulses = layers(chip, seed, 4)
    found, bound = followed(chip, pulses, LEFT_OUT)
    wanted, _ = followed(chip, pulses, None)
    assert apart(found, wanted) <= bound + 1e-9, f"seed {seed}"
    assert 0 < bound <= LEFT_OUT <= 1e-4


@pytest.mark.parametrize(("count", "most"), [(3, 0.0), (4, 1e-7), (5, 1e-7)])
def test_less_may_be_left_out(count, most):
    """To nothing at all: then sectors are the whole matrix, up to rounding."""
    chip = random_chip(2, count)
    pulses = layers(chip, 7, 3)
    found, bound = followed(chip, pulses, most)
    assert bound <= most
    assert apart(found, followed(chip, pulses, None)[0]) <= bound + 1e-11


def test_strong_pulses_are_followed_as_a_whole(monkeypatch):
    """Pulses that leak a lot on every transmon: no sectors do, and the same happens as without them."""
    chip = random_chip(4, 4)
    pulses = layers(chip, 1, 2, ladder=True)
    orders = []
    layout = sector_cluster.layout
    monkeypatch.setattr(sector_cluster, "layout", lambda n, k: orders.append(k) or layout(n, k))
    found, bound = followed(chip, pulses, LEFT_OUT)
    wanted, _ = followed(chip, pulses, None)
    assert wanted.reshape(3, 3, -1)[:, 2].sum(axis=1).max() > 0.03
    assert bound == 0
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert all(k <= sector_cluster.MOST_LEAKED for k in orders)


def test_a_bound_that_is_passed_in_the_end_makes_it_begin_again():
    """What leaks is underestimated at first: a transmon begins in level 2."""
    chip = random_chip(8, 4)
    chip = replace(chip, qubits=tuple(replace(q, t1=1.0, t2_echo=1.0, t2_star=1.0) for q in chip.qubits))
    pulses = layers(chip, 3, 2)
    start = np.tile([1.0, 0.0, 0.0], (4, 1))
    start[1] = [0.0, 0.0, 1.0]
    found = []
    for kind in (ExactCluster, SectorCluster):
        cluster = kind(FreeEvolution(chip, LO), (0, 1, 2, 3), start, np.zeros((1, 4)))
        cluster.walk(pulses, [], lambda _: None)
        found.append(cluster.state.populations((0, 1, 2, 3)))
        bound = cluster.report().discarded_weight
    assert found[0].reshape(3, 3, 9)[:, 2].sum() > 0.9
    assert apart(found[0], found[1]) <= bound + 1e-9 <= LEFT_OUT + 1e-9
