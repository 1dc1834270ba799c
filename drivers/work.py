"""A chunk, shared out: what each instrument of the rack has to play or record, blocks unrolled.

Times are samples of the instrument's clock since its sample 0 of the shot, as the Program has them.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import ACQUISITION, EVENT, Chunk, PortSettings, Program
from pulsed.model.device import DeviceDescription, samples_per_dt
from pulsed.model.errors import ConfigError, InstrumentLimitError

Rows = npt.NDArray[np.void]

MODES = ("integrate", "raw", "average")
"""What a digitizer may return: integrated values of each shot, records of each shot, records averaged."""

PLAYED = np.dtype(
    [
        ("entry", "<i4"), ("slot", "<u2"), ("pair", "u1"), ("oscillator", "u1"), ("envelope", "<i4"),
        ("time", "<i8"), ("amplitude", "<f8"), ("phase", "<f8"), ("frequency", "<f8"), ("condition", "<i2"),
    ]
)  # fmt: skip
"""Rows of :attr:`Playback.events`, sorted by entry. Envelope -1: nothing is played, the oscillator is turned by the
phase from then on. Condition k: in shots whose bit k is 1; -k: whose bit k is 0; 0: always. Bits count from 1."""

RECORDED = np.dtype(
    [
        ("entry", "<i4"), ("slot", "<u2"), ("qubit", "<u2"), ("memory_slot", "<i4"), ("window", "<u4"),
        ("kernel", "<i4"), ("time", "<i8"), ("length", "<i8"), ("frequency", "<f8"),
        ("feedback", "<u2"), ("angle", "<f4"), ("threshold", "<f4"),
    ]
)  # fmt: skip
"""Rows of :attr:`Recording.rows`, sorted by entry and time; windows of an entry are numbered in order of time.
Feedback: number of the bit that goes to the AWGs, 1 where Re(v exp(-i angle)) > threshold, or 0."""

LIST = np.dtype([("length", "<i8"), ("shots", "<i8"), ("period", "<i8")])
"""One row per entry: length of the table, shots, and samples from shot to shot."""


@dataclass(frozen=True)
class Envelopes:
    """The table of envelopes of a chunk, read when needed."""

    chunk: Chunk

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Samples of each."""
        return np.array([ref.shape[0] for ref in self.chunk.head.envelopes], dtype=np.int64)

    def name(self, row: int) -> str:
        """Return the content hash, hexadecimal."""
        return self.chunk.head.keys[row].hex()

    def read(self, row: int) -> npt.NDArray[Any]:
        """Return the samples: complex128, full scale 1."""
        return self.chunk.envelope(row)


@dataclass(frozen=True)
class Playback:
    """What one AWG plays."""

    events: Rows
    """:data:`PLAYED`."""
    entries: Rows
    """:data:`LIST`."""
    envelopes: Envelopes
    channels: tuple[str, ...]
    """By slot, for messages: ``"d0"``."""
    programs: tuple[str, ...]
    """By entry, for messages."""
    pairs: Mapping[int, PortSettings]


@dataclass(frozen=True)
class Recording:
    """What one digitizer records; ``mode`` is one of :data:`MODES`."""

    rows: Rows
    """:data:`RECORDED`."""
    entries: Rows
    """:data:`LIST`."""
    envelopes: Envelopes
    """Of which some are kernels."""
    channels: tuple[str, ...]
    programs: tuple[str, ...]
    mode: str
    clock: float
    """Hz."""

    def entry(self, index: int) -> Rows:
        """Return the rows of one entry."""
        start, stop = np.searchsorted(self.rows["entry"], [index, index + 1])
        return self.rows[start:stop]


def split_entries(rows: Rows, entry: npt.NDArray[np.int32], count: int) -> list[Rows]:
    """Return the ``rows`` of each of ``count`` entries; ``entry`` (ascending) says which each row belongs to."""
    bounds = np.searchsorted(entry, np.arange(count + 1))
    return [rows[start:stop] for start, stop in pairwise(bounds)]


@dataclass(frozen=True)
class Shares:
    """What each instrument has to do in a chunk, by name."""

    playbacks: Mapping[str, Playback]
    recordings: Mapping[str, Recording]


def _bits(program: Program) -> dict[int, int]:
    """Return the number, from 1, of the bit of each memory slot that a block waits for."""
    slots = sorted({block.branch.memory_slot for block in program.blocks if block.branch is not None})
    return {slot: number for number, slot in enumerate(slots, 1)}


