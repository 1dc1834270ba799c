"""The phase of a superposition: from four turns of the last pulse's frame, and followed from wait to wait."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

TURNS = np.array([0.0, np.pi / 2, np.pi, 3 * np.pi / 2])
"""rad, of the last pulse's frame: the differences of opposite ones are two quadratures without an offset."""
SHORT = (0.3e-6, 1.1e-6)
"""s: waits before those of an even grid. Frequencies one turn per step apart are the same on the grid, but not here."""


def phasor(y: Real, sigma: Real) -> tuple[Complex, Real]:
    """Return exp(iφ) times the contrast from populations at :data:`TURNS` (first axis), and φ's standard error.

    After a z rotation by φ the population of 1 is (1 + cos(φ + turn))/2. Where a quadrature is near its extremum it has
    less noise, and the phase has that of the other.
    """
    z = (y[0] - y[2]) - 1j * (y[1] - y[3])
    across = np.stack([np.hypot(sigma[0], sigma[2]), np.hypot(sigma[1], sigma[3])])
    angle = np.angle(z)
    error = np.hypot(across[0] * np.sin(angle), across[1] * np.cos(angle)) / np.maximum(np.abs(z), 1e-12)
    return z, error


def quadrature_error(sigma: Real) -> Real:
    """Return the standard error of either quadrature, the mean square of both, from that of populations."""
    error: Real = np.sqrt(np.sum(sigma**2, axis=0) / 2)
    return error


def waits_of(span: float, points: int, dt: float) -> list[int]:
    """Return ``points`` waits in dt, 0 to ``span`` s: an even grid, and where it is coarse those of :data:`SHORT`."""
    coarse = span / max(points - len(SHORT) - 1, 1) > max(SHORT)
    if not coarse:
        return even_waits(span, points, dt)
    return sorted([*even_waits(span, points - len(SHORT), dt), *(round(wait / dt) for wait in SHORT)])


def even_waits(span: float, points: int, dt: float) -> list[int]:
    """Return ``points`` waits in dt at equal distances, 0 to ``span`` s."""
    return [round(wait / dt) for wait in np.linspace(0, span, points)]


def followed(x: Real, phase: Real, error: Real) -> Real:
    """Return phases along ``x`` without their turns: each is next to the line through those before it.

    The first step may be half a turn at most. A step as long as all before it together multiplies the error of what is
    expected by about two; np.unwrap instead allows half a turn for each step, however long.
    """
    found = [float(phase[0])]
    for k in range(1, phase.size):
        expected = found[0]
        if k > 1:
            slope, offset = np.polyfit(x[:k] - x[0], found, 1, w=1 / error[:k])
            expected = offset + slope * (x[k] - x[0])
        found.append(expected + float(np.angle(np.exp(1j * (phase[k] - expected)))))
    return np.array(found)
