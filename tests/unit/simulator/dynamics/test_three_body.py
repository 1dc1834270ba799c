"""Pulses that couple three transmons: against an adaptive solver, a pair and one apart, in every kind of state."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.dynamics import clusters
from pulsed.simulator.dynamics.clusters import MOST_JOINT, segments
from pulsed.simulator.dynamics.hamiltonian import TWO_PI_PER_NS, static, zz
from pulsed.simulator.dynamics.hermitian import complex_map, conjugated, real_map
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.pulse_map import PlacedPulse
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import LineSettings
from pulsed.simulator.dynamics.state import DensityMatrix
from pulsed.simulator.dynamics.superoperators import dissipator, jump_operators, small_unitaries
from pulsed.simulator.dynamics.three_body import exponentials
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.gates import Burst, Gates
from pulsed.simulator.engine.sector_cluster import cluster_of

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
LO, READOUT = 5.10e9, 7.11e9
GAUSS = np.exp(-0.5 * ((np.arange(40) - 19.5) / 8) ** 2) + 0j


@pytest.fixture(scope="module")
def chip() -> Chip:
    """sim5 without crosstalk: Q0 and Q2 are the controls of Q1."""
    whole = load_chip(CHIP)
    return replace(whole, crosstalk=tuple(tuple(complex(a == b) for b in range(5)) for a in range(5)))


def lines(chip: Chip) -> tuple[LineSettings, ...]:
    return tuple(LineSettings(w.name, READOUT if w.reads else LO, True, *ideal_correction(w)) for w in chip.wires)


def tones(chip: Chip, length: int, later: int, amplitude: float = 0.5) -> list[Burst]:
    """Q0 and Q2 driven at the frequency of Q1, the second ``later`` ns after the first."""
    envelope = amplitude * np.ones(length, complex)
    return [Burst(0, 0, envelope, chip.qubits[1].frequency), Burst(2, later, 0.8j * envelope, chip.qubits[1].frequency)]


def drives(samples: int, sites: int, seed: int) -> np.ndarray:
    """Random drives in rad/ns, of 40 MHz and less."""
    rng = np.random.default_rng(seed)
    smooth = np.cumsum(rng.normal(size=(samples, sites)) + 1j * rng.normal(size=(samples, sites)), axis=0)
    return 0.25 * smooth / np.abs(smooth).max()


def test_dressed_values_of_three_are_the_chips(chip):
    """To 1 Hz; the ZZ of each pair is that of the pair alone to the order (J/Delta)^2, 5 %."""
    e = static(chip, (0, 1, 2), (4, 4, 4), LO).energies.reshape(4, 4, 4) / TWO_PI_PER_NS
    for site, one, two in ((0, e[1, 0, 0], e[2, 0, 0]), (1, e[0, 1, 0], e[0, 2, 0]), (2, e[0, 0, 1], e[0, 0, 2])):
        qubit = chip.qubits[site]
        assert one + LO == pytest.approx(qubit.frequency, abs=1)
        assert two - 2 * one == pytest.approx(qubit.anharmonicity, abs=1)
    for pair, both in (((0, 1), e[1, 1, 0] - e[1, 0, 0] - e[0, 1, 0]), ((1, 2), e[0, 1, 1] - e[0, 1, 0] - e[0, 0, 1])):
        assert both * TWO_PI_PER_NS == pytest.approx(zz(chip, *pair)[1, 1], rel=0.05)


@pytest.mark.parametrize("norm", [0.1, 3.0, 40.0])
def test_exponentials_are_those_of_the_eigenvalues(norm):
    rng = np.random.default_rng(1)
    h = rng.normal(size=(3, 30, 30)) + 1j * rng.normal(size=(3, 30, 30))
    h = h + h.conj().transpose(0, 2, 1)
    h *= norm / np.abs(h).sum(axis=2).max()
    values, vectors = np.linalg.eigh(h)
    wanted = (vectors * np.exp(-1j * values)[:, None, :]) @ vectors.conj().transpose(0, 2, 1)
    np.testing.assert_allclose(exponentials(h), wanted, atol=1e-12)


def test_two_tones_on_a_shared_neighbour_against_an_adaptive_solver(chip):
    """Two tones of 60 ns, 20 ns apart, fourth levels of both controls: on the same held samples, to 1e-6."""
    found = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(tones(chip, 60, 20)), LO, tail=0)
    assert [p.qubits for p in found] == [(0, 1, 2)]
    levels = (4, 3, 4)
    system = static(chip, (0, 1, 2), levels, LO)
    pulses = PulseMapCache(chip)
    sequence = Gates(chip, lines(chip)).sequence(tones(chip, 60, 20))
    parts = pulses._parts(sequence, LO)
    items = [(s, s + 60, p.reach.main, i) for i, (p, s) in enumerate(zip(parts.of, parts.starts, strict=True))]
    (segment,) = segments(items, [], 0)
    played = pulses._drives(parts, segment, LO)
    columns = [0, 1, 9, 13]
    wanted = _solved(system, played, columns)
    assert np.abs(found[0].map.unitary[:, columns] - wanted).max() < 1e-6
    alone = _solved(system, played * np.array([1, 0, 0]), columns)
    assert np.abs(wanted - alone).max() > 0.1


def _solved(system, played, columns) -> np.ndarray:
    """Return columns (27, k) of the propagator under held samples, by an adaptive Runge-Kutta method of order 8."""
    psi = np.eye(len(system.energies), dtype=complex)[:, system.keep[columns]]
    for drive in played:
        half = 0.5 * np.tensordot(drive.conj(), system.lowering, axes=(0, 0))
        h = -1j * (np.diag(system.energies) + half + half.conj().T)

        def change(t, y, h=h, shape=psi.shape):
            return (h @ y.reshape(shape)).ravel()

        psi = solve_ivp(change, (0, 1), psi.ravel(), "DOP853", rtol=1e-9, atol=1e-11).y[:, -1].reshape(psi.shape)
    return psi[system.keep]


def test_dissipation_of_three_against_thin_slices(chip):
    """Random drives for 60 ns, T1 = T2 = 2 us: a state as after slices of a quarter ns, to 3 % of what they dissipate.

    The integral takes steps of 8 ns, within which a drive of 40 MHz turns the state by two radians.
    """
    short = replace(chip, qubits=tuple(replace(q, t1=2e-6, t2_echo=2e-6, t2_star=2e-6) for q in chip.qubits))
    sites, levels, fine = (0, 1, 2), (3, 3, 3), 4
    played = drives(60, 3, 4)
    step = PulseMapCache(short).pulse_map(sites, levels, played, LO)
    system = static(short, sites, levels, LO)
    decay = [expm(dissipator(jump_operators(short.qubits[q], 3)) / fine).reshape((3,) * 4) for q in sites]
    rng = np.random.default_rng(2)
    ket = rng.normal(size=27) + 1j * rng.normal(size=27)
    start = np.outer(ket, ket.conj()) / np.vdot(ket, ket)
    rho = start
    for drive in played:
        half = 0.5 * np.tensordot(drive.conj(), system.lowering, axes=(0, 0))
        u = expm(-0.5j / fine * (np.diag(system.energies) + half + half.conj().T))
        for _ in range(fine):
            rho = (u @ rho @ u.conj().T).reshape((3,) * 6)
            for axis, local in enumerate(decay):
                rho = np.moveaxis(np.tensordot(local, rho, axes=([2, 3], [axis, axis + 3])), (0, 1), (axis, axis + 3))
            rho = rho.reshape(27, 27)
            rho = u @ rho @ u.conj().T
    found = (complex_map(step.real) @ start.ravel()).reshape(27, 27)
    lost = np.abs(step.unitary @ start @ step.unitary.conj().T - rho).max()
    assert lost > 1e-3
    assert np.abs(found - rho).max() < 0.03 * lost


def test_three_of_which_one_is_uncoupled_are_a_pair_and_one(chip):
    """The map is that of the pair and that of the transmon: 96 ns of 60 us, to 3 % of the dissipation."""
    apart = replace(chip, couplings=chip.couplings[:1])
    played, pulses = drives(96, 3, 5), PulseMapCache(apart)
    three = pulses.pulse_map((0, 1, 2), (4, 3, 3), played, LO)
    pair = pulses.pulse_map((0, 1), (4, 3), played[:, :2], LO)
    one = pulses.pulse_map((2,), (3,), played[:, 2:], LO)
    np.testing.assert_allclose(three.unitary, np.kron(pair.unitary, one.unitary), atol=1e-10)
    np.testing.assert_allclose(three.real, np.kron(pair.real, one.real), atol=1e-4)
    np.testing.assert_allclose(three.moments[0], np.kron(pair.moments[0], np.eye(3)), atol=1e-3)
    assert np.abs(three.real - np.eye(729)).max() > 0.5


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), sites=st.permutations(range(4)).map(lambda p: tuple(sorted(p[:3]))))
def test_maps_and_unitaries_on_three_of_four(seed, sites):
    """A density matrix of four: U rho U^+ as a map on coefficients, as U itself, and on the matrix."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(2, 81, 81)) + 1j * rng.normal(size=(2, 81, 81))
    rho = a @ a.conj().transpose(0, 2, 1)
    rho /= np.trace(rho, axis1=1, axis2=2)[:, None, None]
    u = np.linalg.qr(rng.normal(size=(2, 27, 27)) + 1j * rng.normal(size=(2, 27, 27)))[0]
    real = np.array([real_map(np.kron(v, v.conj())) for v in u])
    np.testing.assert_allclose(complex_map(real[0]), np.kron(u[0], u[0].conj()), atol=1e-12)
    (other,) = set(range(4)) - set(sites)
    order = [*sites, other]
    full = np.einsum("bij,kl->bikjl", u, np.eye(3)).reshape(2, *(3,) * 8)
    back = np.argsort(order)
    full = full.transpose(0, *(1 + back), *(5 + back)).reshape(2, 81, 81)
    wanted = full @ rho @ full.conj().transpose(0, 2, 1)
    by_map, by_unitary = DensityMatrix.of(rho), DensityMatrix.of(rho)
    by_map.apply(sites, real)
    by_unitary.conjugate(sites, u)
    np.testing.assert_allclose(by_map.rho, wanted, atol=1e-12, err_msg=f"seed {seed}")
    np.testing.assert_allclose(by_unitary.rho, wanted, atol=1e-12, err_msg=f"seed {seed}")
    x = rng.normal(size=(2, 729))
    np.testing.assert_allclose(conjugated(x, u), np.einsum("bij,bj->bi", real, x), atol=1e-12, err_msg=f"seed {seed}")


