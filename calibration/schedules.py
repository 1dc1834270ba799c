"""What the schedules of routines are made of: gates of the working set, pulses, waits and measurements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.gates import gate_schedules
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import InvalidValueError, NotFoundError
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot, PulseChannel
from pulsed.pulse.configuration import Kernel
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instructions import Acquire, Play, SetFrequency, ShiftPhase
from pulsed.pulse.library import Drag, GaussianSquare
from pulsed.pulse.library.pulse import Pulse
from pulsed.pulse.schedule import Schedule

READOUT_AMPLITUDE = 0.05
"""Full scale, of a readout that nothing is known of."""
READOUT_DURATION = 800
"""dt, of a readout that nothing is known of."""
READOUT_SIGMA = 8
"""dt: of the flanks of a readout pulse, which are two sigma long."""
PULSE_DURATION, PULSE_SIGMA = 32, 8
"""dt, of a pi pulse that nothing is known of."""

Part = Schedule | int
"""A piece of a schedule, or a wait in dt."""


class Blocks:
    """The building blocks under one working set of values. All times in dt.

    What a qubit measures lies in the memory slot of its number, unless it is told otherwise.
    """

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self.device = device
        self.calibration = calibration
        self._channel_map = ChannelMap(device, calibration)

    @cached_property
    def _gates(self) -> object:
        return gate_schedules(self.device, self.calibration)

    @property
    def dt(self) -> float:
        """Seconds."""
        return float(self.device.dt)

    def value(self, name: str, default: float | None = None) -> float:
        """Return a number of the working set. Raises :class:`NotFoundError` without a ``default``."""
        return self.calibration.number(name) if default is None else self.calibration.get(name, default)

    def gate(self, name: str, *qubits: int) -> Schedule:
        """Return a gate of the working set. Raises :class:`NotFoundError` when values for it are missing."""
        gates = self._gates
        if not gates.has(name, qubits):  # type: ignore[attr-defined]
            subject = f"calibration set {self.calibration.calibration_id}"
            raise NotFoundError("values of this gate are missing", subject=subject, value=f"{name} on {qubits}")
        found: Schedule = gates.get(name, qubits)  # type: ignore[attr-defined]
        return found

    def x(self, qubit: int) -> Schedule:
        """Return the π pulse."""
        return self.gate("x", qubit)

    def sx(self, qubit: int) -> Schedule:
        """Return the π/2 pulse."""
        return self.gate("sx", qubit)

    def rz(self, qubit: int, angle: float) -> Schedule:
        """Return a virtual z rotation by ``angle``: shifts of every frame at the qubit's frequency, no time."""
        schedule = Schedule(name="rz")
        for row in self._channel_map.frames_of_qubit[qubit]:
            schedule = schedule.insert(0, ShiftPhase(rz_phase(angle), self._channel_map.lines[row].channel))
        return schedule

    def drive(self, qubit: int, pulse: Pulse) -> Schedule:
        """Return a pulse on the qubit's drive line."""
        return self.play(pulse, DriveChannel(qubit))

    def play(self, pulse: Pulse, channel: PulseChannel) -> Schedule:
        """Return a pulse on any channel."""
        return Schedule((0, Play(pulse, channel)), name=pulse.name or "pulse")

    def drag(self, qubit: int, gate: str = "x", **changes: float) -> Schedule:
        """Return the pulse of ``gate`` with some of amplitude, angle, beta, duration and sigma changed.

        What the working set does not know has the values of a first try: 32 dt long, sigma 8 dt, no DRAG, angle 0.
        """
        known = {"duration": PULSE_DURATION, "sigma": PULSE_SIGMA, "beta": 0.0, "angle": 0.0, "amplitude": 0.0}
        values = {name: self.value(f"Q{qubit}.{gate}.{name}", start) for name, start in known.items()} | changes
        pulse = Drag(
            round(values["duration"]), values["amplitude"], sigma=values["sigma"], beta=values["beta"],
            angle=values["angle"], name=f"{gate}_q{qubit}",
        )  # fmt: skip
        return self.drive(qubit, pulse)

    def at(self, qubit: int, frequency: float, part: Schedule) -> Schedule:
        """Return ``part`` with the qubit's drive frame at ``frequency`` (Hz).

        Then it is at f01 again, with the phase that it would have if it had never left.
        """
        channel, home = DriveChannel(qubit), self.value(f"Q{qubit}.f01")
        turned = 2 * np.pi * (frequency - home) * self.dt * part.duration
        back = Schedule((0, SetFrequency(home, channel)), (0, ShiftPhase(turned, channel)))
        return sequence(Schedule((0, SetFrequency(frequency, channel))), part, back)

    def measure(
        self, qubit: int, *, amplitude: float | None = None, duration: int | None = None,
        frequency: float | None = None, settle: int = 0, slot: int | None = None,
    ) -> Schedule:  # fmt: skip
        """Return the readout pulse and the acquisition under it, which begins ``settle`` later.

        Without a calibrated kernel, or with a duration or frequency of one's own, the integration is a boxcar, which
        is the mean. At another ``frequency`` (Hz) than the calibrated one the weights turn with the difference, such
        that the points in the plane are those of a readout calibrated to that frequency, whenever it starts.
        """
        subject = f"Q{qubit}.readout"
        known = round(self.value(f"{subject}.duration", READOUT_DURATION))
        length = known if duration is None else duration
        size = self.value(f"{subject}.amplitude", READOUT_AMPLITUDE) if amplitude is None else amplitude
        sigma = self.value(f"{subject}.sigma", READOUT_SIGMA)
        pulse = GaussianSquare(length, size, sigma=sigma, width=length - 4 * sigma, name=f"measure_q{qubit}")
        channel, frames, kernel = MeasureChannel(qubit), [], None
        window = length - settle
        if window != known:
            kernel = Kernel("boxcar")
        if frequency is not None:
            frames = [(0, SetFrequency(frequency, channel))]
            home = self._channel_map.lines[self._channel_map.rows[channel]].frequency
            late = self.value(f"{self.device.qubits[qubit].acquire}.delay", 0.0)
            turns = (frequency - home) * self.dt * (late + settle + np.arange(window))
            kernel = Kernel("turning", weights=np.exp(2j * np.pi * turns) / window)
        acquire = Acquire(window, AcquireChannel(qubit), MemorySlot(qubit if slot is None else slot), kernel=kernel)
        return Schedule(*frames, (0, Play(pulse, channel)), (settle, acquire), name="measure")

    def shot(
        self, qubit: int, *parts: Part, readout: Schedule | None = None, frequency: float | None = None
    ) -> Schedule:
        """Return a whole shot: ``parts`` one after the other, then a measurement.

        Args:
            qubit: which is measured.
            parts: schedules and waits.
            readout: another measurement than the qubit's own.
            frequency: of the drive's frame during the whole shot (Hz).

        The start is moved such that the acquisition begins on its grid; no part comes closer to another by it.

        """
        body = sequence(*parts, readout or self.measure(qubit))
        if frequency is not None:
            body = Schedule((0, SetFrequency(frequency, DriveChannel(qubit))), (0, body))
        return together([body], self.device.timing.acquire_alignment)


