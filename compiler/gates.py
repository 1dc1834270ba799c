"""From a calibration set to the schedules of the gates, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from qiskit.circuit import Parameter

from pulsed.compiler.wiring import Wiring
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.frames import rz_phase
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.instructions import Acquire, Delay, Play, ShiftPhase
from pulsed.pulse.library import Constant, Drag, GaussianSquare
from pulsed.pulse.schedule import Schedule

GateKey = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class GateInfo:
    """A gate as it is played. ``duration`` in dt; ``error`` is the average gate (or readout) error, or None."""

    schedule: Schedule
    duration: int
    error: float | None


_DRAG = ("amplitude", "angle", "beta", "duration", "sigma")
_CZ = ("amplitude", "duration", "sigma", "width")
_ECR = ("amplitude", "angle", "duration", "sigma", "width", "cancel.amplitude", "cancel.angle")


def gate_table(device: DeviceDescription, calibration: CalibrationSet) -> dict[GateKey, GateInfo]:
    """Return every gate that the calibration set has all values for. A gate without them is absent."""
    wiring = Wiring(device, calibration)
    table: dict[GateKey, GateInfo] = {}
    for q in range(device.num_qubits):
        for name in ("x", "sx"):
            if calibration.has(*(f"Q{q}.{name}.{item}" for item in _DRAG)):
                table[name, (q,)] = _info(_drag(wiring, name, q), calibration, f"Q{q}.{name}.error")
        if calibration.has(*(f"Q{q}.readout.{item}" for item in ("amplitude", "duration", "discriminator"))):
            table["measure", (q,)] = _info(_measure(calibration, q), calibration, f"Q{q}.readout.error")
        wait = round(device.limits.rep_delay / float(device.dt))
        reset = Schedule((0, Delay(wait, DriveChannel(q))), name="reset")
        table["reset", (q,)] = GateInfo(reset, wait, None)
    for pair in device.couplings:
        subject = f"Q{pair.control}-Q{pair.target}"
        has_x = ("x", (pair.control,)) in table
        if has_x and pair.flux is None and calibration.has(*(f"{subject}.ecr.{item}" for item in _ECR)):
            schedule = _ecr(wiring, pair.control, pair.target, table["x", (pair.control,)].schedule)
            table["ecr", (pair.control, pair.target)] = _info(schedule, calibration, f"{subject}.ecr.error")
        if pair.flux is not None and calibration.has(*(f"{subject}.cz.{item}" for item in _CZ)):
            info = _info(_cz(wiring, pair.control, pair.target), calibration, f"{subject}.cz.error")
            table["cz", (pair.control, pair.target)] = table["cz", (pair.target, pair.control)] = info
    return table


def gate_schedules(device: DeviceDescription, calibration: CalibrationSet) -> InstructionScheduleMap:
    """Return the gates as an :class:`InstructionScheduleMap`, ``rz`` as a schedule with one parameter."""
    wiring = Wiring(device, calibration)
    result = InstructionScheduleMap()
    table = gate_table(device, calibration)
    for (name, qubits), info in table.items():
        result.add(name, qubits, info.schedule)
    for q in range(device.num_qubits):
        angle = Parameter("λ")
        result.add("rz", (q,), _turn(wiring, Schedule(name="rz"), 0, q, angle), [angle.name])
    for group in device.meas_map:
        measured = tuple(q for q in group if ("measure", (q,)) in table)
        if len(measured) > 1:
            result.add("measure", measured, _together([table["measure", (q,)].schedule for q in measured]))
    return result


def _info(schedule: Schedule, calibration: CalibrationSet, error: str) -> GateInfo:
    known = calibration.number(error) if calibration.has(error) else None
    return GateInfo(schedule, schedule.duration, known)


def _turn(wiring: Wiring, schedule: Schedule, time: int, qubit: int, angle: float | Parameter) -> Schedule:
    """Add rz(angle) on ``qubit`` at ``time`` (dt): a shift of every frame at that qubit's frequency."""
    for row in wiring.frames_of_qubit[qubit]:
        schedule = schedule.insert(time, ShiftPhase(rz_phase(angle), wiring.lines[row].channel))
    return schedule


