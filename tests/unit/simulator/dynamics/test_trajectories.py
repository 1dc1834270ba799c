"""Seven to ten transmons by quantum trajectories: against density matrices, against unitaries, in whole shots."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.dynamics.trajectories import SimulationLimitError, Trajectories
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.gates import Burst, Gates
from pulsed.simulator.engine.sector_cluster import cluster_of

LO, READOUT = 5.10e9, 7.2e9


def chain(n: int, t1: float, thermal: float = 0.0) -> Chip:
    """A random chain without crosstalk, all of whose qubits have this T1 and T2 = T1."""
    chip = random_chip(3, n)
    qubits = tuple(replace(q, t1=t1, t2_echo=t1, t2_star=t1, thermal=thermal) for q in chip.qubits)
    crosstalk = tuple(tuple(complex(a == b) for b in range(n)) for a in range(n))
    return replace(chip, qubits=qubits, crosstalk=crosstalk)


def lines(chip: Chip) -> tuple[LineSettings, ...]:
    return tuple(LineSettings(w.name, READOUT if w.reads else LO, True, *ideal_correction(w)) for w in chip.wires)


def circuit(chip: Chip, shift: int = 0) -> list[Burst]:
    """A rotation of every qubit, a cross-resonance tone on every other pair, another rotation."""
    n, gauss = len(chip.qubits), np.exp(-0.5 * ((np.arange(40) - 19.5) / 8) ** 2) + 0j
    bursts = [Burst(q, shift, 0.28 * gauss, chip.qubits[q].frequency) for q in range(n)]
    for a in range(0, n - 1, 2):
        control, target = sorted((a, a + 1), key=lambda q: -chip.qubits[q].frequency)
        bursts.append(Burst(control, shift + 60, 0.5 * np.ones(200, complex), chip.qubits[target].frequency))
    return bursts + [Burst(q, shift + 300, 0.2j * gauss, chip.qubits[q].frequency) for q in range(n)]


def both(chip: Chip, members: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Joint populations of the first two and the last transmon: density matrix, mean of ``members`` trajectories."""
    gates = Gates(chip, lines(chip))
    pulses = PulseMapCache(chip).find(gates.sequence(circuit(chip)), LO)
    n = len(chip.qubits)
    start = np.tile([1.0, 0.0, 0.0], (n, 1))
    found = []
    for batch, rng in ((1, None), (members, np.random.default_rng(seed))):
        cluster = cluster_of(FreeEvolution(chip, LO), tuple(range(n)), start, np.zeros((batch, n)), rng)
        cluster.walk(pulses, [], lambda measurement: None)
        cluster.wait(1000)
        found.append(cluster.state.populations((0, 1, n - 1)).mean(axis=0))
    return found[0], found[1]


@pytest.mark.parametrize(("qubits", "members", "seed"), [(3, 4000, 1), (3, 4000, 2), (6, 600, 3)])
def test_mean_of_trajectories_is_the_density_matrix(qubits, members, seed):
    """T1 = T2 = 1 us over 1 us: all 27 joint populations within 4.5 standard deviations of the mean."""
    exact, mean = both(chain(qubits, 1e-6), members, seed)
    error = np.sqrt(np.maximum(exact * (1 - exact), 1e-4) / members)
    assert (np.abs(mean - exact) < 4.5 * error).all(), f"seed {seed}"
    quiet, _ = both(chain(qubits, 1.0), 1, seed)
    assert np.abs(exact - quiet).max() > 0.05


def test_without_noise_one_trajectory_is_the_state():
    """Five coupled transmons through pulses, tones and ZZ: the same as the density matrix to 1e-6."""
    exact, one = both(chain(5, 1e3), 1, 4)
    np.testing.assert_allclose(one, exact, atol=1e-6)


def test_eight_transmons_without_noise_against_unitaries():
    """Only Q0-Q1, Q3-Q4 coupled: joint populations are products of those of the pairs' and qubits' own unitaries."""
    chip = chain(8, 1e3)
    chip = replace(chip, couplings=(chip.couplings[0], chip.couplings[3]))
    gates = Gates(chip, lines(chip))
    bursts = [b for b in circuit(chip) if len(b.envelope) == 40]
    pulses = gates._find(bursts, tuple(range(8)))[0]
    start = np.tile([1.0, 0.0, 0.0], (8, 1))
    rng = np.random.default_rng(0)
    cluster = cluster_of(FreeEvolution(chip, LO), tuple(range(8)), start, np.zeros((2, 8)), rng)
    cluster.walk(pulses, [], lambda measurement: None)
    cluster.wait(340)
    joint = cluster.state.populations(tuple(range(8)))[1].reshape((3,) * 8)[(slice(2),) * 8]
    wanted = np.ones(1)
    for group in ((0, 1), (2,), (3, 4), (5,), (6,), (7,)):
        column = gates.unitary(bursts, group, 340)[:, 0]
        wanted = np.multiply.outer(wanted, np.abs(column) ** 2).ravel()
    np.testing.assert_allclose(joint.ravel(), wanted, atol=1e-5)
    assert wanted.max() < 0.5


