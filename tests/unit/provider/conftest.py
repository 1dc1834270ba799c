"""A daemon's double: it runs circuits without noise, at once or when the test lets it."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.qpy import common as qpy_common
from qiskit.qpy.binary_io import circuits as qpy_circuits
from qiskit.quantum_info import Statevector

from pulsed.compiler.compile import Compiler
from pulsed.compiler.program import Chunk
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.compile_worker import CompileWorker
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.chunk_results import ChunkResult
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.errors import (
    ErrorInfo,
    JobCancelledError,
    JobTimeoutError,
    NotFoundError,
    ProtocolError,
    PulsedError,
    SessionEndedError,
    from_info,
)
from pulsed.model.job import FINAL_STATES, JobInfo, JobLogEntry, JobRequest, JobState
from pulsed.model.payload import PartWriter
from pulsed.model.rack_address import RackAddress
from pulsed.model.result import JobResult, ProgramResult, pack_bits
from pulsed.model.session import SessionEnd, SessionInfo, SessionMode, SessionState
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.provider.serialization import deserialize
from pulsed.wire.messages import AnyEvent, CalibrationChanged, Status

CONFIG = Path(__file__).parents[3] / "configs" / "sim5.toml"
FREQUENCIES = (4.97e9, 4.88e9, 5.02e9, 4.905e9, 4.995e9)


def calibration_values(device: DeviceDescription) -> dict[str, Value]:
    values: dict[str, Value] = {}

    def put(name: str, value: float | tuple[float, ...], unit: str = "", stderr: float | None = None) -> None:
        values[name] = Value(value, unit=unit, stderr=stderr, time="2026-11-20T10:00:00+00:00", routine="test")

    for q, qubit in enumerate(device.qubits):
        put(f"Q{q}.f01", FREQUENCIES[q] + 1e3 * q, "Hz", 12.0)
        put(f"Q{q}.anharmonicity", -330e6, "Hz")
        put(f"Q{q}.t1", 80e-6 + q * 1e-6, "s", 2e-6)
        put(f"Q{q}.t2", 60e-6 + q * 1e-6, "s")
        for gate, amplitude in (("x", 0.4), ("sx", 0.2)):
            for name, value in (
                ("amplitude", amplitude),
                ("angle", 0.0),
                ("beta", 0.5),
                ("duration", 40),
                ("sigma", 10),
            ):
                put(f"Q{q}.{gate}.{name}", float(value))
            put(f"Q{q}.{gate}.error", 2e-4 + 1e-5 * q, stderr=1e-5)
        put(f"Q{q}.readout.frequency", qubit.design_readout_frequency, "Hz")
        put(f"Q{q}.readout.amplitude", 0.1)
        put(f"Q{q}.readout.duration", 1200.0, "dt")
        put(f"Q{q}.readout.error", 0.01 + 0.001 * q)
        put(f"Q{q}.readout.p01", 0.015)
        put(f"Q{q}.readout.p10", 0.005)
        put(f"Q{q}.readout.discriminator", (1.0, 0.0, -1.0, 0.0, 0.01))
    for pair in device.couplings:
        for name, value in (
            ("amplitude", 0.3), ("angle", 0.1), ("duration", 240), ("sigma", 15), ("width", 180),
            ("cancel.amplitude", 0.01), ("cancel.angle", 0.2), ("rz_control", 0.3), ("rz_target", -0.1),
            ("error", 5e-3),
        ):  # fmt: skip
            put(f"Q{pair.control}-Q{pair.target}.ecr.{name}", float(value))
    return values


def simulate(circuit: QuantumCircuit, shots: int, rng: np.random.Generator) -> np.ndarray:
    """Return bits (shots, clbits) of a circuit that measures at its end."""
    clean = circuit.copy_empty_like()
    measured: list[tuple[int, int]] = []
    for item in circuit.data:
        if item.name == "measure":
            measured.append((circuit.find_bit(item.qubits[0]).index, circuit.find_bit(item.clbits[0]).index))
        elif item.name not in ("barrier", "delay"):
            clean.append(item)
    probabilities = np.abs(Statevector(clean).data) ** 2
    outcomes = rng.choice(len(probabilities), size=shots, p=probabilities / probabilities.sum())
    bits = np.zeros((shots, circuit.num_clbits), dtype=bool)
    for qubit, clbit in measured:
        bits[:, clbit] = (outcomes >> qubit) & 1
    return bits


class DaemonDouble:
    """Has the calls of :class:`pulsed.client.Client`."""

    url = "tcp://127.0.0.1:5810"

    def racks(self) -> tuple[RackAddress, ...]:
        return ()

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self._device = device
        self.sets = {calibration.calibration_id: calibration}
        self.in_force = calibration
        self.log = [(0.0, calibration)]
        self._subscribers: list[tuple[Callable[[AnyEvent], None], tuple[type[AnyEvent], ...]]] = []
        self.greeting = SimpleNamespace(qpy=(13, qpy.QPY_VERSION), backends=(device.name,), max_payload=2**28)
        self.received: list[tuple[JobRequest, list[bytes]]] = []
        self.infos: dict[str, JobInfo] = {}
        self.asked_for: list[str | None] = []
        """Sessions that lists of jobs were asked for with."""
        self.results: dict[str, tuple[JobResult, list]] = {}
        self.hold = False
        self.keeps_submissions = True
        self.futures: dict[str, list[Future[str]]] = {}
        self.chunks: list[tuple[ChunkResult, list]] = []
        self.sessions: dict[str, SessionInfo] = {}
        self.fail: ErrorInfo | None = None
        self.bits: np.ndarray | None = None
        self.asked: list[str] = []
        self.closed = False
        self._ended: dict[str, threading.Event] = {}
        self._watchers: list[tuple[str, Callable[[JobInfo], None]]] = []
        self._rng = np.random.default_rng(20261121)

    def close(self) -> None:
        self.closed = True

    def device(self, backend: str | None = None) -> DeviceDescription:
        return self._device

    def calibration(self, calibration_id: str | None = None, *, time: float | None = None) -> CalibrationSet:
        if time is not None:
            past = [one for since, one in self.log if since <= time]
            if not past:
                raise NotFoundError("no calibration set was active yet", subject="time", value=time)
            return past[-1]
        return self.in_force if calibration_id is None else self.sets[calibration_id]

    def put_in_force(self, calibration: CalibrationSet, *, event: bool = True) -> None:
        """Another set becomes active, and those who follow are told."""
        self.in_force = self.sets[calibration.calibration_id] = calibration
        self.log.append((time.time(), calibration))
        if event:
            self.tell(CalibrationChanged(1, calibration.calibration_id))

    def tell(self, event: AnyEvent) -> None:
        for callback, kinds in self._subscribers:
            if not kinds or isinstance(event, kinds):
                callback(event)

    def add_subscriber(self, callback: Callable[[AnyEvent], None], *kinds: type[AnyEvent]) -> Callable[[], None]:
        subscriber = callback, kinds
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def subscribe(self, callback: Callable[[AnyEvent], None], *kinds: type[AnyEvent]) -> Callable[[], None]:
        return self.add_subscriber(callback, *kinds)

    def follow(self) -> None:
        """Events come from here."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DaemonDouble:
        return self

    def status(self) -> Status:
        pending = sum(info.state not in FINAL_STATES for info in self.infos.values())
        return Status(
            self._device.name, "0.1.0", operational=True, pending_jobs=pending,
            calibration_id=self.in_force.calibration_id,
        )  # fmt: skip

    def submit(self, request: JobRequest, parts: Sequence[bytes]) -> JobInfo:
        if request.session_id and self.sessions[request.session_id].state is not SessionState.OPEN:
            raise SessionEndedError("takes no more jobs", subject=f"session {request.session_id}", value="ended")
        self.received.append((request, list(parts)))
        self.infos[request.job_id] = JobInfo(
            request.job_id, self._device.name, JobState.QUEUED, "me", time.time(), request.num_programs,
            request.options, request.name, request.tags, request.priority, request.session_id,
            queue_position=1, due=request.due,
        )  # fmt: skip
        self._ended[request.job_id] = threading.Event()
        if not self.hold:
            self.finish(request.job_id)
        return self.infos[request.job_id]

    def step(self, job_id: str, state: JobState, **fields: object) -> None:
        old = self.infos[job_id]
        times = {**old.times, str(state): time.time()}
        self.infos[job_id] = msgspec.structs.replace(old, state=state, times=times, queue_position=None, **fields)
        for watched, callback in list(self._watchers):
            if watched == job_id:
                callback(self.infos[job_id])
        if state in FINAL_STATES:
            self._ended[job_id].set()
            for future in self.futures.pop(job_id, []):
                if future.set_running_or_notify_cancel():
                    future.set_result(job_id)

    def finish(self, job_id: str) -> None:
        for state in (JobState.COMPILING, JobState.READY, JobState.RUNNING):
            self.step(job_id, state)
        if self.fail is not None:
            self.step(job_id, JobState.FAILED, error=self.fail)
            return
        request, parts = next(item for item in self.received if item[0].job_id == job_id)
        self.results[job_id] = self._run(request, parts)
        self.step(job_id, JobState.DONE, calibration_id=request.options.calibration_id or "")

    def _run(self, request: JobRequest, parts: Sequence[bytes]) -> tuple[JobResult, list]:
        writer = PartWriter()
        programs = []
        for program, table in deserialize(request, parts)[0]:
            if not isinstance(program, QuantumCircuit):
                bits = np.zeros((request.options.shots, 5), dtype=bool)
                programs.append(self._program("schedule", bits, (), {}, request, writer))
                continue
            sizes = tuple((register.name, register.size) for register in program.cregs)
            bound = [program]
            if table is not None:
                bound = [program.assign_parameters(dict(zip(table[0], row, strict=True))) for row in table[1]]
            for circuit in bound:
                bits = simulate(circuit, request.options.shots, self._rng) if self.bits is None else self.bits
                programs.append(self._program(circuit.name, bits, sizes, circuit.metadata, request, writer))
        result = JobResult(request.job_id, self._device.name, "0.1.0", "set", tuple(programs), {"done": time.time()})
        return result, writer.parts

    def _program(
        self, name: str, bits: np.ndarray, sizes: tuple, metadata: dict | None, request: JobRequest, writer: PartWriter
    ) -> ProgramResult:
        options = request.options
        shots, slots = bits.shape
        average = options.meas_return == "avg"
        iq = (1.0 - 2.0 * bits + 0.1j * np.arange(slots)).astype(np.complex64)
        records = np.repeat(iq[:, :, None], 16, axis=2)
        fields = {}
        if options.meas_level == 2:
            fields["bits"] = writer.add(pack_bits(bits))
        if options.meas_level == 1 or options.iq:
            fields["iq"] = writer.add(iq.mean(axis=0) if average and options.meas_level == 1 else iq)
        if options.meas_level == 0:
            fields["records"] = writer.add(records.mean(axis=0) if average else records)
        return ProgramResult(
            name, shots, options.meas_level, options.meas_return, slots, sizes,
            json.dumps(metadata or {}).encode(), **fields,
        )  # fmt: skip

    def job(self, job_id: str) -> JobInfo:
        self.asked.append(job_id)
        if job_id not in self.infos:
            raise NotFoundError("no such job", subject=f"job {job_id}")
        return self.infos[job_id]

    def all_jobs(
        self, *, tags: Sequence[str] = (), created_after: float | None = None, created_before: float | None = None,
        session_id: str | None = None,
    ) -> Iterator[JobInfo]:  # fmt: skip
        self.asked_for.append(session_id)
        for info in reversed(list(self.infos.values())):
            if (
                set(tags) <= set(info.tags)
                and (created_after is None or info.created > created_after)
                and (created_before is None or info.created < created_before)
                and session_id in (None, info.session_id)
            ):
                yield info

    def update_job(self, job_id: str, *, name: str | None = None, tags: Sequence[str] | None = None) -> JobInfo:
        news = {key: value for key, value in {"name": name, "tags": tags}.items() if value is not None}
        self.infos[job_id] = msgspec.structs.replace(self.infos[job_id], **news)
        return self.infos[job_id]

    def submission(self, job_id: str) -> tuple[JobRequest, list[bytes]]:
        if self.keeps_submissions:
            return next(item for item in self.received if item[0].job_id == job_id)
        raise ProtocolError("no such message", value="job.submission")

    def job_log(self, job_id: str) -> list[JobLogEntry]:
        info = self.infos[job_id]
        steps = [JobLogEntry(time, state, "") for state, time in info.times.items()]
        return [JobLogEntry(0.0, "accepted", f"from {info.owner}"), *steps]

    def open_session(
        self, session_id: str, mode: SessionMode, max_time: float | None, *, start: float | None = None
    ) -> SessionInfo:
        info = SessionInfo(session_id, self._device.name, mode, "me", time.time(), max_time or 8.0, 5.0, start=start)
        self.sessions[session_id] = info
        return self.sessions[session_id]

    def session(self, session_id: str) -> SessionInfo:
        found = [info for known, info in self.sessions.items() if known.startswith(session_id)]
        if len(found) != 1:
            raise NotFoundError("no such session", value=session_id)
        return found[0]

    def end_session(self, session_id: str, how: SessionEnd) -> None:
        """End a session as the daemon does by itself."""
        ended = {"state": SessionState.ENDED, "ended": time.time(), "ended_as": how}
        self.sessions[session_id] = msgspec.structs.replace(self.sessions[session_id], **ended)

    def close_session(self, session_id: str, *, cancel: bool = False) -> SessionInfo:
        if self.sessions[session_id].state is not SessionState.ENDED:
            self.end_session(session_id, SessionEnd.CANCELLED if cancel else SessionEnd.CLOSED)
        for info in list(self.infos.values()) if cancel else ():
            if info.session_id == session_id:
                self.cancel(info.job_id)
        return self.sessions[session_id]

    def cancel(self, job_id: str) -> bool:
        if self.infos[job_id].state in FINAL_STATES:
            return False
        self.step(job_id, JobState.CANCELLED)
        return True

    def finished(self, job_id: str, timeout: float | None = None) -> tuple[JobInfo, JobResult, list]:
        if not self._ended[job_id].wait(timeout):
            raise self.late(job_id, timeout)
        info = self.infos[job_id]
        if info.state is JobState.CANCELLED:
            raise JobCancelledError("the job was cancelled", subject=f"job {job_id}")
        if info.error is not None:
            error: PulsedError = from_info(info.error)
            raise error
        return info, *self.results[job_id]

    def finishing(self, job_id: str) -> Future[str]:
        future: Future[str] = Future()
        if self._ended[job_id].is_set():
            future.set_result(job_id)
        else:
            self.futures.setdefault(job_id, []).append(future)
        return future

    def read_finished(self, answer: str) -> tuple[JobInfo, JobResult, list]:
        return self.finished(answer, 0)

    def chunk(self, job_id: str, index: int, timeout: float | None = None) -> tuple[JobInfo, ChunkResult | None, list]:
        """Return what the test has put there, as long as there is something."""
        if index < len(self.chunks):
            return self.infos[job_id], *self.chunks[index]
        if not self._ended[job_id].wait(timeout):
            raise self.late(job_id, timeout)
        return self.infos[job_id], None, []

    def late(self, job_id: str, timeout: float | None) -> JobTimeoutError:
        return JobTimeoutError("has not ended in this time", subject=f"job {job_id}", value=f"{timeout:g} s")

    def watch(self, job_id: str, callback: Callable[[JobInfo], None]) -> Callable[[], None]:
        item = (job_id, callback)
        self._watchers.append(item)
        threading.Thread(target=callback, args=(self.infos[job_id],)).start()

        def end() -> None:
            self._watchers.remove(item)

        return end


