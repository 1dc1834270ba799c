"""Shots that part by what they measured: active reset, copies, conditional frames, what a shot leaves to the next."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pulsed.pulse.library import Drag
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.effects import Effects
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import (
    BURST,
    ClassifiedBit,
    ConditionalPhase,
    IntegrationKernel,
    LineSettings,
    PulseSequence,
    Window,
)
from pulsed.simulator.dynamics.trajectories import SimulationLimitError
from pulsed.simulator.engine import branch_plan, branching, evolution
from pulsed.simulator.engine.branching import BranchedClusters, Branching
from pulsed.simulator.engine.chip_model import ChipModel
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.plan import reference_of
from pulsed.simulator.engine.tuneup import Tuneup

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
DRIVE, READOUT = 5.10e9, 7.11e9
LENGTH, LATENCY = 800, 460
"""Of a readout; from its end to the first pulse that its bit can decide, time of flight included (ns)."""
SHOTS = 2000


@pytest.fixture(scope="module")
def quiet():
    """The chip without relaxation to speak of, uncoupled, cold, with an amplifier that leaves no doubt."""
    chip = load_chip(CHIP)
    qubits = tuple(replace(q, t1=0.2, t2_echo=0.2, t2_star=0.2, thermal=0.0) for q in chip.qubits)
    diagonal = tuple(tuple(v * (i == j) for j, v in enumerate(row)) for i, row in enumerate(chip.crosstalk))
    amplifier = replace(chip.amplifier, noise_lsb=4.0, efficiency=1.0)
    return replace(chip, qubits=qubits, couplings=(), crosstalk=diagonal, amplifier=amplifier)


@pytest.fixture(scope="module")
def gates():
    """x and sx of qubits 0 and 1."""
    tuneup = Tuneup(load_chip(CHIP))
    found = {}
    for q in (0, 1):
        tuneup.rotations(q)
        for name in ("x", "sx"):
            amplitude, beta, angle = (tuneup.values[f"Q{q}.{name}.{k}"].value for k in ("amplitude", "beta", "angle"))
            found[name, q] = Drag(32, amplitude, 8.0, beta, angle=angle).envelope()
    return found


class Shot:
    """A sequence being written; bits are those of windows, one kernel each, of which the centroids are looked up."""

    def __init__(self, chip, gates):
        self.chip, self.gates = chip, gates
        self.lines = tuple(
            LineSettings(w.name, READOUT if w.reads else DRIVE, True, *ideal_correction(w)) for w in chip.wires
        )
        self.rows, self.envelopes, self.conditions, self.windows, self.bits, self.turns = [], [], [], [], [], []

    def play(self, name, q, start, condition=0, phase=0.0):
        offset = self.chip.qubits[q].frequency - DRIVE
        self._add(q, start, self.gates[name, q], 1.0, phase, offset, condition)
        return self

    def _add(self, line, start, envelope, amplitude, phase, frequency, condition=0):
        self.rows.append((line, start, len(self.envelopes), amplitude, phase, frequency))
        self.envelopes.append(np.asarray(envelope, complex))
        self.conditions.append(condition)

    def read(self, start, q, length=LENGTH, amplitude=0.14, condition=0):
        ro = next(i for i, w in enumerate(self.chip.wires) if w.reads)
        offset = self.chip.qubits[q].readout_frequency - READOUT
        self._add(ro, start, np.ones(length), amplitude, 0.0, offset, condition)
        kernel = IntegrationKernel(offset, np.full(length, 1 / length, complex))
        self.windows.append(Window(start + self.chip.amplifier.delay, length, (kernel,)))
        self.bits.append(ClassifiedBit(len(self.windows) - 1, 0, *boundary(self.chip, self.gates, q)))
        return self

    def sequence(self, period=3_000_000_000):
        return PulseSequence(
            self.lines, np.array(self.rows, BURST), tuple(self.envelopes), tuple(e.tobytes() for e in self.envelopes),
            tuple(self.windows), period, tuple(self.bits), np.array(self.conditions), tuple(self.turns),
        )  # fmt: skip


_KNOWN = {}


def boundary(chip, gates, q):
    """Return angle and threshold between the clouds of 0 and 1, as a calibration finds them."""
    if (chip, q) not in _KNOWN:
        _KNOWN[chip, q] = (0.0, 0.0)
        centres = []
        for flip in (False, True):
            shot = Shot(chip, gates)
            if flip:
                shot.play("x", q, 0)
            plain = replace(shot.read(40, q).sequence(), conditions=None)
            points = Engine(chip).play(plain, 400, (1,), "integrated").integrated[:, 0]
            centres.append(complex(np.median(points.real), np.median(points.imag)))
        angle = float(np.angle(centres[1] - centres[0]))
        _KNOWN[chip, q] = (angle, float((sum(centres) / 2 * np.exp(-1j * angle)).real))
    return _KNOWN[chip, q]


def measured(sequence, chip, mode="integrated", shots=SHOTS):
    """Return the bits of each shot, (shots, windows)."""
    values = Engine(chip).play(sequence, shots, (3,), mode).integrated
    return np.stack([bit.of(values[:, i]) for i, bit in enumerate(sequence.bits)], axis=1)


def test_active_reset_without_doubt_ends_in_zero(quiet, gates):
    """sx makes a coin; x where it came up 1 turns it over; the same pulse without its condition does not."""
    for condition, ones in ((1, 0.0), (-1, 1.0), (0, 0.5)):
        shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0)
        shot.play("x", 0, 40 + LENGTH + LATENCY, condition).read(1400, 0)
        found = measured(shot.sequence(), quiet)
        assert abs(found[:, 0].mean() - 0.5) < 5 * 0.5 / math.sqrt(SHOTS)
        # What is left is the pulse's error and a readout that raises its qubit: together below half a percent.
        assert abs(found[:, 1].mean() - ones) < (5 * 0.5 / math.sqrt(SHOTS) if condition == 0 else 0.005)
        if condition == 0:
            assert np.mean(found[:, 0] == found[:, 1]) < 0.005, "x turns every shot over"


def test_a_pulse_on_a_bit_may_follow_the_next_readout_at_once(quiet, gates):
    """The bit of the first of two readouts without a gap is known long before the second has ended."""
    spared = replace(quiet, effects=Effects(residual_photons=False, readout_jumps=False))
    shot = Shot(spared, gates).play("x", 0, 0).read(40, 0).read(40 + LENGTH, 0)
    end = 40 + 2 * LENGTH
    shot.play("x", 0, end, condition=1).play("x", 0, end + LATENCY, condition=2).read(end + LATENCY + 200, 0)
    # Down at once and up again: what is left are the pulses' errors.
    assert (measured(shot.sequence(), spared).mean(axis=0) > 0.995).all()


def test_a_pulse_on_a_bit_may_follow_another_pulse_at_once(quiet, gates):
    """Q1: sx until two readouts of Q0, which are one, tell their bits; an x on the first bit at once; then sx.

    A whole turn where the coin shows 1 leaves Q1 in 0, half a turn where it shows 0 in 1: the sx that began before the
    bits were known, and that an x may follow, is the same in all shots.
    """
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).read(40 + LENGTH, 0)
    end = 40 + 2 * LENGTH
    shot.play("sx", 1, end - 32).play("x", 1, end, condition=1).play("sx", 1, end + 32)
    shot.play("x", 0, end + LATENCY, condition=2).read(end + LATENCY + 100, 1)
    coin, again, found = measured(shot.sequence(), quiet).T
    assert np.mean(coin == again) > 0.99
    assert abs(coin.mean() - 0.5) < 5 * 0.5 / math.sqrt(SHOTS)
    assert np.mean(found == ~coin) > 0.995


def test_a_bit_is_copied_to_another_qubit(quiet, gates):
    """The clusters go their ways apart, yet shot by shot together; a cluster parts by two bits."""
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0)
    shot.play("x", 1, 1400, 1).play("sx", 0, 1400).read(1500, 0).read(2400, 1)
    shot.play("x", 1, 4000, -2).read(4100, 1)
    first, second, copy, third = measured(shot.sequence(), quiet).T
    assert np.mean(copy == first) > 0.99
    assert np.mean(third == (copy ^ ~second)) > 0.99
    assert all(abs(bit.mean() - 0.5) < 5 * 0.5 / math.sqrt(SHOTS) for bit in (first, second, copy, third))


@pytest.mark.parametrize("turned", [0, 1])
def test_a_frame_that_depends_on_a_bit(quiet, gates, turned):
    """Q1: sx, half a turn where Q0's coin shows 1, sx: that is x without the turn and nothing with it."""
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0)
    shot.play("sx", 1, 1400).play("sx", 1, 1500).read(1600, 1)
    shot.turns = [ConditionalPhase(1 if turned else -1, np.array([3]), math.pi)]
    coin, found = measured(shot.sequence(), quiet).T
    assert np.mean(found == (coin ^ bool(turned))) > 0.99