def shots(chip: Chip, measured: tuple[int, ...], middle: bool = False) -> PulseSequence:
    """The circuit, a readout; with ``middle`` one more before it."""
    gates = Gates(chip, lines(chip))
    rows, envelopes = gates.rows(circuit(chip, 900 if middle else 0))
    ro = len(chip.wires) - 1
    windows = []
    for start in (*((0,) if middle else ()), 2000):
        kernels = []
        for q in measured:
            offset = chip.qubits[q].readout_frequency - READOUT
            rows.append((ro, start, len(envelopes), 0.14, 0.0, offset))
            kernels.append(IntegrationKernel(offset, np.full(800, 1 / 800, complex)))
        windows.append(Window(start + chip.amplifier.delay, 800, tuple(kernels)))
    envelopes.append(np.ones(800, complex))
    keys = tuple(e.tobytes() for e in envelopes)
    return PulseSequence(lines(chip), np.array(rows, BURST), tuple(envelopes), keys, tuple(windows), 1_000_000)


def test_a_shot_of_seven_is_reproducible_and_predicted():
    """P1 of Q0 from 2000 shots follows the prediction from other trajectories; the same seed gives the same shots."""
    chip = chain(7, 30e-6)
    played = shots(chip, (0, 6))
    first = Engine(chip, 5).play(played, 300, (1,), "integrated").integrated
    again = Engine(chip, 5).play(played, 300, (1,), "integrated").integrated
    np.testing.assert_array_equal(first, again)
    assert np.mean(Engine(chip, 6).play(played, 300, (1,), "integrated").integrated == first) < 0.01
    found = Engine(chip, 5).predict(played)
    other = Engine(chip, 9).predict(played)
    assert found.qubits == (0, 6)
    error = 5 * math.sqrt(2 * 0.25 / 64)
    np.testing.assert_allclose(found.populations, other.populations, atol=error, err_msg="seeds 5, 9")


def test_a_measurement_in_mid_circuit_collapses_every_member():
    rng = np.random.default_rng(7)
    state = Trajectories.product([np.array([0.5, 0.5, 0.0])] * 4, 50, rng)
    mixed = np.kron(np.array([[1, 1, 0], [1, -1, 0], [0, 0, math.sqrt(2)]]) / math.sqrt(2), np.eye(3))
    state.apply_unitaries((0, 1), np.tile(mixed.astype(complex), (50, 1, 1)))
    members, before, after = np.array([3, 3, 7]), np.array([0, 1, 1]), np.array([0, 1, 0])
    left = state.collapsed((0,), members, before, after)
    np.testing.assert_allclose(left.populations((0,)), np.eye(3)[after], atol=1e-12)
    np.testing.assert_allclose(left.populations((2, 3)), state.populations((2, 3))[members], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(left.psi, axis=1), 1)


def test_too_many_branches_are_refused_with_the_number():
    state = Trajectories.product([np.array([1.0, 0.0, 0.0])] * 10, 2, np.random.default_rng(0))
    many = np.zeros(1000, dtype=np.int64)
    with pytest.raises(SimulationLimitError, match="1000 branches"):
        state.collapsed((0,), many, many, many)


def test_a_readout_between_leaves_a_state_that_goes_on():
    """Seven transmons of which Q0 is read first: it is found in 0, and out of it later as often as predicted.

    Out of 0 means beyond 3.5 standard deviations of the cloud of the first reading: 0.2 % of it, 98 % of the others.
    """
    chip, count = chain(7, 100e-6), 600
    engine = Engine(chip, 3)
    played = shots(chip, (0,), middle=True)
    points = engine.play(played, count, (0,), "integrated").integrated
    assert points.shape == (count, 2)
    centre = np.median(points[:, 0].real) + 1j * np.median(points[:, 0].imag)
    radii = np.abs(points - centre)
    sigma = np.median(radii[:, 0]) / math.sqrt(2 * math.log(2))
    out = (radii > 3.5 * sigma).mean(axis=0)
    predicted = 1 - engine.predict(played).populations[0]
    assert out[0] < 0.02, "seed 3"
    assert 0.1 < predicted < 0.95
    # 64 trajectories at either side, and as many shots.
    assert out[1] == pytest.approx(
        predicted, abs=0.04 + 4 * math.sqrt(predicted * (1 - predicted) * (2 / 64 + 1 / count))
    )