_CLOSED = ((qpy_circuits, "_read_calibrations"), (qpy_common, "QPY_RUST_READ_MIN_VERSION"))


class Worker:
    """The daemon's compile worker in this process: it reads its requests from a list and its answers are kept."""

    def __init__(self, device: Any, calibration: Any) -> None:
        self._inbox: list[Any] = []
        self._outbox: list[Any] = []
        self._worker = CompileWorker(self)  # type: ignore[arg-type]
        set_up = messages.SetUp("pulsed.compiler.compile:Compiler")
        up, _ = self._serve(set_up, [device.model_dump_json().encode(), calibration.to_json()])
        assert isinstance(up, messages.Ready), up
        self._id = calibration.calibration_id

    def receive(self) -> Any:
        return self._inbox.pop(0) if self._inbox else None

    def send(self, parts: Any) -> None:
        self._outbox.append(parts)

    def _serve(self, request: Any, parts: Sequence[Any]) -> Any:
        self._inbox.append([messages.encode(request), *parts])
        self._worker.run()
        answer, *parts = self._outbox.pop()
        return messages.replies.decode(answer), parts

    def compile(self, request: Any, parts: Sequence[Any]) -> list[Chunk]:
        request = messages.Compile(
            request.job_id, request.kinds, request.num_programs, request.options, request.gates, self._id,
            bindings=request.bindings,
        )  # fmt: skip
        answer, found = self._serve(request, parts)
        assert isinstance(answer, messages.Compiled), answer
        pieces = iter(found)
        return [Chunk.decode(list(itertools.islice(pieces, item.parts))) for item in answer.chunks]


