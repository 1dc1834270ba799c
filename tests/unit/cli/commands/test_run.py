"""Circuits from files, good and bad."""

import sys

import pytest
from qiskit import QuantumCircuit, qasm3, qpy

from pulsed import pulse
from pulsed.cli.commands.run import read_circuits
from pulsed.model.errors import CircuitError, IncompatibleError, InvalidValueError

BELL = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\nh q[0];\ncx q[0],q[1];\nmeasure q -> c;\n'
BELL3 = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q; bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""


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


def test_openqasm_3_is_read(tmp_path):
    path = tmp_path / "bell.qasm"
    path.write_text(BELL3)
    (circuit,) = read_circuits(path)
    assert circuit.name == "bell"
    assert [(item.operation.name, circuit.find_bit(item.qubits[0]).index) for item in circuit.data] == [
        ("h", 0), ("cx", 0), ("measure", 0), ("measure", 1),
    ]  # fmt: skip


def test_openqasm_2_may_speak_of_version_3(tmp_path):
    path = tmp_path / "bell.qasm"
    path.write_text("// not OPENQASM 3\n" + BELL)
    (circuit,) = read_circuits(path)
    assert circuit.count_ops() == bell().count_ops()


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("suffix", [".qasm", ".qasm2", ".qasm3"])
@pytest.mark.parametrize("stated", [True, False])
def test_the_language_is_told_by_version_name_and_content(tmp_path, mark, suffix, stated):
    for text, version in ((BELL, 2), (BELL3, 3)):
        if not stated:
            if suffix not in (".qasm", f".qasm{version}"):
                continue
            text = "".join(line for line in text.splitlines(keepends=True) if "OPENQASM" not in line)  # noqa: PLW2901
        path = tmp_path / f"bell{suffix}"
        path.write_text(mark + "// OPENQASM 9\n" + text, encoding="utf-8")
        (circuit,) = read_circuits(path)
        assert circuit.count_ops() == bell().count_ops()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.qasm3", "qubit[2] q; nosuch q;", "read as OpenQASM 3, since it has no version line, and its name ends in"),
        ("a.qasm2", "qubit[2] q;", "read as OpenQASM 2, since it has no version line, and its name ends in .qasm2"),
        ("a.qasm", "qubit[2] q; nosuch q[0];", "read as OpenQASM 3, since it has no version line, and says qubit"),
        ("a.qasm", "qreg q[2]; nosuch q[0];", "read as OpenQASM 2, since it has no version line, and says qreg"),
        ("a.qasm", "nosuch $0;", "read as OpenQASM 3, since it has no version line, and nothing else in it tells"),
    ],
)  # fmt: skip
def test_what_was_tried_is_said(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(CircuitError, match=f"{name}: .*{message}"):
        read_circuits(path)


def test_many_comments_are_passed_over_once(tmp_path):
    # a pattern that tried all ways to divide them would take years
    path = tmp_path / "bell.qasm"
    path.write_text("/* */ // 3\n" * 60 + BELL3)
    assert read_circuits(path)[0].num_qubits == 2
    path.write_text("/* */ // 3\n" * 60 + "OPENQASM 4;")
    with pytest.raises(CircuitError, match="is not OpenQASM"):
        read_circuits(path)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("cx q[0]", "cx (q[0]", r"line 6, 'cx \(q.*: is not OpenQASM"),
        ("cx q[0]", "\u2603 q[0]", "line 6, .*token recognition error"),
        ("q[1];", "q[7];", "cannot be read as a circuit: index out of range"),
        ("cx q", "nosuch q", "is not OpenQASM: .*nosuch"),
        ("h q[0];", "h q[0]; defcal x $0 { }", "is not OpenQASM: .*CalibrationDefinition"),
        ("h q[0];", "rx(" + "(" * 5000 + "1" + ")" * 5000 + ") q[0];", "nested too deep"),
    ],
)
def test_what_is_no_openqasm_3_says_where(tmp_path, capfd, right, wrong, message):
    path = tmp_path / "bad.qasm"
    path.write_text("// a comment\n" + BELL3.replace(right, wrong))
    with pytest.raises(CircuitError, match="bad.qasm: .*" + message):
        read_circuits(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("missing", ["openpulse", "qiskit_qasm3_import"])
def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch, missing):
    path = tmp_path / "bell.qasm"
    path.write_text(BELL3)
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "pulsed.pulse.openpulse.syntax", raising=False)
    monkeypatch.delattr("pulsed.pulse.openpulse.syntax", raising=False)
    monkeypatch.setattr("qiskit.utils.optionals.HAS_QASM3_IMPORT._bool", None)
    with pytest.raises(CircuitError, match=r"pip install 'pulsed\[openqasm\]'"):
        read_circuits(path)


