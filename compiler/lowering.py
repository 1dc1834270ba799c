"""From flat rows to a Program: frames are resolved, limits are checked, times become samples of each port."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
import numpy.typing as npt
from numba import njit

from pulsed.compiler.flat import ACQUIRE, PLAY, SET_FREQUENCY, SET_PHASE, SHIFT_FREQUENCY, SHIFT_PHASE
from pulsed.compiler.program import ACQUISITION, EVENT
from pulsed.compiler.wiring import Wiring
from pulsed.model.errors import LoweringError

_OK, _OVERLAP, _BAND = range(3)


@dataclass(frozen=True)
class Lowered:
    """One schedule, lowered: EVENT and ACQUISITION rows sorted by slot and time.

    Their envelopes are rows of the compiler's table. ``duration`` in dt.
    """

    events: npt.NDArray[np.void]
    acquisitions: npt.NDArray[np.void]
    duration: int


@njit(cache=True)
def _resolve(  # type: ignore[no-untyped-def]  # pragma: no cover - compiled
    row, time, length, kind, value, frequencies, intermediate, bandwidth, dt, phase_out, frequency_out
):
    """Walk each channel's rows in time and write phase and intermediate frequency of each play and acquisition.

    A hop from f1 to f2 at time t leaves the carrier continuous: exp(-i 2 pi f2 t) exp(i phase) has to go on
    where exp(-i 2 pi f1 t) was, so it carries a phase of its own, which grows by 2 pi (f2 - f1) t and which SetPhase,
    a matter of the frame, leaves alone.
    """
    current = -1
    phase = carried = frequency = 0.0
    end = 0
    for i in range(row.shape[0]):
        if row[i] != current:
            current = row[i]
            phase, carried, frequency, end = 0.0, 0.0, intermediate[current], -(1 << 60)
        k = kind[i]
        if k == SHIFT_PHASE:
            phase += value[i]
        elif k == SET_PHASE:
            phase = value[i]
        elif k in (SHIFT_FREQUENCY, SET_FREQUENCY):
            hop = value[i]
            if k == SET_FREQUENCY:
                hop = value[i] - frequencies[current] + intermediate[current] - frequency
            carried += 2 * np.pi * hop * time[i] * dt
            frequency += hop
        else:
            if time[i] < end:
                return _OVERLAP, i
            if abs(frequency) > bandwidth[current]:
                return _BAND, i
            end = time[i] + length[i]
            phase_out[i] = phase + carried + (value[i] if k == PLAY else 0.0)
            frequency_out[i] = frequency
    return _OK, 0


def lower(rows: npt.NDArray[np.void], duration: int, wiring: Wiring) -> Lowered:
    """Lower flat rows (dt) to the ports of ``wiring``.

    Raises :class:`LoweringError` that names channel, time, value and limit.
    """
    order = np.lexsort((np.arange(len(rows)), rows["time"], rows["row"]))
    rows = rows[order]
    phase, frequency = np.zeros(len(rows)), np.zeros(len(rows))
    bandwidth = np.array([line.bandwidth for line in wiring.lines])
    status, at = _resolve(
        np.ascontiguousarray(rows["row"]), rows["time"], rows["length"], rows["kind"], rows["value"],
        wiring.frequencies, wiring.intermediate, bandwidth, float(wiring.device.dt), phase, frequency,
    )  # fmt: skip
    if status != _OK:
        raise _failure(status, rows[at], frequency, wiring)
    played, acquired = rows["kind"] == PLAY, rows["kind"] == ACQUIRE
    _check(rows[played], rows[acquired], wiring)
    return Lowered(
        _events(rows[played], phase[played], frequency[played], wiring),
        _acquisitions(rows[acquired], frequency[acquired], wiring),
        duration,
    )


def _events(
    rows: npt.NDArray[np.void], phase: npt.NDArray[np.float64], frequency: npt.NDArray[np.float64], wiring: Wiring
) -> npt.NDArray[np.void]:
    ratio, delay, dt = _per_line(wiring)
    row = rows["row"]
    events = np.zeros(len(rows), dtype=EVENT)
    events["slot"], events["envelope"], events["amplitude"] = row, rows["envelope"], rows["amplitude"]
    events["time"] = rows["time"] * ratio[row] + delay[row]
    events["frequency"] = frequency
    # See Wiring.delay_phase: the oscillator counts from the port's own sample 0.
    events["phase"] = np.remainder(phase + 2 * pi * frequency * (delay[row] / ratio[row] * dt), 2 * pi)
    return events


def _acquisitions(
    rows: npt.NDArray[np.void], frequency: npt.NDArray[np.float64], wiring: Wiring
) -> npt.NDArray[np.void]:
    ratio, delay, _ = _per_line(wiring)
    row = rows["row"]
    result = np.zeros(len(rows), dtype=ACQUISITION)
    result["slot"], result["memory_slot"], result["kernel"] = row, rows["memory_slot"], rows["envelope"]
    result["qubit"] = np.array([line.qubit for line in wiring.lines], dtype=np.uint16)[row]
    result["time"] = rows["time"] * ratio[row] + delay[row]
    result["length"] = rows["length"] * ratio[row]
    result["frequency"] = frequency
    return result


def _per_line(wiring: Wiring) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], float]:
    ratio = np.array([line.samples_per_dt for line in wiring.lines], dtype=np.int64)
    delay = np.array([line.delay for line in wiring.lines], dtype=np.int64)
    return ratio, delay, float(wiring.device.dt)


def _check(plays: npt.NDArray[np.void], acquires: npt.NDArray[np.void], wiring: Wiring) -> None:
    timing = wiring.device.timing
    checks = (
        (plays, plays["amplitude"] > 1 + 1e-9, "amplitude", "beyond full scale", "0 to 1"),
        (plays, plays["length"] % timing.granularity != 0, "length", "the pulse's length is off the grid",
         f"multiples of {timing.granularity} dt"),
        (plays, plays["length"] < timing.min_length, "length", "the pulse is too short",
         f"at least {timing.min_length} dt"),
        (plays, plays["time"] % timing.pulse_alignment != 0, "time", "the pulse's start is off the grid",
         f"multiples of {timing.pulse_alignment} dt"),
        (acquires, acquires["time"] % timing.acquire_alignment != 0, "time", "the acquisition's start is off the grid",
         f"multiples of {timing.acquire_alignment} dt"),
    )  # fmt: skip
    for rows, bad, name, message, legal in checks:
        if bad.any():
            row = rows[int(np.argmax(bad))]
            raise LoweringError(
                message,
                subject=_where(row, wiring),
                value=f"{row[name]} dt" if name != "amplitude" else f"{row[name]:.6g}",
                legal=legal,
            )
    for rows in (plays, acquires):
        if (rows["time"] < 0).any():
            row = rows[int(np.argmax(rows["time"] < 0))]
            raise LoweringError(
                "before the shot's start", subject=_where(row, wiring), value=int(row["time"]), legal=">= 0"
            )


def _where(row: np.void, wiring: Wiring) -> str:
    return f"channel {wiring.lines[row['row']].slot.channel} at {row['time']} dt"


def _failure(status: int, row: np.void, frequency: npt.NDArray[np.float64], wiring: Wiring) -> LoweringError:
    line = wiring.lines[row["row"]]
    if status == _OVERLAP:
        return LoweringError("overlaps what plays before it on this channel", subject=_where(row, wiring))
    low, high = line.lo - line.bandwidth, line.lo + line.bandwidth
    return LoweringError(
        f"the frequency lies outside the band of port {line.slot.port}",
        subject=_where(row, wiring),
        legal=f"{low / 1e9:.6g} to {high / 1e9:.6g} GHz",
    )
