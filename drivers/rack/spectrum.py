"""What a spectrum analyser sees of a port while a program is played over and over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk
from pulsed.drivers.contract import Analyser, SpectrumSweep
from pulsed.drivers.programs import InstrumentPrograms
from pulsed.drivers.rack.assembly import program_result
from pulsed.drivers.rack.connections import Connections
from pulsed.drivers.rack.partition import partition_chunk
from pulsed.drivers.rack.steps import ValidatedChunk, Watch, prepare, validate
from pulsed.model.job import Spectrum
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import ProgramResult

ENDLESS = 2**32 - 1
"""Shots of a program that plays until it is stopped."""
_NARROWEST = 10.0
_EVEN = 1e-6


def sweeps(wanted: Spectrum) -> list[SpectrumSweep]:
    """Return the sweeps to make: one for evenly spaced frequencies that leave no gap, else one for each of them."""
    frequencies = np.array(wanted.frequencies)
    steps = np.diff(frequencies)
    if len(steps) and steps.min() > 0 and np.ptp(steps) <= _EVEN * steps[0] and steps[0] <= wanted.rbw:
        return [SpectrumSweep(wanted.port, float(frequencies[0]), float(frequencies[-1]), len(frequencies), wanted.rbw)]
    half = max(wanted.rbw, _NARROWEST) / 2
    return [SpectrumSweep(wanted.port, f - half, f + half, 3, wanted.rbw) for f in wanted.frequencies]


def measure_spectrum(analyser: Analyser, wanted: Spectrum, deadline: float) -> npt.NDArray[np.float64]:
    """Make the sweeps of :func:`sweeps` and return the levels: float64 (frequencies,) in dBm at the port."""
    traces = [analyser.sweep(one, deadline)[1] for one in sweeps(wanted)]
    if len(traces) < len(wanted.frequencies):
        return traces[0]
    return np.array([middle for _, middle, _ in traces])


def endless(chunk: Chunk, index: int) -> Chunk:
    """Return the chunk of the program ``index`` alone, to be played until it is stopped."""
    settings = msgspec.structs.replace(chunk.settings, shots=ENDLESS)
    return Chunk(msgspec.structs.replace(chunk.head, programs=(chunk.programs[index],), settings=settings), chunk.parts)


def play_spectrum(
    connections: Connections, chunk: Chunk, watch: Watch, verify: bool = False
) -> tuple[list[ProgramResult], list[Part]]:
    """Play each program of ``chunk`` over and over while the analyser measures, and return the results and levels."""
    analyser, wanted, writer, results = connections.analyser(), chunk.settings.spectrum, PartWriter(), []
    assert wanted is not None
    quiet = replace(watch, report=lambda _stage, _done: None)
    players = connections.players
    for index, program in enumerate(chunk.programs):
        with watch.timed("validate"):
            validated = validate_spectrum(connections, endless(chunk, index))
        prepared = prepare(connections, validated, quiet, verify)
        with watch.timed("play"):
            leaders = connections.leaders(prepared.handles)
            connections.gather({n: partial(players[n].start, watch.deadline) for n in leaders})
            levels = measure_spectrum(analyser, wanted, watch.deadline)
            connections.gather({n: partial(players[n].stop, watch.deadline) for n in prepared.handles})
            connections.gather({d.name: partial(d.status, watch.deadline) for d, _ in validated.settings})
        results.append(program_result(chunk, program, spectrum=writer.add(levels)))
        watch.report("play", (index + 1) / len(chunk.programs))
    return results, writer.parts


def validate_spectrum(connections: Connections, chunk: Chunk) -> ValidatedChunk:
    """Check every limit, the analyser's too; no digitizer records while it measures."""
    assert chunk.settings.spectrum is not None
    analyser = connections.analyser()
    for sweep in sweeps(chunk.settings.spectrum):
        analyser.validate(sweep)
    programs = partition_chunk(chunk, connections.device)
    return validate(connections, chunk, InstrumentPrograms(programs.playbacks, {}))