def sequence(*parts: Part) -> Schedule:
    """Return ``parts`` one after the other, each when all of those before it have ended; a number is a wait in dt."""
    result, time = Schedule(), 0
    for part in parts:
        if isinstance(part, int):
            if part < 0:
                raise InvalidValueError("a wait is negative", subject="schedule", value=part, legal=">= 0 dt")
            time += part
            continue
        result = result.insert(time, part)
        time += part.duration
    return result


def first_acquisition(schedule: Schedule) -> int:
    """Return when the first acquisition starts, in dt; 0 when there is none."""
    return min((time for time, item in schedule.instructions if isinstance(item, Acquire)), default=0)


def memory_slots(schedules: Sequence[Schedule]) -> tuple[int, ...]:
    """Return the memory slots that are measured into, in order."""
    return tuple(
        sorted(
            {
                item.mem_slot.index
                for schedule in schedules
                for _, item in schedule.instructions
                if isinstance(item, Acquire) and item.mem_slot is not None
            }
        )
    )


def together(schedules: Sequence[Schedule], alignment: int) -> Schedule:
    """Return the shots of several targets as one: first acquisitions start together, at a multiple of ``alignment``.

    Those that are shorter start later.
    """
    starts = [first_acquisition(schedule) for schedule in schedules]
    at = -(-max(starts, default=0) // alignment) * alignment
    result = Schedule(name=schedules[0].name if schedules else None)
    for schedule, start in zip(schedules, starts, strict=True):
        result = result.insert(at - start, schedule)
    return result
