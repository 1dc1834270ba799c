import copy
import pickle
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from qiskit import QuantumCircuit, qpy, transpile
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.exceptions import CircuitError as QiskitCircuitError
from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2

from pulsed.model.errors import CircuitError, InvalidValueError, NotFoundError, PulsedError
from pulsed.provider import PulsedBackend
from pulsed.provider.checks import used_gates
from pulsed.provider.configuration import FIELDS
from pulsed.provider.errors import (
    ChannelNotFoundError,
    OfflineError,
    OptionValueError,
    RunInputError,
    UnsupportedCircuitError,
)
from pulsed.pulse.channels import AcquireChannel, ControlChannel, DriveChannel, MeasureChannel, MemorySlot
from pulsed.pulse.configuration import LoConfig
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule, ScheduleBlock
from pulsed.pulse.serialize import loads


def measured(gate: str = "x", qubits: tuple[int, ...] = (0,), n: int = 5) -> QuantumCircuit:
    circuit = QuantumCircuit(n, n, name="try")
    getattr(circuit, gate)(*qubits)
    circuit.measure(range(n), range(n))
    return circuit


def readout(qubit: int = 0) -> Schedule:
    return Schedule(
        (0, Play(Constant(160, 0.1), DriveChannel(qubit))),
        (160, Acquire(1200, AcquireChannel(qubit), MemorySlot(qubit))),
        name="readout",
    )


class TestModel:
    def test_identity(self, backend: PulsedBackend) -> None:
        assert isinstance(backend, BackendV2)
        assert (backend.name, backend.version, backend.backend_version) == ("sim5", 2, "0.1.0")
        assert backend.online_date == datetime(2026, 11, 21, tzinfo=UTC)
        assert backend.sample_name == "sim5-chip-A"
        assert backend.display_name == "sim5"
        assert backend.provider.get_backend("sim5") is backend
        assert backend.processor_type is None
        assert "sim5" in repr(backend)

    def test_model(self, backend: PulsedBackend) -> None:
        assert backend.num_qubits == 5
        assert backend.dt == backend.dtm == 1e-9
        assert backend.meas_map == [[0, 1, 2, 3, 4]]
        assert backend.max_circuits == 1000
        assert set(backend.coupling_map.get_edges()) == {(0, 1), (2, 1), (2, 3), (4, 3)}
        assert set(backend.basis_gates) == {"rz", "sx", "x", "ecr"}
        assert len(backend.qubit_properties([0, 3])) == 2
        assert backend.instruction_durations.get("x", 0, "s") == pytest.approx(40e-9, rel=1e-12)

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
        assert not hasattr(backend, "get_scheduling_stage_plugin"), "Qiskit asks for it, and has its own"


class TestConfiguration:
    def test_every_field_is_there_and_flat(self, backend: PulsedBackend) -> None:
        configuration = backend.configuration()
        assert set(configuration.to_dict()) == set(FIELDS)
        for name in set(FIELDS) - {"coupling_map", "dt"}:
            assert getattr(configuration, name) == getattr(backend, name), name

    def test_units(self, backend: PulsedBackend) -> None:
        configuration, plain = backend.configuration(), backend.configuration().to_dict()
        assert (configuration.dt, backend.dt, plain["dt"]) == (1e-9, 1e-9, pytest.approx(1.0))
        assert configuration.rep_delay_range == [1e-6, 10e-3]
        assert plain["rep_delay_range"] == pytest.approx([1.0, 10e3])
        assert plain["default_rep_delay"] == pytest.approx(500.0)
        assert configuration.qubit_lo_range[0] == pytest.approx([4.75e9, 5.45e9])
        assert plain["qubit_lo_range"][0] == pytest.approx([4.75, 5.45])

    def test_couplings(self, backend: PulsedBackend) -> None:
        configuration = backend.configuration()
        assert configuration.coupling_map == [[0, 1], [2, 1], [2, 3], [4, 3]]
        assert [los[0].q for los in configuration.u_channel_lo] == [1, 1, 3, 3]
        assert configuration.channels["u3"]["operates"] == {"qubits": [4, 3]}
        assert configuration.hamiltonian is None


