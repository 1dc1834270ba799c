"""The photons of a readout go as the resonator lets them, found by the phase they put on the qubit."""

import math

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load
from pulsed.calibration.routines.residual_photons import ResidualPhotons
from pulsed.calibration.runner.runner import run
from pulsed.pulse.instructions import Play
from pulsed.simulator.dynamics.lines import gain
from pulsed.testing.simulated_lab import SimulatedLab

SEED, TARGETS = 6, ("Q0", "Q3")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    lab, routine = SimulatedLab.sim5(seed=SEED), ResidualPhotons()
    return lab, routine, run(routine, TARGETS, Executor(lab), folder=tmp_path_factory.mktemp("photons"))


@pytest.mark.parametrize("target", TARGETS)
def test_they_go_with_the_linewidth(measured, target, drawn):
    lab, routine, finished = measured
    item = finished[target]
    assert item.good, f"seed {SEED}: {item.record.reason}"
    found = item.outcome.values["readout.ringdown"]
    true = 1 / (2 * math.pi * lab.engine.truth()["qubits"][int(target[1:])]["kappa"])
    assert abs(found.value - true) < 4 * found.stderr, f"{target}, seed {SEED}: {found} against {true}"
    assert found.stderr < 0.25 * true
    wait = item.outcome.values["readout.wait"]
    fit = item.outcome.fits["phase"]
    left = fit.values["amplitude"] * math.exp(-wait.value / fit.values["time"])
    assert abs(left) == pytest.approx(0.01)
    data = load(item.record.file)
    assert routine.analyse(data).values == item.outcome.values
    drawn(routine, data, item.outcome)


def photons_left(lab, executor, q):
    """Photons at the end of the readout of a qubit in 0: its field under the pulse, sample by sample."""
    qubit = lab.engine.chip.qubits[q]
    readout = executor.blocks.measure(q).instructions
    envelope = next(item.pulse.envelope() for _, item in readout if isinstance(item, Play))
    frequency = executor.calibration.number(f"Q{q}.readout.frequency")
    offset = frequency - executor.device.lo_frequency("ro")
    decay = np.pi * qubit.kappa + 2j * np.pi * (qubit.resonances()[0] - frequency)
    field = 0j
    for drive in 2 * np.pi * qubit.readout_drive * abs(gain(350e6, offset)) * envelope:
        still = -1j * drive / decay
        field = still + (field - still) * np.exp(-decay * 1e-9)
    return abs(field) ** 2


@pytest.mark.parametrize("target", TARGETS)
def test_the_phase_is_as_large_as_the_photons_make_it(measured, target):
    """Gambetta et al. 2006, between the middles of both pulses, where the superposition begins and ends.

    The photons detune the pulses themselves by some 2 MHz; a square one of a quarter turn then turns the phase for
    0.64 of its length and not for half of it, which is 5 ns of 60. Hence 20 %.
    """
    lab, _, finished = measured
    executor, q = Executor(lab), int(target[1:])
    qubit, pulse = lab.engine.chip.qubits[q], 1e-9 * executor.blocks.sx(q).duration
    kappa, apart = 2 * np.pi * qubit.kappa, 4 * np.pi * qubit.chi
    fit = finished[target].outcome.fits["phase"]
    rate, length = kappa + 1j * apart, 2e-7 + pulse
    start = photons_left(lab, executor, q) * np.exp(-kappa * (fit.x + pulse / 2))
    phase = np.imag(-1j * apart * start / rate * (1 - np.exp(-rate * length)))
    # A frequency that is off by a fraction of a kilohertz adds the same phase to all.
    model = np.stack([phase, np.ones(fit.x.size)], axis=1) / fit.sigma[:, None]
    size, _ = np.linalg.lstsq(model, fit.y / fit.sigma, rcond=None)[0]
    error = np.sqrt(np.linalg.inv(model.T @ model)[0, 0])
    assert phase[0] > 0.5
    assert abs(size - 1) < 0.2 + 3 * error, f"{target}, seed {SEED}: {size} +- {error}"


def test_noise_gives_no_value(measured):
    _, routine, finished = measured
    rng = np.random.default_rng(SEED)
    data = load(finished["Q0"].record.file)
    for name in ("i", "q"):
        data[name] = data[name].mean() + data[f"{name}_error"] * rng.standard_normal(data[name].shape)
    outcome = routine.analyse(data)
    assert not outcome.good, f"seed {SEED}"
    assert outcome.reason
