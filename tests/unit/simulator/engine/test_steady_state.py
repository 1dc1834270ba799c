"""What a shot leaves to the next: the fixed point, at any repetition delay, against the chain of shots itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.executor import Executor
from pulsed.calibration.schedules import sequence
from pulsed.pulse.schedule import Schedule
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.engine.steady_state import TOLERANCE, settled
from pulsed.testing.simulated_lab import SimulatedLab

SHOTS = 20_000


@pytest.fixture(scope="module")
def bench():
    return Executor(SimulatedLab.sim5())


def flipped(bench, qubits):
    flips = Schedule(*((0, bench.blocks.x(q)) for q in qubits))
    return bench.blocks.shot(qubits[0], flips, readout=Schedule(*((0, bench.blocks.measure(q)) for q in qubits)))


@pytest.mark.parametrize(("delay", "wanted"), [(1e-6, 0.505), (10e-6, 0.53), (20e-6, 0.555), (100e-6, 0.735)])
def test_x_and_a_measurement(bench, delay, wanted):
    """P(1) = 1 - p with p = e (1 - p) + (1 - e) th: a shot that begins in p ends in 1 - p and relaxes.

    Readout relaxes a little faster with photons and errs by 0.5 %: 0.01, and five standard errors of 20,000 shots.
    """
    (bits,) = bench.play([flipped(bench, [0])], SHOTS, level=2, rep_delay=delay).bits
    assert bits.mean() == pytest.approx(wanted, abs=0.01 + 5 * math.sqrt(0.25 / SHOTS))


def test_five_qubits_at_once(bench):
    """Each by its own T1; the formula of one qubit, with the readout's 800 ns."""
    delay, chip = 20e-6, bench.connection.engine.designed
    (bits,) = bench.play([flipped(bench, range(5))], SHOTS, level=2, rep_delay=delay).bits
    for q, qubit in enumerate(chip.qubits):
        kept = math.exp(-(delay + 0.8e-6) / qubit.t1)
        p = (kept + (1 - kept) * qubit.thermal) / (1 + kept)
        assert bits[:, q].mean() == pytest.approx(1 - p, abs=0.015 + 5 * math.sqrt(0.25 / SHOTS)), q


def test_what_is_not_turned_stays_in_equilibrium(bench):
    """Measured again and again, every microsecond: only what readout itself excites comes to the thermal part.

    Three of 80 photons that hurt make 6e-4 jumps in a readout, and T1 takes them back in 95 us: 3 % more at 1.8 us.
    Within a factor of two.
    """
    plain = bench.blocks.shot(0, Schedule())
    (bits,) = bench.play([plain], SHOTS, level=2, rep_delay=1e-6).bits
    (rested,) = bench.play([plain], SHOTS, level=2, rep_delay=1e-3).bits
    assert 0.01 < bits.mean() - rested.mean() < 0.07


def test_a_pair_against_the_chain_of_shots(bench):
    """ecr and sx on the target, both read, 10 us: 60 of these in one long shot, or one a shot.

    Bits go around 00, 10, 01, 11 or so. In the long shot every repetition begins in what its own shot left, both bits
    together, photons included; after 30 of them, 390 us, 2 % of the beginning is left: 0.003, and five standard errors
    (shots are independent). With each qubit's mean instead of both together, 00 is 0.02 off.
    """
    blocks, pair, rest, count = bench.blocks, (0, 1), 10_000, 60
    gate = blocks.gate("ecr", *pair)
    body = sequence(gate, blocks.sx(1))
    body = sequence(body, -body.duration % 4)
    once = sequence(body, Schedule(*((0, blocks.measure(q)) for q in pair)))
    many = Schedule()
    for k in range(count):
        read = Schedule(*((0, blocks.measure(q, slot=2 * k + q)) for q in pair))
        many = many.insert(k * (body.duration + 800 + rest), sequence(body, read))
    chain = bench.play([many], 3000, level=2, rep_delay=1e-3).bits[0].reshape(-1, count, 2)[:, count // 2 :]
    alone = bench.play([once], SHOTS, level=2, rep_delay=rest * 1e-9).bits[0]
    for word in range(4):
        ones, others = ((2 * b[..., 0] + b[..., 1] == word).astype(float) for b in (alone, chain))
        others = others.mean(axis=1)
        error = math.hypot(ones.std() / math.sqrt(len(ones)), others.std() / math.sqrt(len(others)))
        assert ones.mean() == pytest.approx(others.mean(), abs=0.003 + 5 * error), word


def test_the_default_delay_leaves_the_errors_of_the_target(bench):
    """0 read for a 1 on every qubit is what the set says, within 5 standard errors, the x's error and 0.1 % left over.

    Both are of a chip in its thermal state before x. At 500 us, 4.5 T1 of Q2, its error was 1 % more than that.
    """
    shots, of_the_set = 60_000, 20_000
    bits = np.concatenate(bench.play([flipped(bench, range(5))] * 3, shots // 3, level=2).bits)
    for q in range(5):
        stated = bench.calibration.number(f"Q{q}.readout.p01")
        error = 5 * math.sqrt(stated / shots + stated / of_the_set)
        assert 1 - bits[:, q].mean() == pytest.approx(stated, abs=error + 0.001), q


@given(st.integers(2, 40), st.integers(0, 2**32 - 1), st.floats(1e-4, 0.9999), st.sampled_from([0.0, 0.5, 1.0]))
def test_any_chain_is_solved(size, seed, left, mixed):
    """A Markov chain of states that stay, go round in a circle or are mixed, and relax, little or much."""
    rng = np.random.default_rng(seed)
    rest = rng.dirichlet(np.ones(size))
    move = (1 - mixed) * rng.permutation(np.eye(size)) + mixed * rng.dirichlet(np.ones(size) * 0.3, size).T
    chain = left * move + (1 - left) * rest[:, None]
    values, vectors = np.linalg.eig(chain)
    wanted = vectors[:, np.argmin(np.abs(values - 1))].real
    found = settled(lambda p: (chain @ p[0])[None], rest[None], left)
    assert np.abs(found[0] - wanted / wanted.sum()).max() < 1.5 * TOLERANCE


def test_what_never_rests_is_refused():
    """A map that is no contraction, though it was said to be one."""
    rng = np.random.default_rng(1)
    with pytest.raises(SimulationLimitError, match="does not come to rest"):
        settled(lambda p: rng.dirichlet([1, 1, 1], 2), np.full((2, 3), 1 / 3), 0.99)
