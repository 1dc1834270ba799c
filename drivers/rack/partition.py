"""A chunk, partitioned: what each instrument of the rack has to play or record, blocks unrolled."""

from __future__ import annotations

import cmath
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import ACQUISITION, EVENT, Chunk, PortSettings, Program
from pulsed.drivers.programs import (
    DECIDED,
    LIST,
    MODES,
    PLAYED,
    RECORDED,
    Envelopes,
    EventSweep,
    InstrumentPrograms,
    Playback,
    Recording,
    Rows,
)
from pulsed.model.device import DeviceDescription, PortDescription, samples_per_dt
from pulsed.model.errors import ConfigError, InstrumentLimitError, PulsedError, combined
from pulsed.model.payload import side_by_side

Literals = tuple[tuple[int, int], ...]


def _bits(program: Program) -> tuple[dict[int, int], dict[Literals, int]]:
    """Return the numbers, from 1, of the bits that blocks wait for: by memory slot, and of those made of several."""
    waited = dict.fromkeys(block.branch.literals for block in program.blocks if block.branch is not None)
    slots = sorted({slot for literals in waited for slot, _ in literals})
    several = [literals for literals in waited if len(literals) > 1]
    numbers = {slot: number for number, slot in enumerate(slots, 1)}
    return numbers, {literals: number for number, literals in enumerate(several, len(slots) + 1)}


def _condition(literals: Literals, bits: tuple[dict[int, int], dict[Literals, int]]) -> int:
    """Return the condition of :data:`PLAYED` for a branch."""
    numbers, several = bits
    if literals in several:
        return several[literals]
    ((slot, value),) = literals
    return numbers[slot] if value else -numbers[slot]


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
        number = 0 if block.branch is None else _condition(block.branch.literals, bits)
        conditions.append(np.full(len(turns), number, np.int16))
        start += block.duration * block.repeat
    return np.concatenate(pieces), np.concatenate(conditions)


def _of_bindings(chunk: Chunk, dtype: np.dtype[np.void]) -> Rows | None:
    """Return the rows of all programs when they are one program of one block with different values, else None."""
    programs, first = chunk.programs, chunk.programs[0]
    block, *more = first.blocks
    events, acquired = (0, first.events.shape[0]), (0, first.acquisitions.shape[0])
    if (
        more
        or block.repeat != 1
        or block.branch is not None
        or (block.events, block.acquisitions) != (events, acquired)
    ):
        return None
    if any(one.blocks is not first.blocks or one.acquisitions is not first.acquisitions for one in programs):
        return None
    if dtype == ACQUISITION:
        return np.tile(chunk.array(first.acquisitions), len(programs))
    whole = side_by_side([program.events for program in programs])
    return None if whole is None else chunk.array(whole).reshape(-1)


