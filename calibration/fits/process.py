"""Process tomography of an echoed cross-resonance gate: its small errors as generators, and which knob makes which."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pulsed.calibration.fits.assignment import Assignment
from pulsed.calibration.fits.fit import Data, Fit, Real, Start, bad, least_squares, wrapped

Complex = NDArray[np.complex128]

_MODEL = "process"
_ONE = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]], complex),
    "Z": np.diag([1, -1]).astype(complex),
}
PAULIS = tuple(a + b for a, b in product("IXYZ", repeat=2))[1:]
"""The control's letter first."""
MATRICES = np.array([np.kron(_ONE[name[0]], _ONE[name[1]]) for name in PAULIS])
PREPARED = ("0", "1", "+x", "-y")
"""States of one qubit: after nothing, x, sx and a quarter of z, sx."""
MEASURED = ("x", "y", "z")
_STATES = np.array([[1, 0], [0, 1], [np.sqrt(0.5), np.sqrt(0.5)], [np.sqrt(0.5), -1j * np.sqrt(0.5)]], complex)
_UP = {
    "x": np.array([[1, 1], [-1, 1]]) / np.sqrt(2),
    "y": np.array([[1, -1j], [-1j, 1]]) / np.sqrt(2),
    "z": np.eye(2),
}
_OPPOSITE = np.stack([-_STATES[:, 1].conj(), _STATES[:, 0].conj()], axis=1)
_PAIR_STATES = np.array([[np.kron(a, b) for a, b in product(c, t)] for c, t in product((_STATES, _OPPOSITE), repeat=2)])
"""(4, 16, 4): as meant, target opposite, control opposite, both."""
_PAIR_UPS = np.array([np.kron(_UP[a], _UP[b]) for a, b in product(MEASURED, repeat=2)])
KNOBS = ("amplitude", "angle", "cancel_x", "cancel_y", "rz_control", "rz_target")
"""A relative change of both tones, a turn of both (rad), what the cancellation turns the target by in a half (rad)
about x and about y, and virtual z after the gate (rad)."""


def rotation(generators: Real) -> Complex:
    """Return exp(-i/2 sum of generator times Pauli) on (control, target), for the 15 of :data:`PAULIS`."""
    values, vectors = np.linalg.eigh(np.tensordot(generators, MATRICES, 1))
    result: Complex = (vectors * np.exp(-0.5j * values)) @ vectors.conj().T
    return result


def echoed(tone: complex = 1.0, cancel: complex = 0j) -> Complex:
    """Return the gate whose halves turn by ``tone`` times ZX pi/4 and, besides, the target by ``cancel`` (rad)."""
    half = np.zeros(len(PAULIS))
    for name, angle in (
        ("ZX", np.pi / 4 * np.real(tone)), ("ZY", np.pi / 4 * np.imag(tone)),
        ("IX", np.real(cancel)), ("IY", np.imag(cancel)),
    ):  # fmt: skip
        half[PAULIS.index(name)] = angle
    flip = np.kron(_ONE["X"], _ONE["I"])
    result: Complex = rotation(-half) @ flip @ rotation(half)
    return result


def generators(gate: Complex) -> Real:
    """Return the generators of what follows the ideal gate in ``gate``, to first order."""
    rest = gate @ echoed().conj().T
    rest = rest * np.exp(-1j * np.angle(np.trace(rest)))
    result: Real = -2 * np.einsum("pij,ji->p", MATRICES, rest).imag / 4
    return result


def knob_matrix(step: float = 1e-4) -> Real:
    """Return (15, 6): how each of :data:`KNOBS` changes the generators of the ideal gate."""
    columns = [
        (generators(echoed(tone=1 + step * f)) - generators(echoed(tone=1 - step * f))) / (2 * step) for f in (1, 1j)
    ]
    columns += [
        (generators(echoed(cancel=step * f)) - generators(echoed(cancel=-step * f))) / (2 * step) for f in (1, 1j)
    ]
    columns += [np.eye(len(PAULIS))[PAULIS.index(name)] for name in ("ZI", "IZ")]
    return np.stack(columns, axis=1)


def corrections(fit: Fit) -> tuple[dict[str, float], dict[str, float]]:
    """Return by what to change each knob so that the generators become smallest, and its standard error.

    A knob that the gate does not answer to (IX is echoed away) is not moved.
    """
    found, errors = generators_of(fit)
    inverse = np.linalg.pinv(knob_matrix(), rcond=0.05)
    moves = -inverse @ found
    spread = np.sqrt((inverse**2) @ errors**2)
    moves, spread = moves.tolist(), spread.tolist()
    return dict(zip(KNOBS, moves, strict=True)), dict(zip(KNOBS, spread, strict=True))


def generators_of(fit: Fit) -> tuple[Real, Real]:
    """Return the generators and their standard errors, in the order of :data:`PAULIS`."""
    return np.array([fit.values[name] for name in PAULIS]), np.array([fit.stderr[name] for name in PAULIS])


def infidelity(fit: Fit) -> tuple[float, float]:
    """Return the average gate error that the generators make, less what their noise makes, and its standard error.

    1 - F = d/(d + 1) times the sum of squares over 4, with d = 4 (Nielsen, Phys. Lett. A 303, 249, 2002).
    """
    found, errors = generators_of(fit)
    value = float(np.sum(found**2 - errors**2)) / 5
    return value, float(np.sqrt(np.sum((2 * found * errors) ** 2 + 2 * errors**4))) / 5


