"""Drift: the processes against their laws, the chip at a moment, and what a shot sees of it."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.model.errors import ConfigError
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.drift import _draws, chip_at, telegraph, walk
from pulsed.simulator.chip.drift_settings import Drift, read_drift
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.instruments.conductor import Conductor
from pulsed.simulator.instruments.control import Control

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
DRIVE, READOUT = 5.10e9, 7.11e9
EVERYTHING = {
    "seed": 3,
    "frequency_jump": [2e3, 20e3],
    "t1_factor": 0.3,
    "readout_jump": 2e5,
    "gain_walk": 0.01,
    "phase_walk": 0.1,
}


@pytest.fixture(scope="module")
def chip() -> Chip:
    return load_chip(CHIP)


def sequence(chip: Chip, amplitude: float = 0.5, wait: int = 0, period: int = 1_000_000) -> PulseSequence:
    """A resonant square pulse of 16 samples on Q0, a wait, a readout of Q0."""
    lines = tuple(
        LineSettings(w.name, READOUT if w.qubit is None else DRIVE, True, *ideal_correction(w)) for w in chip.wires
    )
    q = chip.qubits[0]
    offset = q.readout_frequency - READOUT
    rows = [(0, 0, 0, amplitude, 0.0, q.frequency - DRIVE), (5, 40 + wait, 1, 0.14, 0.0, offset)]
    window = Window(100 + wait, 800, (IntegrationKernel(offset, np.full(800, 1 / 800, complex)),))
    envelopes = (np.ones(16, complex), np.ones(800, complex))
    return PulseSequence(lines, np.array(rows, BURST), envelopes, (b"drive", b"read"), (window,), period)


def excited(engine: Engine, played: PulseSequence) -> np.ndarray:
    return engine.predict(played).populations


def test_telegraph_has_its_occupation_and_its_correlation():
    """Occupation b/(a + b) and correlation exp(-(a + b) t) over 4000 seeds, at a moment no interval ends at."""
    waits, lag = (300.0, 100.0), 50.0
    one = np.array([telegraph(1037.0, _draws(seed, 0, 0), waits) for seed in range(4000)])
    two = np.array([telegraph(1037.0 + lag, _draws(seed, 0, 0), waits) for seed in range(4000)])
    assert one.mean() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 4000))
    correlation = np.mean((one - 0.25) * (two - 0.25)) / (0.25 * 0.75)
    assert correlation == pytest.approx(math.exp(-lag / 75), abs=4 / math.sqrt(4000))


def test_walk_spreads_as_the_root_of_time_and_is_one_path():
    """Variance rate^2 t at 100 and 3601 s, covariance that of the earlier one: increments are independent."""
    rate, count = 0.01, 4000
    early = np.array([walk(100.0, _draws(seed, 0, 0), rate) for seed in range(count)])
    late = np.array([walk(3601.0, _draws(seed, 0, 0), rate) for seed in range(count)])
    error = 5 * math.sqrt(2 / count)
    assert early.var() == pytest.approx(rate**2 * 100, rel=error)
    assert late.var() == pytest.approx(rate**2 * 3601, rel=error)
    assert np.mean(early * late) == pytest.approx(rate**2 * 100, rel=error * 4)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=8), st.integers(0, 2**40))
def test_the_chip_at_a_moment_does_not_depend_on_the_order_of_asking(moments, seed):
    chip = load_chip(CHIP)
    drift = replace(read_drift(EVERYTHING, chip.wires), seed=seed)
    forwards = [chip_at(chip, drift, t) for t in moments]
    backwards = [chip_at(chip, drift, t) for t in reversed(moments)][::-1]
    assert forwards == backwards
    for found in forwards:
        assert all(q.t2_star <= q.t2_echo <= 2 * q.t1 for q in found.qubits)


def test_each_source_changes_its_own_value_and_no_other(chip):
    moments = np.arange(0, 86400, 600.0)
    changed = {
        "frequency_jump": ("frequency", 2e3, 20e3),
        "readout_jump": ("readout_frequency", 2e5, 2e5),
    }
    for key, (name, low, high) in changed.items():
        drift = read_drift({key: EVERYTHING[key]}, chip.wires)
        seen = [chip_at(chip, drift, t) for t in moments]
        steps = {abs(getattr(s.qubits[2], name) - getattr(chip.qubits[2], name)) for s in seen}
        assert len(steps) == 2
        assert all(step == 0 or low * 0.999 <= step <= high * 1.001 for step in steps)
        reset = [replace(q, **{name: getattr(c, name)}) for q, c in zip(seen[-1].qubits, chip.qubits, strict=True)]
        assert tuple(reset) == chip.qubits
        assert seen[-1].wires == chip.wires
    tls = read_drift({"t1_factor": 0.3}, chip.wires)
    dropped = next(c for c in (chip_at(chip, tls, t) for t in moments) if c.qubits[0].t1 < chip.qubits[0].t1)
    low, high = dropped.qubits[0], chip.qubits[0]
    assert low.t1 == pytest.approx(0.3 * high.t1)
    assert 1 / low.t2_echo - 0.5 / low.t1 == pytest.approx(1 / high.t2_echo - 0.5 / high.t1)
    assert low.detuning_sigma == pytest.approx(high.detuning_sigma)
    assert chip_at(chip, Drift(), 1e6) is chip


def test_other_seeds_drift_otherwise(chip):
    seen = {chip_at(chip, read_drift({**EVERYTHING, "seed": seed}, chip.wires), 5000.0) for seed in range(8)}
    assert len(seen) == 8


def test_a_dead_line_drives_nothing_and_a_swapped_one_drives_the_neighbour(chip):
    played = sequence(chip)
    assert excited(Engine(chip), played)[1] > 0.3
    dead = Engine(replace(chip, drift=read_drift({"dead_lines": ["d0"]}, chip.wires)))
    assert excited(dead, played)[1] == pytest.approx(chip.qubits[0].thermal, abs=1e-3)
    deaf = Engine(replace(chip, drift=read_drift({"dead_lines": ["ro"]}, chip.wires)))
    values = deaf.play(played, 400, (0,), "integrated").integrated
    assert abs(values.mean()) < 1e-4
    assert abs(Engine(chip).play(played, 400, (0,), "integrated").integrated.mean()) > 1e-3
    swapped = Engine(replace(chip, drift=read_drift({"swapped_lines": [["d0", "d1"]]}, chip.wires)))
    reached = {line["name"]: line["qubit"] for line in swapped.truth()["lines"]}
    assert (reached["d0"], reached["d1"], reached["d2"]) == (1, 0, 2)
    own = replace(played, bursts=played.bursts.copy())
    own.bursts["line"][0] = 1
    assert excited(swapped, own)[1] > 0.3
    assert excited(swapped, played)[1] < 0.1


def test_gain_and_phase_of_a_line_reach_the_qubit_and_the_digitizer(chip):
    """Half the gain is half the amplitude; a phase of the readout line turns the IQ plane by it."""
    half = replace(chip, wires=(replace(chip.wires[0], gain=0.5), *chip.wires[1:]))
    wanted = excited(Engine(chip), sequence(chip, 0.25))
    np.testing.assert_allclose(excited(Engine(half), sequence(chip, 0.5)), wanted, atol=1e-6)
    turned = replace(chip, wires=(*chip.wires[:-1], replace(chip.wires[-1], phase=0.4)))
    means = [Engine(c, 2).play(sequence(chip), 2000, (0,), "integrated").integrated.mean() for c in (chip, turned)]
    assert np.angle(means[1] / means[0]) == pytest.approx(0.4, abs=0.02)


def test_time_passes_with_the_shots_times_the_factor(chip):
    engine = Engine(replace(chip, drift=read_drift({"t1_factor": 0.3, "factor": 3600}, chip.wires)))
    engine.warm_up()
    assert engine.truth()["time"] == 0
    engine.play(sequence(chip), 500, (0,), "integrated")
    assert engine.truth()["time"] == pytest.approx(0.5 * 3600)
    engine.set_drift({"factor": 1, "time": 50.0})
    engine.play(sequence(chip), 500, (1,), "integrated")
    assert engine.truth()["time"] == pytest.approx(50.5)


def test_what_a_shot_sees_is_what_truth_says_at_that_moment(chip):
    """P1 after a flip and 60 us, before and after the two-level system has come: kept propagators do not go stale."""
    engine = Engine(chip)
    played = sequence(chip, wait=60_000)
    before = excited(engine, played)
    engine.set_drift({"t1_factor": 0.3})
    times = (float(t) for t in range(0, 10**6, 600))
    moment = next(t for t in times if engine.set_drift({"time": t}) and engine.truth()["qubits"][0]["t1"] < 50e-6)
    during = excited(engine, played)
    fresh = Engine(chip_at(chip, engine.drift, moment))
    np.testing.assert_allclose(during, excited(fresh, played), atol=1e-12)
    assert during[1] < 0.6 * before[1]
    engine.set_drift({"t1_factor": 1.0})
    np.testing.assert_array_equal(excited(engine, played), before)


def test_propagators_of_qubits_that_did_not_change_are_kept(chip):
    engine = Engine(chip)
    excited(engine, sequence(chip))
    kept = len(engine._pulse_maps._maps)
    engine.set_drift({"dead_lines": ["d3"]})
    excited(engine, sequence(chip))
    assert len(engine._pulse_maps._maps) == kept
    engine.set_drift({"dead_lines": ["d0"]})
    excited(engine, sequence(chip))
    assert len(engine._pulse_maps._maps) > kept


@pytest.mark.parametrize(
    ("table", "subject"),
    [
        ({"wobble": 1}, "drift"),
        ({"t1_factor": 0}, "drift.t1_factor"),
        ({"t1_factor": "low"}, "drift.t1_factor"),
        ({"gain_walk": math.nan}, "drift.gain_walk"),
        ({"factor": -1}, "drift.factor"),
        ({"frequency_jump": [2e4, 2e3]}, "drift.frequency_jump"),
        ({"dead_lines": ["d9"]}, "drift.dead_lines"),
        ({"swapped_lines": [["d0"]]}, "drift.swapped_lines"),
        ({"swapped_lines": [["d0", "ro"]]}, "drift.swapped_lines"),
        ({"seed": -1}, "drift.seed"),
        ({"time": -1}, "drift.time"),
    ],
)
def test_bad_drift_is_named_and_changes_nothing(chip, table, subject):
    engine = Engine(chip)
    with pytest.raises(ConfigError) as caught:
        engine.set_drift({"gain_walk": 0.5, **table})
    assert caught.value.subject == subject
    assert engine.drift == Drift()


def test_the_control_socket_turns_drift_on_and_tells_the_truth_of_now(chip):
    conductor = Conductor(Engine(chip), lambda function, *args: None)
    control = Control(conductor, {})

    def ask(**request):
        return asyncio.run(control.answer(json.dumps(request).encode()))

    try:
        assert ask(op="drift")["result"]["gain_walk"] == 0
        found = ask(op="drift", gain_walk=0.01, dead_lines=["d4"], time=7200)
        assert (found["ok"], found["result"]["time"], found["result"]["dead_lines"]) == (True, 7200, ("d4",))
        truth = ask(op="truth")["result"]
        gains = {line["name"]: line["gain"] for line in truth["lines"]}
        assert gains["d4"] == 0
        assert 0 < abs(gains["d0"] - 1) < 0.1
        refused = ask(op="drift", dead_lines=["d9"])
        assert (refused["ok"], refused["error"]["subject"]) == (False, "drift.dead_lines")
    finally:
        conductor.close()