def called(engine, sequence, which, shots=20_000):
    """Return the bits of some windows of a run without conditions, (shots, windows)."""
    values = engine.play(replace(sequence, conditions=None), shots, (7,), "integrated").integrated
    return np.stack([sequence.bits[i].of(values[:, i]) for i in which], axis=1)


def test_the_error_of_active_reset_is_what_readout_and_relaxation_make_of_it(gates):
    """The odds of 1 after active reset from runs without conditions, with an amplifier so noisy that it errs often.

    M has the odds of calls of prepared 0 and 1. Of a run that reads twice, M^-1 turns the second calls into prepared
    states, for each first call; x exchanges those of the shots first called 1, and M turns them into calls again.
    """
    chip = load_chip(CHIP)
    chip = replace(chip, amplifier=replace(chip.amplifier, noise_lsb=60.0, efficiency=0.06))
    engine, second = Engine(chip, 5), 40 + LENGTH + LATENCY + 40
    ones = [called(engine, Shot(chip, gates).read(40, 0).sequence(), [0]).mean(),
            called(engine, Shot(chip, gates).play("x", 0, 0).read(40, 0).sequence(), [0]).mean()]  # fmt: skip
    odds = np.array([[1 - one for one in ones], ones])
    assert 0.02 < ones[0] < 0.3
    first, again = called(engine, Shot(chip, gates).play("x", 0, 0).read(40, 0).read(second, 0).sequence(), [0, 1]).T
    joint = np.array([[np.mean((first == b) & (again == c)) for c in (0, 1)] for b in (0, 1)])
    prepared = np.linalg.solve(odds, joint.T)
    expected = (odds @ (prepared[:, 0] + prepared[::-1, 1]))[1]
    reset = Shot(chip, gates).play("x", 0, 0).read(40, 0).play("x", 0, second - 40, 1).read(second, 0).sequence()
    found = measured(reset, chip, shots=20_000)[:, 1].mean()
    gain = 1 / abs(np.linalg.det(odds))
    assert abs(found - expected) < 5 * (1 + 3 * gain) * math.sqrt(0.25 / 20_000)
    assert ones[0] < found < 0.5


