"""The limits of instruments, checked on a whole chunk at once before the first byte is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import PortSettings
from pulsed.drivers.contract import Capabilities, full_scale_gain
from pulsed.drivers.programs import Playback, Recording, Rows
from pulsed.model.errors import InstrumentLimitError

_TOLERANCE = 1e-6
"""Of full scale: far below one code, far above what sums of floats lose."""


def _refuse(work: Playback | Recording, row: np.void, what: str, value: object, legal: str, subject: str) -> None:
    channel, program = work.channels[row["slot"]], work.programs[row["entry"]]
    raise InstrumentLimitError(
        f"{what} on channel {channel} at sample {row['time']} of program {program}",
        subject=subject, value=str(value), legal=legal,
    )  # fmt: skip


def _check(
    work: Playback | Recording, rows: Rows, subject: str, checks: list[tuple[str, npt.NDArray[np.bool_], object, str]]
) -> None:
    """Each check: what is wrong, where it is, the values, the legal ones."""
    if not np.logical_or.reduce([bad for _, bad, _, _ in checks]).any():
        return
    for what, bad, values, legal in checks:
        if bad.any():
            at = int(np.argmax(bad))
            _refuse(work, rows[at], what, np.broadcast_to(np.asarray(values), bad.shape)[at], legal, subject)


def check_playback(work: Playback, can: Capabilities, subject: str) -> None:
    """Check what an AWG plays: numbers, grid, times, NCO band, overlaps, and the sum of each pair.

    Bindings are looked at together where that says enough, else one by one. Raises :class:`InstrumentLimitError` that
    names channel, time, value and limit.
    """
    loudest_of_all = None if can.levels else work.at_most()
    if loudest_of_all is not None:
        try:
            _check_entries(loudest_of_all, can, subject)
            return
        except InstrumentLimitError:
            if loudest_of_all is work:
                raise
    _check_entries(work.unrolled(), can, subject)


def _check_entries(work: Playback, can: Capabilities, subject: str) -> None:
    """Check events with their own numbers."""
    events = work.events
    turn = events["envelope"] < 0
    lengths = np.zeros(len(events), np.int64)
    lengths[~turn] = work.envelopes.lengths[events["envelope"][~turn]]
    end = events["time"] + lengths
    room = work.entries["length"][events["entry"]]
    amplitude, frequency = events["amplitude"], events["frequency"]
    _check(work, events, subject, [
        ("no such pair", ~np.isin(events["pair"], can.outputs) if can.pair_numbers else
         (events["pair"] < 1) | (events["pair"] > can.pairs), events["pair"], numbered(can.outputs)),
        ("the event begins off the grid", events["time"] % can.start_grid != 0, events["time"],
         f"multiples of {can.start_grid} samples"),
        ("no such bit to wait for", np.abs(events["condition"].astype(int)) > can.feedback_bits, events["condition"],
         f"up to {can.feedback_bits} bits in a program"),
        ("a turn of the oscillator is not in the instrument's language", turn & (can.feedback_bits == 0), "turn",
         "events with an envelope"),
        ("no such oscillator", events["oscillator"] >= can.oscillators, events["oscillator"],
         f"0 to {can.oscillators - 1}"),
        ("the waveform's length is off the grid", ~turn & (lengths % can.granularity != 0), lengths,
         f"multiples of {can.granularity} samples"),
        ("the waveform is too short or too long",
         ~turn & ((lengths < can.min_length) | (lengths > can.max_length)), lengths,
         f"{can.min_length} to {can.max_length} samples"),
        ("the amplitude is beyond full scale", ~((amplitude >= 0) & (amplitude <= 1 + _TOLERANCE)), amplitude,
         "0 to 1"),
        ("the frequency is beyond the oscillator's band", ~(np.abs(frequency) <= can.max_frequency), frequency,
         f"-{can.max_frequency:.6g} to {can.max_frequency:.6g} Hz"),
        ("the phase is not a number", ~np.isfinite(events["phase"]), events["phase"], "any angle in rad"),
        ("the event begins before the shot", events["time"] < 0, events["time"], "from 0"),
        ("the event ends after the program", end > room, end, "the program's length"),
    ])  # fmt: skip
    _check_overlap(work, end, subject)
    _check_sum(work, end, can, subject)
    check_oscillators(work, can, subject)


def numbered(numbers: tuple[int, ...]) -> str:
    """Return numbers in words: ``"1 to 4"``, or all of them where some are missing."""
    whole = numbers == tuple(range(numbers[0], numbers[0] + len(numbers))) if numbers else False
    return f"{numbers[0]} to {numbers[-1]}" if whole and len(numbers) > 1 else ", ".join(map(str, numbers)) or "none"


def check_oscillators(work: Playback, can: Capabilities, subject: str) -> None:
    """Check what one oscillator of a pair holds: events, waveforms, levels, and how close events follow each other.

    Raises :class:`InstrumentLimitError` that names channel, value and limit.
    """
    limited = can.min_gap, can.oscillator_events, can.oscillator_waveforms, can.oscillator_waveform_memory, can.levels
    if not any(limited):
        return
    events = work.events[work.events["envelope"] >= 0]
    rows = events[np.lexsort((events["time"], events["entry"], events["slot"]))]
    same = (rows["slot"][1:] == rows["slot"][:-1]) & (rows["entry"][1:] == rows["entry"][:-1])
    close = same & (np.diff(rows["time"]) < can.min_gap)
    if close.any():
        at = int(np.argmax(close))
        gap = f"{rows['time'][at + 1] - rows['time'][at]} samples"
        _refuse(work, rows[at + 1], "the event follows too closely", gap, f"from {can.min_gap} samples", subject)
    for slot in np.unique(rows["slot"]).tolist():
        mine = rows[rows["slot"] == slot]
        used = np.unique(mine["envelope"])
        levels = len(np.unique(mine[["amplitude", "phase"]])) if can.levels else 0
        samples = int(work.envelopes.lengths[used].sum())
        for what, value, limit in (
            ("events", len(mine), can.oscillator_events),
            ("waveforms", len(used), can.oscillator_waveforms),
            ("samples of waveforms", samples, can.oscillator_waveform_memory),
            ("different pairs of amplitude and phase", levels, can.levels),
        ):
            if limit and value > limit:
                raise InstrumentLimitError(
                    f"channel {work.channels[slot]} has more {what} than its oscillator holds", subject=subject,
                    value=f"{value} {what}", legal=f"up to {limit}",
                )  # fmt: skip


def _check_overlap(work: Playback, end: npt.NDArray[np.int64], subject: str) -> None:
    events = work.events
    # A turn goes before what plays from the same sample on.
    order = np.lexsort((events["envelope"] >= 0, events["time"], events["oscillator"], events["pair"], events["entry"]))
    rows, ends = events[order], end[order]
    same = np.ones(max(0, len(rows) - 1), dtype=bool)
    for name in ("entry", "pair", "oscillator"):
        same &= rows[name][1:] == rows[name][:-1]
    late = same & (rows["time"][1:] < ends[:-1])
    if late.any():
        at = int(np.argmax(late))
        _refuse(work, rows[at + 1], "two events of one oscillator overlap", f"sample {rows['time'][at + 1]}",
                f"from sample {ends[at]}", subject)  # fmt: skip


def _check_sum(work: Playback, end: npt.NDArray[np.int64], can: Capabilities, subject: str) -> None:
    """Check corrections and offsets, and that no pair can leave full scale.

    The bound takes all tones that play at once as in phase. It is reached when tones of different frequency beat,
    so it is no more careful than it has to be.
    """
    events = work.events
    for pair, settings in work.pairs.items():
        if can.correction == "none" and settings != PortSettings():
            raise InstrumentLimitError(
                f"the mixer of pair {pair} is corrected by the instrument itself", subject=subject,
                value=f"correction {settings.correction}, offset {settings.offset}", legal="none",
            )  # fmt: skip
        for what, values, limit in (
            ("correction", settings.correction, can.max_correction),
            ("offset", settings.offset, can.max_offset),
        ):
            if can.correction == "matrix" and not all(abs(value) <= limit for value in values):
                raise InstrumentLimitError(
                    f"the {what} of pair {pair} is out of range",
                    subject=subject,
                    value=str(values),
                    legal=f"each {-limit:g} to {limit:g}",
                )
        mine = np.flatnonzero(events["pair"] == pair)
        level, rows = loudest(events[mine], end[mine])
        gains = full_scale_gain(settings)
        reach = [level * gain + abs(offset) for gain, offset in zip(gains, settings.offset, strict=True)]
        if len(mine) and max(reach) > 1 + _TOLERANCE:
            _refuse(work, events[mine[rows]], "the sum of all tones after mixer correction is beyond full scale",
                    f"{max(reach):.4f}", "up to 1", subject)  # fmt: skip


def loudest(events: Rows, end: npt.NDArray[np.int64]) -> tuple[float, int]:
    """Return the largest sum of amplitudes that sound at once, and the event with which it is reached.

    ``events``: :data:`~pulsed.drivers.programs.PLAYED` of one pair; ``end``: the sample after the last of each.
    """
    count = len(events)
    if not count:
        return 0.0, 0
    time = np.concatenate((end, events["time"]))
    entry = np.concatenate((events["entry"], events["entry"]))
    step = np.concatenate((-events["amplitude"], events["amplitude"]))
    # What ends at a sample is over before what begins there: ends come first and the sort is stable.
    order = np.lexsort((np.arange(2 * count) >= count, time, entry))
    level = np.cumsum(step[order])
    at = int(np.argmax(level))
    return float(level[at]), int(order[at] % count)


def check_recording(work: Recording, can: Capabilities, subject: str) -> None:
    """Check what a digitizer records: windows on the grid, apart from each other, kernels, memory.

    Raises :class:`InstrumentLimitError` that names channel, time, value and limit.
    """
    rows = work.rows
    start, length = rows["time"], rows["length"]
    room = work.entries["length"][rows["entry"]]
    kernel = rows["kernel"]
    weights = work.envelopes.lengths[kernel] if (kernel >= 0).any() else length
    _check(work, rows, subject, [
        ("the window's length is off the grid", length % can.granularity != 0, length,
         f"multiples of {can.granularity} samples"),
        ("the window is too short or too long", (length < can.min_length) | (length > can.max_length), length,
         f"{can.min_length} to {can.max_length} samples"),
        ("the window begins before the shot", start < 0, start, "from 0"),
        ("the window begins off the grid", start % can.start_grid != 0, start,
         f"multiples of {can.start_grid} samples"),
        ("the window ends after the table", start + length > room, start + length, "the table's length"),
        ("the frequency is beyond the band", ~(np.abs(rows["frequency"]) <= can.max_frequency), rows["frequency"],
         f"-{can.max_frequency:.6g} to {can.max_frequency:.6g} Hz"),
        ("the kernel has another length than its window", (kernel >= 0) & (weights != length), weights,
         "the window's length"),
    ])  # fmt: skip
    _check_kernels(work, can, subject)
    same = rows["entry"][1:] == rows["entry"][:-1]
    other = rows["window"][1:] != rows["window"][:-1]
    late = same & other & (start[1:] < (start + length)[:-1])
    if late.any():
        at = int(np.argmax(late))
        _refuse(work, rows[at + 1], "two windows overlap", f"sample {start[at + 1]}",
                f"from sample {start[at] + length[at]}", subject)  # fmt: skip
    if len(work.decisions) and not can.decisions:
        raise InstrumentLimitError("it cannot make one bit of several", subject=subject,
                                   value=f"program {work.programs[work.decisions['entry'][0]]}",
                                   legal="conditions on one bit")  # fmt: skip
    size = recorded_bytes(work)
    if size > can.result_memory:
        raise InstrumentLimitError("the data of all shots do not fit into the memory", subject=subject,
                                   value=f"{size} bytes", legal=f"up to {can.result_memory} bytes")  # fmt: skip
    if work.mode not in can.modes:
        raise InstrumentLimitError("no such mode", subject=subject, value=work.mode, legal=", ".join(can.modes))


def _check_kernels(work: Recording, can: Capabilities, subject: str) -> None:
    """Check that the weights of each kernel are such as the digitizer multiplies with."""
    if can.weights == "complex":
        return
    for kernel in np.unique(work.rows["kernel"][work.rows["kernel"] >= 0]).tolist():
        weights = work.envelopes.read(kernel)
        turned = weights * np.exp(-1j * real_phase(weights))
        good = np.abs(turned.imag).max() <= _TOLERANCE * np.abs(weights).max()
        if can.weights == "boxcar":
            good = good and np.ptp(turned.real) <= _TOLERANCE * np.abs(weights).max()
        if not good:
            row = work.rows[work.rows["kernel"] == kernel][0]
            legal = {"real": "weights of one phase, or the opposite one", "boxcar": "equal weights"}[can.weights]
            _refuse(
                work, row, "the kernel cannot be multiplied with", f"{len(weights)} complex weights", legal, subject
            )


def real_phase(weights: npt.NDArray[Any]) -> float:
    """Return the phase by which weights that all have one, or the opposite one, are turned from real ones."""
    return float(np.angle(np.sum(weights.astype(np.complex128) ** 2)) / 2)


def recorded_bytes(work: Recording) -> int:
    """Return how many bytes the digitizer will hold."""
    shots = work.entries["shots"] * work.entries["bindings"]
    if work.mode == "integrate":
        return int(8 * shots[work.rows["entry"]].sum())
    first = np.ones(len(work.rows), dtype=bool)
    first[1:] = (work.rows["entry"][1:] != work.rows["entry"][:-1]) | (
        work.rows["window"][1:] != work.rows["window"][:-1]
    )
    samples = work.rows["length"][first]
    if work.mode == "raw":
        return int(4 * (samples * shots[work.rows["entry"][first]]).sum())
    return int(8 * (samples * work.entries["bindings"][work.rows["entry"][first]]).sum())
