"""What a backend refuses before anything is sent."""

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Gate, Parameter
from qiskit.circuit.exceptions import CircuitError as QiskitCircuitError

from pulsed.client.export import export_json
from pulsed.compiler.canonical import look_through
from pulsed.model.errors import CircuitError, ConfigError, InvalidValueError, ResultSizeError
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import (
    OfflineError,
    OptionValueError,
    RunInputError,
    UnsupportedCircuitError,
)
from pulsed.pulse.channels import AcquireChannel, DriveChannel, MemorySlot
from pulsed.pulse.instructions import Acquire, Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

from .programs import measured, readout


class TestRefusals:
    """Each bad input gives one error that names the thing, the value and the legal ones; nothing is sent."""

    @pytest.fixture(autouse=True)
    def _nothing_sent(self, daemon):
        yield
        assert daemon.received == []

    def test_too_many_qubits(self, backend: PulsedBackend) -> None:
        with pytest.raises(UnsupportedCircuitError, match=r"'try'.*got 6.*at most 5"):
            backend.run(measured(n=6))

    def test_a_pulse_gate_into_a_bit_that_the_circuit_has_not(self, backend: PulsedBackend) -> None:
        circuit = QuantumCircuit(1, 1, name="own")
        circuit.append(Gate("look", 1, []), [0])
        circuit.measure(0, 0)
        look = Schedule((0, Acquire(400, AcquireChannel(0), MemorySlot(1))))
        with pytest.raises(UnsupportedCircuitError, match="MemorySlot") as caught:
            backend.run([measured(), circuit], calibrations={("look", 0): look})
        assert caught.value.subject == "circuit 1 'own', look on 0"

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
        assert look_through(circuit).gates == {("measure", (0,)): 0, ("if_else", ()): 1, ("x", (0,)): 1}
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

    @pytest.mark.parametrize(
        ("at", "item", "value", "legal"),
        [
            (0, Play(Constant(100, 0.1), DriveChannel(1)), "100 dt", "multiples of 8 dt, from 16 dt"),
            (0, Play(Constant(8, 0.1), DriveChannel(1)), "8 dt", "multiples of 8 dt, from 16 dt"),
            (3, Acquire(1200, AcquireChannel(1), MemorySlot(1)), "3 dt", "multiples of 4 dt"),
        ],
    )
    def test_schedules_off_the_grid(
        self, backend: PulsedBackend, at: int, item: Play | Acquire, value: str, legal: str
    ) -> None:
        with pytest.raises(UnsupportedCircuitError, match="off the backend's grid") as caught:
            backend.run([measured(), Schedule((at, item), (0, readout(0)), name="off")])
        assert caught.value.subject.endswith(f"'off', {item.channel} at {at} dt")
        assert (str(caught.value.value), caught.value.legal) == (value, legal)

    def test_pulse_gates_off_the_grid(self, backend: PulsedBackend) -> None:
        """Where a gate is placed is not known yet: only its lengths are looked at."""
        gate = Schedule(
            (1, Play(Constant(104, 0.1), DriveChannel(0))), (200, Play(Constant(100, 0.1), DriveChannel(0)))
        )
        circuit = QuantumCircuit(1, 1, name="own")
        circuit.append(Gate("mine", 1, []), [0])
        circuit.measure(0, 0)
        with pytest.raises(UnsupportedCircuitError, match="off the backend's grid") as caught:
            backend.run(circuit, calibrations={("mine", 0): gate})
        assert caught.value.subject.endswith("DriveChannel(0) at 200 dt")

    def test_schedule_on_no_channel(self, backend: PulsedBackend) -> None:
        with pytest.raises(UnsupportedCircuitError, match="got d7; legal: d0, d1"):
            backend.run(readout().insert(0, Play(Constant(160, 0.1), DriveChannel(7))))

    @pytest.mark.parametrize(
        ("gate", "legal"),
        [
            (Gate("rz", 1, [0.3, 0.2]), r"got rz\(0.3, 0.2\); legal: 1 values"),
            (Gate("rz", 1, []), r"got rz\(\); legal: 1 values"),
            (Gate("x", 1, [0.3]), r"got x\(0.3\); legal: 0 values"),
        ],
    )
    @pytest.mark.parametrize("branching", [False, True])
    def test_a_gate_with_another_number_of_values(
        self, backend: PulsedBackend, gate: Gate, legal: str, branching: bool
    ) -> None:
        circuit = QuantumCircuit(1, 1, name="made by name")
        if branching:
            circuit.measure(0, 0)
            with circuit.if_test((0, 1)):
                circuit.append(gate, [0])
        else:
            circuit.append(gate, [0])
        circuit.measure(0, 0)
        place = 1 if branching else 0
        with pytest.raises(UnsupportedCircuitError, match=f"'made by name', instruction {place}: .*{legal}"):
            backend.run(circuit)
        other = Schedule(Play(Constant(64, 0.1), DriveChannel(0)))
        with pytest.raises(UnsupportedCircuitError, match=legal):  # pulses for another number of values
            backend.run(circuit, calibrations={(gate.name, 0, (0.3,) * (3 - len(gate.params))): other})

    @pytest.mark.parametrize(
        ("options", "legal"),
        [
            ({"meas_level": 3}, "meas_level.*0 to 2"),
            ({"meas_return": "mean"}, "'single' or 'avg'"),
            ({"memory": 1}, "True or False"),
            ({"rep_delay": 1.0}, "1e-06 s to 0.01 s"),
            ({"qubit_lo_freq": [5e9] * 4}, "5 frequencies"),
            ({"qubit_lo_freq": [5e9] * 5 + [True]}, "5 frequencies"),
            ({"qubit_lo_freq": [5.0] * 5}, "4.75 GHz to 5.45 GHz"),
            ({"meas_lo_freq": [5e9] * 5}, r"meas_lo_freq\[0\].*6.76 GHz to 7.46 GHz"),
            ({"schedule_los": {DriveChannel(9): 5e9}}, "d0 to d4"),
            ({"schedule_los": [{DriveChannel(0): 5e9}, {DriveChannel(0): 5.01e9}]}, "one setting of its LOs"),
            ({"schedule_los": 5e9}, "LoConfig"),
            ({"job_tags": "tag"}, "list of strings"),
            ({"priority": "high"}, "priority"),
            ({"calibrations": {"x": Schedule()}}, r"\(gate, qubits, params\)"),
        ],
    )
    def test_options(self, backend: PulsedBackend, options: dict, legal: str) -> None:
        with pytest.raises(OptionValueError, match=legal):
            backend.run(measured(), **options)

    def test_offline(self, device, calibration, tmp_path) -> None:
        file = tmp_path / "lab.json"
        file.write_bytes(export_json(calibration, device))
        offline = PulsedBackend.from_export(file)
        assert (offline.device, offline.calibration_id) == (device, calibration.calibration_id)
        assert PulsedBackend.from_export(device, calibration).target.operation_names == offline.target.operation_names
        assert offline.preview(measured("x")).duration > 0
        with pytest.raises(ConfigError, match="from_export: needs a calibration set"):
            PulsedBackend.from_export(device)
        assert len(transpile(measured("h"), offline).data) > 0
        for call in (lambda: offline.run(measured()), offline.status, offline.refresh):
            with pytest.raises(OfflineError) as caught:
                call()
            assert isinstance(caught.value, NotImplementedError)