@pytest.mark.parametrize("mode", ["raw", "averaged"])
def test_bits_decide_in_every_mode(quiet, gates, mode):
    """The second window's mean is that of a qubit never driven; without condition half of it is the other state's."""
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).play("x", 0, 1400, 1).read(1500, 0)
    window, (kernel,) = shot.windows[1], shot.windows[1].kernels
    t = (window.start + np.arange(LENGTH)) * 1e-9
    weights = kernel.weights * np.exp(2j * np.pi * kernel.frequency * t)

    def mean(sequence):
        outcome = Engine(quiet).play(sequence, 1000, (1,), mode)
        codes = outcome.averaged if mode == "averaged" else outcome.raw.mean(axis=0)
        assert codes.shape == (2 * LENGTH, 2)
        return (codes[LENGTH:] @ (1, 1j)) @ weights

    still = mean(replace(Shot(quiet, gates).read(40, 0).read(1500, 0).sequence(), conditions=None))
    half = mean(replace(shot.sequence(), conditions=None)) - still
    assert abs(mean(shot.sequence()) - still) < 0.05 * abs(half)


def test_what_a_shot_leaves_is_what_its_branches_leave(quiet, gates):
    """Shots 5 us apart on a qubit that does not relax: a coin leaves half of them in 1, active reset nearly none."""
    for condition, one in ((1, 0.0), (-1, 1.0)):
        shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).play("x", 0, 1400, condition)
        initial = Engine(quiet).predict(shot.sequence(5000)).initial[0]
        assert abs(initial[1] - one) < 0.01


