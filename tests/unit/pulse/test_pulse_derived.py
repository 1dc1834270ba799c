"""Derived gates do what their names say: the pulses, each turned by its channel's frame, multiply to the gate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit.circuit.library import (
    CXGate,
    CZGate,
    ECRGate,
    IGate,
    RZGate,
    RZXGate,
    SXGate,
    U1Gate,
    U2Gate,
    U3Gate,
    XGate,
)
from qiskit.quantum_info import Operator

from pulsed.pulse import (
    Constant,
    ControlChannel,
    Delay,
    DriveChannel,
    InstructionScheduleMap,
    Play,
    PulseError,
    Schedule,
    ShiftPhase,
)
from pulsed.pulse.derived import derive_gates

D, U0 = [DriveChannel(0), DriveChannel(1)], ControlChannel(0)
# u0 leaves the port of qubit 0 at the frequency of qubit 1
RZ = {0: [D[0]], 1: [D[1], U0]}
PULSES = {"sx": SXGate(), "x": XGate(), "ecr": ECRGate(), "cz": CZGate(), "rzx": RZXGate(0.3)}
angles = st.floats(-7, 7)


@pytest.fixture(scope="module")
def inst_map():
    made = InstructionScheduleMap()
    for q in range(2):
        for name, length in (("sx", 16), ("x", 32)):
            made.add(name, q, Schedule(Play(Constant(length, 0.1), D[q], name=name)))
    ecr = Schedule((0, Play(Constant(300, 0.3), U0, name="ecr")), (0, Delay(300, D[0])), (0, Delay(300, D[1])))
    made.add("ecr", (0, 1), ecr)
    made.add("rzx", (0, 1), lambda theta: Schedule((0, Play(Constant(200, 0.3), U0, name="rzx"))))
    derive_gates(made, RZ, [(1, 0)])
    return made


def unitary(schedule):
    """Return the gate that a schedule plays on qubits 0 and 1.

    A pulse at frame phase φ turns about an axis φ from x: rz(−φ), the gate, rz(φ). In the end the frames stand for
    rz(−φ) not yet played.
    """
    phase = dict.fromkeys([*D, U0], 0.0)
    total = Operator(np.eye(4))
    for _, instruction in schedule.instructions:
        if isinstance(instruction, ShiftPhase):
            phase[instruction.channel] += instruction.phase
        elif isinstance(instruction, Play):
            line = instruction.channel
            qubits = [0, 1] if line == U0 else [line.index]
            frames = {0: phase[D[0]], 1: phase[U0]} if len(qubits) == 2 else {line.index: phase[line]}
            for q, angle in frames.items():
                total = total.compose(RZGate(-angle), [q])
            total = total.compose(PULSES[instruction.name], qubits)
            for q, angle in frames.items():
                total = total.compose(RZGate(angle), [q])
    assert math.isclose(phase[D[1]], phase[U0], abs_tol=1e-9)
    for q in range(2):
        total = total.compose(RZGate(-phase[D[q]]), [q])
    return total


def expected(gate, *qubits):
    return Operator(np.eye(4)).compose(gate, list(qubits))


@given(angles, angles, angles, st.integers(0, 1))
@settings(deadline=None, max_examples=30)
def test_one_qubit_gates(inst_map, theta, phi, lam, q):
    assert unitary(inst_map.get("u1", q, lam)).equiv(expected(U1Gate(lam), q))
    assert unitary(inst_map.get("rz", q, lam)).equiv(expected(RZGate(lam), q))
    assert unitary(inst_map.get("u2", q, phi, lam)).equiv(expected(U2Gate(phi, lam), q))
    assert unitary(inst_map.get("u3", q, theta, phi, lam)).equiv(expected(U3Gate(theta, phi, lam), q))
    assert unitary(inst_map.get("id", q)).equiv(expected(IGate(), q))


@pytest.mark.parametrize("pair", [(0, 1), (1, 0)])
def test_cx_in_both_directions(inst_map, pair):
    assert unitary(inst_map.get("cx", pair)).equiv(expected(CXGate(), *pair))


def test_the_other_direction_of_a_pair(inst_map):
    assert unitary(inst_map.get("ecr", (1, 0))).equiv(expected(ECRGate(), 1, 0))
    assert unitary(inst_map.get("rzx", (1, 0), 0.3)).equiv(expected(RZXGate(0.3), 1, 0))


@pytest.mark.parametrize("pair", [(0, 1), (1, 0)])
def test_cx_of_cz(pair):
    made = InstructionScheduleMap()
    for q in range(2):
        made.add("sx", q, Schedule(Play(Constant(16, 0.1), D[q], name="sx")))
    made.add("cz", (0, 1), Schedule(Play(Constant(60, 0.3), U0, name="cz")))
    derive_gates(made, RZ, [(0, 1)])
    assert unitary(made.get("cx", pair)).equiv(expected(CXGate(), *pair))


def test_parameters_that_are_left_out_come_late(inst_map):
    late = inst_map.get("u3", 0, 0.4)
    assert sorted(parameter.name for parameter in late.parameters) == ["lam", "phi"]
    bound = late.assign_parameters({"lam": 1.0, "phi": -2.0}, inplace=False)
    assert unitary(bound).equiv(expected(U3Gate(0.4, -2.0, 1.0), 0))
    assert inst_map.get_parameters("u2", 1) == ("phi", "lam")


def test_pulses_of_a_pair_do_not_overlap(inst_map):
    """Gates take turns on both qubits, whichever channels they have in common."""
    for pair in ((0, 1), (1, 0)):
        ecr = next(t for t, one in inst_map.get("cx", pair).instructions if getattr(one, "name", "") == "ecr")
        others = [t for t, one in inst_map.get("cx", pair).instructions if getattr(one, "name", "") in ("sx", "x")]
        assert all(t + 16 <= ecr or t >= ecr + 300 for t in others)


def test_gates_that_are_there_are_kept():
    made = InstructionScheduleMap()
    own = Schedule(Delay(7, D[0]))
    made.add("id", 0, own)
    made.add("x", 0, own)
    derive_gates(made, {0: [D[0]]})
    assert made.get("id", 0) == own
    assert made.instructions == ["id", "x", "rz", "u1"]
    assert made.get("id", 0).duration == 7


def test_pairs_without_a_gate_are_refused():
    with pytest.raises(PulseError, match="neither ecr, cz nor cx"):
        derive_gates(InstructionScheduleMap(), RZ, [(0, 1)])
    with pytest.raises(PulseError, match="no channel"):
        derive_gates(InstructionScheduleMap(), {0: []})
