"""A backend: its model, its channels, its schedules."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2

from pulsed.model.errors import NotFoundError, PulsedError
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import (
    ChannelNotFoundError,
    OptionValueError,
)
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

from .programs import measured


class TestModel:
    def test_identity(self, backend: PulsedBackend) -> None:
        assert isinstance(backend, BackendV2)
        assert (backend.name, backend.version, backend.backend_version) == ("sim5", 2, "0.1.0")
        assert backend.online_date == datetime(2026, 11, 21, tzinfo=UTC)
        assert backend.sample_name == "sim5-chip-A"
        assert backend.display_name == "sim5"
        assert backend.provider.get_backend("sim5") is backend
        assert backend.description == backend.device.description != ""
        assert backend.processor_type == {"family": "fixed-frequency transmons", "revision": "A"}
        assert backend.tags == ["simulated", "cross-resonance"]
        assert "sim5" in repr(backend)

    def test_model(self, backend: PulsedBackend) -> None:
        assert backend.num_qubits == 5
        assert backend.dt == backend.dtm == 1e-9
        assert backend.meas_map == [[0, 1, 2, 3, 4]]
        assert backend.max_circuits == 1000
        assert set(backend.coupling_map.get_edges()) == {(0, 1), (2, 1), (2, 3), (4, 3)}
        assert set(backend.basis_gates) == {"id", "rz", "sx", "x", "ecr"}
        assert len(backend.qubit_properties([0, 3])) == 2
        assert backend.instruction_durations.get("x", 0, "s") == pytest.approx(40e-9, rel=1e-12)

    def test_properties_of_qubits(self, backend: PulsedBackend) -> None:
        known = backend.target.qubit_properties
        assert backend.qubit_properties(3).t1 == backend.qubit_properties(np.int64(3)).t1 == known[3].t1
        assert [one.frequency for one in backend.qubit_properties(range(5))] == [one.frequency for one in known]

    @pytest.mark.parametrize("qubit", [9, -1, True, 1.0, "1", None, [0, 5]])
    def test_no_properties_of_no_qubit(self, backend: PulsedBackend, qubit: object) -> None:
        with pytest.raises(IndexError, match=r"backend sim5: no such qubit; got .*; legal: 0 to 4") as caught:
            backend.qubit_properties(qubit)
        assert isinstance(caught.value, PulsedError)

    def test_channels(self, backend: PulsedBackend) -> None:
        assert backend.drive_channel(2) == DriveChannel(2)
        assert backend.measure_channel(2) == MeasureChannel(2)
        assert backend.acquire_channel(4) == AcquireChannel(4)
        assert [backend.control_channel(pair) for pair in ((0, 1), (2, 1), (2, 3), (4, 3))] == [
            [ControlChannel(k)] for k in range(4)
        ]

    @pytest.mark.parametrize("pair", [(1, 0), (0, 4), (0, 0), (0,)])
    def test_no_control_channel(self, backend: PulsedBackend, pair: tuple[int, ...]) -> None:
        with pytest.raises(ChannelNotFoundError, match=r"\(2, 1\)") as caught:
            backend.control_channel(pair)
        assert isinstance(caught.value, QiskitError)
        assert isinstance(caught.value, IndexError)
        assert str(pair) in str(caught.value)

    @pytest.mark.parametrize("call", ["drive_channel", "measure_channel", "acquire_channel"])
    @pytest.mark.parametrize("qubit", [-1, 5, "0"])
    def test_no_such_qubit(self, backend: PulsedBackend, call: str, qubit: object) -> None:
        with pytest.raises(IndexError, match="0 to 4"):
            getattr(backend, call)(qubit)

    def test_schedules(self, backend: PulsedBackend) -> None:
        schedules = backend.instruction_schedule_map
        assert schedules.get("x", 1) == backend.target["x"][1,].calibration
        assert backend.defaults().instruction_schedule_map is schedules

    def test_frequencies(self, backend: PulsedBackend) -> None:
        defaults = backend.defaults()
        assert defaults.qubit_freq_est == [p.frequency for p in backend.target.qubit_properties]
        assert defaults.meas_freq_est[1] == 6.98e9
        assert defaults.to_dict()["meas_freq_est"][1] == pytest.approx(6.98, rel=1e-12)

    def test_status(self, backend: PulsedBackend) -> None:
        status = backend.status()
        assert (status.operational, status.pending_jobs, status.status_msg) == (True, 0, "active")
        assert status.to_dict()["backend_name"] == "sim5"

    def test_refresh_takes_the_new_set(self, backend: PulsedBackend, daemon, calibration) -> None:
        old, value = backend.target, calibration.values["Q0.x.error"]
        daemon.in_force = calibration.with_values({"Q0.x.error": type(value)(0.25)}, "2026-11-21T00:00:00+00:00")
        assert backend.target is old
        backend.refresh()
        assert backend.calibration_id == daemon.in_force.calibration_id
        assert backend.target["x"][0,].error == 0.25

    def test_unknown_attribute(self, backend: PulsedBackend) -> None:
        assert not hasattr(backend, "no_such_thing")


def test_schedule_and_preview(backend: PulsedBackend) -> None:
    schedule = backend.schedule(measured("ecr", (2, 1)))
    assert schedule.duration >= 520 + 1200
    preview = backend.preview(measured("ecr", (2, 1)))
    assert set(preview.ports) >= {"d1", "d2", "ro"}
    assert str(preview) == f"<Preview of {preview.program.name!r}: {preview.duration * 1e9:.9g} ns on d1, d2, ro>"
    assert {label.get_text() for label in preview.draw().axes[0].get_yticklabels()} == {*preview.ports, "in"}
    assert preview._repr_png_().startswith(b"\x89PNG")
    assert backend.preview(schedule).ports == preview.ports
    long = Schedule((0, Play(Constant(800, 0.1), DriveChannel(0))))
    plain, longer = measured("x"), backend.schedule(measured("x"), calibrations={("x", 0): long})
    assert longer.duration - backend.schedule(plain).duration == 800 - 40


@pytest.mark.parametrize("q", [0, np.int64(0), np.uint8(0)])
def test_numbers_of_numpy_are_qubits(backend: PulsedBackend, q: object) -> None:
    one, pair = 1 + q, (q, 1 + q)  # type: ignore[operator]
    assert backend.drive_channel(q) == DriveChannel(0)
    assert backend.control_channel(pair) == backend.control_channel([q, one]) == [ControlChannel(0)]
    assert backend.properties().gate_error("x", q) == backend.properties().gate_error("x", [q]) == 2e-4
    assert backend.properties().is_gate_operational("ecr", pair)
    pulse = Schedule((0, Play(Constant(160, 0.3), DriveChannel(0))))
    assert backend.schedule(measured(), calibrations={("x", q): pulse}).ch_stop_time(DriveChannel(0)) == 160


def test_truth_values_are_no_qubits(backend: PulsedBackend, daemon) -> None:
    for call in (backend.drive_channel, backend.measure_channel, backend.acquire_channel, backend.control_channel):
        with pytest.raises(ChannelNotFoundError):
            call((False, True) if call == backend.control_channel else True)
    with pytest.raises(NotFoundError, match="x on"):
        backend.properties().gate_error("x", True)
    pulse = Schedule((0, Play(Constant(160, 0.3), DriveChannel(0))))
    with pytest.raises(OptionValueError, match="invalid key of a pulse gate"):
        backend.run(measured(), calibrations={("x", True): pulse})
    assert daemon.received == []


def test_protocol_of_the_double(daemon) -> None:
    """The double has the calls of the real client, with the same parameters."""
    import inspect

    from pulsed.client import Client

    for name in (
        "submit",
        "job",
        "all_jobs",
        "cancel",
        "finished",
        "late",
        "watch",
        "device",
        "calibration",
        "status",
        "close",
        "update_job",
        "submission",
        "job_log",
        "open_session",
        "close_session",
        "session",
        "finishing",
        "read_finished",
        "chunk",
    ):
        real = inspect.signature(getattr(Client, name)).parameters
        ours = inspect.signature(getattr(type(daemon), name)).parameters
        assert set(ours) <= set(real), name
    assert isinstance(daemon.greeting, SimpleNamespace)
