import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.testing.large_chip import eagle
from pulsed.web.drawing.places import places


def test_a_chain_is_a_line():
    assert places(5, [(0, 1), (2, 1), (2, 3), (4, 3)]) == {q: (float(q), 0.0) for q in range(5)}


def test_one_qubit_and_none_coupled():
    assert places(1, []) == {0: (0.0, 0.0)}
    assert len(set(places(3, []).values())) == 3


def test_a_heavy_hexagon_lattice_stands_in_its_rows():
    number, couplings = eagle()
    assert number == 127
    found = places(number, couplings)
    assert len(set(found.values())) == 127
    assert {abs(found[a][0] - found[b][0]) + abs(found[a][1] - found[b][1]) for a, b in couplings} == {1.0}


def test_a_grid_stands_in_its_rows():
    number = 25
    couplings = [(q, q + 1) for q in range(number) if q % 5 < 4] + [(q, q + 5) for q in range(20)]
    assert places(number, couplings) == {q: (float(q % 5), float(q // 5)) for q in range(number)}


@settings(max_examples=30)
@given(st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1])))
def test_no_two_qubits_stand_in_one_place(couplings):
    found = places(12, couplings)
    assert set(found) == set(range(12))
    assert np.isfinite(list(found.values())).all()
    nearest = min(np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in itertools.combinations(found.values(), 2))
    assert nearest > 0.3


def test_a_ring_that_is_not_numbered_in_rows_is_round():
    order = [0, 3, 6, 1, 4, 7, 2, 5]
    found = places(8, [(order[k], order[k - 1]) for k in range(8)])
    radii = [np.hypot(*place) for place in found.values()]
    assert max(radii) / min(radii) == pytest.approx(1, abs=0.1)
