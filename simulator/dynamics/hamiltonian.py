"""Static Hamiltonians in their dressed basis: Duffing transmons with exchange coupling.

Energies are in rad/ns in the frame that rotates at a reference frequency per excitation. A system of k transmons
has the product labels (n_1 .. n_k), last site fastest; its dressed states carry the label they overlap with most,
so idle evolution is diagonal, and drive operators are transformed along (cross resonance comes out of this).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Coupling

LEVELS = 3
"""Levels per transmon that the state keeps; a control under a cross-resonance drive has one more inside the pulse."""

TWO_PI_PER_NS = 2e-9 * np.pi
"""Hz to rad/ns."""


@dataclass(frozen=True)
class Static:
    """A few transmons, diagonalised.

    Attributes:
        levels: levels per site.
        energies: (dim,) rad/ns, dressed, rotating frame; the ground state at 0.
        lowering: (sites, dim, dim) lowering operator of each site in the dressed basis.
        numbers: (sites, dim) level of each site in each label.
        keep: (3**sites,) indices of the labels that the state keeps.

    """

    levels: tuple[int, ...]
    energies: NDArray[np.float64]
    lowering: NDArray[np.complex128]
    numbers: NDArray[np.float64]
    keep: NDArray[np.int64]


def lowering(levels: int) -> NDArray[np.float64]:
    """Return the (levels, levels) matrix of the harmonic lowering operator."""
    return np.diag(np.sqrt(np.arange(1.0, levels)), 1)


def _embed(op: NDArray[np.float64], site: int, levels: tuple[int, ...]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = np.eye(1)
    for i, size in enumerate(levels):
        out = np.kron(out, op if i == site else np.eye(size)).astype(np.float64)
    return out


def _labels(levels: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array(np.unravel_index(np.arange(int(np.prod(levels))), levels))


def bare_pair(
    frequency: tuple[float, float], anharmonicity: tuple[float, float], j: float, levels: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the bare Hamiltonian (dim, dim) in Hz of two coupled Duffing transmons."""
    numbers = _labels(levels).astype(float)
    h = np.diag(sum(f * n + 0.5 * a * n * (n - 1) for f, a, n in zip(frequency, anharmonicity, numbers, strict=True)))
    a, b = _embed(lowering(levels[0]), 0, levels), _embed(lowering(levels[1]), 1, levels)
    out: NDArray[np.float64] = h + j * (a.T @ b + a @ b.T)
    return out


