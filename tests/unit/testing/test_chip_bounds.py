"""What a bring-up is judged by: error limits of gates, leakage of an ECR, and the best readout of a known chip."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pulsed.configs
from pulsed.calibration.executor import Executor
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import InvalidValueError
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.testing.chip_bounds import Gate, assignment_error, best_assignment_error, gates, leakage
from pulsed.testing.simulated_lab import SimulatedLab

CONFIGS = Path(pulsed.configs.__file__).parent
CHIP = load_chip(CONFIGS / "chips" / "sim5.toml")
LO = 7.11e9
SHOTS = 40_000


def test_without_jumps_the_readout_errs_as_the_separation_of_the_clouds_says():
    """erfc(S / 2 sqrt 2)/2 with S = 2 sqrt(eta kappa int |d alpha|^2), the fields from their differential equation."""
    chip = replace(CHIP, qubits=tuple(replace(q, t1=1.0, t2_echo=1.0, t2_star=1.0, thermal=0.0) for q in CHIP.qubits))
    qubit, amplitude, duration = chip.qubits[0], 0.06, 600
    times, fields = np.arange(duration) * 1e-9, np.zeros((2, duration), complex)
    offset = qubit.readout_frequency - LO
    at_chip = amplitude * np.sinc(offset * 1e-9) / math.hypot(1, offset / 350e6)
    for level in (0, 1):
        detuning = 2 * np.pi * (qubit.resonances()[level] - qubit.readout_frequency)
        rate = -np.pi * qubit.kappa - 1j * detuning
        fields[level] = -2j * np.pi * qubit.readout_drive * at_chip * (np.exp(rate * times) - 1) / rate
    split = np.sum(np.abs(fields[1] - fields[0]) ** 2) * 1e-9
    separation = 2 * math.sqrt(chip.amplifier.efficiency * 2 * np.pi * qubit.kappa * split)
    wanted = 0.5 * math.erfc(separation / (2 * math.sqrt(2)))
    assert 0.01 < wanted < 0.2
    # The flanks, of 16 ns each, are missing above.
    found = assignment_error(chip, 0, LO, qubit.readout_frequency, amplitude, duration, SHOTS)
    assert found == pytest.approx(wanted, rel=0.2)
    assert assignment_error(chip, 0, LO, qubit.readout_frequency, 1e-4, duration, SHOTS) == 0.5


def test_the_best_readout_is_no_worse_than_any_and_no_better_than_the_thermal_population():
    best = best_assignment_error(CHIP, 1, LO, 0.2)
    tried = [assignment_error(CHIP, 1, LO, 6.98e9 + f, a, 800, SHOTS) for f in (-5e5, 0, 5e5) for a in (0.05, 0.1, 0.2)]
    noise = 3 * math.sqrt(best / SHOTS)
    assert CHIP.qubits[1].thermal - noise < best < min(tried) + noise


def test_a_gate_near_half_of_f02_may_err_twice_as_much_as_its_coherence():
    truth = {"qubits": [{"f01": f, "anharmonicity": -330e6, "t1": 80e-6, "t2_echo": 90e-6} for f in (5.0e9, 4.91e9)]}
    values = {f"Q{q}.x.duration": Value(32) for q in (0, 1)} | {"Q0.x.error": Value(2e-4, stderr=1e-5)}
    values |= {"Q0-Q1.ecr.duration": Value(200), "Q0-Q1.ecr.error": Value(6e-3, stderr=5e-4)}
    found = {gate.name: gate for gate in gates(truth, CalibrationSet("lab", values, ""))}
    assert found["Q0-Q1.ecr.error"].factor == found["Q0.x.error"].factor == 1.5
    # In short times a process errs by t (1/4 T1 + 1/2 T2) on each qubit, on average 2/3 of it on one and 4/5 on two.
    rate = 1 / (4 * 80e-6) + 1 / (2 * 90e-6)
    assert found["Q0.x.error"].limit == pytest.approx(2 / 3 * 32e-9 * rate, rel=1e-3)
    assert found["Q0-Q1.ecr.error"].limit == pytest.approx(4 / 5 * 2 * 432e-9 * rate, rel=0.01)
    truth["qubits"][1]["f01"] = 5.0e9 - 165e6 + 24e6
    assert {gate.name: gate.factor for gate in gates(truth, CalibrationSet("lab", values, ""))}[
        "Q0-Q1.ecr.error"
    ] == 2.0
    assert Gate("a", 1.6e-3, 1e-4, 1e-3, 1.5).good
    assert not Gate("a", 1.8e-3, 1e-4, 1e-3, 1.5).good
    assert not Gate("a", 1.0e-3, 5e-4, 1e-3, 1.5).good, "an error known so badly says nothing"


def test_leakage_is_that_of_the_gate():
    """Mostly a thermal bath's, which lifts 1 to 2 at 2 p/T1: what the pulses add is less."""
    lab, seen = SimulatedLab.sim5(seed=3), []
    play = lab.engine.play

    def remembered(sequence, *rest):
        seen.append(sequence)
        return play(sequence, *rest)

    lab.engine.play = remembered

    def predict():
        found = [lab.engine.predict(sequence) for sequence in seen]
        seen.clear()
        return [{"qubits": list(p.qubits), "populations": p.populations} for p in found]

    bench = Executor(lab)
    found = leakage(bench, "Q0-Q1", predict)
    duration = bench.blocks.gate("ecr", 0, 1).duration * 1e-9
    heated = sum(0.5 * 2 * q.thermal / q.t1 * duration for q in CHIP.qubits[:2])
    assert heated < found < 1.5 * heated
    with pytest.raises(InvalidValueError, match="has not played these"):
        leakage(bench, "Q0-Q1", list)
