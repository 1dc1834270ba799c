"""The results of chunks: as the store keeps them, and together as the result of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.model.errors import JobFailedError
from pulsed.model.payload import ArrayRef, Part, PartWriter, read_array
from pulsed.model.result import ProgramResult

_PER_SHOT = ("bits", "levels")
_MAYBE_AVERAGED = ("iq", "records")
_AVERAGED = ("spectrum",)
ARRAYS = (*_PER_SHOT, *_MAYBE_AVERAGED, *_AVERAGED)


class ChunkResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a chunk brought back; its arrays follow as parts."""

    first_program: int
    first_shot: int
    programs: tuple[ProgramResult, ...]
    times: dict[str, float]


encode_chunk = msgspec.msgpack.Encoder().encode
decode_chunk = msgspec.msgpack.Decoder(ChunkResult).decode

ProgramPiece = tuple[int, ProgramResult, Sequence[Part]]
"""First shot, result, and the parts its arrays lie in."""


def merge_chunks(
    chunks: Iterable[tuple[ChunkResult, Sequence[Part]]], num_programs: int, shots: int
) -> tuple[tuple[ProgramResult, ...], list[Part]]:
    """Return one result per program in the order of the job, and the parts.

    Shots that were split are joined in order; averages are weighted with their shots. Raises
    :class:`JobFailedError` when a shot of a program is missing.
    """
    pieces: list[list[ProgramPiece]] = [[] for _ in range(num_programs)]
    for head, parts in chunks:
        for i, program in enumerate(head.programs):
            pieces[head.first_program + i].append((head.first_shot, program, parts))
    parts_out: list[Part] = []
    moved: dict[tuple[int, int], int] = {}
    programs = []
    for index, found in enumerate(pieces):
        found.sort(key=lambda piece: piece[0])
        if sum(program.shots for _, program, _ in found) != shots:
            raise JobFailedError("the chunks do not add up to the job", subject=f"program {index}", legal=shots)
        programs.append(_moved(found[0], parts_out, moved) if len(found) == 1 else _joined(found, parts_out))
    return tuple(programs), parts_out


class ResultsSoFar:
    """The results of the chunks that have come, joined; chunks come in the order in which they are played."""

    def __init__(self) -> None:
        self._pieces: dict[int, ProgramPiece] = {}

    def add(self, chunk: ChunkResult, parts: Sequence[Part]) -> None:
        """Take the next chunk."""
        for i, program in enumerate(chunk.programs):
            number, piece = chunk.first_program + i, (chunk.first_shot, program, parts)
            if number in self._pieces:
                joined: list[Part] = []
                whole = _joined([self._pieces[number], piece], joined)
                piece = (0, whole, joined)
            self._pieces[number] = piece

    def programs(self) -> tuple[tuple[ProgramResult, ...], list[Part]]:
        """Return one result per program that has been begun, in the order of the job, and the parts."""
        parts_out: list[Part] = []
        moved: dict[tuple[int, int], int] = {}
        return tuple(_moved(self._pieces[k], parts_out, moved) for k in sorted(self._pieces)), parts_out


def _with(program: ProgramResult, ref_of: Callable[[str], ArrayRef | None], **changes: Any) -> ProgramResult:
    return msgspec.structs.replace(program, **{name: ref_of(name) for name in ARRAYS}, **changes)


def _moved(piece: ProgramPiece, parts_out: list[Part], moved: dict[tuple[int, int], int]) -> ProgramResult:
    """Carry the parts over as they are; programs may share one. ``moved`` says where each one went."""
    _, program, parts = piece

    def move(name: str) -> ArrayRef | None:
        ref: ArrayRef | None = getattr(program, name)
        if ref is None:
            return None
        key = (id(parts), ref.part)
        if key not in moved:
            parts_out.append(parts[ref.part])
            moved[key] = len(parts_out) - 1
        return msgspec.structs.replace(ref, part=moved[key])

    return _with(program, move)


def _joined(found: list[ProgramPiece], parts_out: list[Part]) -> ProgramResult:
    first = found[0][1]
    writer = PartWriter()
    writer.parts = parts_out
    shots = [program.shots for _, program, _ in found]

    def join(name: str) -> ArrayRef | None:
        refs = [(getattr(program, name), parts) for _, program, parts in found]
        if refs[0][0] is None:
            return None
        arrays = [read_array(ref, parts) for ref, parts in refs]
        averaged = name in _AVERAGED or (name in _MAYBE_AVERAGED and first.meas_return == "avg")
        return writer.add(_average(arrays, shots) if averaged else np.concatenate(arrays))

    overrange = any(program.overrange for _, program, _ in found)
    return _with(first, join, shots=sum(shots), overrange=overrange)


def _average(arrays: list[npt.NDArray[Any]], shots: list[int]) -> npt.NDArray[Any]:
    mean = np.average(np.stack(arrays), axis=0, weights=shots)
    return mean.astype(arrays[0].dtype)
