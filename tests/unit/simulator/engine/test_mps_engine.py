"""Clusters followed as matrix product states: against density matrices and state vectors, in whole shots of twelve."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.components import Coupling
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.chip.truncation import Truncation
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.mps import MatrixProducts
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.evolution import Cluster
from pulsed.simulator.engine.free_evolution import FreeEvolution
from pulsed.simulator.engine.gates import Burst, Gates
from pulsed.simulator.engine.sector_cluster import cluster_of
from pulsed.simulator.instruments.control import Control

LO, READOUT = 5.10e9, 7.3e9
GAUSS = np.exp(-0.5 * ((np.arange(40) - 19.5) / 8) ** 2) + 0j


def chain(n: int, t1: float, seed: int = 3) -> Chip:
    """A random chain without crosstalk or thermal population, all of whose qubits have this T1 and T2 = T1."""
    chip = random_chip(seed, n)
    qubits = tuple(replace(q, t1=t1, t2_echo=t1, t2_star=t1, thermal=0.0) for q in chip.qubits)
    crosstalk = tuple(tuple(complex(a == b) for b in range(n)) for a in range(n))
    return replace(chip, qubits=qubits, crosstalk=crosstalk)


def lines(chip: Chip) -> tuple[LineSettings, ...]:
    return tuple(LineSettings(w.name, READOUT if w.reads else LO, True, *ideal_correction(w)) for w in chip.wires)


def circuit(chip: Chip, layers: int = 2, start: int = 0) -> list[Burst]:
    """Layers of a rotation of every qubit and a cross-resonance tone on every other pair, 300 samples each."""
    n, bursts = len(chip.qubits), []
    for layer in range(layers):
        at = start + 300 * layer
        bursts += [Burst(q, at, 0.28 * np.exp(1j * q) * GAUSS, chip.qubits[q].frequency) for q in range(n)]
        for a in range(layer % 2, n - 1, 2):
            control, target = sorted((a, a + 1), key=lambda q: -chip.qubits[q].frequency)
            bursts.append(Burst(control, at + 60, 0.5 * np.ones(220, complex), chip.qubits[target].frequency))
    return bursts


def cluster(chip: Chip, batch: int, rng: np.random.Generator | None, on_line: bool) -> Cluster:
    """All qubits after two layers and a wait, from the ground state, without slow noise."""
    n = len(chip.qubits)
    pulses = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(circuit(chip)), LO)
    start = np.tile([1.0, 0.0, 0.0], (n, 1))
    free, still = FreeEvolution(chip, LO), np.zeros((batch, n))
    found = cluster_of(free, tuple(range(n)), start, still, rng, on_line, left_out=0.0)
    found.walk(pulses, [], lambda measurement: None)
    found.wait(1000)
    return found


def sequence(chip: Chip, measured: tuple[int, ...], middle: bool = False) -> PulseSequence:
    """Two layers and a readout; with ``middle`` one more readout before them."""
    first = 900 if middle else 0
    rows, envelopes = Gates(chip, lines(chip)).rows(circuit(chip, start=first))
    ro, windows = len(chip.wires) - 1, []
    for start in (*((0,) if middle else ()), first + 620):
        kernels = []
        for q in measured:
            offset = chip.qubits[q].readout_frequency - READOUT
            rows.append((ro, start, len(envelopes), 0.14 if len(measured) < 3 else 0.07, 0.0, offset))
            kernels.append(IntegrationKernel(offset, np.full(800, 1 / 800, complex)))
        windows.append(Window(start + chip.amplifier.delay, 800, tuple(kernels)))
    envelopes.append(np.ones(800, complex))
    keys = tuple(e.tobytes() for e in envelopes)
    return PulseSequence(lines(chip), np.array(rows, BURST), tuple(envelopes), keys, tuple(windows), 1_000_000)


@pytest.mark.parametrize(("qubits", "members", "seed"), [(3, 4000, 1), (5, 2000, 2), (6, 600, 3)])
def test_the_mean_of_matrix_products_is_the_density_matrix(qubits, members, seed):
    """T1 = T2 = 1 us over 1 us: all 27 joint populations within 4.5 standard deviations of the mean."""
    chip, sites = chain(qubits, 1e-6), (0, 1, qubits - 1)
    exact = cluster(chip, 1, None, False).state.populations(sites)[0]
    mean = cluster(chip, members, np.random.default_rng(seed), True).state.populations(sites).mean(axis=0)
    error = np.sqrt(np.maximum(exact * (1 - exact), 1e-4) / members)
    assert (np.abs(mean - exact) < 4.5 * error).all(), f"seed {seed}"
    quiet = cluster(chain(qubits, 1.0), 1, None, False).state.populations(sites)[0]
    assert np.abs(exact - quiet).max() > 0.05


def test_eight_transmons_jump_as_state_vectors_do():
    """The same draws give the same jumps: joint populations of three of eight, member by member, T1 = 1 us."""
    seed, chip = 4, chain(8, 1e-6)
    vectors = cluster(chip, 6, np.random.default_rng(seed), False).state
    products = cluster(chip, 6, np.random.default_rng(seed), True).state
    for sites in ((0, 3, 7), (2, 4, 5)):
        wanted = vectors.populations(sites)
        np.testing.assert_allclose(products.populations(sites), wanted, atol=1e-4, err_msg=f"seed {seed}")
        assert np.abs(wanted[0] - wanted[1:]).max() > 0.1, f"seed {seed}"
    assert products.discarded.max() < 1e-7


def test_a_ring_is_followed_on_a_line():
    """Five transmons in a ring of couplings, no noise: as the density matrix, to the error of the cutoff."""
    chip = chain(5, 1e3, seed=6)
    chip = replace(chip, couplings=(*chip.couplings, Coupling((0, 4), 1.9e6)))
    exact = cluster(chip, 1, None, False).state.populations((4, 0, 2))
    found = cluster(chip, 1, np.random.default_rng(0), True).state
    assert isinstance(found, MatrixProducts)
    np.testing.assert_allclose(found.populations((4, 0, 2)), exact, atol=1e-4)
    open_chain = cluster(replace(chip, couplings=chip.couplings[:-1]), 1, None, False).state
    assert np.abs(open_chain.populations((4, 0, 2)) - exact).max() > 1e-3


@pytest.mark.parametrize(("batch", "seed", "on_line"), [(3, None, False), (3, 5, False), (3, 5, True)])
def test_batches_put_together_go_on_as_each_of_them(batch, seed, on_line):
    """After two layers, and of narrower bonds after a wait alone: joint populations, also after two more layers."""
    chip = chain(4, 1e3)
    rngs = [None if seed is None else np.random.default_rng(seed) for _ in range(2)]
    busy = cluster(chip, batch, rngs[0], on_line)
    free, start = FreeEvolution(chip, LO), np.tile([1.0, 0.0, 0.0], (4, 1))
    idle = cluster_of(free, (0, 1, 2, 3), start, np.zeros((2, 4)), rngs[1], on_line, left_out=0.0)
    idle.wait(1000)
    assert busy.synchronous_with(idle)
    half = busy.branch(np.array([0]))
    half.wait(1200)
    assert not busy.synchronous_with(half)
    whole = busy.joined_with([idle])
    assert whole.members == batch + 2
    late = circuit(chip, start=1100)
    pulses = PulseMapCache(chip).find(Gates(chip, lines(chip)).sequence(late), LO)
    for again in (False, True):
        if again:
            for one in (busy, idle, whole):
                one.walk(pulses, [], lambda measurement: None)
        parts = np.concatenate([c.state.populations((0, 2, 3)) for c in (busy, idle)])
        np.testing.assert_allclose(whole.state.populations((0, 2, 3)), parts, atol=1e-4 if on_line else 1e-6)
        assert np.abs(parts[0] - parts[-1]).max() > 0.02


def test_shots_of_twelve_are_reproducible_and_reported():
    chip = chain(12, 60e-6)
    played = sequence(chip, tuple(range(12)))
    first = Engine(chip, 5).play(played, 300, (1,), "integrated")
    again = Engine(chip, 5).play(played, 300, (1,), "integrated")
    np.testing.assert_array_equal(first.integrated, again.integrated)
    assert np.mean(Engine(chip, 6).play(played, 300, (1,), "integrated").integrated == first.integrated) < 0.01
    assert first.report == again.report
    (found,) = first.report.clusters
    assert (found.qubits, found.method, found.members) == (tuple(range(12)), "matrix product states", 64)
    assert 4 < found.bond_dimension <= 27
    assert 0 < found.discarded_weight < 1e-6
    assert first.report.dropped_zz == ()


def test_the_shots_of_twelve_follow_the_prediction():
    """The share of 2000 shots out of Q7's 0, against the mean and the scatter of five other sets of trajectories.

    Out of 0 means beyond 3.5 standard deviations of the cloud of shots without pulses: 0.2 % of it.
    """
    chip, count = chain(12, 60e-6), 2000
    played = sequence(chip, (7,))
    found = [1 - Engine(chip, seed).predict(played).populations[0] for seed in range(10, 15)]
    one, scatter = float(np.mean(found)), float(np.std(found, ddof=1))
    silent = replace(played, bursts=played.bursts[played.bursts["line"] == len(chip.wires) - 1])
    ground = Engine(chip, 5).play(silent, count, (0,), "integrated").integrated[:, 0]
    centre = np.median(ground.real) + 1j * np.median(ground.imag)
    sigma = np.median(np.abs(ground - centre)) / math.sqrt(2 * math.log(2))
    points = Engine(chip, 5).play(played, count, (0,), "integrated").integrated[:, 0]
    out = np.mean(np.abs(points - centre) > 3.5 * sigma)
    assert 0.1 < one < 0.9
    tolerance = 0.02 + 4 * math.sqrt(scatter**2 * 6 / 5 + one * (1 - one) / count)
    assert tolerance < 0.15
    assert out == pytest.approx(one, abs=tolerance), "seeds 5, 10 to 14"


def test_a_measurement_in_mid_circuit_of_twelve_collapses_and_goes_on():
    """Read in the ground state first, then as predicted; the report counts the branches."""
    chip, count = chain(12, 60e-6), 200
    played = sequence(chip, (0, 6), middle=True)
    outcome = Engine(chip, 3).play(played, count, (0,), "integrated")
    assert outcome.integrated.shape == (count, 4)
    assert outcome.report.clusters[0].members >= 64
    before = Engine(chip, 3).predict(played).populations
    without = Engine(chip, 3).predict(sequence(chip, (0, 6))).populations
    np.testing.assert_allclose(before, without, atol=5 * math.sqrt(2 * 0.25 / 64))


def test_a_coin_read_twice_in_a_state_of_eleven_shows_the_same_side():
    """Shot by shot: after the first readout a shot goes on from the state that it found, not from another shot's."""
    chip = chain(11, 1e-3)
    chip = replace(chip, amplifier=replace(chip.amplifier, noise_lsb=4.0, efficiency=1.0))
    offset = chip.qubits[3].readout_frequency - READOUT
    pulses = [Burst(q, 0, (0.5 if q == 3 else 0.05) * GAUSS, chip.qubits[q].frequency) for q in range(11)]
    rows, envelopes = Gates(chip, lines(chip)).rows(pulses)
    kernel, starts = IntegrationKernel(offset, np.full(800, 1 / 800, complex)), (100, 1400)
    rows += [(len(chip.wires) - 1, start, len(envelopes), 0.14, 0.0, offset) for start in starts]
    windows = tuple(Window(start + chip.amplifier.delay, 800, (kernel,)) for start in starts)
    envelopes.append(np.ones(800, complex))
    keys = tuple(e.tobytes() for e in envelopes)
    played = PulseSequence(lines(chip), np.array(rows, BURST), tuple(envelopes), keys, windows, 1_000_000)
    outcome = Engine(chip, 3).play(played, 400, (0,), "integrated")
    (found,) = outcome.report.clusters
    assert found.method == "matrix product states"
    points = outcome.integrated
    axis = np.linalg.eigh(np.cov(points[:, 0].real, points[:, 0].imag))[1][:, -1]
    along = points.real * axis[0] + points.imag * axis[1]
    sides = along > (along.min(axis=0) + along.max(axis=0)) / 2
    assert 0.1 < sides[:, 0].mean() < 0.9
    # T1 is 1 ms, the two are 1.3 us apart; what the readout itself raises or lowers comes on top.
    assert np.mean(sides[:, 0] == sides[:, 1]) > 0.97, "seed 3"