def _concatenate(
    chunk: Chunk, dtype: np.dtype[np.void], ratio: Rows
) -> tuple[npt.NDArray[np.int32], Rows, npt.NDArray[np.int16]]:
    """Return the rows of all programs one after the other, which program each belongs to, and each one's condition."""

    def which(block: Any) -> tuple[int, int]:
        return block.events if dtype == EVENT else block.acquisitions  # type: ignore[no-any-return]

    rows = _of_bindings(chunk, dtype) if len(chunk.programs) > 1 else None
    if rows is not None:
        count = len(chunk.programs)
        entry = np.repeat(np.arange(count, dtype=np.int32), len(rows) // count)
        return entry, rows, np.zeros(len(rows), np.int16)
    pieces = [_unroll(chunk, program, dtype, which, ratio) for program in chunk.programs]
    entry = np.repeat(np.arange(len(pieces), dtype=np.int32), [len(piece) for piece, _ in pieces])
    if not pieces:
        return entry, np.empty(0, dtype), np.empty(0, np.int16)
    # As bytes: numpy copies rows with fields field by field.
    opaque = np.dtype((np.void, dtype.itemsize))
    rows = np.concatenate([piece.view(opaque) for piece, _ in pieces]).view(dtype)
    return entry, rows, np.concatenate([c for _, c in pieces])


def _tell_bits(chunk: Chunk, rows: Rows) -> Rows:
    """Fill in which :data:`RECORDED` rows are told to the AWGs, and how their bits come about; return :data:`DECIDED`.

    Raises :class:`InstrumentLimitError` for a bit made of others that it does not measure all of.
    """
    decisions = []
    for index, program in enumerate(chunk.programs):
        numbers, several = _bits(program)
        told = set()
        for slot, number in numbers.items():
            for row in np.flatnonzero((rows["entry"] == index) & (rows["memory_slot"] == slot)):
                angle, threshold = boundary(chunk, int(rows["qubit"][row]))
                rows["feedback"][row], rows["angle"][row], rows["threshold"][row] = number, angle, threshold
                told.add(slot)
        for literals, number in several.items():
            mine = [slot for slot, _ in literals if slot in told]
            if mine and len(mine) < len(literals):
                raise InstrumentLimitError(
                    "a decision on bits that no digitizer measures all of", subject=f"program {program.name}",
                    value="bits " + ", ".join(str(slot) for slot, _ in literals),
                    legal="bits that one digitizer measures",
                )  # fmt: skip
            if mine:
                decisions += [(index, number, _condition((literal,), (numbers, {}))) for literal in literals]
    return np.array(decisions, DECIDED)


def boundary(chunk: Chunk, qubit: int) -> tuple[float, float]:
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
    entries["bindings"] = [program.count for program in chunk.programs]
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


@dataclass(frozen=True)
class _Unrolled:
    """The rows of all programs of a chunk, blocks unrolled, of all instruments together."""

    chunk: Chunk
    device: DeviceDescription
    envelopes: Envelopes
    events: Rows
    entry: npt.NDArray[np.int32]
    """Program of each event."""
    conditions: npt.NDArray[np.int16]
    acquisitions: Rows
    acquired_entry: npt.NDArray[np.int32]
    """Program of each acquisition."""

    @property
    def ports(self) -> list[PortDescription]:
        """By slot."""
        return [self.device.ports[slot.port] for slot in self.chunk.head.slots]

    @property
    def channels(self) -> tuple[str, ...]:
        """By slot, for messages."""
        return tuple(slot.channel for slot in self.chunk.head.slots)

    @property
    def programs(self) -> tuple[str, ...]:
        """By entry, for messages."""
        return tuple(program.name for program in self.chunk.programs)

    def own(self, instrument: str) -> npt.NDArray[np.bool_]:
        """Return which slots belong to ``instrument``."""
        return np.array([port.instrument == instrument for port in self.ports], dtype=bool)


def partition_chunk(
    chunk: Chunk, device: DeviceDescription, modes: Mapping[str, Collection[str]] | None = None
) -> InstrumentPrograms:
    """Return the work of every AWG and digitizer of ``device``, each with one entry per program.

    ``modes``: of acquisition, by digitizer; all of them where it says nothing.

    Acquisitions whose bit is thrown away (memory slot -1) are not recorded. Raises :class:`InstrumentLimitError`
    when a time does not convert to an instrument's clock exactly; when it is so of several instruments, the error of
    each is among its ``causes``.
    """
    rows = _unrolled(chunk, device)
    playbacks: dict[str, Playback] = {}
    recordings: dict[str, Recording] = {}
    errors: dict[str, PulsedError] = {}
    for instrument in dict.fromkeys(port.instrument for port in device.ports.values()):
        wired = {name: port for name, port in device.ports.items() if port.instrument == instrument}
        try:
            outputs = {name: port for name, port in wired.items() if port.direction == "output"}
            inputs = [port for port in wired.values() if port.direction == "input"]
            if outputs:
                playbacks[instrument] = _playback(rows, instrument, outputs)
            if inputs:
                can = (modes or {}).get(instrument, MODES)
                recordings[instrument] = _recording(rows, instrument, inputs, can)
        except PulsedError as error:
            # What is wrong with a program may be found at each digitizer: it is one error.
            errors.setdefault(str(error), error)
    if errors:
        raise combined(list(errors.values()))
    return InstrumentPrograms(playbacks, recordings)


def _unrolled(chunk: Chunk, device: DeviceDescription) -> _Unrolled:
    slots = chunk.head.slots
    ratio = np.zeros(len(slots), np.dtype([("numerator", "<i8"), ("denominator", "<i8")]))
    fractions = {name: samples_per_dt(device, port) for name, port in device.ports.items()}
    ratio[:] = [fractions[slot.port].as_integer_ratio() for slot in slots]
    entry, events, conditions = _concatenate(chunk, EVENT, ratio)
    acquired_entry, acquisitions, waiting = _concatenate(chunk, ACQUISITION, ratio)
    if waiting.any():
        raise InstrumentLimitError(
            "an acquisition cannot wait for a bit",
            subject=f"program {chunk.programs[acquired_entry[np.argmax(waiting != 0)]].name}",
            legal="acquisitions in blocks that are always played",
        )
    return _Unrolled(chunk, device, Envelopes(chunk), events, entry, conditions, acquisitions, acquired_entry)


def _playback(rows: _Unrolled, instrument: str, wired: Mapping[str, PortDescription]) -> Playback:
    """Return what the AWG ``instrument`` plays on the ports that are ``wired`` to it."""
    chunk = rows.chunk
    entries = _entries(chunk, rows.device, instrument)
    mine = rows.own(instrument)[rows.events["slot"]]
    played = _select(rows.events, rows.entry, mine, PLAYED)
    played["condition"] = rows.conditions[mine]
    played["pair"] = np.array([port.pair for port in rows.ports], np.uint8)[played["slot"]]
    played["oscillator"] = np.array([slot.oscillator for slot in chunk.head.slots], np.uint8)[played["slot"]]
    settings = {port.pair: chunk.settings.ports.get(name, PortSettings()) for name, port in wired.items()}
    los = _inner_los(rows, instrument, wired.values())
    sweeps = _sweeps(rows, mine)
    return Playback(played, entries, rows.envelopes, rows.channels, rows.programs, settings, los, sweeps)


def _sweeps(rows: _Unrolled, mine: npt.NDArray[np.bool_]) -> dict[int, EventSweep]:
    """Return what bindings change of the events ``mine``, by entry."""
    chunk, found = rows.chunk, {}
    for index, program in enumerate(chunk.programs):
        if program.bindings is None:
            continue
        own = mine[rows.entry == index]
        parameters = chunk.array(program.parameters)
        parameters = parameters[own[parameters["event"]]]
        if len(parameters):
            parameters["event"] = (np.cumsum(own) - 1)[parameters["event"]]
            found[index] = EventSweep(parameters, chunk.array(program.bindings))
    return found


def _inner_los(rows: _Unrolled, instrument: str, ports: Iterable[PortDescription]) -> dict[int, float]:
    """Return the frequencies (Hz) of the LOs inside of ``instrument`` that mix its ``ports``, by pair."""
    device, given, los = rows.device, rows.chunk.settings.los, {}
    for port in ports:
        item = None if port.lo is None else device.oscillators[port.lo]
        if port.lo is None or item is None or item.instrument != instrument:
            continue
        los[port.pair], power = given.get(port.lo, (item.frequency, item.power))
        if power != item.power:
            raise InstrumentLimitError(
                f"the power of oscillator {port.lo}, which is inside of the instrument, cannot be set",
                subject=f"instrument {instrument}", value=f"{power:g} dBm", legal="its own",
            )  # fmt: skip
    return los


def _recording(rows: _Unrolled, instrument: str, inputs: list[PortDescription], modes: Collection[str]) -> Recording:
    """Return what ``instrument`` records at its ``inputs``; ``modes`` are those of acquisition that it has."""
    chunk = rows.chunk
    entries = _entries(chunk, rows.device, instrument)
    mine = rows.own(instrument)[rows.acquisitions["slot"]] & (rows.acquisitions["memory_slot"] >= 0)
    recorded = _select(rows.acquisitions, rows.acquired_entry, mine, RECORDED)
    recorded["order"] = np.flatnonzero(mine)
    _windows(recorded)
    decisions = _tell_bits(chunk, recorded)
    # A record comes later than its pulse by the time of flight, so it may end after the program.
    np.maximum.at(entries["length"], recorded["entry"], recorded["time"] + recorded["length"])
    mode = recording_mode(chunk.settings.meas_level, chunk.settings.meas_return, modes)
    pairs = tuple(port.pair if mine else 0 for port, mine in zip(rows.ports, rows.own(instrument), strict=True))
    return Recording(
        recorded, entries, rows.envelopes, rows.channels, rows.programs, mode, float(inputs[0].clock), decisions, pairs,
        _inner_los(rows, instrument, inputs),
    )  # fmt: skip


def _select(source: Rows, entry: npt.NDArray[np.int32], mine: npt.NDArray[np.bool_], dtype: np.dtype[np.void]) -> Rows:
    """Return the rows ``mine`` of ``source`` with the fields of ``dtype``."""
    target = np.zeros(int(mine.sum()), dtype)
    for name in source.dtype.names or ():
        target[name] = source[name][mine]
    target["entry"] = entry[mine]
    return target