def test_the_same_seed_gives_the_same_shots(quiet, gates):
    sequence = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).play("x", 0, 1400, 1).read(1500, 0).sequence()
    first, again, other = (Engine(quiet, seed).play(sequence, 50, (1,), "integrated").integrated for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kept", [4 << 20, 0])
def test_what_comes_before_the_first_readout_is_followed_once(gates, monkeypatch, kept):
    """The shots are those of a chip that has not played it before, whether or not what they begin with is kept."""
    monkeypatch.setattr(branching, "KEPT_BEGINNING", kept)
    begun, walk = [], evolution.Cluster.walk

    def counted(self, pulses, measurements, act):
        begun.append(sum(pulse.start == 0 for pulse in pulses))
        walk(self, pulses, measurements, act)

    monkeypatch.setattr(evolution.Cluster, "walk", counted)
    chip = load_chip(CHIP)
    sequence = resets(chip, gates, 1, other=True)
    fresh, again = Engine(chip), Engine(chip)
    again.play(sequence, SHOTS, (7,), "integrated")
    again.set_drift({"time": 0.0})
    begun.clear()
    found = again.play(sequence, SHOTS, (8,), "integrated").integrated
    assert bool(sum(begun)) is not bool(kept)
    np.testing.assert_array_equal(found, fresh.play(sequence, SHOTS, (8,), "integrated").integrated)


@pytest.mark.parametrize("kept", [1 << 13, 3])
def test_what_is_kept_of_a_sequence_does_not_grow_with_its_shots_or_their_bits(gates, monkeypatch, kept):
    """And the shots are the same, whether or not their pulses are found again."""
    monkeypatch.setattr(branch_plan, "KEPT_PULSES", kept)
    chip = load_chip(CHIP)
    engine, sequence, found = Engine(chip), resets(chip, gates, 2), []
    model = engine.model(reference_of(chip, sequence.lines))

    plain = ChipModel.pulses
    monkeypatch.setattr(ChipModel, "pulses", lambda self, *args: found.append(1) or plain(self, *args))
    played = Branching(model, sequence, model.plan(sequence), (1, 2))
    assert played.nbytes >= sequence.bursts.nbytes + sum(
        window.kernels[0].weights.nbytes for window in sequence.windows
    )
    initial = played.initial()
    shots = []
    for _ in range(2):
        found.clear()
        shots.append(played.play(SHOTS, (7,), "integrated", initial)[1].integrated)
        assert all(m.stretch.levels.size == 0 for m in played.plan.measurements)
    assert bool(found) is (kept == 3), "found again, or kept"
    np.testing.assert_array_equal(*shots)


def test_a_condition_that_always_holds_is_none(quiet, gates):
    """The prediction of x under a bit that is always 0, with -1 as its condition, is that of x."""
    shot = Shot(quiet, gates).read(40, 0).play("x", 1, 1400, -1).read(1500, 1)
    engine = Engine(quiet)
    found, plain = engine.predict(shot.sequence()), engine.predict(replace(shot.sequence(), conditions=None))
    assert found.qubits == plain.qubits == (1,)
    np.testing.assert_allclose(found.populations, plain.populations, atol=1e-6)


def test_a_readout_of_all_qubits_forgets_the_way(gates):
    """Coins thrown four times on two coupled qubits: states are kept per slow noise and levels, not per history."""
    chip = load_chip(CHIP)
    ro = next(i for i, w in enumerate(chip.wires) if w.reads)
    shot = Shot(chip, gates)
    for start in range(0, 8000, 2000):
        shot.play("sx", 0, start).play("sx", 1, start)
        for q in (0, 1):
            shot._add(ro, start + 40, np.ones(LENGTH), 0.14, 0.0, chip.qubits[q].readout_frequency - READOUT)
        shot.windows.append(Window(start + 40 + chip.amplifier.delay, LENGTH, ()))
    outcome = Engine(chip, 3).play(replace(shot.sequence(400_000), conditions=None), 6000, (1,), "integrated")
    cluster = next(found for found in outcome.report.clusters if found.qubits == (0, 1))
    assert 32 * 4 <= cluster.members <= 32 * 9


def resets(chip, gates, rounds, other=False):
    """Active reset of Q0's coin, over and over, each round half undone; with ``other`` Q1 turned before all of it."""
    shot = Shot(chip, gates).play("sx", 0, 0)
    if other:
        shot.play("sx", 1, 0)
    for k in range(rounds):
        start = 40 + 1500 * k
        shot.read(start, 0).play("x", 0, start + LENGTH + LATENCY, k + 1).play("sx", 0, start + 1400)
    if other:
        shot.read(40 + 1500 * rounds, 1)
    return shot.read(40 + 1500 * rounds if not other else 2000 + 1500 * rounds, 0).sequence()


@pytest.mark.parametrize("other", [False, True])
def test_ten_rounds_of_active_reset_cost_ten_times_one(gates, monkeypatch, other):
    """Ways do not double: as many readouts of a batch in each round, and members as after the first two.

    Q1, coupled and in a state of its own that nothing reads meanwhile, has a phase of each history of Q0: what is kept
    of it grows, to a member for each shot at most, but it is followed in as many ways.
    """
    chip, read = load_chip(CHIP), []
    plain = evolution.Cluster.read
    monkeypatch.setattr(evolution.Cluster, "read", lambda self, *args: read.append(self.members) or plain(self, *args))
    sequence, shots = resets(chip, gates, 10, other), 600
    outcome = Engine(chip, 3).play(sequence, shots, (1,), "integrated")
    assert outcome.integrated.shape == (shots, 12 if other else 11)
    # Those of the shots themselves, and of up to four runs of 1024 that find what a shot leaves; two ways at most.
    assert len(read) <= 5 * 2 * (12 if other else 11)
    if not other:
        assert max(read) <= 2 * 32 * 3


def test_statistics_are_those_without_uniting(gates, monkeypatch):
    """Three rounds, 6000 shots: the odds of each of the 16 records within 5 standard deviations; other draws."""
    chip, count, found = load_chip(CHIP), 6000, []
    sequence = resets(chip, gates, 3)
    for united in (True, False):
        if not united:
            monkeypatch.setattr(BranchedClusters, "_unite", lambda *_: None)
        bits = measured(sequence, chip, shots=count)
        found.append(np.bincount(bits @ (1 << np.arange(4)), minlength=16))
    one, other = found
    assert (one > 50).sum() >= 8
    assert (np.abs(one - other) < 5 * np.sqrt(np.maximum(one + other, 10))).all(), (one, other)
    assert (one != other).any()


def test_united_members_keep_their_states(quiet, gates):
    """A coin parts the shots, Q1 is turned over in half of them, the bit is forgotten: Q1 still shows the coin."""
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).play("x", 1, 1400, 1)
    shot.play("sx", 0, 1400).read(1500, 0).play("x", 0, 2900, 2).read(3000, 0)
    shot.play("x", 1, 4400, 3).read(4500, 1)
    coin, _, third, copy = measured(shot.sequence(), quiet).T
    assert np.mean(copy == (coin ^ third)) > 0.99
    assert abs(coin.mean() - 0.5) < 5 * 0.5 / math.sqrt(SHOTS)


