"""Sampler and estimator over a daemon's double that makes no errors."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, qpy
from qiskit.circuit import Parameter
from qiskit.primitives import BackendSamplerV2, StatevectorEstimator
from qiskit.providers import JobStatus
from qiskit.quantum_info import SparsePauliOp

from pulsed.model.calibration import CalibrationSet
from pulsed.model.errors import RackTimeError
from pulsed.model.job import Bindings
from pulsed.provider import PulsedBackend, PulsedEstimator, PulsedProvider, PulsedSampler
from pulsed.provider.errors import OptionValueError, PubError, PulsedJobTimeoutError, UnsupportedCircuitError

from ..conftest import DaemonDouble
from .circuits import entangled, exact, phases

QUICK = {"run_options": {"rep_delay": 1e-5}}
ALL = {
    "twirling": {"enable_gates": True, "enable_measure": True, "num_randomizations": 5, "seed": 3},
    "dynamical_decoupling": {"enable": True, "sequence_type": "XY4"},
}


def registers() -> QuantumCircuit:
    """Two angles, registers of which one is more than a byte, with bits that nothing is measured into."""
    circuit = QuantumCircuit(5)
    for name, size in (("low", 3), ("long", 11), ("none", 1)):
        circuit.add_register(ClassicalRegister(size, name))
    for _ in range(2):  # together they do nothing
        circuit.ecr(0, 1)
    for q, name in enumerate("ab"):
        circuit.sx(q)
        circuit.rz(Parameter(name), q)
        circuit.sx(q)
        circuit.measure(q, 2 + 10 * q)
    circuit.x(4)
    circuit.measure(4, 4)
    return circuit


def test_a_sweep_is_one_job_whose_circuit_is_sent_and_lowered_once(
    backend: PulsedBackend, daemon: Any, worker: Any
) -> None:
    values = np.linspace(0, np.pi, 200)
    job = PulsedSampler(backend, QUICK).run([(phases(1), values)], shots=50)
    (request, parts), *more = daemon.received
    assert not more
    assert (request.kinds, request.num_programs, request.options.shots) == (("qpy", "values"), 200, 50)
    assert request.bindings == (Bindings(0, ("v[0]",), 200),)
    assert len(qpy.load(io.BytesIO(parts[0]))) == 1
    (chunk,) = worker.compile(request, parts)
    (program,) = chunk.head.programs
    assert program.bindings.shape == (200, 1)
    ones = job.result()[0].data.c.bitcount().mean(axis=1)
    np.testing.assert_allclose(ones, np.sin(values / 2) ** 2, atol=5.5 * 0.5 / np.sqrt(50))
    assert (job.job_id(), len(job.jobs), job.status()) == (request.job_id, 1, JobStatus.DONE)
    assert [job.done(), job.in_final_state(), job.running(), job.cancelled(), job.cancel()] == [True, True] + [
        False
    ] * 3


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 1, 2)])
def test_arrays_are_those_of_qiskits_sampler(backend: PulsedBackend, shape: tuple[int, ...]) -> None:
    """With angles whose outcome is certain every bit is the same."""
    circuit = registers()
    rng = np.random.default_rng(5)
    values = {name: rng.choice([0.0, np.pi], size=shape) for name in ("a", "b")}
    ours, theirs = (
        sampler.run([(circuit, values)], shots=9).result()[0]
        for sampler in (PulsedSampler(backend), BackendSamplerV2(backend=backend))
    )
    assert ours.data.shape == theirs.data.shape == shape
    for name in ("low", "long", "none"):
        mine, other = ours.data[name], theirs.data[name]
        assert (mine.shape, mine.num_bits, mine.num_shots) == (other.shape, other.num_bits, other.num_shots)
        np.testing.assert_array_equal(mine.array, other.array)
    assert ours.metadata == theirs.metadata


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_points_are_those_of_qiskits_sampler(backend: PulsedBackend, shape: tuple[int, ...], average: bool) -> None:
    options = {"run_options": {"meas_level": 1, "meas_return": "avg" if average else "single"}}
    values = np.zeros((*shape, 2))
    ours, theirs = (
        sampler.run([(phases(2), values)], shots=9).result()[0].data.c
        for sampler in (PulsedSampler(backend, options), BackendSamplerV2(backend=backend, options=options))
    )
    assert ours.shape == (*shape, 2) if average else (*shape, 9, 2)
    np.testing.assert_allclose(ours, theirs)
    twirled = PulsedSampler(backend, {**options, "twirling": {"enable_gates": True, "num_randomizations": 4}})
    again = twirled.run([(registers(), {"a": 0.0, "b": np.pi})], shots=9).result()[0].data
    assert again.long.shape == ((11,) if average else (9, 11))
    # The double's points are 1 - 2 bits, and 0.1 i times the memory slot: bit 4 is slot 1 of the second register.
    np.testing.assert_allclose(again.long[..., 1], (-1 + 0.4j) * 1e6)
    twirled.options.twirling.enable_measure = True
    with pytest.raises(OptionValueError, match=r"points cannot be turned back.*legal: False with meas_level 1"):
        twirled.run([phases(1)])


def test_pubs_of_as_many_shots_share_a_job(backend: PulsedBackend, daemon: Any) -> None:
    plain = phases(1).assign_parameters([0.0])
    sampler = PulsedSampler(backend, {"default_shots": 20})
    result = sampler.run([plain, (phases(2), np.zeros((3, 2)), 30), (plain, None, 20), (plain, None, 30)]).result()
    assert [(len(request.kinds), request.num_programs) for request, _ in daemon.received] == [(1, 2), (2, 4)]
    assert [one.data.c.num_shots for one in result] == [20, 30, 20, 30]
    assert [one.data.shape for one in result] == [(), (3,), (), ()]


def test_more_values_than_a_job_has_are_several_jobs(device: Any, calibration: Any) -> None:
    """In the order of the values: each is its number in bits."""
    limits = device.limits.model_copy(update={"max_circuits": 20})
    daemon = DaemonDouble(device.model_copy(update={"limits": limits}), calibration)
    backend = PulsedProvider(client=daemon).get_backend("sim5")
    numbers = np.arange(2 * backend.max_circuits + 7) % 32
    values = np.pi * (numbers[:, None] >> np.arange(5) & 1)
    pubs = [(phases(5), values[:10]), (phases(5), values)]
    job = PulsedSampler(backend, QUICK).run(pubs, shots=1)
    assert [request.num_programs for request, _ in daemon.received] == [20, 20, 17]
    first, second = (one.data.c.array[:, 0, 0] for one in job.result())
    np.testing.assert_array_equal(first, numbers[:10])
    np.testing.assert_array_equal(second, numbers)


def test_a_shape_without_parameters_is_kept(backend: PulsedBackend) -> None:
    from qiskit.primitives.containers.bindings_array import BindingsArray

    circuit = phases(1).assign_parameters([np.pi])
    data = PulsedSampler(backend).run([(circuit, BindingsArray({}, shape=(2, 3)))], shots=4).result()[0].data
    assert data.c.shape == (2, 3)
    assert data.c.array.min() == 1


def test_what_is_twirled_is_turned_back(backend: PulsedBackend, daemon: Any) -> None:
    circuit = registers()
    values = {"a": [0.0, np.pi], "b": [np.pi, 0.0]}
    plain, twirled = (
        PulsedSampler(backend, options).run([(circuit, values)], shots=11).result() for options in (None, ALL)
    )
    for name in ("low", "long", "none"):
        np.testing.assert_array_equal(twirled[0].data[name].array, plain[0].data[name].array)
    assert twirled[0].metadata["num_randomizations"] == 5
    assert [(request.options.shots, request.num_programs) for request, _ in daemon.received[1:]] == [(3, 2), (2, 8)]
    assert twirled.metadata["twirling"]["enable_gates"]
    assert twirled.metadata["dynamical_decoupling"] == {"enable": True, "sequence_type": "XY4"}
    assert twirled.metadata["calibration_id"] == backend.calibration_id


def test_when_a_job_is_refused_those_before_it_are_taken_back(backend: PulsedBackend, daemon: Any) -> None:
    daemon.hold = True
    with pytest.raises(RackTimeError):
        PulsedSampler(backend).run([(phases(1), [0.0], 10), (phases(1), np.zeros(1000), 100_000)])
    ((request, _),) = daemon.received
    assert daemon.infos[request.job_id].state == "cancelled"


def test_a_job_that_waits(backend: PulsedBackend, daemon: Any) -> None:
    daemon.hold = True
    job = PulsedSampler(backend).run([(phases(1), [0.0], 10), (phases(1), [0.0], 20)])
    assert (len(job.jobs), job.status(), job.in_final_state()) == (2, JobStatus.QUEUED, False)
    with pytest.raises(PulsedJobTimeoutError):
        job.result(timeout=0.01)
    daemon.finish(job.jobs[0].job_id())
    assert not job.done()
    assert job.cancel()
    assert job.cancelled()
    assert job.in_final_state()


OBSERVABLES = [
    SparsePauliOp(["ZIIII", "IIIXY"], [0.5, -1.5]), "IIIZZ", "IIIZI", "01+-r", {"IIIYX": 2.0, "IIIII": 3.0}, "IIIII"
]  # fmt: skip


def read_labels(observable: Any) -> dict[str, float]:
    if isinstance(observable, SparsePauliOp):
        return {label: float(np.real(c)) for label, c in observable.to_list()}
    return {observable: 1.0} if isinstance(observable, str) else observable


@pytest.mark.parametrize("options", [{}, ALL, {"resilience": {"measure_mitigation": True}}], ids=str)
def test_means_are_those_of_the_state(device: Any, calibration: Any, options: dict[str, Any]) -> None:
    """Within five standard errors; the double makes no readout errors, so mitigation is told that there are none."""
    perfect = {
        name: msgspec.structs.replace(value, value=0.0) if ".readout.p" in name else value
        for name, value in calibration.values.items()
    }
    double = DaemonDouble(device, CalibrationSet(device.name, perfect, ""))
    backend = PulsedProvider(client=double).get_backend("sim5")
    circuit = entangled()
    values = np.random.default_rng(2).uniform(-np.pi, np.pi, size=(4, 2))
    observables = [[one] for one in OBSERVABLES]
    job = PulsedEstimator(backend, options).run([(circuit, observables, values)])
    result = job.result()
    bound = [circuit.assign_parameters(row) for row in values]
    ideal = np.array([[exact(one, read_labels(observable)) for one in bound] for observable in OBSERVABLES])
    data = result[0].data
    assert data.evs.shape == data.stds.shape == (6, 4)
    # A Pauli that is almost certain may show no spread at all.
    assert (np.abs(data.evs - ideal) < 5 * np.maximum(data.stds, 2e-3)).all(), (data.evs - ideal) / data.stds
    assert data.stds[1:3].max() <= 1.001 / 64
    assert data.stds[-1].max() == 0
    assert result[0].metadata["shots"] == 4096
    assert len(job.jobs) == (2 if options is ALL else 1)
    if options is ALL:
        assert data.ensemble_standard_error.shape == (6, 4)
        assert 0.3 < np.median(data.ensemble_standard_error[1:3] / data.stds[1:3]) < 3


@pytest.mark.parametrize("precision", [0.2, 0.16, 0.15, 0.5])
def test_few_shots_in_random_forms_are_all_played_and_show_their_spread(
    backend: PulsedBackend, daemon: Any, precision: float
) -> None:
    circuit = QuantumCircuit(5)
    circuit.sx(0)
    options = {"twirling": {"enable_measure": True, "seed": 3}}
    (result,) = PulsedEstimator(backend, options).run([(circuit, "IIIIZ")], precision=precision).result()
    shots = int(np.ceil(round(1 / precision**2, 6)))
    played = [(request.options.shots, request.num_programs) for request, _ in daemon.received]
    assert sum(count * programs for count, programs in played) == result.metadata["shots"] == shots
    assert min(count for count, _ in played) >= 2


def test_the_spread_of_few_shots_is_right_on_average(backend: PulsedBackend) -> None:
    """Also of forms with unlike shares: 25 shots are one of 3 and eleven of 2."""
    values = np.full((80, 2), [np.pi / 2, 0.0])
    for more in ({}, {"twirling": {"enable_measure": True, "seed": 3}}):
        estimator = PulsedEstimator(backend, {**QUICK, **more})
        data = estimator.run([(entangled(), "IIIIX", values)], precision=0.2).result()[0].data
        assert 0.5 / 25 < np.mean(data.stds**2) < 1.5 / 25
        if more:
            assert 0.5 / 25 < np.mean(data.ensemble_standard_error**2) < 1.5 / 25


def test_one_shot_shows_no_spread(backend: PulsedBackend) -> None:
    for options in ({}, {"twirling": {"enable_measure": True}}):
        observables = ["IIIIZ", "IIIII"]
        (result,) = PulsedEstimator(backend, options).run([(entangled(), observables, [0, 0])], precision=1.0).result()
        assert np.isnan(result.data.stds[0])
        assert result.data.stds[1] == 0


def test_shots_of_the_sampler_are_all_kept(backend: PulsedBackend, daemon: Any) -> None:
    options = {"twirling": {"enable_measure": True, "num_randomizations": 32}}
    (result,) = PulsedSampler(backend, options).run([(phases(1), [0.0])], shots=33).result()
    assert sum(request.options.shots * request.num_programs for request, _ in daemon.received) == 33
    assert result.data.c.num_shots == 33
    assert result.data.c.array.max() == 0


def test_observables_that_commute_share_their_shots(backend: PulsedBackend, daemon: Any) -> None:
    values = np.zeros((200, 2))
    observables = [["IIIZI"], ["IIIIZ"], ["IIIZZ"]]
    data = PulsedEstimator(backend, QUICK).run([(entangled(), observables, values)], precision=0.2).result()[0].data
    ((request, parts),) = daemon.received
    assert (request.num_programs, request.options.shots, len(qpy.load(io.BytesIO(parts[0])))) == (200, 25, 1)
    # The same shots: what one is, the product of the others is in each, and their spreads are of the same numbers.
    assert data.evs.shape == (3, 200)


def test_each_binding_may_have_its_own_observable(backend: PulsedBackend, daemon: Any) -> None:
    names = ["IIIZI", "IIIXX", "IIIZI", "IIIYI"]
    values = np.random.default_rng(1).uniform(-3, 3, size=(4, 2))
    estimator = PulsedEstimator(backend)
    data = estimator.run([(entangled(), names, values)], precision=0.01).result()[0].data
    exact = StatevectorEstimator().run([(entangled(), names, values)]).result()[0].data.evs
    np.testing.assert_allclose(data.evs, exact, atol=0.055)
    ((request, _),) = daemon.received
    assert [item.count for item in request.bindings] == [2, 1, 1]
    assert request.num_programs == 4


def test_what_needs_no_measurement_needs_no_job(backend: PulsedBackend, daemon: Any) -> None:
    job = PulsedEstimator(backend).run([(entangled(), {"IIIII": 2.0}, [0.0, 0.0])])
    assert (job.result()[0].data.evs, job.result()[0].data.stds) == (2.0, 0.0)
    assert job.done()
    assert not daemon.received
    empty = PulsedEstimator(backend).run([(entangled(), "IIIIZ", np.zeros((0, 2)))]).result()[0].data
    assert empty.evs.shape == (0,)


def test_pubs_and_bits_that_the_circuit_has_already(backend: PulsedBackend) -> None:
    circuit = QuantumCircuit(5, 9)
    circuit.x(2)
    circuit.measure(2, 8)
    result = PulsedEstimator(backend).run([(circuit, "IIZII"), (circuit, ["IZIII", "ZIZIZ"], None, 0.5)]).result()
    assert [one.data.evs.tolist() for one in result] == [-1.0, [1.0, -1.0]]
    assert [one.metadata["shots"] for one in result] == [4096, 4]
    assert result[1].metadata["target_precision"] == 0.5


@pytest.mark.parametrize(
    ("pubs", "error", "message"),
    [
        ([(entangled(), "ZZ", [0, 0])], PubError, "PUB 0: an observable on 2 qubits for a circuit on 5.*apply_layout"),
        ([(entangled(), "IIIIZ", [0, 0], 0)], PubError, "precision must be above 0; got 0; legal: .* at least 0.00316"),
        (
            [(entangled(), "IIIIZ", [0, 0], 1e-3)],
            PubError,
            "needs 1000000 shots; got 0.001; legal: .*max_shots is 100000",
        ),
        ([(entangled(), "IIIIZ", [0, 0], -1.0)], PubError, "PUB 0: precision must be non-negative"),
        ([(entangled(), "IIIIZ", [0.0])], PubError, "PUB 0: Length of .* inconsistent"),
        ([(entangled(), "IIIIZ", {"a": 0.0, "φ": 0.0})], PubError, "other parameters.*got a, φ; legal: θ, φ"),
        ([entangled()], PubError, "PUB 0: .*legal: .circuit, observables, parameter values, precision."),
        (entangled(), PubError, "needs a list of PUBs; got QuantumCircuit"),
        ([(entangled(), "IIIIA", [0, 0])], PubError, "PUB 0"),
        ([(entangled(), SparsePauliOp("IIIIZ", 1j), [0, 0])], PubError, "PUB 0"),
    ],
)
def test_what_is_no_pub_is_named(
    backend: PulsedBackend, daemon: Any, pubs: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        PulsedEstimator(backend).run(pubs)
    assert not daemon.received


def test_what_the_rack_lacks_is_named(backend: PulsedBackend, daemon: Any) -> None:
    circuit = QuantumCircuit(5, 1, name="plain")
    circuit.h(0)
    circuit.measure(0, 0)
    with pytest.raises(UnsupportedCircuitError, match="no such gate; transpile"):
        PulsedSampler(backend).run([circuit])
    with pytest.raises(UnsupportedCircuitError, match="no such gate; transpile"):
        PulsedEstimator(backend).run([(circuit, "IIIIZ")])
    with pytest.raises(UnsupportedCircuitError, match="no measurement"):
        PulsedSampler(backend).run([entangled().assign_parameters([0, 0])])
    with pytest.raises(OptionValueError, match="shots"):
        PulsedSampler(backend).run([phases(1).assign_parameters([0])], shots=10**6)
    with pytest.raises(PubError, match="PUB 0: shots must be positive"):
        PulsedSampler(backend).run([phases(1).assign_parameters([0])], shots=0)
    assert not daemon.received


@pytest.mark.parametrize("name", ["shape", "size", "keys", "self", "_data"])
def test_a_register_that_a_result_has_no_place_for_is_refused_before_it_runs(
    backend: PulsedBackend, daemon: Any, name: str
) -> None:
    circuit = QuantumCircuit(5)
    circuit.add_register(ClassicalRegister(1, name))
    circuit.measure(0, 0)
    with pytest.raises(PubError, match=f"PUB 0: a classical register of this name cannot be .*; got {name}"):
        PulsedSampler(backend).run([circuit])
    assert not daemon.received
