"""Pulses of a pair with cross resonance: the echoed gate as it is calibrated, and stretched to other angles."""

from __future__ import annotations

import math

import numpy as np

from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.virtual_z import straightened, turned
from pulsed.pulse.channels import DriveChannel, PulseChannel
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import GaussianSquare
from pulsed.pulse.library.stretched import stretched
from pulsed.pulse.schedule import Schedule

Tones = tuple[tuple[PulseChannel, GaussianSquare], ...]
"""What is played at the same time: on the control channel, and against crosstalk on the target's drive channel."""

_SMALLEST = 1e-6
"""Radians: less than this is not played."""


def ecr_schedule(channel_map: ChannelMap, control: int, target: int, flip: Schedule) -> Schedule:
    """Return the calibrated echoed cross resonance of a pair: rzx(π/4), ``flip`` (x of the control), rzx(-π/4)."""
    tones = calibrated_tones(channel_map, control, target)
    schedule = _echoed(Schedule(name="ecr"), tones, flip)
    return straightened(channel_map, schedule, control, target, "ecr")


def rzx_schedule(
    channel_map: ChannelMap, control: int, target: int, angle: float, flips: tuple[Schedule, Schedule]
) -> Schedule:
    """Return rzx(angle) of a pair, ``angle`` in rad: its calibrated echoed cross resonance with other lengths.

    Between the halves and at the end the control is flipped. Angles beyond a quarter turn are made from what is missing
    to a half turn, which is z of the control and x of the target. The virtual z of the target undoes a Stark shift,
    which goes with the energy of the tones.

    Args:
        channel_map: of the rack and the calibration set, which has the values of the pair's ecr.
        control: a qubit.
        target: a qubit with a calibrated ecr from ``control``.
        angle: in rad, any finite number.
        flips: the schedules of x of the control and of the target.

    Raises:
        PulseError: an angle that is no finite number.

    """
    if not math.isfinite(angle):
        raise PulseError("not an angle", subject=f"rzx on ({control}, {target})", value=angle, legal="finite")
    rest = math.remainder(angle, 2 * math.pi)
    beyond = abs(rest) > math.pi / 2
    if beyond:
        rest -= math.copysign(math.pi, rest)
    schedule, end = Schedule(name="rzx"), 0
    if abs(rest) >= _SMALLEST:
        schedule = _stretched_echo(schedule, channel_map, (control, target), rest, flips[0])
        end = schedule.duration
        schedule = schedule.insert(end, flips[0])
    if beyond:
        schedule = turned(channel_map, schedule.insert(end, flips[1]), control, math.pi)
    return schedule


def _stretched_echo(
    schedule: Schedule, channel_map: ChannelMap, pair: tuple[int, int], angle: float, flip: Schedule
) -> Schedule:
    """Add rzx(angle / 2), ``flip``, rzx(-angle / 2) for an angle of at most a quarter turn."""
    timing, (control, target) = channel_map.device.timing, pair
    whole = calibrated_tones(channel_map, control, target)
    part = angle / (math.pi / 2)
    # All have the same shape, and so stay of the same length.
    tones = tuple((channel, stretched(tone, part, timing.granularity, timing.min_length)) for channel, tone in whole)
    energy = _energy(tones[0][1]) / _energy(whole[0][1])
    return straightened(channel_map, _echoed(schedule, tones, flip), control, target, "ecr", energy)


def _energy(tone: GaussianSquare) -> float:
    return float((np.abs(tone.envelope()) ** 2).sum())


def calibrated_tones(channel_map: ChannelMap, control: int, target: int) -> Tones:
    """Return the tones of the first half of a pair's ecr."""
    calibration, subject = channel_map.calibration, f"Q{control}-Q{target}.ecr"
    channel = channel_map.control_channel(control, target)
    assert channel is not None, "the table has couplings only"

    def tone(amplitude: float, angle: float) -> GaussianSquare:
        return GaussianSquare(
            round(calibration.number(f"{subject}.duration")), amplitude, sigma=calibration.number(f"{subject}.sigma"),
            width=calibration.number(f"{subject}.width"), angle=angle, name=f"cr+_q{control}q{target}",
        )  # fmt: skip

    main = tone(calibration.number(f"{subject}.amplitude"), calibration.number(f"{subject}.angle"))
    cancel = calibration.number(f"{subject}.cancel.amplitude")
    if not cancel:
        return ((channel, main),)
    other = tone(cancel, calibration.number(f"{subject}.cancel.angle"))
    return (channel, main), (DriveChannel(target), other)


def _echoed(schedule: Schedule, tones: Tones, flip: Schedule) -> Schedule:
    """Add the tones, ``flip``, and the tones turned by π."""
    half = tones[0][1].duration
    for channel, tone in tones:
        schedule = schedule.insert(0, Play(tone, channel))
    schedule = schedule.insert(half, flip)
    for channel, tone in tones:
        schedule = schedule.insert(half + flip.duration, Play(_opposite(tone), channel))
    return schedule


def _opposite(tone: GaussianSquare) -> GaussianSquare:
    name = str(tone.name).replace("cr+", "cr-")
    return GaussianSquare(
        tone.duration, -tone.amp, sigma=tone.sigma, width=tone.width, angle=tone.angle, name=name
    )  # fmt: skip
