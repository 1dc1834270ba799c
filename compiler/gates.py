"""From a calibration set to the schedules of the gates, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from qiskit.circuit import Parameter

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.cross_resonance import ecr_schedule, rzx_schedule
from pulsed.compiler.virtual_z import straightened, turned
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import DeviceDescription
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.derived import derive_gates
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instruction_schedule_map import InstructionScheduleMap
from pulsed.pulse.instructions import Acquire, Delay, Play
from pulsed.pulse.library import Constant, Drag, GaussianSquare
from pulsed.pulse.schedule import Schedule
from pulsed.pulse.utils import Value

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
    channel_map = ChannelMap(device, calibration)
    table: dict[GateKey, GateInfo] = {}
    for q in range(device.num_qubits):
        for name in ("x", "sx"):
            if calibration.has(*(f"Q{q}.{name}.{item}" for item in _DRAG)):
                table[name, (q,)] = _info(_drag(channel_map, name, q), calibration, f"Q{q}.{name}.error")
        if ("x", (q,)) in table:  # as in Qiskit's backends: idle for as long as x
            idle = table["x", (q,)].duration
            table["id", (q,)] = GateInfo(Schedule((0, Delay(idle, DriveChannel(q))), name="id"), idle, None)
        if calibration.has(*(f"Q{q}.readout.{item}" for item in ("amplitude", "duration", "discriminator"))):
            table["measure", (q,)] = _info(_measure(calibration, q), calibration, f"Q{q}.readout.error")
        wait = round(device.limits.rep_delay / float(device.dt))
        reset = Schedule((0, Delay(wait, DriveChannel(q))), name="reset")
        table["reset", (q,)] = GateInfo(reset, wait, None)
    for pair in device.couplings:
        subject = f"Q{pair.control}-Q{pair.target}"
        has_x = ("x", (pair.control,)) in table
        if has_x and pair.flux is None and calibration.has(*(f"{subject}.ecr.{item}" for item in _ECR)):
            schedule = ecr_schedule(channel_map, pair.control, pair.target, table["x", (pair.control,)].schedule)
            table["ecr", (pair.control, pair.target)] = _info(schedule, calibration, f"{subject}.ecr.error")
        if pair.flux is not None and calibration.has(*(f"{subject}.cz.{item}" for item in _CZ)):
            info = _info(_cz(channel_map, pair.control, pair.target), calibration, f"{subject}.cz.error")
            table["cz", (pair.control, pair.target)] = table["cz", (pair.target, pair.control)] = info
    return table


def gate_schedules(device: DeviceDescription, calibration: CalibrationSet) -> InstructionScheduleMap:
    """Return the gates as an :class:`InstructionScheduleMap`, with those that follow from them.

    ``rz`` is a schedule with one parameter; u1, u2, u3, id, cx, rzx and the other direction of a pair's gates are made
    when they are asked for (:mod:`pulsed.pulse.derived`, :mod:`pulsed.compiler.cross_resonance`).
    """
    channel_map = ChannelMap(device, calibration)
    result = InstructionScheduleMap()
    table = gate_table(device, calibration)
    for (name, qubits), info in table.items():
        result.add(name, qubits, info.schedule)
    for q in range(device.num_qubits):
        angle = Parameter("λ")
        result.add("rz", (q,), turned(channel_map, Schedule(name="rz"), q, angle), [angle.name])
    for group in device.meas_map:
        measured = tuple(q for q in group if ("measure", (q,)) in table)
        if len(measured) > 1:
            result.add("measure", measured, _together([table["measure", (q,)].schedule for q in measured]))
    _add_derived(result, channel_map, table)
    return result


def _add_derived(result: InstructionScheduleMap, channel_map: ChannelMap, table: dict[GateKey, GateInfo]) -> None:
    """Add the gates that follow from those of the table, of the qubits that have both x and sx."""
    turned_by = {
        q: [channel_map.lines[row].channel for row in rows.tolist()]
        for q, rows in enumerate(channel_map.frames_of_qubit)
    }
    whole = {q for q in turned_by if ("x", (q,)) in table and ("sx", (q,)) in table}
    pairs = []
    for pair in ((item.control, item.target) for item in channel_map.device.couplings):
        if not whole.issuperset(pair) or (("ecr", pair) not in table and ("cz", pair) not in table):
            continue
        pairs.append(pair)
        if ("ecr", pair) in table:
            flips = table["x", pair[:1]].schedule, table["x", pair[1:]].schedule
            result.add("rzx", pair, partial(_rzx, channel_map, pair, flips), derived=True)
    derive_gates(result, turned_by, pairs)


def _rzx(channel_map: ChannelMap, pair: tuple[int, int], flips: tuple[Schedule, Schedule], theta: Value) -> Schedule:
    try:
        angle = float(theta)
    except TypeError:
        raise PulseError(
            "needs its angle as a number: what is stretched has no length before", subject=f"rzx on {pair}",
            value=str(theta),
        ) from None  # fmt: skip
    return rzx_schedule(channel_map, *pair, angle, flips)


def _info(schedule: Schedule, calibration: CalibrationSet, error: str) -> GateInfo:
    known = calibration.number(error) if calibration.has(error) else None
    return GateInfo(schedule, schedule.duration, known)


def _drag(channel_map: ChannelMap, name: str, qubit: int) -> Schedule:
    calibration, subject = channel_map.calibration, f"Q{qubit}.{name}"
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
    return turned(channel_map, schedule, qubit, leftover) if leftover else schedule


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


def _cz(channel_map: ChannelMap, control: int, target: int) -> Schedule:
    """Return the flux pulse that brings the coupler near the pair, and virtual z for the shifts of the qubits."""
    calibration, subject = channel_map.calibration, f"Q{control}-Q{target}.cz"
    channel = channel_map.control_channel(control, target)
    assert channel is not None, "the table has couplings only"
    pulse = GaussianSquare(
        round(calibration.number(f"{subject}.duration")),
        calibration.number(f"{subject}.amplitude"),
        sigma=calibration.number(f"{subject}.sigma"),
        width=calibration.number(f"{subject}.width"),
        name=f"cz_q{control}q{target}",
    )
    return straightened(channel_map, Schedule((0, Play(pulse, channel)), name="cz"), control, target, "cz")


def _together(schedules: list[Schedule]) -> Schedule:
    result = Schedule(name="measure")
    for schedule in schedules:
        result = result.insert(0, schedule)
    return result
