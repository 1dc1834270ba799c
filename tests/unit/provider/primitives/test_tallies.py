"""Outcomes counted, few bits and many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.provider.primitives import tallies as module
from pulsed.provider.primitives.tallies import tallies

from .circuits import packed


@pytest.fixture(params=[None, 64], ids=["whole", "in pieces"])
def cells(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        monkeypatch.setattr(module, "_MOST_CELLS", request.param)


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize("first", [0, 3, 8, 15])
@pytest.mark.parametrize("width", [1, 5, 9, 10, 11, 20, 40])
def test_every_shot_is_counted_where_it_belongs(first: int, width: int) -> None:
    rng = np.random.default_rng(width)
    few = rng.integers(2**width, size=6)
    outcomes = rng.choice(few, size=(7, 30))
    seen = []
    for rows, bits, counts in tallies(packed(outcomes, width, first), first, width):
        numbers = bits.astype(object) @ (1 << np.arange(width).astype(object))
        for binding, row in zip(range(7)[rows], counts, strict=True):
            seen.append(binding)
            found = {int(numbers[k]): int(row[k]) for k in np.flatnonzero(row)}
            values, times = np.unique(outcomes[binding], return_counts=True)
            assert found == dict(zip(values.tolist(), times.tolist(), strict=True))
    assert seen == list(range(7))


@given(st.integers(0, 20), st.integers(1, 12), st.data())
def test_a_shot_alone(first: int, width: int, data: st.DataObject) -> None:
    outcome = data.draw(st.integers(0, 2**width - 1))
    ((_, bits, counts),) = tallies(packed(np.array([[outcome]]), width, first), first, width)
    (place,) = np.flatnonzero(counts[0])
    assert sum(int(bit) << k for k, bit in enumerate(bits[place])) == outcome
