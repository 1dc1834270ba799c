"""Circuits with if_test become blocks on a bit: when they begin, what they play, which frames depend on them."""

from itertools import pairwise

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ClassicalRegister, Parameter, QuantumRegister
from qiskit.circuit.classical import expr

from pulsed.compiler.compile import Compiler
from pulsed.compiler.control_flow_checks import check_control_flow
from pulsed.compiler.program import Branch, MadeBit
from pulsed.model.errors import CircuitError
from pulsed.model.job import RunOptions

READOUT, FLIGHT, LATENCY = 800, 60, 400


def active_reset(value=1, bits=1):
    circuit = QuantumCircuit(5, bits, name="reset")
    circuit.sx(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], value)):
        circuit.x(0)
    return circuit


def compiled(compiler, circuit, **options):
    (chunk,) = compiler.compile([circuit], RunOptions(shots=10, **options))
    program = chunk.programs[0]
    return chunk, program, chunk.array(program.events), chunk.array(program.acquisitions)


def channels(chunk, rows):
    return [chunk.head.slots[slot].channel for slot in rows["slot"]]


@pytest.mark.parametrize("value", [0, 1])
def test_active_reset(compiler, value):
    """The second block begins when the bit is there: readout, time of flight, latency; its x is that of the first."""
    chunk, program, events, _ = compiled(compiler, active_reset(value))
    first, second = program.blocks
    assert (first.branch, second.branch) == (None, Branch(0, value))
    assert first.duration == 32 + READOUT + FLIGHT + LATENCY
    assert second.duration == 32
    assert program.duration == first.duration + second.duration
    assert first.acquisitions == (0, 1)
    assert second.acquisitions == (1, 1)
    own = events[slice(*second.events)]
    played, turns = own[own["envelope"] >= 0], own[own["envelope"] < 0]
    assert channels(chunk, played) == ["d0"]
    assert played["time"].tolist() == [24], "since the block's start, plus the delay of the port"
    # The rz of 0.02 that completes x: on every frame of qubit 0, which no control channel targets.
    assert sorted(channels(chunk, turns)) == ["d0"]
    np.testing.assert_allclose(turns["phase"], -0.02)
    assert turns["time"].tolist() == [24 + 32]


def test_frames_run_through(compiler):
    """A pulse behind a branch has the phase of its frame as without the branch; what the bit adds is a turn."""
    circuit = active_reset()
    circuit.rz(0.3, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    chunk, program, events, _ = compiled(compiler, circuit)
    last = events[slice(*program.blocks[2].events)]
    plain = QuantumCircuit(5, 1)
    plain.sx(0)
    plain.measure(0, 0)
    plain.rz(0.3, 0)
    plain.x(0)
    plain.measure(0, 0)
    _, _, expected, _ = compiled(compiler, plain)
    d0 = channels(chunk, last).index("d0")
    assert (last["phase"][d0] - expected["phase"][1]) % (2 * np.pi) == pytest.approx(0, abs=1e-9)
    assert program.blocks[2].branch is None


def test_an_rz_on_a_bit_turns_every_frame_of_its_qubit(compiler, device):
    """It takes no time: its drive and the control channels that target it turn by minus the angle."""
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.rz(0.7, 1)
    circuit.x(1)
    circuit.measure(1, 0)
    chunk, program, events, _ = compiled(compiler, circuit)
    _, branch, last = program.blocks
    assert branch.duration == 0
    turns = events[slice(*branch.events)]
    frames = ["d1"] + [f"u{k}" for k, pair in enumerate(device.couplings) if pair.target == 1]
    assert sorted(channels(chunk, turns)) == sorted(frames)
    np.testing.assert_allclose(turns["phase"], -0.7)
    assert last.duration >= 32 + READOUT


def test_else_is_a_block_of_its_own(compiler):
    circuit = QuantumCircuit(5, 2)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[1], 0)) as otherwise:
        circuit.x(0)
    with otherwise:
        circuit.sx([0, 2])
        circuit.sx(2)
    _, program, _, _ = compiled(compiler, circuit)
    assert [block.branch for block in program.blocks] == [None, Branch(1, 0), Branch(1, 1)]
    assert [block.duration for block in program.blocks][1:] == [32, 64], "both play on qubit 0"


def test_parts_on_different_qubits_begin_together(compiler):
    """Five resets take the time of one, a second pulse on one of the qubits comes after them."""
    circuit = QuantumCircuit(5, 5)
    circuit.measure(range(5), range(5))
    for q in range(5):
        with circuit.if_test((circuit.clbits[q], 1)):
            circuit.x(q)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.sx(1)
        circuit.sx(1)
    circuit.measure(0, 0)
    chunk, program, events, _ = compiled(compiler, circuit)
    assert [block.branch for block in program.blocks[1:7]] == [*(Branch(q, 1) for q in range(5)), Branch(0, 1)]
    assert [block.duration for block in program.blocks[1:]] == [0, 0, 0, 0, 32, 64, READOUT]
    assert sum(block.duration for block in program.blocks) == program.duration
    for q, block in enumerate(program.blocks[1:6]):
        own = events[slice(*block.events)]
        played = own[own["envelope"] >= 0]
        assert channels(chunk, played) == [f"d{q}"]
        assert played["time"].tolist() == [24 if q < 4 else 0]


