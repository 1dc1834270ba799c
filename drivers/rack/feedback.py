"""Whether each bit that decides what is played is there in time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk
from pulsed.drivers.programs import Playback, Recording, Rows
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InstrumentLimitError

_TOLERANCE = 1e-12
"""Seconds: far below a sample, far above what sums of floats lose."""


def check_feedback(
    chunk: Chunk,
    device: DeviceDescription,
    playbacks: Mapping[str, Playback],
    recordings: Mapping[str, Recording],
    latencies: Mapping[str, int],
) -> None:
    """Raise :class:`InstrumentLimitError` for an event that waits for a bit which is not there when it begins.

    ``latencies``: by AWG, samples of its clock from the end of an acquisition to the first event that its bit can
    decide. A bit stays until its memory slot is measured again.
    """
    if not any(playback.events["condition"].any() for playback in playbacks.values()):
        return
    ends: dict[tuple[int, int], float] = {}
    for recording in recordings.values():
        told = recording.rows[recording.rows["feedback"] > 0]
        seconds = _seconds(chunk, device, told, told["time"] + told["length"])
        for row, end in zip(told, seconds.tolist(), strict=True):
            key = (int(row["entry"]), int(row["feedback"]))
            ends[key] = min(end, ends.get(key, np.inf))
    for recording in recordings.values():
        for entry, number, term in recording.decisions.tolist():
            # A bit that is made of others is there with the last of them.
            ends[entry, number] = max(ends.get((entry, number), -np.inf), ends.get((entry, abs(term)), np.inf))
    for name, playback in playbacks.items():
        waiting = playback.events[playback.events["condition"] != 0]
        clock = next(float(port.clock) for port in device.ports.values() if port.instrument == name)
        latency = latencies[name] / clock
        for row, begin in zip(waiting, _seconds(chunk, device, waiting, waiting["time"]).tolist(), strict=True):
            number = abs(int(row["condition"]))
            there = ends.get((int(row["entry"]), number), np.inf) + latency
            if begin < there - _TOLERANCE:
                raise _late(chunk, playback, row, name, begin, there)


def _seconds(
    chunk: Chunk, device: DeviceDescription, rows: Rows, samples: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return times since the shot's start of ``samples`` of the clocks of the ports that ``rows`` play on."""
    ports = [device.ports[slot.port] for slot in chunk.head.slots]
    delays = np.array([port.delay for port in ports], np.int64)[rows["slot"]]
    clocks = np.array([float(port.clock) for port in ports])[rows["slot"]]
    times: npt.NDArray[np.float64] = (samples - delays) / clocks
    return times


def _late(
    chunk: Chunk, playback: Playback, row: np.void, instrument: str, begin: float, there: float
) -> InstrumentLimitError:
    program = chunk.programs[row["entry"]]
    channel = playback.channels[row["slot"]]
    what = f"an event on channel {channel} of program {program.name} waits for a bit that"
    if there == np.inf:
        return InstrumentLimitError(
            f"{what} is not measured", subject=f"instrument {instrument}", value=f"bit {abs(int(row['condition']))}",
            legal="a branch on a memory slot that the program measures",
        )  # fmt: skip
    return InstrumentLimitError(
        f"{what} has not come yet", subject=f"instrument {instrument}", value=f"{begin * 1e9:.10g} ns",
        legal=f"from {there * 1e9:.10g} ns",
    )  # fmt: skip
