"""From lowered programs to chunks that fit the instruments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.memory import Memory
from pulsed.compiler.program import (
    PARAMETER,
    Block,
    Chunk,
    ChunkHead,
    PartWriter,
    Program,
    Settings,
)
from pulsed.compiler.sweeps import Sweep
from pulsed.compiler.wiring import Wiring
from pulsed.model.job import RunOptions


@dataclass(frozen=True)
class Named:
    """A lowered program and what its result is labelled with."""

    name: str
    lowered: Lowered
    memory_slots: int
    creg_sizes: tuple[tuple[str, int], ...] = ()
    metadata: bytes = b"{}"
    sweep: Sweep | None = None

    @property
    def count(self) -> int:
        """How many results it brings back."""
        return 1 if self.sweep is None else len(self.sweep.bindings)

    def part(self, first: int, last: int) -> Named:
        """Return this program with some of its bindings."""
        assert self.sweep is not None
        return replace(self, sweep=replace(self.sweep, bindings=self.sweep.bindings[first:last]))


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
        biases=wiring.biases,
        ports=wiring.port_settings,
        discriminators=wiring.discriminators,
    )


def make_chunks(
    programs: Sequence[Named], wiring: Wiring, memory: Memory, table: EnvelopeTable, options: RunOptions
) -> list[Chunk]:
    """Split programs × bindings × shots into chunks that fit the instruments, in the order of the job.

    Raises :class:`LoweringError` with the numbers for a program that can never fit.
    """
    whole = settings_of(wiring, options, options.shots)
    chunks: list[Chunk] = []
    first, result = 0, 0
    before: list[Named] = []
    for group, shots, first_shot in _split(programs, memory, table, whole):
        if first_shot == 0:
            first, result = result, result + sum(item.count for item in group)
        complete, sweep = shots == whole.shots, group[0].sweep
        if complete and len(group) == len(before) == 1 and group[0].lowered is before[0].lowered and sweep is not None:
            chunks.append(_rebound(chunks[-1], sweep, first))
        else:
            settings = whole if complete else msgspec.structs.replace(whole, shots=shots)
            chunks.append(_chunk(group, wiring, table, settings, first, first_shot))
        before = group if complete else []
    return chunks


def _rebound(chunk: Chunk, sweep: Sweep, first: int) -> Chunk:
    """Return a chunk of one program with other bindings; they are the last part, all others are shared."""
    writer = PartWriter()
    bindings = msgspec.structs.replace(writer.add(sweep.bindings), part=len(chunk.parts) - 1)
    program = msgspec.structs.replace(chunk.programs[0], bindings=bindings)
    head = msgspec.structs.replace(chunk.head, programs=(program,), first_program=first)
    return Chunk(head, [*chunk.parts[:-1], *writer.parts])


def _fitting(program: Named, share: float) -> list[Named]:
    """Return the program, or parts of it when it has more bindings than a chunk holds."""
    if program.count == 1 or share * program.count <= 1:
        return [program]
    step = max(1, int(1 / share))
    return [program.part(first, first + step) for first in range(0, program.count, step)]


def _split(
    programs: Sequence[Named], memory: Memory, table: EnvelopeTable, settings: Settings
) -> Iterator[tuple[list[Named], int, int]]:
    """Yield (programs, shots, first shot) of each chunk."""
    shots = settings.shots
    group: list[Named] = []
    shares, used = np.zeros(0), memory.nothing(table)
    for whole in programs:
        load = memory.of(whole.lowered, whole.name, table, settings)
        share = float(load.shares.max())
        for program in _fitting(whole, share):
            mine = load.shares * program.count
            if group:
                together = used | load.used
                if (shares + mine).max() > 1 or not memory.fits(together, table):
                    yield group, shots, 0
                    group = []
            if not group:
                shares, together = np.zeros(len(mine)), load.used
            if share > 1 and program.count == 1:
                per_chunk = max(1, int(shots / share))
                for shot in range(0, shots, per_chunk):
                    yield [program], min(per_chunk, shots - shot), shot
                continue
            group.append(program)
            shares, used = shares + mine, together
    if group:
        yield group, shots, 0


def _chunk(
    programs: Sequence[Named], wiring: Wiring, table: EnvelopeTable, settings: Settings, first: int, first_shot: int
) -> Chunk:
    # A copy, also of a single program: its rows are numbered anew below.
    events = np.concatenate([item.lowered.events for item in programs])
    acquisitions = np.concatenate([item.lowered.acquisitions for item in programs])
    used = _renumber(events, acquisitions, len(table.rows))
    writer = PartWriter()
    event_ref, acquisition_ref = writer.add(events), writer.add(acquisitions)
    no_parameters = writer.add(np.zeros(0, dtype=PARAMETER))
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
                parameters=no_parameters if item.sweep is None else writer.add(item.sweep.parameters),
                memory_slots=item.memory_slots,
                duration=item.lowered.duration,
                creg_sizes=item.creg_sizes,
                metadata=item.metadata,
                bindings=None if item.sweep is None else writer.add(item.sweep.bindings),
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


def _renumber(events: npt.NDArray[np.void], acquisitions: npt.NDArray[np.void], count: int) -> npt.NDArray[np.int64]:
    """Return the rows of the compiler's table that are used, and make events and kernels count from those."""
    played = np.zeros(count + 1, dtype=bool)
    played[events["envelope"]] = True
    played[acquisitions["kernel"]] = True
    used = np.flatnonzero(played[:-1])
    moved = np.full(count + 1, -1, dtype=np.int32)
    moved[used] = np.arange(len(used))
    events["envelope"] = moved[events["envelope"]]
    acquisitions["kernel"] = moved[acquisitions["kernel"]]
    return used
