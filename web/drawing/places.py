"""Where the qubits of a chip stand in its picture, from its couplings alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

Place = tuple[float, float]
_ROUNDS = 200
_CLOSE = 0.5
"""Two qubits nearer than this, in lengths of a coupling, cannot be told apart."""


def places(number: int, couplings: Iterable[tuple[int, int]]) -> dict[int, Place]:
    """Return where each of ``number`` qubits stands, in lengths of a coupling, x to the right and y down.

    A chip that is numbered row by row, as chains, grids and heavy-hexagon lattices are, is drawn as its rows; any other
    so that distances are as far as possible those along the couplings.
    """
    near: dict[int, set[int]] = {q: set() for q in range(number)}
    for a, b in couplings:
        near[a].add(b)
        near[b].add(a)
    return _in_rows(near) or _by_distances(near)


def _in_rows(near: Mapping[int, set[int]]) -> dict[int, Place] | None:
    """Return the places in rows of consecutive numbers; None when the couplings do not allow it."""
    row: dict[int, int] = {}
    for q in near:
        row[q] = row[q - 1] if q - 1 in near[q] else q
    found: dict[int, Place] = {0: (0.0, 0.0)}
    waiting = [0]
    while waiting:
        q = waiting.pop(0)
        x, y = found[q]
        for other in sorted(near[q]):
            place = (x + other - q, y) if row[other] == row[q] else (x, y + 1 if other > q else y - 1)
            if other not in found:
                found[other] = place
                waiting.append(other)
            elif found[other] != place:
                return None
    return found if len(found) == len(near) == len(set(found.values())) else None


def _by_distances(near: Mapping[int, set[int]]) -> dict[int, Place]:
    """Return places by stress majorization (Gansner et al., Graph Drawing 2004) from those of classical scaling."""
    wanted = _distances(near)
    number = len(near)
    centre = np.eye(number) - 1 / number
    values, vectors = np.linalg.eigh(-0.5 * centre @ wanted**2 @ centre)
    found = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 1e-9))
    if found.shape[1] < 2:
        return {0: (0.0, 0.0)}
    found = found[:, ::-1] + 1e-3 * np.random.default_rng(1).standard_normal((number, 2))
    weights = 1 / np.maximum(wanted, 1.0) ** 2
    np.fill_diagonal(weights, 0)
    laplacian = np.linalg.pinv(np.diag(weights.sum(1)) - weights)
    for _ in range(_ROUNDS):
        apart = np.linalg.norm(found[:, None] - found[None], axis=-1)
        pulls = np.where(apart > 0, -weights * wanted / np.maximum(apart, 1e-9), 0)
        np.fill_diagonal(pulls, 0)
        np.fill_diagonal(pulls, -pulls.sum(1))
        found = laplacian @ pulls @ found
    nearest = min(float(np.min(np.where(apart > 0, apart, np.inf))), 1.0)
    scale = 1 / max(nearest, 0.1) if nearest < _CLOSE else 1.0
    return {q: (float(x) * scale, float(y) * scale) for q, (x, y) in enumerate(found)}


def _distances(near: Mapping[int, set[int]]) -> np.ndarray:
    """Return how many couplings lie between each two qubits; those that none joins are far apart."""
    number = len(near)
    wanted = np.full((number, number), np.inf)
    for start in near:
        wanted[start, start] = 0
        layer, steps = {start}, 0
        while layer:
            steps += 1
            layer = {b for a in layer for b in near[a] if wanted[start, b] == np.inf}
            wanted[start, list(layer)] = steps
    far = wanted[np.isfinite(wanted)].max() + 1 if number else 1.0
    return np.where(np.isfinite(wanted), wanted, far)
