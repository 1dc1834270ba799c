"""Results of a job: one :class:`ProgramResult` per circuit or schedule, arrays beside them as parts."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.model.payload import ArrayRef, Part


class ProgramResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of one program. Arrays that its level does not have are None."""

    name: str
    shots: int
    meas_level: int
    meas_return: str
    memory_slots: int
    creg_sizes: tuple[tuple[str, int], ...] = ()
    metadata: bytes = b"{}"
    """The circuit's metadata, JSON."""
    bits: ArrayRef | None = None
    """Level 2: uint8 (shots, ceil(memory_slots / 8)), slot k is bit k % 8 of byte k // 8."""
    levels: ArrayRef | None = None
    """Level 2 with three states: uint8 (shots, memory_slots), 0, 1 or 2."""
    iq: ArrayRef | None = None
    """Level 1, or beside level 2: complex64 (shots, memory_slots), or (memory_slots,) when averaged, full scale 1."""
    records: ArrayRef | None = None
    """Level 0: complex64 (shots, memory_slots, samples) in units of full scale, or without the first axis."""
    spectrum: ArrayRef | None = None
    """Of a job that looks at a port: float64 (frequencies,) in dBm at the port. There is nothing else then."""
    overrange: bool = False
    """The digitizer clipped."""


class JobResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a job brought back."""

    job_id: str
    backend: str
    backend_version: str
    calibration_id: str
    programs: tuple[ProgramResult, ...]
    times: dict[str, float] = {}
    instruments: dict[str, str] = {}
    """``*IDN?`` of each instrument that took part."""


encode_result = msgspec.msgpack.Encoder().encode
_DECODER = msgspec.msgpack.Decoder(JobResult)


def encode(result: JobResult, arrays: Sequence[Part]) -> list[Part]:
    """Return ``result`` and its arrays as parts, the head first."""
    return [encode_result(result), *arrays]


def decode(parts: Sequence[Part]) -> tuple[JobResult, Sequence[Part]]:
    """Return the result and the parts its references count from."""
    return _DECODER.decode(parts[0]), parts[1:]


_MANY_SHOTS = 2000
"""From here on 65536 counters are made sooner than two bytes are sorted."""


def pack_bits(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return booleans (shots, memory_slots) as :attr:`ProgramResult.bits`."""
    return np.packbits(bits, axis=1, bitorder="little")


def count_bits(packed: npt.NDArray[np.uint8]) -> dict[int, int]:
    """Return how often each value of the memory occurred: {memory as an integer: shots}."""
    shots, width = packed.shape
    if width == 1 or (width == 2 and shots >= _MANY_SHOTS):
        # a count per possible value is faster than sorting what there is
        found = np.bincount(packed[:, 0] if width == 1 else np.ascontiguousarray(packed).view("<u2")[:, 0])
        values = np.flatnonzero(found)
        return dict(zip(values.tolist(), found[values].tolist(), strict=True))
    if width <= 8:
        words = np.zeros((shots, 8), dtype=np.uint8)
        words[:, :width] = packed
        values, counts = np.unique(words.view("<u8")[:, 0], return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}
    rows, counts = np.unique(packed, axis=0, return_counts=True)
    return {int.from_bytes(row.tobytes(), "little"): int(count) for row, count in zip(rows, counts, strict=True)}
