"""What was written is what plays: programs whose bits tell whether order, bits and windows are those of the program."""

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.classical import expr, types

from pulsed.pulse import Acquire, AcquireChannel, MemorySlot, Play, Schedule

SHOTS = 1000


def fractions(result, index):
    """Return how often each bit is 1, bit 0 first."""
    counts = result.get_counts(index)
    width = len(next(iter(counts)).replace(" ", ""))
    keys = {key.replace(" ", "")[::-1]: n for key, n in counts.items()}
    return [sum(n for key, n in keys.items() if key[bit] == "1") / SHOTS for bit in range(width)]


def overwritten():
    """The first measurement into the bit has nothing to hold it back; the second one is of a 1."""
    circuit = QuantumCircuit(5, 1)
    circuit.measure(1, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.delay(5000, 0, "dt")
    return circuit, [1]


def shared():
    circuit = QuantumCircuit(5, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.measure(1, 0)
    circuit.x(1)
    circuit.measure(1, 1)
    return circuit, [0, 1]


def test_the_last_measurement_of_the_program_counts(backend):
    """Readout errs in a few percent of the shots; the wrong order in nearly all."""
    programs = [overwritten(), shared()]
    result = backend.run([circuit for circuit, _ in programs], shots=SHOTS).result(200)
    for index, (circuit, expected) in enumerate(programs):
        assert fractions(result, index) == pytest.approx(expected, abs=0.15)
        assert MemorySlot(0) in backend.schedule(circuit).channels


def test_an_acquisition_longer_than_its_stimulus_reads_what_is_there(backend):
    """The errors are those of the calibrated readout: nothing is added by the empty half of the window."""

    def read(factor, flip):
        x, measure = backend.instruction_schedule_map.get("x", 0), backend.instruction_schedule_map.get("measure", 0)
        stimulus = next(i for _, i in measure.instructions if isinstance(i, Play))
        schedule = Schedule(name=f"{factor} {flip}")
        if flip:
            schedule = schedule.append(x)
        start = x.duration
        window = Acquire(factor * stimulus.duration, AcquireChannel(0), MemorySlot(0))
        return schedule.insert(start, stimulus).insert(start, window)

    result = backend.run([read(factor, flip) for factor in (1, 2) for flip in (0, 1)], shots=SHOTS).result(200)
    zero, one, zero_long, one_long = (fractions(result, index)[0] for index in range(4))
    assert (zero, one) == pytest.approx((0, 1), abs=0.1)
    # Five standard deviations of the difference of two fractions of 5 %.
    assert (zero_long, one_long) == pytest.approx((zero, one), abs=5 * (2 * 0.05 * 0.95 / SHOTS) ** 0.5)


def two_bits(first, second):
    """Return a circuit whose first two bits are those, for conditions on both."""
    circuit = QuantumCircuit(5, 4)
    for qubit, value in enumerate((first, second)):
        if value:
            circuit.x(qubit)
    circuit.measure([0, 1], [0, 1])
    return circuit


def nested(circuit, wanted):
    with circuit.if_test((circuit.clbits[0], wanted & 1)), circuit.if_test((circuit.clbits[1], wanted >> 1)):
        circuit.x(2)
    circuit.measure(2, 2)


def cases(circuit, wanted):
    """x on qubit 2 and 3 where the number of the two bits is ``wanted``, on 3 alone by default; twice at 3, so not."""
    number = expr.bit_or(expr.cast(circuit.clbits[0], types.Uint(2)),
                         expr.shift_left(expr.cast(circuit.clbits[1], types.Uint(2)), 1))  # fmt: skip
    with circuit.switch(number) as case:
        with case(wanted):
            circuit.x(2)
            circuit.x(3)
        with case(case.DEFAULT), circuit.for_loop(range(3)):
            circuit.x(3)
    circuit.measure([2, 3], [2, 3])


@pytest.mark.parametrize("control", [nested, cases])
def test_what_waits_for_two_bits_is_played_where_both_have_their_values(backend, control):
    programs, expected = [], []
    for value in range(4):
        circuit = two_bits(value & 1, value >> 1)
        control(circuit, 2)
        programs.append(transpile(circuit, backend, optimization_level=1, initial_layout=range(5)))
        expected.append((value & 1, value >> 1, int(value == 2), int(control is cases)))
    result = backend.run(programs, shots=SHOTS).result(200)
    for index, bits in enumerate(expected):
        assert fractions(result, index) == pytest.approx(bits, abs=0.15)


def test_a_reset_and_a_measurement_that_wait_for_a_bit_are_made_where_it_has_its_value(backend):
    """Bit 0 is 1: reset where that is 0, qubit 0 stays as it is, and bit 2, read again where bit 0 is 0, too."""
    programs = []
    for value in (0, 1):
        circuit = QuantumCircuit(5, 3)
        circuit.x([0, 1])
        circuit.measure([0, 1], [0, 2])
        circuit.x(1)
        with circuit.if_test((circuit.clbits[0], value)):
            circuit.reset(0)
            circuit.measure(1, 2)
        circuit.measure(0, 1)
        programs.append(circuit)
    result = backend.run(programs, shots=SHOTS).result(200)
    for index, bits in enumerate([(1, 1, 1), (1, 0, 0)]):
        assert fractions(result, index) == pytest.approx(bits, abs=0.15)
