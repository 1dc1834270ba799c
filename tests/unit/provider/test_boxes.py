"""Circuits with boxes that are played as a schedule, through run, up to what the rack gets."""

import io

import numpy as np
import pytest
import qiskit
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qasm3, qpy, transpile
from qiskit.circuit import Gate, Parameter

from pulsed import pulse
from pulsed.provider.errors import UnsupportedCircuitError
from pulsed.provider.primitives.decoupling import decouple
from pulsed.provider.primitives.twirling import twirl_gates

from .test_serialization import bare, sent
from .test_serialization import played as samples

if not hasattr(qiskit.circuit, "Annotation"):
    pytest.skip("this Qiskit has no boxes with annotations", allow_module_level=True)

AMP, OTHER = Parameter("amp"), Parameter("other")


def flip(qubit=0, amp=0.2, name="flip"):
    line = pulse.DriveChannel(qubit)
    first, second = pulse.Play(pulse.Drag(48, amp, 12, 0.1), line), pulse.Play(pulse.Constant(40, 0.1), line)
    return pulse.Schedule((0, first), (48, pulse.ShiftPhase(0.3, line)), (48, second), name=name)


def cross(control=0, target=1, channel=0):
    return pulse.Schedule(
        (0, pulse.Play(pulse.GaussianSquare(320, 0.3, 16, width=256), pulse.ControlChannel(channel))),
        (0, pulse.Play(pulse.Constant(320, 0.02), pulse.DriveChannel(target))),
        (320, pulse.Play(pulse.Drag(64, 0.2, 16, 1.0), pulse.DriveChannel(control))),
        name="cross",
    )


def rabi(amp=AMP, **box):
    circuit = QuantumCircuit(1, 1, name="rabi")
    circuit.sx(0)
    with pulse.calibrated_box(circuit, flip(amp=amp), 0, label="pulse", **box):
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def bound(circuit, value=0.2):
    """Return the circuit with a value for its amplitude, under its own name."""
    found = circuit.assign_parameters({"amp": value})
    found.name = circuit.name
    return found


def gates(amp=0.2):
    """The same as :func:`rabi` with a gate and its pulses beside it."""
    circuit = QuantumCircuit(1, 1, name="rabi")
    circuit.sx(0)
    circuit.append(Gate("flip", 1, []), [0])
    circuit.measure(0, 0)
    return circuit, {("flip", (0,)): flip(amp=amp)}


def chunks(backend, daemon, worker, programs, **options):
    return worker.compile(*sent(backend, daemon, programs, **options)[1:])


def played(backend, daemon, worker, programs, **options):
    return [bare(chunk) for chunk in chunks(backend, daemon, worker, programs, **options)]


def through_qpy(circuit):
    file = io.BytesIO()
    qpy.dump(circuit, file, annotation_factories=pulse.QPY_ANNOTATIONS)
    file.seek(0)
    return qpy.load(file, annotation_factories=pulse.QPY_ANNOTATIONS)[0]


def through_text(circuit):
    text = qasm3.dumps(circuit, annotation_handlers=pulse.QASM3_ANNOTATIONS)
    found = qasm3.loads(text, annotation_handlers=pulse.QASM3_ANNOTATIONS)
    found.name = circuit.name
    return found


def raw(calibration, qubits=(0,), content=None):
    """A box as Qiskit makes it, without marks."""
    circuit = QuantumCircuit(5, 5, name="raw")
    with circuit.box(annotations=[calibration], label="mine"):
        content(circuit) if content else circuit.x(list(qubits))
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("way", ["plain", "bound", "transpiled", "qpy", "text", "raw"])
def test_a_box_plays_the_samples_of_a_pulse_gate(fixed, worker, way):
    backend, daemon, _ = fixed
    ways = {
        "plain": lambda: rabi(0.2),
        "bound": lambda: bound(rabi()),
        "transpiled": lambda: bound(transpile(rabi(), backend, initial_layout=[0])),
        "qpy": lambda: bound(through_qpy(rabi())),
        "text": lambda: through_text(bound(rabi())),
        "raw": lambda: raw(pulse.Calibration(flip())),
    }
    circuit, calibrations = gates()
    if way == "raw":
        circuit = QuantumCircuit(5, 5, name="raw")
        circuit.append(Gate("flip", 1, []), [0])
        circuit.measure(0, 0)
    mine = played(backend, daemon, worker, ways[way]())
    theirs = played(backend, daemon, worker, circuit, calibrations=calibrations)
    if way == "transpiled":  # it has the other qubits, too
        mine, theirs = [one[1] for one in mine], [one[1] for one in theirs]
    assert mine == theirs


