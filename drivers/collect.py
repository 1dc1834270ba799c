"""From what the digitizer recorded to results: integrate, classify, pack by memory slot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk, Discriminator, Program
from pulsed.drivers.contract import Fetched
from pulsed.drivers.demodulate import Tone, average, demodulate
from pulsed.drivers.discriminate import Rule, classify, rule
from pulsed.drivers.work import Recording, Rows
from pulsed.model.errors import ConfigError
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import ProgramResult, pack_bits


def _last_by_slot(rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return columns and memory slots such that each slot appears once, with the last acquisition that names it."""
    slots, at = np.unique(rows["memory_slot"][::-1], return_index=True)
    return len(rows) - 1 - at, slots.astype(np.intp)


def _window_starts(rows: Rows) -> npt.NDArray[np.int64]:
    """Return where the window of each row begins in a record, which has the windows one after the other."""
    _, first, which = np.unique(rows["window"], return_index=True, return_inverse=True)
    starts: npt.NDArray[np.int64] = np.cumsum(rows["length"][first])[which] - rows["length"]
    return starts


def _points(
    recording: Recording, fetched: Fetched, index: int, columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.complex64]:
    """Return the integrated values of the rows ``columns`` of an entry: complex64 (shots, columns), full scale 1."""
    data = fetched.arrays[index]
    if fetched.mode == "integrate":
        integrated: npt.NDArray[np.complex64] = data[:, columns]
        return integrated
    rows = recording.entry(index)
    # In order of the windows, such that those of one window are read once.
    order = np.argsort(rows["window"][columns], kind="stable")
    tones = [
        Tone(
            first, int(row["length"]), int(row["time"]), float(row["frequency"]),
            recording.envelopes.read(int(row["kernel"])) if row["kernel"] >= 0 else None, f"qubit {row['qubit']}",
        )
        for first, row in zip(_window_starts(rows)[columns][order].tolist(), rows[columns][order], strict=True)
    ]  # fmt: skip
    values = np.empty((len(data), len(columns)), np.complex64)
    values[:, order] = demodulate(data, tones, recording.clock, fetched.full_scale)
    return values


@lru_cache(maxsize=4096)
def _rule(discriminator: Discriminator) -> Rule:
    states = (discriminator.zero, discriminator.one)
    if discriminator.two is None:
        return rule(states)
    variances = discriminator.variances or (1.0, 1.0, 1.0)
    return rule((*states, discriminator.two), [variance * np.eye(2) for variance in variances])


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


def _fill_records(recording: Recording, fetched: Fetched, index: int, result: npt.NDArray[np.complex64]) -> None:
    """Write the samples of each memory slot into ``result``, complex64 (..., memory_slots, samples)."""
    rows = recording.entry(index)
    columns, targets = _last_by_slot(rows)
    first = _window_starts(rows)
    data = fetched.arrays[index]
    if data.ndim > result.ndim:
        data = average(data)
    parts = result.view(np.float32).reshape(*result.shape, 2)
    for column, slot in zip(columns, targets, strict=True):
        start, length = first[column], rows["length"][column]
        np.multiply(
            data[..., start : start + length, :], np.float32(1 / fetched.full_scale),
            out=parts[..., slot, :length, :], dtype=np.float32, casting="unsafe",
        )  # fmt: skip


def program_result(chunk: Chunk, program: Program, **arrays: Any) -> ProgramResult:
    """Return the result of a program with its ``arrays``."""
    settings = chunk.settings
    return ProgramResult(
        name=program.name, shots=settings.shots, meas_level=settings.meas_level, meas_return=settings.meas_return,
        memory_slots=program.memory_slots, creg_sizes=program.creg_sizes, metadata=program.metadata, **arrays,
    )  # fmt: skip


def collect(chunk: Chunk, recorded: Sequence[tuple[Recording, Fetched]]) -> tuple[list[ProgramResult], list[Part]]:
    """Return one result per program and the arrays they refer to. ``recorded``: one pair per digitizer.

    Level 0 gives records (a window shorter than the longest is filled up with zeros), level 1 IQ, level 2 bits,
    and IQ when the chunk asks for it. A memory slot that nothing was measured into is 0. Where a qubit's
    discriminator knows three states there are levels beside the bits, and the bit of level 2 is 1.
    """
    writer = PartWriter()
    fill = _raw_arrays if chunk.settings.meas_level == 0 else _point_arrays
    results = [
        program_result(
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
        _fill_records(recording, fetched, index, records)
    return {"records": records}


def _point_arrays(
    chunk: Chunk, program: Program, index: int, recorded: Sequence[tuple[Recording, Fetched]]
) -> dict[str, npt.NDArray[Any]]:
    settings = chunk.settings
    shape = (settings.shots, program.memory_slots)
    arrays: dict[str, npt.NDArray[Any]] = {}
    levels = np.zeros(shape, np.uint8)
    three = False
    plane = np.zeros(shape, np.complex64) if settings.meas_level == 1 or settings.iq else None
    for recording, fetched in recorded:
        rows = recording.entry(index)
        columns, slots = _last_by_slot(rows)
        points = _points(recording, fetched, index, columns)
        if settings.meas_level == 2:
            found = _discriminators(chunk, rows[columns])
            three = three or any(item.two is not None for item in found)
            levels[:, slots] = classify(points, [_rule(item) for item in found])
        if plane is not None:
            plane[:, slots] = points
    if settings.meas_level == 2:
        arrays["bits"] = pack_bits(levels > 0)
        if three:
            arrays["levels"] = levels
    if plane is not None:
        average = settings.meas_level == 1 and settings.meas_return == "avg"
        arrays["iq"] = plane.mean(axis=0, dtype=np.complex128).astype(np.complex64) if average else plane
    return arrays
