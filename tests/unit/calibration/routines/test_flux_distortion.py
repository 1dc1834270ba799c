"""The exponentials of a flux line, found by a qubit's phase on the rack with a tunable coupler, and undone."""

from dataclasses import replace

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routine import find_routine
from pulsed.calibration.routines.flux_distortion import FluxDistortion, response
from pulsed.calibration.runner.runner import run
from pulsed.calibration.runner.transaction import validate
from pulsed.compiler.predistortion import straighten
from pulsed.model.calibration import Value
from pulsed.model.errors import InvalidValueError
from pulsed.simulator.dynamics.lines import distort
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 2


def lab_with(distortion):
    lab = SimulatedLab.coupler2(seed=SEED)
    wires = tuple(replace(w, distortion=distortion) if w.name == "f0" else w for w in lab.engine.chip.wires)
    return SimulatedLab(lab.device(), replace(lab.engine.chip, wires=wires), lab.calibration(), SEED)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    lab = SimulatedLab.coupler2(seed=SEED)
    item = run(FluxDistortion(gaps=12), ["f0"], Executor(lab), folder=tmp_path_factory.mktemp("flux"))["f0"]
    assert item.good, f"seed {SEED}: {item.record.reason}"
    return lab, item


def test_size_and_time_constant_agree_with_the_chip(measured):
    lab, item = measured
    ((a, tau),) = lab.engine.chip.wire("f0").distortion
    fit = item.outcome.fits["phase"]
    for name, true, most in (("a1", a, 0.15), ("tau1", tau, 0.15)):
        assert fit.stderr[name] < most * abs(true), f"{name}, seed {SEED}"
        assert abs(fit.values[name] - true) < 3.5 * fit.stderr[name], f"{name}, seed {SEED}: {fit.values[name]}"
    assert item.values["f0.distortion"].value == (fit.values["a1"], fit.values["tau1"])
    good, refused = validate(item.values, lab.calibration())
    assert good.keys() == {"f0.distortion"}, refused


def test_undone_a_step_arrives_four_times_straighter(measured):
    lab, item = measured
    line = lab.engine.chip.wire("f0").distortion
    found = item.values["f0.distortion"].value
    pairs = tuple(zip(found[::2], found[1::2], strict=True))
    step = np.full(300, 0.2)
    sent = straighten(step, pairs, 1e9, 0)
    before, after = (np.abs(distort(wanted, line) - step).sum() for wanted in (step, sent))
    assert after < before / 4, f"seed {SEED}: {after} of {before}"


def test_measured_again_with_the_values_in_force_it_is_the_same(measured, tmp_path):
    """The routine looks at the line itself: what is undone is switched off meanwhile."""
    lab, item = measured
    executor = Executor(lab).propose(item.values)
    again = run(FluxDistortion(gaps=8), ["f0"], executor, folder=tmp_path)["f0"]
    assert again.good, f"seed {SEED}: {again.record.reason}"
    assert FluxDistortion().judge(again.data, executor.calibration, "f0") == ("in spec", "")
    assert FluxDistortion().judge(again.data, lab.calibration(), "f0")[0] == "out of spec"
    other = executor.calibration.with_values({"f0.distortion": Value((0.02, 5e-8))}, "later")
    verdict, why = FluxDistortion().judge(again.data, other, "f0")
    assert verdict == "out of spec"
    assert "response of f0" in why


def test_a_file_gives_the_same_numbers_and_a_figure(measured, drawn):
    _, item = measured
    data = load(item.record.file)
    assert FluxDistortion().analyse(data).values == item.outcome.values
    drawn(FluxDistortion(), data, item.outcome)
    assert find_routine("flux-distortion") is FluxDistortion
    assert response(np.array([-0.01, 3e-8, 0.02, 1e-7]), np.array([0.0, 1.0])).tolist() == [1.01, 1.0]


@pytest.mark.parametrize("bad", ["noise", "nan", "dead"])
def test_bad_data_give_no_values(measured, bad):
    _, item = measured
    data, rng = load(item.record.file), np.random.default_rng(SEED)
    for suffix in ("", "_probe"):
        for name in (f"i{suffix}", f"q{suffix}"):
            values, error = data[name].to_numpy().copy(), data[f"{name[0]}_error{suffix}"].to_numpy()
            if bad == "noise":
                values = values.mean() + error * rng.standard_normal(values.shape)
            elif bad == "nan":
                values[0, 2] = np.nan
            else:
                values = values[:, :1] + 0.1 * error * rng.standard_normal(values.shape)
            data[name] = (data[name].dims, values)
    outcome = FluxDistortion().analyse(data)
    words = {"noise": "fringe vanishes", "nan": "not numbers", "dead": "is the flux line alive"}
    assert not outcome.good, f"seed {SEED}"
    assert words[bad] in outcome.reason
    assert not outcome.values


def test_a_line_that_distorts_nothing_gives_no_value(tmp_path):
    item = run(FluxDistortion(gaps=8), ["f0"], Executor(lab_with(())), folder=tmp_path)["f0"]
    assert item.record.outcome == "bad data"
    assert "no distortion is seen" in item.record.reason
    assert not item.values


def test_it_is_of_flux_ports_alone(measured):
    lab, _ = measured
    assert FluxDistortion.targets(lab.device()) == ("f0",)
    assert FluxDistortion.targets(SimulatedLab.sim5().device()) == ()
    with pytest.raises(InvalidValueError, match="no coupler is tuned"):
        next(FluxDistortion().measure(Executor(lab), "d0"))
