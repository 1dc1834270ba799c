"""Values with arrays as a msgpack head and raw parts: arrays never travel as text.

A struct refers to an array by :class:`ArrayRef`, the number of a part with its type and shape. The same
form goes over the wire (one frame each) and into the store (one blob, see :func:`pack_frames`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from math import prod
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.model.errors import ProtocolError

__getattr__ = old_names(__name__)

Part = bytes | bytearray | memoryview


class ArrayRef(msgspec.Struct, frozen=True, array_like=True):
    """An array that lies in part ``part``. ``dtype`` is a numpy type string or a list of fields."""

    part: int
    shape: tuple[int, ...]
    dtype: str | tuple[tuple[str, str], ...]
    offset: int = 0
    """Bytes before the array in its part: many small arrays may share one."""

    def rows(self, start: int, stop: int) -> ArrayRef:
        """Return the reference to rows ``start:stop`` of this array."""
        row = _dtype(self.dtype).itemsize * prod(self.shape[1:])
        return ArrayRef(self.part, (stop - start, *self.shape[1:]), self.dtype, self.offset + start * row)

    def items(self) -> list[ArrayRef]:
        """Return the references to the rows of this array, without the first axis."""
        shape = self.shape[1:]
        row = _dtype(self.dtype).itemsize * prod(shape)
        return [ArrayRef(self.part, shape, self.dtype, self.offset + row * index) for index in range(self.shape[0])]


def side_by_side(refs: Sequence[ArrayRef]) -> ArrayRef | None:
    """Return one reference to arrays that lie one after the other, along a new first axis; None when they do not."""
    first = refs[0]
    size = _dtype(first.dtype).itemsize * prod(first.shape)
    for number, ref in enumerate(refs):
        if ref.part != first.part or ref.offset != first.offset + number * size:
            return None
        if ref.shape != first.shape or ref.dtype != first.dtype:
            return None
    return ArrayRef(first.part, (len(refs), *first.shape), first.dtype, first.offset)


@lru_cache(64)
def _dtype(kind: str | tuple[tuple[str, str], ...]) -> np.dtype[Any]:
    return np.dtype(kind if isinstance(kind, str) else list(kind))


@lru_cache(64)
def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Return whether ``dtype`` is one of plain numbers, or of fields that are."""
    kinds = {dtype.kind} if dtype.names is None else {dtype[name].kind for name in dtype.names}
    return kinds <= set("biufc")


@lru_cache(64)
def _kind(dtype: np.dtype[Any]) -> str | tuple[tuple[str, str], ...]:
    if dtype.names is None:
        return dtype.str
    return tuple((name, dtype[name].str) for name in dtype.names)


def dtype_of(ref: ArrayRef) -> np.dtype[Any]:
    """Return the type of the array that ``ref`` names."""
    return _dtype(ref.dtype)


class PartWriter:
    """Collects the parts of one message."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def add(self, array: npt.NDArray[Any]) -> ArrayRef:
        """Append ``array`` (no copy when it is contiguous) and return the reference to it."""
        array = np.ascontiguousarray(array)
        if array.dtype.hasobject:
            raise TypeError("an array of Python objects cannot be sent")
        self.parts.append(array.reshape(-1).view(np.uint8).data if array.size else b"")
        return ArrayRef(len(self.parts) - 1, array.shape, _kind(array.dtype))


def read_array(ref: ArrayRef, parts: Sequence[Part]) -> npt.NDArray[Any]:
    """Return the array that ``ref`` names, as a read-only view of its part.

    Raises :class:`ProtocolError` when the part is missing, the type is none of plain numbers, or sizes disagree.
    """
    try:
        dtype = _dtype(ref.dtype)
    except (TypeError, ValueError) as error:
        raise ProtocolError("not a type of array", value=str(ref.dtype)) from error
    if not _is_plain(dtype):
        raise ProtocolError(
            "this type of array cannot be sent", value=str(dtype), legal="bool, int, uint, float, complex"
        )
    if not 0 <= ref.part < len(parts) or min(ref.shape, default=0) < 0:
        raise ProtocolError("no such part", value=str(ref), legal=f"0 to {len(parts) - 1}")
    part = memoryview(parts[ref.part]).cast("B")
    size = prod(ref.shape) * dtype.itemsize
    if not 0 <= ref.offset <= ref.offset + size <= part.nbytes:
        raise ProtocolError("the array lies outside its part", value=str(ref), legal=f"{part.nbytes} bytes")
    array: npt.NDArray[Any] = np.frombuffer(part[ref.offset : ref.offset + size], dtype=dtype).reshape(ref.shape)
    array.flags.writeable = False
    return array


def read_stacked(refs: Sequence[ArrayRef], parts: Sequence[Part]) -> npt.NDArray[Any]:
    """Return arrays of one shape and type along a new first axis; those that lie side by side are read together.

    Raises :class:`ProtocolError` as :func:`read_array` does.
    """
    pieces = []
    for _, group in groupby(refs, key=lambda ref: ref.part):
        several = list(group)
        whole = side_by_side(several)
        pieces.append(
            np.stack([read_array(ref, parts) for ref in several]) if whole is None else read_array(whole, parts)
        )
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


_COUNT = struct.Struct("<I")
_SIZE = struct.Struct("<Q")


def frame_table(parts: Sequence[Part]) -> bytes:
    """Return what stands before the parts in their blob."""
    return _COUNT.pack(len(parts)) + b"".join(_SIZE.pack(memoryview(part).nbytes) for part in parts)


def pack_frames(parts: Sequence[Part]) -> bytes:
    """Return all parts as one blob; :func:`unpack_frames` undoes it."""
    return b"".join((frame_table(parts), *parts))


def unpack_frames(blob: Part) -> list[memoryview]:
    """Return views of the parts of ``blob``. Raises :class:`ProtocolError` on any other bytes."""
    view = memoryview(blob)
    try:
        (count,) = _COUNT.unpack_from(view)
        if 4 + 8 * count > view.nbytes:
            raise ProtocolError("a blob that is shorter than its table", value=view.nbytes)
        sizes = [size for (size,) in _SIZE.iter_unpack(view[4 : 4 + 8 * count])]
    except struct.error as error:
        raise ProtocolError("a blob that is shorter than its table", value=view.nbytes) from error
    if 4 + 8 * count + sum(sizes) != view.nbytes:
        raise ProtocolError("a blob of another length than its table says", value=view.nbytes)
    parts, at = [], 4 + 8 * count
    for size in sizes:
        parts.append(view[at : at + size])
        at += size
    return parts
