"""A tone and a record, on the compiler and the simulated chip."""

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.front_panel import draw_record, play_tone, record_port
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.testing.daemon_process import CONFIGS
from pulsed.testing.simulated_lab import SimulatedLab


@pytest.fixture(scope="module")
def executor():
    device = load_device(CONFIGS / "sim5.toml")
    chip = load_chip(CONFIGS / "chips" / "sim5.toml")
    return Executor(SimulatedLab(device, chip, load_calibration(CONFIGS / "calibrations" / "sim5.json"), 1))


def test_a_record_shows_the_tone_that_is_played(executor):
    silence, tone = (record_port(executor, "in", 1e-6, 50, amplitude) for amplitude in (0.0, 0.5))
    assert len(silence.values) == round(1e-6 / silence.step)
    noise, signal = (float(np.mean(np.abs(one.values) ** 2)) for one in (silence, tone))
    assert signal > 4 * noise


def test_a_tone_lasts_at_least_as_long_as_asked_for(executor, monkeypatch):
    played = []
    monkeypatch.setattr(
        Executor, "play", lambda self, schedules, shots, **more: played.append((schedules, shots, more))
    )
    found = play_tone(executor, "d1", 5.0e9, 0.25, 3.0)
    limits, dt = executor.device.limits, float(executor.device.dt)
    shots = sum(shots for _, shots, _ in played)
    (schedule,) = played[0][0]
    assert all(shots <= limits.max_shots for _, shots, _ in played)
    assert 3.0 <= shots * (schedule.duration * dt + limits.rep_delay_min) < 3.0001
    assert found.seconds == pytest.approx(3.0, abs=1e-4)
    names = [type(instruction).__name__ for _, instruction in schedule.instructions]
    assert sorted(names) == ["Acquire", "Play", "SetFrequency"]
    assert {more["rep_delay"] for *_, more in played} == {limits.rep_delay_min}


def test_a_port_of_the_other_direction_is_refused_with_the_right_ones(executor):
    with pytest.raises(InvalidValueError, match=r"records nothing.*in"):
        record_port(executor, "d0", 1e-6, 1)
    with pytest.raises(InvalidValueError, match=r"plays nothing.*d0"):
        play_tone(executor, "in", None, 0.1, 1.0)


def test_a_record_is_drawn(executor, tmp_path):
    draw_record(record_port(executor, "in", 0.5e-6, 2), tmp_path / "in.png")
    assert (tmp_path / "in.png").read_bytes().startswith(b"\x89PNG")
