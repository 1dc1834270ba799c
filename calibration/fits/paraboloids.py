"""The minimum of a power that is quadratic in two settings: the nulls of a mixer."""

from __future__ import annotations

import numpy as np

from pulsed.calibration.fits.fit import Fit, Points, Real, Start, bad, checked, described, least_squares, linear


def bowl(u: Real, v: Real, x: float, y: float, xx: float, xy: float, yy: float, floor: float) -> Real:
    """Return ``floor + xx·(u−x)² + xy·(u−x)(v−y) + yy·(v−y)²``."""
    du, dv = u - x, v - y
    return np.asarray(floor + xx * du**2 + xy * du * dv + yy * dv**2)


def paraboloid(u: object, v: object, power: object, sigma: object = None) -> Fit:
    """Fit a paraboloid with its minimum at (x, y) to ``power`` at the settings (u, v), all of shape (points,).

    The fit's own abscissa is the number of the point. Refused: settings that do not span a plane in six points, a
    surface without a minimum.
    """
    at = np.stack([np.asarray(u, dtype=np.float64), np.asarray(v, dtype=np.float64)])
    data = checked("paraboloid", np.arange(at.shape[1]), power, sigma, 7)
    if isinstance(data, Fit):
        return data
    middle = at.mean(axis=1, keepdims=True)
    scale = np.abs(at - middle).max(axis=1, keepdims=True)
    if not np.all(scale > 0):
        return bad("paraboloid", "one of the two settings was not moved", data.x)
    a, b = (at - middle) / scale
    columns = np.stack([np.ones_like(a), a, b, a**2, a * b, b**2])
    if np.linalg.matrix_rank(columns) < len(columns):
        return bad("paraboloid", "the settings are too few to tell a minimum", data.x)
    c, ca, cb, caa, cab, cbb = (float(value.real) for value in linear(columns[None], data)[0][0])
    if not (caa > 0 and 4 * caa * cbb > cab**2):
        return bad("paraboloid", "the level has no minimum", data.x)
    x, y = np.linalg.solve([[2 * caa, cab], [cab, 2 * cbb]], [-ca, -cb])
    (sa,), (sb,) = scale
    start = {
        "x": Start(float(middle[0, 0] + sa * x)),
        "y": Start(float(middle[1, 0] + sb * y)),
        "xx": Start(caa / sa**2),
        "xy": Start(cab / sa / sb),
        "yy": Start(cbb / sb**2),
        "floor": Start(c + (ca * x + cb * y) / 2),
    }

    def function(x: Real, *values: float) -> Points:
        return bowl(*at[:, x.astype(int)], *values)

    def gradient(x: Real, *values: float) -> Real:
        (u, v), (x0, y0, xx, xy, yy, _) = at[:, x.astype(int)], values
        du, dv = u - x0, v - y0
        return np.stack([-2 * xx * du - xy * dv, -xy * du - 2 * yy * dv, du**2, du * dv, dv**2, np.ones_like(u)])

    return described(least_squares("paraboloid", data, function, gradient, start), data)
