"""What a compiler remembers between circuits changes nothing that it plays."""

import random

import pytest
from qiskit import QuantumCircuit, QuantumRegister
from qiskit.circuit import ClassicalRegister, Clbit, Parameter, Qubit

from pulsed.compiler import templates
from pulsed.compiler.compile import Compiler
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import CircuitError
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule

OPTIONS = RunOptions(shots=10)
OWN = {("x", (0,), ()): Schedule((0, Play(Constant(64, 0.123), DriveChannel(0)))),
       ("rz", (1,), (0.5,)): Schedule((0, Play(Constant(48, 0.2), DriveChannel(1))))}  # fmt: skip


def played(chunks):
    """Return all that instruments get of chunks: the arrays, with envelopes in place of their numbers."""
    result = []
    for chunk in chunks:
        for program in chunk.programs:
            events, found = chunk.array(program.events), chunk.array(program.acquisitions)
            rows = [(chunk.head.keys[e["envelope"]], *e[["slot", "time", "amplitude", "phase", "frequency"]].tolist())
                    for e in events]  # fmt: skip
            result.append((program.name, program.duration, rows, found.tolist()))
        result.append([chunk.envelope(row).tobytes() for row in range(len(chunk.head.keys))])
    return result


def some(rng, qubits, clbits):
    """Return a random circuit on registers, loose bits or bits in another order."""
    bits = rng.sample(qubits, rng.randint(2, 3))
    kinds = [[QuantumRegister(len(bits), "q"), ClassicalRegister(5, "c")], [bits, clbits], [bits[::-1], clbits[::-1]]]
    circuit = QuantumCircuit(*kinds[rng.randrange(3)], name=str(rng.random()))
    circuit.x(0)
    last = circuit.num_qubits - 1
    for _ in range(rng.randint(1, 30)):
        a = rng.randint(0, last)
        gate = rng.choice(["x", "sx", "rz", "delay", "barrier", "measure", "reset"])
        if gate == "rz":
            circuit.rz(rng.choice([0.5, rng.uniform(-4, 4), 1]), a)
        elif gate == "delay":
            circuit.delay(8 * rng.randint(0, 20), a)
        elif gate == "barrier":
            circuit.barrier(rng.sample(range(last + 1), 2))
        elif gate == "measure":
            circuit.measure(a, rng.randint(0, circuit.num_clbits - 1))
        else:
            getattr(circuit, gate)(a)
    circuit.measure(0, 0)
    return circuit


@pytest.mark.parametrize("seed", range(6))
def test_a_compiler_in_use_plays_what_a_fresh_one_plays(device, calibration, seed):
    rng = random.Random(seed)
    used = Compiler(device, calibration)
    qubits, clbits = [Qubit() for _ in range(5)], [Clbit() for _ in range(5)]
    for number in range(25):
        circuit = some(rng, qubits, clbits)
        gates = rng.choice([None, None, OWN])
        fresh = Compiler(device, calibration)
        assert played(used.compile([circuit], OPTIONS, gates)) == played(fresh.compile([circuit], OPTIONS, gates)), (
            f"seed {seed}, circuit {number}:\n{circuit}"
        )


def test_another_calibration_and_another_device_have_their_own(device, calibration):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.delay(8, 0)
    circuit.ecr(0, 1)
    circuit.measure([0, 1], [0, 1])
    louder = CalibrationSet("sim5", {**calibration.values, "Q0.x.amplitude": Value(0.55)}, "2026-11-21T01:00:00Z")
    grid = device.timing.model_copy(update={"pulse_alignment": 16})
    coarse = device.model_copy(update={"timing": grid})
    first, second, third = Compiler(device, calibration), Compiler(device, louder), Compiler(coarse, calibration)
    cold = [played(each.compile([circuit], OPTIONS)) for each in (first, second, third)]
    warm = [played(each.compile([circuit], OPTIONS)) for each in (first, second, third)]
    assert cold == warm
    amplitudes = [chunk[0][2][0][3] for chunk in cold]
    assert amplitudes[1] / amplitudes[0] == pytest.approx(0.55 / 0.4)
    assert cold[0] != cold[2], "starts lie on the device's own grid"


def test_frequencies_of_a_job_do_not_stay(compiler, device):
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    plain = played(compiler.compile([circuit], OPTIONS))
    moved = RunOptions(shots=10, qubit_lo_freq=[qubit.design_frequency - 7e6 for qubit in device.qubits])
    assert played(compiler.compile([circuit], moved)) != plain
    assert played(compiler.compile([circuit], OPTIONS)) == plain


def test_a_gate_that_is_refused_is_refused_again(compiler):
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.h(1)
    circuit.measure(0, 0)
    for _ in range(2):
        with pytest.raises(CircuitError, match="h on 1"):
            compiler.compile([circuit], OPTIONS)
    angle = QuantumCircuit(1, 1)
    angle.rz(float("inf"), 0)
    angle.measure(0, 0)
    late = QuantumCircuit(1, 1)
    late.rz(Parameter("late"), 0)
    late.measure(0, 0)
    for circuit, match in ((angle, "finite"), (late, "late")):
        for _ in range(2):
            with pytest.raises(CircuitError, match=match):
                compiler.compile([circuit], OPTIONS)


def test_what_is_remembered_is_bounded(compiler, monkeypatch):
    monkeypatch.setattr(templates, "_MOST_OPERATIONS", 8)
    kept = compiler._plain.templates
    for size in range(40):
        circuit = QuantumCircuit([Qubit() for _ in range(2 + size % 3)], [Clbit()])
        for a in range(circuit.num_qubits):
            circuit.x(a)
            circuit.sx(a)
            circuit.rz(0.1 * size, a)
        circuit.measure(0, 0)
        compiler.compile([circuit] * 2, OPTIONS)
    assert len(kept._distinct) <= templates._MOST_REGISTERS
    assert max(map(len, kept._distinct.values())) <= 8 + 3 * 4 + 1
