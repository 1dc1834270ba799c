"""From lowered programs to chunks that fit the instruments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed import old_names
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.envelopes import EnvelopeTable
from pulsed.compiler.lowering import Lowered
from pulsed.compiler.memory import MemoryBudget
from pulsed.compiler.program import (
    ACQUISITION,
    EVENT,
    PARAMETER,
    Block,
    Chunk,
    ChunkHead,
    ChunkSettings,
    PartWriter,
    Program,
)
from pulsed.compiler.sweeps import LoweredSweep
from pulsed.model.job import RunOptions

__getattr__ = old_names(__name__)

_NO_PARAMETERS = np.zeros(0, dtype=PARAMETER)


@dataclass(frozen=True)
class LabelledProgram:
    """A lowered program and what its result is labelled with."""

    name: str
    lowered: Lowered
    memory_slots: int
    creg_sizes: tuple[tuple[str, int], ...] = ()
    metadata: bytes = b"{}"
    sweep: LoweredSweep | None = None

    @property
    def count(self) -> int:
        """How many results it brings back."""
        return 1 if self.sweep is None else len(self.sweep.bindings)

    def part(self, first: int, last: int) -> LabelledProgram:
        """Return this program with some of its bindings."""
        assert self.sweep is not None
        bindings = LoweredSweep(self.sweep.parameters, self.sweep.bindings[first:last])
        return LabelledProgram(self.name, self.lowered, self.memory_slots, self.creg_sizes, self.metadata, bindings)


def settings_of(channel_map: ChannelMap, options: RunOptions, shots: int) -> ChunkSettings:
    """Return what is fixed on the rack for a job with ``options``."""
    limits = channel_map.device.limits
    # What is only looked at need not relax: without pauses there is most to see.
    default = limits.rep_delay if options.spectrum is None else limits.rep_delay_min
    rep_delay = options.rep_delay if options.rep_delay is not None else default
    if options.init_qubits:
        rep_delay = max(rep_delay, limits.rep_delay)
    return ChunkSettings(
        shots=shots,
        # To the picosecond: a float of the user's such as 1e-4 is no exact fraction of a second.
        rep_delay=Fraction(round(rep_delay * 1e12), 10**12),
        meas_level=options.meas_level,
        meas_return=options.meas_return,
        iq=options.iq,
        los=channel_map.los,
        biases={name: options.settings.get(f"ports.{name}.bias", level) for name, level in channel_map.biases.items()},
        ports=channel_map.port_settings,
        discriminators=channel_map.discriminators,
        spectrum=options.spectrum,
    )


def make_chunks(
    programs: Iterable[LabelledProgram],
    channel_map: ChannelMap,
    memory: MemoryBudget,
    table: EnvelopeTable,
    options: RunOptions,
) -> list[Chunk]:
    """Split programs × bindings × shots into chunks that fit the instruments, in the order of the job.

    A chunk is made as soon as the next program does not fit it, so that only its programs are held besides.
    Raises :class:`LoweringError` with the numbers for a program that can never fit.
    """
    whole = settings_of(channel_map, options, options.shots)
    chunks: list[Chunk] = []
    first, result = 0, 0
    before: list[LabelledProgram] = []
    for group, shots, first_shot in _split(programs, memory, table, whole):
        if first_shot == 0:
            first, result = result, result + sum(item.count for item in group)
        complete, sweep = shots == whole.shots, group[0].sweep
        if complete and len(group) == len(before) == 1 and group[0].lowered is before[0].lowered and sweep is not None:
            chunks.append(_rebound(chunks[-1], sweep, first))
        else:
            settings = whole if complete else msgspec.structs.replace(whole, shots=shots)
            chunks.append(_chunk(group, channel_map, table, settings, first, first_shot))
        before = group if complete and sweep is not None else []
        # The next programs are lowered before the loop comes round: these are in their chunk, and not needed besides.
        del group
    return chunks


def _rebound(chunk: Chunk, sweep: LoweredSweep, first: int) -> Chunk:
    """Return a chunk of one program with other bindings; they are the last part, all others are shared."""
    writer = PartWriter()
    bindings = msgspec.structs.replace(writer.add(sweep.bindings), part=len(chunk.parts) - 1)
    program = msgspec.structs.replace(chunk.programs[0], bindings=bindings)
    head = msgspec.structs.replace(chunk.head, programs=(program,), first_program=first)
    return Chunk(head, [*chunk.parts[:-1], *writer.parts])


def _fitting(program: LabelledProgram, share: float) -> list[LabelledProgram]:
    """Return the program, or parts of it when it has more bindings than a chunk holds."""
    if program.count == 1 or share * program.count <= 1:
        return [program]
    step = max(1, int(1 / share))
    return [program.part(first, first + step) for first in range(0, program.count, step)]


def _split(
    programs: Iterable[LabelledProgram], memory: MemoryBudget, table: EnvelopeTable, settings: ChunkSettings
) -> Iterator[tuple[list[LabelledProgram], int, int]]:
    """Yield (programs, shots, first shot) of each chunk."""
    shots = settings.shots
    group: list[LabelledProgram] = []
    held = memory.nothing()
    for whole in programs:
        load = memory.of(whole.lowered, whole.name, table, settings, whole.memory_slots)
        share = load.most
        *full, program = _fitting(whole, share)
        joins = group and not full and share <= 1
        together = memory.joined(held, load, program.count, table) if joins else None
        if group and together is None:
            yield group, shots, 0
            group = []
        if share > 1:
            per_chunk = max(1, int(shots / share))
            for part in (*full, program):
                for shot in range(0, shots, per_chunk):
                    yield [part], min(per_chunk, shots - shot), shot
            continue
        for part in full:
            yield [part], shots, 0
        group.append(program)
        held = load.times(program.count) if together is None else together
    if group:
        yield group, shots, 0


def _chunk(
    programs: Sequence[LabelledProgram],
    channel_map: ChannelMap,
    table: EnvelopeTable,
    settings: ChunkSettings,
    first: int,
    first_shot: int,
) -> Chunk:
    # Copies, also of a single program: their envelopes are numbered again.
    events = _concatenated([item.lowered.events for item in programs], EVENT)
    acquisitions = _concatenated([item.lowered.acquisitions for item in programs], ACQUISITION)
    packed = table.packed(_renumber(events, acquisitions, len(table.rows)))
    writer = PartWriter()
    writer.add(packed.samples)
    event_ref, acquisition_ref = writer.add(events), writer.add(acquisitions)
    no_parameters = writer.add(_NO_PARAMETERS)
    built, e, a = [], 0, 0
    for item in programs:
        n_events, n_acquisitions = len(item.lowered.events), len(item.lowered.acquisitions)
        block = Block((0, n_events), (0, n_acquisitions), item.lowered.duration)
        built.append(
            Program(
                name=item.name,
                blocks=item.lowered.blocks or (block,),
                events=event_ref.rows(e, e + n_events),
                acquisitions=acquisition_ref.rows(a, a + n_acquisitions),
                parameters=no_parameters if item.sweep is None else writer.add(item.sweep.parameters),
                memory_slots=item.memory_slots,
                duration=item.lowered.duration,
                creg_sizes=item.creg_sizes,
                metadata=item.metadata,
                bindings=None if item.sweep is None else writer.add(item.sweep.bindings),
                made=item.lowered.made,
            )
        )
        e, a = e + n_events, a + n_acquisitions
    head = ChunkHead(
        slots=channel_map.slots,
        programs=tuple(built),
        settings=settings,
        keys=packed.keys,
        envelopes=packed.refs,
        calibration_id=channel_map.calibration_id,
        first_program=first,
        first_shot=first_shot,
    )
    return Chunk(head, writer.parts)


def _concatenated(rows: list[npt.NDArray[np.void]], dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    # As bytes: numpy copies rows with fields field by field.
    opaque = np.dtype((np.void, dtype.itemsize))
    return np.concatenate([item.view(opaque) for item in rows]).view(dtype)


@njit(cache=True)
def _renumber(events, acquisitions, count):  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    """Return which of the ``count`` rows of the compiler's table are used, and make events and kernels count those."""
    moved = np.zeros(count, np.int32)
    for i in range(events.shape[0]):
        if events[i].envelope >= 0:
            moved[events[i].envelope] = 1
    for i in range(acquisitions.shape[0]):
        if acquisitions[i].kernel >= 0:
            moved[acquisitions[i].kernel] = 1
    used, n = np.empty(moved.sum(), np.int64), 0
    for row in range(count):
        if moved[row]:
            used[n], moved[row] = row, n
            n += 1
    for i in range(events.shape[0]):
        if events[i].envelope >= 0:
            events[i].envelope = moved[events[i].envelope]
    for i in range(acquisitions.shape[0]):
        if acquisitions[i].kernel >= 0:
            acquisitions[i].kernel = moved[acquisitions[i].kernel]
    return used
