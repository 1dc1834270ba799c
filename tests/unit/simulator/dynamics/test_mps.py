"""Matrix product states on their own: against state vectors, on exact states, truncated, measured."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.simulator.chip.truncation import DEFAULT, Truncation
from pulsed.simulator.dynamics.mps import MatrixProducts, line_order
from pulsed.simulator.dynamics.trajectories import LARGEST, SimulationLimitError, Trajectories, chances
from pulsed.simulator.instruments.virtual_instrument import MESSAGES

GROUND = np.array([1.0, 0.0, 0.0])
HADAMARD = np.array([[1, 1, 0], [1, -1, 0], [0, 0, math.sqrt(2)]], complex) / math.sqrt(2)
CNOT = np.eye(9, dtype=complex)
CNOT[[3, 4]] = CNOT[[4, 3]]
EXACT = Truncation(243, 1e-9)


def path(count: int) -> list[tuple[int, int]]:
    return [(s, s + 1) for s in range(count - 1)]


def unitaries(rng: np.random.Generator, size: int, batch: int) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(batch, size, size)) + 1j * rng.normal(size=(batch, size, size)))[0]


def channel(rng: np.random.Generator) -> np.ndarray:
    """A random superoperator (1, 81, 81) of three Kraus operators, two of them weak."""
    kraus = np.stack([np.eye(9), *(0.1 * (rng.normal(size=(2, 9, 9)) + 1j * rng.normal(size=(2, 9, 9))))])
    values, vectors = np.linalg.eigh(sum(k.conj().T @ k for k in kraus))
    kraus = kraus @ (vectors / np.sqrt(values)) @ vectors.conj().T
    return sum(np.kron(k, k.conj()) for k in kraus)[None]


def ghz(count: int, batch: int = 1) -> MatrixProducts:
    state = MatrixProducts.product([GROUND] * count, batch, np.random.default_rng(0), path(count), DEFAULT)
    state.apply_unitaries((0,), np.tile(HADAMARD, (batch, 1, 1)))
    for site in range(count - 1):
        state.apply_unitaries((site, site + 1), np.tile(CNOT, (batch, 1, 1)))
    return state


@given(
    seed=st.integers(0, 2**32),
    links=st.sampled_from([path(5), [(0, 3), (1, 3), (1, 4), (2, 4)], [(0, 1), (0, 2), (0, 3), (0, 4)], []]),
)
@settings(max_examples=12, deadline=None)
def test_the_same_draws_give_the_states_that_state_vectors_give(seed, links):
    """Random unitaries, channels, pair energies and measurements between any two of five, whatever line they are on."""
    rng, batch, count = np.random.default_rng(seed), 3, 5
    start = [rng.dirichlet([5, 3, 1]) for _ in range(count)]
    vectors = Trajectories.product(start, batch, np.random.default_rng(seed))
    products = MatrixProducts.product(start, batch, np.random.default_rng(seed), links, EXACT)
    for step in range(12):
        a, b = (int(s) for s in sorted(rng.choice(count, 2, replace=False)))
        one, two, energies, noise = (
            unitaries(rng, 3, batch),
            unitaries(rng, 9, batch),
            rng.normal(size=(3, 3)),
            channel(rng),
        )
        for state in (vectors, products):
            state.apply_unitaries((b,), one)
            state.shift(a, b, energies, 1.3)
            if step % 3 == 0:
                state.apply_unitaries((a, b), two)
                state.apply((a, b), noise)
            if step % 5 == 4:
                state.dephase(a)
    for sites in ((0,), (3, 1), (4, 0, 2), (0, 1, 2, 3, 4)):
        np.testing.assert_allclose(products.populations(sites), vectors.populations(sites), atol=1e-10)
    joint = vectors.populations((3, 1))
    members, before = np.array([0, 2, 2]), np.array([joint[0].argmax(), *np.flatnonzero(joint[2] > 1e-3)[[0, -1]]])
    after = np.array([3, 0, 8])
    left = [
        state.collapsed((3, 1), members, before, after).populations((0, 1, 2, 3, 4)) for state in (vectors, products)
    ]
    np.testing.assert_allclose(left[1], left[0], atol=1e-10)
    assert products.discarded.max() < 1e-9


def test_a_ghz_state_of_sixteen_is_exact_with_two_schmidt_vectors():
    state, shots, seed = ghz(16, batch=2), 4000, 11
    assert state.line.widest == 2
    assert state.discarded.max() < 1e-20
    np.testing.assert_allclose(state.populations((0, 7, 15))[:, [0, 13]], 0.5, atol=1e-12)
    owner = np.repeat([0, 1], shots // 2)
    found = state.sample(tuple(range(16)), owner, np.random.default_rng(seed))
    ones = np.ravel_multi_index((1,) * 16, (3,) * 16)
    assert set(found.tolist()) == {0, int(ones)}
    assert abs(np.mean(found == ones) - 0.5) < 4.5 * 0.5 / math.sqrt(shots), f"seed {seed}"


def test_samples_follow_the_joint_populations_in_the_order_of_the_sites():
    """Chi-squared per member of an entangled state: below 5 standard deviations of its distribution."""
    seed, shots = 5, 30_000
    rng = np.random.default_rng(seed)
    state = MatrixProducts.product([GROUND] * 4, 2, rng, path(4), EXACT)
    for a in (0, 1, 2, 1):
        state.apply_unitaries((a, a + 1), unitaries(rng, 9, 2))
    found = state.sample((3, 0, 2), np.repeat([0, 1], shots), rng)
    wanted = state.populations((3, 0, 2)) * shots
    for member in range(2):
        counts = np.bincount(found[member * shots : (member + 1) * shots], minlength=27)
        squared = ((counts - wanted[member]) ** 2 / wanted[member]).sum()
        assert squared < 26 + 5 * math.sqrt(52), f"seed {seed}"
    assert np.abs(wanted[0] - wanted[1]).max() > 300


@given(owner=st.lists(st.integers(0, 2), min_size=1, max_size=12), site=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_each_shot_is_drawn_from_its_own_member_in_whatever_order_shots_have_them(owner, site):
    """As after a measurement in mid-circuit: each member is in a level of its own, so there is nothing to chance."""
    state = MatrixProducts.product([GROUND] * 4, 3, np.random.default_rng(0), path(4), EXACT)
    raised = np.roll(np.eye(3), 1, axis=0).astype(complex)
    state.apply_unitaries((site,), np.array([np.linalg.matrix_power(raised, k) for k in range(3)]))
    assert state.sample((site,), np.array(owner), np.random.default_rng(1)).tolist() == owner


def truncated(bond: int, weight: float, layers: int = 6, seed: int = 2) -> MatrixProducts:
    """Eight transmons after layers of random unitaries on pairs."""
    rng = np.random.default_rng(seed)
    state = MatrixProducts.product([GROUND] * 8, 1, rng, path(8), Truncation(bond, weight))
    for layer in range(layers):
        for a in range(layer % 2, 7, 2):
            state.apply_unitaries((a, a + 1), unitaries(rng, 9, 1))
    return state


def amplitudes(state: MatrixProducts) -> np.ndarray:
    out = np.ones((1, 1), complex)
    for tensor in state.line.settle(0):
        out = (out @ tensor[0].reshape(len(tensor[0]), -1)).reshape(-1, tensor.shape[3])
    return out.ravel()


def test_the_discarded_weight_rises_as_the_bond_gets_narrower_and_tells_what_is_lost():
    """Against the state that was not truncated: small weights are the lost fidelity, to 5 %."""
    exact = amplitudes(truncated(81, 1e-9, layers=4))
    weights, lost = [], []
    for bond in (48, 40, 32, 24, 16, 8):
        state = truncated(bond, 1.0, layers=4)
        weights.append(float(state.discarded[0]))
        lost.append(1 - abs(np.vdot(exact, amplitudes(state))) ** 2)
    assert all(a < b for a, b in pairwise(weights))
    assert weights[0] < 1e-5 < 0.1 < weights[-1]
    for weight, infidelity in zip(weights, lost, strict=True):
        if weight < 0.1:
            assert infidelity == pytest.approx(weight, rel=0.05)


def test_branches_keep_the_weight_that_their_member_lost():
    state = truncated(16, 1.0, layers=4)
    before, zero = state.discarded[0], np.zeros(3, dtype=np.int64)
    left = state.collapsed((4,), zero, np.array([0, 1, 2]), zero)
    assert before > 0.01
    assert (left.discarded >= before).all()
    assert left.discarded.max() < before + 1e-6
    assert left.line.widest == 16


def test_the_chance_of_a_jump_is_the_norm_that_it_leaves():
    """Random Kraus operators on random states of two transmons, for all members alike and one set for each."""
    rng = np.random.default_rng(8)
    states = rng.normal(size=(4, 9, 5)) + 1j * rng.normal(size=(4, 9, 5))
    reduced = np.einsum("bir,bjr->bij", states, states.conj())
    for sets in (1, 4):
        kraus = rng.normal(size=(sets, 6, 9, 9)) + 1j * rng.normal(size=(sets, 6, 9, 9))
        wanted = (np.abs(np.einsum("bkij,bjr->bkir", np.tile(kraus, (4 // sets, 1, 1, 1)), states)) ** 2).sum(
            axis=(2, 3)
        )
        np.testing.assert_allclose(chances(kraus, reduced), wanted, rtol=1e-10)


def test_a_state_beyond_the_bound_is_refused_with_the_weight_the_bound_and_what_to_do():
    with pytest.raises(SimulationLimitError) as caught:
        truncated(8, 1e-3)
    error = caught.value
    assert "8 transmons" in error.subject
    assert float(error.value.removeprefix("discarded weight ")) > 1e-3
    assert error.legal.startswith("at most 0.001;")
    for advice in ("shallower", "truncation.bond_dimension (now 8)", "chip file"):
        assert advice in error.legal
    assert len(f"{MESSAGES[-200]}; {error}") <= 255, "does not fit an error queue"


def test_leakage_survives_and_a_collapse_reaches_all_of_an_entangled_state():
    """|000..> + |222..> of twelve: what is found in one transmon is then found in all others, level 2 included."""
    lift = np.eye(3, dtype=complex)[[0, 2, 1]]
    state = ghz(12, batch=2)
    for site in range(12):
        state.apply_unitaries((site,), np.tile(lift, (2, 1, 1)))
    members, before, after = np.array([0, 0, 1]), np.array([0, 8, 8]), np.array([0, 8, 4])
    left = state.collapsed((5, 3), members, before, after)
    assert left.line.widest == 2
    assert max(t.shape[3] for t in left.line.tensors) == 1
    np.testing.assert_allclose(left.populations((5, 3)), np.eye(9)[after], atol=1e-12)
    for site in (0, 4, 11):
        np.testing.assert_allclose(left.populations((site,)), np.eye(3)[[0, 2, 2]], atol=1e-12)
    assert (left.sample((11,), np.array([0, 1, 2]), np.random.default_rng(0)) == [0, 2, 2]).all()


def test_branches_and_joint_populations_are_kept_within_memory():
    state = ghz(12)
    many = np.zeros(LARGEST // state.line.bytes_of(1) + 1, dtype=np.int64)
    with pytest.raises(SimulationLimitError, match=f"{len(many)} branches"):
        state.collapsed((0,), many, many, many)
    with pytest.raises(SimulationLimitError, match="at most 13; measure fewer"):
        ghz(15).populations(tuple(range(15)))


@given(st.permutations(range(9)))
def test_a_path_is_followed_whatever_its_sites_are_called(names):
    order = line_order(9, [(names[s], names[s + 1]) for s in range(8)])
    assert order in (list(names), list(names)[::-1])


def test_other_graphs_keep_linked_sites_close():
    """A 3 x 4 grid has bandwidth 3; a star's centre cannot do better than half its leaves."""
    grid = [(4 * r + c, 4 * r + c + 1) for r in range(3) for c in range(3)]
    grid += [(4 * r + c, 4 * r + c + 4) for r in range(2) for c in range(4)]
    place = np.argsort(line_order(12, grid))
    assert max(abs(place[a] - place[b]) for a, b in grid) <= 4
    assert sorted(line_order(5, [])) == [0, 1, 2, 3, 4]
