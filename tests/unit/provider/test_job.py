import asyncio
import io
import pickle
import threading
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes
from qiskit.exceptions import QiskitError
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers import JobStatus, JobV1
from qiskit.providers.exceptions import JobError, JobTimeoutError
from qiskit.quantum_info import SparsePauliOp, Statevector

from pulsed.compiler.compile import Compiler
from pulsed.model.chunk_results import ChunkResult
from pulsed.model.errors import (
    ConfigError,
    ErrorInfo,
    InstrumentUnreachableError,
    InvalidValueError,
    NotFoundError,
    PulsedError,
)
from pulsed.model.job import JobState
from pulsed.model.payload import PartWriter, read_array
from pulsed.model.result import JobResult, ProgramResult, count_bits, pack_bits
from pulsed.provider import PulsedBackend, PulsedJob, PulsedProvider, as_completed
from pulsed.provider.properties import Properties
from pulsed.provider.result import build_result
from pulsed.pulse import Constant, Play, Schedule


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

    def test_ctrl_c_says_that_the_job_goes_on(self, backend, ready, daemon, monkeypatch) -> None:
        def interrupted(*args: Any, **options: Any) -> None:
            raise KeyboardInterrupt

        daemon.hold = True
        job = backend.run(ready)
        goes_on = rf"^job {job.job_id()} goes on: .*provider\.job\('{job.job_id()}'\)\.result\(\).*job\.cancel\(\)"
        monkeypatch.setattr(daemon, "finished", interrupted)
        monkeypatch.setattr(daemon, "chunk", interrupted)
        for wait in (job.result, job.arrays, lambda: next(job.stream())):
            with pytest.raises(KeyboardInterrupt, match=goes_on):
                wait()
        with pytest.raises(KeyboardInterrupt, match=goes_on):
            job.wait_for_final_state(wait=0.01, callback=interrupted)
        monkeypatch.setattr("pulsed.provider.submitted_job.futures_completed", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"^1 of 1 jobs go on"):
            list(as_completed([job]))
        assert job.status() is JobStatus.QUEUED

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
        with pytest.raises(JobError, match=f"^job {job.job_id()}: the job was cancelled$"):
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

    def test_await_does_not_hold_up_the_loop(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        jobs = [backend.run(ready, shots=10) for _ in range(3)]
        order: list[str] = []

        async def one(job: PulsedJob) -> None:
            counts = (await job).get_counts()
            assert sum(counts.values()) == 10
            order.append(job.job_id())

        async def work() -> None:
            tasks = [asyncio.create_task(one(job)) for job in jobs]
            for job in reversed(jobs):
                await asyncio.sleep(0.01)
                assert job.job_id() not in order
                daemon.finish(job.job_id())
                while job.job_id() not in order:
                    await asyncio.sleep(0.001)
            await asyncio.gather(*tasks)
            assert (await jobs[0]) is jobs[0].result(), "once more, at once"

        threads = threading.active_count()
        asyncio.run(work())
        assert order == [job.job_id() for job in reversed(jobs)]
        assert threading.active_count() <= threads + 1

    def test_await_raises_what_result_does_and_may_be_given_up(
        self, backend: PulsedBackend, ready: QuantumCircuit, daemon
    ) -> None:
        daemon.hold = True
        failing, left = backend.run(ready), backend.run(ready)

        async def work() -> None:
            waiting = asyncio.ensure_future(left)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            daemon.fail = ErrorInfo("instrument", "is broken", "instrument awg1")
            daemon.finish(failing.job_id())
            with pytest.raises(JobError, match="is broken"):
                await failing

        asyncio.run(work())
        assert left.status() is JobStatus.QUEUED
        daemon.fail = None
        daemon.finish(left.job_id())
        assert left.result().success

    def test_jobs_come_as_they_end(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        daemon.hold = True
        first, second, third, fourth = (backend.run(ready, shots=5) for _ in range(4))
        daemon.finish(third.job_id())
        fourth.cancel()
        ended = as_completed([first, second, third, fourth], timeout=20)
        assert {next(ended).job_id(), next(ended).job_id()} == {third.job_id(), fourth.job_id()}
        assert third.status() is JobStatus.DONE
        assert third.metrics()["bytes"]["received"] == 5, "it has come with the end"
        daemon.finish(second.job_id())
        assert next(ended) is second
        assert sum(second.result().get_counts().values()) == 5
        ended.close()
        with pytest.raises(JobTimeoutError, match=r"jobs 1 of 2: have not ended in this time"):
            list(as_completed([first, second], timeout=0.01))
        assert list(as_completed([])) == []

    def test_a_stream_grows_to_the_result(self, backend: PulsedBackend, daemon) -> None:
        daemon.hold = True
        flip = QuantumCircuit(1, 1, name="flip")
        flip.measure(0, 0)
        job = backend.run([flip, flip.copy("again")], shots=30)

        def chunk(program: int, first_shot: int, bits: list[int]) -> tuple[ChunkResult, list]:
            writer = PartWriter()
            ref = writer.add(pack_bits(np.array(bits, dtype=bool)[:, None]))
            done = ProgramResult("flip", len(bits), 2, "single", 1, (("c", 1),), bits=ref)
            return ChunkResult(program, first_shot, (done,), {}), writer.parts

        daemon.chunks = [chunk(0, 0, [0] * 10), chunk(0, 10, [1] * 20), chunk(1, 0, [1, 0, 1])]
        found = job.stream(timeout=20)
        partial = [next(found) for _ in range(3)]
        assert [one.get_counts() for one in partial] == [
            {"0": 10}, {"0": 10, "1": 20}, [{"0": 10, "1": 20}, {"0": 1, "1": 2}],
        ]  # fmt: skip
        assert not any(one.success for one in partial)
        assert {one.status for one in partial} == {"PARTIAL"}
        assert partial[0].results[0].header["qreg_sizes"] == [["q", 1]]
        with pytest.raises(JobTimeoutError):
            list(job.stream(timeout=0.01))
        daemon.finish(job.job_id())
        assert list(found) == [job.result()]
        daemon.hold, daemon.fail = True, ErrorInfo("instrument", "is broken")
        failing = backend.run(flip)
        daemon.chunks = []
        daemon.finish(failing.job_id())
        with pytest.raises(JobError, match="is broken"):
            list(failing.stream())

    @pytest.mark.parametrize("where", ["terminal", "notebook", "pipe"])
    def test_progress_is_shown_where_it_can_be(
        self, backend: PulsedBackend, ready: QuantumCircuit, daemon, where: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        daemon.hold = True
        job = backend.run(ready)
        shown: list[str] = []
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: where == "terminal", raising=False)
        monkeypatch.setattr("sys.stderr", stream)
        handle = SimpleNamespace(update=lambda bar: shown.append(bar._repr_html_()))
        display = (lambda bar, display_id: (shown.append(repr(bar)), handle)[1]) if where == "notebook" else None
        monkeypatch.setattr("pulsed.provider.progress._notebook", lambda: display)
        timer = threading.Timer(0.1, daemon.finish, [job.job_id()])
        timer.start()
        assert job.progress(20) is JobStatus.DONE
        timer.join()
        assert (job.job_id() in stream.getvalue()) == (where == "terminal")
        if where == "notebook":
            assert shown[0] == f"job {job.job_id()}"
            assert shown[-1] == f'<progress value="1" max="1"></progress> job {job.job_id()} done'
        else:
            assert shown == []

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
        assert (job.version, job.info().job_id) == (1, job.job_id())

    def test_retrieved(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready, memory=True, shots=50)
        again = backend.provider.retrieve_job(job.job_id())
        assert again.result().get_counts() == job.result().get_counts()
        assert again.result().get_memory() == job.result().get_memory()
        assert again.result().results[0].header["metadata"] == ready.metadata
        assert again.backend_options()["shots"] == 50
        with pytest.raises(JobError, match="before"):
            again.submit()

    def test_a_job_of_another_process_has_its_programs_back(
        self, backend: PulsedBackend, ready: QuantumCircuit, daemon
    ) -> None:
        daemon.hold = True
        theta = Parameter("θ")
        sweep = QuantumCircuit(QuantumRegister(2, "data"), ClassicalRegister(1, "c"), name="sweep")
        sweep.rz(theta, 0)
        sweep.measure(0, 0)
        flip = Schedule(name="flip")
        flip += Play(Constant(160, 0.1), backend.drive_channel(1))
        flip += backend.instruction_schedule_map.get("measure", range(5)) << flip.duration
        ran = backend.run([ready, sweep, flip], parameter_binds=[{}, {theta: [0.1, 0.2]}, {}], shots=5)
        again = backend.provider.retrieve_job(ran.job_id())
        first, second, third = again.circuits()
        assert (first, third) == (ready, flip)
        assert second.name == "sweep"
        assert [parameter.name for parameter in second.parameters] == ["θ"]
        assert again.schedules() == ran.schedules()
        assert len(again.schedules()) == 4
        previews = again.previews()
        assert [preview.duration for preview in previews] == pytest.approx(
            [schedule.duration * backend.dt for schedule in again.schedules()]
        )
        assert previews[3].pulses("d1")[0].amplitude == pytest.approx(0.1)

        compiled = []
        preview = Compiler.preview
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Compiler, "preview", lambda self, *what: compiled.append(1) or preview(self, *what))
            for first, last in ((0, 1), (2, 3), (1, 4), (3, 9), (4, 5)):
                some = again.previews(range(first, last))
                assert [one.pulses("d1") for one in some] == [one.pulses("d1") for one in previews[first:last]]
                assert again.schedules(range(first, last)) == again.schedules()[first:last]
        assert len(compiled) == 1 + 1 + 3 + 1 + 0, "what is not asked for is not compiled"

    def test_headers_of_a_job_of_another_process(self, backend: PulsedBackend, ready: QuantumCircuit, daemon) -> None:
        ran = backend.run(ready, shots=5)
        mine = ran.result().results[0].header
        assert "qreg_sizes" in mine
        assert backend.provider.retrieve_job(ran.job_id()).result().results[0].header == mine
        daemon.keeps_submissions = False  # as older ones do
        again = backend.provider.retrieve_job(ran.job_id())
        assert "qreg_sizes" not in again.result().results[0].header
        with pytest.raises(PulsedError, match=r"job\.submission"):
            again.circuits()

    def test_a_new_name_and_new_tags_are_seen_by_others(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready, job_name="old", job_tags=["old"])
        assert job.update_name("new") == job.name() == "new"
        assert job.tags() == ["old"]
        assert job.update_tags(["a", "b"]) == job.tags() == ["a", "b"]
        again = backend.provider.retrieve_job(job.job_id())
        assert (again.name(), again.tags()) == ("new", ["a", "b"])
        assert job.update_name(None) == ""
        assert job.update_tags([]) == []
        with pytest.raises(ValueError, match="job_name"):
            job.update_name("x" * 2000)
        with pytest.raises(ValueError, match="job_tags"):
            job.update_tags("abc")
        assert job.name() == ""

    def test_logs_are_lines_with_times(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        lines = backend.run(ready).logs().splitlines()
        assert lines[0] == "1970-01-01T00:00:00.000+00:00 accepted: from me"
        assert [line.split(maxsplit=1)[1] for line in lines[1:]] == ["compiling", "ready", "running", "done"]


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
        unit = result.results[0].header["iq_unit"] if level == 1 else 1.0
        assert np.allclose(slots * unit, np.broadcast_to(expected, slots.shape), atol=1e-6)
        assert result.results[0].meas_level == level
        assert result.results[0].meas_return == kind

    def test_arrays_are_what_the_daemon_sent(self, backend: PulsedBackend, ready: QuantumCircuit) -> None:
        job = backend.run(ready, shots=50)
        (program,), parts = job.arrays()
        assert program.bits is not None
        found = count_bits(read_array(program.bits, parts))
        assert {hex(value): number for value, number in found.items()} == job.result().data(0)["counts"]

    def test_iq_beside_counts(self, backend: PulsedBackend, registers: QuantumCircuit) -> None:
        result = backend.run(registers, shots=20, iq=True).result()
        assert result.get_counts() == {"10 1": 20}
        assert result.data(0)["iq"].shape == (20, 3)
        np.testing.assert_allclose(
            result.data(0)["iq"][0] * result.results[0].header["iq_unit"], [-1, 1 + 0.1j, -1 + 0.2j]
        )

    def test_three_states_are_beside_the_bits(self) -> None:
        writer, classes = PartWriter(), np.array([[0, 2], [1, 0], [2, 2]], dtype=np.uint8)
        program = ProgramResult(
            "p", 3, 2, "single", 2, (("c", 2),), bits=writer.add(pack_bits(classes > 0)), levels=writer.add(classes)
        )
        result = build_result(
            JobResult("j", "sim5", "0.1.0", "set", (program,)), writer.parts, memory=True, num_qubits=5
        )
        assert np.array_equal(result.data(0)["levels"], classes)
        assert result.get_memory(0) == ["10", "01", "11"]

    @pytest.mark.parametrize("ask", ["get_counts", "get_memory", "data"])
    def test_a_dry_run_says_that_nothing_was_measured(self, backend: PulsedBackend, daemon, ask: str) -> None:
        job = JobResult("j1", "sim5", "0.1.0", "set", (), {})
        result = build_result(job, [], memory=False, num_qubits=5)
        assert (result.success, result.results, result.calibration_id) == (True, [], "set")
        for arguments in ((), (0,), ("bell",)):
            with pytest.raises(QiskitError, match=r"job j1: a dry run plays nothing.*schedules\(\)"):
                getattr(result, ask)(*arguments)

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
        assert found(limit=None) == found(limit=100) == [waiting, *reversed(ids)]
        assert found(limit=np.int64(2), skip=1) == [ids[5], ids[4]]
        assert found(limit=0) == found(status="INITIALIZING") == []
        assert found(status=JobState.READY) == []
        assert found(status="DONE", limit=1) == [ids[5]]
        today, tomorrow = date.today(), date.today() + timedelta(days=1)
        assert found(created_after=today, created_before=tomorrow, limit=1) == [waiting]
        assert found(job_tags=["even"], start_datetime=today, end_datetime=tomorrow) == found(tags=["even"])
        assert found(start_datetime=tomorrow) == found(end_datetime=today) == []
        with pytest.raises(TypeError, match="job_tag'; legal: job_tags, start_datetime, end_datetime"):
            provider.jobs(job_tag=["even"])
        assert found(created_after=tomorrow.isoformat()) == found(created_before="2026-01-01T00:00Z") == []
        assert provider.job(ids[0]).job_id() == provider.backend.retrieve_job(ids[0]).job_id() == ids[0]
        with pytest.raises(PulsedError, match="no such job"):
            provider.retrieve_job("nothing")

    @pytest.mark.parametrize(
        ("filters", "said"),
        [
            ({"limit": -1}, "limit: invalid number of jobs; got -1; legal: 0 on, or None for all"),
            ({"limit": "all"}, "limit: invalid number of jobs; got all"),
            ({"skip": None}, "skip: invalid number of jobs; got None; legal: 0 on"),
            ({"limit": True}, "limit: invalid number of jobs; got True"),
            ({"status": "nonsense"}, "status: no such status of a job; got nonsense; legal: INITIALIZING, QUEUED"),
            ({"status": ["DONE", 3]}, "status: no such status of a job; got 3"),
            ({"tags": "abc"}, r"tags: invalid list of tags; got 'abc'; legal: strings: \["),
            ({"tags": [1]}, r"tags: invalid list of tags; got \[1\]"),
            ({"created_after": "soon"}, "created_after: not a time; got soon; legal: 2026-11-21"),
            ({"created_before": 5}, "created_before: not a time; got 5"),
            ({"job_tags": "abc"}, "tags: invalid list of tags; got 'abc'"),
            ({"tags": ["a"], "job_tags": ["b"]}, "job_tags: the same filter by two names.*legal: job_tags or tags"),
        ],
    )
    def test_a_filter_that_is_none_is_refused_before_anything_is_asked(
        self, backend: PulsedBackend, filters: dict, said: str
    ) -> None:
        with pytest.raises(InvalidValueError, match=said):
            backend.provider.jobs(**filters)

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
        provider.close()  # again does nothing


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
    np.testing.assert_allclose(result.get_memory() * result.results[0].header["iq_unit"], values, rtol=1e-12)
    for derived in (memory + 1, memory > 0, np.mean(memory, axis=0)):
        assert type(derived) is np.ndarray
    with pytest.raises(ValueError, match="truth value"):
        bool(memory > 0)
    again = pickle.loads(pickle.dumps(memory))
    np.testing.assert_array_equal(again, memory)
    assert again
