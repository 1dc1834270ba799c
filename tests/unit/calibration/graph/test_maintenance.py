"""Walks over the graph on a world of which the truth is known: what is redone is what has to be, and no more."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import pulsed.configs
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.maintenance import CheckResult, Pass
from pulsed.calibration.graph.status import CalibrationContext, Event, states
from pulsed.model.calibration import CalibrationSet, Fault, RunRecord, Value
from pulsed.model.device import load_device

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
STEPS = (
    Step("mixer", "port", gives=("m",), oscillator=True),
    Step("resonator", "qubit", after=("mixer",), gives=("r",), vital=True),
    Step("line", "qubit", after=("resonator",), gives=("f",), vital=True, attempts=({}, {"span": 2})),
    Step("rabi", "qubit", after=("line",), gives=("a",), vital=True),
    Step("ramsey", "qubit", after=("rabi",), gives=("g",), vital=True),
    Step("t1", "qubit", after=("rabi",), gives=("t",)),
    Step("cr", "pair", after=("ramsey", "mixer"), gives=("c",), vital=True, oscillator=True),
    Step("fine", "pair", after=("cr",), gives=("d",), vital=True),
    Step("rb", "pair", after=("fine",)),
)
GRAPH = Graph(STEPS, DEVICE)
NODES = GRAPH.nodes
WEEK = 7 * 86400.0


@dataclass
class World:
    """A rack whose nodes are right or wrong. A measurement through something wrong above brings bad data."""

    wrong: set = field(default_factory=set)
    dead: set = field(default_factory=set)
    now: float = 1.8e9
    calibration: CalibrationSet = field(default_factory=lambda: CalibrationSet(DEVICE.name, {}, ""))
    records: list = field(default_factory=list)
    events: list = field(default_factory=list)
    played: list = field(default_factory=list)
    die_after: int = 10**9
    graph: Graph = GRAPH

    def situation(self):
        return CalibrationContext(self.calibration, list(self.records), list(self.events), self.now)

    def check(self, step, targets):
        return {target: self._measure("check", Node(step.routine, target)) for target in targets}

    def calibrate(self, step, targets, parameters):
        return {target: self._measure("calibrate", Node(step.routine, target)) for target in targets}

    def fault(self, target, why):
        self.calibration = self.calibration.with_faults({**self.calibration.faults, target: Fault(why)}, "")

    def _measure(self, kind, node):
        if len(self.played) >= self.die_after:
            raise KeyboardInterrupt
        self.now += 20.0
        self.played.append((kind, node))
        run = f"run{len(self.played)}"
        values = {}
        if node in self.dead or self.graph.above(node) & (self.wrong | self.dead):
            verdict = "bad data"
        elif kind == "check":
            verdict = "out of spec" if node in self.wrong else "in spec"
        else:
            verdict = "in spec"
            self.wrong.discard(node)
            time = datetime.fromtimestamp(self.now, UTC).isoformat(timespec="seconds")
            names = [f"{node.target}.{name}" for name in self.graph.step(node).gives]
            values = {name: Value(0.5, "", 0.1, time, node.routine, run) for name in names}
            self.calibration = self.calibration.with_values(values, "")
        outcome = "good" if verdict == "in spec" else verdict
        after = self.calibration.calibration_id if values else ""
        self.records.append(
            RunRecord(
                run, node.routine, node.target, kind, outcome, self.now - 10, self.now, "x", "", after, "", values
            )
        )
        return CheckResult(verdict, "x")

    def run(self, nodes=NODES, **more):
        self.played.clear()
        return Pass(self.graph, self, **more).update(nodes)

    def calibrated(self):
        return {node for kind, node in self.played if kind == "calibrate"}


def brought_up():
    world = World()
    world.run()
    return world


def test_bring_up_calibrates_everything_once_and_a_second_pass_nothing():
    world = brought_up()
    assert [node for _, node in world.played] == NODES
    assert {kind for kind, _ in world.played} == {"calibrate"}
    assert world.run() == []
    assert {state.status for state in states(GRAPH, world.situation()).values()} == {"fresh"}


@given(st.sampled_from(NODES))
@settings(deadline=None, max_examples=40)
def test_one_wrong_node_is_found_when_everything_is_old_and_only_its_subtree_is_touched(node):
    world = brought_up()
    world.wrong.add(node)
    world.now += WEEK
    world.run()
    assert not world.wrong
    assert world.calibrated() == {node}, "what depends on it was checked again, and found right"
    assert {seen for _, seen in world.played} == set(NODES), "everything was old: everything was looked at"
    assert sum(kind == "check" for kind, _ in world.played) == len(NODES)
    assert world.run() == []


@given(st.sampled_from(NODES), st.data())
@settings(deadline=None, max_examples=60)
def test_the_cause_is_found_from_below_when_only_what_hangs_on_it_is_stale(node, data):
    """The wrong node is young: nobody suspects it until a check of something below brings bad data."""
    world = brought_up()
    below = sorted(GRAPH.below(node)) or [node]
    looked_at = data.draw(st.sampled_from(below))
    world.wrong.add(node)
    name = GRAPH.step(looked_at).gives
    if not name:
        return
    full = f"{looked_at.target}.{name[0]}"
    old = world.calibration.values[full]
    doubted = Value(old.value, time=old.time, routine=old.routine, run_id=old.run_id, quality="suspect")
    world.calibration = world.calibration.with_values({full: doubted}, "")
    world.run()
    assert not world.wrong
    touched = GRAPH.below(node) | {node}
    assert world.calibrated() <= touched
    assert node in world.calibrated()
    path = (GRAPH.above(looked_at) | {looked_at}) & touched
    every = {seen for _, seen in world.played}
    beside = {parent for inner in path for parent in GRAPH.parents(inner)}
    assert every <= touched | beside, "what neither depends on it nor lies above what was seen is left alone"
    assert world.run() == []


@given(st.sets(st.sampled_from(NODES), max_size=5))
@settings(deadline=None, max_examples=60)
def test_whatever_is_wrong_is_mended_when_all_is_old(wrong):
    world = brought_up()
    world.wrong = set(wrong)
    world.now += WEEK
    world.run()
    assert not world.wrong
    assert set(wrong) <= world.calibrated()
    allowed = set(wrong) | {node for bad in wrong for node in GRAPH.below(bad)}
    assert world.calibrated() <= allowed
    assert world.run() == []


def test_a_dead_qubit_stops_nobody_else():
    world = World(dead={Node("line", "Q1")})
    actions = world.run()
    assert set(world.calibration.faults) == {"Q1"}
    assert world.calibration.faults["Q1"].why == "line: x"
    now = states(GRAPH, world.situation())
    for node, state in now.items():
        lost = node.target == "Q1" or "Q1" in node.target.split("-")
        assert (state.status == "faulty") == lost, node
        assert lost or state.status == "fresh", node
    tried = [node for kind, node in world.played if node.target == "Q1" and node.routine == "line"]
    assert len(tried) == 2, "each attempt of the row is made"
    assert [action.kind for action in actions].count("fault") == 1
    assert world.run() == []


def test_when_no_qubit_comes_out_well_the_rack_is_to_blame():
    world = World(dead={Node("resonator", f"Q{q}") for q in range(5)})
    world.run()
    assert not world.calibration.faults
    assert {node.routine for node in world.calibrated()} == {"mixer", "resonator"}
    now = states(GRAPH, world.situation())
    assert now[Node("resonator", "Q2")].status == "failed"
    assert now[Node("line", "Q2")].status == "never"


def test_a_failure_that_is_not_vital_leaves_the_target_in_use():
    world = World(dead={Node("t1", "Q3")})
    world.run()
    assert not world.calibration.faults
    assert states(GRAPH, world.situation())[Node("t1", "Q3")].status == "failed"
    assert Node("rb", "Q2-Q3") in world.calibrated()
    assert world.run() == []
    assert [node for _, node in world.played] == []
    world.run(again=True)
    assert [node for _, node in world.played] == [Node("t1", "Q3")]


def test_what_was_just_seen_in_spec_is_not_suspected():
    world = brought_up()
    world.dead = {Node("t1", "Q3")}
    world.now += WEEK
    world.run()
    checks = [node for kind, node in world.played if kind == "check"]
    assert len(checks) == len(set(checks))
    assert world.calibrated() == {Node("t1", "Q3")}


@given(st.integers(0, len(NODES)))
@settings(deadline=None, max_examples=20)
def test_a_pass_that_was_stopped_goes_on_where_it_was(steps):
    world = World(die_after=steps)
    before = []
    try:
        world.run()
    except KeyboardInterrupt:
        before = [node for _, node in world.played]
        assert len(before) == steps
    world.die_after = 10**9
    world.run()
    after = [node for _, node in world.played]
    assert not set(before) & set(after)
    assert set(before) | set(after) == set(NODES) or not before


def test_an_oscillator_that_was_power_cycled():
    world = brought_up()
    lo = DEVICE.oscillators[DEVICE.ports["d0"].lo].instrument
    world.events.append(Event(world.now + 1, lo, "was power-cycled"))
    drives = {Node("mixer", port) for port, row in DEVICE.ports.items() if row.lo == DEVICE.ports["d0"].lo}
    world.wrong = {Node("cr", "Q2-Q1")} | {Node("mixer", "d0")}
    world.now += 10
    world.run()
    assert not world.wrong
    assert drives <= {node for _, node in world.played}
    assert Node("mixer", "ro") not in {node for _, node in world.played}
    assert world.calibrated() >= {Node("cr", "Q2-Q1"), Node("mixer", "d0")}
    assert Node("rabi", "Q3") not in {node for _, node in world.played}


def test_what_no_check_can_judge_is_calibrated_when_it_is_stale():
    graph = Graph(tuple(replace(step, checkable=step.routine != "t1") for step in STEPS), DEVICE)
    world = World(graph=graph)
    world.run(graph.nodes)
    world.now += WEEK
    world.run(graph.nodes)
    assert world.calibrated() == {Node("t1", f"Q{q}") for q in range(5)}
    assert "t1" not in {node.routine for kind, node in world.played if kind == "check"}
    assert world.run(graph.nodes) == []


@given(st.sampled_from([node for node in NODES if GRAPH.step(node).gives]))
@settings(deadline=None, max_examples=20)
def test_a_check_by_hand_that_failed_is_followed_up_by_the_next_pass(node):
    """Everything was fresh, and would have been left alone."""
    world = brought_up()
    world.wrong.add(node)
    world.check(GRAPH.step(node), [node.target])
    assert states(GRAPH, world.situation())[node].status == "stale"
    world.run()
    assert not world.wrong
    assert node in world.calibrated()
    assert world.run() == []


def test_diagnose_walks_up_from_what_a_person_doubts():
    world = brought_up()
    world.wrong = {Node("resonator", "Q2")}
    world.played.clear()
    Pass(GRAPH, world).mend([Node("ramsey", "Q2")])
    assert not world.wrong
    assert [(kind, node.routine) for kind, node in world.played] == [
        ("check", "ramsey"), ("check", "rabi"), ("check", "line"), ("check", "resonator"),
        ("calibrate", "resonator"), ("calibrate", "line"), ("calibrate", "rabi"), ("calibrate", "ramsey"),
    ]  # fmt: skip
    world.played.clear()
    Pass(GRAPH, world).mend([Node("ramsey", "Q3")])
    assert world.played == [("check", Node("ramsey", "Q3"))]


def test_one_target_alone_takes_what_it_hangs_on_along():
    world = World()
    world.run(GRAPH.needed(["Q2"]))
    assert world.calibrated() == {
        Node("mixer", "d2"), Node("mixer", "ro"),
        *(Node(routine, "Q2") for routine in ("resonator", "line", "rabi", "ramsey", "t1")),
    }  # fmt: skip


def test_what_was_right_not_long_ago_is_mended_with_less():
    steps = tuple(replace(step, mend={"points": 9}) if step.routine == "ramsey" else step for step in STEPS)
    graph, world, asked = Graph(steps, DEVICE), World(), []
    calibrate = world.calibrate
    world.calibrate = lambda step, targets, parameters: (
        asked.append((step.routine, dict(parameters))),
        calibrate(step, targets, parameters),
    )[1]
    Pass(graph, world).update(graph.nodes)
    assert ("ramsey", {"points": 9}) not in asked
    asked.clear()
    world.wrong = {Node("ramsey", "Q2")}
    world.now += WEEK
    Pass(graph, world).update(graph.nodes)
    assert asked == [("ramsey", {"points": 9})]


def test_what_refines_a_value_is_calibrated_again_when_a_rougher_routine_has_put_it_anew():
    steps = (
        Step("phase", "pair", gives=("angle",), age=86400.0),
        Step("cancel", "pair", ("phase",), gives=("tone",), age=2 * WEEK),
        Step("fine", "pair", ("cancel",), gives=("angle", "tone"), age=2 * WEEK),
    )
    graph = Graph(steps, DEVICE)
    world = World(graph=graph)
    world.run(graph.nodes)
    world.wrong.add(Node("phase", "Q2-Q3"))
    world.now += WEEK
    world.run(graph.nodes)
    assert world.calibrated() == {Node("phase", "Q2-Q3"), Node("fine", "Q2-Q3")}
    assert [kind for kind, node in world.played if node == Node("fine", "Q2-Q3")] == ["calibrate"], "without a check"
    assert world.calibration.values["Q2-Q3.angle"].routine == "fine"
    assert world.run(graph.nodes) == []
