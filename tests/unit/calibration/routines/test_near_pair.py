"""Two coupled qubits 26 MHz apart: pulses that leave the other one alone, and a gate whose errors can be taken away."""

from dataclasses import replace

import pytest

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.amplification import FineAmplitude
from pulsed.calibration.routines.cross_resonance import CrAmplitude, CrCancel, CrPhase
from pulsed.calibration.routines.cross_resonance_gate import FineEcr
from pulsed.calibration.routines.drag import Drag
from pulsed.calibration.routines.rabi import CLOSE, Rabi, gentle_duration
from pulsed.calibration.runner.runner import run
from pulsed.model.calibration import Value, design_sheet
from pulsed.model.device import load_device
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.chip.random_rack import rack_toml
from pulsed.simulator.engine.tuneup import Tuneup
from pulsed.testing.simulated_lab import SimulatedLab

PAIR, QUBITS = "Q0-Q1", ("Q0", "Q1")
SEED = 5


@pytest.fixture(scope="module")
def executor(tmp_path_factory):
    """A lab of two near qubits of which frequencies and readout are known, and nothing of their pulses."""
    path = tmp_path_factory.mktemp("near") / "rack.toml"
    path.write_text(rack_toml("near", 2, "chip.toml"), encoding="utf-8")
    chip = random_chip(SEED, 2)
    first, second = chip.qubits
    chip = replace(chip, qubits=(first, replace(second, frequency=first.frequency - 26.1e6)))
    truth = Tuneup(chip, SEED)
    for q, qubit in enumerate(chip.qubits):
        truth.put(f"Q{q}.f01", qubit.frequency, "Hz")
        truth.put(f"Q{q}.anharmonicity", qubit.anharmonicity, "Hz")
        truth.rotations(q)  # what the readout is found with
    truth.readout()
    known = {name: value for name, value in truth.values.items() if name.split(".")[1] not in ("x", "sx")}
    device = load_device(path)
    return Executor(SimulatedLab(device, chip, design_sheet(device).with_values(known, "2026-11-21"), SEED))


def test_pulses_are_as_long_as_the_nearest_neighbour_asks(executor):
    for apart, duration in ((26.1e6, 64), (60e6, 32), (41e6, 48), (CLOSE, 32), (0.0, 88)):
        here = executor.propose({"Q1.f01": Value(executor.blocks.value("Q0.f01") - apart, "Hz")})
        assert [gentle_duration(here, q) for q in QUBITS] == [duration] * 2, apart


def test_the_gate_is_tuned_like_any_other(executor, tmp_path):
    for routine in (Rabi(points=25), Drag(points=7), FineAmplitude()):
        found = run(routine, QUBITS, executor, folder=tmp_path)
        for qubit, item in found.items():
            assert item.good, (SEED, routine.name, qubit, item.record.reason)
            executor = executor.propose(item.values)
    assert executor.calibration.number("Q0.x.duration") == 64
    fits = {}
    few = {"points": 11, "shots": 150}
    for routine in (CrAmplitude(**few), CrPhase(**few), CrCancel(**few), FineEcr()):
        item = run(routine, [PAIR], executor, folder=tmp_path)[PAIR]
        assert item.good, (SEED, routine.name, item.record.reason)
        executor, fits = executor.propose(item.values), item.outcome.fits
    assert executor.calibration.number(f"{PAIR}.ecr.sigma") == 24
    # With the pulses of a lone pair chi squared is about 40 here, and the contrast 0.7.
    last = list(fits.values())[-1]
    assert last.chi2 < 2, SEED
    assert last.values["contrast"] > 0.96, SEED
    verdict, why = FineEcr(shots=150).judge(
        run(FineEcr(rounds=1, shots=150), [PAIR], executor, folder=tmp_path)[PAIR].data, executor.calibration, PAIR
    )
    assert verdict == "in spec", (SEED, why)


def test_a_known_duration_is_kept_where_it_is_long_enough(executor, tmp_path):
    longer = executor.propose({"Q0.x.duration": Value(80.0, "dt"), "Q0.x.sigma": Value(20.0, "dt")})
    shorter = executor.propose({"Q0.x.duration": Value(40.0, "dt"), "Q0.x.sigma": Value(10.0, "dt")})
    for here, duration in ((longer, 80), (shorter, 64)):
        item = run(Rabi(points=15, shots=100), ["Q0"], here, folder=tmp_path)["Q0"]
        # Of sx nothing is known, so that it comes with the pulse that was played; of x the duration that was too short.
        assert item.data.attrs["sx.duration"] == duration
        assert item.data.attrs["sx.sigma"] == pytest.approx(duration / 4)
        assert ("x.duration" in item.data.attrs) == (here is shorter)
