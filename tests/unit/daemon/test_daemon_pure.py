"""The parts of the daemon that are values in, values out: queue, merge, pipe, admission."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from qiskit import QuantumCircuit, qpy

import pulsed.configs
from pulsed.daemon import orders
from pulsed.daemon.admission import check_submission
from pulsed.daemon.compile_worker import CompileWorker, _prepare_qpy, _read_circuits
from pulsed.daemon.front import Front
from pulsed.daemon.merge import merge_chunks
from pulsed.daemon.orders import StoredChunk, decode_chunk, encode_chunk
from pulsed.daemon.pipe import Reader, pack
from pulsed.daemon.scheduler import LOOKAHEAD, Phase, Scheduler
from pulsed.daemon.supervisor import CHILD_STEPS, ChildState
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import load_device
from pulsed.model.errors import CircuitError, IncompatibleError, InvalidValueError, JobFailedError, ProtocolError
from pulsed.model.job import JobRequest, RunOptions
from pulsed.model.payload import Part, PartWriter, join, read_array, split
from pulsed.model.qpy import check_qpy
from pulsed.model.result import ProgramResult
from pulsed.pulse import DriveChannel, Gaussian, Play, Schedule
from pulsed.pulse.serialize import dumps
from pulsed.wire.roles import RIGHTS

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


class SchedulerMachine(RuleBasedStateMachine):
    """The queue against a list that is sorted each time."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Scheduler()
        self.model: dict[str, tuple[int, int, Phase]] = {}
        self.count = 0

    def ordered(self) -> list[str]:
        return sorted(self.model, key=lambda job: (-self.model[job][0], self.model[job][1]))

    @rule(priority=st.integers(-3, 3))
    def add(self, priority: int) -> None:
        self.count += 1
        job_id = f"job {self.count}"
        self.queue.add(job_id, priority)
        self.model[job_id] = (priority, self.count, Phase.WAITING)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), phase=st.sampled_from(Phase))
    def move(self, data: st.DataObject, phase: Phase) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model)))
        self.queue.move(job_id, phase)
        self.model[job_id] = (*self.model[job_id][:2], phase)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model)))
        self.queue.remove(job_id)
        self.queue.remove(job_id)
        del self.model[job_id]

    @invariant()
    def agrees(self) -> None:
        order = self.ordered()
        assert len(self.queue) == len(order)
        assert [self.queue.position(job) for job in order] == list(range(len(order)))
        phases = [self.model[job][2] for job in order]
        first = {
            phase: next((job for job, p in zip(order, phases, strict=True) if p is phase), None) for phase in Phase
        }
        busy = Phase.COMPILING in phases or phases.count(Phase.READY) >= LOOKAHEAD
        assert self.queue.to_compile() == (None if busy else first[Phase.WAITING])
        assert self.queue.to_play() == (None if Phase.PLAYING in phases else first[Phase.READY])


TestScheduler = SchedulerMachine.TestCase


@given(st.lists(st.lists(st.binary(max_size=50), max_size=5), max_size=6), st.lists(st.integers(1, 40)))
def test_messages_survive_any_way_a_stream_is_cut(messages: list[list[bytes]], cuts: list[int]) -> None:
    stream = b"".join(pack(parts) for parts in messages)
    reader, received, at = Reader(), [], 0
    for cut in [*cuts, len(stream) + 1]:
        received += reader.feed(stream[at : at + cut])
        at += cut
    assert [[bytes(part) for part in message] for message in received] == messages


def test_message_of_absurd_length_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Reader().feed(b"\xff" * 16)


def job_arrays(shots: int, programs: int, seed: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        {
            "bits": random.integers(0, 256, (shots, 1), dtype=np.uint8),
            "iq": (random.normal(size=(shots, 3)) + 1j * random.normal(size=(shots, 3))).astype(np.complex64),
        }
        for _ in range(programs)
    ]


def chunk_of(
    arrays: Sequence[dict[str, np.ndarray]], first: int, last: int, shot: int, shots: int, meas_return: str
) -> tuple[StoredChunk, list[Part]]:
    writer, results = PartWriter(), []
    for index in range(first, last):
        piece = {name: array[shot : shot + shots] for name, array in arrays[index].items()}
        if meas_return == "avg":
            refs = {"iq": writer.add(piece["iq"].mean(axis=0, dtype=np.complex128).astype(np.complex64))}
        else:
            refs = {name: writer.add(array) for name, array in piece.items()}
        results.append(ProgramResult(f"p{index}", shots, 2, meas_return, 3, **refs, overrange=index == 1 and shot == 0))
    head = StoredChunk(first, shot, tuple(results), {})
    # As it comes back from the store.
    blob = join([encode_chunk(head), *writer.parts])
    decoded, *parts = split(blob)
    return decode_chunk(decoded), parts


