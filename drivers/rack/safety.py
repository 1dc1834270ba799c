"""What ports and oscillators may never put out, whoever asks: checked on what is about to be sent to the instruments.

The instruments' own limits are in :mod:`pulsed.drivers.limits`; these are the lab's, for what is behind the ports.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pulsed.compiler.program import Chunk, ChunkSettings
from pulsed.drivers.contract import full_scale_gain
from pulsed.drivers.limits import loudest
from pulsed.drivers.programs import Playback, Rows
from pulsed.model.device import DeviceDescription, PortDescription, PortSafety
from pulsed.model.errors import SafetyLimitError

_TOLERANCE = 1e-6
"""Of each limit: a pulse that is calibrated to the limit itself is not refused for its last digit."""


def check_safety(
    chunk: Chunk, device: DeviceDescription, playbacks: Mapping[str, Playback]
) -> Iterator[SafetyLimitError]:
    """Yield one error for each port and oscillator that would leave the limits in its ``safety``, or its ``max_power``.

    Events that wait for a bit are taken as played in every shot. Bindings are looked at together where that says
    enough, else one by one.
    """
    for name, port in device.ports.items():
        if port.safety is not None and port.instrument in playbacks and port.direction == "output":
            work = playbacks[port.instrument]
            loudest_of_all = work.at_most()
            errors = [] if loudest_of_all is None else list(_check_port(name, port, port.safety, loudest_of_all))
            if loudest_of_all is None or (errors and loudest_of_all is not work):
                errors = list(_check_port(name, port, port.safety, work.unrolled()))
            yield from errors
    yield from check_oscillators(chunk.settings, device)


def check_oscillators(settings: ChunkSettings, device: DeviceDescription) -> Iterator[SafetyLimitError]:
    """Yield one error for each oscillator that would have more than its ``max_power``."""
    for name, oscillator in device.oscillators.items():
        _, power = settings.los.get(name, (oscillator.frequency, oscillator.power))
        if oscillator.max_power is not None and power > oscillator.max_power:
            yield SafetyLimitError(
                "more power than is allowed", subject=f"oscillators.{name}.power", value=f"{power:g} dBm",
                legal=f"up to {oscillator.max_power:g} dBm (oscillators.{name}.max_power)",
            )  # fmt: skip


def _check_port(name: str, port: PortDescription, safety: PortSafety, work: Playback) -> Iterator[SafetyLimitError]:
    events = work.events[(work.events["pair"] == port.pair) & (work.events["envelope"] >= 0)]
    if not len(events):
        return
    end = events["time"] + work.envelopes.lengths[events["envelope"]]
    period = work.entries["period"].astype(float)
    level, at = loudest(events, end)
    settings = work.pairs.get(port.pair)
    gain = 1.0 if settings is None else max(full_scale_gain(settings))
    offset = 0.0 if settings is None else max(abs(value) for value in settings.offset)
    busy = _busy(events, end, len(period)) / period
    checks: list[tuple[str, float | None, float, int, str]] = [
        ("amplitude", safety.amplitude, level * gain + offset, int(events["entry"][at]), " of full scale"),
        ("power", safety.power, _dbm(port, level**2), int(events["entry"][at]), " dBm"),
        ("duty_cycle", safety.duty_cycle, float(busy.max()), int(np.argmax(busy)), ""),
    ]
    if safety.average_power is not None:
        mean = _energy(work, events, end, len(period)) / period
        checks.append(
            ("average_power", safety.average_power, _dbm(port, float(mean.max())), int(np.argmax(mean)), " dBm")
        )
    for what, limit, value, entry, unit in checks:
        if limit is not None and value > limit + _TOLERANCE * abs(limit):
            yield SafetyLimitError(
                f"program {work.programs[entry]} has a higher {what.replace('_', ' ')} than is allowed",
                subject=f"ports.{name}", value=f"{value:.4g}{unit}",
                legal=f"up to {limit:g}{unit} (ports.{name}.safety.{what})",
            )  # fmt: skip


def _dbm(port: PortDescription, share: float) -> float:
    """Return the power (dBm) at ``port`` of ``share`` of that of full scale."""
    return port.full_scale + 10 * math.log10(share) if share > 0 else -math.inf


def _gaps(
    group: npt.NDArray[np.int64], events: Rows, end: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return an order by group and time, where in it nothing of the group sounds any more, and until when it did."""
    order = np.lexsort((events["time"], group))
    stride = int(end.max()) + 1
    start = events["time"][order] + group[order] * stride
    until = np.maximum.accumulate(end[order] + group[order] * stride)
    before = np.concatenate(([-1], until[:-1]))
    return order, start >= before, np.maximum(before, start) - group[order] * stride


def _busy(events: Rows, end: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Return the samples of each of ``count`` entries in which something plays."""
    entry = events["entry"].astype(np.int64)
    order, _, begin = _gaps(entry, events, end)
    return np.bincount(entry[order], np.maximum(0, end[order] - begin), count).astype(np.float64)


def _energy(work: Playback, events: Rows, end: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Return the sum over samples of the power of each of ``count`` entries; full scale has 1.

    Tones of one frequency that overlap are taken as in phase; of different frequencies their powers add, which
    leaves out beats that a pulse of many periods averages to zero.
    """
    used = np.unique(events["envelope"])
    energies = np.zeros(int(used[-1]) + 1)
    energies[used] = [float(np.sum(np.abs(work.envelopes.read(int(row))) ** 2)) for row in used]
    root = events["amplitude"] * np.sqrt(energies[events["envelope"]])
    entry = events["entry"].astype(np.int64)
    _, tone = np.unique(events["frequency"], return_inverse=True)
    order, new, _ = _gaps(entry * (int(tone.max()) + 1) + tone, events, end)
    together = np.cumsum(new) - 1
    return np.bincount(entry[order][new], np.bincount(together, root[order]) ** 2, count).astype(np.float64)
