"""The results of chunks: as the store keeps them, and together as the result of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.model.errors import JobFailedError
from pulsed.model.payload import ArrayRef, Part, PartWriter, dtype_of, read_array
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


class Assembly:
    """The result of a job, put together of chunks that come one by one, in any order.

    An array of several chunks is made once and filled; what lies in one chunk stays in the parts it came in. So nothing
    is held twice. Shots that were split are joined in order; averages are weighted with their shots.

    Args:
        heads: of all chunks.
        num_programs: of the job.
        shots: of each program.

    Raises :class:`JobFailedError` when a shot of a program is missing.

    """

    def __init__(self, heads: Sequence[ChunkResult], num_programs: int, shots: int) -> None:
        self._heads = heads
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        """Of each program of a chunk: its number in the job, and its place among the pieces of that."""
        pieces: list[list[tuple[int, int, int]]] = [[] for _ in range(num_programs)]
        for chunk, head in enumerate(heads):
            for i in range(len(head.programs)):
                pieces[head.first_program + i].append((head.first_shot, chunk, i))
        self._pieces: list[list[ProgramResult]] = []
        for index, found in enumerate(pieces):
            if len(found) > 1:
                found.sort()
            programs = [heads[chunk].programs[i] for _, chunk, i in found]
            if sum(program.shots for program in programs) != shots:
                raise JobFailedError("the chunks do not add up to the job", subject=f"program {index}", legal=shots)
            self._pieces.append(programs)
            for place, (_, chunk, i) in enumerate(found):
                self._places[chunk, i] = index, place
        self._whole: dict[int, tuple[ProgramResult, Sequence[Part]]] = {}
        """Programs of one chunk, with the parts they came in."""
        self._joined: dict[int, dict[str, npt.NDArray[Any]]] = {}
        """Arrays of programs of several chunks; averages are sums still."""

    def add(self, chunk: int, parts: Sequence[Part]) -> None:
        """Take the arrays of the chunk whose head is number ``chunk``."""
        for i, program in enumerate(self._heads[chunk].programs):
            index, place = self._places[chunk, i]
            if len(self._pieces[index]) == 1:
                self._whole[index] = program, parts
            else:
                self._fill(index, place, program, parts)

    def _fill(self, index: int, place: int, program: ProgramResult, parts: Sequence[Part]) -> None:
        pieces = self._pieces[index]
        first, end = (sum(piece.shots for piece in pieces[:stop]) for stop in (place, place + 1))
        joined = self._joined.setdefault(index, {})
        for name in ARRAYS:
            ref = getattr(program, name)
            if ref is None:
                continue
            array = read_array(ref, parts)
            if _is_averaged(name, program):
                if name not in joined:
                    joined[name] = np.zeros(array.shape, np.result_type(array.dtype, np.float64))
                joined[name] += array * program.shots
            else:
                if name not in joined:
                    shots = sum(piece.shots for piece in pieces)
                    joined[name] = np.empty((shots, *array.shape[1:]), array.dtype)
                joined[name][first:end] = array

    def programs(self) -> tuple[tuple[ProgramResult, ...], list[Part]]:
        """Return one result per program in the order of the job, and the parts, once all chunks have come."""
        writer = PartWriter()
        moved: dict[tuple[int, int], int] = {}
        return tuple(self._program(index, writer, moved) for index in range(len(self._pieces))), writer.parts

    def _program(self, index: int, writer: PartWriter, moved: dict[tuple[int, int], int]) -> ProgramResult:
        if index in self._whole:
            return _moved(*self._whole[index], writer.parts, moved)
        pieces, arrays = self._pieces[index], self._joined.pop(index)
        shots = sum(piece.shots for piece in pieces)

        def finished(name: str) -> ArrayRef | None:
            ref, array = getattr(pieces[0], name), arrays.get(name)
            if ref is None or array is None:
                return None
            averaged = _is_averaged(name, pieces[0])
            return writer.add((array / shots).astype(dtype_of(ref)) if averaged else array)

        return _with(pieces[0], finished, shots=shots, overrange=any(piece.overrange for piece in pieces))


def merge_chunks(
    chunks: Iterable[tuple[ChunkResult, Sequence[Part]]], num_programs: int, shots: int
) -> tuple[tuple[ProgramResult, ...], list[Part]]:
    """Return one result per program in the order of the job, and the parts; see :class:`Assembly`."""
    found = list(chunks)
    assembly = Assembly([head for head, _ in found], num_programs, shots)
    for chunk, (_, parts) in enumerate(found):
        assembly.add(chunk, parts)
    return assembly.programs()


class ResultsSoFar:
    """The results of the chunks that have come, joined; chunks come in the order in which they are played."""

    def __init__(self) -> None:
        self._pieces: dict[int, ProgramPiece] = {}

    def add(self, chunk: ChunkResult, parts: Sequence[Part]) -> None:
        """Take the next chunk."""
        for i, program in enumerate(chunk.programs):
            number, piece = chunk.first_program + i, (chunk.first_shot, program, parts)
            if number in self._pieces:
                before = self._pieces[number]
                shots = before[1].shots + program.shots
                pair = [(ChunkResult(0, one[0], (one[1],), {}), one[2]) for one in (before, piece)]
                (whole,), joined = merge_chunks(pair, 1, shots)
                piece = (0, whole, joined)
            self._pieces[number] = piece

    def programs(self) -> tuple[tuple[ProgramResult, ...], list[Part]]:
        """Return one result per program that has been begun, in the order of the job, and the parts."""
        parts_out: list[Part] = []
        moved: dict[tuple[int, int], int] = {}
        return tuple(_moved(*self._pieces[k][1:], parts_out, moved) for k in sorted(self._pieces)), parts_out


def _with(program: ProgramResult, ref_of: Callable[[str], ArrayRef | None], **changes: Any) -> ProgramResult:
    return msgspec.structs.replace(program, **{name: ref_of(name) for name in ARRAYS}, **changes)


def _is_averaged(name: str, program: ProgramResult) -> bool:
    return name in _AVERAGED or (name in _MAYBE_AVERAGED and program.meas_return == "avg")


def _moved(
    program: ProgramResult, parts: Sequence[Part], parts_out: list[Part], moved: dict[tuple[int, int], int]
) -> ProgramResult:
    """Carry the parts over as they are; programs may share one. ``moved`` says where each one went."""
    changes = {}
    for name in ARRAYS:
        ref: ArrayRef | None = getattr(program, name)
        if ref is None:
            continue
        key = (id(parts), ref.part)
        if key not in moved:
            parts_out.append(parts[ref.part])
            moved[key] = len(parts_out) - 1
        if moved[key] != ref.part:
            changes[name] = ArrayRef(moved[key], ref.shape, ref.dtype, ref.offset)
    return msgspec.structs.replace(program, **changes) if changes else program