def test_members_that_a_readout_leaves_alike_are_one(gates):
    """Q1 stays in its thermal state beside Q0, whose coin is read four times: no member for each history."""
    chip, shot = load_chip(CHIP), Shot(load_chip(CHIP), gates)
    for start in range(0, 8000, 2000):
        shot.play("sx", 0, start).read(start + 40, 0)
    late = replace(shot.play("sx", 1, 9000).read(9100, 1).sequence(400_000), conditions=None)
    report = Engine(chip, 3).play(late, 4000, (1,), "integrated").report
    cluster = next(found for found in report.clusters if found.qubits == (0, 1))
    assert cluster.members <= 32 * 9


def test_alternatives_are_not_played_at_once(gates):
    """Tones that would couple four transmons, or exclude each other: where Q0 shows 0, the other is what is played."""
    chip = load_chip(CHIP)
    chip = replace(chip, qubits=tuple(replace(q, thermal=1e-6) for q in chip.qubits),
                   amplifier=replace(chip.amplifier, noise_lsb=4.0, efficiency=1.0))  # fmt: skip
    f, tone = [q.frequency - DRIVE for q in chip.qubits], np.full(300, 0.5)

    def shot(alternatives):
        found = Shot(chip, gates).read(40, 0)
        start = 40 + LENGTH + LATENCY
        if 1 in alternatives:
            found._add(2, start, tone, 1.0, 0.0, f[3], 1)
            found._add(4, start, tone, 1.0, 0.0, f[3], 1)
        if -1 in alternatives:
            found._add(2, start, tone, 1.0, 0.0, f[1], -1)
        return found.read(start + 400, 1).sequence()

    both, only = shot((1, -1)), shot((-1,))
    engine = Engine(chip)
    with pytest.raises(SimulationLimitError, match="qubits 1, 2, 3, 4"):
        engine.play(replace(both, conditions=None), 10, (1,), "integrated")
    assert engine.play(both, 50, (1,), "integrated").integrated.shape == (50, 2)
    found, plain = engine.predict(both).populations, engine.predict(replace(only, conditions=None)).populations
    np.testing.assert_allclose(found, plain, atol=5e-3)