def dress(h: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Diagonalise; return energies (dim,) and states (dim, dim), column i being the one that overlaps label i most.

    Labels are given greedily by falling overlap, so that each is given once even on a collision.
    """
    energies, states = np.linalg.eigh(h)
    overlap = states**2
    order = np.empty(len(h), dtype=int)
    for flat in np.argsort(-overlap, axis=None):
        label, column = divmod(int(flat), len(h))
        if np.isnan(overlap[label, column]):
            continue
        order[label] = column
        overlap[label, :] = np.nan
        overlap[:, column] = np.nan
    states = states[:, order]
    signs = np.sign(np.diag(states))
    signs[signs == 0] = 1.0
    return energies[order], states * signs


def bare_coupled(
    coupling: Coupling | None,
    frequency: tuple[float, float],
    anharmonicity: tuple[float, float],
    levels: tuple[int, int],
    reference: float,
) -> NDArray[np.float64]:
    """Return the bare Hamiltonian (dim, dim) in Hz of a pair, with its coupler if it has one as the third site.

    Frequencies are from ``reference`` (Hz). The coupler has three levels; couplings keep the number of excitations.
    """
    pair = bare_pair(frequency, anharmonicity, coupling.j if coupling else 0.0, levels)
    if coupling is None or coupling.coupler is None:
        return pair
    coupler, sites = coupling.coupler, (*levels, LEVELS)
    n = np.arange(LEVELS)
    energy = (coupler.frequency - reference) * n + 0.5 * coupler.anharmonicity * n * (n - 1)
    h = np.kron(pair, np.eye(LEVELS)) + np.kron(np.eye(len(pair)), np.diag(energy))
    c = _embed(lowering(LEVELS), 2, sites)
    for site, g in enumerate(coupler.g):
        a = _embed(lowering(levels[site]), site, sites)
        h += g * (a.T @ c + c.T @ a)
    return np.asarray(h, dtype=np.float64)


def bare_parameters(
    chip: Chip, a: int, b: int, levels: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Return bare frequencies, anharmonicities and J (Hz) of a pair whose dressed values are the chip's.

    Solved by fixed-point iteration; the shifts are J^2/Delta, so each step gains a digit or more.
    """
    coupling = chip.coupled(a, b)
    wanted_f = np.array([chip.qubits[a].frequency, chip.qubits[b].frequency])
    wanted_a = np.array([chip.qubits[a].anharmonicity, chip.qubits[b].anharmonicity])
    f, alpha = wanted_f.copy(), wanted_a.copy()
    reference = wanted_f.mean()
    for _ in range(60):
        h = bare_coupled(coupling, (f[0] - reference, f[1] - reference), (alpha[0], alpha[1]), levels, reference)
        energies = dress(h)[0]
        e = (energies - energies[0]).reshape(*levels, -1)[:, :, 0]
        got_f = np.array([e[1, 0], e[0, 1]]) + reference
        got_a = np.array([e[2, 0], e[0, 2]]) - 2 * (got_f - reference)
        f, alpha = f + wanted_f - got_f, alpha + wanted_a - got_a
        if max(abs(got_f - wanted_f).max(), abs(got_a - wanted_a).max()) < 1e-3:
            break
    return (float(f[0]), float(f[1])), (float(alpha[0]), float(alpha[1])), coupling.j if coupling else 0.0


def moved(chip: Chip, index: int, quanta: float) -> Chip:
    """Return ``chip`` with the coupler of coupling ``index`` so many flux quanta away from its idle.

    Bare values stay, so the dressed frequencies and anharmonicities of its qubits move with the coupler.
    """
    coupling, levels = chip.couplings[index], (4, 4)
    if coupling.coupler is None or quanta == 0:
        return chip
    a, b = coupling.qubits
    f, alpha, _ = bare_parameters(chip, a, b, levels)
    there = replace(coupling, coupler=coupling.coupler.moved(quanta))
    reference = (f[0] + f[1]) / 2
    h = bare_coupled(there, (f[0] - reference, f[1] - reference), alpha, levels, reference)
    energies = dress(h)[0]
    e = (energies - energies[0]).reshape(*levels, -1)[:, :, 0]
    qubits = list(chip.qubits)
    for q, one, two in ((a, e[1, 0], e[2, 0]), (b, e[0, 1], e[0, 2])):
        qubits[q] = replace(qubits[q], frequency=float(one) + reference, anharmonicity=float(two - 2 * one))
    couplings = (*chip.couplings[:index], there, *chip.couplings[index + 1 :])
    return replace(chip, qubits=tuple(qubits), couplings=couplings)


def _bare_three(chip: Chip, sites: tuple[int, ...], levels: tuple[int, ...], reference: float) -> NDArray[np.float64]:
    """Return the bare Hamiltonian (dim, dim) in Hz, from ``reference``, of three whose dressed values are the chip's.

    Dressed with both others in the ground state, as :func:`bare_parameters` has it for a pair.
    """
    numbers = _labels(levels).astype(float)
    operators = [_embed(lowering(size), site, levels) for site, size in enumerate(levels)]
    exchange = np.zeros((len(numbers[0]),) * 2)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        coupling = chip.coupled(sites[i], sites[j])
        exchange += (coupling.j if coupling else 0.0) * (operators[i].T @ operators[j] + operators[j].T @ operators[i])
    wanted = np.array([(chip.qubits[q].frequency - reference, chip.qubits[q].anharmonicity) for q in sites])
    strides = [int(np.prod(levels[site + 1 :])) for site in range(len(sites))]
    bare = wanted.copy()
    for _ in range(60):
        energy = bare[:, :1] * numbers + 0.5 * bare[:, 1:] * numbers * (numbers - 1)
        h = np.diag(energy.sum(axis=0)) + exchange
        e = dress(h)[0]
        one, two = e[strides] - e[0], e[[2 * s for s in strides]] - e[0]
        off = wanted - np.stack([one, two - 2 * one], axis=1)
        if np.abs(off).max() < 1e-3:
            break
        bare += off
    return np.asarray(h, dtype=np.float64)


@lru_cache(maxsize=256)
def static(chip: Chip, sites: tuple[int, ...], levels: tuple[int, ...], reference: float) -> Static:
    """Return one transmon, one coupled pair or three transmons of ``chip`` in the frame at ``reference`` (Hz).

    A pair with a coupler has it as its third site; the state keeps the labels in which it is empty. Three have no
    couplers.
    """
    if len(sites) == 1:
        numbers = _labels(levels).astype(float)
        qubit = chip.qubits[sites[0]]
        n = numbers[0]
        energies = (qubit.frequency - reference) * n + 0.5 * qubit.anharmonicity * n * (n - 1)
        operators = lowering(levels[0])[None]
    elif len(sites) > 2:
        numbers = _labels(levels).astype(float)
        energies, states = dress(_bare_three(chip, sites, levels, reference))
        operators = np.array([states.T @ _embed(lowering(n), i, levels) @ states for i, n in enumerate(levels)])
    else:
        coupling, pair = chip.coupled(sites[0], sites[1]), (levels[0], levels[1])
        f, alpha, _ = bare_parameters(chip, sites[0], sites[1], pair)
        h = bare_coupled(coupling, (f[0] - reference, f[1] - reference), alpha, pair, reference)
        energies, states = dress(h)
        levels = (*pair, LEVELS) if len(h) > pair[0] * pair[1] else pair
        numbers = _labels(levels).astype(float)
        bare = [_embed(lowering(levels[i]), i, levels) for i in range(2)]
        # The third drive is the coupler's frequency: a Hermitian operator makes it 1/2 (d* n + d n) = d n.
        bare += [np.diag(numbers[2])] if len(levels) > 2 else []
        operators = np.array([states.T @ op @ states for op in bare])
    keep = np.flatnonzero((numbers[: len(sites)] < LEVELS).all(axis=0) & (numbers[len(sites) :] == 0).all(axis=0))
    energies = (energies - energies[0]) * TWO_PI_PER_NS
    return Static(levels, energies, operators.astype(complex), numbers, keep)


@lru_cache(maxsize=256)
def zz(chip: Chip, a: int, b: int) -> NDArray[np.float64]:
    """Return the (3, 3) table of pair shifts in rad/ns: E(m, n) - E(m, 0) - E(0, n)."""
    if chip.coupled(a, b) is None:
        return np.zeros((LEVELS, LEVELS))
    energies = static(chip, (a, b), (4, 4), chip.qubits[a].frequency).energies
    e = energies.reshape(4, 4, -1)[:LEVELS, :LEVELS, 0]
    out: NDArray[np.float64] = e - e[:, :1] - e[:1, :]
    return out


def zz_rate(chip: Chip, a: int, b: int) -> float:
    """Return the static ZZ shift of a pair in Hz: E11 - E10 - E01."""
    return float(zz(chip, a, b)[1, 1] / TWO_PI_PER_NS)