def chain(n: int, t1: float) -> Chip:
    """A random chain without crosstalk, all of whose qubits have this T1 and T2 = T1."""
    chip = random_chip(3, n)
    qubits = tuple(replace(q, t1=t1, t2_echo=t1, t2_star=t1, thermal=0.0) for q in chip.qubits)
    return replace(chip, qubits=qubits, crosstalk=tuple(tuple(complex(a == b) for b in range(n)) for a in range(n)))


def overlapping(chip: Chip, place: int = 0) -> list[Burst]:
    """Rotations, then tones from both neighbours of ``place`` + 1 at its frequency at once, then rotations."""
    n, target = len(chip.qubits), chip.qubits[place + 1].frequency
    first = [Burst(q, 0, 0.28 * GAUSS, chip.qubits[q].frequency) for q in range(n)]
    both = [Burst(place, 50, 0.6 * np.ones(120, complex), target), Burst(place + 2, 80, 0.5j * np.ones(120), target)]
    return first + both + [Burst(q, 210, 0.2j * GAUSS, chip.qubits[q].frequency) for q in range(n)]


def followed(chip: Chip, batch: int, seed: int | None, on_line: bool, place: int = 0):
    n = len(chip.qubits)
    pulses = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(overlapping(chip, place)), LO)
    assert max(len(p.qubits) for p in pulses) == 3
    rng = None if seed is None else np.random.default_rng(seed)
    start = np.tile([1.0, 0.0, 0.0], (n, 1))
    found = cluster_of(FreeEvolution(chip, LO), tuple(range(n)), start, np.zeros((batch, n)), rng, on_line)
    found.walk(pulses, [], lambda measurement: None)
    found.wait(400)
    return found.state.populations((place, place + 1, place + 2))


