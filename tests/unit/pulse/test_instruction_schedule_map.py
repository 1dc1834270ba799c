"""The instruction schedule map: what is kept, found and refused."""

import pytest
from qiskit.circuit import Parameter
from qiskit.circuit.library import XGate

from pulsed.pulse import (
    Constant,
    DriveChannel,
    Gaussian,
    InstructionScheduleMap,
    Play,
    PulseError,
    Schedule,
    ShiftPhase,
)

D = [DriveChannel(i) for i in range(3)]
C = Constant(10, 0.1)


class TestInstructionScheduleMap:
    p, q = Parameter("p"), Parameter("q")

    @pytest.fixture
    def inst_map(self):
        made = InstructionScheduleMap()
        rotation = Schedule(Play(Gaussian(10, self.p, 3), D[0]), (20, ShiftPhase(self.q, D[0])))
        made.add("u", 0, rotation)
        made.add("v", (1,), rotation, ["q", "p"])
        made.add(XGate(), [0], Schedule(Play(C, D[0])))
        made.add("cx", (0, 1), lambda a, b=2: Schedule(Play(Constant(a, 0.1), DriveChannel(b))))
        return made

    def test_lists_what_it_has(self, inst_map):
        assert inst_map.instructions == ["u", "v", "x", "cx"]
        assert inst_map.qubit_instructions(0) == ["u", "x"]
        assert inst_map.qubit_instructions((0, 1)) == ["cx"]
        assert inst_map.qubits_with_instruction("x") == [0]
        assert inst_map.qubits_with_instruction("cx") == [(0, 1)]
        assert inst_map.qubits_with_instruction("none") == []
        assert inst_map.has(XGate(), 0)
        assert not inst_map.has("x", 1)

    def test_gives_schedules_with_their_parameters(self, inst_map):
        expected = Schedule(Play(Gaussian(10, 0.1, 3), D[0]), (20, ShiftPhase(0.2, D[0])))
        assert inst_map.get("u", 0, 0.1, 0.2) == expected
        assert inst_map.get("u", 0, 0.1, q=0.2) == expected
        assert inst_map.get("v", 1, 0.2, 0.1) == expected
        assert inst_map.get("u", 0, 0.1).parameters == {self.q}
        assert inst_map.get("u", 0).parameters == {self.p, self.q}
        assert inst_map.get_parameters("u", 0) == ("p", "q")
        assert inst_map.get("cx", (0, 1), 7) == Schedule(Play(Constant(7, 0.1), D[2]))
        assert inst_map.get_parameters("cx", (0, 1)) == ("a", "b")

    def test_refuses_what_it_does_not_have(self, inst_map):
        for wrong in (
            lambda: inst_map.get("x", 1),
            lambda: inst_map.get("none", 0),
            lambda: inst_map.assert_has("cx", (1, 0)),
            lambda: inst_map.get("u", 0, 1, 2, 3),
            lambda: inst_map.get("u", 0, z=3),
            lambda: inst_map.get("u", 0, 0.1, p=0.1),
            lambda: inst_map.add("x", (), Schedule()),
            lambda: inst_map.add("x", 0, 3),
            lambda: inst_map.add("u", 0, Schedule(), ["p"]),
            lambda: inst_map.remove("none", 0),
        ):
            with pytest.raises(PulseError):
                wrong()
        assert inst_map.instructions == ["u", "v", "x", "cx"]

    def test_forgets(self, inst_map):
        assert inst_map.pop("x", 0) == Schedule(Play(C, D[0]))
        assert not inst_map.has("x", 0)
        assert "x" not in inst_map.instructions