def _unroll(
    chunk: Chunk, program: Program, dtype: np.dtype[np.void], which: Callable[[Any], tuple[int, int]], ratio: Rows
) -> tuple[Rows, npt.NDArray[np.int16]]:
    """Return the rows of all blocks in order with times since the shot's start, and each one's condition.

    ``ratio``: samples per dt by slot.
    """
    rows = chunk.array(program.events if dtype == EVENT else program.acquisitions)
    if len(program.blocks) == 1 and program.blocks[0].repeat == 1 and program.blocks[0].branch is None:
        rows = rows[slice(*which(program.blocks[0]))]
        return rows, np.zeros(len(rows), np.int16)
    bits = _bits(program)
    pieces, start, conditions = [np.empty(0, dtype)], 0, [np.empty(0, np.int16)]
    for block in program.blocks:
        own = rows[slice(*which(block))]
        turns = own[np.tile(np.arange(len(own)), block.repeat)]
        offset = np.repeat(start + block.duration * np.arange(block.repeat, dtype=np.int64), len(own))
        shift = offset * ratio["numerator"][turns["slot"]]
        unit = ratio["denominator"][turns["slot"]]
        if (shift % unit).any():
            raise InstrumentLimitError(
                "a block starts between two samples",
                subject=f"program {program.name}",
                value=f"{start} dt",
                legal=f"multiples of {unit.max()} dt",
            )
        turns["time"] += shift // unit
        pieces.append(turns)
        number = 0
        if block.branch is not None:
            number = bits[block.branch.memory_slot] * (1 if block.branch.value else -1)
        conditions.append(np.full(len(turns), number, np.int16))
        start += block.duration * block.repeat
    return np.concatenate(pieces), np.concatenate(conditions)


def _gather(
    chunk: Chunk, dtype: np.dtype[np.void], ratio: Rows
) -> tuple[npt.NDArray[np.int32], Rows, npt.NDArray[np.int16]]:
    """Return the rows of all programs one after the other, which program each belongs to, and each one's condition."""

    def which(block: Any) -> tuple[int, int]:
        return block.events if dtype == EVENT else block.acquisitions  # type: ignore[no-any-return]

    pieces = [_unroll(chunk, program, dtype, which, ratio) for program in chunk.programs]
    entry = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(piece) for piece, _ in pieces])
    if not pieces:
        return entry, np.empty(0, dtype), np.empty(0, np.int16)
    return entry, np.concatenate([piece for piece, _ in pieces]), np.concatenate([c for _, c in pieces])


def _tell_bits(chunk: Chunk, rows: Rows) -> None:
    """Fill in which :data:`RECORDED` rows are told to the AWGs, and how their bits come about."""
    for index, program in enumerate(chunk.programs):
        for slot, number in _bits(program).items():
            for row in np.flatnonzero((rows["entry"] == index) & (rows["memory_slot"] == slot)):
                angle, threshold = _boundary(chunk, int(rows["qubit"][row]))
                rows["feedback"][row], rows["angle"][row], rows["threshold"][row] = number, angle, threshold


def _boundary(chunk: Chunk, qubit: int) -> tuple[float, float]:
    """Return angle and threshold of the line half-way between the states 0 and 1."""
    known = chunk.settings.discriminators
    if qubit not in known:
        raise ConfigError(
            "a bit that decides what is played needs a discriminator",
            subject=f"calibration set {chunk.head.calibration_id}",
            value=f"qubit {qubit}",
            legal=", ".join(map(str, sorted(known))) or "none",
        )
    zero, one = known[qubit].zero, known[qubit].one
    angle = cmath.phase(one - zero)
    return angle, ((zero + one) / 2 * cmath.exp(-1j * angle)).real


def _entries(chunk: Chunk, device: DeviceDescription, instrument: str) -> Rows:
    """Return :data:`LIST` for one instrument: a program and its pause are whole numbers of samples, or refused."""
    port = next(port for port in device.ports.values() if port.instrument == instrument)
    delay = max(port.delay for port in device.ports.values())
    ratio = samples_per_dt(device, port)
    samples = np.array([program.duration for program in chunk.programs], np.int64) * ratio.numerator
    pause = chunk.settings.rep_delay * port.clock
    odd = np.flatnonzero(samples % ratio.denominator)
    if len(odd) or pause.denominator != 1:
        program = f"the duration of program {chunk.programs[odd[0]].name}" if len(odd) else "rep_delay"
        seconds = chunk.programs[odd[0]].duration * device.dt if len(odd) else chunk.settings.rep_delay
        raise InstrumentLimitError(
            f"{program} is not a whole number of samples",
            subject=f"instrument {instrument}",
            value=f"{float(seconds):.12g} s",
            legal=f"multiples of {float(1 / port.clock):.6g} s",
        )
    entries = np.zeros(len(chunk.programs), LIST)
    entries["shots"] = chunk.settings.shots
    entries["length"] = samples // ratio.denominator + delay
    entries["period"] = entries["length"] + int(pause)
    return entries


