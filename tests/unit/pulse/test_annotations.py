"""The annotation of boxes that are played as a schedule."""

import copy
import io
import pickle

import numpy as np
import pytest
import qiskit
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3, qpy
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator

from pulsed import pulse
from pulsed.pulse.exceptions import PulseError, SerialisationError

if not hasattr(qiskit.circuit, "Annotation"):
    pytest.skip("this Qiskit has no boxes with annotations", allow_module_level=True)

AMP, ANGLE = Parameter("amp"), Parameter("angle")
D0, D1 = pulse.DriveChannel(0), pulse.DriveChannel(1)


def flip(qubit=0, amp=0.2):
    return pulse.Schedule((0, pulse.Play(pulse.Drag(64, amp, 16, 1.0), pulse.DriveChannel(qubit))), name="flip")


def boxed(calibration, qubits=(0,), content="x", circuit=None):
    circuit = QuantumCircuit(3, 1) if circuit is None else circuit
    with pulse.calibrated_box(circuit, calibration, qubits, label="mine"):
        getattr(circuit, content)(*qubits)
    circuit.measure(0, 0)
    return circuit


def through_qpy(circuit, version=qpy.QPY_VERSION):
    file = io.BytesIO()
    qpy.dump(circuit, file, version=version, annotation_factories=pulse.QPY_ANNOTATIONS)
    file.seek(0)
    (found,) = qpy.load(file, annotation_factories=pulse.QPY_ANNOTATIONS)
    return found


def through_text(circuit):
    text = qasm3.dumps(circuit, annotation_handlers=pulse.QASM3_ANNOTATIONS)
    return qasm3.loads(text, annotation_handlers=pulse.QASM3_ANNOTATIONS)


def annotations(circuit):
    return [item.operation.annotations for item in circuit.data if item.name == "box"]


CALIBRATIONS = [
    pulse.Calibration(flip()),
    pulse.Calibration(flip(), 0),
    pulse.Calibration(flip(amp=AMP), [0]),
    pulse.Calibration({(0,): flip(), 1: flip(1, AMP)}),
]


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=repr)
def test_it_survives_copies_qpy_and_text(calibration):
    circuit = boxed(calibration)
    for version in (15, 17, qpy.QPY_VERSION):
        assert through_qpy(circuit, version) == circuit
    assert annotations(through_text(circuit)) == annotations(circuit)
    for same in (circuit.copy(), copy.deepcopy(circuit), pickle.loads(pickle.dumps(circuit))):
        assert same == circuit
    assert copy.deepcopy(calibration) == calibration == pickle.loads(pickle.dumps(calibration))
    assert hash(copy.deepcopy(calibration)) == hash(calibration)


def test_it_differs_where_what_is_played_does():
    different = [*CALIBRATIONS, pulse.Calibration(flip(), 1), pulse.Calibration(flip(amp=0.3)), "flip"]
    for i, one in enumerate(different):
        assert [one == other for other in different].count(True) == 1, i


def test_a_block_keeps_its_late_length():
    with pulse.build() as block:
        pulse.play(pulse.Constant(Parameter("t"), 0.1), D0)
    calibration = pulse.Calibration(block, 0)
    assert list(calibration.parameters) == ["t"]
    assert annotations(through_qpy(boxed(calibration)))[0][0] == calibration.with_marks()


@given(st.floats(-1e9, 1e9) | st.integers(-3, 3).map(lambda k: k * np.pi))
@settings(deadline=None, max_examples=30)
def test_marks_mean_nothing(value):
    circuit = QuantumCircuit(2)
    pulse.annotations.mark(circuit, circuit.qubits[::-1], [value])
    assert Operator(circuit).equiv(np.eye(4), atol=1e-6)


def test_the_box_has_the_parameters_of_its_schedule():
    circuit = boxed(pulse.Calibration(flip(amp=AMP + ANGLE), 0))
    assert set(circuit.parameters) == {AMP, ANGLE}
    assert not circuit.assign_parameters({AMP: 0.2, ANGLE: 0.1}).parameters


