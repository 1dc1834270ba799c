"""From what the digitizer recorded to results: integrate, classify, pack by memory slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk, IqDiscriminator, Program
from pulsed.drivers.contract import Fetched
from pulsed.drivers.programs import Recording, Rows
from pulsed.drivers.rack.demodulate import ReadoutTone, average, demodulate
from pulsed.drivers.rack.discriminate import Rule, classify, rule
from pulsed.drivers.rack.partition import boundary
from pulsed.model.errors import ConfigError
from pulsed.model.payload import Part, PartWriter
from pulsed.model.result import ProgramResult, pack_bits

Recorded: TypeAlias = Sequence[tuple[Recording, Fetched]]
"""What each digitizer had to record, and what it did."""


def _last_by_slot(recorded: Recorded, index: int) -> list[npt.NDArray[np.intp]]:
    """Return of each digitizer the columns of an entry that count: of each slot the last acquisition of the program."""
    entries = [recording.entry(index) for recording, _ in recorded]
    slots = [slot for rows in entries for slot in rows["memory_slot"].tolist()]
    if len(set(slots)) == len(slots):
        return [np.arange(len(rows)) for rows in entries]
    last = np.full(max((int(rows["memory_slot"].max(initial=-1)) for rows in entries), default=-1) + 1, -1, np.int64)
    for rows in entries:
        np.maximum.at(last, rows["memory_slot"], rows["order"])
    return [np.flatnonzero(rows["order"] == last[rows["memory_slot"]]) for rows in entries]


def _window_starts(rows: Rows) -> npt.NDArray[np.int64]:
    """Return where the window of each row begins in a record, which has the windows one after the other."""
    _, first, which = np.unique(rows["window"], return_index=True, return_inverse=True)
    starts: npt.NDArray[np.int64] = np.cumsum(rows["length"][first])[which] - rows["length"]
    return starts


def _all_points(
    recording: Recording, fetched: Fetched, index: int, columns: npt.NDArray[np.intp], places: range
) -> npt.NDArray[np.complex64]:
    """Return the integrated values of the rows ``columns`` of an entry, of all shots at all its places in the list.

    They are complex64 (places times shots, columns), full scale 1.
    """
    if fetched.mode == "integrate":
        integrated: npt.NDArray[np.complex64] = np.concatenate(fetched.arrays[places.start : places.stop])
        return integrated[:, columns]
    return np.concatenate([_points(recording, fetched, index, columns, fetched.arrays[place]) for place in places])


def _points(
    recording: Recording, fetched: Fetched, index: int, columns: npt.NDArray[np.intp], data: npt.NDArray[Any]
) -> npt.NDArray[np.complex64]:
    """Return the integrated values of the rows ``columns`` of an entry from its records: complex64 (shots, columns)."""
    rows = recording.entry(index)
    # In order of the windows, such that those of one window are read once.
    order = np.argsort(rows["window"][columns], kind="stable")
    tones = [
        ReadoutTone(
            first, int(row["length"]), int(row["time"]), float(row["frequency"]),
            recording.envelopes.read(int(row["kernel"])) if row["kernel"] >= 0 else None, f"qubit {row['qubit']}",
        )
        for first, row in zip(_window_starts(rows)[columns][order].tolist(), rows[columns][order], strict=True)
    ]  # fmt: skip
    values = np.empty((len(data), len(columns)), np.complex64)
    values[:, order] = demodulate(data, tones, recording.clock, fetched.full_scale)
    return values


@lru_cache(maxsize=4096)
def _rule(discriminator: IqDiscriminator) -> Rule:
    states = (discriminator.zero, discriminator.one)
    if discriminator.two is None:
        return rule(states)
    variances = discriminator.variances or (1.0, 1.0, 1.0)
    return rule((*states, discriminator.two), [variance * np.eye(2) for variance in variances])


def _discriminators(chunk: Chunk, rows: Rows) -> list[IqDiscriminator]:
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


def _fill_records(
    rows: Rows, fetched: Fetched, place: int, columns: npt.NDArray[np.intp], result: npt.NDArray[np.complex64]
) -> None:
    """Write the samples of ``columns`` of ``rows`` into ``result``, complex64 (..., memory_slots, samples).

    ``place``: of the entry in the list.
    """
    targets = rows["memory_slot"][columns].tolist()
    first = _window_starts(rows)
    data = fetched.arrays[place]
    if data.ndim > result.ndim:
        data = average(data)
    parts = result.view(np.float32).reshape(*result.shape, 2)
    for column, slot in zip(columns, targets, strict=True):
        if slot >= result.shape[-2]:
            continue
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


def assemble_results(chunk: Chunk, recorded: Recorded) -> tuple[list[ProgramResult], list[Part]]:
    """Return one result per program and the arrays they refer to. ``recorded``: one pair per digitizer.

    Level 0 gives records (a window shorter than the longest is filled up with zeros), level 1 IQ, level 2 bits,
    and IQ when the chunk asks for it. A memory slot has what the program measured into it last, by the order of its
    rows; one that nothing was measured into is 0. When that is so of some shots only, the last measurement of each
    shot counts, at level 0 the last one of the program. Where a qubit's discriminator knows three states there are
    levels beside the bits, and the bit of level 2 is 1.
    """
    writer = PartWriter()
    results = []
    for index, places in _bindings(chunk):
        arrays = _arrays(chunk, index, places, recorded)
        refs = zip(*(writer.add(array).items() for array in arrays.values()), strict=True)
        plain = program_result(chunk, chunk.programs[index])
        over = np.any([fetched.overrange[places.start : places.stop] for _, fetched in recorded], axis=0).tolist()
        results += [
            msgspec.structs.replace(plain, overrange=beyond, **dict(zip(arrays, own, strict=True)))
            for beyond, own in zip(over, refs, strict=True)
        ]
    return results, writer.parts


def _bindings(chunk: Chunk) -> Iterator[tuple[int, range]]:
    """Yield programs, and where in the list they are with different values.

    What they measure is told and classified together: of programs that are bindings of one the first is yielded.
    """
    programs, first, start = chunk.programs, 0, 0
    for index in range(1, len(programs) + 1):
        if index < len(programs) and programs[index].acquisitions is programs[first].acquisitions:
            continue
        stop = start + sum(program.count for program in programs[first:index])
        yield first, range(start, stop)
        first, start = index, stop


def _arrays(chunk: Chunk, index: int, places: range, recorded: Recorded) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of the bindings of a program, which are along the first axis."""
    if chunk.settings.meas_level:
        return _point_arrays(chunk, index, places, recorded)
    each = [_raw_arrays(chunk, index, place, recorded) for place in places]
    if len(each) == 1:  # records are large: no copy
        return {name: array[None] for name, array in each[0].items()}
    return {name: np.stack([arrays[name] for arrays in each]) for name in each[0]}


