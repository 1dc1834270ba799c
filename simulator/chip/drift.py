"""Drift: the chip at a moment, as a pure function of (settings, moment).

Each quantity is a Markov process that can be sampled at any moment by itself: its value at the ends of doubling
intervals is drawn forwards, then bisected with the process's own bridge down to a cell of ``CELL`` seconds.
Each draw is named by (seed, source, site, cell), so the result does not depend on the order of the moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.components import Qubit, Wire, shorter_lived
from pulsed.simulator.chip.drift_settings import Drift

CELL = 1.0
"""Seconds of drift time in which nothing changes."""

LATEST = 1e9
"""Largest moment in seconds: thirty years."""

_HOUR = 3600.0
_FREQUENCY, _TLS, _READOUT, _GAIN, _PHASE = range(5)
_SIZE = 1 << 40
"""Added to a source's number: the stream of what a site draws only once."""

_normal = NormalDist().inv_cdf
Draw = Callable[[int], float]


def _draws(seed: int, source: int, site: int) -> Draw:
    """Return a uniform number for each cell: SplitMix64 (Steele et al. 2014), faster than generators."""
    mask, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15
    key = int(np.random.SeedSequence([seed, source, site]).generate_state(1, np.uint64)[0])

    def draw(cell: int) -> float:
        z = (key + cell * golden) & mask
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return ((z ^ (z >> 31)) + 0.5) / 2.0**64

    return draw


def _sample(cell: int, draw: Draw, start: float, forward: Callable[..., float], between: Callable[..., float]) -> float:
    """Return a Markov process at ``cell``.

    Args:
        cell: number of the cell, from 0.
        draw: a uniform number for each cell.
        start: the value in cell 0.
        forward: (value, cells, uniform) to the value so many cells later.
        between: (left value, right value, cells to the left, cells to the right, uniform) to the value between.

    """
    left, right = 0, 1
    x = start
    y = forward(x, 1, draw(1))
    while right <= cell:
        left, x = right, y
        right *= 2
        y = forward(x, right - left, draw(right))
    while right - left > 1:
        middle = (left + right) // 2
        z = between(x, y, middle - left, right - middle, draw(middle))
        if middle <= cell:
            left, x = middle, z
        else:
            right, y = middle, z
    return x


def telegraph(moment: float, draw: Draw, waits: tuple[float, float]) -> int:
    """Return the state, 0 or 1, of a telegraph process with mean times ``waits`` (s) in 0 and in 1."""
    rates = (CELL / waits[0], CELL / waits[1])
    total = rates[0] + rates[1]
    equilibrium = (rates[1] / total, rates[0] / total)

    def chance(new: int, old: int, cells: int) -> float:
        left = math.exp(-total * cells)
        return equilibrium[new] * (1 - left) + left * (new == old)

    def forward(x: float, cells: int, uniform: float) -> float:
        return float(uniform < chance(1, int(x), cells))

    def between(x: float, y: float, before: int, after: int, uniform: float) -> float:
        weight = [chance(z, int(x), before) * chance(int(y), z, after) for z in (0, 1)]
        return float(uniform * (weight[0] + weight[1]) < weight[1])

    start = float(draw(0) < equilibrium[1])
    return int(_sample(int(moment // CELL), draw, start, forward, between))


def walk(moment: float, draw: Draw, rate: float) -> float:
    """Return a Brownian motion from 0 with standard deviation ``rate * sqrt(moment)``, moment in seconds."""

    def forward(x: float, cells: int, uniform: float) -> float:
        return x + rate * math.sqrt(cells * CELL) * _normal(uniform)

    def between(x: float, y: float, before: int, after: int, uniform: float) -> float:
        mean = x + (y - x) * before / (before + after)
        return mean + rate * math.sqrt(CELL * before * after / (before + after)) * _normal(uniform)

    return _sample(int(moment // CELL), draw, 0.0, forward, between)


def _jump(seed: int, source: int, site: int, moment: float, sizes: tuple[float, float], wait: float) -> float:
    """Return 0, or the size of a site's jump: of either sign, drawn log-uniformly between ``sizes``."""
    if not telegraph(moment, _draws(seed, source, site), (wait, wait)):
        return 0.0
    own = _draws(seed, source + _SIZE, site)
    size = sizes[0] * math.exp(own(0) * math.log(sizes[1] / sizes[0]))
    return size if own(1) < 0.5 else -size


def _qubit_at(qubit: Qubit, drift: Drift, site: int, moment: float) -> Qubit:
    if drift.frequency_jump[1]:
        step = _jump(drift.seed, _FREQUENCY, site, moment, drift.frequency_jump, drift.frequency_wait)
        qubit = replace(qubit, frequency=qubit.frequency + step)
    if drift.readout_jump[1]:
        step = _jump(drift.seed, _READOUT, site, moment, drift.readout_jump, drift.readout_wait)
        qubit = replace(qubit, readout_frequency=qubit.readout_frequency + step)
    if drift.t1_factor < 1 and telegraph(moment, _draws(drift.seed, _TLS, site), (drift.tls_wait, drift.tls_stay)):
        qubit = shorter_lived(qubit, drift.t1_factor)
    return qubit


def _wire_at(wire: Wire, drift: Drift, site: int, moment: float) -> Wire:
    """Return a line at a moment; gain in steps of 1e-4, phase in steps of 1 mrad, so that propagators can be kept."""
    if drift.gain_walk:
        change = walk(moment, _draws(drift.seed, _GAIN, site), drift.gain_walk / math.sqrt(_HOUR))
        wire = replace(wire, gain=wire.gain * round(math.exp(change), 4))
    if drift.phase_walk:
        change = walk(moment, _draws(drift.seed, _PHASE, site), drift.phase_walk / math.sqrt(_HOUR))
        wire = replace(wire, phase=wire.phase + round(change, 3))
    if wire.name in drift.dead_lines:
        wire = replace(wire, gain=0.0)
    return wire


def chip_at(chip: Chip, drift: Drift, moment: float) -> Chip:
    """Return ``chip`` as it is after ``moment`` seconds of drift time; the chip itself when nothing drifts."""
    if not drift.on:
        return chip
    qubits = tuple(_qubit_at(q, drift, site, moment) for site, q in enumerate(chip.qubits))
    reached = {w.name: w.qubit for w in chip.wires}
    for a, b in drift.swapped_lines:
        reached[a], reached[b] = reached[b], reached[a]
    wires = tuple(_wire_at(replace(w, qubit=reached[w.name]), drift, site, moment) for site, w in enumerate(chip.wires))
    return replace(chip, qubits=qubits, wires=wires)
