"""Randomized benchmarking: the groups, the sequences, and what the simulated rack's coherence times must give."""

import dataclasses
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.quantum_info import Clifford

from pulsed.calibration.executor import Executor
from pulsed.calibration.routine import find_routine
from pulsed.calibration.routines.benchmarking import coherence_limit
from pulsed.calibration.routines.benchmarking_cliffords import (
    PULSES_PER_CLIFFORD,
    TURNS,
    benchmark,
    cliffords,
    matrix_of,
)
from pulsed.calibration.runner.runner import rerun, run
from pulsed.model.calibration import Value
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 11


def distinct(matrices):
    """Return how many Cliffords there are among unitaries, by Qiskit's tableaux."""
    return len({Clifford.from_matrix(matrix).tableau.tobytes() for matrix in matrices})


def test_the_turns_are_the_24_cliffords_of_one_qubit():
    assert distinct(turn.matrix for turn in TURNS) == len(TURNS) == cliffords(1).order == 24
    assert pytest.approx(5 / 6) == PULSES_PER_CLIFFORD


def test_the_words_are_one_of_each_class_of_two_qubits():
    """576 + 5184 + 5184 + 576 elements need 0 to 3 entangling gates (Corcoles et al., Phys. Rev. A 87, 030301)."""
    group = cliffords(2)
    assert Counter(sum(step == "ecr" for step in word) for word, _ in group.words) == {0: 1, 1: 9, 2: 9, 3: 1}
    assert group.order == 11520
    # Words of different cosets stay different whatever local turns follow; some of them, each distinct.
    some = [((TURNS[k], TURNS[(5 * k + 1) % 24]),) for k in range(0, 24, 4)]
    products = [matrix_of((*word, *local), 2) for word, _ in group.words for local in some]
    assert distinct(products) == len(products)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2), st.integers(0, 12), st.data())
def test_a_sequence_ends_where_it_should(seed, qubits, length, data):
    end = data.draw(st.integers(0, 2**qubits - 1))
    extra = ("ecr",) if qubits == 2 and data.draw(st.booleans()) else ()
    steps = benchmark(np.random.default_rng(seed), qubits, length, end, extra)
    assert abs(matrix_of(steps, qubits)[end, 0]) == pytest.approx(1), f"seed {seed}"


def test_coherence_limits_are_those_of_the_design():
    """0.83 pulses of 32 ns; PHYSICS.md has 3.70e-4 and 1.42e-3 for pulses of other lengths, in the same ratio."""
    slow, fast = (coherence_limit(30e-9, [times]) for times in ((80e-6, 90e-6), (30e-6, 20e-6)))
    assert fast / slow == pytest.approx(1.420e-3 / 3.70e-4, rel=0.02)
    # One qubit: (3 - exp(-t/T1) - 2 exp(-t/T2)) / 6.
    assert slow == pytest.approx((3 - np.exp(-30e-9 / 80e-6) - 2 * np.exp(-30e-9 / 90e-6)) / 6, rel=1e-9)
    two = coherence_limit(400e-9, [(80e-6, 90e-6), (60e-6, 70e-6)])
    each = sum(coherence_limit(400e-9, [times]) for times in ((80e-6, 90e-6), (60e-6, 70e-6)))
    assert two == pytest.approx(each * 6 / 5, rel=0.01)  # to first order d/(d + 1) * (infidelities of the processes)


@pytest.fixture(scope="module")
def executor():
    return Executor(SimulatedLab.sim5(seed=SEED))


def test_a_pulse_errs_as_much_as_t1_and_t2_say(executor, tmp_path, drawn):
    jobs = len(executor.connection.played)
    routine = find_routine("rb")(points=4, longest=1500, sequences=4, shots=1000, seed=SEED)
    finished = run(routine, ["Q0", "Q2"], executor, folder=tmp_path)
    assert len(executor.connection.played) == jobs + 2, "one after the other"
    for target, item in finished.items():
        assert item.good, f"{target}, seed {SEED}: {item.record.reason}"
        error, limit = item.values[f"{target}.rb.error"], item.data.attrs["coherence_limit"]
        assert error.stderr < 0.15 * limit
        # Pulses of the shipped set err 1e-5 at most beyond the limit; quasi-static detuning adds less.
        assert -4 * error.stderr < error.value - limit < 1e-5 + 4 * error.stderr, f"{target}, seed {SEED}: {error}"
        pulse = item.values[f"{target}.x.error"]
        assert pulse.value == pytest.approx(error.value * 6 / 5)
        assert "coherence limit" in item.record.reason
        assert rerun(routine, item.record.file).values == item.outcome.values
        drawn(routine, item.data, item.outcome)


