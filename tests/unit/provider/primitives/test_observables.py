"""Terms, bases, and what is measured for which binding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.provider.primitives.observables import FACTORS, group_terms, plan, read_observable

from .circuits import LETTERS

LABELS = st.lists(st.text(LETTERS, min_size=4, max_size=4), min_size=1, max_size=8, unique=True)


def test_labels_are_read_from_the_last_letter() -> None:
    assert read_observable({"XIZ": 2.0, "III": 1.0}) == {((0, "Z"), (2, "X")): 2.0, (): 1.0}


@given(LABELS)
def test_a_basis_shows_all_its_terms(labels: list[str]) -> None:
    terms = [term for label in labels for term in read_observable({label: 1.0})]
    basis_of = group_terms(terms)
    assert basis_of.keys() == {term for term in terms if term}
    for term, basis in basis_of.items():
        assert {(q, FACTORS[letter].axis) for q, letter in term} <= set(basis)
    # Nothing is measured that no term of the basis needs.
    for basis in set(basis_of.values()):
        needed = {q for term, other in basis_of.items() if other == basis for q, _ in term}
        assert [q for q, _ in basis] == sorted(needed)


def test_what_commutes_qubit_by_qubit_shares_a_basis() -> None:
    terms = [term for label in ("ZII", "IZI", "ZZI", "11I", "IIX") for term in read_observable({label: 1.0})]
    assert set(group_terms(terms).values()) == {((0, "X"), (1, "Z"), (2, "Z"))}
    # XX and ZZ commute, but no product of single-qubit measurements shows both.
    assert len(set(group_terms([((0, "X"), (1, "X")), ((0, "Z"), (1, "Z"))]).values())) == 2


@pytest.mark.parametrize(
    ("observables", "bindings"),
    [((), ()), ((3, 1), (5,)), ((4,), (4,)), ((2, 3), ()), ((), (2, 3)), ((1,), (4, 1)), ((0,), (1,)), ((2, 1), (0,))],
)
def test_each_value_has_one_place(observables: tuple[int, ...], bindings: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    labels = [
        {"".join(rng.choice(list(LETTERS), 3)): 1.5, "III": float(number)}
        for number in range(int(np.prod(observables)))
    ]
    shape = np.broadcast_shapes(observables, bindings)
    measured = plan(labels, observables, bindings)
    of_binding, constants = np.full(int(np.prod(shape)), -1), np.full(int(np.prod(shape)), -1.0)
    for one in measured:
        assert (of_binding[one.places] == -1).all()
        of_binding[one.places] = one.bindings[:, None]
        constants[one.places] = one.constants
        for several in one.terms.values():
            assert len(several) == one.places.shape[1]
    numbers = np.arange(int(np.prod(bindings))).reshape(bindings)
    np.testing.assert_array_equal(of_binding, np.broadcast_to(numbers, shape).ravel())
    numbers = np.arange(len(labels)).reshape(observables)
    np.testing.assert_array_equal(constants, np.broadcast_to(numbers, shape).ravel())


def test_bindings_that_need_the_same_are_one_measurement() -> None:
    labels = [{"ZI": 1.0}, {"IZ": 1.0}, {"XX": 1.0}]
    (one,) = plan(labels, (3, 1), (1000,))
    assert one.bindings.tolist() == list(range(1000))
    assert set(one.terms) == {((0, "Z"), (1, "Z")), ((0, "X"), (1, "X"))}
    apart = plan(labels, (3,), (3,))
    assert [(item.bindings.tolist(), list(item.terms)) for item in apart] == [
        ([0], [((1, "Z"),)]),
        ([1], [((0, "Z"),)]),
        ([2], [((0, "X"), (1, "X"))]),
    ]