def test_more_branches_of_density_matrices_than_fit_are_refused_and_fewer_shots_are_not(gates, monkeypatch):
    """Two coupled qubits of which one is read, over and over: each history has a state of 648 bytes of its own."""
    monkeypatch.setattr(evolution, "MOST_BYTES", 64 * 648)
    engine, shot = Engine(load_chip(CHIP), 3), Shot(load_chip(CHIP), gates)
    for start in range(0, 6000, 2000):
        shot.play("sx", 0, start).play("sx", 1, start).read(start + 40, 0)
    played = replace(shot.sequence(400_000), conditions=None)
    with pytest.raises(SimulationLimitError, match=r"2 transmons.*branches.*at most 64; use fewer shots"):
        engine.play(played, 2000, (1,), "integrated")
    assert len(engine.play(played, 20, (1,), "integrated").integrated) == 20


@pytest.mark.parametrize("period", [3_000, 12_000, 30_000])
def test_shots_that_follow_each_other_at_once(gates, period):
    """x, read, and x on another qubit if the bit is 1, 3 us to 30 us a shot: both are flipped from shot to shot.

    Populations when they are read: p = 1 - (e p + (1 - e) th) of Q0, e the decay between two readings; Q1 relaxes to
    r = e1 q + (1 - e1) th1 and is then flipped in p of all shots, q = r (1 - p) + (1 - r) p. 0.04: readout errs and
    relaxes, and what a shot leaves is the mean of 1024 of them.
    """
    chip = load_chip(CHIP)
    shot = Shot(chip, gates).play("x", 0, 0).read(40, 0).play("x", 1, 1400, 1).read(1440, 1)
    first, second = measured(shot.sequence(period), chip, shots=4000).mean(axis=0)
    one, other = (math.exp(-(period - 400) * 1e-9 / chip.qubits[q].t1) for q in (0, 1))
    p = 1 - (one + (1 - one) * chip.qubits[0].thermal) / (1 + one)
    q = (p + (1 - 2 * p) * (1 - other) * chip.qubits[1].thermal) / (1 - (1 - 2 * p) * other)
    assert first == pytest.approx(p, abs=0.04)
    assert second == pytest.approx(q, abs=0.04)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("behind", [0, 700])
def test_a_readout_on_a_bit_is_made_where_the_bit_is(quiet, gates, value, behind):
    """A coin of Q0; Q1 between two sx is read on it, right behind another readout or apart, and read in the end.

    Two sx are an x, a readout between them leaves a coin. Its record is empty in shots without it.
    """
    spared = replace(quiet, effects=Effects(residual_photons=False, readout_jumps=False))
    shot = Shot(spared, gates).play("sx", 0, 0).read(40, 0).read(40 + LENGTH, 0)
    start = 40 + 2 * LENGTH + behind
    shot.play("sx", 1, start - 32).read(start, 1, condition=1 if value else -1)
    shot.play("sx", 1, start + LENGTH + 200).read(start + LENGTH + 300, 1)
    sequence = shot.sequence()
    values = Engine(spared).play(sequence, SHOTS, (3,), "integrated").integrated
    coin, _, between, last = (bit.of(values[:, i]) for i, bit in enumerate(sequence.bits))
    made = coin == bool(value)
    assert last[~made].mean() > 0.99
    found = [between[made].mean(), last[made].mean(), np.mean(between == last, where=made)]
    assert all(abs(each - 0.5) < 5 * 0.5 / math.sqrt(made.sum()) for each in found)
    assert abs(values[~made, 2].mean()) < 0.05 * abs(values[made, 2].mean())