@pytest.mark.parametrize("on_line", [False, True])
@pytest.mark.parametrize("place", [0, 1])
def test_without_noise_vectors_and_matrix_products_are_the_state(on_line, place):
    chip = chain(4, 1e3)
    exact = followed(chip, 1, None, False, place)[0]
    np.testing.assert_allclose(followed(chip, 1, 4, on_line, place)[0], exact, atol=1e-4 if on_line else 1e-6)
    silent = replace(chip, couplings=())
    assert np.abs(exact - followed_apart(silent, place)).max() > 0.02


def followed_apart(chip: Chip, place: int) -> np.ndarray:
    n = len(chip.qubits)
    pulses = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(overlapping(chip, place)), LO)
    found = cluster_of(FreeEvolution(chip, LO), tuple(range(n)), np.tile([1.0, 0.0, 0.0], (n, 1)), np.zeros((1, n)))
    found.walk(pulses, [], lambda measurement: None)
    return found.state.populations((place, place + 1, place + 2))[0]


@pytest.mark.parametrize("seed", [None, 3])
def test_a_silent_pulse_of_three_is_a_wait(seed):
    """1.5 us with nothing on the lines, coherences on all three: the ZZ of both pairs acts once, to 2 % of a turn."""
    chip = chain(3, 1e3)
    first = [Burst(q, 0, 0.28 * GAUSS, chip.qubits[q].frequency) for q in range(3)]
    last = [Burst(q, 1600, 0.28 * GAUSS, chip.qubits[q].frequency) for q in range(3)]
    pulses = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(first + last), LO)
    step = PulseMapCache(chip).pulse_map((0, 1, 2), (3, 3, 3), np.zeros((1500, 3), complex), LO)
    found = []
    for silent in ([], [PlacedPulse((0, 1, 2), 60, 1560, 0.0, step)]):
        rng = None if seed is None else np.random.default_rng(seed)
        start = np.tile([1.0, 0.0, 0.0], (3, 1))
        cluster = cluster_of(FreeEvolution(chip, LO), (0, 1, 2), start, np.zeros((1, 3)), rng)
        cluster.walk(sorted([*pulses, *silent], key=lambda p: p.start + p.stop), [], lambda measurement: None)
        found.append(cluster.state.populations((0, 1, 2))[0])
    np.testing.assert_allclose(found[1], found[0], atol=0.02)
    apart = replace(chip, couplings=())
    pulses = PulseMapCache(apart).find(Gates(apart, lines(apart)).sequence(first + last), LO)
    cluster = cluster_of(FreeEvolution(apart, LO), (0, 1, 2), start, np.zeros((1, 3)))
    cluster.walk(pulses, [], lambda measurement: None)
    assert np.abs(cluster.state.populations((0, 1, 2))[0] - found[0]).max() > 0.06


