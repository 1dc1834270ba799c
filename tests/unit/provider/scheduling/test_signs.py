"""Integrals of signs, against sums; and what pulses in a wait leave of ZZ."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.provider.scheduling.pulses import Flip, choose_pulses, colours
from pulsed.provider.scheduling.signs import Signs, in_a_quarter_turn, integrals
from pulsed.provider.scheduling.timeline import IdleTime, TimedStep

RATE = 50e3 * 1e-9
COUPLINGS = {0: {1: RATE}, 1: {0: RATE, 2: RATE}, 2: {1: RATE}}
FLIPS = dict.fromkeys(range(3), Flip(32, 2e-4))
times = st.lists(st.integers(1, 399), unique=True, max_size=6).map(sorted)


@given(times, times, times)
def test_integrals_are_sums(first, second, cuts):
    moments = np.arange(400) + 0.5
    sign = (-1.0) ** (np.searchsorted(first, moments) + np.searchsorted(second, moments))
    piece = np.searchsorted(cuts, moments)
    found = integrals(first, second, cuts, 0, 400)
    assert len(found) == len(cuts) + 1
    for k, value in enumerate(found):
        assert abs(value) == pytest.approx(abs(sign[piece == k].sum()))
    assert sum(found) == pytest.approx(sign.sum())


def step(name, qubits, start, length):
    return TimedStep(name, qubits, length, None, start)


def waiting(*windows, steps=(), begun=(0, 1, 2)):
    """Windows (qubit, start, end) beside steps, with pulses in them."""
    made = [IdleTime(q, start, end, None) for q, start, end in windows]
    signs = Signs(steps, COUPLINGS, begun, {}, {(0, 1), (2, 1)})
    before = [signs.left_over(window, []) for window in made]
    choose_pulses(made, signs, FLIPS, 4)
    return made, signs, before


def test_two_qubits_that_wait_together_are_refocused():
    made, signs, before = waiting((0, 0, 1000), (1, 0, 1000), begun=(0, 1))
    assert before[0] == pytest.approx((math.pi / 2 * RATE * 1000) ** 2)
    assert sum(len(window.pulses) for window in made) == 2  # of one of them: fewer pulses, fewer errors
    for window in made:
        assert signs.left_over(window, window.middles) < 1e-6


def test_three_in_a_row_are_refocused_apart():
    made, signs, _ = waiting(*((q, 0, 2000) for q in range(3)))
    for window in made:
        assert signs.left_over(window, window.middles) < 1e-6
    one, middle, other = (window.middles for window in made)
    assert all(abs(a - b) >= 32 for a in middle for b in (*one, *other))


def test_a_wait_beside_a_control_is_refocused_by_its_echo():
    made, signs, before = waiting((1, 0, 600), steps=[step("ecr", (2, 3), 0, 600)], begun=(1, 2))
    assert before[0] == pytest.approx(0.0)
    assert made[0].pulses == []
    assert signs.tones == {2: [(3, 0, 600)]}
    either_way = Signs([step("rzz", (1, 2), 0, 600)], COUPLINGS, range(3), {}, {(2, 1)})
    assert either_way.tones == {2: [(1, 0, 600)]}


def test_a_wait_beside_a_target_needs_pulses():
    made, signs, before = waiting((2, 0, 600), steps=[step("ecr", (0, 1), 0, 600)])
    assert before[0] > 1e-3
    assert len(made[0].pulses) == 2
    assert signs.left_over(made[0], made[0].middles) < 0.02 * before[0]


def test_each_gate_of_a_neighbour_is_balanced_by_itself():
    gates = [step("ecr", (0, 1), 0, 600), step("sx", (1,), 600, 32), step("ecr", (0, 1), 632, 600)]
    made, *_ = waiting((2, 0, 1232), steps=gates)
    assert len(made[0].pulses) % 2 == 0
    for gate in (gates[0], gates[2]):
        turn = gate.start, gate.end
        left = math.hypot(*in_a_quarter_turn(made[0].middles, turn, *turn))
        assert left < 0.15 * math.hypot(*in_a_quarter_turn([], turn, *turn))


@given(times, st.integers(1, 200), st.integers(100, 400), st.integers(-100, 0), st.integers(0, 100))
def test_signs_during_a_quarter_turn_are_sums(flips, start, length, early, late):
    moments = np.arange(start, start + length) + 0.5
    turn = start + early, start + length + late
    sign = (-1.0) ** np.searchsorted([t for t in flips if t > start], moments)
    angle = math.pi / 2 * (moments - turn[0]) / (turn[1] - turn[0])
    along_z, along_y = in_a_quarter_turn(flips, turn, start, start + length)
    # sums of midpoints: (pi/2/100)^2/24 of 400 dt
    assert along_z == pytest.approx((sign * np.cos(angle)).sum(), abs=5e-3)
    assert along_y == pytest.approx((sign * np.sin(angle)).sum(), abs=5e-3)


def test_a_neighbours_quarter_turn_weighs_what_is_in_it():
    """A pulse in the middle of a gate leaves more than two at its quarters: the neighbour has turned by then."""
    signs = Signs([step("ecr", (0, 1), 0, 600)], COUPLINGS, range(3), {}, {(0, 1)})
    window = IdleTime(2, 0, 600, None)
    alone, middle, quarters = (signs.left_over(window, flips) for flips in ([], [300], [150, 450]))
    assert alone == pytest.approx(2 * (RATE * 600) ** 2)
    assert quarters < 0.05 * middle < 0.01 * alone
    begun = IdleTime(2, 300, 600, None)
    assert signs.left_over(begun, []) == pytest.approx((RATE * 600) ** 2 * ((1 - 0.5**0.5) ** 2 + 0.5))


def test_a_control_goes_on_through_its_gates():
    """What its neighbour gathers before and after adds up: one echo undoes both."""
    gates = [step("ecr", (0, 1), 400, 600)]
    signs = Signs(gates, {0: {3: RATE}, 3: {0: RATE}}, (0, 1, 3), {}, {(0, 1)})
    assert signs.left_over(IdleTime(3, 0, 1400, None), []) == pytest.approx(0.0)
    assert signs.left_over(IdleTime(3, 0, 1000, None), []) == pytest.approx((math.pi / 2 * RATE * 400) ** 2)


def test_what_has_not_begun_turns_nobody():
    made, _, before = waiting((0, 0, 2000), begun=(0,))
    assert before == [0.0]
    assert made[0].pulses == []
    (late,), signs, _ = waiting((0, 0, 2000), steps=[step("sx", (1,), 1500, 32)], begun=(0,))
    assert signs.turn(0, 0, 2000) == pytest.approx(math.pi * RATE * 500)
    assert signs.left_over(late, late.middles) < 1e-5


def test_short_waits_are_left_alone():
    made, _, _ = waiting((0, 0, 90), (1, 0, 90))
    assert [window.pulses for window in made] == [[], []]


def test_no_pulse_beside_a_tone_near_the_qubit():
    """A tone for 0 leaves the line of 1: an x on 2, 25 MHz away, would be disturbed through crosstalk."""
    gates = [step("ecr", (1, 0), 0, 600)]
    for distance, expected in ((25e6, 0), (200e6, None)):
        signs = Signs(gates, COUPLINGS, range(3), {0: 5e9}, {(1, 0)})
        # not in the echo's time: what ZZ does is not balanced by itself
        window = IdleTime(2, 0, 420, None)
        choose_pulses([window], signs, {2: Flip(32, 1e-5, 5e9 + distance)}, 4)
        assert len(window.pulses) == expected if expected is not None else len(window.pulses) > 0


def test_the_turn_that_is_known():
    """Beside a neighbour that has begun a qubit turns by half of the ZZ; pulses undo that, too."""
    signs = Signs([], COUPLINGS, range(3))
    assert signs.turn(0, 0, 1000) == pytest.approx(2 * math.pi * RATE / 2 * 1000)
    assert signs.turn(1, 0, 1000) == pytest.approx(2 * math.pi * RATE * 1000)
    assert signs.turn(1, 0, 1000, partner=2) == pytest.approx(math.pi * RATE * 1000)
    assert signs.turn(0, 0, 1000, [250, 750]) == pytest.approx(0.0)


windows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3000), st.integers(40, 2500)), min_size=1, max_size=6
)  # fmt: skip


@given(windows, st.lists(st.tuples(st.sampled_from(["sx", "x", "ecr"]), st.integers(0, 3000)), max_size=5),
       st.sampled_from([1, 4, 8, 16]))  # fmt: skip
@settings(deadline=None)
def test_pulses_are_even_inside_and_apart(spans, gates, grid):
    made, free = [], dict.fromkeys(range(3), 0)
    for q, gap, length in spans:  # of one qubit one after the other
        start = free[q] + gap
        made.append(IdleTime(q, start, start + length, None))
        free[q] = start + length
    steps = [step(name, {"ecr": (0, 1)}.get(name, (2,)), start, 300 if name == "ecr" else 32) for name, start in gates]
    signs = Signs(steps, COUPLINGS, range(3), {}, {(0, 1)})
    choose_pulses(made, signs, FLIPS, grid)
    for window in made:
        assert len(window.pulses) % 2 == 0
        assert all((start - window.start) % grid == 0 for start in window.pulses)
        assert all(b - a >= 32 for a, b in pairwise(window.pulses))
        if window.pulses:
            assert window.start <= window.pulses[0]
            assert window.pulses[-1] + 32 <= window.end
        assert signs.flips.get(window.qubit, []) == sorted(signs.flips.get(window.qubit, []))
    # one of them alone: its pulses cost less than what they undo
    signs, alone = Signs(steps, COUPLINGS, range(3), {}, {(0, 1)}), made[0]
    alone.pulses = []
    choose_pulses([alone], signs, FLIPS, grid)
    spent = FLIPS[0].error * len(alone.pulses)
    assert signs.left_over(alone, alone.middles) + spent <= signs.left_over(alone, []) + 1e-12


@given(st.dictionaries(st.integers(0, 8), st.sets(st.integers(0, 8), max_size=4), max_size=9))
def test_neighbours_have_different_colours(edges):
    couplings: dict[int, dict[int, float]] = {}
    for a, others in edges.items():
        for b in others - {a}:
            couplings.setdefault(a, {})[b] = couplings.setdefault(b, {})[a] = RATE
    found = colours(Signs([], couplings))
    assert all(found[a] != found[b] for a, row in couplings.items() for b in row)