def test_more_entanglement_than_the_bound_allows_is_refused_and_the_engine_goes_on():
    chip = replace(chain(11, 60e-6), truncation=Truncation(2, 1e-6))
    engine = Engine(chip, 1)
    with pytest.raises(SimulationLimitError, match=r"11 transmons.*discarded weight .*at most 1e-06.*chip file"):
        engine.play(sequence(chip, (0,)), 100, (0,), "integrated")
    few = replace(chip, couplings=())
    assert Engine(few, 1).play(sequence(few, (0,)), 100, (0,), "integrated").integrated.shape == (100, 1)
    loose = replace(chip, truncation=Truncation(2, 0.9))
    report = Engine(loose, 1).play(sequence(loose, (0,)), 100, (0,), "integrated").report
    assert report.clusters[0].bond_dimension == 2
    assert report.clusters[0].discarded_weight > 1e-4


def test_zz_with_a_neighbour_that_nothing_drives_is_flagged():
    chip = chain(4, 60e-6)
    rows, envelopes = Gates(chip, lines(chip)).rows([Burst(1, 0, 0.28 * GAUSS, chip.qubits[1].frequency)])
    played = sequence(chip, (0, 1))
    readout = played.bursts[played.bursts["line"] == len(chip.wires) - 1].copy()
    readout["envelope"] = len(envelopes)
    bursts = np.concatenate([np.array(rows, BURST), readout])
    envelopes.append(np.ones(800, complex))
    keys = tuple(e.tobytes() for e in envelopes)
    engine = Engine(chip, 1)
    report = engine.play(
        replace(played, bursts=bursts, envelopes=tuple(envelopes), keys=keys), 50, (0,), "integrated"
    ).report
    assert [c.qubits for c in report.clusters] == [(0,), (1,)]
    assert [z.qubits for z in report.dropped_zz] == [(0, 1), (1, 2)]
    rates = [pair["zz"] for pair in engine.truth()["couplings"]]
    assert [z.zz for z in report.dropped_zz] == rates[:2]