VALUES = st.floats(-1, 1)
LINES = st.sampled_from([pulse.DriveChannel(0), pulse.DriveChannel(1), pulse.ControlChannel(0)])
PARTS = st.lists(
    st.one_of(
        st.builds(lambda amp, line: pulse.Play(pulse.Gaussian(64, amp, 16), line), VALUES | st.just(AMP), LINES),
        st.builds(lambda amp, line: pulse.Play(pulse.Constant(48, 0.5, angle=amp), line), VALUES | st.just(AMP), LINES),
        st.builds(pulse.ShiftPhase, VALUES | st.just(AMP * 2 + OTHER), LINES),
        st.builds(lambda hop, line: pulse.ShiftFrequency(1e6 * hop, line), VALUES | st.just(OTHER), LINES),
        st.builds(pulse.Delay, st.integers(1, 20).map(lambda k: 8 * k), LINES),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@given(PARTS, VALUES, VALUES, st.booleans())
@settings(deadline=None, max_examples=25)
def test_every_schedule_plays_the_same_in_a_box_and_beside_the_circuit(fixed, worker, parts, first, second, swapped):
    backend, daemon, _ = fixed
    schedule = pulse.Schedule(name="random")
    for part in parts:
        schedule = schedule.append(part)
    values = {one: value for one, value in ((AMP, first), (OTHER, second)) if one in schedule.parameters}
    order = (1, 0) if swapped else (0, 1)
    boxed, beside = QuantumCircuit(2, 2, name="both"), QuantumCircuit(2, 2, name="both")
    boxed.sx(order)
    beside.sx(order)
    with pulse.calibrated_box(boxed, schedule, order):
        boxed.cx(*order)
    beside.append(Gate("mine", 2, []), order)
    for one in (boxed, beside):
        one.rz(0.3, 0)
        one.sx(0)
        one.measure([0, 1], [0, 1])
    known = boxed.assign_parameters(values)
    known.name = boxed.name
    gates = {("mine", order): schedule.assign_parameters(values, inplace=False)}
    (theirs,) = chunks(backend, daemon, worker, beside, calibrations=gates)
    for one in (known, through_qpy(known)):
        (mine,) = chunks(backend, daemon, worker, one)
        assert samples(mine) == samples(theirs)
    assert backend.schedule(known) == backend.schedule(beside, calibrations=gates)


def test_one_circuit_with_many_amplitudes_is_lowered_once(fixed, worker):
    backend, daemon, _ = fixed
    amplitudes = np.linspace(-0.4, 0.4, 101)
    (chunk,) = chunks(backend, daemon, worker, rabi(), parameter_binds={AMP: amplitudes})
    assert [program.count for program in chunk.programs] == [101]
    each = chunk.unrolled()
    for number in (0, 50, 63, 100):
        circuit, calibrations = gates(amplitudes[number])
        (one,) = chunks(backend, daemon, worker, circuit, calibrations=calibrations)
        a, b = each.array(each.programs[number].events), one.array(one.programs[0].events)
        assert [each.head.keys[k] for k in a["envelope"]] == [one.head.keys[k] for k in b["envelope"]]
        assert np.array_equal(a["time"], b["time"])
        np.testing.assert_allclose(
            a["amplitude"] * np.exp(1j * a["phase"]), b["amplitude"] * np.exp(1j * b["phase"]), atol=1e-12
        )


def test_bound_circuits_share_their_schedule(fixed):
    """As primitives of Qiskit hand them in: one schedule travels, not one for each."""
    backend, daemon, _ = fixed
    circuit = transpile(rabi(), backend)
    _, request, parts = sent(backend, daemon, [bound(circuit, value) for value in np.linspace(0.1, 0.4, 5)])
    assert request.kinds == ("qpy", "gate")
    assert len(request.gates) == 1
    values = [
        next(item.params for item in one.data if item.name.startswith("cal")) for one in qpy.load(io.BytesIO(parts[0]))
    ]
    np.testing.assert_allclose(np.ravel(values), np.linspace(0.1, 0.4, 5), rtol=0)


@pytest.mark.parametrize("value", [0.0, 2 * np.pi, -4 * np.pi, 1e6, 1e-9, -0.25])
@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_values_bound_before_transpiling_arrive(fixed, value, level):
    backend, _, _ = fixed
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    turned = pulse.Schedule((0, pulse.ShiftPhase(AMP * 1.5, pulse.DriveChannel(0))), (0, flip().instructions[0][1]))
    with pulse.calibrated_box(circuit, turned, 0):
        circuit.h(0)
    circuit.measure(0, 0)
    shown = backend.schedule(transpile(bound(circuit, value), backend, optimization_level=level, initial_layout=[0, 1]))
    shifts = [one.phase for _, one in shown.instructions if isinstance(one, pulse.ShiftPhase)]
    assert min(abs(np.array(shifts) - 1.5 * value)) < 1e-12 * max(1, abs(value))


def test_the_layout_chooses_the_schedule(fixed):
    backend, _, _ = fixed
    table = {(q,): flip(q) for q in range(5)}
    circuit = QuantumCircuit(1, 1)
    with pulse.calibrated_box(circuit, table, 0):
        circuit.x(0)
    circuit.measure(0, 0)
    for qubit in range(5):
        shown = backend.schedule(transpile(circuit, backend, initial_layout=[qubit]))
        assert pulse.DriveChannel(qubit) in shown.channels


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_a_pair_is_followed_in_its_order(fixed, level):
    backend, _, _ = fixed
    circuit = QuantumCircuit(2, 2, name="pair")
    circuit.h(0)
    with pulse.calibrated_box(circuit, cross(), [0, 1], label="cr"):
        circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    kept = transpile(circuit, backend, initial_layout=[0, 1], optimization_level=level)
    assert pulse.ControlChannel(0) in backend.schedule(kept).channels
    swapped = transpile(circuit, backend, initial_layout=[1, 0], optimization_level=level)
    with pytest.raises(UnsupportedCircuitError, match=r"'pair', instruction \d+ \(box 'cr'\).*1, 0.*legal: 0, 1"):
        backend.run(swapped)


def test_a_pair_without_marks_may_not_move(fixed):
    backend, _, _ = fixed
    circuit = raw(pulse.Calibration(cross(), [0, 1]), content=lambda c: c.ecr(0, 1))
    assert pulse.ControlChannel(0) in backend.schedule(circuit).channels
    moved = transpile(circuit, backend, initial_layout=[1, 0, 2, 3, 4])
    with pytest.raises(UnsupportedCircuitError, match=r"calibrated_box"):
        backend.run(moved)


def test_it_is_as_long_as_its_schedule_and_nothing_moves_past_it(fixed):
    backend, _, _ = fixed
    circuit = QuantumCircuit(2, 1)
    circuit.x(1)
    with pulse.calibrated_box(circuit, flip(), 0):
        for _ in range(7):
            circuit.x(0)
    circuit.barrier(0, 1)
    circuit.measure(0, 0)
    alone = circuit.copy_empty_like()
    alone.x(1)
    alone.barrier(0, 1)
    alone.measure(0, 0)
    with_box, without = (
        backend.schedule(transpile(one, backend, initial_layout=[0, 1], optimization_level=0))
        for one in (circuit, alone)
    )
    assert with_box.duration - without.duration == 88 - 40  # the x on the other qubit takes 40 beside it


def test_inside_of_a_decision(fixed, worker):
    backend, daemon, _ = fixed

    def decided(inside):
        circuit = QuantumCircuit(2, 2, name="decided")
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            inside(circuit)
        circuit.measure(1, 1)
        return circuit

    def box(circuit):
        with pulse.calibrated_box(circuit, flip(1, AMP), 1):
            circuit.x(1)

    circuit = decided(box)
    mine = played(backend, daemon, worker, bound(circuit))
    other = decided(lambda one: one.append(Gate("flip", 1, []), [1]))
    assert mine == played(backend, daemon, worker, other, calibrations={("flip", (1,)): flip(1)})
    swept = chunks(backend, daemon, worker, circuit, parameter_binds={AMP: [0.1, 0.2]})
    assert sum(program.count for chunk in swept for program in chunk.programs) == 2
    frequency = pulse.Schedule((0, pulse.SetFrequency(4.9e9, pulse.DriveChannel(1))), name="hop")

    def hop(circuit):
        with pulse.calibrated_box(circuit, frequency, 1):
            circuit.x(1)

    with pytest.raises(UnsupportedCircuitError, match="measured bit cannot do this"):
        backend.run(decided(hop))


def test_a_box_may_measure(fixed, worker):
    backend, daemon, _ = fixed
    measure = pulse.Schedule(
        (0, pulse.Play(pulse.Constant(1200, 0.1), pulse.MeasureChannel(0))),
        (0, pulse.Acquire(1200, pulse.AcquireChannel(0), pulse.MemorySlot(1))), name="readout",
    )  # fmt: skip

    def circuit(bit):
        found = QuantumCircuit(1, 2, name="readout")
        with pulse.calibrated_box(found, measure, 0):
            found.measure(0, bit)
        return found

    (chunk,) = chunks(backend, daemon, worker, circuit(1))
    assert chunk.array(chunk.programs[0].acquisitions)["memory_slot"].tolist() == [1]
    with pytest.raises(UnsupportedCircuitError, match=r"acquires into the bits.*got MemorySlot 1.*legal: MemorySlot 0"):
        backend.run(circuit(0))


def test_the_parameter_of_a_loop(fixed, worker):
    """Each pass plays its own amplitude."""
    backend, daemon, _ = fixed
    step = Parameter("k")
    circuit, plain = QuantumCircuit(1, 1, name="loop"), QuantumCircuit(1, 1, name="loop")
    with circuit.for_loop((1, 2, 3), step), pulse.calibrated_box(circuit, flip(amp=step / 16), 0):
        circuit.rx(step, 0)
    for value in (1, 2, 3):
        with pulse.calibrated_box(plain, flip(amp=value / 16), 0):
            plain.rx(value, 0)
    for one in (circuit, plain):
        one.measure(0, 0)
    assert backend.schedule(circuit) == backend.schedule(plain)
    looped, written = (chunks(backend, daemon, worker, one)[0] for one in (circuit, plain))
    a, b = (one.array(one.programs[0].events) for one in (looped, written))
    assert a["amplitude"].tolist() == b["amplitude"].tolist()


def test_what_a_box_has_measured_may_be_decided_on(fixed, worker):
    backend, daemon, _ = fixed
    measure = pulse.Schedule(
        (0, pulse.Play(pulse.Constant(1200, 0.1), pulse.MeasureChannel(0))),
        (0, pulse.Acquire(1200, pulse.AcquireChannel(0), pulse.MemorySlot(1))), name="readout",
    )  # fmt: skip
    circuit = QuantumCircuit(2, 2, name="decided")
    with pulse.calibrated_box(circuit, measure, 0):
        circuit.measure(0, 1)
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(1)
    circuit.measure(1, 0)
    assert chunks(backend, daemon, worker, circuit)
    with_other = QuantumCircuit(2, 2, name="decided")
    with with_other.if_test((with_other.clbits[1], 1)):
        with_other.x(1)
    with_other.measure(1, 0)
    with pytest.raises(UnsupportedCircuitError, match="nothing was measured into"):
        backend.run(with_other)


class Foreign(qiskit.circuit.Annotation):
    namespace = "foreign"


def test_boxes_without_ours_are_their_content(fixed, worker):
    backend, daemon, _ = fixed
    circuit, plain = QuantumCircuit(1, 1, name="c"), QuantumCircuit(1, 1, name="c")
    with circuit.box(annotations=[Foreign()]):
        circuit.x(0)
    plain.barrier(0)
    plain.x(0)
    plain.barrier(0)
    for one in (circuit, plain):
        one.measure(0, 0)
    assert played(backend, daemon, worker, circuit) == played(backend, daemon, worker, plain)
    assert circuit.data[0].operation.annotations, "the user's own circuit is as it was"


def test_parameters_of_content_change_nothing(fixed, worker):
    """A circuit keeps the parameters that its content alone has: values for them are asked for as before."""
    backend, daemon, _ = fixed
    circuit = QuantumCircuit(1, 1, name="c")
    with pulse.calibrated_box(circuit, flip(), 0):
        circuit.rx(OTHER, 0)
    circuit.measure(0, 0)
    (chunk,) = chunks(backend, daemon, worker, circuit, parameter_binds={OTHER: [0.1, 0.2, 0.3]})
    assert len(chunk.unrolled().programs) == 3
    assert played(backend, daemon, worker, circuit.assign_parameters({OTHER: 1.0}))


def test_a_late_length_in_a_box(fixed, worker):
    backend, daemon, _ = fixed
    length = Parameter("t")
    with pulse.build(name="long") as block:
        pulse.play(pulse.Constant(length, 0.1), pulse.DriveChannel(0))
    circuit = QuantumCircuit(1, 1, name="c")
    with pulse.calibrated_box(circuit, block, 0):
        circuit.x(0)
    circuit.measure(0, 0)
    swept = chunks(backend, daemon, worker, circuit, parameter_binds={length: [32, 64]})
    each = [program.duration for chunk in swept for program in chunk.programs]
    assert each[1] - each[0] == 32
    (one,) = chunks(backend, daemon, worker, circuit.assign_parameters({length: 64}))
    assert one.programs[0].duration == each[1]


BAD = {
    "other qubits": (
        lambda: raw(pulse.Calibration(flip(1), 1)), "other physical qubits.*got qubits 0; legal: 1",
    ),
    "a channel outside": (
        lambda: raw(pulse.Calibration(flip(1))), "not in the box.*got d1; legal: channels of 0",
    ),
    "a control channel outside": (
        lambda: raw(pulse.Calibration(cross(), 0)), "not in the box.*got [ud]",
    ),
    "no such channel": (
        lambda: raw(pulse.Calibration(pulse.Schedule((0, pulse.ShiftPhase(1.0, pulse.ControlChannel(99)))), 0)),
        "not in the box.*got u99",
    ),
    "unbound": (
        lambda: raw(pulse.Calibration(flip(amp=AMP), 0)), "without a value.*calibrated_box.*got amp; legal: none",
    ),
    "a duration": (
        lambda: boxed_for(100), "as long as its schedule.*got 100 dt; legal: 88 dt",
    ),
}  # fmt: skip


def boxed_for(duration):
    circuit = QuantumCircuit(1, 1, name="raw")
    with circuit.box(annotations=[pulse.Calibration(flip(), 0)], label="mine", duration=duration, unit="dt"):
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_with_circuit_and_box(fixed, case):
    backend, _, _ = fixed
    make, message = BAD[case]
    with pytest.raises(UnsupportedCircuitError, match=rf"circuit 0 'raw', instruction 0 \(box 'mine'\): .*{message}"):
        backend.run(make())


def test_two_calibrations_are_refused(fixed):
    backend, _, _ = fixed
    circuit = QuantumCircuit(1, 1, name="raw")
    with circuit.box(annotations=[pulse.Calibration(flip()), pulse.Calibration(flip())]):
        circuit.x(0)
    with pytest.raises(UnsupportedCircuitError, match=r"instruction 0 \(box\).*got 2 calibrations; legal: at most one"):
        backend.run(circuit)


def test_the_right_duration_may_be_stated(fixed):
    backend, _, _ = fixed
    assert backend.schedule(boxed_for(88))


def test_unbound_parameters_are_named(fixed):
    backend, _, _ = fixed
    with pytest.raises(UnsupportedCircuitError, match=r"'rabi.*without a value.*got amp"):
        backend.run(rabi())
    with pytest.raises(UnsupportedCircuitError, match=r"'rabi.*without a value.*got other"):
        backend.run(rabi().assign_parameters({AMP: 2 * OTHER}))


def test_lost_marks_are_refused(fixed):
    backend, _, _ = fixed
    circuit = rabi()
    body = circuit.data[1].operation.body.copy_empty_like()
    body.x(0)
    box = circuit.data[1].operation.replace_blocks([body])
    circuit.data[1] = circuit.data[1].replace(operation=box)
    with pytest.raises(UnsupportedCircuitError, match="lost its marks"):
        backend.run(circuit)


def test_faulty_and_preview(fixed):
    backend, _, _ = fixed
    backend.check_faulty(rabi(0.2))
    shown, played = backend.schedule(rabi(0.2)), backend.preview(rabi(0.2))
    assert played.duration == pytest.approx(shown.duration * backend.dt)


@pytest.mark.parametrize("method", ["pulsed", "pulsed_alap"])
def test_waits_beside_a_box_are_written_with_its_length(fixed, method):
    backend, _, _ = fixed
    circuit = QuantumCircuit(2, 2, name="idle")
    circuit.ecr(0, 1)
    with pulse.calibrated_box(circuit, long(2000), 0, label="long"):
        circuit.x(0)
        circuit.delay(100, 0)
    circuit.ecr(0, 1)
    circuit.measure([0, 1], [0, 1])
    plain, timed = (
        transpile(circuit, backend, initial_layout=[0, 1], optimization_level=1, scheduling_method=one)
        for one in ("default", method)
    )
    assert backend.schedule(timed).duration == backend.schedule(plain).duration
    boxes = [[item.operation for item in one.data if item.name == "box"] for one in (plain, timed)]
    assert boxes[0] == boxes[1]
    if method == "pulsed_alap":
        assert [item.params[0] for item in timed.data if item.name == "delay"] == [2000]


def test_a_box_of_unknown_length_is_waited_for(fixed):
    backend, _, _ = fixed
    for box in (long(Parameter("t")), {(1,): long(100)}):  # a late length, another qubit
        circuit = QuantumCircuit(2, 2, name="idle")
        circuit.ecr(0, 1)
        with pulse.calibrated_box(circuit, box, 0):
            circuit.x(0)
        circuit.ecr(0, 1)
        circuit.measure([0, 1], [0, 1])
        timed = transpile(circuit, backend, initial_layout=[0, 1], scheduling_method="pulsed_alap")
        assert "delay" not in timed.count_ops()


def test_decoupling_and_twirling_leave_the_inside_alone(fixed):
    backend, _, _ = fixed
    circuit = QuantumCircuit(5, 2, name="idle")
    circuit.sx(1)
    with pulse.calibrated_box(circuit, cross(), [0, 1], label="cr"):
        circuit.ecr(0, 1)
    with pulse.calibrated_box(circuit, long(2000), 0, label="long"):
        circuit.x(0)
        circuit.delay(1000, 0)
        circuit.x(0)
    circuit.ecr(0, 1)
    circuit.measure([0, 1], [0, 1])
    found = decouple(circuit, backend.calibrated, "XY4")
    assert [item.operation for item in found.data if item.name == "box"] == [circuit.data[k].operation for k in (1, 2)]
    assert found.count_ops()["x"] == 4, "qubit 1 waits for the second box alone"
    assert backend.schedule(found).duration == backend.schedule(circuit).duration
    twirled = twirl_gates(found, backend.target, 3, np.random.default_rng(1))
    for one in twirled:  # whatever becomes of the content
        assert [item.operation.annotations for item in one.data if item.name == "box"] == [
            item.operation.annotations for item in found.data if item.name == "box"
        ]
        assert backend.schedule(one).filter(channels=[pulse.ControlChannel(0)]).instructions
    circuit = QuantumCircuit(5, 1, name="late")
    with pulse.calibrated_box(circuit, long(Parameter("t")), 0):
        circuit.x(0)
    circuit.measure(0, 0)
    with pytest.raises(UnsupportedCircuitError, match=r"unbound length.*got t"):
        decouple(circuit, backend.calibrated, "XX")


def long(length):
    with pulse.build(name="long") as block:
        pulse.play(pulse.Constant(length, 0.01), pulse.DriveChannel(0))
    return block