@pytest.mark.parametrize(
    ("qubit", "channel", "says"),
    [(9, DriveChannel(0), "qubit that the backend does not have; got 9; legal: 0 to 4"),
     (0, DriveChannel(9), "no such channel; got d9; legal: d0")],
)  # fmt: skip
def test_a_pulse_gate_that_could_not_act_is_refused(
    backend: PulsedBackend, daemon, qubit: int, channel: object, says: str
) -> None:
    pulse = Schedule((0, Play(Constant(160, 0.3), channel)))
    with pytest.raises(UnsupportedCircuitError, match=rf"calibrations, x on \({qubit},\): .*{says}"):
        backend.run(measured(), calibrations={("x", qubit): pulse})
    assert daemon.received == []


def test_a_result_is_as_large_as_the_bits_of_the_circuits_make_it(device, calibration, daemon):
    """Two circuits of five bits, and a thousand points of each: 80,000 bytes, whatever the daemon finds out besides."""
    for most, fits in ((80_000, True), (79_999, False)):
        limits = device.limits.model_copy(update={"max_result": most})
        backend = PulsedBackend(device.model_copy(update={"limits": limits}), calibration, daemon)
        if fits:
            backend.run([measured(), measured("sx")], shots=1000, meas_level=1)
            continue
        with pytest.raises(ResultSizeError, match="at least 80000 bytes"):
            backend.run([measured(), measured("sx")], shots=1000, meas_level=1)
    assert len(daemon.received) == 1