def test_bound_copies_keep_their_values():
    """However they travel: of gates that Qiskit does not know, copies share the last values."""
    circuit = boxed(pulse.Calibration(flip(amp=AMP), 0))
    first, _ = (circuit.assign_parameters({AMP: value}) for value in (0.25, 0.5))
    ways = (
        lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, QuantumCircuit(3, 1).compose, through_text,
        lambda one: through_qpy(one, 15), lambda one: through_qpy(one, 17), through_qpy,
    )  # fmt: skip
    for way in ways:
        body = way(first).data[0].operation.body
        assert [float(item.params[0]) for item in body.data if item.name == "rz"] == [0.25, 0.75, -1.0]


def test_a_plain_schedule_is_for_the_physical_qubits_with_these_numbers():
    ((calibration,),) = annotations(boxed(flip(1), [2, 1], "cx"))
    assert calibration.marked
    assert list(calibration.schedules) == [(2, 1)]
    assert repr(calibration) == "Calibration(flip on 2, 1)"
    ((table,),) = annotations(boxed({0: flip(), 1: flip(1)}, [2]))
    assert list(table.schedules) == [(0,), (1,)]


def test_the_content_is_what_a_simulator_runs():
    circuit = QuantumCircuit(2, 1)
    circuit.h(1)
    with pulse.calibrated_box(circuit, flip(amp=AMP), 0):
        circuit.rx(AMP, 0)
        with circuit.box():
            circuit.cx(0, 1)
    plain = QuantumCircuit(2)
    plain.h(1)
    plain.rx(0.3, 0)
    plain.cx(0, 1)
    found = pulse.content_of(circuit)
    assert list(found.parameters) == [AMP]
    assert "box" not in found.count_ops()
    assert Operator(found.assign_parameters({AMP: 0.3}).remove_final_measurements(inplace=False)).equiv(plain)
    deciding = QuantumCircuit(1, 1)
    deciding.measure(0, 0)
    with deciding.if_test((deciding.clbits[0], 1)), pulse.calibrated_box(deciding, flip(), 0):
        deciding.x(0)
    (body,) = pulse.content_of(deciding).data[1].operation.blocks
    assert body.count_ops() == {"barrier": 1, "x": 1}
    assert deciding.data[1].operation.blocks[0].count_ops() == {"box": 1}


@pytest.mark.parametrize("qubits", [3, [0, 0], "q", 1.5, [], None, QuantumCircuit(1).qubits[0], [[0]]])
def test_what_is_no_qubit_of_the_circuit_is_refused(qubits):
    with pytest.raises(PulseError, match=r"circuit 'three': not qubits.*legal: different ones of 0 to 2"):
        boxed(flip(), qubits, circuit=QuantumCircuit(3, 1, name="three"))


def test_qubits_are_given_as_in_qiskit():
    circuit = QuantumCircuit(3, 1)
    for qubits in (1, np.int64(1), circuit.qubits[1], [circuit.qubits[1]], circuit.qregs[0][1:2], range(1, 2)):
        with pulse.calibrated_box(circuit, flip(1), qubits):
            circuit.x(1)
    assert [item.qubits for item in circuit.data] == [(circuit.qubits[1],)] * 6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pulse.Calibration("flip"), "not a pulse program.*got str"),
        (lambda: pulse.Calibration({}), "needs schedules"),
        (lambda: pulse.Calibration({0: flip()}, 0), "needs schedules"),
        (lambda: pulse.Calibration(flip(), [0, 0]), r"not qubits.*\[0, 0\].*distinct"),
        (lambda: pulse.Calibration(flip(), -1), "not qubits"),
        (lambda: pulse.Calibration(flip(), "q"), "not qubits"),
        (lambda: pulse.Calibration({"q": flip()}), "not qubits"),
    ],
)
def test_what_is_no_calibration_is_refused(make, message):
    with pytest.raises(PulseError, match=message):
        make()


@pytest.mark.parametrize("text", ["", "2 AAAA", "1 %", "1 AAAA", "1 kcA="])
def test_other_text_is_refused(text):
    with pytest.raises(SerialisationError):
        pulse.CalibrationSerializer().load("pulsed.calibration", text)


def test_other_annotations_are_left_to_others():
    class Other(qiskit.circuit.Annotation):
        namespace = "other"

    serializer = pulse.CalibrationSerializer()
    assert serializer.dump(Other()) is NotImplemented
    assert serializer.load("other", "1 AAAA") is NotImplemented