def echoed_process(counts: object, control: Assignment, target: Assignment) -> Fit:
    """Fit the errors of an echoed cross-resonance gate to its process tomography.

    Args:
        counts: (16, 9, 4) shots for each preparation, basis and outcome; the control is the slow index of each, in
            the order of :data:`PREPARED` and :data:`MEASURED`.
        control: how it is read, and how often it is in 1 before it is prepared.
        target: likewise.

    Returns:
        A fit of the frequencies laid out flat. ``values`` has the 15 generators (rad) of the error after the gate, of
        which ZI and IZ may be large, and ``contrast``, the part of the state that is not mixed.

    """
    measured = np.asarray(counts, dtype=float)
    if measured.shape != (16, 9, 4):
        return bad(_MODEL, f"the counts have the shape {measured.shape}, not (16, 9, 4)")
    shots = measured.sum(axis=2, keepdims=True)
    if not np.all(np.isfinite(measured)) or np.any(measured < 0) or np.any(shots < 4):
        return bad(_MODEL, "some settings have no counts, or counts that are not numbers")
    wrong = np.asarray(np.kron(control.matrix(), target.matrix()), dtype=np.float64)
    excited = control.thermal, target.thermal
    turns = _best_turns(np.asarray(measured / shots, dtype=np.float64), wrong)
    offset = np.zeros(len(PAULIS))
    offset[[PAULIS.index("ZI"), PAULIS.index("IZ")]] = turns
    ideal = rotation(offset) @ echoed()

    def model(x: Real, *values: float) -> Real:
        frequencies = predicted(rotation(np.array(values[:-1])) @ ideal, values[-1], wrong, excited).ravel()
        return frequencies if x.size == frequencies.size else frequencies[x.astype(int)]

    def slope(x: Real, *values: float) -> Real:
        rows, step = [], 1e-5
        for k in range(len(values)):
            up, down = list(values), list(values)
            up[k] += step
            down[k] -= step
            rows.append((model(x, *up) - model(x, *down)) / (2 * step))
        return np.array(rows)

    start = {name: Start(0.0, -2.0, 2.0) for name in PAULIS} | {"contrast": Start(0.95, 0.0, 1.2)}
    frequencies = (measured / shots).ravel()
    weight = predicted(ideal, 0.8, wrong, excited)
    fit = bad(_MODEL, "not fitted")
    for _ in range(2):
        # Pearson's errors: with those of all four outcomes a setting adds three degrees of freedom to chi squared.
        sigma = np.sqrt(np.maximum(weight, 0.5 / shots) / shots).ravel()
        data = Data(np.arange(frequencies.size, dtype=float), frequencies, sigma)
        fit = least_squares(_MODEL, data, model, slope, start)
        if not fit.names:
            return fit
        weight = np.asarray(fit.curve, dtype=np.float64).reshape(measured.shape)
    dof = fit.dof - measured.shape[0] * measured.shape[1]
    fit = replace(fit, chi2=fit.chi2 * fit.dof / dof, dof=dof)
    for name, turn in zip(("ZI", "IZ"), turns, strict=True):
        fit = fit.derived(name, wrapped(fit.values[name] + turn), {name: 1.0})
    return _judged(fit)


def predicted(gate: Complex, contrast: float, wrong: Real, excited: tuple[float, float] = (0.0, 0.0)) -> Real:
    """Return (16, 9, 4) probabilities after a gate, with ``wrong`` (4, 4) measured over true.

    ``excited`` is how often control and target were in 1 before they were prepared: a qubit that was comes out in the
    state opposite to the one that is meant.
    """
    amplitudes = np.einsum("bij,osj->osbi", _PAIR_UPS, _PAIR_STATES @ gate.T)
    share = np.kron(*([1 - part, part] for part in excited))
    seen = np.einsum("o,osbi->sbi", share, np.abs(amplitudes) ** 2)
    return np.asarray((contrast * seen + (1 - contrast) / 4) @ wrong.T, dtype=np.float64)


def _best_turns(frequencies: Real, wrong: Real) -> Real:
    """Return the virtual z (control, target) under which the ideal gate is nearest to what was measured."""
    grid = np.arange(8) * np.pi / 4
    best = (np.inf, np.zeros(2))
    for turns in product(grid, repeat=2):
        offset = np.zeros(len(PAULIS))
        offset[[PAULIS.index("ZI"), PAULIS.index("IZ")]] = turns
        left = float(np.sum((predicted(rotation(offset) @ echoed(), 1.0, wrong) - frequencies) ** 2))
        if left < best[0]:
            best = (left, np.array(turns))
    return best[1]


def _judged(fit: Fit) -> Fit:
    if fit.values["contrast"] < 0.5:
        return fit.refused(f"the states are {fit.values['contrast']:.2f} of what they should be")
    rest = [name for name in PAULIS if name not in ("ZI", "IZ")]
    largest = max(rest, key=lambda name: abs(fit.values[name]))
    if abs(fit.values[largest]) > 1.0:
        return fit.refused(f"this is no ECR: {largest} is {fit.values[largest]:.2f} rad")
    if fit.chi2 > 5:
        return fit.refused(f"the model does not describe the data: reduced chi squared {fit.chi2:.3g}")
    return fit