class TestProperties:
    def test_qubits(self, backend: PulsedBackend) -> None:
        properties = backend.properties()
        assert properties.t1(2) == 82e-6
        assert properties.t2(2) == 62e-6
        assert properties.frequency(1) == 4.88e9 + 1e3
        assert properties.readout_error(4) == pytest.approx(0.014)
        assert properties.readout_length(0) == pytest.approx(1.2e-6)
        assert properties.prob_meas0_prep1(0) == 0.015
        value, time = properties.qubit_property(2, "T1")
        assert (value, time) == (82e-6, datetime(2026, 11, 20, 10, tzinfo=UTC))
        assert properties.qubit_property(2, "T1").stderr == 2e-6
        assert properties.qubit_property(2)["T1"].unit == "s"

    def test_gates(self, backend: PulsedBackend) -> None:
        properties = backend.properties()
        assert properties.gate_error("x", 1) == properties.gate_error("x", [1]) == pytest.approx(2.1e-4)
        assert properties.gate_length("ecr", (2, 1)) == pytest.approx(520e-9)
        assert properties.gate_property("x", 0, "gate_error").stderr == 1e-5
        assert set(properties.gate_property("ecr")) == {(0, 1), (2, 1), (2, 3), (4, 3)}
        assert properties.is_gate_operational("ecr", (2, 1))
        assert not properties.is_gate_operational("ecr", (1, 2))
        assert properties.faulty_qubits() == []
        assert properties.faulty_gates() == []
        assert len(properties.to_dict()["qubits"]) == 5

    def test_faults(self, backend: PulsedBackend, device, calibration) -> None:
        kept = {k: v for k, v in calibration.values.items() if not k.startswith(("Q2.sx.", "Q4-Q3."))}
        part = PulsedBackend(device, type(calibration)(device.name, kept, calibration.created))
        properties = part.properties()
        assert properties.faulty_qubits() == [2]
        assert properties.faulty_gates() == [("sx", (2,)), ("ecr", (4, 3))]
        with pytest.raises(UnsupportedCircuitError, match=r"sx on \(2,\)"):
            part.check_faulty(measured("sx", (2,)))
        backend.check_faulty(measured("sx", (2,)))
        unmeasured = QuantumCircuit(3)
        unmeasured.sx(2)
        backend.check_faulty(unmeasured)

    @pytest.mark.parametrize(
        ("call", "args", "legal"),
        [
            ("qubit_property", (5,), "0 to 4"),
            ("qubit_property", (0, "T3"), "T1"),
            ("gate_error", ("ecr", (1, 0)), r"\(2, 1\)"),
            ("gate_error", ("cz", (1, 0)), "ecr, measure"),
            ("gate_error", ("reset", 0), "not measured"),
        ],
    )
    def test_what_is_not_there(self, backend: PulsedBackend, call: str, args: tuple, legal: str) -> None:
        with pytest.raises(NotFoundError, match=legal):
            getattr(backend.properties(), call)(*args)


