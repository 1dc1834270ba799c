"""A tone on a port, and a record of an input: what one does by hand at a rack, played as jobs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pulsed.calibration.executor import Executor
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play, SetFrequency
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

_PULSE_SECONDS = 20e-6
"""Of one of the pulses that a tone is made of."""


class TonePlayed(msgspec.Struct, frozen=True):
    """What was played."""

    port: str
    frequency: float | None
    """Hz; None for a baseband port."""
    amplitude: float
    seconds: float


@dataclass(frozen=True)
class PortRecord:
    """What an input has recorded."""

    port: str
    values: npt.NDArray[np.complex64]
    """(samples,): I + iQ, the mean over the shots, full scale 1."""
    step: float
    """Seconds."""
    shots: int
    overrange: bool


def play_tone(executor: Executor, port: str, frequency: float | None, amplitude: float, seconds: float) -> TonePlayed:
    """Play a tone on ``port`` for ``seconds``: pulses of 20 µs, the shortest repetition delay between them.

    Raises :class:`InvalidValueError` for a port that plays nothing, and what the daemon refuses.
    """
    device = executor.device
    channel, carrier = _output(executor, port)
    tone = Schedule(name=f"tone on {port}")
    if frequency is not None:
        if carrier is None:
            raise InvalidValueError("a baseband port has no frequency", subject=f"port {port}", value=frequency)
        tone = tone.insert(0, SetFrequency(frequency, channel))
    length = _on_grid(device, _PULSE_SECONDS, device.ports[port].max_length / float(device.ports[port].clock))
    tone = tone.insert(0, Play(Constant(length, amplitude), channel))
    tone = tone.insert(0, Acquire(_on_grid(device, 0.0, 0.0), AcquireChannel(0), MemorySlot(0)))  # a job has one
    period = length * float(device.dt) + device.limits.rep_delay_min
    shots = max(1, math.ceil(seconds / period))
    most = device.limits.max_shots
    programs = math.ceil(shots / most)
    each = math.ceil(shots / programs)
    for _ in range(programs):
        executor.play([tone], each, average=True, rep_delay=device.limits.rep_delay_min)
    return TonePlayed(port, carrier if frequency is None else frequency, amplitude, programs * each * period)


def record_port(executor: Executor, port: str, seconds: float, shots: int, amplitude: float = 0.0) -> PortRecord:
    """Return the mean record of the input ``port``, with a readout tone of ``amplitude`` unless that is 0.

    Raises :class:`InvalidValueError` for a port that records nothing, and what the daemon refuses.
    """
    device = executor.device
    qubit = next((q for q, one in enumerate(device.qubits) if one.acquire == port), None)
    if qubit is None:
        legal = ", ".join(dict.fromkeys(one.acquire for one in device.qubits))
        raise InvalidValueError("records nothing", subject="port", value=port, legal=legal)
    length = _on_grid(device, seconds, math.inf)
    schedule = Schedule(Acquire(length, AcquireChannel(qubit), MemorySlot(0)), name=f"record of {port}")
    if amplitude:
        schedule = schedule.insert(0, Play(Constant(length, amplitude), MeasureChannel(qubit)))
    played = executor.play([schedule], shots, average=True, level=0)
    assert played.records is not None
    values = np.asarray(played.records).reshape(-1, played.records.shape[-1])[0]
    return PortRecord(port, values, device.record_step, shots, bool(played.overrange.any()))


def draw_record(record: PortRecord, path: Path) -> None:
    """Draw a record into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    times = np.arange(len(record.values)) * record.step * 1e6
    axes.plot(times, record.values.real, label="I")
    axes.plot(times, record.values.imag, label="Q")
    axes.set(xlabel="time (µs)", ylabel="full scale", title=f"{record.port}, mean of {record.shots} shots")
    axes.legend()
    figure.savefig(path)


def _output(executor: Executor, port: str) -> tuple[Any, float | None]:
    """Return a channel that plays on ``port``, and where its carrier is (Hz)."""
    device, known = executor.device, executor.calibration
    for q, one in enumerate(device.qubits):
        if one.drive == port:
            return DriveChannel(q), known.get(f"Q{q}.f01", one.design_frequency)
        if one.readout == port:
            return MeasureChannel(q), known.get(f"Q{q}.readout.frequency", one.design_readout_frequency)
    for k, pair in enumerate(device.couplings):
        if pair.flux == port:
            return ControlChannel(k), None
    legal = ", ".join(name for name, item in device.ports.items() if item.direction == "output")
    raise InvalidValueError("plays nothing", subject="port", value=port, legal=legal)


def _on_grid(device: DeviceDescription, seconds: float, longest: float) -> int:
    """Return a length in dt that pulses and acquisitions may have."""
    timing = device.timing
    grid = math.lcm(timing.granularity, timing.acquire_alignment, timing.pulse_alignment)
    steps = min(seconds, longest) / float(device.dt) / grid
    return max(math.ceil(timing.min_length / grid), math.floor(steps + 1e-9)) * grid
