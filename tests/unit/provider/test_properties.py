"""Measured properties, from the calibration set."""

from datetime import UTC, datetime

import pytest
from qiskit import QuantumCircuit
from qiskit.exceptions import QiskitError

from pulsed.model.errors import NotFoundError
from pulsed.provider import PulsedBackend
from pulsed.provider.errors import (
    UnsupportedCircuitError,
)

from .programs import measured


class TestProperties:
    def test_qubits(self, backend: PulsedBackend) -> None:
        properties = backend.properties()
        assert properties.t1(2) == 82e-6
        assert properties.t2(2) == 62e-6
        assert properties.frequency(1) == 4.88e9 + 1e3
        assert properties.readout_error(4) == pytest.approx(0.014)
        assert properties.readout_length(0) == pytest.approx(1.2e-6)
        assert properties.prob_meas0_prep1(0) == 0.015
        assert properties.prob_meas1_prep0(0) == pytest.approx(2 * properties.readout_error(0) - 0.015)
        assert properties.last_update_date == datetime(2026, 11, 20, 12, tzinfo=UTC)
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
        assert [properties.is_qubit_operational(q) for q in range(5)] == [True, True, False, True, True]
        assert properties.faulty_gates() == [("sx", (2,)), ("ecr", (4, 3))]
        with pytest.raises(UnsupportedCircuitError, match=r"sx on \(2,\)"):
            part.check_faulty(measured("sx", (2,)))
        backend.check_faulty(measured("sx", (2,)))
        unmeasured = QuantumCircuit(3)
        unmeasured.sx(2)
        backend.check_faulty(unmeasured)

    def test_lists_are_those_of_qiskit(self, backend: PulsedBackend) -> None:
        properties = backend.properties()
        t1 = next(item for item in properties.qubits[2] if item.name == "T1")
        assert (t1.value, t1.unit, t1.date, t1.stderr) == (82e-6, "s", datetime(2026, 11, 20, 10, tzinfo=UTC), 2e-6)
        ecr = next(gate for gate in properties.gates if (gate.gate, gate.qubits) == ("ecr", [2, 1]))
        assert [(item.name, item.unit) for item in ecr.parameters] == [("gate_length", "s"), ("gate_error", "")]
        assert properties.general == []
        assert properties.to_dict()["gates"] == [gate.to_dict() for gate in properties.gates]

    def test_a_change_of_frame_takes_no_time_and_makes_no_error(self, backend: PulsedBackend) -> None:
        properties = backend.properties()
        assert (properties.gate_error("rz", 0), properties.gate_length("rz", 0)) == (0.0, 0.0)
        assert properties.is_gate_operational("rz", 0)

    def test_durations_are_those_of_the_target_to_the_last_bit(self, backend: PulsedBackend) -> None:
        properties, target = backend.properties(), backend.target
        for name in ("id", "x", "sx", "rz", "ecr", "measure"):
            for qubits, known in target[name].items():
                assert properties.gate_length(name, qubits) == known.duration
        assert [properties.readout_length(q) for q in range(5)] == [target["measure"][q,].duration for q in range(5)]

    @pytest.mark.parametrize(
        ("call", "args", "legal"),
        [
            ("qubit_property", (5,), "0 to 4"),
            ("qubit_property", (0, "T3"), "T1"),
            ("gate_error", ("ecr", (1, 0)), r"\(2, 1\)"),
            ("gate_error", ("cz", (1, 0)), "ecr, id, measure"),
            ("gate_error", ("reset", 0), "not measured"),
        ],
    )
    def test_what_is_not_there(self, backend: PulsedBackend, call: str, args: tuple, legal: str) -> None:
        with pytest.raises(NotFoundError, match=legal) as caught:
            getattr(backend.properties(), call)(*args)
        assert isinstance(caught.value, QiskitError)


def test_fields_are_those_that_qiskits_properties_read(backend: PulsedBackend) -> None:
    found = backend.properties().to_dict()
    listed = [*found["qubits"], *(gate["parameters"] for gate in found["gates"]), found["general"]]
    assert {key for several in listed for item in several for key in item} == {"date", "name", "unit", "value"}
    assert {item["unit"] for several in listed for item in several} == {"", "s", "GHz"}
    (frequency,) = (item["value"] for item in found["qubits"][1] if item["name"] == "frequency")
    assert frequency == pytest.approx(4.880001)