def _raw_arrays(chunk: Chunk, index: int, place: int, recorded: Recorded) -> dict[str, npt.NDArray[Any]]:
    program = chunk.programs[index]
    longest = max(int(recording.entry(index)["length"].max(initial=0)) for recording, _ in recorded)
    shape = (program.memory_slots, longest)
    single = chunk.settings.meas_return != "avg"
    records = np.zeros((chunk.settings.shots, *shape) if single else shape, np.complex64)
    for (recording, fetched), columns in zip(recorded, _last_by_slot(recorded, index), strict=True):
        _fill_records(recording.entry(index), fetched, place, columns, records)
    return {"records": records}


def _told(chunk: Chunk, rows: Rows, points: npt.NDArray[np.complex64]) -> npt.NDArray[np.bool_]:
    """Return the bits of integrated values, (shots, rows), as the AWGs are told them."""
    boundaries = np.array([boundary(chunk, int(row["qubit"])) for row in rows]).reshape(-1, 2)
    turned = points * np.exp(-1j * boundaries[:, 0].astype(np.float32)).astype(np.complex64)
    found: npt.NDArray[np.bool_] = turned.real > boundaries[:, 1].astype(np.float32)
    return found


def _made(program: Program, told: npt.NDArray[np.bool_], slots: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return what the program's own memory slots have in each shot, of what was measured into all (shots, slots)."""
    if slots.shape[1] == program.memory_slots and not program.made:
        return slots
    found = slots[:, : program.memory_slots].copy()
    for one in program.made:
        found[:, one.memory_slot] = 0
        for slot, literals in one.writes:
            held = np.logical_and.reduce([told[:, waited] == value for waited, value in literals])
            found[:, one.memory_slot] = np.where(held, slots[:, slot], found[:, one.memory_slot])
    return found


def _point_arrays(chunk: Chunk, index: int, places: range, recorded: Recorded) -> dict[str, npt.NDArray[Any]]:
    settings, program = chunk.settings, chunk.programs[index]
    used = [int(recording.entry(index)["memory_slot"].max(initial=-1)) + 1 for recording, _ in recorded]
    shape = (len(places) * settings.shots, max([program.memory_slots, *used]))
    arrays: dict[str, npt.NDArray[Any]] = {}
    levels = np.zeros(shape, np.uint8)
    three = False
    plane = np.zeros(shape, np.complex64) if settings.meas_level == 1 or settings.iq else None
    told = np.zeros(shape if program.made else (0, 0), np.bool_)
    for (recording, fetched), columns in zip(recorded, _last_by_slot(recorded, index), strict=True):
        rows = recording.entry(index)
        slots = rows["memory_slot"][columns]
        points = _all_points(recording, fetched, index, columns, places)
        if settings.meas_level == 2:
            found = _discriminators(chunk, rows[columns])
            three = three or any(item.two is not None for item in found)
            levels[:, slots] = classify(points, [_rule(item) for item in found])
        if plane is not None:
            plane[:, slots] = points
        if program.made:
            told[:, slots] = _told(chunk, rows[columns], points)
    levels = _made(program, told, levels)
    plane = None if plane is None else _made(program, told, plane)
    if settings.meas_level == 2:
        arrays["bits"] = pack_bits(levels > 0)
        if three:
            arrays["levels"] = levels
    if plane is not None:
        arrays["iq"] = plane
    bound = {name: array.reshape(len(places), settings.shots, -1) for name, array in arrays.items()}
    if settings.meas_level == 1 and settings.meas_return == "avg":
        bound["iq"] = bound["iq"].mean(axis=1, dtype=np.complex128).astype(np.complex64)
    return bound
