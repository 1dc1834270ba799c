"""ECRs at the same time: the layers, sequences that undo themselves pair by pair, and the errors that decays tell."""

import msgspec
import numpy as np
import pytest
import xarray

from pulsed.calibration.executor import Executor
from pulsed.calibration.routine import qubits_of
from pulsed.calibration.routines.benchmarking import Player
from pulsed.calibration.routines.benchmarking_layers import EcrSimultaneous, _shot, layers
from pulsed.model.calibration import Fault, Value
from pulsed.model.errors import InvalidValueError
from pulsed.pulse.channels import ControlChannel
from pulsed.pulse.instructions import Play
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 5


@pytest.fixture(scope="module")
def executor():
    return Executor(SimulatedLab.sim5(seed=SEED))


def test_layers_hold_every_pair_in_use_and_are_full(executor):
    assert layers(executor.device, executor.calibration) == [("Q0-Q1", "Q2-Q3"), ("Q2-Q1", "Q4-Q3")]
    dead = executor.calibration.with_faults({"Q0": Fault("dead")}, "")
    assert layers(executor.device, dead) == [("Q2-Q1", "Q4-Q3"), ("Q2-Q3",)]
    few = msgspec.structs.replace(
        executor.calibration,
        values={n: v for n, v in executor.calibration.values.items() if not n.startswith("Q2-Q1.")},
    )
    assert layers(executor.device, few) == [("Q0-Q1", "Q2-Q3"), ("Q4-Q3", "Q0-Q1")]


def test_gates_of_a_layer_start_together(executor):
    """Whatever the pulses before them; a circuit with barriers plays them so."""
    players = {pair: Player(executor.blocks, qubits_of(pair, executor.device)) for pair in ("Q2-Q1", "Q4-Q3")}
    shot = _shot(executor.blocks, players, np.random.default_rng(SEED), 5, 0, executor.device)
    starts = {}
    for time, item in shot.instructions:
        if isinstance(item, Play) and isinstance(item.channel, ControlChannel):
            starts.setdefault(item.channel.index, []).append(time)
    assert len(starts) == 2
    first, second = (sorted(times)[:10:2] for times in starts.values())
    assert first == second, "the first halves of five gates"


def test_a_sequence_brings_each_pair_to_the_state_that_it_should(executor):
    """One layer on the chip itself: errors of gates and readouts leave most shots where they belong."""
    pairs = ("Q2-Q1", "Q4-Q3")
    players = {pair: Player(executor.blocks, qubits_of(pair, executor.device)) for pair in pairs}
    rng = np.random.default_rng(SEED)
    shots = [_shot(executor.blocks, players, rng, 1, end, executor.device) for end in (1, 2)]
    bits = executor.play(shots, 300, level=2).bits
    for end, found in zip((1, 2), bits, strict=True):
        for pair in pairs:
            low, high = qubits_of(pair, executor.device)
            right = (found[:, low] == (end & 1)) & (found[:, high] == (end >> 1))
            # Some percent of either readout and of each of up to four ECRs; chance is a quarter.
            assert right.mean() > 0.7, f"seed {SEED}, {pair}, {end}: {right.mean()}"


def decays(errors, count=8, shots=500):
    rng, lengths = np.random.default_rng(SEED), np.array([1, 11, 21, 31, 41])
    expected = 0.25 + 0.7 * (1 - 4 / 3 * np.array(list(errors.values()))[:, None]) ** lengths
    survival = rng.binomial(shots, np.repeat(expected[:, :, None], count, axis=2)) / shots
    coords = {"pair": list(errors), "length": lengths, "sequence": np.arange(count)}
    data = xarray.Dataset({"survival": (tuple(coords), survival)}, coords)
    data["alone"] = ("pair", [0.007, np.nan])
    return data.assign_attrs(shots=shots, layers="Q2-Q1+Q4-Q3", target="chip")


def test_the_error_of_each_pair_is_found_with_its_own_error(drawn):
    truth = {"Q2-Q1": 0.065, "Q4-Q3": 0.012}
    routine, data = EcrSimultaneous(), decays(truth)
    outcome = routine.analyse(data)
    assert outcome.good, f"seed {SEED}: {outcome.reason}"
    for pair, error in truth.items():
        found = outcome.values[f"{pair}.ecr.simultaneous"]
        assert abs(found.value - error) < 4 * found.stderr, f"seed {SEED}, {pair}: {found}"
        assert found.stderr < 0.1 * error
    assert "in layers Q2-Q1+Q4-Q3" in outcome.reason
    assert "alone 0.007" in outcome.reason
    drawn(routine, data, outcome)


def test_a_pair_without_a_decay_is_named_and_has_no_value():
    data = decays({"Q2-Q1": 0.065, "Q4-Q3": 0.012})
    data["survival"][1] = np.random.default_rng(SEED).normal(0.25, 0.02, data["survival"].shape[1:])
    outcome = EcrSimultaneous().analyse(data)
    assert outcome.values.keys() == {"Q2-Q1.ecr.simultaneous"}
    assert "Q4-Q3 not: " in outcome.reason
    data["survival"][0] = data["survival"][1].to_numpy()
    assert not EcrSimultaneous().analyse(data).good


def test_a_check_says_when_a_pair_errs_more_than_is_known(executor):
    data = decays({"Q2-Q1": 0.065, "Q4-Q3": 0.012})
    known = {"Q2-Q1.ecr.simultaneous": Value(0.06, "", 0.002), "Q4-Q3.ecr.simultaneous": Value(0.012, "", 0.001)}
    judge = EcrSimultaneous().judge
    assert judge(data, executor.calibration, "chip") == ("out of spec", "Q2-Q1.ecr.simultaneous has no value")
    assert judge(data, executor.propose(known).calibration, "chip") == ("in spec", "")
    better = {**known, "Q2-Q1.ecr.simultaneous": Value(0.02, "", 0.002)}
    assert judge(data, executor.propose(better).calibration, "chip")[0] == "out of spec"


@pytest.mark.parametrize("text", ["Q2-Q1+Q1-Q0", "Q2-Q1+Q2-Q3", "Q9-Q1", "Q0-Q1+", "Q1-Q0"])
def test_a_layer_that_is_none_is_refused(executor, text):
    with pytest.raises(InvalidValueError, match="legal: of Q0-Q1"):
        next(EcrSimultaneous(layers=text).measure(executor, "chip"))
