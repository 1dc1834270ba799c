"""Transforms of schedules, against those of Qiskit 1.4 over random programs."""

import warnings

import numpy as np
import pytest
from qiskit import pulse as theirs
from qiskit.pulse import transforms as their_transforms

from pulsed.pulse import transforms
from pulsed.pulse.exceptions import PulseError
from pulsed.pulse.interop import from_qiskit

SEED = int(np.random.SeedSequence().entropy % 2**32)
PROGRAMS = 150


def random_schedule(rng):
    """A schedule of Qiskit 1.4 on three qubits, with up to three acquisitions of each, some into one slot."""
    made = theirs.Schedule(name="random")
    for _ in range(rng.integers(1, 14)):
        q, n = int(rng.integers(3)), int(rng.integers(1, 30))
        part = [
            lambda q, n: theirs.Play(theirs.Constant(n, 0.1), theirs.DriveChannel(q)),
            lambda q, n: theirs.Play(theirs.Gaussian(n, 0.1, 4), theirs.MeasureChannel(q)),
            lambda q, n: theirs.Acquire(n, theirs.AcquireChannel(q), theirs.MemorySlot(int(rng.integers(2)))),
            lambda q, n: theirs.Delay(n, theirs.ControlChannel(q)),
            lambda q, n: theirs.ShiftPhase(0.1 * n, theirs.DriveChannel(q)),
        ][rng.integers(5)](q, n)
        made = made.insert(made.ch_stop_time(*part.channels) + int(rng.integers(0, 12)), part)
    # Qiskit 1.4 stops with errors of Python at a schedule or a measurement without an acquisition
    for q in {channel.index for channel in made.channels if isinstance(channel, theirs.MeasureChannel)} | {0}:
        line = theirs.AcquireChannel(q)
        made = made.insert(
            made.ch_stop_time(line, theirs.MemorySlot(q + 5)), theirs.Acquire(9, line, theirs.MemorySlot(q + 5))
        )
    return made


def listed(schedule):
    return sorted(
        (time, type(part).__name__, part.duration, sorted(channel.name for channel in part.channels))
        for time, part in schedule.instructions
    )


def test_align_measures_gives_the_times_of_qiskit14():
    print(f"seed {SEED}")
    shifted = 0
    for number in range(PROGRAMS):
        rng = np.random.default_rng([SEED, number])
        schedules = [random_schedule(rng) for _ in range(rng.integers(1, 4))]
        options = {"align_all": bool(rng.integers(2))}
        options |= [{}, {"max_calibration_duration": 90}, {"align_time": int(rng.integers(0, 200))}][rng.integers(3)]
        ours = [from_qiskit(schedule) for schedule in schedules]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = their_transforms.align_measures(schedules, **options)
        except theirs.PulseError:
            with pytest.raises(PulseError):
                transforms.align_measures(ours, **options)
            continue
        found = transforms.align_measures(ours, **options)
        assert list(map(listed, found)) == list(map(listed, expected)), f"seed {SEED}, program {number}"
        shifted += sum(a != b for a, b in zip(found, ours, strict=True))
    assert shifted > PROGRAMS / 4


def test_compress_pulses_keeps_as_many_pulses_as_qiskit14():
    print(f"seed {SEED}")
    merged = 0
    for number in range(PROGRAMS):
        rng = np.random.default_rng([SEED, number])
        schedules = [random_schedule(rng) for _ in range(2)]
        ours = [from_qiskit(schedule) for schedule in schedules]

        def objects(programs):
            return len({id(part.pulse) for one in programs for _, part in one.instructions if hasattr(part, "pulse")})

        found = transforms.compress_pulses(ours)
        assert found == ours
        assert objects(found) == objects(their_transforms.compress_pulses(schedules)), f"seed {SEED}, program {number}"
        merged += objects(ours) - objects(found)
    assert merged > 5  # 36 in the mean: the comparison is of something
