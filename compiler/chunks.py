"""From lowered programs to chunks that fit the instruments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pulsed.compiler.flat import EnvelopeTable
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.program import (
    EVENT,
    PARAMETER,
    Block,
    Chunk,
    ChunkHead,
    PartWriter,
    Program,
    Settings,
)
from pulsed.compiler.wiring import Wiring
from pulsed.model.job import RunOptions

MAX_EVENTS = 500_000
"""Events of one chunk: half of what the smallest sequence memory of a supported instrument holds."""
MAX_BYTES = 256 * 2**20
"""Bytes that one chunk brings back."""
MAX_SECONDS = 30.0
"""Wall time of one chunk: what is lost, and played again, when an instrument dies."""


@dataclass(frozen=True)
class Named:
    """A lowered program and what its result is labelled with."""

    name: str
    lowered: Lowered
    memory_slots: int
    creg_sizes: tuple[tuple[str, int], ...] = ()
    metadata: bytes = b"{}"


def settings_of(wiring: Wiring, options: RunOptions, shots: int) -> Settings:
    """Return what is fixed on the rack for a job with ``options``."""
    rep_delay = options.rep_delay if options.rep_delay is not None else wiring.device.limits.rep_delay
    return Settings(
        shots=shots,
        # To the picosecond: a float of the user's such as 1e-4 is no exact fraction of a second.
        rep_delay=Fraction(round(rep_delay * 1e12), 10**12),
        meas_level=options.meas_level,
        meas_return=options.meas_return,
        iq=options.iq,
        los=wiring.los,
        ports=wiring.port_settings,
        discriminators=wiring.discriminators,
    )


def make_chunks(programs: Sequence[Named], wiring: Wiring, table: EnvelopeTable, options: RunOptions) -> list[Chunk]:
    """Split programs × shots into chunks, in the order of the job."""
    whole = settings_of(wiring, options, options.shots)
    return [
        _chunk(programs[first:last], wiring, table, settings_of(wiring, options, shots), first, first_shot)
        for first, last, shots, first_shot in _split(programs, wiring, whole)
    ]


def _cost(program: Named, wiring: Wiring, settings: Settings) -> tuple[int, float, float]:
    """Return events, bytes per shot brought back, and seconds per shot."""
    acquisitions = program.lowered.acquisitions
    size = 4.0 * acquisitions["length"].sum() if settings.meas_level == 0 else 8.0 * len(acquisitions)
    seconds = program.lowered.duration * float(wiring.device.dt) + float(settings.rep_delay)
    return len(program.lowered.events), float(size), seconds


def _split(programs: Sequence[Named], wiring: Wiring, settings: Settings) -> Iterator[tuple[int, int, int, int]]:
    """Yield (first program, last program + 1, shots, first shot) of each chunk."""
    shots, first = settings.shots, 0
    events, size, seconds = 0, 0.0, 0.0
    for i, program in enumerate(programs):
        e, b, s = _cost(program, wiring, settings)
        full = events + e > MAX_EVENTS or size + b * shots > MAX_BYTES or seconds + s * shots > MAX_SECONDS
        if full and i > first:
            yield first, i, shots, 0
            first, events, size, seconds = i, 0, 0.0, 0.0
        if b * shots > MAX_BYTES or s * shots > MAX_SECONDS:
            per_chunk = max(1, int(min(MAX_BYTES / max(b, 1e-9), MAX_SECONDS / max(s, 1e-12))))
            for shot in range(0, shots, per_chunk):
                yield i, i + 1, min(per_chunk, shots - shot), shot
            first = i + 1
        else:
            events, size, seconds = events + e, size + b * shots, seconds + s * shots
    if first < len(programs):
        yield first, len(programs), shots, 0


def _chunk(
    programs: Sequence[Named], wiring: Wiring, table: EnvelopeTable, settings: Settings, first: int, first_shot: int
) -> Chunk:
    events = np.concatenate([item.lowered.events for item in programs]) if programs else np.zeros(0, EVENT)
    acquisitions = np.concatenate([item.lowered.acquisitions for item in programs])
    kernels = acquisitions["kernel"]
    played = np.zeros(len(table.rows) + 1, dtype=bool)
    played[events["envelope"]] = True
    played[kernels] = True
    used = np.flatnonzero(played[:-1])
    moved = np.full(len(played), -1, dtype=np.int32)
    moved[used] = np.arange(len(used))
    events["envelope"] = moved[events["envelope"]]
    acquisitions["kernel"] = moved[kernels]

    writer = PartWriter()
    event_ref, acquisition_ref = writer.add(events), writer.add(acquisitions)
    parameter_ref = writer.add(np.zeros(0, dtype=PARAMETER))
    envelopes = [table.rows[row] for row in used]
    samples = np.concatenate([item.samples for item in envelopes]) if envelopes else np.zeros(0, np.complex128)
    sample_ref = writer.add(samples)
    stops = np.cumsum([len(item.samples) for item in envelopes], dtype=np.int64).tolist()
    refs = tuple(sample_ref.rows(stop - len(item.samples), stop) for item, stop in zip(envelopes, stops, strict=True))
    built, e, a = [], 0, 0
    for item in programs:
        n_events, n_acquisitions = len(item.lowered.events), len(item.lowered.acquisitions)
        block = Block((0, n_events), (0, n_acquisitions), item.lowered.duration)
        built.append(
            Program(
                name=item.name,
                blocks=(block,),
                events=event_ref.rows(e, e + n_events),
                acquisitions=acquisition_ref.rows(a, a + n_acquisitions),
                parameters=parameter_ref,
                memory_slots=item.memory_slots,
                duration=item.lowered.duration,
                creg_sizes=item.creg_sizes,
                metadata=item.metadata,
            )
        )
        e, a = e + n_events, a + n_acquisitions
    head = ChunkHead(
        slots=wiring.slots,
        programs=tuple(built),
        settings=settings,
        keys=tuple(item.key for item in envelopes),
        envelopes=refs,
        calibration_id=wiring.calibration_id,
        first_program=first,
        first_shot=first_shot,
    )
    return Chunk(head, writer.parts)