def _drag(wiring: Wiring, name: str, qubit: int) -> Schedule:
    calibration, subject = wiring.calibration, f"Q{qubit}.{name}"
    pulse = Drag(
        duration=round(calibration.number(f"{subject}.duration")),
        amp=calibration.number(f"{subject}.amplitude"),
        sigma=calibration.number(f"{subject}.sigma"),
        beta=calibration.number(f"{subject}.beta"),
        angle=calibration.number(f"{subject}.angle"),
        name=f"{name}_q{qubit}",
    )
    schedule = Schedule((0, Play(pulse, DriveChannel(qubit))), name=name)
    leftover = calibration.get(f"{subject}.phase", 0.0)
    return _turn(wiring, schedule, pulse.duration, qubit, leftover) if leftover else schedule


def _measure(calibration: CalibrationSet, qubit: int) -> Schedule:
    subject = f"Q{qubit}.readout"
    duration = round(calibration.number(f"{subject}.duration"))
    amplitude = calibration.number(f"{subject}.amplitude")
    name = f"measure_q{qubit}"
    pulse: Constant | GaussianSquare = Constant(duration, amplitude, name=name)
    if calibration.has(f"{subject}.sigma", f"{subject}.width"):
        pulse = GaussianSquare(
            duration,
            amplitude,
            sigma=calibration.number(f"{subject}.sigma"),
            width=calibration.number(f"{subject}.width"),
            name=name,
        )
    return Schedule(
        (0, Play(pulse, MeasureChannel(qubit))),
        (0, Acquire(duration, AcquireChannel(qubit), MemorySlot(qubit))),
        name="measure",
    )


def _ecr(wiring: Wiring, control: int, target: int, flip: Schedule) -> Schedule:
    calibration, subject = wiring.calibration, f"Q{control}-Q{target}.ecr"
    channel = wiring.control_channel(control, target)
    assert channel is not None, "the table has couplings only"
    half = round(calibration.number(f"{subject}.duration"))
    sigma, width = calibration.number(f"{subject}.sigma"), calibration.number(f"{subject}.width")
    amplitude, angle = calibration.number(f"{subject}.amplitude"), calibration.number(f"{subject}.angle")
    cancel = calibration.number(f"{subject}.cancel.amplitude")
    cancel_angle = calibration.number(f"{subject}.cancel.angle")
    schedule = Schedule(name="ecr")
    for sign, start in ((1, 0), (-1, half + flip.duration)):
        label = f"cr{'+' if sign > 0 else '-'}_q{control}q{target}"
        tone = GaussianSquare(half, sign * amplitude, sigma=sigma, width=width, angle=angle, name=label)
        schedule = schedule.insert(start, Play(tone, channel))
        if cancel:
            rotary = GaussianSquare(half, sign * cancel, sigma=sigma, width=width, angle=cancel_angle, name=label)
            schedule = schedule.insert(start, Play(rotary, DriveChannel(target)))
        if sign > 0:
            schedule = schedule.insert(half, flip)
    return _straightened(wiring, schedule, subject, control, target)


def _cz(wiring: Wiring, control: int, target: int) -> Schedule:
    """Return the flux pulse that brings the coupler near the pair, and virtual z for the shifts of the qubits."""
    calibration, subject = wiring.calibration, f"Q{control}-Q{target}.cz"
    channel = wiring.control_channel(control, target)
    assert channel is not None, "the table has couplings only"
    pulse = GaussianSquare(
        round(calibration.number(f"{subject}.duration")),
        calibration.number(f"{subject}.amplitude"),
        sigma=calibration.number(f"{subject}.sigma"),
        width=calibration.number(f"{subject}.width"),
        name=f"cz_q{control}q{target}",
    )
    return _straightened(wiring, Schedule((0, Play(pulse, channel)), name="cz"), subject, control, target)


def _straightened(wiring: Wiring, schedule: Schedule, subject: str, control: int, target: int) -> Schedule:
    """Add the virtual z of either qubit that a pair's gate ends with."""
    end = schedule.duration
    for qubit, name in ((control, "rz_control"), (target, "rz_target")):
        leftover = wiring.calibration.get(f"{subject}.{name}", 0.0)
        if leftover:
            schedule = _turn(wiring, schedule, end, qubit, leftover)
    return schedule


def _together(schedules: list[Schedule]) -> Schedule:
    result = Schedule(name="measure")
    for schedule in schedules:
        result = result.insert(0, schedule)
    return result