@given(st.data(), st.integers(1, 5), st.integers(1, 20), st.sampled_from(["single", "avg"]), st.integers(0, 2**32))
def test_merge_undoes_any_split(data: st.DataObject, programs: int, shots: int, meas_return: str, seed: int) -> None:
    arrays = job_arrays(shots, programs, seed)
    chunks = []
    first = 0
    while first < programs:
        last = data.draw(st.integers(first + 1, programs))
        cuts = {0, shots}
        if last == first + 1:
            cuts |= set(data.draw(st.lists(st.integers(0, shots), max_size=4)))
        edges = sorted(cuts)
        for shot, end in pairwise(edges):
            chunks.append(chunk_of(arrays, first, last, shot, end - shot, meas_return))
        first = last
    chunks = data.draw(st.permutations(chunks))
    results, parts = merge_chunks(chunks, programs, shots)
    assert [result.name for result in results] == [f"p{i}" for i in range(programs)]
    for result, whole in zip(results, arrays, strict=True):
        assert result.shots == shots
        assert result.overrange == (result.name == "p1")
        assert result.iq is not None
        if meas_return == "single":
            assert result.bits is not None
            np.testing.assert_array_equal(read_array(result.bits, parts), whole["bits"])
            np.testing.assert_array_equal(read_array(result.iq, parts), whole["iq"])
        else:
            # complex64 is rounded once per piece and once in the end
            np.testing.assert_allclose(read_array(result.iq, parts), whole["iq"].mean(axis=0), atol=2e-6)


def test_missing_shots_are_told() -> None:
    arrays = job_arrays(10, 2, 0)
    with pytest.raises(JobFailedError, match="program 1"):
        merge_chunks([chunk_of(arrays, 0, 1, 0, 10, "single"), chunk_of(arrays, 1, 2, 0, 7, "single")], 2, 10)
    with pytest.raises(JobFailedError, match="program 1"):
        merge_chunks([chunk_of(arrays, 0, 1, 0, 10, "single")], 2, 10)


def circuit_bytes(version: int = 13) -> bytes:
    circuit = QuantumCircuit(1, 1, name="flip")  # else numbered, of a length that changes
    circuit.x(0)
    circuit.measure(0, 0)
    file = io.BytesIO()
    qpy.dump([circuit], file, version=version)
    return file.getvalue()


def request(**changes: object) -> JobRequest:
    fields: dict[str, object] = {"job_id": "j", "kinds": ("qpy",), "num_programs": 1}
    return JobRequest(**{**fields, **changes})  # type: ignore[arg-type]


@given(st.integers(0, 255))
@example(12)
@example(13)
@example(17)
@example(18)
def test_only_readable_qpy_versions_pass(version: int) -> None:
    part = bytearray(circuit_bytes())
    part[6] = version
    if 13 <= version <= 17:
        check_qpy(bytes(part), 17, "part 0")
    else:
        with pytest.raises(IncompatibleError, match="legal: QPY 13 to 17"):
            check_qpy(bytes(part), 17, "part 0")


def test_qpy_of_schedules_and_stubs_are_refused() -> None:
    part = bytearray(circuit_bytes())
    part[19:20] = b"s"
    with pytest.raises(IncompatibleError, match="schedule"):
        check_qpy(bytes(part), 17, "part 0")
    for stub in (b"", b"QISKIT", b"QISKIT\x0d", bytes(30)):
        with pytest.raises(IncompatibleError, match="not a QPY file"):
            check_qpy(stub, 17, "part 0")


@pytest.mark.parametrize(
    ("changes", "parts", "names"),
    [
        ({"job_id": ""}, 1, "job_id"),
        ({"job_id": "x" * 200}, 1, "job_id"),
        ({"job_id": "a\nb"}, 1, "job_id"),
        ({"kinds": ("pickle",)}, 1, "got pickle; legal: qpy, schedule, gate"),
        ({}, 2, "one part per kind"),
        ({"num_programs": 0}, 1, "legal: 1 to 1000"),
        ({"num_programs": 1001}, 1, "legal: 1 to 1000"),
        ({"gates": (("x", (0,), ()),)}, 1, "pulse gate"),
        ({"tags": ("t",) * 65}, 1, "too long"),
        ({"name": "n" * 2000}, 1, "too long"),
        ({"options": RunOptions(shots=0)}, 1, "shots"),
        ({"options": RunOptions(rep_delay=float("nan"))}, 1, "rep_delay"),
        ({"options": RunOptions(meas_lo_freq=(7e9,) * 4 + (float("inf"),))}, 1, "meas_lo_freq"),
    ],
)
def test_submission_is_refused_by_name(changes: dict[str, object], parts: int, names: str) -> None:
    with pytest.raises(InvalidValueError, match=names):
        check_submission(request(**changes), [circuit_bytes()] * parts, DEVICE, 17)


def test_good_submission_passes() -> None:
    options = RunOptions(shots=100_000, rep_delay=1e-6, qubit_lo_freq=(5e9,) * 5, meas_level=0, meas_return="avg")
    check_submission(request(options=options, num_programs=1000), [circuit_bytes()], DEVICE, 17)


PULSE_GATE_QPY = zlib.decompress(
    base64.b64decode(
        "eNoL9Az29gzhZWRhY4AAxtRCBu40Bg4QE4pBgAmKYWyG5Myi5NLMEl1DU3OoMEN1bSFECyNjIUwsGSaSzIAOWGE2MmAHEe6JJakQ"
        "g9iRlGJT7puaWFxaBFGcDFUJggzFFXA1bHDXMybl5CdnG1TX5sDkCmByxVB7mhhEgUEwkcGYwYExODkxJzEpJzW4MjcpPyczOaA0"
        "pzjVPbG0uDgzMa9izmfdsxc51p3xPXX+YoD/Gd2A61cCOU7oXy/w8bz44Yy2p6+/7iUDlq6fTFMP/til0Hili4mX5+CCI5PO/Nlz"
        "RIbXWZZVeYWnweFu48vFwo7HDpdKZCpFshlxx1r7ZHtlCka4xQp77lY0Ys8Q4VCQ5JvWJmnzItZPOvyhKfdq4cQm1VcVdzsCZsyY"
        "Pm/yKr5JbAxFXBviKuZw62me8tH76Kmrx3fS48xluCMuAB0Gdaf+OZ/zviHXr7AwhN/kWwf0A0xxgY/WNVTPXAksOH3SX+digPkV"
        "44DrgRoaXr7ndM6dOb/Z1PQaUD/bO8FoaOAxM7BmMnAUZ6bnJkJFNBiYgSkpMbfAfudMEJjFwAri56XnpMJCPhNKc0DpBVXwlAOl"
        "hVLQ1TBUYSSA/0gAJgYAtnqwyQ=="
    )
)
"""One circuit with ``add_calibration("x", [0], ...)``, written by Qiskit 1.4.6 as QPY 13."""


def test_pulse_gates_inside_of_qpy_are_an_error() -> None:
    newest = _prepare_qpy()
    (circuit,) = _read_circuits(circuit_bytes(), newest, "part 0")
    assert circuit.num_qubits == 1
    with pytest.raises(CircuitError, match="calibrations"):
        _read_circuits(PULSE_GATE_QPY, newest, "part 0")


@given(st.data())
def test_damaged_qpy_is_a_typed_error(data: st.DataObject) -> None:
    part = bytearray(circuit_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Not the numbers of qubits and bits: Qiskit builds as many as it reads, until the daemon ends the worker.
        at = data.draw(st.integers(20, 24) | st.integers(33, len(part) - 1))
        part[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(20, len(part)))
    error = circuit_error(lambda: _read_circuits(bytes(part[:cut]), 18, "part 0"))
    if error is not None:
        assert error.subject == "part 0"
        assert len(error.message) < 100
        assert error.message.isprintable()


def circuit_error(call: Callable[[], object]) -> CircuitError | None:
    """Return the error that a call ends with, if any; one of another type is a bug."""
    try:
        call()
    except CircuitError as error:
        return error
    return None


@given(st.data())
def test_damaged_schedule_is_an_error_that_names_job_and_part(data: st.DataObject) -> None:
    part = bytearray(dumps(Schedule(Play(Gaussian(160, 0.2, 40), DriveChannel(0)), name="pulse")))
    if data.draw(st.booleans()):
        part = bytearray(data.draw(st.binary(max_size=100)))
    for _ in range(data.draw(st.integers(1, 4)) if part else 0):
        part[data.draw(st.integers(0, len(part) - 1))] ^= data.draw(st.integers(1, 255))
    order = orders.Compile("j7", ("schedule",), 1, RunOptions(), (), "set")
    error = circuit_error(lambda: CompileWorker(None)._decode(order, [bytes(part)]))  # type: ignore[arg-type]
    assert error is None or error.subject == "job j7: part 0"


def test_every_job_with_a_set_that_fits_no_compiler_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon sends a set once; what was wrong with it is said to those after the first, too."""
    calibration = CalibrationSet("sim5", {}, "")

    def factory(_device: object, _calibration: object) -> object:
        raise CircuitError("no good", value="Q0.x")

    worker = CompileWorker(None)  # type: ignore[arg-type]
    monkeypatch.setattr(worker, "_factory", factory, raising=False)
    monkeypatch.setattr(worker, "_device", DEVICE, raising=False)
    for sent in (True, False, False):
        order = orders.Compile("j", (), 0, RunOptions(), (), calibration.calibration_id, sent)
        error = circuit_error(lambda order=order: worker._compile(order, [calibration.to_json()]))  # type: ignore[misc]
        assert error is not None
        assert (error.message, error.value) == ("no good", "Q0.x")
    unknown = orders.Compile("j", (), 0, RunOptions(), (), "another", False)
    error = circuit_error(lambda: worker._compile(unknown, []))
    assert error is not None
    assert error.value == "another"


def test_dispatch_table_serves_every_request() -> None:
    front = Front(DEVICE, None, None, lambda: None, lambda _: None)  # type: ignore[arg-type]
    assert set(front.handlers) == set(RIGHTS)


def test_children_have_a_whole_table() -> None:
    assert set(CHILD_STEPS) == set(ChildState)
    assert all(steps for steps in CHILD_STEPS.values()), "a child can always go on"