class TestRefusals:
    """Each bad input gives one error that names the thing, the value and the legal ones; nothing is sent."""

    @pytest.fixture(autouse=True)
    def _nothing_sent(self, daemon):
        yield
        assert daemon.received == []

    def test_too_many_qubits(self, backend: PulsedBackend) -> None:
        with pytest.raises(UnsupportedCircuitError, match=r"'try'.*got 6.*at most 5"):
            backend.run(measured(n=6))

    def test_unsupported_gate(self, backend: PulsedBackend) -> None:
        with pytest.raises(
            UnsupportedCircuitError, match=r"'try', instruction 0.*got h; legal: barrier, delay, ecr"
        ) as caught:
            backend.run(measured("h"))
        assert isinstance(caught.value, CircuitError)
        assert isinstance(caught.value, QiskitCircuitError)

    @pytest.mark.parametrize("pair", [(1, 0), (0, 4)])
    def test_off_coupling(self, backend: PulsedBackend, pair: tuple[int, int]) -> None:
        with pytest.raises(UnsupportedCircuitError, match=r"ecr on \(0, 1\), \(2, 1\)") as caught:
            backend.run(measured("ecr", pair))
        assert f"ecr on {pair}" in str(caught.value)

    @pytest.mark.parametrize("shots", [0, -1, 100_001, 1.5, "many", True])
    def test_shots(self, backend: PulsedBackend, shots: object) -> None:
        with pytest.raises(OptionValueError, match=r"shots.*an integer from 1 to 100000") as caught:
            backend.run(measured(), shots=shots)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, InvalidValueError)

    def test_too_many_circuits(self, backend: PulsedBackend) -> None:
        with pytest.raises(UnsupportedCircuitError, match="got 1001; legal: 1 to 1000"):
            backend.run([measured()] * 1001)
        with pytest.raises(UnsupportedCircuitError, match="nothing to run"):
            backend.run([])

    def test_no_measurement(self, backend: PulsedBackend) -> None:
        circuit = QuantumCircuit(1, name="blind")
        circuit.x(0)
        with pytest.raises(UnsupportedCircuitError, match="'blind': no measurement"):
            backend.run(circuit)

    @pytest.mark.parametrize("wrong", [None, "x q[0];", 3, {"a": 1}])
    def test_wrong_type(self, backend: PulsedBackend, wrong: object) -> None:
        with pytest.raises(RunInputError, match="QuantumCircuit, Schedule") as caught:
            backend.run(wrong)
        assert isinstance(caught.value, TypeError)
        with pytest.raises(RunInputError, match="program 1"):
            backend.run([measured(), wrong])

    def test_qobj(self, backend: PulsedBackend) -> None:
        kind = type("QasmQobj", (), {"__module__": "qiskit.qobj.qasm_qobj"})
        with pytest.raises(RunInputError, match="Qobj is not accepted"):
            backend.run(kind())

    def test_unbound_parameters(self, backend: PulsedBackend) -> None:
        circuit = QuantumCircuit(1, 1, name="open")
        circuit.rz(Parameter("phi"), 0)
        circuit.measure(0, 0)
        with pytest.raises(UnsupportedCircuitError, match=r"without a value.*phi"):
            backend.run(circuit)

    def test_control_flow(self, backend: PulsedBackend) -> None:
        """if_test runs, with the gates of its bodies checked; a loop does not."""
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], True)):
            circuit.x(0)
        backend.check_faulty(circuit)
        assert used_gates(circuit) == {("measure", (0,)): 0, ("if_else", ()): 1, ("x", (0,)): 1}
        with circuit.if_test((circuit.clbits[0], True)):
            circuit.h(0)
        with pytest.raises(UnsupportedCircuitError, match="h") as caught:
            backend.run(circuit)
        assert "instruction 2" in caught.value.subject
        loop = QuantumCircuit(1, 1)
        loop.measure(0, 0)
        with loop.while_loop((loop.clbits[0], True)):
            loop.x(0)
        with pytest.raises(UnsupportedCircuitError, match="while_loop"):
            backend.run(loop)

    def test_schedule_without_acquire(self, backend: PulsedBackend) -> None:
        with pytest.raises(UnsupportedCircuitError, match="'lonely': no Acquire"):
            backend.run(Schedule((0, Play(Constant(160, 0.1), DriveChannel(0))), name="lonely"))

    def test_schedule_on_no_channel(self, backend: PulsedBackend) -> None:
        with pytest.raises(UnsupportedCircuitError, match="got d7; legal: d0, d1"):
            backend.run(readout().insert(0, Play(Constant(160, 0.1), DriveChannel(7))))

    @pytest.mark.parametrize(
        ("options", "legal"),
        [
            ({"meas_level": 3}, "meas_level.*0 to 2"),
            ({"meas_return": "mean"}, "'single' or 'avg'"),
            ({"memory": 1}, "True or False"),
            ({"rep_delay": 1.0}, "1e-06 s to 0.01 s"),
            ({"qubit_lo_freq": [5e9] * 4}, "5 frequencies"),
            ({"qubit_lo_freq": [5.0] * 5}, "4.75 GHz to 5.45 GHz"),
            ({"meas_lo_freq": [5e9] * 5}, r"meas_lo_freq\[0\].*6.76 GHz to 7.46 GHz"),
            ({"schedule_los": {DriveChannel(9): 5e9}}, "d0 to d4"),
            ({"schedule_los": [{DriveChannel(0): 5e9}, {DriveChannel(0): 5.01e9}]}, "one setting of its LOs"),
            ({"schedule_los": 5e9}, "LoConfig"),
            ({"dynamic": True}, "dynamic.*False"),
            ({"job_tags": "tag"}, "list of strings"),
            ({"priority": "high"}, "priority"),
            ({"calibrations": {"x": Schedule()}}, r"\(gate, qubits, params\)"),
        ],
    )
    def test_options(self, backend: PulsedBackend, options: dict, legal: str) -> None:
        with pytest.raises(OptionValueError, match=legal):
            backend.run(measured(), **options)

    def test_offline(self, device, calibration) -> None:
        offline = PulsedBackend.from_export(device, calibration)
        assert len(transpile(measured("h"), offline).data) > 0
        for call in (lambda: offline.run(measured()), offline.status, offline.refresh):
            with pytest.raises(OfflineError) as caught:
                call()
            assert isinstance(caught.value, NotImplementedError)