def test_the_order_of_what_does_not_touch_is_no_matter(compiler):
    """As a transpiler may write it down: each reset with its readout. All readouts are one, and so are all resets."""
    circuit = QuantumCircuit(5, 10)
    for q in range(5):
        circuit.sx(q)
        circuit.measure(q, q)
        with circuit.if_test((circuit.clbits[q], 1)):
            circuit.x(q)
        circuit.measure(q, 5 + q)
    _, program, _, acquisitions = compiled(compiler, circuit)
    assert [block.branch for block in program.blocks] == [None, *(Branch(q, 1) for q in range(5)), None]
    assert program.duration == 32 + READOUT + FLIGHT + LATENCY + 32 + READOUT
    assert len(acquisitions) == 10


def test_a_bit_is_not_measured_again_before_it_was_looked_at(compiler):
    """Qubit 1 is measured into the bit that qubit 2 waits for: after the pulse on qubit 2."""
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(2)
    circuit.measure(1, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(3)
    _, program, _, _ = compiled(compiler, circuit)
    assert [block.branch for block in program.blocks] == [None, Branch(0, 1), None, Branch(0, 1)]


def test_a_bit_that_came_long_ago_is_not_waited_for(compiler):
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    circuit.barrier()
    circuit.delay(2000, 0, unit="dt")
    circuit.sx(1)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    _, program, _, _ = compiled(compiler, circuit)
    assert program.blocks[0].duration == READOUT + 2000


def test_the_last_measurement_of_a_bit_counts(compiler):
    circuit = active_reset()
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    _, program, _, acquisitions = compiled(compiler, circuit)
    assert [block.branch for block in program.blocks] == [None, Branch(0, 1), None, Branch(0, 1)]
    assert program.blocks[2].duration == READOUT + FLIGHT + LATENCY
    assert acquisitions["time"].tolist() == [32 + FLIGHT, FLIGHT], "since the start of their block"


@pytest.mark.parametrize(
    "condition",
    [
        lambda c, r: (r, 1),
        lambda c, r: (c, True),
        lambda c, r: expr.lift(c),
        lambda c, r: expr.logic_not(expr.logic_not(c)),
    ],
)
def test_ways_to_say_it(compiler, condition):
    register = ClassicalRegister(1, "one")
    circuit = QuantumCircuit(QuantumRegister(5), ClassicalRegister(2, "other"), register)
    circuit.measure(0, register[0])
    with circuit.if_test(condition(register[0], register)):
        circuit.x(3)
    _, program, _, _ = compiled(compiler, circuit)
    assert program.blocks[1].branch == Branch(2, 1)


def test_not(compiler):
    circuit = QuantumCircuit(5, 1)
    circuit.measure(0, 0)
    with circuit.if_test(expr.logic_not(circuit.clbits[0])):
        circuit.x(0)
    _, program, _, _ = compiled(compiler, circuit)
    assert program.blocks[1].branch == Branch(0, 0)


def test_a_measurement_in_a_body_is_played_where_the_bit_is_and_recorded_in_all_shots(compiler):
    """Its record has a slot of its own unless it is the last of its bit; the bit is made of both."""
    circuit = QuantumCircuit(5, 2)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.measure(1, 1)
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(2)
    _, program, events, rows = compiled(compiler, circuit)
    first, played, recorded, *decided = program.blocks
    assert (first.branch, played.branch, recorded.branch) == (None, Branch(0, 1), None)
    assert (played.duration, recorded.duration) == (0, READOUT + FLIGHT + LATENCY)
    assert played.acquisitions[0] == played.acquisitions[1]
    assert recorded.events[0] == recorded.events[1]
    assert rows["memory_slot"].tolist() == [0, 2, 1]
    assert len(events[slice(*played.events)]) == 1
    assert [block.branch for block in decided] == [Branch(0, 1, ((1, 1),)), Branch(0, 0, ((2, 1),))]
    assert program.made == (MadeBit(1, ((2, ()), (1, ((0, 1),)))),)
    assert program.memory_slots == 2


def test_a_reset_in_a_body_is_read_and_turned(compiler):
    circuit = QuantumCircuit(5, 2)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.reset(1)
    chunk, program, events, rows = compiled(compiler, circuit)
    _, _, _, turned = program.blocks
    assert rows["qubit"].tolist() == [0, 1]
    assert rows["memory_slot"].tolist() == [0, 2]
    assert turned.branch == Branch(0, 0, ((2, 1),))
    own = events[slice(*turned.events)]
    assert channels(chunk, own[own["envelope"] >= 0]) == ["d1"]
    assert program.made == ()


def test_a_reset_in_a_body_needs_a_readout_and_an_x(device, calibration):
    circuit = QuantumCircuit(5, 1, name="turns")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.reset(1)
    every = {(name, (qubit,)) for name in ("measure", "reset", "x") for qubit in (0, 1)}
    check_control_flow(circuit, device, calibration, None, every)
    for missing in ("measure", "x"):
        with pytest.raises(CircuitError, match=rf"circuit turns, instruction 1.*got no {missing} on 1"):
            check_control_flow(circuit, device, calibration, None, every - {(missing, (1,))})


def test_readouts_on_bits_are_one_after_the_other(compiler):
    """Windows of a digitizer coincide or are apart, and these would begin where their gates end."""
    circuit = QuantumCircuit(5, 4)
    circuit.measure([0, 1], [0, 1])
    for qubit, bit in ((2, 0), (3, 1)):
        with circuit.if_test((circuit.clbits[bit], 1)):
            circuit.x(qubit)
            if bit:
                circuit.delay(100, qubit, "dt")
            circuit.measure(qubit, bit + 2)
    preview = compiler.preview(circuit)
    windows = sorted((start, length) for _, start, length in preview.windows())
    assert all(one == other or sum(one) <= other[0] for one, other in pairwise(windows))


def refused(change):
    circuit = QuantumCircuit(5, 3, name="refused")
    circuit.measure([0, 2], [0, 2])
    change(circuit)
    circuit.measure(1, 1)
    return circuit


def _unmeasured(circuit):
    with circuit.if_test((circuit.clbits[1], 1)):
        circuit.x(0)


def _loop(circuit):
    with circuit.while_loop((circuit.clbits[0], 1)):
        circuit.x(0)


def _late(circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.rz(Parameter("a"), 0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_unmeasured, "nothing was measured into"), (_loop, "while_loop"), (_late, "no value yet"),
    ],
)  # fmt: skip
def test_what_cannot_be_played_is_refused_by_name(compiler, device, calibration, change, match):
    """When it is lowered, and with the same words by the check that needs no compiler."""
    with pytest.raises(CircuitError, match=match) as caught:
        compiler.compile([refused(change)], RunOptions(shots=10))
    assert "refused" in caught.value.subject
    if change is not _late:
        with pytest.raises(CircuitError, match=match) as checked:
            check_control_flow(refused(change), device, calibration)
        assert checked.value.subject == "circuit refused, instruction 2"


