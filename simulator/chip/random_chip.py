"""Random chips: lines and lattices of transmons drawn around a design sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Literal

import numpy as np

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Coupling, Qubit, Wire
from pulsed.simulator.chip.tables import check

# The design sheet that random chips are drawn around; longer chains repeat its qubit columns.
_SHEET = (
    # f01, alpha, T1, T2echo, T2star, kappa, chi, thermal
    (4.970e9, -330e6, 95e-6, 110e-6, 45e-6, 1.6e6, -0.80e6, 0.010),
    (4.880e9, -330e6, 80e-6, 90e-6, 35e-6, 1.8e6, -0.90e6, 0.015),
    (5.020e9, -325e6, 110e-6, 120e-6, 60e-6, 1.5e6, -0.75e6, 0.008),
    (4.905e9, -332e6, 60e-6, 70e-6, 25e-6, 2.0e6, -1.00e6, 0.020),
    (4.995e9, -328e6, 85e-6, 95e-6, 40e-6, 1.6e6, -0.80e6, 0.010),
)
_J = 1.95e6
_SHEET_LO = 5.10e9
_FIRST_READOUT, _READOUT_STEP, _READOUT_SPAN = 6.90e9, 80e6, 800e6
_DRAWN_WHOLE = 32


Layout = Literal["line", "heavy-hex"]
MOST = 127
"""Qubits of the largest chip: a heavy-hexagon lattice of seven rows."""
ON_A_LINE = 5
"""Resonators on a readout line, where a chip has several."""


def layout_couplings(layout: Layout, n: int) -> tuple[tuple[int, int], ...]:
    """Return which of ``n`` qubits are coupled, sorted: neighbours on a line, or the first of a heavy-hexagon lattice.

    The lattice has rows of 14, 15, ..., 15, 14 qubits, and four between each two rows, at columns 0, 4, 8, 12 or 2, 6,
    10, 14 in turn; qubits are counted row by row.
    """
    if layout == "line":
        return tuple((q, q + 1) for q in range(n - 1))
    found, above, q = [], dict[int, int](), 0
    for row in range(7):
        place = {}
        for column in range(14) if row == 0 else range(1, 15) if row == 6 else range(15):
            if column - 1 in place:
                found.append((q - 1, q))
            if column in above:
                found.append((above[column], q))
            place[column], q = q, q + 1
        above = {}
        for column in range(0 if row % 2 == 0 else 2, 15, 4):
            if row < 6:
                found.append((place[column], q))
                above[column], q = q, q + 1
    return tuple(sorted((a, b) for a, b in found if max(a, b) < n))


def _colliding(frequencies: np.ndarray, couplings: Sequence[tuple[int, int]]) -> set[int]:
    """Return the qubits of pairs, and neighbours of one control, that cross resonance cannot use."""
    found: set[int] = set()
    targets: dict[int, list[int]] = {}
    for a, b in couplings:
        near = abs(frequencies[a] - frequencies[b])
        if near < 25e6 or 153e6 < near < 172e6:
            found |= {a, b}
        control, target = (a, b) if frequencies[a] > frequencies[b] else (b, a)
        targets.setdefault(control, []).append(target)
    for mine in targets.values():
        found |= {q for pair in combinations(mine, 2) if abs(np.diff(frequencies[list(pair)])[0]) < 17e6 for q in pair}
    return found


def _draw_frequencies(
    rng: np.random.Generator, sheet: np.ndarray, couplings: Sequence[tuple[int, int]], collisions: bool
) -> np.ndarray:
    """Return a frequency for each qubit; of more than 32 those that collide are drawn again, else all are."""
    frequencies = sheet + rng.uniform(-60e6, 60e6, len(sheet))
    while not collisions and (again := _colliding(frequencies, couplings)):
        fresh = sheet + rng.uniform(-60e6, 60e6, len(sheet))
        if len(sheet) <= _DRAWN_WHOLE:
            frequencies = fresh
        else:
            frequencies[list(again)] = fresh[list(again)]
    return frequencies


def _columns(couplings: Sequence[tuple[int, int]], n: int) -> list[int]:
    """Return a column of the sheet for each qubit, others than those of its neighbours and of theirs if possible."""
    near: dict[int, set[int]] = {q: set() for q in range(n)}
    for a, b in couplings:
        near[a].add(b)
        near[b].add(a)
    found: list[int] = []
    for q in range(n):
        taken = [found[k] for other in sorted(near[q]) for k in (other, *sorted(near[other])) if k < q]
        free = [(q + k) % len(_SHEET) for k in range(len(_SHEET))]
        found.append(min(free, key=taken.count))
    return found


def _roll_off(offset: float) -> float:
    """Return the transmission of zero-order hold and a 350 MHz line for a tone ``offset`` Hz from the LO."""
    return float(np.sinc(offset * 1e-9)) / math.hypot(1, offset / 350e6)


def _draw_qubit(
    rng: np.random.Generator, column: int, frequency: float, readout_frequency: float, feedline: str
) -> Qubit:
    _, alpha, t1, t2e, t2s, kappa, chi, thermal = _SHEET[column]
    t1, t2e, t2s = (t * rng.uniform(0.7, 1.3) for t in (t1, t2e, t2s))
    t2e = min(t2e, 2 * t1)
    chi = chi * rng.uniform(0.9, 1.1)
    return Qubit(
        frequency=frequency,
        anharmonicity=alpha * rng.uniform(0.9, 1.1),
        t1=t1,
        t2_echo=t2e,
        t2_star=min(t2s, t2e),
        thermal=thermal,
        drive_rate=40e6 * rng.uniform(0.9, 1.1) / _roll_off(frequency - _SHEET_LO),
        readout_frequency=readout_frequency + rng.uniform(-5e6, 5e6),
        kappa=kappa,
        chi=chi,
        readout_drive=16e6 * rng.uniform(0.9, 1.1),
        feedline=feedline,
    )


def readout_lines(n: int) -> list[str]:
    """Return the name of the readout line of each of ``n`` qubits, where each line has :data:`ON_A_LINE`."""
    return ["ro" if n <= ON_A_LINE else f"ro{q // ON_A_LINE + 1}" for q in range(n)]


def design_frequencies(n: int, layout: Layout = "line") -> list[tuple[float, float]]:
    """Return what the design sheet says of each qubit and of its resonator, Hz, with several readout lines."""
    columns = _columns(layout_couplings(layout, n), n)
    return [(_SHEET[c][0], _FIRST_READOUT + _READOUT_STEP * (q % ON_A_LINE)) for q, c in enumerate(columns)]


def random_chip(
    seed: int, n: int, collisions: bool = False, *, layout: Layout = "line", one_readout_line: bool = True
) -> Chip:
    """Draw ``n`` transmons around the design sheet, for tests on chips that no code was tuned to.

    Frequencies move by up to 60 MHz, readout ones by 5 MHz, anharmonicity and chi by 10 %, times by 30 %.
    Unless ``collisions`` is set, frequencies that cross resonance cannot use are drawn again. Readout frequencies are
    80 MHz apart; on one line for more than ten qubits they are closer and share 800 MHz.

    Args:
        seed: of the draw.
        n: how many, up to 127; up to 32 on one readout line.
        collisions: keep frequencies that collide.
        layout: which qubits are coupled, :func:`layout_couplings`.
        one_readout_line: for all resonators; else one for each five, :func:`readout_lines`.

    """
    most = _DRAWN_WHOLE if one_readout_line else MOST
    check(1 <= n <= most, "the number of qubits is out of range", "random_chip.n", n, f"1..{most}")
    rng = np.random.default_rng(np.random.SeedSequence((seed, n)))
    pairs = layout_couplings(layout, n)
    columns = _columns(pairs, n)
    frequencies = _draw_frequencies(rng, np.array([_SHEET[c][0] for c in columns]), pairs, collisions)
    lines = ["ro"] * n if one_readout_line else readout_lines(n)
    step = min(_READOUT_STEP, _READOUT_SPAN / n) if one_readout_line else _READOUT_STEP
    several = len(set(lines)) > 1
    qubits = tuple(
        _draw_qubit(rng, columns[q], float(frequencies[q]), _FIRST_READOUT + step * (q % ON_A_LINE if several else q),
                    lines[q] if several else "")
        for q in range(n)
    )  # fmt: skip
    strength = _crosstalk(pairs, n)
    crosstalk = tuple(
        tuple(complex(strength[q, k] * (np.exp(1j * rng.uniform(-np.pi, np.pi)) if q != k else 1.0)) for k in range(n))
        for q in range(n)
    )
    wire = Wire("", None, mixer_gain_db=0.4, mixer_skew_deg=3.0)
    wires = [replace(wire, name=f"d{q}", qubit=q, lo_leakage=_leak(rng)) for q in range(n)]
    wires += [replace(wire, name=name, lo_leakage=_leak(rng)) for name in dict.fromkeys(lines)]
    couplings = tuple(Coupling(pair, _J) for pair in pairs)
    name = f"random-{seed}-{n}" if layout == "line" else f"random-{layout}-{seed}-{n}"
    return Chip(name, qubits, couplings, tuple(wires), crosstalk)


def _crosstalk(couplings: Sequence[tuple[int, int]], n: int) -> np.ndarray:
    """Return (n, n) what a qubit sees of the line of another: 5 % of a neighbour's, 1 % of a next neighbour's."""
    beside = np.zeros((n, n), bool)
    for a, b in couplings:
        beside[a, b] = beside[b, a] = True
    found: np.ndarray = np.where(beside, 0.05, np.where(beside.astype(int) @ beside > 0, 0.01, 0.0))
    np.fill_diagonal(found, 1.0)
    return found


def _leak(rng: np.random.Generator) -> tuple[float, float]:
    angle = rng.uniform(-np.pi, np.pi)
    return 0.003 * math.cos(angle), 0.003 * math.sin(angle)
