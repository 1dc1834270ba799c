"""The bounds of matrix product states in a chip file."""

from __future__ import annotations

import pytest

from pulsed.model.errors import ConfigError
from pulsed.simulator.chip.truncation import DEFAULT, Truncation, read_truncation


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"bond": 3}, "bond_dimension, discarded_weight"),
        ({"bond_dimension": 1}, "2 to 512"),
        ({"bond_dimension": 8.5}, "2 to 512"),
        ({"bond_dimension": True}, "2 to 512"),
        ({"discarded_weight": 1.0}, "0 <= weight < 1"),
        ({"discarded_weight": "small"}, "0 <= weight < 1"),
    ],
)
def test_a_bad_bound_is_named(table, named):
    with pytest.raises(ConfigError, match="truncation") as caught:
        read_truncation(table)
    assert caught.value.legal == named


def test_bounds_are_read():
    assert read_truncation({}) == DEFAULT == Truncation(64, 1e-3)
    assert read_truncation({"bond_dimension": 32, "discarded_weight": 0.01}) == Truncation(32, 0.01)
