"""The fit of a mixer's nulls: honest standard errors, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.fits.paraboloids import paraboloid
from pulsed.calibration.routines.mixer import PLACES, Mixer, _dataset
from pulsed.calibration.runner.runner import run
from pulsed.model.device import load_device
from pulsed.simulator.chip.components import Wire
from pulsed.simulator.chip.random_rack import write_rack
from pulsed.simulator.dynamics.lines import ideal_correction, mixed
from pulsed.testing.simulated_lab import SimulatedLab

NOISE = 1e-8
"""mW, of the analyser, against a tone of 0.09 mW."""
SEVEN = np.vstack([np.zeros((1, 2)), [(np.cos(a), np.sin(a)) for a in np.arange(6) * np.pi / 3]])


def seen(wire, settings, rng):
    """Return what an analyser shows in dBm of a tone, its leakage, its image and of nothing: (settings, places)."""
    rows = []
    for i, q, b, d in settings:
        direct, image, leakage = mixed(wire, (1.0, b, 0.0, d), (i, q))
        amplitudes = np.abs([0.3 * direct, leakage, 0.3 * image, 0.0])
        noise = np.sqrt(NOISE / 2) * (rng.normal(size=4) + 1j * rng.normal(size=4))
        rows.append(20 * np.log10(np.abs(amplitudes + noise)))
    return np.array(rows)


def rounds(centre, count=3):
    """Return settings closer and closer to ``centre``, and itself."""
    steps = np.array([0.02, 0.02, 0.1, 0.1])
    return np.vstack([*(np.tile(SEVEN, 2) * steps / 5.0**k + centre for k in range(count)), centre])


@pytest.fixture(scope="module")
def wire():
    return Wire("d0", None, mixer_gain_db=0.4, mixer_skew_deg=3.0, lo_leakage=(0.002, -0.003))


def data_of(wire, seed, *, off=0.0):
    correction, offset = ideal_correction(wire)
    best = np.array([*offset, correction[1], correction[3]])
    found = _dataset(rounds(best + off), seen(wire, rounds(best + off), np.random.default_rng(seed)))
    return found.assign_attrs(target="d0", tone=0.3, bound=-50.0), best


def test_pulls_are_those_of_a_normal_distribution(wire):
    """Four numbers on 60 data sets: an rms of 0.7 to 1.4, and 95 % within 3."""
    pulls = []
    for seed in range(60):
        data, best = data_of(wire, seed)
        outcome = Mixer().analyse(data)
        assert outcome.good, f"seed {seed}: {outcome.reason}"
        fits = outcome.fits.values()
        found = np.array([fit.values[axis] for fit in fits for axis in ("x", "y")])
        error = np.array([fit.stderr[axis] for fit in fits for axis in ("x", "y")])
        pulls.append((found - best) / error)
        assert outcome.values["mixer.correction"].value == (1.0, found[2], 0.0, found[3])
        assert outcome.values["mixer.offset"].stderr == max(error[:2])
    assert 0.7 < np.sqrt(np.mean(np.square(pulls))) < 1.4
    assert np.mean(np.abs(pulls) < 3) > 0.95


def test_what_is_not_nulled_in_the_end_is_refused(wire):
    """A minimum that is fitted well but stays above the bound: as when the line reflects another port's leakage."""
    data, _ = data_of(wire, 1)
    data["level"].loc[{"place": "leakage"}] = 10 * np.log10(10 ** (data["level"].sel(place="leakage") / 10) + 1e-4)
    outcome = Mixer().analyse(data)
    assert not outcome.good
    assert outcome.reason.startswith("the leakage stays at -30")
    assert not outcome.values


def test_a_dead_line_noise_and_nan_are_refused(wire, drawn):
    data, _ = data_of(wire, 2)
    dead = data.copy(deep=True)
    dead["level"][:, : len(PLACES) - 1] = data["level"][:, 3:].to_numpy()
    assert "no tone" in Mixer().analyse(dead).reason
    noise = data.copy(deep=True)
    noise["level"][:, 1] = data["level"][:, 3].to_numpy()
    outcome = Mixer().analyse(noise)
    assert not outcome.good
    drawn(Mixer(), noise, outcome)
    broken = data.copy(deep=True)
    broken["level"][3, 2] = np.nan
    assert "not a number" in Mixer().analyse(broken).reason


def test_a_check_judges_what_is_in_force_and_not_what_would_be_better(wire):
    data, _ = data_of(wire, 3, off=np.array([1e-6, 0, 0, 1e-6]))
    assert Mixer().judge(data, None, "d0") == ("in spec", "")
    wrong, _ = data_of(wire, 3, off=np.array([0.0, 0.0, 0.02, 0.0]))
    verdict, reason = Mixer().judge(wrong, None, "d0")
    assert verdict == "out of spec"
    assert "image" in reason


def test_a_saddle_and_too_few_settings_have_no_minimum():
    u, v = 0.1 * SEVEN.T
    assert "no minimum" in paraboloid(u, v, u**2 - v**2 + 1).reason
    assert "not moved" in paraboloid(u, np.ones(7), u**2).reason
    assert not paraboloid(u[:5], v[:5], u[:5] ** 2).ok


def test_its_targets_are_the_ports_with_a_mixer(tmp_path):
    device = load_device(write_rack(tmp_path, 3, 2))
    assert set(Mixer.targets(device)) == {n for n, p in device.ports.items() if p.direction == "output" and p.lo}


@pytest.mark.parametrize("port", ["d4", "ro"])
def test_offset_and_correction_of_a_port_of_the_simulated_rack(port, tmp_path):
    """From an ideal mixer's settings, to what makes the rack's mixer ideal; and a dead line is told."""
    seed = 11
    lab = SimulatedLab.sim5(calibrated=False, seed=seed)
    item = run(Mixer(), [port], Executor(lab), folder=tmp_path)[port]
    assert item.good, f"seed {seed}: {item.record.reason}"
    correction, offset = ideal_correction(lab.engine.chip.wire(port))
    b, d = np.array(correction)[[1, 3]] / correction[0]
    found = item.outcome.values
    assert np.abs(np.subtract(found["mixer.correction"].value, (1, b, 0, d))).max() < 5e-4, f"seed {seed}"
    # The offset is behind the correction, whose first number is 1.
    assert np.abs(np.subtract(found["mixer.offset"].value, offset)).max() < 2e-4, f"seed {seed}"
    wires = tuple(replace(wire, gain=0.0) if wire.name == port else wire for wire in lab.engine.chip.wires)
    dead = SimulatedLab(lab.device(), replace(lab.engine.chip, wires=wires), lab.calibration(), seed)
    item = run(Mixer(rounds=1), [port], Executor(dead), folder=tmp_path)[port]
    assert item.record.outcome == "bad data"
    assert "no tone" in item.record.reason
