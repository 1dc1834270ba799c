"""Qiskit's own primitives over a backend, unchanged, and ours."""

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.quantum_info import SparsePauliOp

from pulsed.provider import PulsedEstimator, PulsedSampler

ANGLES = np.linspace(0, np.pi, 7)


def rotated(backend, measured=False):
    """ry(θ) and a cx: cos(θ/2)|00> + sin(θ/2)|11>."""
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("θ"), 0)
    circuit.cx(0, 1)
    if measured:
        circuit.measure_all()
    return transpile(circuit, backend, initial_layout=[0, 1], optimization_level=1, seed_transpiler=1)


def test_a_sampler_sweeps_an_angle(backend):
    circuit = rotated(backend, measured=True)
    sampler = BackendSamplerV2(backend=backend)
    data = sampler.run([(circuit, ANGLES)], shots=1000).result()[0].data.meas
    assert data.shape == (7,)
    ones = np.array([data.get_counts(k).get("11", 0) for k in range(7)]) / 1000
    # Preparation, gates and readout take a few percent of each; five standard deviations are 0.08 at most.
    np.testing.assert_allclose(ones, np.sin(ANGLES / 2) ** 2, atol=0.15)
    assert ones[0] < 0.03
    assert ones[-1] > 0.85


def test_an_estimator_measures_what_commutes_and_what_does_not(backend):
    circuit = rotated(backend)
    observables = [[SparsePauliOp(name).apply_layout(circuit.layout)] for name in ("ZI", "ZZ", "XX")]
    data = BackendEstimatorV2(backend=backend).run([(circuit, observables, ANGLES)]).result()[0].data
    assert data.evs.shape == (3, 7)
    ideal = np.array([np.cos(ANGLES), np.ones(7), np.sin(ANGLES)])
    np.testing.assert_allclose(data.evs, ideal, atol=0.18)
    assert np.abs(data.evs - 0.94 * ideal).max() < 0.12, data.evs.round(3)


SAMPLED = {"run_options": {"rep_delay": 4e-4}}
"""Most of a qubit's decay is over by then, and a sweep of many angles needs no confirmation."""
EXACT = [SparsePauliOp(["ZI", "ZZ", "XX"], [0.5, 1.0, -1.5]), "ZI", "ZZ", "XX", "YX"]


def laid_out(circuit):
    return [SparsePauliOp(one).apply_layout(circuit.layout) for one in EXACT]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dynamical_decoupling": {"enable": True, "sequence_type": "XY4"}},
        {"twirling": {"enable_gates": True, "enable_measure": True, "num_randomizations": 4, "seed": 1}},
    ],
    ids=["plain", "decoupled", "twirled"],
)
def test_our_estimator_against_the_exact_means(backend, options):
    """With readout errors undone what is left are those of two gates and of decay: 0.03 of a Pauli operator."""
    circuit = rotated(backend)
    estimator = PulsedEstimator(backend, {"resilience": {"measure_mitigation": True}, **options})
    job = estimator.run([(circuit, [[one] for one in laid_out(circuit)], ANGLES)])
    result = job.result()
    data, terms = result[0].data, np.array([3, 1, 1, 1, 1])[:, None]
    ideal = np.array([0 * ANGLES, np.cos(ANGLES), np.ones(7), np.sin(ANGLES), 0 * ANGLES])
    ideal[0] = 0.5 * ideal[1] + ideal[2] - 1.5 * ideal[3]
    assert (np.abs(data.evs - ideal) < 5.5 * data.stds + 0.05 * terms).all(), (data.evs - ideal).round(3)
    assert len(job.jobs) == 1
    assert result.metadata["resilience"] == {"measure_mitigation": True}
    assert result.metadata["calibration_id"] == job.jobs[0].calibration_id == backend.calibration_id


def test_undoing_readout_errors_helps(backend):
    """The Z of a qubit in 1 is off by twice its readout error, 0.02 to 0.05 of which is decay and stays."""
    circuit = QuantumCircuit(5)
    circuit.x([0, 1])
    pub = (circuit, ["IIIIZ", "IIIZI", "IIIZZ"])
    plain, undone = (
        PulsedEstimator(backend, {"resilience": {"measure_mitigation": on}}).run([pub], precision=0.01).result()[0].data
        for on in (False, True)
    )
    ideal = [-1, -1, 1]
    assert (np.abs(undone.evs - ideal) < np.abs(plain.evs - ideal)).all()


def test_a_sweep_of_200_angles_is_one_job_lowered_once(backend):
    """A program that is lowered by itself is one of its own in the job's request, and a chunk of its own or shared."""
    circuit = rotated(backend)
    angles = np.linspace(0, np.pi, 200)
    job = PulsedEstimator(backend, SAMPLED).run(
        [(circuit, [[one] for one in laid_out(circuit)[1:3]], angles)], precision=0.1
    )
    data = job.result()[0].data
    (one,) = job.jobs
    assert one.info().num_programs == 200
    assert len(one.circuits()) == 1
    assert data.evs.shape == (2, 200)
    assert np.abs(data.evs - [np.cos(angles), np.ones(200)]).max() < 5.5 * 0.1 + 0.15
    assert np.abs((data.evs - [np.cos(angles), np.ones(200)]).mean(axis=1)).max() < 0.12


def test_our_sampler_has_the_arrays_of_qiskits(backend):
    circuit = rotated(backend, measured=True)
    values = {circuit.parameters[0]: np.array([[0.0, np.pi, 0.3], [np.pi, 1.0, 0.0]])}
    ours, theirs = (
        sampler.run([(circuit, values)], shots=200).result()[0].data
        for sampler in (PulsedSampler(backend), BackendSamplerV2(backend=backend))
    )
    assert ours.shape == theirs.shape == (2, 3)
    assert (ours.meas.shape, ours.meas.array.shape) == (theirs.meas.shape, theirs.meas.array.shape)
    for place in np.ndindex(2, 3):
        mine, other = (data.meas.get_counts(place).get("11", 0) / 200 for data in (ours, theirs))
        assert abs(mine - other) < 5.5 * np.sqrt(0.5 / 200)
    assert ours.meas.get_counts((0, 1))["11"] > 160