@pytest.mark.parametrize("on_line", [False, True])
def test_the_mean_of_jumps_is_the_density_matrix(on_line):
    """T1 = T2 = 1 us: 27 joint populations of the mean of 600 members within 4.5 standard deviations."""
    seed, members, chip = 7, 600, chain(3, 1e-6)
    exact = followed(chip, 1, None, False)[0]
    mean = followed(chip, members, seed, on_line).mean(axis=0)
    error = np.sqrt(np.maximum(exact * (1 - exact), 1e-4) / members)
    assert (np.abs(mean - exact) < 4.5 * error).all(), f"seed {seed}"
    assert np.abs(exact - followed(chain(3, 1.0), 1, None, False)[0]).max() > 0.05


def test_slow_noise_detunes_three():
    """A detuning is to first order what the same offset of the qubits' frequencies does, to 3 % of its effect."""
    chip, shift = chain(3, 1e3), 100e3
    pulses = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(overlapping(chip)), LO)
    step = next(p.map for p in pulses if len(p.qubits) == 3)
    moved = replace(chip, qubits=tuple(replace(q, frequency=q.frequency + shift) for q in chip.qubits))
    system = static(chip, (0, 1, 2), (4, 4, 4), LO)
    assert system.keep.shape == (27,)
    exact = PulseMapCache(moved)
    played = drives(100, 3, 3)
    plain = PulseMapCache(chip).pulse_map((0, 1, 2), (3, 3, 3), played, LO)
    there = exact.pulse_map((0, 1, 2), (3, 3, 3), played, LO).unitary
    ours = plain.unitary @ small_unitaries(plain.moments, np.full((1, 3), shift))[0]
    assert np.abs(ours - there).max() < 0.03 * np.abs(plain.unitary - there).max()
    assert np.abs(plain.unitary - there).max() > 0.03
    assert step.moments.shape == (3, 27, 27)


places = st.integers(0, 5).flatmap(lambda q: st.sampled_from([(q,), (q, q + 1)]))
bursts = st.lists(st.tuples(st.integers(0, 300), st.integers(8, 120), places), min_size=1, max_size=14)


