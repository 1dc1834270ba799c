"""The programs in ``examples/legacy``: the schedules of Qiskit 1.4, and results that agree with the chip.

``tests/legacy`` holds the kept schedules to those that Qiskit 1.4 makes. Tolerances are several times the spread that
the shots of each program leave.
"""

import gzip
import importlib.util
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pulsed.provider import PulsedBackend
from pulsed.pulse import GaussianSquare
from pulsed.pulse.transforms import block_to_schedule
from pulsed.testing.programs import timed_values

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "legacy" / "golden"


@pytest.fixture
def program(request, backend, monkeypatch):
    """The program of the name given, on the backend of these tests."""
    path = ROOT / "examples" / "legacy" / f"{request.param}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "Provider", lambda: backend.provider)
    return module


def flat(values):
    """Numbers and everything else of nested lists and dictionaries, in order."""
    if isinstance(values, dict):
        values = [item for pair in values.items() for item in pair]
    if isinstance(values, list):
        return [leaf for item in values for leaf in flat(item)]
    return [values]


@pytest.mark.parametrize("program", ["building_schedules", "calibrating_a_qubit", "cross_resonance"], indirect=True)
def test_schedules_are_those_of_qiskit14(program, monkeypatch):
    monkeypatch.setattr(program.pulse.transforms, "block_to_schedule", partial(block_to_schedule, as_qiskit=True))
    kept = json.loads(gzip.decompress((GOLDEN / f"{program.__name__}.json.gz").read_bytes()))
    # The calibration set they were made with, which the active one has left behind.
    schedules = program.schedules(
        PulsedBackend.from_export(ROOT / "configs" / "sim5.toml", GOLDEN / "calibration.json")
    )
    assert [schedule.name for schedule in schedules] == [name for name, _ in kept]
    for schedule, (name, instructions) in zip(schedules, kept, strict=True):
        ours = flat(json.loads(json.dumps(timed_values(schedule))))
        theirs = flat(instructions)
        # Numbers that numpy computes may differ in their last digit from one machine to another.
        same = [a == b or (isinstance(a, float) and np.isclose(a, b, rtol=1e-12, atol=1e-15))
                for a, b in zip(ours, theirs, strict=True)]  # fmt: skip
        assert all(same), f"{name}: {ours[same.index(False)]} instead of {theirs[same.index(False)]}"


@pytest.mark.parametrize("program", ["calibrating_a_qubit"], indirect=True)
def test_a_qubit_is_calibrated(program, backend, tmp_path):
    found = program.main(tmp_path / "figure.png")
    qubit = backend.calibration_set
    assert abs(found["frequency"] - qubit.number("Q0.f01")) < 10e3
    assert found["pi_amplitude"] == pytest.approx(qubit.number("Q0.x.amplitude"), rel=0.02)
    assert found["t1"] == pytest.approx(qubit.number("Q0.t1"), rel=0.15)
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize("program", ["building_schedules"], indirect=True)
def test_pulses_decouple_a_qubit(program, backend, tmp_path):
    found = program.main(tmp_path / "figure.png")
    assert found["free"] == pytest.approx(25.0, rel=0.25)
    assert found["echo"] == pytest.approx(70.0, rel=0.25)
    assert found["XY8"] == pytest.approx(70.0, rel=0.25)
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize("program", ["cross_resonance"], indirect=True)
def test_a_cross_resonance_tone_is_made_into_a_gate(program, backend, tmp_path):
    found = program.main(tmp_path / "figure.png")
    (single, double), (single_after, double_after) = found["before"], found["after"]
    assert np.hypot(*double[:2]) == pytest.approx(double_after[0], rel=0.05)
    assert np.hypot(*single[:2]) > 1e6
    assert np.abs(single_after[:2]).max() < 30e3
    assert abs(double_after[1]) < 30e3
    names = ("duration", "amplitude", "sigma", "width")
    duration, amplitude, sigma, width = (backend.calibration_set.number(f"Q0-Q1.ecr.{name}") for name in names)
    tone = GaussianSquare(round(duration), amplitude, sigma, width)
    width = found["quarter"] / backend.dt
    own = GaussianSquare(round(width) + program.FLANKS, program.AMP, program.SIGMA, round(width))
    assert own.envelope().sum().real == pytest.approx(tone.envelope().sum().real, rel=0.08)
    assert (tmp_path / "figure.png").stat().st_size > 10_000