class TestOptions:
    def test_unknown_keyword_warns_where_it_was_written(self, backend: PulsedBackend, daemon) -> None:
        with pytest.warns(UserWarning, match="no option shoots.*shots, memory") as caught:
            backend.run(measured(), shoots=7)
        assert caught[0].filename == __file__
        assert daemon.received[0][0].options.shots == 1024

    def test_unknown_field(self, backend: PulsedBackend) -> None:
        with pytest.raises(AttributeError, match="got shoots; legal: shots") as caught:
            backend.set_options(shoots=7)
        assert isinstance(caught.value, PulsedError)

    def test_a_bad_value_changes_nothing(self, backend: PulsedBackend) -> None:
        with pytest.raises(ValueError, match="shots"):
            backend.set_options(memory=True, shots=0)
        assert (backend.options.shots, backend.options.memory) == (1024, False)

    def test_keyword_wins_over_option(self, backend: PulsedBackend, daemon) -> None:
        backend.set_options(shots=10, memory=True)
        backend.run(measured(), shots=20)
        backend.run(measured())
        backend.run(measured(), shots=None)
        sent = [(request.options.shots, request.options.memory) for request, _ in daemon.received]
        assert sent == [(20, True), (10, True), (10, True)]

    def test_options_set_past_the_validators_are_checked_at_run(self, backend: PulsedBackend, daemon) -> None:
        backend.options.shots = 0
        with pytest.raises(OptionValueError, match="shots"):
            backend.run(measured())
        assert daemon.received == []

    @pytest.mark.parametrize("way", [copy.copy, lambda item: pickle.loads(pickle.dumps(item))])
    def test_copies_of_options_are_their_own(self, backend: PulsedBackend, way: object) -> None:
        other = way(backend.options)  # type: ignore[operator]
        other.update_options(shots=7)
        assert (other.shots, backend.options.shots) == (7, 1024)
        with pytest.raises(OptionValueError, match="shots"):
            other.update_options(shots=0)

    def test_seed_warns(self, backend: PulsedBackend) -> None:
        with pytest.warns(UserWarning, match="seed_simulator has no effect"):
            backend.run(measured(), seed_simulator=1)

    def test_everything_travels(self, backend: PulsedBackend, daemon) -> None:
        backend.run(
            measured(), shots=5, memory=True, meas_level=1, meas_return="avg", rep_delay=2e-4, init_qubits=False,
            qubit_lo_freq=[5e9] * 5, meas_lo_freq=[7e9] * 5, job_name="mine", job_tags=["a", "b"], priority=3,
            dry_run=True, calibration_id="0123",
        )  # fmt: skip
        request, _ = daemon.received[0]
        options = request.options
        assert (options.shots, options.memory, options.meas_level, options.meas_return) == (5, True, 1, "avg")
        assert (options.rep_delay, options.init_qubits, options.dry_run) == (2e-4, False, True)
        assert (options.qubit_lo_freq, options.meas_lo_freq) == ((5e9,) * 5, (7e9,) * 5)
        assert (request.name, request.tags, request.priority) == ("mine", ("a", "b"), 3)
        assert options.calibration_id == "0123"

    def test_the_set_of_the_target_is_named(self, backend: PulsedBackend, daemon) -> None:
        backend.run(measured())
        assert daemon.received[0][0].options.calibration_id == backend.calibration_id

    @pytest.mark.parametrize("form", [LoConfig, dict, lambda los: [LoConfig(los)]])
    def test_schedule_los(self, backend: PulsedBackend, daemon, form: object) -> None:
        backend.run(measured(), schedule_los=form({DriveChannel(1): 4.9e9}))  # type: ignore[operator]
        options = daemon.received[0][0].options
        calibrated = [p.frequency for p in backend.target.qubit_properties]
        assert list(options.qubit_lo_freq) == [calibrated[0], 4.9e9, *calibrated[2:]]
        assert list(options.meas_lo_freq) == backend.defaults().meas_freq_est