@settings(deadline=None, max_examples=100)
@given(found=bursts)
def test_every_burst_is_played_once_whatever_is_cut(found):
    """Each sample of each burst is in one segment of its qubits; segments of a qubit do not overlap."""
    items = [(start, start + length, qubits, k) for k, (start, length, qubits) in enumerate(found)]
    every = segments(items, [], 0)
    for start, end, qubits, k in items:
        mine = [s for s in every if k in s.bursts]
        assert all(set(qubits) <= set(s.qubits) for s in mine)
        covered = np.zeros(500, int)
        for s in mine:
            covered[s.start : s.end] += 1
        assert (covered[start:end] == 1).all()
    for q in range(7):
        stretch = sorted((s.start, s.end) for s in every if q in s.qubits)
        assert all(a[1] <= b[0] for a, b in pairwise(stretch))
    at_once = max(
        len(g) for t in range(430) for g in [(), *clusters._groups([i[2] for i in items if i[0] <= t < i[1]])]
    )
    assert max(len(s.qubits) for s in every) <= max(MOST_JOINT, at_once)


def test_a_segment_is_cut_only_where_more_than_three_meet():
    """A chain of four tones, each pair of which overlaps: three at most are together at a time."""
    items = [(100 * k, 100 * k + 150, (k, k + 1), k) for k in range(4)]
    found = segments(items, [], 4)
    assert [(s.start, s.end, s.qubits, s.bursts) for s in sorted(found, key=lambda s: s.start)] == [
        (0, 200, (0, 1, 2), [0, 1]), (200, 350, (1, 2, 3), [1, 2]), (350, 450, (3, 4), [3]),
    ] or max(len(s.qubits) for s in found) == 3  # fmt: skip
    assert all(s.tail == 0 for s in found if s.end < 450)


def test_cutting_a_pulse_of_three_changes_little(monkeypatch, chip):
    """Two staggered tones of 20 MHz as one pulse of three, and cut at the edges of the overlap: populations to 1e-3."""
    bursts = tones(chip, 150, 100)
    sequence = Gates(chip, lines(chip)).sequence(bursts)
    start = np.tile([1.0, 0.0, 0.0], (5, 1))
    start[:3] = [[0.5, 0.5, 0], [1, 0, 0], [0.3, 0.7, 0]]
    found = []
    for most in (3, 2):
        monkeypatch.setattr(clusters, "MOST_JOINT", most)
        pulses = PulseMapCache(chip).find(sequence, LO)
        cluster = cluster_of(FreeEvolution(chip, LO), (0, 1, 2), start, np.zeros((1, 5)))
        cluster.walk(pulses, [], lambda measurement: None)
        cluster.wait(300)
        found.append((len(pulses), cluster.state.populations((0, 1, 2))[0]))
    assert (found[0][0], found[1][0]) == (1, 3)
    np.testing.assert_allclose(found[1][1], found[0][1], atol=1e-3)
    begun = np.kron(np.kron(start[0], start[1]), start[2])
    assert np.abs(found[0][1] - begun).max() > 0.02


def test_more_than_three_at_once_are_named(chip):
    """Tones from Q0, Q2 and Q4, at Q1 and Q3: what Q2 has for both neighbours joins them all."""
    f = [q.frequency for q in chip.qubits]
    long = 0.5 * np.ones(300, complex)
    bursts = [Burst(0, 0, long, f[1]), Burst(2, 0, long, f[1]), Burst(2, 0, long, f[3])]
    sequence = Gates(chip, lines(chip)).sequence(bursts)
    with pytest.raises(SimulationLimitError, match=r"qubits 0, 1, 2, 3.*4 transmons.*at most 3 at once"):
        Engine(chip).play(replace(sequence, period=10**6), 10, (0,), "integrated")


def test_three_with_a_tunable_coupler_are_refused():
    """A tone that drives a tunable pair, and one that drives its neighbour along: five with the coupler's levels."""
    pair = load_chip(CHIP.with_name("coupler2.toml"))
    three = chain(3, 1e3)
    tuned = replace(
        three, couplings=(replace(three.couplings[0], coupler=pair.couplings[0].coupler), three.couplings[1])
    )
    sequence = Gates(tuned, lines(tuned)).sequence(overlapping(tuned))
    with pytest.raises(SimulationLimitError, match=r"qubits 0, 1, 2.*more than 2 transmons by a tunable coupler"):
        PulseMapCache(tuned).find(sequence, LO)
