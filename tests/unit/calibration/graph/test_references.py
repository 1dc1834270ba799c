"""The law over the graph: changing any value that a set can hold makes stale what refers to it, or nothing does."""

from pathlib import Path

import msgspec
import pytest

import pulsed.configs
from pulsed.calibration.graph.default_graph import DEFAULT_GRAPH, default_steps
from pulsed.calibration.graph.graph import Graph, Node
from pulsed.calibration.graph.references import KINDS, far, reference, roles
from pulsed.calibration.graph.status import CalibrationContext, states
from pulsed.calibration.routine import all_routines
from pulsed.compiler.compile import Compiler
from pulsed.compiler.gates import gate_table
from pulsed.model.calibration import CalibrationSet, RunRecord, Value, load_calibration
from pulsed.model.device import load_device
from pulsed.model.job import RunOptions
from pulsed.model.parameters import PARAMETERS

CONFIGS = Path(pulsed.configs.__file__).parent
RACKS = ("sim5", "coupler2")
SUBJECTS = ("Q0", "Q1", "Q0-Q1", "Q1-Q0", "d0", "d1", "f0", "ro", "in")
"""Those that values are changed of: the other qubits are as these."""
SEEN, CHANGED = 1.8e9, "2027-02-01T00:00:00+00:00"
LAST = {"x": "fine-amplitude", "sx": "fine-amplitude", "measure": "discriminator", "ecr": "fine-ecr", "cz": "cz-phase"}
"""Gate → the row whose values are wrong when something else is played for it."""


def rack(name):
    return load_device(CONFIGS / f"{name}.toml"), load_calibration(CONFIGS / "calibrations" / f"{name}.json")


def whole(device, graph):
    """Return a set that holds every value that a set of this rack can hold, each of the row that gives it last."""
    givers = {f"{node.target}.{name}": node for node in graph.nodes for name in graph.step(node).gives}
    values, time = {}, "2026-11-21T10:00:00+00:00"
    for subject, role in roles(device).items():
        for name, parameter in PARAMETERS[KINDS[role]].items():
            count = max(parameter.counts, default=4)
            full, number = f"{subject}.{name}", 0.5 if count == 1 else (0.5,) * count
            giver = givers.get(full)
            by = ("elsewhere", "") if giver is None else (giver.routine, str(giver))
            values[full] = Value(number, parameter.unit, 0.01, time, *by)
    return CalibrationSet(device.name, values, "2026-11-21")


def some(calibration):
    return [(full, value) for full, value in calibration.values.items() if full.partition(".")[0] in SUBJECTS]


def another(value, **changes):
    """Return a value that is far off."""
    off = {"Hz": 1e7, "rad": 1.0, "full scale": 0.2}.get(value.unit, 10.0)
    number = tuple(n + off for n in value.value) if isinstance(value.value, tuple) else value.value + off
    return msgspec.structs.replace(value, value=number, **changes)


def seen(graph, base):
    """Return a record of each node: it was calibrated under ``base``, or led to it."""
    return [
        RunRecord(
            str(node), node.routine, node.target, "calibrate", "good", SEEN - 1, SEEN, after=base.calibration_id,
            values={f"{node.target}.{g}": base.values[f"{node.target}.{g}"] for g in graph.step(node).gives},
        )
        for node in graph.nodes
    ]  # fmt: skip


def not_fresh(graph, calibration, base, records):
    sets = {base.calibration_id: base}
    found = states(graph, CalibrationContext(calibration, records, now=SEEN + 60, past=sets.get))
    return {node for node, state in found.items() if state.status != "fresh"}


def test_every_value_says_who_refers_to_it_or_that_nobody_does():
    rows = {row.routine for row in DEFAULT_GRAPH}
    for role, kind in KINDS.items():
        for name, parameter in PARAMETERS[kind].items():
            assert set(parameter.dependents_on(role).rows) <= rows, name
    for name, parameter in PARAMETERS["port"].items():
        assert parameter.dependents.keys() <= KINDS.keys(), name


@pytest.mark.parametrize("name", RACKS)
def test_changing_any_value_makes_stale_what_refers_to_it_and_nothing_else(name):
    """By hand, and as a set from a file may: with the old time and quality."""
    device, _ = rack(name)
    graph = Graph(default_steps(), device)
    base = whole(device, graph)
    records = seen(graph, base)
    assert not not_fresh(graph, base, base, records)
    touched = 0
    for full, value in some(base):
        own = {node for node in graph.nodes if full in {f"{node.target}.{g}" for g in graph.step(node).gives}}
        refer = graph.referring(full)
        touched += bool(refer)
        by_hand = base.with_values({full: another(value, quality="set", routine="set", time=CHANGED)}, CHANGED)
        assert not_fresh(graph, by_hand, base, records) == own | refer, full
        last = {node for node in refer if value.routine in {below.routine for below in graph.below(node)}}
        imported = base.with_values({full: another(value, routine="elsewhere")}, CHANGED)
        assert refer - last <= not_fresh(graph, imported, base, records), full
        gone = msgspec.structs.replace(base, values={n: v for n, v in base.values.items() if n != full})
        assert refer <= not_fresh(graph, gone, base, records) | own, full
    assert touched > 40, "or the law is empty"


@pytest.mark.parametrize("name", RACKS)
def test_a_value_that_hardly_moves_makes_nothing_stale(name):
    device, _ = rack(name)
    graph = Graph(default_steps(), device)
    base = whole(device, graph)
    records = seen(graph, base)
    near = {
        full: msgspec.structs.replace(value, value=value.value + 0.9 * slack.absolute)
        for full, value in base.values.items()
        if (slack := reference(full, device)).absolute and not isinstance(value.value, tuple)
    }
    assert near
    for full, value in near.items():
        assert not graph.referring(full) & not_fresh(graph, base.with_values({full: value}, CHANGED), base, records), (
            full
        )


