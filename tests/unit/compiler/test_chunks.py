"""What travels to the rack: splitting, sharing of envelopes, the round trip."""

from fractions import Fraction

import numpy as np
import pytest
from qiskit import QuantumCircuit

from pulsed.compiler import chunks as chunking
from pulsed.compiler.program import Chunk
from pulsed.model.job import RunOptions
from pulsed.pulse.channels import DriveChannel
from pulsed.pulse.instructions import Play
from pulsed.pulse.library import Constant
from pulsed.pulse.schedule import Schedule


def measured(gates=1, name=None):
    circuit = QuantumCircuit(2, 2, name=name, metadata={"gates": gates})
    for _ in range(gates):
        circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def test_a_chunk_survives_its_bytes(compiler):
    (chunk,) = compiler.compile([measured(3), measured(1)], RunOptions(shots=10, rep_delay=1e-4))
    again = Chunk.decode([bytes(part) for part in chunk.encode()])
    assert again.head == chunk.head
    assert again.settings.rep_delay == Fraction(1, 10_000)
    for program in again.programs:
        assert np.array_equal(again.array(program.events), chunk.array(program.events))
    for row in range(len(chunk.head.keys)):
        assert np.array_equal(again.envelope(row), chunk.envelope(row))


def test_envelopes_are_stored_once_and_peak_at_full_scale(compiler):
    (chunk,) = compiler.compile([measured(50), measured(20)], RunOptions())
    # One Drag shape, one readout shape: amplitudes and angles are data of the events.
    assert len(chunk.head.keys) == len(set(chunk.head.keys)) == 2
    assert [float(np.abs(chunk.envelope(row)).max()) for row in range(2)] == pytest.approx([1.0, 1.0])


def test_idle_time_costs_nothing(compiler):
    def size(delay):
        circuit = QuantumCircuit(1, 1)
        circuit.x(0)
        circuit.delay(delay, 0, "s")
        circuit.measure(0, 0)
        (chunk,) = compiler.compile([circuit], RunOptions(shots=1))
        return sum(memoryview(part).nbytes for part in chunk.encode()[1:])

    assert size(1) == size(0)


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_EVENTS", 5), ("MAX_SECONDS", 1.3), ("MAX_BYTES", 30_000), ("MAX_SECONDS", 0.2)]
)
def test_programs_and_shots_are_split_without_loss(compiler, monkeypatch, limit, value):
    monkeypatch.setattr(chunking, limit, value)
    shots = 1000
    done = compiler.compile([measured(1, str(i)) for i in range(7)], RunOptions(shots=shots))
    assert len(done) > 1
    played = {str(i): 0 for i in range(7)}
    for chunk in done:
        for k, program in enumerate(chunk.programs):
            assert program.name == str(chunk.head.first_program + k)
            assert chunk.head.first_shot == played[program.name]
            played[program.name] += chunk.settings.shots
    assert set(played.values()) == {shots}
    for chunk in done:
        cost = chunk.settings.shots * len(chunk.programs)
        if limit == "MAX_SECONDS":
            assert cost * 500e-6 <= value * 1.01
        elif limit == "MAX_BYTES":
            assert cost * 16 <= value


def test_an_own_gate_is_played_for_its_job_only(compiler):
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    own = {("x", (0,), ()): Schedule((0, Play(Constant(64, 0.123), DriveChannel(0))))}
    amplitudes = []
    for gates in (own, None):
        (chunk,) = compiler.compile([circuit], RunOptions(), gates)
        amplitudes.append(chunk.array(chunk.programs[0].events)[0]["amplitude"])
    assert amplitudes == pytest.approx([0.123, 0.4], rel=5e-3), "the sampled Drag peaks a little below its amplitude"


def test_metadata_and_registers_travel(compiler):
    (chunk,) = compiler.compile([measured(2, "a")], RunOptions())
    (program,) = chunk.programs
    assert (program.name, program.memory_slots, program.creg_sizes) == ("a", 2, (("c", 2),))
    assert program.metadata == b'{"gates": 2}'
