"""A daemon's double: it runs circuits without noise, at once or when the test lets it."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit import QuantumCircuit, qpy
from qiskit.quantum_info import Statevector

from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.errors import (
    ErrorInfo,
    JobCancelledError,
    JobTimeoutError,
    NotFoundError,
    PulsedError,
    from_info,
)
from pulsed.model.job import FINAL_STATES, JobInfo, JobRequest, JobState
from pulsed.model.payload import PartWriter
from pulsed.model.result import JobResult, ProgramResult, pack_bits
from pulsed.provider import PulsedBackend, PulsedProvider
from pulsed.wire.messages import AnyNotice, CalibrationChanged, Status

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
    probabilities = np.abs(Statevector(clean.remove_final_measurements(inplace=False)).data) ** 2
    outcomes = rng.choice(len(probabilities), size=shots, p=probabilities / probabilities.sum())
    bits = np.zeros((shots, circuit.num_clbits), dtype=bool)
    for qubit, clbit in measured:
        bits[:, clbit] = (outcomes >> qubit) & 1
    return bits


class DaemonDouble:
    """Has the calls of :class:`pulsed.client.Client`."""

    def __init__(self, device: DeviceDescription, calibration: CalibrationSet) -> None:
        self._device = device
        self.sets = {calibration.calibration_id: calibration}
        self.in_force = calibration
        self.log = [(0.0, calibration)]
        self._subscribers: list[tuple[Callable[[AnyNotice], None], tuple[type[AnyNotice], ...]]] = []
        self.greeting = SimpleNamespace(qpy=(13, qpy.QPY_VERSION), backends=(device.name,), max_payload=2**28)
        self.received: list[tuple[JobRequest, list[bytes]]] = []
        self.infos: dict[str, JobInfo] = {}
        self.results: dict[str, tuple[JobResult, list]] = {}
        self.hold = False
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
                raise NotFoundError("no calibration set was in force yet", subject="time", value=time)
            return past[-1]
        return self.in_force if calibration_id is None else self.sets[calibration_id]

    def put_in_force(self, calibration: CalibrationSet, *, notice: bool = True) -> None:
        """Another set comes into force, and those who follow are told."""
        self.in_force = self.sets[calibration.calibration_id] = calibration
        self.log.append((time.time(), calibration))
        if notice:
            self.tell(CalibrationChanged(1, calibration.calibration_id))

    def tell(self, notice: AnyNotice) -> None:
        for callback, kinds in self._subscribers:
            if not kinds or isinstance(notice, kinds):
                callback(notice)

    def subscribe(self, callback: Callable[[AnyNotice], None], *kinds: type[AnyNotice]) -> Callable[[], None]:
        subscriber = callback, kinds
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def status(self) -> Status:
        pending = sum(info.state not in FINAL_STATES for info in self.infos.values())
        return Status(
            self._device.name, "0.1.0", operational=True, pending_jobs=pending,
            calibration_id=self.in_force.calibration_id,
        )  # fmt: skip

    def submit(self, request: JobRequest, parts: Sequence[bytes]) -> JobInfo:
        self.received.append((request, list(parts)))
        self.infos[request.job_id] = JobInfo(
            request.job_id, self._device.name, JobState.QUEUED, "me", time.time(), request.num_programs,
            request.options, request.name, request.tags, request.priority, queue_position=1,
        )  # fmt: skip
        self._ended[request.job_id] = threading.Event()
        if not self.hold:
            self.finish(request.job_id)
        return self.infos[request.job_id]

    def step(self, job_id: str, state: JobState, **fields: object) -> None:
        import msgspec

        old = self.infos[job_id]
        times = {**old.times, str(state): time.time()}
        self.infos[job_id] = msgspec.structs.replace(old, state=state, times=times, queue_position=None, **fields)
        for watched, callback in list(self._watchers):
            if watched == job_id:
                callback(self.infos[job_id])
        if state in FINAL_STATES:
            self._ended[job_id].set()

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
        for kind, part in zip(request.kinds, parts, strict=True):
            if kind == "qpy":
                for circuit in qpy.load(io.BytesIO(part)):
                    sizes = tuple((register.name, register.size) for register in circuit.cregs)
                    bits = simulate(circuit, request.options.shots, self._rng) if self.bits is None else self.bits
                    programs.append(self._program(circuit.name, bits, sizes, circuit.metadata, request, writer))
            elif kind == "schedule":
                bits = np.zeros((request.options.shots, 5), dtype=bool)
                programs.append(self._program("schedule", bits, (), {}, request, writer))
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

    def jobs(
        self, *, tags: Sequence[str] = (), limit: int = 100, skip: int = 0, created_after: float | None = None,
        created_before: float | None = None,
    ) -> list[JobInfo]:  # fmt: skip
        found = [
            info
            for info in reversed(self.infos.values())
            if set(tags) <= set(info.tags)
            and (created_after is None or info.created > created_after)
            and (created_before is None or info.created < created_before)
        ]
        return found[skip : skip + limit]

    def cancel(self, job_id: str) -> bool:
        if self.infos[job_id].state in FINAL_STATES:
            return False
        self.step(job_id, JobState.CANCELLED)
        return True

    def finished(self, job_id: str, timeout: float | None = None) -> tuple[JobInfo, JobResult, list]:
        if not self._ended[job_id].wait(timeout):
            raise JobTimeoutError(f"no result within {timeout} s", subject=f"job {job_id}")
        info = self.infos[job_id]
        if info.state is JobState.CANCELLED:
            raise JobCancelledError("was cancelled", subject=f"job {job_id}")
        if info.error is not None:
            error: PulsedError = from_info(info.error)
            raise error
        return info, *self.results[job_id]

    def watch(self, job_id: str, callback: Callable[[JobInfo], None]) -> Callable[[], None]:
        item = (job_id, callback)
        self._watchers.append(item)
        threading.Thread(target=callback, args=(self.infos[job_id],)).start()

        def end() -> None:
            self._watchers.remove(item)

        return end


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


@pytest.fixture
def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, name="bell", metadata={"answer": 42})
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit
