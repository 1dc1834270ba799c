import tomllib
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.model.calibration import CalibrationSet, Value, load_calibration
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.errors import InvalidValueError
from pulsed.model.toml_text import toml_lines
from pulsed.pulse.library import Drag
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.sequence import LineSettings
from pulsed.simulator.engine.gates import Burst, Gates
from pulsed.simulator.engine.imported_chip import simulated_rack

CONFIGS = Path(pulsed.configs.__file__).parent
DEVICE = load_device(CONFIGS / "coupler2.toml")
SET = load_calibration(CONFIGS / "calibrations" / "coupler2.json")


@pytest.fixture(scope="module")
def found():
    return simulated_rack(DEVICE, SET)


def test_the_chip_of_a_set_is_the_one_it_was_made_for(found):
    """coupler2's set was computed from its chip; from the set alone the same comes back, mixers and crosstalk aside."""
    true = load_chip(CONFIGS / "chips" / "coupler2.toml")
    for one, other in zip(found.chip.qubits, true.qubits, strict=True):
        assert one.frequency == other.frequency
        assert (one.t1, one.t2_echo, one.t2_star) == pytest.approx((other.t1, other.t2_echo, other.t2_star))
        assert one.drive_rate == pytest.approx(other.drive_rate, rel=5e-3)
    mine, theirs = found.chip.couplings[0].coupler, true.couplings[0].coupler
    assert mine.frequency == pytest.approx(theirs.frequency, rel=5e-3)
    assert mine.flux == pytest.approx(theirs.flux, rel=0.1)


def test_a_pulse_of_the_set_turns_by_half_a_turn(found):
    lines = tuple(LineSettings(f"d{q}", found.tables["oscillators"]["drive"]["frequency"]) for q in range(2))
    v = SET.number
    for q in range(2):
        pulse = Drag(32, v(f"Q{q}.x.amplitude"), sigma=8.0, beta=v(f"Q{q}.x.beta"))
        burst = Burst(q, 0, np.asarray(pulse.envelope(), complex), found.chip.qubits[q].frequency)
        u = Gates(found.chip, lines).unitary([burst], (q,), 32)
        assert abs(u[1, 0]) ** 2 > 0.998


def test_the_description_is_one_that_a_rack_starts_on(found):
    text = "\n".join(toml_lines(found.tables))
    device = DeviceDescription.model_validate(tomllib.loads(text))
    assert device.num_qubits == 2
    assert found.ports == {"ro": "ro", "in": "in", "d0": "d0", "d1": "d1", "f0": "f0"}


def with_values(**values):
    new = {name.replace("__", "."): Value(float(value), "") for name, value in values.items()}
    return CalibrationSet(SET.device, {**SET.values, **new}, SET.created)


ALONE = DEVICE.model_copy(update={"couplings": ()})
"""Without the pair, whose flux pulse takes longest."""


def test_a_length_off_the_grid_is_left_out_with_its_gate():
    found = simulated_rack(ALONE, with_values(Q1__x__duration=30))
    assert {name.rpartition(".")[0] for name in found.left} == {"Q1.x"}
    assert "no multiple of 8" in found.left["Q1.x.amplitude"]


def test_qubits_far_apart_have_oscillators_of_their_own():
    found = simulated_rack(ALONE, with_values(Q1__f01=4.6e9, Q0__f01=4.18e9))
    assert set(found.tables["oscillators"]) == {"readout", "drive", "drive2"}
    assert found.tables["ports"]["d0"]["lo"] != found.tables["ports"]["d1"]["lo"]


def test_readout_tones_that_one_oscillator_does_not_reach_are_refused():
    with pytest.raises(InvalidValueError, match="one local oscillator"):
        simulated_rack(DEVICE, with_values(Q1__readout__frequency=5.9e9))


def test_another_clock_is_refused():
    half = DEVICE.model_copy(update={"dt": DEVICE.dt / 2})
    with pytest.raises(InvalidValueError, match="one clock"):
        simulated_rack(half, SET)
