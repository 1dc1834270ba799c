"""Whether each port of a rack is alive: a tone out, a tone in, and what comes of it against what comes of none.

A dead path and an idle one look the same in every circuit: all zeros. Here the readout tone of each line is recorded
beside a record without it, and a spectrum analyser, where there is one, looks at the tones that no digitizer hears.
Nothing has to be calibrated: the tones are where the active set, or the design sheet, has the qubits.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pulsed import old_names
from pulsed.calibration.executor import Executor
from pulsed.model.calibration import SELF_TEST, RunRecord
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConfigError, PulsedError
from pulsed.model.job import Spectrum
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

__getattr__ = old_names(__name__)

PortFinding = Literal["seen", "dead", "unseen"]
Values = npt.NDArray[np.complexfloating[Any, Any]]
_SECONDS = 2e-6
"""Of a tone: long against the flight through a fridge."""
_AMPLITUDE, _SHOTS = 0.3, 256
_SIGMAS = 6.0
"""Standard errors of the mean in the IQ plane that a tone has to stand out by: noise alone does so once in exp(18)."""
_ASIDE = (0.0, 10e6)
"""Hz from a resonator: on it a line may let nothing through, and beside it another kind may not."""
_RATIO = 100.0
"""Of powers: a tone that the analyser sees is 20 dB above its noise."""
_RBW = 1e6


@dataclass(frozen=True)
class PortReport:
    """What became of one port."""

    port: str
    found: PortFinding
    reason: str


def self_test(executor: Executor) -> list[PortReport]:
    """Play and record on every port; return what was found, in the order of the description. Nothing is changed."""
    device = executor.device
    reports: dict[str, PortReport] = {}
    pairs = {(qubit.readout, qubit.acquire): q for q, qubit in reversed(list(enumerate(device.qubits)))}
    for (readout, acquire), qubit in pairs.items():
        found, reason = _heard(executor, qubit)
        for port in (readout, acquire):
            if port not in reports or reports[port].found != "seen":
                reports[port] = PortReport(port, found, f"{readout} to {acquire}: {reason}")
    for port in device.ports:
        if port not in reports:
            reports[port] = PortReport(port, *_looked_at(executor, port))
    return [reports[port] for port in device.ports]


def keep(executor: Executor, reports: Sequence[PortReport], began: float) -> None:
    """Keep a record per port that was seen or is dead."""
    for report in reports:
        if report.found != "unseen":
            outcome: Any = "good" if report.found == "seen" else "bad data"
            executor.connection.put_run(
                RunRecord(
                    str(uuid.uuid4()), SELF_TEST, report.port, "scan", outcome, began, time.time(), report.reason,
                    executor.calibration.calibration_id,
                )
            )  # fmt: skip


def _length(device: DeviceDescription) -> int:
    grid = device.timing.granularity * device.timing.acquire_alignment * device.timing.pulse_alignment
    return max(1, round(_SECONDS / float(device.dt) / grid)) * grid


def _heard(executor: Executor, qubit: int) -> tuple[PortFinding, str]:
    """Play a readout tone and record it, and record without one."""
    length = _length(executor.device)
    silence = Schedule(Acquire(length, AcquireChannel(qubit), MemorySlot(0)), name="silence")
    tone = silence.insert(0, Play(Constant(length, _AMPLITUDE), MeasureChannel(qubit)))
    known = [
        executor.calibration.get(f"Q{q}.readout.frequency", one.design_readout_frequency)
        for q, one in enumerate(executor.device.qubits)
    ]
    first: tuple[PortFinding, str] | None = None
    for aside in _ASIDE:
        moved = tuple(value + aside * (q == qubit) for q, value in enumerate(known))
        try:
            played = executor.play([silence, tone], _SHOTS, meas_lo_freq=moved)
        except PulsedError as error:
            return "dead", f"cannot be played: {error}"
        assert played.iq is not None
        found, reason = judge(played.iq[0, :, 0], played.iq[1, :, 0])
        if found == "seen":
            return found, reason
        first = first or (found, reason)
    assert first is not None
    return first


def judge(silence: Values, tone: Values) -> tuple[PortFinding, str]:
    """Say whether ``tone`` (shots,) stands out of ``silence`` (shots,): values in the IQ plane."""
    noise = np.sqrt(np.var(silence) / 2 + np.var(tone) / 2)  # of one quadrature and shot, of both alike
    if not noise:
        return "dead", "the digitizer records nothing, not even noise: its input, or its trigger, is dead"
    sigmas = float(abs(np.mean(tone) - np.mean(silence)) / (noise * np.sqrt(2 / len(tone))))
    if sigmas < _SIGMAS:
        return "dead", f"no tone is heard ({sigmas:.1f} standard errors): a cable, an output or the oscillator is dead"
    return "seen", f"a tone is heard with {sigmas:.0f} standard errors"


def _looked_at(executor: Executor, port: str) -> tuple[PortFinding, str]:
    """Play a tone and look at it with the spectrum analyser."""
    device = executor.device
    described = device.ports[port]
    qubit = next((q for q, one in enumerate(device.qubits) if one.drive == port), None)
    if described.lo is None:
        return "unseen", "a flux line, which nothing hears"
    if qubit is None:
        return "unseen", "no qubit is wired to it"
    carrier = executor.calibration.get(f"Q{qubit}.f01", device.qubits[qubit].design_frequency)
    lo = device.lo_frequency(port)
    empty = lo - 1.7 * (carrier - lo)  # neither the tone nor its image, nor the oscillator
    tone = Schedule(Play(Constant(_length(device), _AMPLITUDE), DriveChannel(qubit)), name="tone")
    try:
        played = executor.play([tone], 1, spectrum=Spectrum(port, (carrier, empty), _RBW))
    except ConfigError:
        return "unseen", "no digitizer hears it, and there is no spectrum analyser"
    except PulsedError as error:
        return "dead", f"cannot be played: {error}"
    assert played.spectrum is not None
    level, floor = (float(one) for one in played.spectrum[0])
    if level - floor < 10 * np.log10(_RATIO):
        return "dead", f"the analyser sees no tone, {level:.0f} dBm: a cable, the output or the oscillator is dead"
    return "seen", f"the analyser sees a tone of {level:.0f} dBm"
