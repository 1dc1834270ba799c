"""From points in the IQ plane to states.

Each state is a cloud with a centroid c and a covariance C of (I, Q). A point belongs to the state of the largest
score -(z - c)' C^-1 (z - c) / 2 - ln(det C) / 2, the log-likelihood of a Gaussian (Hastie, Tibshirani and Friedman,
The Elements of Statistical Learning, section 4.3). With one covariance for all states the boundaries are straight
lines, and with a round one the nearest centroid wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types

from pulsed.compute.numba_start import begin_without_linear_algebra
from pulsed.model.errors import InvalidValueError

Rule = npt.NDArray[np.float32]
"""(2, 6): how far the scores of states 1 and 2 exceed that of state 0, as coefficients of 1, I, Q, I^2, I Q, Q^2."""

_NEVER = np.float32(-1e30)
"""The score of a state that there is not."""


def rule(centroids: Sequence[complex], covariances: npt.ArrayLike | None = None) -> Rule:
    """Return the rule for two or three ``centroids``.

    ``covariances``: (2, 2) shared or (states, 2, 2), in the centroids' unit squared; the nearest centroid without.
    Raises :class:`InvalidValueError`.
    """
    states = len(centroids)
    if states not in (2, 3):
        raise InvalidValueError("cannot tell that many states", subject="centroids", value=states, legal="2 or 3")
    shape = (states, 2, 2)
    given = np.eye(2) if covariances is None else np.asarray(covariances, float)
    try:
        matrices = np.broadcast_to(given, shape)
    except ValueError:
        raise InvalidValueError(
            "not one covariance, nor one for each state", subject="covariances",
            value=str(given.shape), legal=f"(2, 2) or {shape}",
        ) from None  # fmt: skip
    determinants = matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] ** 2
    symmetric = np.allclose(matrices, matrices.transpose(0, 2, 1))
    if not (symmetric and (matrices[:, 0, 0] > 0).all() and (determinants > 0).all()):
        raise InvalidValueError("no covariance", subject="covariances", value=str(matrices), legal="positive definite")
    scores = np.empty((states, 6))
    for score, centroid, matrix, determinant in zip(scores, centroids, matrices, determinants, strict=True):
        inverse = np.linalg.inv(matrix)
        point = np.array([centroid.real, centroid.imag])
        score[0] = -point @ inverse @ point / 2 - np.log(determinant) / 2
        score[1:3] = inverse @ point
        score[3:] = -inverse[0, 0] / 2, -inverse[0, 1], -inverse[1, 1] / 2
    found: Rule = np.zeros((2, 6), np.float32)
    found[1, 0] = _NEVER
    found[: states - 1] = _scaled(scores[1:] - scores[0])
    return found


def _scaled(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ``rows`` such that their largest coefficient is 1, far from the ends of float32."""
    return rows / (np.abs(rows).max() or 1.0)


_POINTS = types.Array(types.float32, 1, "C", readonly=True)
_COEFFICIENTS = types.Array(types.float32, 2, "C", readonly=True)


begin_without_linear_algebra()


# With its signature it is ready when the module is, not when the first job waits for its result.
@njit(types.void(_POINTS, _COEFFICIENTS, types.uint8[::1]), cache=True, nogil=True, fastmath={"contract"})
def _assign(points, coefficients, levels):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Write the state of each of ``points``, I and Q in turn. Without branches, so that it runs in vector registers."""
    c1, x1, y1, xx1, xy1, yy1 = coefficients[0]
    c2, x2, y2, xx2, xy2, yy2 = coefficients[1]
    for k in range(levels.shape[0]):
        x, y = points[2 * k], points[2 * k + 1]
        one = c1 + x * (x1 + x * xx1 + y * xy1) + y * (y1 + y * yy1)
        two = c2 + x * (x2 + x * xx2 + y * xy2) + y * (y2 + y * yy2)
        lower = np.uint8(one > np.float32(0))
        levels[k] = np.uint8(2) if two > max(one, np.float32(0)) else lower


def classify(iq: npt.NDArray[np.complex64], rules: Sequence[Rule]) -> npt.NDArray[np.uint8]:
    """Return the state of each point of ``iq`` (shots, columns): uint8 (shots, columns), 0, 1 or 2.

    ``rules`` has one per column. A point that is as near to two states belongs to the lower one.
    """
    levels = np.empty((iq.shape[1], iq.shape[0]), np.uint8)
    for column, (coefficients, states) in enumerate(zip(rules, levels, strict=True)):
        points: npt.NDArray[np.complex64] = np.ascontiguousarray(iq[:, column], np.complex64)
        _assign(points.view(np.float32), coefficients, states)
    return levels.T
