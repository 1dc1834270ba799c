"""Jumps of qubits while they are measured: relaxation and excitation, faster with photons in the resonator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.dynamics.hamiltonian import LEVELS
from pulsed.simulator.dynamics.superoperators import exponential, rates
from pulsed.simulator.readout.response import STRIDE, Response

RELAXATION_GAIN = 20.0
"""Relaxation grows by this factor times n/n_crit: the readout-induced T1 of real chips, in size."""

EXCITATION_RATE = 5e-4
"""Upward rate per ns at n = n_crit, quadratic in n/n_crit: more power is not always better."""


@dataclass
class Jumps:
    """Jumps of one qubit during a measurement, in order of time for each shot."""

    shots: NDArray[np.int64]
    times: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]

    def of(self, numbers: NDArray[np.int64]) -> Jumps:
        """Return the same jumps, shot k being that with the k-th of ``numbers``."""
        return Jumps(numbers[self.shots], self.times, self.before, self.after)

    def among(self, shots: NDArray[np.int64] | slice) -> Jumps:
        """Return the jumps of some shots, ascending, which are numbered again from 0; a slice means all."""
        if isinstance(shots, slice):
            return self
        place = np.searchsorted(shots, self.shots)
        mine = np.flatnonzero(place < len(shots))
        mine = mine[shots[place[mine]] == self.shots[mine]]
        return Jumps(place[mine], self.times[mine], self.before[mine], self.after[mine])

    def then(self, later: Jumps) -> Jumps:
        """Return these jumps and later ones."""
        mine, others = ((j.shots, j.times, j.before, j.after) for j in (self, later))
        return Jumps(*(np.concatenate(columns) for columns in zip(mine, others, strict=True)))


def hazards(chip: Chip, response: Response, i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cumulative rates (3, N + 1) of leaving each level down and up, photons included; kept."""
    if i in response.hazards:
        return response.hazards[i]
    qubit = chip.qubits[response.measured[i]]
    base = rates(qubit)
    photons = np.abs(response.alpha[i]) ** 2 / qubit.n_crit
    n = np.arange(LEVELS)[:, None]
    down = n * base.down * (1 + RELAXATION_GAIN * photons)
    up = ((n + 1) * base.up + EXCITATION_RATE * photons**2) * (n < LEVELS - 1)
    if not chip.effects.readout_jumps:
        down, up = 0.0 * down, 0.0 * up
    zero = np.zeros((LEVELS, 1))
    response.hazards[i] = (
        np.concatenate([zero, np.cumsum(down[:, 1:], axis=1)], axis=1),
        np.concatenate([zero, np.cumsum(up[:, 1:], axis=1)], axis=1),
    )
    return response.hazards[i]


def transfer(chip: Chip, response: Response, i: int, samples: tuple[int, int]) -> NDArray[np.float64]:
    """Return (3, 3): the map of measured qubit ``i``'s populations from one sample to another; kept.

    The mean of what :func:`sample_jumps` draws, with rates that are constant over STRIDE samples.
    """
    key = (i, *samples)
    found = response.transfers.get(key)
    if found is None:
        down, up = hazards(chip, response, i)
        edges = np.append(np.arange(samples[0], samples[1], STRIDE), samples[1])
        falling, rising = np.diff(down[:, edges]).T, np.diff(up[:, edges]).T
        generators = np.zeros((len(falling), LEVELS, LEVELS))
        for s in range(LEVELS):
            generators[:, s, s] = -falling[:, s] - rising[:, s]
            if s:
                generators[:, s - 1, s] = falling[:, s]
            if s < LEVELS - 1:
                generators[:, s + 1, s] = rising[:, s]
        found = np.eye(LEVELS)
        for step in exponential(generators):
            found = step @ found
        response.transfers[key] = found
    return found


def sample_jumps(
    chip: Chip,
    response: Response,
    i: int,
    levels: NDArray[np.int64],
    rng: np.random.Generator,
    samples: tuple[int, int] | None = None,
) -> tuple[NDArray[np.int64], Jumps]:
    """Draw the jumps of measured qubit ``i`` in each shot; return the final levels and the jumps.

    Args:
        chip: the chip.
        response: what the resonators do meanwhile.
        i: index into ``response.measured``.
        levels: (shots,) levels at the start.
        rng: source of the draws.
        samples: from which to which sample; from the first to the last if there are none.

    """
    down, up = hazards(chip, response, i)
    both = down + up
    first, last = samples or (0, -1)
    current = levels.copy()
    active = np.arange(len(levels))
    since = np.full(len(levels), first, dtype=np.int64)
    found: list[tuple[NDArray[np.int64], ...]] = []
    while True:  # a shot jumps at most once in a sample, so there is an end
        goal = both[current[active], since[active]] + rng.standard_exponential(len(active))
        hit = goal < both[current[active], last]
        active, goal = active[hit], goal[hit]
        if len(active) == 0:
            break
        time = np.empty(len(active), dtype=np.int64)
        for s in range(LEVELS):
            at = current[active] == s
            time[at] = np.searchsorted(both[s], goal[at])
        before = current[active]
        falling = down[before, time] - down[before, time - 1]
        rising = up[before, time] - up[before, time - 1]
        after = before + np.where(rng.random(len(active)) * (falling + rising) < falling, -1, 1)
        found.append((active, time, before, after))
        current[active], since[active] = after, time
    empty = np.zeros(0, dtype=np.int64)
    joined = [np.concatenate(c) for c in zip(*found, strict=True)] if found else [empty] * 4
    return current, Jumps(*joined)