class TestPacking:
    def test_mixed_programs_keep_their_order(self, backend: PulsedBackend, daemon) -> None:
        block = ScheduleBlock(name="block")
        block.append(Acquire(1200, AcquireChannel(0), MemorySlot(0)))
        backend.run([measured(), measured(), readout(1), measured(), block])
        request, parts = daemon.received[0]
        assert request.kinds == ("qpy", "schedule", "qpy", "schedule")
        assert request.num_programs == 5
        assert loads(parts[1]) == readout(1)

    def test_pulse_gates(self, backend: PulsedBackend, daemon) -> None:
        daemon.hold = True
        circuit = QuantumCircuit(1, 1)
        circuit.append(Gate("custom", 1, []), [0])
        circuit.measure(0, 0)
        with pytest.raises(UnsupportedCircuitError, match="custom"):
            backend.run(circuit)
        pulse = Schedule((0, Play(Constant(160, 0.3), DriveChannel(0))))
        backend.run(circuit, calibrations={("custom", 0): pulse, ("rz", (1,), (0.5,)): pulse})
        request, parts = daemon.received[0]
        assert request.kinds == ("qpy", "gate", "gate")
        assert request.gates == (("custom", (0,), ()), ("rz", (1,), (0.5,)))
        assert loads(parts[1]) == pulse
        assert backend.run(circuit, calibrations={("custom", 0): pulse}).schedules()[0].duration >= 160 + 1200

    def test_an_older_daemon_gets_an_older_qpy(self, backend: PulsedBackend, daemon) -> None:
        daemon.greeting.qpy = (13, 15)
        backend.run(measured())
        assert daemon.received[0][1][0][:7] == b"QISKIT" + bytes([min(15, qpy.QPY_VERSION)])

    def test_never_below_13(self, backend: PulsedBackend, daemon, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(qpy, "QPY_COMPATIBILITY_VERSION", 10)  # as in Qiskit 1.4, which still writes older ones
        daemon.greeting.qpy = (8, 12)
        with pytest.raises(PulsedError, match="no QPY version") as caught:
            backend.run(measured())
        assert caught.value.code == "incompatible"
        assert daemon.received == []

    def test_metadata_that_is_no_json(self, backend: PulsedBackend) -> None:
        import numpy as np

        circuit = measured()
        circuit.metadata = {"array": np.arange(3), "when": datetime(2026, 1, 1, tzinfo=UTC), "z": 1j}
        result = backend.run(circuit).result()
        assert result.results[0].header["metadata"]["z"] == 1j


def test_attached_calibrations_of_old_circuits(backend: PulsedBackend) -> None:
    """What Qiskit 1.4 keeps in ``circuit.calibrations``, on a circuit class that has it."""
    from pulsed.provider.submission import attached_gates, merge_gates

    pulse = readout()

    class Old(QuantumCircuit):
        calibrations: dict = {"x": {((0,), ()): pulse}}  # noqa: RUF012

    assert attached_gates(Old(1)) == {("x", (0,), ()): pulse}
    key = ("x", (0,), ())
    one, two = QuantumCircuit(1, name="one"), QuantumCircuit(1, name="two")
    assert merge_gates([(one, {}, {key: pulse}), (two, {}, {})], {}) == {key: pulse}
    two.x(0)
    other = ("x", (0,), (1.0,))
    assert merge_gates([(one, {}, {other: pulse}), (two, {key[:2]: 0}, {})], {}) == {other: pulse}
    with pytest.raises(UnsupportedCircuitError, match=r"'two'.*different pulses"):
        merge_gates([(one, {}, {key: pulse}), (two, {("x", (0,)): 0}, {})], {})
    with pytest.raises(UnsupportedCircuitError, match="different pulses"):
        merge_gates([(one, {}, {key: pulse}), (two, {}, {key: readout(1)})], {})


def test_schedule_and_preview(backend: PulsedBackend) -> None:
    schedule = backend.schedule(measured("ecr", (2, 1)))
    assert schedule.duration >= 520 + 1200
    preview = backend.preview(measured("ecr", (2, 1)))
    assert set(preview.ports) >= {"d1", "d2", "ro"}
    assert backend.preview(schedule).ports == preview.ports
    long = Schedule((0, Play(Constant(800, 0.1), DriveChannel(0))))
    plain, longer = measured("x"), backend.schedule(measured("x"), calibrations={("x", 0): long})
    assert longer.duration - backend.schedule(plain).duration == 800 - 40


def test_no_sessions(backend: PulsedBackend) -> None:
    assert backend.session is None
    with pytest.raises(NotImplementedError, match=r"\w+ \w+"):
        backend.open_session()


def test_protocol_of_the_double(daemon) -> None:
    """The double has the calls of the real client, with the same parameters."""
    import inspect

    from pulsed.client import Client

    for name in ("submit", "job", "jobs", "cancel", "finished", "watch", "device", "calibration", "status", "close"):
        real = inspect.signature(getattr(Client, name)).parameters
        ours = inspect.signature(getattr(type(daemon), name)).parameters
        assert set(ours) <= set(real), name
    assert isinstance(daemon.greeting, SimpleNamespace)
