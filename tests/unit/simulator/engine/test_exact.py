"""Density matrices as real coefficients: against Kronecker products, and rest with ZZ against the whole generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.dynamics.hamiltonian import TWO_PI_PER_NS
from pulsed.simulator.dynamics.hermitian import after_unitaries, conjugated, real_map, turn, waits
from pulsed.simulator.dynamics.propagators import wait_and_pulse
from pulsed.simulator.dynamics.pulse_map import PlacedPulse, PulseMap, joint_map
from pulsed.simulator.dynamics.state import DensityMatrix, Rest
from pulsed.simulator.dynamics.superoperators import jump_operators, small_unitaries
from pulsed.simulator.engine.exact import ExactCluster
from pulsed.simulator.engine.free_evolution import FreeEvolution

seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=30)


def unitary(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((size, size)) + 1j * rng.standard_normal((size, size)))[0]


def states(rng: np.random.Generator, count: int, batch: int = 2) -> np.ndarray:
    """Density matrices without any symmetry."""
    a = rng.standard_normal((batch, 3**count, 3**count)) + 1j * rng.standard_normal((batch, 3**count, 3**count))
    rho = a @ a.conj().transpose(0, 2, 1)
    return rho / np.trace(rho, axis1=1, axis2=2)[:, None, None]


def on(count: int, sites: tuple[int, ...], op: np.ndarray) -> np.ndarray:
    """``op`` on some transmons, identity on the others."""
    rest = [s for s in range(count) if s not in sites]
    full = np.kron(op, np.eye(3 ** len(rest))).reshape((3,) * (2 * count))
    back = np.argsort([*sites, *rest])
    return full.transpose([*back, *(count + back)]).reshape(3**count, 3**count)


@few
@given(seeds, st.integers(1, 4))
def test_coefficients_are_those_of_the_matrices(seed, count):
    rho = states(np.random.default_rng(seed), count)
    np.testing.assert_allclose(DensityMatrix.of(rho).rho, rho, atol=1e-15)


@few
@given(seeds, st.integers(2, 4), st.data())
def test_maps_and_shifts_on_any_transmons(seed, count, data):
    """A unitary map of one or two transmons, a pair energy, and populations, in any order of the sites."""
    rng = np.random.default_rng(seed)
    rho = states(rng, count)
    state = DensityMatrix.of(rho)
    size = data.draw(st.integers(1, 2))
    sites = tuple(sorted(data.draw(st.permutations(range(count)))[:size]))
    u = unitary(rng, 3**size)
    state.apply(sites, real_map(np.kron(u, u.conj()))[None])
    full = on(count, sites, u)
    wanted = full @ rho @ full.conj().T
    np.testing.assert_allclose(state.rho, wanted, atol=1e-13)
    pair = tuple(data.draw(st.permutations(range(count)))[:2])
    energies = rng.standard_normal((3, 3))
    state.shift(*pair, energies, 0.7)
    full = on(count, pair, np.diag(np.exp(-0.7j * energies.ravel())))
    wanted = full @ wanted @ full.conj().T
    np.testing.assert_allclose(state.rho, wanted, atol=1e-13)
    diagonal = np.einsum("bii->bi", wanted).real.reshape((2,) + (3,) * count)
    others = tuple(1 + s for s in range(count) if s not in pair)
    joint = diagonal.sum(axis=others)
    joint = joint if pair[0] < pair[1] else joint.transpose(0, 2, 1)
    np.testing.assert_allclose(state.populations(pair), joint.reshape(2, 9), atol=1e-13)


@few
@given(seeds, st.integers(1, 2))
def test_unitaries_of_each_member(seed, sites):
    rng = np.random.default_rng(seed)
    m = 3**sites
    u = np.array([unitary(rng, m) for _ in range(3)])
    x = rng.standard_normal((3, m * m))
    step = rng.standard_normal((m * m, m * m))
    wanted = np.array([real_map(np.kron(v, v.conj())) for v in u])
    np.testing.assert_allclose(conjugated(x, u), np.einsum("bij,bj->bi", wanted, x), atol=1e-13)
    np.testing.assert_allclose(after_unitaries(step, u), step @ wanted, atol=1e-12)


@few
@given(seeds)
def test_turns_and_waits_are_maps_of_elements(seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(-9, 9)
    p = np.exp(1j * angle * np.arange(3))
    np.testing.assert_allclose(turn(angle), real_map(np.diag(np.kron(p, p.conj()))), atol=1e-14)
    mixed, factors = rng.standard_normal((3, 3)), rng.standard_normal(3) + 1j * rng.standard_normal(3)
    elements = np.zeros((3, 3), complex)
    elements[[0, 0, 1], [1, 2, 2]] = factors
    full = np.diag((elements + elements.conj().T).ravel())
    full[np.ix_([0, 4, 8], [0, 4, 8])] = mixed
    np.testing.assert_allclose(waits(mixed, factors[None])[0], real_map(full), atol=1e-14)


@few
@given(seeds, st.sampled_from([0.0, 5e4, 3e7]))
def test_a_wait_and_a_detuned_step_are_one_map(seed, spread):
    """In place of turn, wait, detuning and step one after the other, for small detunings and large ones."""
    rng = np.random.default_rng(seed)
    step, mixed = rng.standard_normal((9, 9)), rng.standard_normal((3, 3))
    moments = rng.standard_normal((1, 3, 3)) + 1j * rng.standard_normal((1, 3, 3))
    moments = 10 * (moments + moments.conj().transpose(0, 2, 1))
    factors, detunings = rng.standard_normal((4, 3)) + 1j * rng.standard_normal((4, 3)), rng.normal(0, spread, 4)
    out = np.empty((4, 9, 9))
    wait_and_pulse(step, moments[0], detunings * TWO_PI_PER_NS, mixed, factors, out)
    wanted = after_unitaries(step, small_unitaries(moments, detunings[:, None])) @ waits(mixed, factors)
    np.testing.assert_allclose(out.transpose(0, 2, 1), wanted, atol=1e-11)


@pytest.mark.parametrize(("count", "duration"), [(2, 300.0), (3, 40_000.0)])
def test_rest_is_the_exponential_of_the_whole_generator(count, duration):
    """Decay, thermal excitation, dephasing and ZZ along a chain, as one Liouvillian, seed 6; 1e-9 on any state."""
    rng = np.random.default_rng(6)
    chip = random_chip(6, count)
    free = FreeEvolution(chip, 5.1e9)
    rho = states(rng, count)
    detunings = rng.normal(0, 5e3, (2, count))
    n = np.indices((3,) * count).reshape(count, -1)
    dim = 3**count
    jumps = [on(count, (q,), x) for q in range(count) for x in jump_operators(chip.qubits[q], 3)]
    wanted = []
    for member in range(2):
        h = np.zeros(dim)
        for q, qubit in enumerate(chip.qubits):
            f = qubit.frequency - 5.1e9 + detunings[member, q]
            h += 2e-9 * np.pi * (f * n[q] + 0.5 * qubit.anharmonicity * n[q] * (n[q] - 1))
        for (a, b), energies in free.zz.items():
            h += energies[n[a], n[b]]
        # In the interaction picture of h the jumps of one ladder step turn with it; a diagonal h commutes otherwise.
        eye = np.eye(dim)
        generator = -1j * (np.kron(np.diag(h), eye) - np.kron(eye, np.diag(h))).astype(complex)
        for jump in jumps:
            square = jump.conj().T @ jump
            generator += np.kron(jump, jump.conj()) - 0.5 * (np.kron(square, eye) + np.kron(eye, square.T))
        wanted.append(evolved(generator, duration, rho[member]))
    state = DensityMatrix.of(rho)
    rests = [Rest(idle.rates, idle.factors(duration, detunings[:, q])) for q, idle in enumerate(free.idles)]
    state.rest(rests, free.zz, duration)
    np.testing.assert_allclose(state.rho, wanted, atol=1e-9)
    alone = DensityMatrix.of(rho)
    alone.rest(rests, {}, duration)
    assert np.abs(alone.rho - wanted).max() > 1e-3


def evolved(generator: np.ndarray, duration: float, rho: np.ndarray) -> np.ndarray:
    """exp(generator duration) on vec(rho), block by block: elements that no jump joins are apart."""
    found = np.zeros(rho.size, complex)
    joined = (generator != 0) | (generator != 0).T
    left = set(range(rho.size))
    while left:
        block = {left.pop()}
        edge = set(block)
        while edge:
            edge = {int(k) for i in edge for k in np.flatnonzero(joined[i])} - block
            block |= edge
        left -= block
        index = sorted(block)
        found[index] = expm(generator[np.ix_(index, index)] * duration) @ rho.ravel()[index]
    return found.reshape(rho.shape)


def step_of(rng: np.random.Generator, sites: int) -> PulseMap:
    """A pulse with a little dissipation."""
    m = 3**sites
    generator = np.zeros((m * m, m * m), complex)
    jump = 0.05 * rng.standard_normal((m, m))
    square = jump.T @ jump
    generator += np.kron(jump, jump) - 0.5 * (np.kron(square, np.eye(m)) + np.kron(np.eye(m), square.T))
    g = rng.standard_normal((sites, m, m)) * 20
    excitations = np.indices((3,) * sites).reshape(sites, -1).sum(axis=0).astype(float)
    return PulseMap(joint_map(unitary(rng, m), generator), np.eye(m), g + g.transpose(0, 2, 1) + 0j, excitations)


def test_what_is_left_out_after_the_last_pulses_changes_no_population():
    """Five transmons, pulses on one and two of them at various times, seed 8: with and without the ends known."""
    rng = np.random.default_rng(8)
    chip = random_chip(8, 5)
    free = FreeEvolution(chip, 5.1e9)
    rows = [((0,), 0), ((1,), 0), ((2, 3), 40), ((0, 1), 90), ((4,), 5000), ((3,), 5000), ((1,), 5200)]
    pulses = [PlacedPulse(q, t, t + 32, float(rng.uniform(-3, 3)), step_of(rng, len(q))) for q, t in rows]
    detunings = rng.normal(0, 2e4, (3, 5))
    start = np.tile([0.9, 0.08, 0.02], (5, 1))
    ends = {q: 0.5 * (p.start + p.stop) for p in pulses for q in p.qubits}
    found = []
    for known in (None, ends, dict.fromkeys(range(5), 0.0)):
        cluster = ExactCluster(free, tuple(range(5)), start, detunings, known)
        cluster.walk(pulses, [], lambda measurement: None)
        cluster.wait(30_000)
        found.append(cluster.density.populations((0, 1, 2, 3, 4)))
    np.testing.assert_allclose(found[1], found[0], atol=1e-10)
    assert np.abs(found[2] - found[0]).max() > 1e-4