@pytest.mark.parametrize("mode", ["raw", "averaged"])
def test_records_of_a_readout_on_a_bit(quiet, gates, mode):
    """A coin decides: half of all records have the tone, the others noise; averaged, half of the signal is left."""
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).read(1500, 1, condition=1)
    always = replace(shot.sequence(), conditions=None)
    codes = [getattr(Engine(quiet).play(s, 400, (1,), mode), mode) for s in (shot.sequence(), always)]
    if mode == "averaged":
        one, full = (code[LENGTH:] @ (1, 1j) for code in codes)
        assert abs(np.vdot(full, one) / np.vdot(full, full) - 0.5) < 5 * 0.5 / math.sqrt(400)
    else:
        one, full = (code[:, LENGTH:].astype(float) @ (1, 1j) for code in codes)
        sizes = np.abs(one @ full.mean(axis=0).conj()) / np.vdot(full.mean(axis=0), full.mean(axis=0)).real
        assert (np.minimum(abs(sizes), abs(sizes - 1)) < 0.2).all()
        assert abs(np.mean(sizes > 0.5) - 0.5) < 5 * 0.5 / math.sqrt(400)


@pytest.mark.parametrize("mode", ["integrated", "raw"])
def test_a_readout_on_a_bit_that_is_always_one_is_any_other(gates, mode):
    """On the noisy chip, with photons and jumps, two readouts behind each other: five standard deviations of a mean."""
    chip = load_chip(CHIP)
    shot = Shot(chip, gates).play("sx", 0, 0).read(40, 0).play("sx", 1, 1300).read(1400, 1, condition=1)
    shot.read(1400 + LENGTH, 1).read(3200, 1)
    shot.bits[0] = replace(shot.bits[0], threshold=-1e9)
    sequence = shot.sequence(400_000)
    one, other = (
        getattr(Engine(chip, 2).play(each, 4000, (5,), mode), mode)
        for each in (sequence, replace(sequence, conditions=None))
    )
    if mode == "raw":
        one, other = (codes.reshape(4000, 4, LENGTH, 2).mean(axis=2) @ (1, 1j) for codes in (one, other))
    for k in range(4):
        spread = math.sqrt((np.var(one[:, k]) + np.var(other[:, k])) / 4000)
        assert abs(one[:, k].mean() - other[:, k].mean()) < 5 * spread
        assert np.std(one[:, k]) == pytest.approx(np.std(other[:, k]), rel=0.1)
    again = [np.corrcoef(each[:, 2].real, each[:, 3].real)[0, 1] for each in (one, other)]
    assert abs(again[0] - again[1]) < 0.1


def test_a_prediction_before_a_readout_on_a_bit_is_of_all_shots(quiet, gates):
    """Q1 is turned over before a readout that half of the shots do not have."""
    shot = Shot(quiet, gates).play("sx", 0, 0).read(40, 0).play("x", 1, 1400).read(1500, 1, condition=1)
    assert Engine(quiet).predict(shot.sequence()).populations[1] > 0.99


def test_what_cannot_be_followed_is_refused(quiet, gates):
    early = Shot(quiet, gates).read(40, 0).play("x", 1, 400, 1)
    with pytest.raises(SimulationLimitError, match="still on"):
        Engine(quiet).play(early.sequence(), 10, (1,), "integrated")
    over = Shot(quiet, gates).play("sx", 0, 0).read(40, 0)
    over._add(1, 600, np.full(1000, 0.01), 1.0, 0.0, quiet.qubits[1].frequency - DRIVE)
    over.play("x", 1, 1400, 1)
    with pytest.raises(SimulationLimitError, match="overlaps"):
        Engine(quiet).play(over.read(1700, 0).sequence(), 10, (1,), "integrated")
