"""Integration weights from records: they tell 0 and 1 apart better, and the set that holds them plays them."""

import numpy as np
import pytest
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routine import find_routine
from pulsed.calibration.routines.readout_kernel import ReadoutKernel, clouds_of, weights
from pulsed.calibration.runner.runner import run
from pulsed.testing.simulated_lab import SimulatedLab

SEED, TARGETS = 8, ("Q0", "Q3")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    executor, routine = Executor(SimulatedLab.sim5(seed=SEED)), ReadoutKernel()
    finished = run(routine, TARGETS, executor, folder=folder)
    for item in finished.values():
        assert item.good, f"seed {SEED}: {item.record.reason}"
    return executor, routine, finished, folder


def test_states_are_farther_apart_with_the_weights(measured):
    """A matched filter cannot be worse than a boxcar; while the resonator rings up it is better."""
    for target, item in measured[2].items():
        fits = clouds_of(item.data)
        gain = fits["weighted"].values["separation"] - fits["boxcar"].values["separation"]
        error = np.hypot(*(fit.stderr["separation"] for fit in fits.values()))
        assert gain > 4 * error, f"{target}, seed {SEED}: {gain} +- {error}"


def test_the_weights_rise_as_the_resonator_rings_up(measured):
    for item in measured[2].values():
        size = np.abs(weights(item.data))
        assert size.sum() == pytest.approx(1)
        assert size[:20].mean() < 0.3 * size[400:700].mean()


def test_every_sample_adds_with_the_same_sign():
    """Of a difference whose phase turns by two turns within the record, each weighted sample is its magnitude."""
    time = np.arange(800)
    difference = (0.2 + time / 800) * np.exp(4j * np.pi * time / 800)
    records = np.stack([np.full(800, 0.3 - 0.1j), 0.3 - 0.1j + difference])
    data = xarray.Dataset({"record_i": (("p", "t"), records.real), "record_q": (("p", "t"), records.imag)})
    weighted = weights(data) * difference
    # The mean over 25 samples hardly turns; at the ends it is held, which turns it by a fifth of a radian at most.
    assert np.all(np.abs(np.angle(weighted[25:-25])) < 0.01)
    assert np.all(np.abs(np.angle(weighted)) < 0.2)


def test_the_set_plays_them(measured):
    """The points of the discriminator measured with the new set lie where the routine said."""
    executor, _, finished, folder = measured
    tuned = executor.propose({name: value for item in finished.values() for name, value in item.values.items()})
    for target, item in run(find_routine("discriminator")(), TARGETS, tuned, folder=folder).items():
        assert item.good, f"seed {SEED}: {item.record.reason}"
        said = tuned.calibration.numbers(f"{target}.readout.discriminator")
        fit = item.outcome.fits["clouds"]
        for name, value in zip(("z0re", "z0im", "z1re", "z1im", "variance"), said, strict=True):
            off = fit.values[name] - value
            assert abs(off) < 4 * np.sqrt(2) * fit.stderr[name], f"{target} {name}, seed {SEED}: {off}"


def test_an_optimum_found_without_weights_is_not_read_with_them(measured):
    """The clouds that readout-optimum gives are those that a shot of the new set has."""
    executor, _, finished, folder = measured
    tuned = executor.propose({name: value for item in finished.values() for name, value in item.values.items()})
    few = find_routine("readout-optimum")(points=11, amplitudes=4, amplitude_shots=600, final_shots=2000)
    item = run(few, ["Q0"], tuned, folder=folder)["Q0"]
    assert item.good, f"seed {SEED}: {item.record.reason}"
    tuned = tuned.propose(item.values)
    checked = run(find_routine("discriminator")(), ["Q0"], tuned, folder=folder, kind="check")["Q0"]
    assert checked.good, f"seed {SEED}: {checked.record.reason}"
    plain = run(few, ["Q0"], tuned, folder=folder)["Q0"]
    assert "Q0.readout.kernel" not in plain.values, "a boxcar is active"


def test_a_file_gives_the_same_and_a_dead_line_gives_nothing(measured, drawn):
    _, routine, finished, _ = measured
    item = finished["Q0"]
    data = load(item.record.file)
    assert routine.analyse(data).values == item.outcome.values
    drawn(routine, data, item.outcome)
    rng = np.random.default_rng(SEED)
    for name in ("shot_i", "shot_q"):
        data[name].to_numpy()[:] = 1e-3 * rng.standard_normal(data[name].shape)
    outcome = routine.analyse(data)
    assert not outcome.good, f"seed {SEED}"
    assert "drive line" in outcome.reason
