"""The parts of the daemon that are values in, values out: pipe, admission."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qpy

import pulsed.configs
from pulsed.client.known_clients import KnownClients
from pulsed.daemon.front.instrument_requests import InstrumentHandlers
from pulsed.daemon.front.interlock_requests import InterlockHandlers
from pulsed.daemon.front.note_requests import NoteHandlers
from pulsed.daemon.front.request_server import RequestServer
from pulsed.daemon.jobs.admission import check_submission
from pulsed.daemon.observe.requests import ObservationHandlers
from pulsed.daemon.workers import messages
from pulsed.daemon.workers.compile_worker import CompileWorker, _prepare_qpy, _read_circuits
from pulsed.daemon.workers.pipe import MessageReader, pack
from pulsed.daemon.workers.supervisor import CHILD_STEPS, ChildState
from pulsed.model.calibration import CalibrationSet
from pulsed.model.device import load_device
from pulsed.model.errors import CircuitError, IncompatibleError, InvalidValueError, ProtocolError
from pulsed.model.job import JobRequest, RunOptions
from pulsed.model.qpy import check_qpy
from pulsed.pulse import DriveChannel, Gaussian, Play, Schedule
from pulsed.pulse.serialize import dumps
from pulsed.wire.roles import RIGHTS

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")


@given(
    st.lists(st.lists(st.binary(max_size=50), max_size=5), max_size=6),
    st.lists(st.integers(1, 40)),
    st.sampled_from([1, 20, 60, 1 << 16]),
)
def test_messages_survive_any_way_a_stream_is_cut(messages: list[list[bytes]], cuts: list[int], large: int) -> None:
    """Whatever is large enough to travel, and to be kept, without a copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pulsed.daemon.workers.pipe._LARGE", large)
        stream = b"".join(pack(parts) for parts in messages)
        reader, received, at = MessageReader(), [], 0
        for cut in [*cuts, len(stream) + 1]:
            received += reader.feed(stream[at : at + cut])
            at += cut
    assert [[bytes(part) for part in message] for message in received] == messages


def test_message_of_absurd_length_is_refused() -> None:
    with pytest.raises(ProtocolError):
        MessageReader().feed(b"\xff" * 16)


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


def test_a_qiskit_whose_reader_of_pulse_gates_cannot_be_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("qiskit.qpy.binary_io.circuits._read_calibrations")
    with pytest.raises(IncompatibleError, match=r"qiskit: this Qiskit reads pulse gates .*; got \d"):
        _prepare_qpy()


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
    request = messages.Compile("j7", ("schedule",), 1, RunOptions(), (), "set")
    error = circuit_error(lambda: CompileWorker(None)._decode(request, [bytes(part)]))  # type: ignore[arg-type]
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
        request = messages.Compile("j", (), 0, RunOptions(), (), calibration.calibration_id, sent)
        error = circuit_error(lambda request=request: worker._compile(request, [calibration.to_json()]))  # type: ignore[misc]
        assert error is not None
        assert (error.message, error.value) == ("no good", "Q0.x")
    unknown = messages.Compile("j", (), 0, RunOptions(), (), "another", False)
    error = circuit_error(lambda: worker._compile(unknown, []))
    assert error is not None
    assert error.value == "another"


def test_dispatch_table_serves_every_request(tmp_path: Path) -> None:
    server = RequestServer(DEVICE, None, KnownClients(tmp_path), lambda: None, lambda _: None)  # type: ignore[arg-type]
    beside = {
        **ObservationHandlers(None).handlers,  # type: ignore[arg-type]
        **InstrumentHandlers(None, None).handlers,  # type: ignore[arg-type]
        **InterlockHandlers(None).handlers,  # type: ignore[arg-type]
        **NoteHandlers(DEVICE, None, None).handlers,  # type: ignore[arg-type]
    }
    assert not set(server.handlers) & set(beside)
    assert set(server.handlers) | set(beside) == set(RIGHTS)


def test_children_have_a_whole_table() -> None:
    assert set(CHILD_STEPS) == set(ChildState)
    assert all(steps for steps in CHILD_STEPS.values()), "a child can always go on"
