"""Random chips: chains of transmons drawn around a design sheet."""

from __future__ import annotations

import math
from dataclasses import replace

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


def _collides(frequencies: np.ndarray) -> bool:
    """Return whether a chain has a pair, or two neighbours of one control, that cross resonance cannot use."""
    near = np.abs(np.diff(frequencies))
    if np.any(near < 25e6) or np.any((near > 153e6) & (near < 172e6)):
        return True
    for middle in range(1, len(frequencies) - 1):
        left, centre, right = frequencies[middle - 1 : middle + 2]
        if centre > max(left, right) and abs(left - right) < 17e6:
            return True
    return False


def _roll_off(offset: float) -> float:
    """Return the transmission of zero-order hold and a 350 MHz line for a tone ``offset`` Hz from the LO."""
    return float(np.sinc(offset * 1e-9)) / math.hypot(1, offset / 350e6)


def _draw_qubit(rng: np.random.Generator, index: int, frequency: float, step: float) -> Qubit:
    _, alpha, t1, t2e, t2s, kappa, chi, thermal = _SHEET[index % len(_SHEET)]
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
        readout_frequency=_FIRST_READOUT + step * index + rng.uniform(-5e6, 5e6),
        kappa=kappa,
        chi=chi,
        readout_drive=16e6 * rng.uniform(0.9, 1.1),
    )


def random_chip(seed: int, n: int, collisions: bool = False) -> Chip:
    """Draw a chain of ``n`` transmons around the design sheet, for tests on chips that no code was tuned to.

    Frequencies move by up to 60 MHz, readout ones by 5 MHz, anharmonicity and chi by 10 %, times by 30 %.
    Unless ``collisions`` is set, frequencies that cross resonance cannot use are drawn again. Readout frequencies are
    80 MHz apart, and closer on chains of more than ten, which share 800 MHz.
    """
    check(1 <= n <= 32, "the number of qubits is out of range", "random_chip.n", n, "1..32")
    rng = np.random.default_rng(np.random.SeedSequence((seed, n)))
    sheet = np.array([_SHEET[i % len(_SHEET)][0] for i in range(n)])
    frequencies = sheet + rng.uniform(-60e6, 60e6, n)
    while not collisions and _collides(frequencies):
        frequencies = sheet + rng.uniform(-60e6, 60e6, n)
    step = min(_READOUT_STEP, _READOUT_SPAN / n)
    qubits = tuple(_draw_qubit(rng, i, float(frequencies[i]), step) for i in range(n))
    strength = {0: 1.0, 1: 0.05, 2: 0.01}
    crosstalk = tuple(
        tuple(
            complex(strength.get(abs(q - k), 0.0) * (np.exp(1j * rng.uniform(-np.pi, np.pi)) if q != k else 1.0))
            for k in range(n)
        )
        for q in range(n)
    )
    wire = Wire("", None, mixer_gain_db=0.4, mixer_skew_deg=3.0)
    wires = [replace(wire, name=f"d{q}", qubit=q, lo_leakage=_leak(rng)) for q in range(n)]
    wires.append(replace(wire, name="ro", lo_leakage=_leak(rng)))
    couplings = tuple(Coupling((q, q + 1), _J) for q in range(n - 1))
    return Chip(f"random-{seed}-{n}", qubits, couplings, tuple(wires), crosstalk)


def _leak(rng: np.random.Generator) -> tuple[float, float]:
    angle = rng.uniform(-np.pi, np.pi)
    return 0.003 * math.cos(angle), 0.003 * math.sin(angle)
