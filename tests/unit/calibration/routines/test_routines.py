"""From the design sheet to single-qubit gates on a chip that nobody has seen, each step against the truth.

One chip is taken through all routines in the order in which they need each other; standard errors are believed if
the truth lies within four of them (6e-5 by chance), and none is wider than what the experiment is for.
"""

import math

import numpy as np
import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import Value
from pulsed.model.device import load_device
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.random_rack import write_rack
from pulsed.testing.simulated_lab import SimulatedLab

SEED, QUBITS = 5, 2


class Bringup:
    """A executor whose working set grows with each routine."""

    def __init__(self, folder):
        config = write_rack(folder / "rack", SEED, QUBITS)
        self.lab = SimulatedLab(load_device(config), load_chip(config.with_name("chip.toml")))
        self.truth = self.lab.engine.truth()["qubits"]
        self.executor, self.folder = Executor(self.lab), folder
        self.finished = {}

    def take(self, name, **parameters):
        routine = find_routine(name)(**parameters)
        targets = routine.targets(self.executor.device)
        found = run(routine, targets, self.executor, folder=self.folder, apart=True)
        for target, item in found.items():
            assert item.good, f"{name} {target}: {item.record.reason}, seed {SEED}"
            assert {n.partition(".")[2] for n in item.values} == set(routine.gives)
        self.executor = self.executor.propose({n: v for item in found.values() for n, v in item.values.items()})
        self.finished[name] = (routine, found)
        return found

    def compare(self, name, parameter, truth, widest):
        """Compare what a routine found with the truth, a function of the qubit's dictionary."""
        for target, item in self.finished[name][1].items():
            value, true = item.values[f"{target}.{parameter}"], truth(self.truth[int(target[1:])])
            why = f"{name} {target}.{parameter}, seed {SEED}: {value.value} ± {value.stderr}, truth {true}"
            assert abs(value.value - true) < 4 * value.stderr, why
            assert value.stderr < widest * abs(true), why


@pytest.fixture(scope="module")
def bringup(tmp_path_factory):
    found = Bringup(tmp_path_factory.mktemp("bringup"))
    order = (
        ("time-of-flight", {}),
        ("resonator-spectroscopy", {}),
        ("qubit-spectroscopy", {}),
        ("rabi", {}),
        ("rabi-chevron", {"points": 11, "longest": 120}),
        ("ramsey", {}),
        ("readout-optimum", {}),
        ("discriminator", {}),
        ("anharmonicity", {}),
        ("drag", {}),
        ("fine-amplitude", {}),
        ("fine-drag", {}),
        ("fine-frequency", {}),
        ("t1", {}),
        ("echo", {}),
    )
    for name, parameters in order:
        found.take(name, **parameters)
    return found


def test_the_time_of_flight_is_the_cable(bringup):
    delay = bringup.executor.calibration.number("in.delay")
    assert abs(delay - bringup.lab.engine.truth()["delay"]) <= 1


@pytest.mark.parametrize(
    ("name", "parameter", "truth", "widest"),
    [
        ("resonator-spectroscopy", "readout.frequency", lambda q: q["readout_resonances"][0], 5e-6),
        ("resonator-spectroscopy", "readout.kappa", lambda q: q["kappa"], 0.05),
        ("qubit-spectroscopy", "f01", lambda q: q["f01"], 5e-6),
        ("ramsey", "f01", lambda q: q["f01"], 2e-7),
        ("ramsey", "t2star", lambda q: q["t2_star"], 0.1),
        ("readout-optimum", "readout.frequency", lambda q: q["readout_frequency"], 2e-5),
        ("discriminator", "thermal", lambda q: q["thermal"], 0.5),
        ("anharmonicity", "anharmonicity", lambda q: q["anharmonicity"], 1e-4),
        ("fine-frequency", "f01", lambda q: q["f01"], 2e-7),
        ("t1", "t1", lambda q: q["t1"], 0.1),
        ("echo", "t2", lambda q: q["t2_echo"], 0.1),
    ],
)
def test_what_is_found_is_the_truth(bringup, name, parameter, truth, widest):
    bringup.compare(name, parameter, truth, widest)


def test_the_chevron_has_the_frequencies_of_the_drive(bringup):
    """Its centre is f01 but for the drive's own shift, and its Rabi frequency that of Rabi's pi pulse."""
    for target, item in bringup.finished["rabi-chevron"][1].items():
        fit = item.outcome.fits["chevron"]
        pulse = bringup.finished["rabi"][1][target].values[f"{target}.x.amplitude"].value
        # Half a turn by a Gaussian 32 long, sigma 8, lifted to end at zero: its samples add up to 17.6.
        rabi = 0.2 / pulse * 0.5 / 17.64e-9
        assert abs(fit.values["rabi"] / rabi - 1) < 0.03, f"{target}, seed {SEED}"
        shift = rabi**2 / (2 * 330e6)
        off = fit.values["centre"] + float(item.data.attrs["f01"]) - bringup.truth[int(target[1:])]["f01"]
        assert abs(off) < shift + 4 * fit.stderr["centre"] + 2e4, f"{target}, seed {SEED}"


