"""Observables as terms, and which terms one measurement shows together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Term = tuple[tuple[int, str], ...]
"""A product of factors: (qubit, letter), qubits ascending, without those that the term leaves alone."""
Basis = tuple[tuple[int, str], ...]
"""Which qubits are measured, ascending, each along ``"X"``, ``"Y"`` or ``"Z"``."""
Observable = Mapping[Term, float]
"""A sum of terms with real coefficients."""


class Factor(NamedTuple):
    """A letter of an observable: the axis that shows it, and its value for the outcomes 0 and 1."""

    axis: str
    values: tuple[float, float]


FACTORS = {
    letter: Factor(axis, values)
    for axis, letters in (("Z", "Z01"), ("X", "X+-"), ("Y", "Yrl"))
    for letter, values in zip(letters, ((1.0, -1.0), (1.0, 0.0), (0.0, 1.0)), strict=True)
}
"""Paulis, and the projectors on their eigenstates, as Qiskit writes them."""


def read_observable(labels: Mapping[str, float]) -> dict[Term, float]:
    """Return the terms of an observable given as {label: coefficient}; the last letter is that of qubit 0."""
    found: dict[Term, float] = {}
    for label, coefficient in labels.items():
        term = tuple((q, letter) for q, letter in enumerate(reversed(label)) if letter != "I")
        found[term] = found.get(term, 0.0) + float(np.real(coefficient))
    return found


def group_terms(terms: Iterable[Term]) -> dict[Term, Basis]:
    """Return the basis that each of ``terms`` is measured in, as few as the first fit finds; none for the identity.

    Terms that commute qubit by qubit share a basis. Those on most qubits come first.
    """
    bases: list[dict[int, str]] = []
    chosen: dict[Term, dict[int, str]] = {}
    for term in sorted(filter(None, dict.fromkeys(terms)), key=lambda one: (-len(one), one)):
        axes = [(q, FACTORS[letter].axis) for q, letter in term]
        basis = next((one for one in bases if all(one.get(q, axis) == axis for q, axis in axes)), None)
        if basis is None:
            bases.append(basis := {})
        basis.update(axes)
        chosen[term] = basis
    return {term: tuple(sorted(basis.items())) for term, basis in chosen.items()}


class MeasurementPlan(NamedTuple):
    """Bindings that need the same observables, and how these are measured.

    ``bindings``: int (bindings,); ``places``: int (bindings, observables), where in the result, flat, each value goes;
    ``constants``: float64 (observables,), the coefficients of the identity; ``terms``: of each basis a list for each
    observable, in the order of ``places``, of the terms that the basis shows.
    """

    bindings: npt.NDArray[np.intp]
    places: npt.NDArray[np.intp]
    constants: npt.NDArray[np.float64]
    terms: dict[Basis, list[list[tuple[Term, float]]]]


def plan(
    observables: list[Mapping[str, float]], observable_shape: tuple[int, ...], binding_shape: tuple[int, ...]
) -> list[MeasurementPlan]:
    """Return what is to be measured: bindings and observables, flat lists of these shapes, broadcast."""
    of_binding, of_observable = np.broadcast_arrays(
        np.arange(int(np.prod(binding_shape))).reshape(binding_shape),
        np.arange(len(observables)).reshape(observable_shape),
    )
    if not of_binding.size:
        return []
    # Broadcasting pairs each binding with equally many observables.
    count = int(np.prod(binding_shape))
    order = np.lexsort((of_observable.ravel(), of_binding.ravel())).reshape(count, -1)
    wanted, which = np.unique(of_observable.ravel()[order], axis=0, return_inverse=True)
    read = [read_observable(one) for one in observables]
    alike = np.split(np.argsort(which.ravel(), kind="stable"), np.cumsum(np.bincount(which.ravel()))[:-1])
    found = []
    for bindings, row in zip(alike, wanted, strict=True):
        chosen = [read[index] for index in row]
        basis_of = group_terms(term for one in chosen for term in one)
        terms: dict[Basis, list[list[tuple[Term, float]]]] = {}
        for place, one in enumerate(chosen):
            for term, coefficient in one.items():
                if term:
                    terms.setdefault(basis_of[term], [[] for _ in chosen])[place].append((term, coefficient))
        constants = np.array([one.get((), 0.0) for one in chosen])
        found.append(MeasurementPlan(bindings, order[bindings], constants, terms))
    return found
