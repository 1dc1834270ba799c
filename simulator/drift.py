"""What changes on a chip while nobody looks: the chip at a moment, as a pure function of (settings, moment).

Each quantity is a Markov process that is sampled at any moment without what came before it: its value at the ends of
doubling intervals is drawn forwards, then bisected with the process's own bridge down to a cell of ``CELL`` seconds.
Each draw is named by (seed, source, site, cell), so a moment is the same in whatever order moments are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from pulsed.model.errors import ConfigError

if TYPE_CHECKING:
    from pulsed.simulator.chip import Chip, Qubit, Wire

CELL = 1.0
"""Seconds of drift time in which nothing changes."""

LATEST = 1e9
"""Largest moment in seconds: thirty years."""

_HOUR = 3600.0
_FREQUENCY, _TLS, _READOUT, _GAIN, _PHASE = range(5)
_SIZE = 1 << 40
"""Added to a source's number: the stream of what a site draws once and for all."""

_normal = NormalDist().inv_cdf
Draw = Callable[[int], float]


@dataclass(frozen=True)
class Drift:
    """What drifts; all of it off unless it is set. Times in seconds of drift time, jumps in Hz.

    Attributes:
        seed: of all sources.
        factor: seconds of drift in one second of playing.
        frequency_jump: smallest and largest size of a qubit's telegraph jumps (2 to 20 kHz on real chips), 0 for off.
        frequency_wait: mean time between them.
        t1_factor: what a passing two-level system multiplies T1 by (0.3 on real chips), 1 for off.
        tls_wait: mean time until it comes.
        tls_stay: mean time that it stays.
        readout_jump: as ``frequency_jump``, of the resonators.
        readout_wait: mean time between them.
        gain_walk: random walk of each line's gain, relative, in one hour (0.001 to 0.01).
        phase_walk: random walk of the LO's phase at each line's mixer, rad in one hour.
        dead_lines: names of lines that nothing gets through.
        swapped_lines: pairs of drive lines whose plugs are exchanged.

    """

    seed: int = 0
    factor: float = 1.0
    frequency_jump: tuple[float, float] = (0.0, 0.0)
    frequency_wait: float = 600.0
    t1_factor: float = 1.0
    tls_wait: float = 7200.0
    tls_stay: float = 1200.0
    readout_jump: tuple[float, float] = (0.0, 0.0)
    readout_wait: float = 3600.0
    gain_walk: float = 0.0
    phase_walk: float = 0.0
    dead_lines: tuple[str, ...] = ()
    swapped_lines: tuple[tuple[str, str], ...] = ()

    @property
    def on(self) -> bool:
        """Whether anything drifts."""
        jumps = self.frequency_jump[1] or self.readout_jump[1] or self.t1_factor < 1
        return bool(jumps or self.gain_walk or self.phase_walk or self.dead_lines or self.swapped_lines)


NOTHING = Drift()
"""No drift."""


def check(condition: bool, message: str, subject: str, value: object, legal: str) -> None:
    """Raise ConfigError unless ``condition`` holds."""
    if not condition:
        raise ConfigError(message, subject=subject, value=value, legal=legal)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _read_drift_value(name: str, value: Any, chip: Chip) -> Any:
    """Return one value of a drift table as :class:`Drift` holds it; ConfigError for what it cannot hold."""
    subject = f"drift.{name}"
    if name == "seed":
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63
        check(good, "not a seed", subject, value, "an integer from 0 to 2^63 - 1")
    elif name in ("dead_lines", "swapped_lines"):
        legal = {w.name for w in chip.wires if name == "dead_lines" or w.qubit is not None}
        rows = value if isinstance(value, list | tuple) else [value]
        if name == "swapped_lines":
            good = all(isinstance(r, list | tuple) and len(r) == 2 and {*map(str, r)} <= legal for r in rows)
            check(good, "not pairs of drive lines", subject, value, f"pairs of {', '.join(sorted(legal))}")
            return tuple((str(a), str(b)) for a, b in rows)
        check({*map(str, rows)} <= legal, "no such line in the fridge", subject, value, ", ".join(sorted(legal)))
        return tuple(map(str, rows))
    elif name in ("frequency_jump", "readout_jump"):
        pair = tuple(map(_number, value)) if isinstance(value, list | tuple) else (_number(value),) * 2
        good = len(pair) == 2 and (pair == (0, 0) or 0 < pair[0] <= pair[1] < 1e8)
        check(good, "not a range of jumps", subject, value, "smallest and largest, 0 < a <= b < 1e8 Hz, or 0 for off")
        return pair
    else:
        low, high = {"t1_factor": (1e-3, 1.0), "gain_walk": (0.0, 1.0), "phase_walk": (0.0, 100.0)}.get(
            name, (1e-3, 1e9)
        )
        check(low <= _number(value) <= high, "out of range", subject, value, f"{low:g} to {high:g}")
        return float(value)
    return value


def read_drift(data: dict[str, Any], chip: Chip) -> Drift:
    """Return the drift of ``chip`` with the values of a table changed; ConfigError names the key and what is legal."""
    known = {f.name for f in fields(Drift)}
    unknown = sorted(set(data) - known)
    check(not unknown, "unknown key", "drift", ", ".join(unknown), ", ".join(sorted(known)))
    return replace(chip.drift, **{name: _read_drift_value(name, value, chip) for name, value in data.items()})


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
    """Return 0, or the size of a site's jump: between ``sizes``, of either sign, in the middle logarithmically."""
    if not telegraph(moment, _draws(seed, source, site), (wait, wait)):
        return 0.0
    own = _draws(seed, source + _SIZE, site)
    size = sizes[0] * math.exp(own(0) * math.log(sizes[1] / sizes[0]))
    return size if own(1) < 0.5 else -size


def shorter_lived(qubit: Qubit, factor: float) -> Qubit:
    """Return a qubit whose T1 is multiplied by ``factor``, its pure dephasing and its slow noise as they were."""
    t1 = qubit.t1 * factor
    rate = 1 / qubit.t2_echo + (1 / t1 - 1 / qubit.t1) / 2
    sigma2 = (2 * math.pi * qubit.detuning_sigma) ** 2
    # t/T2e + s^2 t^2/2 = 1, the definition of T2*, solved without cancellation for small s.
    star = 2 / (rate + math.sqrt(rate**2 + 2 * sigma2))
    return replace(qubit, t1=t1, t2_echo=1 / rate, t2_star=min(star, 1 / rate))


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


def at(chip: Chip, drift: Drift, moment: float) -> Chip:
    """Return ``chip`` as it is after ``moment`` seconds of drift time; the chip itself when nothing drifts."""
    if not drift.on:
        return chip
    qubits = tuple(_qubit_at(q, drift, site, moment) for site, q in enumerate(chip.qubits))
    reached = {w.name: w.qubit for w in chip.wires}
    for a, b in drift.swapped_lines:
        reached[a], reached[b] = reached[b], reached[a]
    wires = tuple(_wire_at(replace(w, qubit=reached[w.name]), drift, site, moment) for site, w in enumerate(chip.wires))
    return replace(chip, qubits=qubits, wires=wires)
