"""What a spectrum analyser sees of a port while a program is played over and over."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import Analyser, Sweep
from pulsed.model.job import Spectrum

ENDLESS = 2**32 - 1
"""Shots of a program that plays until it is stopped."""
_NARROWEST = 10.0
_EVEN = 1e-6


def sweeps(wanted: Spectrum) -> list[Sweep]:
    """Return the sweeps to make: one for evenly spaced frequencies that leave no gap, else one for each of them."""
    frequencies = np.array(wanted.frequencies)
    steps = np.diff(frequencies)
    if len(steps) and steps.min() > 0 and np.ptp(steps) <= _EVEN * steps[0] and steps[0] <= wanted.rbw:
        return [Sweep(wanted.port, float(frequencies[0]), float(frequencies[-1]), len(frequencies), wanted.rbw)]
    half = max(wanted.rbw, _NARROWEST) / 2
    return [Sweep(wanted.port, f - half, f + half, 3, wanted.rbw) for f in wanted.frequencies]


def look(analyser: Analyser, wanted: Spectrum, deadline: float) -> npt.NDArray[np.float64]:
    """Make the sweeps of :func:`sweeps` and return the levels: float64 (frequencies,) in dBm at the port."""
    traces = [analyser.sweep(one, deadline)[1] for one in sweeps(wanted)]
    if len(traces) < len(wanted.frequencies):
        return traces[0]
    return np.array([middle for _, middle, _ in traces])


def endless(chunk: Chunk, index: int) -> Chunk:
    """Return the chunk of the program ``index`` alone, to be played until it is stopped."""
    settings = msgspec.structs.replace(chunk.settings, shots=ENDLESS)
    return Chunk(msgspec.structs.replace(chunk.head, programs=(chunk.programs[index],), settings=settings), chunk.parts)