def test_a_wrong_amplitude_shows(executor, tmp_path):
    """An angle that is wrong by e costs e^2 / 6: with 3 % of pi and of pi / 2 that is far above the limit."""
    was = executor.calibration.values["Q0.x.amplitude"]
    half = executor.calibration.values["Q0.sx.amplitude"]
    wrong = {
        "Q0.x.amplitude": msgspec.structs.replace(was, value=was.value * 1.03),
        "Q0.sx.amplitude": msgspec.structs.replace(half, value=half.value * 1.03),
    }
    routine = find_routine("rb")(points=5, longest=250, sequences=24, shots=400, seed=SEED)
    (item,) = run(routine, ["Q0"], executor.propose(wrong), folder=tmp_path).values()
    assert item.good, f"seed {SEED}: {item.record.reason}"
    error = item.values["Q0.rb.error"]
    # Per Clifford: (16 (0.03 pi/2)^2 + 4 (0.03 pi)^2) / 6 / 24, the fidelity of an angle e being 1 - e^2/6.
    extra = (16 * (0.015 * np.pi) ** 2 + 4 * (0.03 * np.pi) ** 2) / 6 / 24
    expected = extra + item.data.attrs["coherence_limit"]
    assert abs(error.value - expected) < 4 * error.stderr + 0.2 * expected, f"seed {SEED}: {error}, {expected}"


def test_a_neighbour_that_is_driven_too_costs_no_less(executor, tmp_path):
    known = executor.propose({"Q0.rb.error": Value(1.3e-4, "")})
    routine = find_routine("rb-simultaneous")(points=4, longest=900, sequences=4, shots=1000, seed=SEED)
    jobs = len(executor.connection.played)
    finished = run(routine, ["Q0", "Q1"], known, folder=tmp_path)
    assert len(executor.connection.played) == jobs + 1, "both are played at once"
    for target, item in finished.items():
        value, limit = item.values[f"{target}.rb.simultaneous"], item.data.attrs["coherence_limit"]
        # With 52 kHz of ZZ half the time at either sign, a pulse of 32 ns turns by 5e-3 rad: 1e-5 of error or so.
        assert -4 * value.stderr < value.value - limit < 4e-5 + 4 * value.stderr, f"{target}, seed {SEED}: {value}"
    assert "alone 0.00013" in finished["Q0"].record.reason


def test_x_and_sx_are_told_apart_by_interleaving(executor, tmp_path, drawn):
    """An x that is wrong by 3 % of pi errs (0.03 pi)^2 / 6 more than its coherence allows, and sx does not."""
    was = executor.calibration.values["Q0.x.amplitude"]
    wrong = {"Q0.x.amplitude": msgspec.structs.replace(was, value=was.value * 1.03)}
    routine = find_routine("rb-interleaved")(points=4, longest=300, sequences=12, shots=500, seed=SEED)
    (item,) = run(routine, ["Q0"], executor.propose(wrong), folder=tmp_path).values()
    assert item.good, f"seed {SEED}: {item.record.reason}"
    x, sx = item.values["Q0.rb.x"], item.values["Q0.rb.sx"]
    for value, extra, name in ((x, (0.03 * np.pi) ** 2 / 6, "x"), (sx, 0.0, "sx")):
        limit = item.data.attrs[f"{name}_coherence_limit"]
        # What is left of an x in other Cliffords is coherent with the interleaved one: part of the error in between.
        assert abs(value.value - limit - extra) < 4 * value.stderr + 0.25 * extra + 1e-4, (
            f"seed {SEED}, {name}: {value}"
        )
    assert rerun(routine, item.record.file).values == item.outcome.values
    drawn(routine, item.data, item.outcome)


@pytest.fixture(scope="module")
def pair(executor, tmp_path_factory):
    routine = find_routine("rb-ecr")(points=4, longest=31, sequences=4, shots=300, seed=SEED)
    folder = tmp_path_factory.mktemp("pair")
    (item,) = run(routine, ["Q0-Q1"], executor, folder=folder).values()
    return routine, item, folder


def test_ecr_by_interleaving(pair, drawn):
    routine, item, _ = pair
    assert item.good, f"seed {SEED}: {item.record.reason}"
    clifford, ecr = item.values["Q0-Q1.rb.error"], item.values["Q0-Q1.ecr.error"]
    limit, gate = item.data.attrs["coherence_limit"], item.data.attrs["gate_coherence_limit"]
    # The shipped set's own estimate of this gate is 5.2e-3.
    assert abs(ecr.value - 5.24e-3) < 4 * ecr.stderr, f"seed {SEED}: {ecr}"
    assert abs(clifford.value - limit) < 4 * clifford.stderr + 0.1 * limit, f"seed {SEED}: {clifford}, {limit}"
    assert gate < limit < 2 * gate
    drawn(routine, item.data, item.outcome)


def test_noise_is_refused(pair):
    routine, item, _ = pair
    rng = np.random.default_rng(SEED)
    noise = item.data.copy()
    noise["survival"] = (item.data["survival"].dims, rng.normal(0.25, 0.02, item.data["survival"].shape))
    found = routine.analyse(noise)
    assert not found.good, f"seed {SEED}"
    assert "noise" in found.reason


def test_a_gate_without_error_is_not_given_a_negative_one(pair):
    routine, item, _ = pair
    same = item.data.copy()
    same["survival"] = item.data["survival"].copy()
    same["survival"][1] = item.data["survival"][0].to_numpy()
    found = routine.analyse(same)
    assert not found.good
    assert "does not stand out" in found.reason
    assert dataclasses.asdict(found)["values"] == {}
