"""Qiskit Experiments with its default options, by its default sampler and by ``backend.run``.

Values that the rack's truth holds are compared with it. Where it holds none, an experiment's own analysis is given the
exact probabilities of its own circuits.
"""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import SXGate
from qiskit_experiments.framework import ExperimentData
from qiskit_experiments.library import (
    T1,
    FineFrequency,
    FineSXAmplitude,
    FineXAmplitude,
    FineXDrag,
    InterleavedRB,
    LayerFidelity,
    LocalReadoutError,
    MultiStateDiscrimination,
    RamseyXY,
    ReadoutAngle,
    StandardRB,
    StateTomography,
    T2Hahn,
    T2Ramsey,
)

QUBIT = 0
PAIR = (0, 1)
US = 1e-6


@pytest.fixture(params=[False, True], ids=["sampler", "backend_run"])
def run(request, backend, rack):
    """Runs an experiment and returns its data, once each of its results is good or has no verdict."""

    def finish(experiment, verdicts=("good",)):
        data = experiment.run(backend, backend_run=request.param).block_for_results(timeout=300)
        assert not data.errors(), data.errors()
        found = {
            (result.name, str(getattr(result.quality, "value", result.quality)))
            for result in data.analysis_results(dataframe=False)
        }
        assert found
        assert {quality for _, quality in found} <= {*verdicts}, found
        return data

    assert rack
    return finish


def value(data, name):
    """Return the value and standard error of one result."""
    found = data.analysis_results(name, dataframe=False)
    found = found[0] if isinstance(found, list) else found
    return found.value.nominal_value, found.value.std_dev


def close(data, name, expected):
    """Hold one result to within three standard errors of what it should be, and tell it."""
    found, error = value(data, name)
    said = f"{data.experiment_type} {name}: {found:.6g} ± {error:.2g}, true {expected:.6g}"
    print(said)
    assert error > 0
    assert abs(found - expected) < 3 * error, said


def exact(experiment, rack):
    """Return what the experiment's analysis makes of the exact probabilities of its circuits."""
    circuits = experiment._transpiled_circuits()
    data = ExperimentData(experiment=experiment)
    for circuit, counts in zip(circuits, rack.exact_counts(circuits), strict=True):
        data.add_data({"counts": counts, "metadata": circuit.metadata, "shots": sum(counts.values()), "meas_level": 2})
    experiment.analysis.run(data).block_for_results(timeout=300)
    assert not data.errors(), data.errors()
    return data


def test_t1(run, rack):
    true = rack.truth["qubits"][QUBIT]["t1"]
    close(run(T1([QUBIT], np.linspace(1 * US, 300 * US, 25))), "T1", true)


def test_t2_ramsey(run, rack):
    true = rack.truth["qubits"][QUBIT]
    data = run(T2Ramsey([QUBIT], list(np.linspace(0.5 * US, 60 * US, 61)), osc_freq=1e5))
    close(data, "T2star", true["t2_star"])
    close(data, "Frequency", 1e5 + rack.backend.qubit_properties(QUBIT).frequency - true["f01"])


def test_t2_hahn(run, rack):
    data = run(T2Hahn([QUBIT], list(np.linspace(1 * US, 250 * US, 26))))
    close(data, "T2", rack.truth["qubits"][QUBIT]["t2_echo"])


def test_ramsey_xy(run, rack):
    data = run(RamseyXY([QUBIT]))
    detuning = rack.backend.qubit_properties(QUBIT).frequency - rack.truth["qubits"][QUBIT]["f01"]
    close(data, "freq", RamseyXY([QUBIT]).experiment_options.osc_freq + detuning)


@pytest.mark.parametrize(
    "make",
    [
        lambda backend: FineXAmplitude([QUBIT], backend=backend),
        lambda backend: FineSXAmplitude([QUBIT], backend=backend),
        lambda backend: FineXDrag([QUBIT], backend=backend),
        lambda backend: FineFrequency([QUBIT], delay_duration=160, backend=backend),
    ],
    ids=["x_amplitude", "sx_amplitude", "x_drag", "frequency"],
)
def test_amplified_errors_of_gates(run, rack, make):
    data = run(make(rack.backend))
    expected, _ = value(exact(make(rack.backend), rack), "d_theta")
    close(data, "d_theta", expected)