def test_qpy_of_several_circuits_is_read(tmp_path):
    path = tmp_path / "two.qpy"
    with path.open("wb") as file:
        qpy.dump([bell(), QuantumCircuit(1)], file)
    first, second = read_circuits(path)
    assert first == bell()
    assert second.num_qubits == 1


def test_boxes_with_pulses_are_read(tmp_path):
    circuit = QuantumCircuit(1, 1)
    turn = pulse.Schedule((0, pulse.Play(pulse.Constant(64, 0.1), pulse.DriveChannel(0))), name="turn")
    with pulse.calibrated_box(circuit, turn, 0):
        circuit.x(0)
    circuit.measure(0, 0)
    binary, text, damaged = tmp_path / "box.qpy", tmp_path / "box.qasm", tmp_path / "bad.qasm"
    with binary.open("wb") as file:
        qpy.dump(circuit, file, annotation_factories=pulse.QPY_ANNOTATIONS)
    written = qasm3.dumps(circuit, annotation_handlers=pulse.QASM3_ANNOTATIONS)
    text.write_text(written)
    damaged.write_text(written.replace("calibration 1 ", "calibration 1 AAAA"))
    for path in (binary, text):
        (found,) = read_circuits(path)
        assert [item.operation.annotations for item in found.data if item.name == "box"] == [
            circuit.data[0].operation.annotations
        ]
    with pytest.raises(CircuitError, match=r"bad.qasm.*no calibration of a box"):
        read_circuits(damaged)


def test_old_qpy_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "old.qpy"
    path.write_bytes(b"QISKIT\x0c" + b"anything at all, at any length")
    with pytest.raises(IncompatibleError, match=r"old.qpy.*got QPY 12; legal: QPY 13 to"):
        read_circuits(path)


@pytest.mark.parametrize(
    "data", [b"", b"QISKIT", b"PK\x03\x04 not QPY", b"QISKIT\x0d\x00\x00", b"QISKIT\x0d" + bytes(10) + b"\x01pq\xff"]
)
def test_what_is_no_qpy_says_so(tmp_path, data):
    path = tmp_path / "bad.qpy"
    path.write_bytes(data)
    with pytest.raises((CircuitError, IncompatibleError), match=r"is not a QPY file|is a damaged QPY file"):
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


@pytest.mark.parametrize("name", ["mine.inc", "{folder}/mine.inc", "../{parent}/mine.inc"])
def test_what_was_sent_reads_no_other_file(tmp_path, name):
    (tmp_path / "mine.inc").write_text("gate own a { }\n")
    path = tmp_path / "sent.qasm"
    name = name.format(folder=tmp_path, parent=tmp_path.name)
    path.write_text(f'OPENQASM 2.0; include "{name}"; qreg q[1]; own q[0];')
    (circuit,) = read_circuits(path)
    assert circuit.count_ops() == {"own": 1}
    with pytest.raises(CircuitError, match=r"unable to find '[^']*mine.inc'"):
        read_circuits(path, includes=False)
    path.write_text(f'OPENQASM 3; include "{name}"; qubit q; own q;')
    with pytest.raises(CircuitError, match="non-stdgates"):
        read_circuits(path, includes=False)
    for text in (BELL, BELL3):
        path.write_text(text)
        assert read_circuits(path, includes=False)