def test_what_can_be_played_passes_the_check(device, calibration):
    check_control_flow(active_reset(), device, calibration)
    check_control_flow(QuantumCircuit(5, 1), device, calibration)


def test_a_rack_without_feedback_refuses(device, calibration):
    timing = device.timing.model_copy(update={"feedback_latency": None})
    other = Compiler(device.model_copy(update={"timing": timing}), calibration)
    with pytest.raises(CircuitError, match="feedback latency"):
        other.compile([active_reset()], RunOptions(shots=10))
    with pytest.raises(CircuitError, match="feedback latency"):
        check_control_flow(active_reset(), other.device)


def test_a_schedule_of_it_is_refused(compiler):
    with pytest.raises(CircuitError, match="control flow") as caught:
        compiler.schedule(active_reset())
    assert caught.value.code == "control_flow"


def test_values_bound_late_are_lowered_one_by_one(compiler):
    angle = Parameter("a")
    circuit = QuantumCircuit(5, 1)
    circuit.rz(angle, 0)
    circuit.sx(0)
    circuit.compose(active_reset(), inplace=True)
    circuit.measure(0, 0)
    chunks = compiler.sweep(circuit, {angle: [0.1, 0.2]}, RunOptions(shots=10))
    assert sum(len(chunk.programs) for chunk in chunks) == 2


def test_other_programs_of_the_chunk_are_as_they_were(compiler):
    """Envelopes are renumbered for all programs together; a turn has none."""
    plain = QuantumCircuit(5, 1)
    plain.x(0)
    plain.measure(0, 0)
    (chunk,) = compiler.compile([active_reset(), plain], RunOptions(shots=10))
    (alone,) = compiler.compile([plain], RunOptions(shots=10))
    found, expected = (c.array(c.programs[-1].events) for c in (chunk, alone))
    for row, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(chunk.envelope(row["envelope"]), alone.envelope(other["envelope"]))
    names = [name for name in found.dtype.names if name != "envelope"]
    assert all(np.array_equal(found[name], expected[name]) for name in names)


def test_a_preview_shows_all_branches_where_they_play(compiler):
    circuit = active_reset()
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.sx(1)
    circuit.measure(0, 0)
    preview = compiler.preview(circuit)
    begin = 32 + READOUT + FLIGHT + LATENCY
    assert [(pulse.start, pulse.length) for pulse in preview.pulses("d0")] == [(0, 32), (begin, 32)]
    assert [(pulse.start, pulse.length) for pulse in preview.pulses("d1")] == [(begin, 32)]
    assert [(start, length) for _, start, length in preview.windows()] == [
        (32 + FLIGHT, READOUT), (begin + 32 + FLIGHT, READOUT)
    ]  # fmt: skip
    assert preview.memory_of("awg1") == (3, 32), "x and sx have one shape"
    assert [segment.start for segment in preview.segments("d0")] == [0, begin]
    assert preview.violations() == []