def test_the_pulses_turn_as_they_should(bringup):
    """x, and two sx, on 0 leave no more of 0 than readout and T1 do; sixteen of them come back to 0."""
    executor = bringup.executor
    for qubit in range(QUBITS):
        blocks, subject = executor.blocks, f"Q{qubit}.readout"
        x, sx = blocks.x(qubit), blocks.sx(qubit)
        shots, p01, p10 = (
            4000,
            executor.calibration.number(f"{subject}.p01"),
            executor.calibration.number(f"{subject}.p10"),
        )
        parts = [[x], [sx, sx], [x] * 16, [sx] * 32]
        played = executor.play([blocks.shot(qubit, *part) for part in parts], shots, level=2)
        ones = played.bits[:, :, qubit].mean(axis=1)
        for found, expected in zip(ones, (1 - p01, 1 - p01, p10, p10), strict=True):
            # 32 pulses of 32 ns are 1 us: at most 2 % of a T1 of 50 us, and 1e-4 of error each.
            allowed = 5 * math.sqrt(expected * (1 - expected) / shots) + 0.025
            assert abs(found - expected) < allowed, f"qubit {qubit}, seed {SEED}: {ones}"


def test_no_error_of_assignment_is_above_what_a_sweep_of_the_readout_finds(bringup):
    """The optimum is within a percent of the best of a grid around it."""
    executor = bringup.executor
    optimum = bringup.finished["readout-optimum"][1]
    for target, item in optimum.items():
        qubit, blocks = int(target[1:]), executor.blocks
        chosen = item.values[f"{target}.readout.error"].value
        at, amplitude = (item.values[f"{target}.readout.{name}"].value for name in ("frequency", "amplitude"))
        errors = []
        for shift in (-0.6e6, 0.0, 0.6e6):
            for scale in (0.7, 1.0, 1.4):
                readout = blocks.measure(qubit, frequency=at + shift, amplitude=min(scale * amplitude, 1.0))
                schedules = [blocks.shot(qubit, *prepare, readout=readout) for prepare in ([], [blocks.x(qubit)])]
                iq = executor.play(schedules, 1500).iq[:, :, qubit]
                zero, one = np.median(iq.real, 1) + 1j * np.median(iq.imag, 1)
                wrong = np.abs(iq - zero) > np.abs(iq - one)
                errors.append((wrong[0].mean() + 1 - wrong[1].mean()) / 2)
        assert chosen < min(errors) + 0.01 + 3 * math.sqrt(chosen / 3000), f"{target}, seed {SEED}: {errors}"


def test_checks_find_all_well_and_then_the_value_that_is_wrong(bringup):
    executor = bringup.executor
    for name, wrong in (("ramsey", ("Q0.f01", 60e3)), ("rabi", ("Q0.x.amplitude", -0.1)), ("t1", ("Q0.t1", 3e-4))):
        routine = find_routine(name)()
        well = run(routine, ["Q0"], executor, folder=bringup.folder, kind="check")["Q0"]
        assert well.record.outcome == "good", f"{name}: {well.record.reason}, seed {SEED}"
        moved = executor.propose({wrong[0]: Value(executor.calibration.number(wrong[0]) + wrong[1])})
        found = run(routine, ["Q0"], moved, folder=bringup.folder, kind="check")["Q0"]
        assert found.record.outcome == "out of spec", f"{name}: {found.record}, seed {SEED}"


def test_every_run_has_a_figure(bringup, drawn):
    for name, (routine, found) in bringup.finished.items():
        item = next(iter(found.values()))
        figure = drawn(routine, item.data, item.outcome)
        assert name in figure.get_suptitle() or name in figure.axes[0].get_title(), name


@pytest.mark.parametrize(
    ("drift", "name"),
    [
        ({"dead_lines": ["d0"]}, "qubit-spectroscopy"),
        ({"dead_lines": ["d0"]}, "rabi"),
        ({"dead_lines": ["d0"]}, "ramsey"),
        ({"dead_lines": ["d0"]}, "t1"),
        ({"dead_lines": ["d0"]}, "discriminator"),
        ({"dead_lines": ["d0"]}, "readout-optimum"),
        ({"dead_lines": ["d0"]}, "fine-amplitude"),
        ({"dead_lines": ["ro"]}, "resonator-spectroscopy"),
        ({"dead_lines": ["ro"]}, "time-of-flight"),
        ({"dead_lines": ["ro"]}, "echo"),
        ({"swapped_lines": [["d0", "d1"]]}, "rabi"),
    ],
)
def test_a_broken_line_is_bad_data_and_gives_no_value(bringup, drift, name):
    engine = bringup.lab.engine
    engine.set_drift(drift)
    try:
        routine = find_routine(name)()
        target = "in" if name == "time-of-flight" else "Q0"
        item = run(routine, [target], bringup.executor, folder=bringup.folder)[target]
    finally:
        engine.set_drift({key: [] for key in drift})
    assert item.record.outcome == "bad data", f"{name}: {item.record}, seed {SEED}"
    assert item.record.reason
    assert item.values == {}