def _windows(rows: Rows) -> None:
    """Sort ``rows`` by entry and time and number the windows: rows of one window share start and length."""
    rows[:] = rows[np.lexsort((rows["length"], rows["time"], rows["entry"]))]
    if not len(rows):
        return
    new = np.ones(len(rows), dtype=bool)
    new[1:] = np.any([rows[name][1:] != rows[name][:-1] for name in ("entry", "time", "length")], axis=0)
    number = np.cumsum(new) - 1
    first = np.searchsorted(rows["entry"], rows["entry"])
    rows["window"] = number - number[first]


def recording_mode(meas_level: int, meas_return: str, modes: Collection[str]) -> str:
    """Return which of its ``modes`` a digitizer needs for a measurement level.

    Raw records when it has no better one: the host then averages and integrates.
    """
    records = "average" if meas_return == "avg" else "raw"
    best = records if meas_level == 0 else "integrate"
    return "raw" if best not in modes and "raw" in modes else best


def share_out(chunk: Chunk, device: DeviceDescription, modes: Mapping[str, Collection[str]] | None = None) -> Shares:
    """Return the work of every AWG and digitizer of ``device``, each with one list entry per program.

    ``modes``: of acquisition, by digitizer; all of them where it says nothing.

    Acquisitions whose bit is thrown away (memory slot -1) are not recorded. Raises :class:`InstrumentLimitError`
    when a time does not convert to an instrument's clock exactly.
    """
    slots = chunk.head.slots
    ports = [device.ports[slot.port] for slot in slots]
    ratio = np.zeros(len(slots), np.dtype([("numerator", "<i8"), ("denominator", "<i8")]))
    fractions = {name: samples_per_dt(device, port) for name, port in device.ports.items()}
    ratio[:] = [fractions[slot.port].as_integer_ratio() for slot in slots]
    entry, events, conditions = _gather(chunk, EVENT, ratio)
    acquired_entry, acquisitions, waiting = _gather(chunk, ACQUISITION, ratio)
    if waiting.any():
        raise InstrumentLimitError(
            "an acquisition cannot wait for a bit",
            subject=f"program {chunk.programs[acquired_entry[np.argmax(waiting != 0)]].name}",
            legal="acquisitions in blocks that are always played",
        )
    envelopes = Envelopes(chunk)
    channels = tuple(slot.channel for slot in slots)
    programs = tuple(program.name for program in chunk.programs)
    pair = np.array([port.pair for port in ports], np.uint8)
    oscillator = np.array([slot.oscillator for slot in slots], np.uint8)
    playbacks, recordings = {}, {}
    for instrument in dict.fromkeys(port.instrument for port in device.ports.values()):
        own = np.array([port.instrument == instrument for port in ports], dtype=bool)
        entries = _entries(chunk, device, instrument)
        wired = {name: port for name, port in device.ports.items() if port.instrument == instrument}
        if any(port.direction == "output" for port in wired.values()):
            mine = own[events["slot"]]
            played = _select(events, entry, mine, PLAYED)
            played["condition"] = conditions[mine]
            played["pair"], played["oscillator"] = pair[played["slot"]], oscillator[played["slot"]]
            settings = {port.pair: chunk.settings.ports.get(name, PortSettings()) for name, port in wired.items()}
            playbacks[instrument] = Playback(played, entries, envelopes, channels, programs, settings)
        else:
            mine = own[acquisitions["slot"]] & (acquisitions["memory_slot"] >= 0)
            rows = _select(acquisitions, acquired_entry, mine, RECORDED)
            _windows(rows)
            _tell_bits(chunk, rows)
            # A record comes later than its pulse by the time of flight, so it may end after the program.
            np.maximum.at(entries["length"], rows["entry"], rows["time"] + rows["length"])
            can = (modes or {}).get(instrument, MODES)
            mode = recording_mode(chunk.settings.meas_level, chunk.settings.meas_return, can)
            clock = float(next(iter(wired.values())).clock)
            recordings[instrument] = Recording(rows, entries, envelopes, channels, programs, mode, clock)
    return Shares(playbacks, recordings)


def _select(source: Rows, entry: npt.NDArray[np.int32], mine: npt.NDArray[np.bool_], dtype: np.dtype[np.void]) -> Rows:
    """Return the rows ``mine`` of ``source`` with the fields of ``dtype``."""
    target = np.zeros(int(mine.sum()), dtype)
    for name in source.dtype.names or ():
        target[name] = source[name][mine]
    target["entry"] = entry[mine]
    return target
