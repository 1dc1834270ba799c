"""Shots are told apart by what they found, however many transmons were measured."""

from __future__ import annotations

import numpy as np
import pytest

from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.engine.grouping import distinct, joint


@pytest.mark.parametrize("transmons", [1, 4, 15, 25, 39])
@pytest.mark.parametrize("few", [False, True])
def test_shots_are_grouped_by_all_that_was_found(transmons, few):
    rng = np.random.default_rng(transmons)
    levels, shots = LEVELS**transmons, 3000
    values = rng.integers(levels, size=4 if few else shots)
    owner, before, after = rng.integers(50_000, size=shots), rng.choice(values, shots), rng.choice(values, shots)
    rows = np.stack([owner, before, after])
    _, first, which = np.unique(rows, axis=1, return_index=True, return_inverse=True)
    found = distinct(joint(owner, before, after))
    np.testing.assert_array_equal(found[0], first)
    np.testing.assert_array_equal(found[1], which.ravel())


def test_no_shots_are_no_groups():
    none = np.zeros(0, np.int64)
    assert [len(found) for found in distinct(joint(none, none))] == [0, 0]
