"""The map of all gates, those that follow from calibrated ones included, played on a chip without noise."""

import math
from pathlib import Path

import pytest
from qiskit.circuit import Parameter
from qiskit.circuit.library import CXGate, ECRGate, IGate, RZGate, RZXGate, U1Gate, U2Gate, U3Gate

import pulsed.configs
from pulsed.compiler.channel_map import ChannelMap
from pulsed.compiler.gates import gate_schedules
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.pulse import PulseError
from pulsed.testing.ideal_rack import ideal_calibration, ideal_chip
from pulsed.testing.played_unitary import PlayedUnitary, coherent_error, slow_first

CONFIGS = Path(pulsed.configs.__file__).parent
PAIRS = [(0, 1), (2, 1), (2, 3), (4, 3)]


@pytest.fixture(scope="module")
def inst_map(device):
    return gate_schedules(device, ideal_calibration())


@pytest.fixture(scope="module")
def played(device):
    return PlayedUnitary(ideal_chip(), ChannelMap(device, ideal_calibration()))


@pytest.mark.parametrize("q", range(5))
@pytest.mark.parametrize(
    ("name", "kind", "params"),
    [
        ("rz", RZGate, (0.7,)), ("id", IGate, ()), ("u1", U1Gate, (-2.3,)), ("u2", U2Gate, (0.4, 1.9)),
        ("u3", U3Gate, (1.1, -0.4, 2.6)), ("u3", U3Gate, (math.pi, 0.0, math.pi)), ("u3", U3Gate, (-0.2, 3.0, 0.1)),
    ],
)  # fmt: skip
def test_gates_of_one_qubit(inst_map, played, name, kind, params, q):
    schedule = inst_map.get(name, q, *params)
    assert coherent_error(played(schedule, q), kind(*params).to_matrix()) < 5e-5


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("name", "gate"), [("cx", CXGate()), ("ecr", ECRGate()), ("rzx", RZXGate(0.8))])
def test_gates_of_pairs_in_both_directions(inst_map, played, name, gate, pair, way):
    qubits = pair[::way]
    schedule = inst_map.get(name, qubits, *gate.params)
    assert coherent_error(played(schedule, *qubits), slow_first(gate.to_matrix())) < 6e-4


def test_the_map_lists_what_it_derives(inst_map):
    names = ["x", "sx", "id", "measure", "reset", "ecr", "rz", "rzx", "u1", "u2", "u3", "cx"]
    assert inst_map.instructions == names
    both = sorted([*PAIRS, *(pair[::-1] for pair in PAIRS)])
    for name in ("cx", "ecr", "rzx"):
        assert sorted(inst_map.qubits_with_instruction(name)) == both
    for name in names:
        assert inst_map.is_derived(name, inst_map.qubits_with_instruction(name)[0]) == (name in names[7:])
    assert inst_map.is_derived("ecr", (1, 0))
    assert inst_map.get_parameters("rzx", (1, 0)) == ("theta",)
    assert inst_map.get_parameters("u3", 0) == ("theta", "phi", "lam")


def test_rzx_needs_a_number(inst_map):
    for pair in ((0, 1), (1, 0)):
        with pytest.raises(PulseError, match=r"rzx on \(0, 1\).*got theta"):
            inst_map.get("rzx", pair)
        with pytest.raises(PulseError, match="got a"):
            inst_map.get("rzx", pair, Parameter("a"))
    assert inst_map.get("rzx", (0, 1), theta=0.5) == inst_map.get("rzx", (0, 1), 0.5)


def test_what_is_not_calibrated_has_nothing_derived(device):
    known = ideal_calibration()
    part = {name: value for name, value in known.values.items() if not name.startswith(("Q2.sx.", "Q4-Q3."))}
    inst_map = gate_schedules(device, type(known)(known.device, part, known.created))
    assert inst_map.qubits_with_instruction("cx") == [(0, 1), (1, 0)]
    assert inst_map.qubits_with_instruction("u3") == [0, 1, 3, 4]
    assert inst_map.has("ecr", (2, 1))
    assert not inst_map.has("ecr", (1, 2))
    with pytest.raises(PulseError, match=r"cx.*\(3, 4\)"):
        inst_map.get("cx", (3, 4))


def test_cx_of_a_tunable_coupler():
    inst_map = gate_schedules(
        load_device(CONFIGS / "coupler2.toml"), load_calibration(CONFIGS / "calibrations" / "coupler2.json")
    )
    length = inst_map.get("cz", (0, 1)).duration + 2 * inst_map.get("sx", 0).duration
    for pair in ((0, 1), (1, 0)):
        assert inst_map.get("cx", pair).duration == length
    assert not inst_map.has("rzx", (0, 1))
