"""Circuits from files, good and bad."""

import pytest
from qiskit import QuantumCircuit, qpy

from pulsed.cli.running import read_circuits
from pulsed.model.errors import CircuitError, IncompatibleError, InvalidValueError

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_openqasm_is_read(tmp_path):
    path = tmp_path / "bell.qasm"
    path.write_text(BELL)
    (circuit,) = read_circuits(path)
    assert circuit.name == "bell"
    assert circuit.count_ops() == bell().count_ops()


def test_qpy_of_several_circuits_is_read(tmp_path):
    path = tmp_path / "two.qpy"
    with path.open("wb") as file:
        qpy.dump([bell(), QuantumCircuit(1)], file)
    first, second = read_circuits(path)
    assert first == bell()
    assert second.num_qubits == 1


def test_old_qpy_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "old.qpy"
    path.write_bytes(b"QISKIT\x0c" + b"anything at all")
    with pytest.raises(IncompatibleError, match=r"old.qpy.*got 12; legal: from 13 on"):
        read_circuits(path)


@pytest.mark.parametrize(
    "data", [b"", b"QISKIT", b"PK\x03\x04 not QPY", b"QISKIT\x0d\x00\x00", b"QISKIT\xff" + b"\x00" * 80]
)
def test_what_is_no_qpy_says_so(tmp_path, data):
    path = tmp_path / "bad.qpy"
    path.write_bytes(data)
    with pytest.raises(CircuitError, match="is not a QPY file"):
        read_circuits(path)


def test_what_is_no_openqasm_says_where(tmp_path):
    path = tmp_path / "bad.qasm"
    path.write_text(BELL.replace("cx q[0],q[1]", "cx q[0],q[7]"))
    with pytest.raises(CircuitError, match=r"bad.qasm: is not OpenQASM: .*6"):
        read_circuits(path)


def test_another_kind_of_file_lists_the_known_ones(tmp_path):
    path = tmp_path / "circuit.txt"
    path.write_text(BELL)
    with pytest.raises(InvalidValueError, match=r"got .txt; legal: .qasm, .qpy"):
        read_circuits(path)