def test_the_control_socket_reports_the_last_run(bench):
    """As JSON, one report per entry played; nothing before the first run."""
    chip = chain(2, 60e-6)
    outcome = Engine(chip, 1).play(sequence(chip, (0, 1)), 10, (0,), "integrated")
    bench.chip.play = lambda *args: replace(outcome, integrated=outcome.integrated[:, :1])
    control = Control(bench.conductor, {})

    def report():
        answer = asyncio.run(control.answer(b'{"op": "report"}'))
        return json.loads(json.dumps(answer))["result"]

    assert report() == []
    clients = [bench.client(i) for i in (bench.awg1, bench.digitizer)]
    clients[0].write('SEQ:DATA 1,"s",200,', b"")
    clients[1].write('ACQ:DATA 1,"t",200,', bench.records((0, 0, 60, 16, 0.0)))
    clients[1].write("TRIG:SOUR EXT")
    for client in clients:
        client.write("LIST:DATA ", bench.entries((1, 10, 1000), (1, 10, 1000)))
    for client in reversed(clients):
        client.write("INIT")
    clients[0].write("*TRG")
    bench.settle()
    cluster = {"qubits": [0, 1], "method": "density matrix", "members": 1, "bond_dimension": 0, "discarded_weight": 0}
    assert report() == [{"clusters": [cluster], "dropped_zz": []}] * 2


def test_a_chip_file_has_bounds(tmp_path):
    from pulsed.simulator.chip.chip_file import chip_toml

    text = chip_toml(chain(2, 60e-6))
    path = tmp_path / "chip.toml"
    path.write_text(text + "\n[truncation]\nbond_dimension = 16\n")
    assert load_chip(path).truncation == Truncation(16, 1e-3)


@pytest.mark.parametrize("n", [12, 20, 32])
def test_random_chains_of_many_fit_one_readout_line(n):
    chip = random_chip(1, n)
    tones = np.array([q.readout_frequency for q in chip.qubits])
    assert np.ptp(tones) < 810e6
    assert np.diff(np.sort(tones)).min() > 14e6
    assert len(chip.wires) == n + 1