def played(device, calibration):
    """Return for each gate everything that an instrument hears of it."""
    compiler, found = Compiler(device, calibration), {}
    for (gate, qubits), info in gate_table(device, calibration).items():
        if gate in ("reset", "id") or max(qubits) > 1:  # waits
            continue
        schedule = info.schedule
        if gate != "measure":  # a program has to measure something: of the last qubit, which is left out again
            schedule = schedule | gate_table(device, calibration)["measure", qubits[:1]].schedule.shift(4000)
        (chunk,) = compiler.compile([schedule], RunOptions(shots=1))
        program = chunk.programs[0]
        own = {device.qubits[q].drive for q in qubits}
        events, acquisitions = chunk.array(program.events), chunk.array(program.acquisitions)
        heard = [chunk.settings.biases] if gate == "cz" else []
        slots = [slot.port for slot in chunk.head.slots]
        if gate == "measure":
            own = {device.qubits[qubits[0]].readout, device.qubits[qubits[0]].acquire}
            heard += [chunk.settings.discriminators[qubits[0]], acquisitions.tolist()]
            heard += [chunk.envelope(int(row)).tobytes() for row in acquisitions["kernel"] if row >= 0]
        elif gate == "cz":
            own = {pair.flux for pair in device.couplings}
        for event in events:
            port = slots[int(event["slot"])]
            if port in own:
                rest = [event[name].item() for name in event.dtype.names if name not in ("envelope", "slot")]
                heard.append((port, rest, chunk.envelope(int(event["envelope"])).tobytes()))
        heard += [chunk.settings.ports[port] for port in sorted(own) if port in chunk.settings.ports]
        found[gate, qubits] = repr(heard)
    return found


@pytest.mark.parametrize("name", RACKS)
def test_whatever_changes_what_a_gate_plays_is_referred_to_by_what_calibrates_the_gate(name):
    """The compiler is the witness: no value can be forgotten in the table."""
    device, shipped = rack(name)
    graph = Graph(default_steps(), device)
    before = played(device, shipped)
    assert {gate for gate, _ in before} == (
        {"x", "sx", "measure", "ecr"} if name == "sim5" else {"x", "sx", "measure", "cz"}
    )
    heard = 0
    for full, value in some(shipped):
        number = tuple(0.9 * n for n in value.value) if isinstance(value.value, tuple) else 0.9 * value.value
        if value.unit == "dt" and full.split(".")[-1] in ("duration", "delay"):
            number = value.value + 8
        if full.endswith("f01") or full.endswith("frequency"):
            number = value.value + 1e6
        if value.value == 0.0:
            number = 0.1
        if full.endswith("kernel"):
            number = (0.001, 0.0) * 800
        calibration = shipped.with_values({full: msgspec.structs.replace(value, value=number)}, CHANGED)
        if full.endswith("readout.duration"):
            width = f"{full.rpartition('.')[0]}.width"
            more = msgspec.structs.replace(shipped.values[width], value=shipped.number(width) + 8)
            calibration = calibration.with_values({width: more}, CHANGED)
        after = played(device, calibration)
        for (gate, qubits), was in before.items():
            if after.get((gate, qubits)) == was:
                continue
            heard += 1
            target = "-".join(f"Q{q}" for q in qubits)
            node = next(
                n for n in graph.nodes if n.routine == LAST[gate] and set(n.target.split("-")) == set(target.split("-"))
            )
            own = full in {f"{node.target}.{given}" for given in graph.step(node).gives}
            assert own or node in graph.referring(full), (
                f"{full} changes {gate} on {target}, and {node} does not refer to it"
            )
    assert heard > len(some(shipped)) / 2, "or the witness is deaf"


@pytest.mark.parametrize("name", RACKS)
def test_everything_that_a_routine_can_commit_is_in_the_table(name):
    device, _ = rack(name)
    kinds = roles(device)
    for routine in all_routines():
        if not routine.__module__.startswith("pulsed."):
            continue
        for target in routine.targets(device):
            for given in routine.gives:
                assert given in PARAMETERS[KINDS[kinds[target]]], f"{routine.name} gives {target}.{given}"


def test_what_refers_to_the_frame_of_a_qubit_and_to_the_current_of_a_coupler():
    sim5, coupler2 = (Graph(default_steps(), rack(name)[0]) for name in RACKS)
    turned = sim5.referring("Q1.x.angle")
    assert {Node(row, pair) for row in ("cr-phase", "cr-cancel", "fine-ecr") for pair in ("Q0-Q1", "Q2-Q1")} <= turned
    assert not any("Q4" in node.target for node in turned)
    assert {
        Node(row, "Q0-Q1") for row in ("cz-chevron", "cz-leakage", "cz-phase", "cz-virtual-z")
    } <= coupler2.referring("f0.bias")
    assert Node("ramsey", "Q1") in coupler2.referring("f0.bias")


def test_angles_are_the_same_a_turn_apart():
    slack = reference("Q0.x.angle", rack("sim5")[0])
    assert not far(Value(3.14, "rad"), Value(-3.14, "rad"), slack)
    assert far(Value(0.89, "rad"), Value(0.0, "rad"), slack)


def test_whatever_gives_a_value_has_a_check_that_can_say_that_it_is_wrong():
    """A check without anything to compare called everything good whose data looked like data."""
    for routine in all_routines():
        if routine.__module__.startswith("pulsed."):
            assert routine.checkable() or not routine.gives, routine.name
            assert set(routine.tolerances) <= set(routine.gives), routine.name