def test_readout_angle(run, rack):
    """The analysis gives no error: it is that of two means of 1024 points."""
    data = run(ReadoutAngle([QUBIT]), verdicts=("unknown",))
    found = next(result.value for result in data.analysis_results(dataframe=False))
    *points, variance = rack.backend.calibration_set.numbers(f"Q{QUBIT}.readout.discriminator")[:5]
    points = np.array(points).view(np.complex128)
    circuits = ReadoutAngle([QUBIT], backend=rack.backend)._transpiled_circuits()
    centres = np.array([populations @ points for _, populations in rack.populations(circuits)])
    error = np.sqrt(variance / 1024 / 4 * np.sum(1 / np.abs(centres) ** 2))
    off = found - np.mean(np.angle(centres))
    off = (off + np.pi / 2) % np.pi - np.pi / 2  # the middle of two angles is one of two
    print(f"readout angle: {found:.4f} ± {error:.4f}, off by {off:.4f}")
    assert abs(off) < 3 * error


def test_local_readout_error(run, backend):
    data = run(LocalReadoutError([0, 1, 2]), verdicts=("unknown",))
    found = data.analysis_results(dataframe=False)[0].value
    properties = backend.properties()
    for qubit in range(3):
        expected = properties.prob_meas1_prep0(qubit), properties.prob_meas0_prep1(qubit)
        matrix = found.assignment_matrix(qubit)
        for seen, true in zip((matrix[1, 0], matrix[0, 1]), expected, strict=True):
            error = np.sqrt(true * (1 - true) / 1024)
            print(f"readout error of {qubit}: {seen:.4f} ± {error:.4f}, calibrated {true:.4f}")
            assert abs(seen - true) < 3 * error


def test_multi_state_discrimination(run, backend):
    data = run(MultiStateDiscrimination([QUBIT]), verdicts=("unknown",))
    properties = backend.properties()
    wrong = properties.prob_meas1_prep0(QUBIT), properties.prob_meas0_prep1(QUBIT)
    found = [result.value for result in data.analysis_results(dataframe=False) if result.name == "fidelity"]
    error = np.sqrt(sum(p * (1 - p) for p in wrong) / 1024) / 2
    print(f"fidelity of discrimination: {found[0]:.4f} ± {error:.4f}, calibrated {1 - sum(wrong) / 2:.4f}")
    assert abs(found[0] - (1 - sum(wrong) / 2)) < 3 * error


def test_standard_rb(run, rack):
    def make():
        return StandardRB([QUBIT], [1, 200, 400, 800, 1200, 1600], rack.backend, 6, seed=4)

    data = run(make())
    close(data, "EPC", value(exact(make(), rack), "EPC")[0])


def test_standard_rb_of_a_pair(run, rack):
    def make():
        return StandardRB(PAIR, [1, 10, 20, 40, 80], rack.backend, 5, seed=4)

    data = run(make())
    close(data, "EPC", value(exact(make(), rack), "EPC")[0])


def test_interleaved_rb(run, rack):
    def make():
        return InterleavedRB(SXGate(), [QUBIT], [1, 200, 400, 800, 1200], rack.backend, 8, seed=4)

    data = run(make())
    close(data, "EPC", value(exact(make(), rack), "EPC")[0])


def test_layer_fidelity(run, rack):
    """The longest sequences are there for the tail: without them the fit finds it anywhere, and calls that bad."""

    def make():
        return LayerFidelity(
            [0, 1, 2, 3], [[(0, 1), (2, 3)]], [1, 10, 20, 40, 80], rack.backend, num_samples=4, seed=4,
            two_qubit_gate="ecr", one_qubit_basis_gates=["rz", "sx", "x"],
        )  # fmt: skip

    data = run(make())
    close(data, "EPLG", value(exact(make(), rack), "EPLG")[0])


def test_state_tomography(run, rack):
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)

    def make():
        return StateTomography(bell, rack.backend, PAIR)

    def fidelity(data):
        return next(r.value for r in data.analysis_results(dataframe=False) if r.name == "state_fidelity")

    found, expected = fidelity(run(make(), verdicts=("unknown",))), fidelity(exact(make(), rack))
    # F is a quarter of 1 and three correlators, each of 1024 shots or more, whose variance is at most 1 / shots.
    error = np.sqrt(3 / 1024) / 4
    print(f"state fidelity: {found:.4f} ± {error:.4f}, true {expected:.4f}")
    assert abs(found - expected) < 3 * error