@pytest.fixture(scope="session")
def worker(device: DeviceDescription, calibration: CalibrationSet) -> Iterator[Worker]:
    """The worker closes what QPY would do in silence in its whole process, which is this one: it is opened again."""
    before = [(one, name, getattr(one, name)) for one, name in _CLOSED if hasattr(one, name)]
    yield Worker(device, calibration)
    for one, name, value in before:
        setattr(one, name, value)


@pytest.fixture(scope="session")
def device() -> DeviceDescription:
    return load_device(CONFIG)


@pytest.fixture(scope="session")
def calibration(device: DeviceDescription) -> CalibrationSet:
    return CalibrationSet(device.name, calibration_values(device), "2026-11-20T12:00:00+00:00")


@pytest.fixture
def daemon(device: DeviceDescription, calibration: CalibrationSet) -> DaemonDouble:
    return DaemonDouble(device, calibration)


@pytest.fixture
def backend(daemon: DaemonDouble) -> PulsedBackend:
    return PulsedProvider(client=daemon).get_backend("sim5")


@pytest.fixture(scope="session")
def fixed(device: DeviceDescription, calibration: CalibrationSet) -> tuple[PulsedBackend, DaemonDouble, Compiler]:
    """A backend, its daemon's double and a compiler of the client's own, for properties."""
    daemon = DaemonDouble(device, calibration)
    return PulsedProvider(client=daemon).get_backend("sim5"), daemon, Compiler(device, calibration)


@pytest.fixture
def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="bell", metadata={"answer": 42})
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit
