"""From what the digitizer recorded to results: integrate, classify, pack by memory slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk, Discriminator, Program
from pulsed.drivers.contract import Fetched
from pulsed.drivers.work import Recording, Rows
from pulsed.model.errors import ConfigError
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import ProgramResult, pack_bits

_BLOCK = 1 << 15
"""Points classified at once: what fits into the cache."""


def classify(iq: npt.NDArray[np.complex64], discriminators: Sequence[Discriminator]) -> npt.NDArray[np.bool_]:
    """Return whether each point of ``iq`` (shots, columns) is nearer to the centroid of one: bool (shots, columns).

    Nearer means Re((z - (zero + one) / 2) * conj(one - zero)) > 0; ``discriminators`` has one per column.
    """
    bits = np.empty(iq.shape, dtype=bool)
    axis = np.array([item.one - item.zero for item in discriminators])
    middle = np.array([(item.one + item.zero) / 2 for item in discriminators])
    threshold = (middle * axis.conj()).real.astype(np.float32)
    real, imag = axis.real.astype(np.float32), axis.imag.astype(np.float32)
    step = max(1, _BLOCK // max(1, iq.shape[1]))
    for start in range(0, len(iq), step):
        block = iq[start : start + step]
        projected = block.real * real
        projected += block.imag * imag
        np.greater(projected, threshold, out=bits[start : start + step])
    return bits


def _last_by_slot(rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return columns and memory slots such that each slot appears once, with the last acquisition that names it."""
    slots, at = np.unique(rows["memory_slot"][::-1], return_index=True)
    return len(rows) - 1 - at, slots.astype(np.intp)


def _discriminators(chunk: Chunk, rows: Rows) -> list[Discriminator]:
    known = chunk.settings.discriminators
    missing = [int(qubit) for qubit in rows["qubit"] if int(qubit) not in known]
    if missing:
        raise ConfigError(
            "there is no discriminator for this qubit", subject=f"calibration set {chunk.head.calibration_id}",
            value=f"qubit {missing[0]}", legal=", ".join(map(str, sorted(known))) or "none",
        )  # fmt: skip
    return [known[int(qubit)] for qubit in rows["qubit"]]


def check_discriminators(chunk: Chunk, recording: Recording) -> None:
    """Raise :class:`ConfigError` when a qubit that is to be classified has no discriminator."""
    if chunk.settings.meas_level == 2:
        _discriminators(chunk, recording.rows)


def _fill_records(recording: Recording, index: int, data: npt.NDArray[Any], result: npt.NDArray[Any]) -> None:
    """Write the samples of each memory slot into ``result``, (..., memory_slots, samples)."""
    rows = recording.entry(index)
    columns, targets = _last_by_slot(rows)
    _, first = np.unique(rows["window"], return_index=True)
    lengths = rows["length"][first]
    starts = np.concatenate(([0], np.cumsum(lengths)))
    for column, slot in zip(columns, targets, strict=True):
        window = rows["window"][column]
        piece = data[..., starts[window] : starts[window + 1], :]
        result[..., slot, : lengths[window]] = piece[..., 0] + 1j * piece[..., 1].astype(np.float32)


def _result(chunk: Chunk, program: Program, **arrays: Any) -> ProgramResult:
    settings = chunk.settings
    return ProgramResult(
        name=program.name, shots=settings.shots, meas_level=settings.meas_level, meas_return=settings.meas_return,
        memory_slots=program.memory_slots, creg_sizes=program.creg_sizes, metadata=program.metadata, **arrays,
    )  # fmt: skip


def collect(chunk: Chunk, recorded: Sequence[tuple[Recording, Fetched]]) -> tuple[list[ProgramResult], list[Part]]:
    """Return one result per program and the arrays they refer to. ``recorded``: one pair per digitizer.

    Level 0 gives records (a window shorter than the longest is filled up with zeros), level 1 IQ, level 2 bits,
    and IQ when the chunk asks for it. A memory slot that nothing was measured into is 0.
    """
    writer = PartWriter()
    fill = _raw_arrays if chunk.settings.meas_level == 0 else _point_arrays
    results = [
        _result(
            chunk,
            program,
            overrange=any(fetched.overrange[index] for _, fetched in recorded),
            **{name: writer.add(array) for name, array in fill(chunk, program, index, recorded).items()},
        )
        for index, program in enumerate(chunk.programs)
    ]
    return results, writer.parts


def _raw_arrays(
    chunk: Chunk, program: Program, index: int, recorded: Sequence[tuple[Recording, Fetched]]
) -> dict[str, npt.NDArray[Any]]:
    longest = max(int(recording.entry(index)["length"].max(initial=0)) for recording, _ in recorded)
    shape = (program.memory_slots, longest)
    single = chunk.settings.meas_return != "avg"
    records = np.zeros((chunk.settings.shots, *shape) if single else shape, np.complex64)
    for recording, fetched in recorded:
        _fill_records(recording, index, fetched.arrays[index], records)
    records /= np.float32(recorded[0][1].full_scale)
    return {"records": records}


def _point_arrays(
    chunk: Chunk, program: Program, index: int, recorded: Sequence[tuple[Recording, Fetched]]
) -> dict[str, npt.NDArray[Any]]:
    settings = chunk.settings
    shape = (settings.shots, program.memory_slots)
    arrays: dict[str, npt.NDArray[Any]] = {}
    memory = np.zeros(shape, dtype=bool)
    plane = np.zeros(shape, np.complex64) if settings.meas_level == 1 or settings.iq else None
    for recording, fetched in recorded:
        rows = recording.entry(index)
        columns, slots = _last_by_slot(rows)
        points = fetched.arrays[index][:, columns]
        if settings.meas_level == 2:
            memory[:, slots] = classify(points, _discriminators(chunk, rows[columns]))
        if plane is not None:
            plane[:, slots] = points
    if settings.meas_level == 2:
        arrays["bits"] = pack_bits(memory)
    if plane is not None:
        average = settings.meas_level == 1 and settings.meas_return == "avg"
        arrays["iq"] = plane.mean(axis=0, dtype=np.complex128).astype(np.complex64) if average else plane
    return arrays
