"""A CZ found again on the rack with a tunable coupler, from single-qubit gates alone, and what it truly does."""

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.pulse.library import GaussianSquare
from pulsed.simulator.engine.gates import Burst
from pulsed.simulator.engine.tuneup import Tuneup
from pulsed.testing.simulated_lab import SimulatedLab

SEED, PAIR = 7, "Q0-Q1"
STEPS = (
    ("cz-chevron", {"lowest": 0.2, "highest": 0.235, "amplitudes": 5, "shortest": 24, "longest": 56, "widths": 5}),
    ("cz-phase", {"span": 0.06, "points": 5, "repeats": 1}),
    ("cz-leakage", {"points": 5, "shots": 2000}),
    ("cz-phase", {"points": 4}),
    ("cz-virtual-z", {}),
)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cz")
    lab = SimulatedLab.coupler2(seed=SEED)
    known = lab.calibration()
    values = {name: value for name, value in known.values.items() if ".cz." not in name}
    bare = CalibrationSet(known.device, values, known.created)
    executor = Executor(lab, bare)
    runs = []
    for name, parameters in STEPS:
        routine = find_routine(name)(**parameters)
        assert routine.targets(executor.device) == (PAIR,)
        item = run(routine, [PAIR], executor, folder=folder)[PAIR]
        assert item.good, f"{name}, seed {SEED}: {item.record.reason}"
        assert set(item.outcome.values) == set(routine.gives)
        executor = executor.propose(item.values)
        runs.append((routine, item))
    return lab, executor, runs


def true_gate(lab, known, settle):
    """The propagator of the flux pulse on 00, 01, 10, 11 (control first), the line's settling behind it included."""
    value = {name: known.number(f"{PAIR}.cz.{name}") for name in ("amplitude", "duration", "sigma", "width")}
    shape = GaussianSquare(round(value["duration"]), 1.0, sigma=value["sigma"], width=value["width"]).envelope()
    gates = Tuneup(lab.engine.chip, drive_lo=4.25e9, readout_lo=7.05e9).gates
    burst = Burst(None, 0, value["amplitude"] * shape, flux=0)
    return gates.unitary([burst], (0, 1), round(value["duration"]) + settle)


def test_the_gate_that_was_found_is_a_cz(tuned):
    lab, executor, runs = tuned
    u = true_gate(lab, executor.calibration, 120)
    angle = np.angle(np.diag(u) / u[0, 0])
    conditional = np.angle(np.exp(1j * (angle[3] - angle[1] - angle[2] - np.pi)))
    phase = runs[3][1].outcome
    slope = phase.fits["conditional phase"].values["slope"]
    stderr = abs(slope) * phase.values["cz.amplitude"].stderr
    assert stderr < 0.02, f"seed {SEED}: {stderr}"
    assert abs(conditional) < 4 * stderr, f"seed {SEED}: {conditional} +- {stderr}"
    lost = 1 - np.linalg.norm(u[:, 3]) ** 2
    assert lost < 5e-4, f"seed {SEED}: {lost}"
    for name, k in (("rz_control", 2), ("rz_target", 1)):
        value = executor.calibration.values[f"{PAIR}.cz.{name}"]
        # A quarter of a kilohertz that f01 is off is 2 mrad in the time of a gate and the wait after it.
        off = np.angle(np.exp(1j * (value.value + angle[k])))
        assert abs(off) < 4 * value.stderr + 5e-3, f"{name}, seed {SEED}: {value.value} is {off} from {-angle[k]}"


def test_the_width_is_sought_until_it_stays(tuned):
    """More than one round, each around the amplitude of the phase; the last is narrower than the first."""
    data = load(tuned[2][2][1].record.file)
    assert data.attrs["rounds"] >= 2
    assert float(data["width"][-1] - data["width"][0]) < 11
    assert data.attrs["amplitude"] != tuned[2][1][1].values[f"{PAIR}.cz.amplitude"].value


def test_the_leakage_agrees_with_the_truth(tuned):
    found = tuned[2][2][1].outcome.values["cz.leakage"]
    assert found.value < 5 * found.stderr
    assert found.stderr < 0.02


def test_a_file_gives_the_same_numbers_and_figures_are_drawn(tuned, tmp_path, drawn):
    for routine, item in tuned[2]:
        data = load(item.record.file)
        assert routine.analyse(data).values == item.outcome.values
        drawn(routine, data, item.outcome)


def test_bad_data_give_no_values(tuned):
    """Noise instead of fringes, and a flux line that does nothing."""
    rng = np.random.default_rng(SEED)
    for routine, item in tuned[2]:
        data = load(item.record.file)
        for name in [str(n) for n in data.data_vars if str(n).split("_")[0] in ("i", "q") and "error" not in str(n)]:
            error = data[f"{name[0]}_error{name[1:]}"]
            data[name] = data[name].mean() + error * rng.standard_normal(error.shape)
        outcome = routine.analyse(data)
        assert not outcome.good, f"{routine.name}, seed {SEED}"
        assert outcome.reason
        assert not outcome.values
    routine, item = tuned[2][0]
    data = load(item.record.file)
    for name in ("i", "q", "i_tried", "q_tried"):  # a dead flux line: the control makes no difference
        data[name][..., 3:5] = data[name].to_numpy()[..., 1:3]
    assert "no CZ" in routine.analyse(data).reason


def test_a_check_of_the_chevron_tells_a_cz_from_another_pulse(tuned, tmp_path):
    """The active gate alone is played. It used to measure the whole pattern, and say "in spec" of any gate."""
    lab, executor, _ = tuned
    routine, name = find_routine("cz-chevron")(), f"{PAIR}.cz.amplitude"
    before = lab.rack_seconds

    def checked(part):
        value = Value(part * executor.calibration.number(name), "full scale")
        return run(routine, [PAIR], executor.propose({name: value}), folder=tmp_path, kind="check")[PAIR].record

    assert checked(1.0).outcome == "good", f"seed {SEED}"
    assert lab.rack_seconds - before < 5.0, "five shots, a thousand times"
    for part in (0.96, 1.03):  # the phase is off by more than half a radian
        record = checked(part)
        assert record.outcome == "out of spec", f"seed {SEED}: {part} {record.reason}"
        assert "the active gate is wrong by" in record.reason
