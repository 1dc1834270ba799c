import pickle
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit.library import real_amplitudes
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers import JobStatus, JobV1
from qiskit.providers.exceptions import JobError, JobTimeoutError
from qiskit.quantum_info import SparsePauliOp, Statevector

from pulsed.model.errors import (
    ConfigError,
    ErrorInfo,
    InstrumentUnreachableError,
    InvalidValueError,
    NotFoundError,
    PulsedError,
)
from pulsed.model.job import JobState
from pulsed.model.payload import PartWriter
from pulsed.model.result import JobResult, ProgramResult, pack_bits
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.properties import Properties
from pulsed.provider.result import build_result


@pytest.fixture
def ready(backend: PulsedBackend, bell: QuantumCircuit) -> QuantumCircuit:
    return transpile(bell, backend, seed_transpiler=1)


class TestLife:
    def test_bell(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready, shots=4096)
        assert isinstance(job, JobV1)
        result = job.result()
        counts = result.get_counts()
        assert set(counts) == {"00", "11"}
        assert sum(counts.values()) == 4096
        assert (result.backend_name, result.backend_version, result.job_id) == ("sim5", "0.1.0", job.job_id())
        assert result.success
        assert result.calibration_id == "set"
        assert result.date == job.time_per_step()["done"]
        assert job.status() is JobStatus.DONE
        assert job.done()
        assert job.in_final_state()

    def test_run_does_not_wait_for_the_job(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        job = backend.run(ready)
        assert job.status() is JobStatus.QUEUED
        assert job.queue_position() == 1
        assert job.queue_info().position == 1
        assert not job.done()

    def test_every_state_has_a_status(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        job = backend.run(ready)
        names = {"compiling": "VALIDATING", "running": "RUNNING", "done": "DONE", "failed": "ERROR"}
        names |= {"cancelled": "CANCELLED", "queued": "QUEUED", "ready": "QUEUED", "interrupted": "QUEUED"}
        for state in JobState:
            daemon.infos[job.job_id()] = type(daemon.infos[job.job_id()])(job.job_id(), "sim5", state, "me", 0.0)
            assert backend.provider.job(job.job_id()).status() is JobStatus[names[state]]

    def test_a_second_submit_is_an_error(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        job = backend.run(ready)
        with pytest.raises(JobError, match=f"job {job.job_id()}.*before"):
            job.submit()
        assert len(daemon.received) == 1

    def test_timeout(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        job = backend.run(ready)
        with pytest.raises(JobTimeoutError, match=job.job_id()) as caught:
            job.result(timeout=0.01)
        assert isinstance(caught.value, PulsedError)
        with pytest.raises(JobTimeoutError):
            job.wait_for_final_state(timeout=0.01)
        daemon.finish(job.job_id())
        assert job.result(timeout=1).success

    def test_failure_has_message_and_code(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.fail = ErrorInfo("instrument_unreachable", "does not answer", "instrument awg1")
        job = backend.run(ready)
        with pytest.raises(JobError, match="instrument awg1: does not answer") as caught:
            job.result()
        assert caught.value.code == "instrument_unreachable"
        assert isinstance(caught.value.__cause__, InstrumentUnreachableError)
        assert job.status() is JobStatus.ERROR
        assert "awg1" in (job.error_message() or "")
        assert "instrument_unreachable" in (job.error_message() or "")

    def test_cancel(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        job = backend.run(ready)
        assert job.cancel() is True
        assert job.cancel() is False
        assert job.cancelled()
        with pytest.raises(JobError, match=f"^job {job.job_id()}: was cancelled$"):
            job.result()

    def test_waiting_does_not_poll(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        job = backend.run(ready)
        seen: list[JobStatus] = []
        timer = threading.Timer(0.1, daemon.finish, [job.job_id()])
        timer.start()
        job.wait_for_final_state(timeout=10, callback=lambda _id, status, _job: seen.append(status))
        timer.join()
        assert seen[-1] is JobStatus.DONE
        assert daemon.asked == []
        assert daemon._watchers == []
        job.wait_for_final_state()

    def test_waiting_calls_back_at_least_every_wait(
        self, backend: PulsedBackend, ready: QuantumCircuit, daemon
    ) -> None:
        daemon.hold = True
        job = backend.run(ready)
        seen: list[JobStatus] = []
        with pytest.raises(JobTimeoutError):
            job.wait_for_final_state(0.2, 0.01, lambda _id, status, _job: seen.append(status))
        assert len(seen) > 3

    def test_an_ended_job_is_not_asked_about(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        job = backend.run(ready)
        for _ in range(5):
            job.status()
        assert daemon.asked == []


class TestFacts:
    def test_facts(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready, job_name="mine", job_tags=["a"])
        job.result()
        assert (job.name(), job.tags(), job.calibration_id) == ("mine", ["a"], backend.calibration_id)
        assert abs(job.creation_date() - datetime.now(UTC)) < timedelta(minutes=1)
        assert list(job.time_per_step()) == ["compiling", "ready", "running", "done"]
        assert job.circuits() == [ready]
        assert job.backend_options()["shots"] == 1024
        assert job.error_message() is None
        assert job.queue_info() is None
        metrics = job.metrics()
        assert metrics["bytes"]["sent"] > 100
        assert metrics["bytes"]["received"] == 1024
        assert metrics["usage"]["qpu_seconds"] >= 0
        assert isinstance(job.properties(), Properties)
        assert job.schedules()[0] == backend.schedule(ready)
        assert job.backend() is backend

    def test_what_is_not_there_says_why(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready)
        for call in (lambda: job.update_name("x"), lambda: job.update_tags([]), job.logs, job.stream):
            with pytest.raises(NotImplementedError, match=r"\w+ \w+"):
                call()

    def test_retrieved(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready, memory=True, shots=50)
        again = backend.provider.retrieve_job(job.job_id())
        assert again.result().get_counts() == job.result().get_counts()
        assert again.result().get_memory() == job.result().get_memory()
        assert again.result().results[0].header["metadata"] == ready.metadata
        assert again.backend_options()["shots"] == 50
        with pytest.raises(NotImplementedError, match="programs"):
            again.circuits()
        with pytest.raises(JobError, match="before"):
            again.submit()


class TestResult:
    @pytest.fixture
    def registers(self) -> QuantumCircuit:
        q, a, b = QuantumRegister(3, "q"), ClassicalRegister(1, "a"), ClassicalRegister(2, "b")
        circuit = QuantumCircuit(q, a, b, name="registers", metadata={"x": [1, 2]})
        circuit.x(0)
        circuit.x(2)
        circuit.measure([0, 1, 2], [0, 1, 2])
        return circuit

    def test_registers_keep_their_spaces(self, backend: PulsedBackend, registers: QuantumCircuit) -> None:
        result = backend.run(registers, shots=10, memory=True).result()
        assert result.get_counts() == {"10 1": 10}
        assert result.get_memory() == ["10 1"] * 10
        header = result.results[0].header
        assert header["creg_sizes"] == [["a", 1], ["b", 2]]
        assert header["qreg_sizes"] == [["q", 3]]
        assert header["memory_slots"] == header.memory_slots == 3
        assert header["metadata"] == header.metadata == {"x": [1, 2]}
        assert header.to_dict()["name"] == "registers"
        with pytest.raises(AttributeError, match="memory_slots"):
            _ = header.nothing

    def test_memory_keeps_the_order_of_shots(self, backend: PulsedBackend, registers: QuantumCircuit, daemon) -> None:
        rng = np.random.default_rng(3)
        daemon.bits = rng.integers(0, 2, (200, 3)).astype(bool)
        result = backend.run(registers, shots=200, memory=True).result()
        expected = [f"{b2:d}{b1:d} {b0:d}" for b0, b1, b2 in daemon.bits]
        assert result.get_memory() == expected
        assert result.get_counts() == {key: expected.count(key) for key in set(expected)}

    def test_no_memory_unless_asked(self, backend: PulsedBackend, registers: QuantumCircuit) -> None:
        from qiskit.exceptions import QiskitError

        with pytest.raises(QiskitError, match="No memory"):
            backend.run(registers).result().get_memory()

    @pytest.mark.parametrize(
        ("level", "average", "shape"),
        [(0, False, (20, 3, 16)), (0, True, (3, 16)), (1, False, (20, 3)), (1, True, (3,))],
    )
    def test_levels(
        self, backend: PulsedBackend, registers: QuantumCircuit, level: int, average: bool, shape: tuple[int, ...]
    ) -> None:
        kind = "avg" if average else "single"
        result = backend.run(registers, shots=20, meas_level=level, meas_return=kind).result()
        memory = result.get_memory()
        assert memory.shape == shape
        assert np.iscomplexobj(memory)
        slots = memory.reshape(*shape, 1)[..., 0] if level == 1 else memory[..., 0]
        expected = np.array([-1, 1, -1]) + 0.1j * np.arange(3)
        assert np.allclose(slots, np.broadcast_to(expected, slots.shape), atol=1e-6)
        assert result.results[0].meas_level == level
        assert result.results[0].meas_return == kind

    def test_iq_beside_counts(self, backend: PulsedBackend, registers: QuantumCircuit) -> None:
        result = backend.run(registers, shots=20, iq=True).result()
        assert result.get_counts() == {"10 1": 20}
        assert result.data(0)["iq"].shape == (20, 3)

    def test_several_circuits(self, backend: PulsedBackend, registers: QuantumCircuit, ready: QuantumCircuit) -> None:
        result = backend.run([registers, ready], shots=10).result()
        assert len(result.get_counts()) == 2
        assert result.get_counts("registers") == result.get_counts(registers) == {"10 1": 10}


class TestPrimitives:
    def test_sampler(self, backend: PulsedBackend) -> None:
        circuit = real_amplitudes(2, reps=1)
        circuit.measure_all()
        isa = transpile(circuit, backend, seed_transpiler=5)
        values = np.random.default_rng(4).uniform(-3, 3, (3, isa.num_parameters))
        shots = 4000
        data = BackendSamplerV2(backend=backend).run([(isa, values)], shots=shots).result()[0].data.meas
        assert data.shape == (3,)
        for i, row in enumerate(values):
            exact = Statevector(circuit.remove_final_measurements(inplace=False).assign_parameters(row)).probabilities()
            counts = data.get_int_counts(i)
            seen = np.array([counts.get(k, 0) / shots for k in range(4)])
            # Five standard deviations of a binomial, plus one shot.
            assert np.all(np.abs(seen - exact) < 5 * np.sqrt(exact * (1 - exact) / shots) + 1 / shots), (
                f"seed 4, row {i}"
            )

    def test_sampler_with_levels(self, backend: PulsedBackend, bell: QuantumCircuit) -> None:
        isa = transpile(bell, backend, seed_transpiler=5)
        sampler = BackendSamplerV2(backend=backend, options={"run_options": {"meas_level": 1}})
        data = sampler.run([isa], shots=12).result()[0].data.meas
        assert np.iscomplexobj(data)
        assert data.shape == (12, 2)

    def test_estimator(self, backend: PulsedBackend) -> None:
        circuit = real_amplitudes(2, reps=1)
        isa = transpile(circuit, backend, seed_transpiler=5)
        operator = SparsePauliOp(["ZZ", "XX", "IZ"], [1.0, 0.5, -0.3])
        values = np.random.default_rng(6).uniform(-3, 3, isa.num_parameters)
        found = (
            BackendEstimatorV2(backend=backend)
            .run([(isa, operator.apply_layout(isa.layout), values)], precision=0.02)
            .result()[0]
        )
        exact = Statevector(circuit.assign_parameters(values)).expectation_value(operator).real
        assert abs(found.data.evs - exact) < 5 * 0.02 * np.sqrt(1 + 0.25 + 0.09), "seed 6"


class TestProvider:
    def test_backends(self, backend: PulsedBackend) -> None:
        provider = backend.provider
        assert provider.backends() == [backend]
        assert provider.backends("sim5", min_num_qubits=5) == [backend]
        assert provider.backends(min_num_qubits=6) == []
        assert provider.backends(filters=lambda item: item.num_qubits > 5) == []
        assert provider.backends(operational=True, max_shots=100_000) == [backend]
        assert provider.get_backend() is provider.backend("sim5") is provider.backend.sim5 is backend

    def test_not_found(self, backend: PulsedBackend) -> None:
        from qiskit.providers.exceptions import QiskitBackendNotFoundError

        with pytest.raises(QiskitBackendNotFoundError, match="got sim6; legal: sim5"):
            backend.provider.get_backend("sim6")
        with pytest.raises(AttributeError, match="sim6"):
            _ = backend.provider.backend.sim6

    def test_jobs(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        ids = [backend.run(ready, job_tags=["even"] if k % 2 == 0 else []).job_id() for k in range(6)]
        daemon.hold = True
        waiting = backend.run(ready).job_id()
        provider = backend.provider

        def found(**filters: object) -> list[str]:
            return [job.job_id() for job in provider.jobs(**filters)]

        assert found(limit=3) == [waiting, ids[5], ids[4]]
        assert found(skip=5) == [ids[1], ids[0]]
        assert found(tags=["even"]) == [ids[4], ids[2], ids[0]]
        assert found(status=JobStatus.QUEUED) == found(status="queued") == [waiting]
        assert found(status=[JobStatus.DONE], limit=2) == [ids[5], ids[4]]
        assert found(backend_name="other") == []
        assert found(created_after=datetime.now(UTC)) == []
        assert provider.job(ids[0]).job_id() == provider.backend.retrieve_job(ids[0]).job_id() == ids[0]
        with pytest.raises(PulsedError, match="no such job"):
            provider.retrieve_job("nothing")

    def test_accounts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULSED_HOME", str(tmp_path))
        assert PulsedProvider.saved_accounts() == {}
        PulsedProvider.save_account("tcp://rack:5810", "me")
        PulsedProvider.save_account("tcp://other:5810", name="other")
        assert PulsedProvider.saved_accounts()["default"] == {"url": "tcp://rack:5810", "key": "me"}
        with pytest.raises(InvalidValueError, match="overwrite"):
            PulsedProvider.save_account("tcp://rack:1", "me")
        PulsedProvider.save_account("tcp://rack:1", "me", overwrite=True)
        assert PulsedProvider.saved_accounts()["default"]["url"] == "tcp://rack:1"
        assert PulsedProvider().active_account() is None
        assert PulsedProvider.delete_account("other")
        assert not PulsedProvider.delete_account("other")
        with pytest.raises(NotFoundError, match="legal: default"):
            _ = PulsedProvider(account="other").client

    def test_accounts_file_of_someone_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PULSED_HOME", str(tmp_path))
        (tmp_path / "accounts.json").write_text("[1]")
        with pytest.raises(ConfigError, match="accounts"):
            PulsedProvider.saved_accounts()

    def test_close(self, backend: PulsedBackend, daemon) -> None:
        provider = backend.provider
        with provider:
            assert provider.active()
        assert daemon.closed
        assert not provider.active()


@settings(max_examples=40, deadline=None)
@given(
    shots=st.integers(1, 60), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 2**32 - 1)
)
def test_counts_and_memory_say_what_the_bits_say(shots: int, sizes: list[int], seed: int) -> None:
    slots = sum(sizes)
    bits = np.random.default_rng(seed).integers(0, 2, (shots, slots)).astype(bool)
    writer = PartWriter()
    registers = tuple((f"c{k}", size) for k, size in enumerate(sizes))
    program = ProgramResult("p", shots, 2, "single", slots, registers, bits=writer.add(pack_bits(bits)))
    data = JobResult("job", "sim5", "0.1.0", "set", (program,))
    result = build_result(data, writer.parts, memory=True, num_qubits=5)
    ends = np.cumsum([0, *sizes])
    expected = [
        " ".join(
            "".join("01"[int(bit)] for bit in reversed(row[low:high])) for low, high in reversed(list(pairwise(ends)))
        )
        for row in bits
    ]
    assert result.get_memory() == expected
    assert result.get_counts() == {key: expected.count(key) for key in set(expected)}


@pytest.mark.parametrize("shape", [(7, 3), (3,)])
def test_iq_memory_is_an_array_that_is_true_like_a_list(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    values = (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)
    writer = PartWriter()
    kind = "single" if len(shape) == 2 else "avg"
    program = ProgramResult("p", 7, 1, kind, 3, (("c", 3),), iq=writer.add(values))
    result = build_result(
        JobResult("job", "sim5", "0.1.0", "set", (program,)), writer.parts, memory=False, num_qubits=5
    )
    memory = result.data(0)["memory"]
    assert isinstance(memory, np.ndarray)
    assert memory.shape == (*shape, 2)
    assert memory
    assert not memory[:0]
    np.testing.assert_array_equal(result.get_memory(), values)
    for derived in (memory + 1, memory > 0, np.mean(memory, axis=0)):
        assert type(derived) is np.ndarray
    with pytest.raises(ValueError, match="truth value"):
        bool(memory > 0)
    again = pickle.loads(pickle.dumps(memory))
    np.testing.assert_array_equal(again, memory)
    assert again
