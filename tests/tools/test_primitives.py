"""Primitives of other people over our backend: Qiskit's own, and the local mode of qiskit-ibm-runtime."""

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import Batch, EstimatorV2, SamplerV2, Session

from pulsed import provider

ANGLES = np.linspace(0, np.pi, 5)
SHOTS = 2000
PAIR = [0, 1]


@pytest.fixture
def entangled(backend):
    """ry(θ) and a cx, transpiled."""
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("θ"), 0)
    circuit.cx(0, 1)
    return transpile(circuit, backend, initial_layout=PAIR, optimization_level=1, seed_transpiler=1)


def bound(circuit, bases=""):
    """Return the circuit at each angle, its two qubits rotated into ``bases`` and read."""
    found = []
    for angle in ANGLES:
        one = circuit.assign_parameters([angle])
        one.add_register(*QuantumCircuit(0, 2).cregs)
        for bit, (qubit, basis) in enumerate(zip(PAIR, bases or "ZZ", strict=True)):
            if basis == "X":
                one.rz(np.pi / 2, qubit)
                one.sx(qubit)
                one.rz(np.pi / 2, qubit)
            one.measure(qubit, bit)
        found.append(one)
    return found


def probabilities(counts):
    return {key: count / sum(counts.values()) for key, count in counts.items()}


@pytest.mark.parametrize("make", [BackendSamplerV2, SamplerV2], ids=["qiskit", "runtime"])
def test_samplers(backend, rack, entangled, make):
    measured = entangled.copy()
    measured.measure_all()
    sampler = make(backend=backend) if make is BackendSamplerV2 else make(mode=backend)
    data = sampler.run([(measured, ANGLES)], shots=SHOTS).result()[0].data.meas
    assert data.shape == (5,)
    for k, expected in enumerate(map(probabilities, rack.exact_counts(bound(entangled)))):
        seen = data.get_counts(k)
        for key, p in expected.items():
            found = sum(n for word, n in seen.items() if word[-2:] == key) / SHOTS
            assert abs(found - p) < 4 * np.sqrt(p * (1 - p) / SHOTS) + 1 / SHOTS, (ANGLES[k], key, found, p)


@pytest.mark.parametrize("make", [BackendEstimatorV2, EstimatorV2], ids=["qiskit", "runtime"])
def test_estimators(backend, rack, entangled, make):
    observables = [SparsePauliOp(label).apply_layout(entangled.layout) for label in ("ZZ", "XX")]
    estimator = make(backend=backend) if make is BackendEstimatorV2 else make(mode=backend)
    data = estimator.run([(entangled, [[observable] for observable in observables], ANGLES)]).result()[0].data
    assert data.evs.shape == (2, 5)
    for row, bases in enumerate(("ZZ", "XX")):
        for k, p in enumerate(map(probabilities, rack.exact_counts(bound(entangled, bases)))):
            expected = p["00"] + p["11"] - p["01"] - p["10"]
            error = np.sqrt((1 - expected**2) / 4096)  # of the default precision, 1/64
            assert abs(data.evs[row, k] - expected) < 4 * error, (bases, ANGLES[k])


@pytest.mark.parametrize(("kind", "shape"), [("classified", (100,)), ("kerneled", (100, 2)), ("avg_kerneled", (2,))])
def test_measurement_types_of_the_runtime_sampler(backend, rack, kind, shape):
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.measure_all()
    sampler = SamplerV2(mode=backend)
    sampler.options.execution.meas_type = kind
    sampler.options.default_shots = 100
    data = sampler.run([transpile(circuit, backend, initial_layout=PAIR)]).result()[0].data.meas
    assert rack
    if kind == "classified":
        assert data.num_shots == 100
        assert max(data.get_counts(), key=data.get_counts().get) == "01"
    else:
        assert data.shape == shape
        assert np.iscomplexobj(data)


def test_sessions_and_batches_of_the_runtime(backend, rack, entangled):
    measured = entangled.copy()
    measured.measure_all()
    assert rack
    with Session(backend=backend) as session:
        result = SamplerV2(mode=session).run([(measured, [0.0])], shots=100).result()
    assert result[0].data.meas.num_shots == 100
    with Batch(backend=backend) as batch:
        observable = SparsePauliOp("ZZ").apply_layout(entangled.layout)
        result = EstimatorV2(mode=batch).run([(entangled, observable, [0.0])], precision=0.05).result()
    assert result[0].data.evs > 0.8


@pytest.mark.parametrize("kind", [provider.Session, provider.Batch])
def test_a_session_of_ours_around_those_of_the_runtime(backend, rack, entangled, kind):
    """The runtime copies the backend that it is given: a copy is in the same session."""
    measured = entangled.copy()
    measured.measure_all()
    observable = SparsePauliOp("ZZ").apply_layout(entangled.layout)
    assert rack
    with kind(backend) as ours:
        with Session(backend=backend) as session:
            SamplerV2(mode=session).run([(measured, [0.0])], shots=100).result()
        with Batch(backend=backend) as batch:
            EstimatorV2(mode=batch).run([(entangled, observable, [0.0])], precision=0.05).result()
        BackendSamplerV2(backend=backend).run([(measured, [0.0])], shots=100).result()
    jobs = backend.provider.jobs(session_id=ours.session_id)
    assert len(jobs) == 3
    assert all(job.done() for job in jobs)
    assert ours.status() == "Closed"
