"""Density matrices in sectors of few leaked transmons: against whole ones, and what a step leaves out."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.simulator.dynamics.hermitian import SIZE, turn
from pulsed.simulator.dynamics.sectors import LOCAL, PAIR, PLACES, SHIFT, layout, run
from pulsed.simulator.dynamics.state import DensityMatrix, TensorFactor

seeds = st.integers(0, 2**32 - 1)
few = settings(deadline=None, max_examples=25)
LEAKED = np.isin(np.arange(SIZE), [2, 5, 6, 7, 8])


def leaked(count: int) -> np.ndarray:
    """Of each of 9**count coefficients: how many transmons have level 2 in it."""
    return LEAKED[np.indices((SIZE,) * count).reshape(count, -1)].sum(axis=0)


def compared(seed: int, count: int, order: int, batch: int = 2, length: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (batch, 9**count) after random steps, in sectors and as a whole cut after each step."""
    rng = np.random.default_rng(seed)
    places, kept = layout(count, order), leaked(count) <= order
    whole = DensityMatrix([TensorFactor(tuple(range(count)), rng.standard_normal((batch, SIZE**count)) * kept)], [True])
    whole.coherent = [True] * count
    x = np.ascontiguousarray(whole.parts[0].x[:, places.index])
    pairs = [tuple(sorted(rng.permutation(count)[:2].tolist())) for _ in range(3)]
    locals_ = rng.standard_normal((2, batch, SIZE, SIZE)) / 3
    maps = rng.standard_normal((2, batch, SIZE**2, SIZE**2)) / 9
    energies = rng.standard_normal((len(pairs), 3, 3))
    steps, values = [], []
    for _ in range(length):
        kind, which, value = int(rng.integers(3)), int(rng.integers(2)), float(rng.normal())
        place = int(rng.integers(count if kind == LOCAL else len(pairs)))
        steps.append((kind, place, which if kind != SHIFT else 0))
        values.append(value)
        if kind == LOCAL:
            whole.apply((place,), locals_[which] @ turn(value))
        elif kind == PAIR:
            whole.apply(pairs[place], maps[which])
        else:
            whole.shift(*pairs[place], energies[place], value)
        whole.parts[0].x *= kept
    own = places.pair_places()
    run(
        x,
        np.array(steps),
        np.array(values),
        np.ascontiguousarray(locals_[..., PLACES[:, None], PLACES]),
        np.ascontiguousarray(maps[..., own[:, None], own]),
        energies,
        places.site_blocks,
        np.array([places.pair_blocks(a, b) for a, b in pairs]),
        places.outermost,
        np.zeros(length),
        np.empty((2, SIZE**2, max(places.width, 5))),
        np.zeros(batch),
    )
    found = np.zeros((batch, SIZE**count))
    found[:, places.index] = x
    return found, whole.parts[0].x


@few
@given(seeds, st.integers(2, 4), st.integers(0, 4))
def test_steps_are_those_of_the_whole_matrix_with_the_rest_cut_off(seed, count, order):
    """Maps of one and of any two transmons, turns and pair energies, in random order."""
    found, wanted = compared(seed, count, min(order, count))
    np.testing.assert_allclose(found, wanted, atol=1e-11 * max(1.0, np.abs(wanted).max()))


@few
@given(st.integers(2, 5), st.integers(0, 5))
def test_a_layout_has_each_coefficient_of_its_sectors_once(count, order):
    order = min(order, count)
    index = layout(count, order).index
    np.testing.assert_array_equal(np.sort(index), np.flatnonzero(leaked(count) <= order))


def test_what_a_step_may_lead_out_of_the_sectors_is_added_up():
    """Three transmons, one of them may be in level 2 and is so with chance 0.2: each step adds its leakage of that."""
    places = layout(3, 1)
    populations = np.zeros((3, 3, 3))
    populations[0, 0, 0], populations[0, 2, 0], populations[2, 0, 1] = 0.8, 0.15, 0.05
    state = DensityMatrix.diagonal(populations.ravel(), 3, 1)
    x, left = np.ascontiguousarray(state.parts[0].x[:, places.index]), np.zeros(1)
    still = np.eye(SIZE)[None, None]
    run(
        x,
        np.array([(LOCAL, 0, 0)] * 3),
        np.zeros(3),
        still,
        np.zeros((0, 1, 56, 56)),
        np.zeros((1, 3, 3)),
        places.site_blocks,
        places.pair_blocks(0, 1)[None],
        places.outermost,
        np.array([1e-3, 0.0, 2e-3]),
        np.empty((2, SIZE**2, 5)),
        left,
    )
    np.testing.assert_allclose(left, 0.2 * 3e-3)
