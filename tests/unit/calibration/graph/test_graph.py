"""The graph's edges and order, and what check_state says."""

from dataclasses import replace
from pathlib import Path

import pytest

import pulsed.configs
from pulsed.calibration.graph.graph import Graph, Node, Step
from pulsed.calibration.graph.status import CalibrationContext, Event, NodeStatus, states
from pulsed.model.calibration import CalibrationSet, Fault, RunRecord, Value
from pulsed.model.device import load_device
from pulsed.model.errors import ConfigError, InvalidValueError

DEVICE = load_device(Path(pulsed.configs.__file__).parent / "sim5.toml")
STEPS = (
    Step("mixer", "port", gives=("mixer.offset",), oscillator=True),
    Step("line", "qubit", after=("mixer",), gives=("f01",), vital=True, age=100.0),
    Step("rabi", "qubit", after=("line",), gives=("x.amplitude",), vital=True, age=100.0),
    Step("cr", "pair", after=("rabi", "mixer"), gives=("ecr.amplitude",), oscillator=True, age=1000.0),
    Step("rb", "chip", after=("rabi", "cr"), age=1000.0),
)
GRAPH = Graph(STEPS, DEVICE)
ISO = "2026-11-21T10:00:00+00:00"
T0 = 1795255200.0


def test_edges_join_targets_that_share_a_qubit():
    assert GRAPH.parents(Node("line", "Q2")) == [Node("mixer", "d2"), Node("mixer", "ro")]
    assert GRAPH.parents(Node("rabi", "Q2")) == [Node("line", "Q2")]
    assert set(GRAPH.parents(Node("cr", "Q2-Q1"))) == {
        Node("rabi", "Q1"), Node("rabi", "Q2"), Node("mixer", "d1"), Node("mixer", "d2"), Node("mixer", "ro")
    }  # fmt: skip
    assert len(GRAPH.parents(Node("rb", "chip"))) == 9
    assert GRAPH.below(Node("line", "Q0")) == {Node("rabi", "Q0"), Node("cr", "Q0-Q1"), Node("rb", "chip")}
    assert Node("line", "Q3") not in GRAPH.above(Node("cr", "Q0-Q1"))


def test_rows_are_in_an_order_that_parents_lead():
    shuffled = Graph(STEPS[::-1], DEVICE)
    for graph in (GRAPH, shuffled):
        place = {node: number for number, node in enumerate(graph.nodes)}
        for node in graph.nodes:
            assert all(place[parent] < place[node] for parent in graph.parents(node))
    rows = [(step.routine, targets) for step, targets in GRAPH.rows(GRAPH.needed(["Q4"]))]
    assert rows == [("mixer", ["d4", "ro"]), ("line", ["Q4"]), ("rabi", ["Q4"])]


def test_a_row_may_have_targets_of_its_own():
    inputs = Step("flight", "port", where=lambda device: ("in",), gives=("delay",))
    graph = Graph((STEPS[0], inputs, Step("line", "qubit", after=("mixer", "flight"))), DEVICE)
    assert Node("flight", "in") in graph.parents(Node("line", "Q2"))
    assert [node for node in graph.nodes if node.routine == "flight"] == [Node("flight", "in")]


def test_wrong_tables_and_targets():
    with pytest.raises(ConfigError, match="depend on each other"):
        Graph((Step("a", "qubit", after=("b",)), Step("b", "qubit", after=("a",))), DEVICE)
    with pytest.raises(ConfigError, match="without a row"):
        Graph((Step("a", "qubit", after=("b",)),), DEVICE)
    with pytest.raises(ConfigError, match="two rows"):
        Graph((Step("a", "qubit"), Step("a", "pair")), DEVICE)
    with pytest.raises(ConfigError, match="not a valid age"):
        Graph((Step("a", "qubit", age=0),), DEVICE)
    with pytest.raises(InvalidValueError, match="Q7"):
        GRAPH.needed(["Q7"])
    with pytest.raises(InvalidValueError, match="legal: Q0, Q1"):
        GRAPH.node("rabi", "Q0-Q1")
    with pytest.raises(InvalidValueError, match="legal: mixer"):
        GRAPH.node("t7", "Q0")


def whole(time=ISO, quality="good"):
    values = {}
    for node in GRAPH.nodes:
        for name in GRAPH.step(node).gives:
            values[f"{node.target}.{name}"] = Value(0.5, "", 0.01, time, node.routine, "r0", quality)
    return CalibrationSet(DEVICE.name, values, time)


def record(routine, target, ended, *, kind="calibrate", outcome="good", run_id="r0", values=(), after="set"):
    given = {name: Value(0.5, run_id=run_id, routine=routine) for name in values}
    return RunRecord(
        run_id, routine, target, kind, outcome, ended - 5, ended, values=given, reason="because", after=after
    )


def state(node, calibration=None, records=(), *, now=T0 + 10, **more) -> NodeStatus:
    return states(GRAPH, CalibrationContext(whole() if calibration is None else calibration, records, now=now, **more))[
        node
    ]


def test_a_set_that_was_just_measured_is_fresh_and_ages():
    assert state(Node("rabi", "Q0")) == NodeStatus("fresh", "", T0, T0)
    old = state(Node("rabi", "Q0"), now=T0 + 200)
    assert old.status == "stale"
    assert "are allowed" in old.why
    assert state(Node("cr", "Q0-Q1"), now=T0 + 200).status == "fresh"


def test_a_check_in_spec_makes_it_young_again_and_one_out_of_spec_does_not():
    node = Node("rabi", "Q0")
    good = record("rabi", "Q0", T0 + 150, kind="check")
    assert state(node, records=[good], now=T0 + 200) == NodeStatus("fresh", "", T0, T0 + 150)
    assert state(node, records=[record("rabi", "Q0", T0 + 150, kind="check", outcome="out of spec")],
                 now=T0 + 200).status == "stale"  # fmt: skip
    assert state(node, records=[record("rabi", "Q1", T0 + 150, kind="check")], now=T0 + 200).status == "stale"
    assert state(node, records=[record("rabi", "Q0", T0 + 150, kind="scan")], now=T0 + 200).status == "stale"


@pytest.mark.parametrize("outcome", ["out of spec", "bad data", "failed"])
def test_a_check_that_failed_makes_its_node_stale_until_it_is_seen_in_spec(outcome):
    node = Node("rabi", "Q0")
    failed = record("rabi", "Q0", T0 + 20, kind="check", outcome=outcome)
    assert state(node, records=[failed], now=T0 + 30) == NodeStatus(
        "stale", f"a check found {outcome}: because", T0, T0
    )
    assert state(Node("rabi", "Q1"), records=[failed], now=T0 + 30).status == "fresh"
    assert state(node, records=[failed, record("rabi", "Q0", T0 + 25, kind="check")], now=T0 + 30).status == "fresh"
    mended = [failed, record("rabi", "Q0", T0 + 25, values=["Q0.x.amplitude"])]
    assert state(node, records=mended, now=T0 + 30).status == "fresh"
    stopped = record("rabi", "Q0", T0 + 20, kind="check", outcome="stopped")
    assert state(node, records=[stopped], now=T0 + 30).status == "fresh", "the rack's fault says nothing about it"


def test_a_failed_calibration_stays_failed_when_the_check_that_verified_it_ended_later():
    failed = [record("rabi", "Q0", T0 + 20, outcome="failed"),
              record("rabi", "Q0", T0 + 22, kind="check", outcome="out of spec")]  # fmt: skip
    assert state(Node("rabi", "Q0"), records=failed, now=T0 + 30).status == "failed"


def test_parents_that_are_newer():
    newer = whole().with_values({"Q0.f01": Value(0.4, time="2026-11-21T10:00:30+00:00", routine="line")}, ISO)
    assert state(Node("rabi", "Q0"), newer, now=T0 + 40).why == "line Q0 is newer"
    other = newer.with_values({"Q0.f01": Value(0.4, time="2026-11-21T10:00:30+00:00", routine="elsewhere")}, ISO)
    assert state(Node("rabi", "Q0"), other, now=T0 + 40).why == "Q0.f01 was changed by elsewhere", "nobody ran line"
    own = [record("line", "Q0", T0 + 35, values=["Q0.f01"])]
    assert state(Node("rabi", "Q0"), other, own, now=T0 + 40).why == "line Q0 is newer"
    assert state(Node("rabi", "Q1"), newer, now=T0 + 40).status == "fresh"
    looked = [record("rabi", "Q0", T0 + 35, kind="check")]
    assert state(Node("rabi", "Q0"), newer, looked, now=T0 + 40).status == "fresh"


def test_missing_design_suspect_and_restored_values():
    def having(value):
        return whole().with_values({"Q0.f01": value}, ISO)

    node = Node("line", "Q0")
    assert state(node, CalibrationSet(DEVICE.name, {}, ISO)) == NodeStatus("never", "Q0.f01 has no value")
    assert "design sheet" in state(node, having(Value(5e9, quality="design"))).why
    assert state(node, having(Value(5e9, time=ISO, quality="suspect"))).why == "Q0.f01 is suspect"
    assert state(node, having(Value(5e9, time=ISO, quality="set"))).status == "fresh"
    ran = [record("line", "Q0", T0 + 80, run_id="r9", values=["Q0.f01"])]
    assert state(node, having(Value(5e9, time=ISO, routine="line", run_id="r9")), ran, now=T0 + 150).status == "fresh"
    assert state(node, having(Value(5e9, time=ISO, routine="line", run_id="r0")), ran, now=T0 + 150).status == "stale"
    refined = having(Value(5e9, time=ISO, routine="ramsey", run_id="r10"))
    assert state(node, refined, ran, now=T0 + 150).status == "fresh", "another routine wrote over it"


def test_an_imported_value_is_stale_until_a_check_finds_it_in_spec():
    node, imported = Node("rabi", "Q0"), Value(0.5, time=ISO, routine="import", run_id="f: a", quality="unverified")
    calibration = whole().with_values({"Q0.x.amplitude": imported}, ISO)
    assert state(node, calibration).why == "Q0.x.amplitude was imported and has not been verified"
    good, bad = (record("rabi", "Q0", T0 + 50, kind="check", outcome=word) for word in ("good", "out of spec"))
    assert state(node, calibration, [good], now=T0 + 60).status == "fresh"
    assert state(node, calibration, [bad], now=T0 + 60).status == "stale"
    assert state(node, calibration, [record("rabi", "Q0", T0 - 50, kind="check")]).status == "stale"


def test_a_run_that_was_not_brought_into_force_makes_nothing_fresh():
    """With --no-commit, say: the active values are another routine's, and old."""
    node = Node("rabi", "Q0")
    others = whole().with_values({"Q0.x.amplitude": Value(0.5, time=ISO, routine="rb", run_id="r7")}, ISO)
    loose = record("rabi", "Q0", T0 + 150, run_id="r9", values=["Q0.x.amplitude"], after="")
    assert state(node, others, now=T0 + 200).status == "stale"
    assert state(node, others, [loose], now=T0 + 200).status == "stale"
    settled = record("rabi", "Q0", T0 + 150, run_id="r9", values=["Q0.x.amplitude"])
    assert state(node, others, [settled], now=T0 + 200).status == "fresh"


def test_values_of_a_run_that_was_stopped_before_they_were_verified_are_looked_at():
    """The process was killed between the commit and the end of the check after it."""
    node, name = Node("rabi", "Q0"), "Q0.x.amplitude"
    time = "2026-11-21T10:00:40+00:00"
    now = whole().with_values({name: Value(0.4, time=time, routine="rabi", run_id="r9")}, ISO)
    runs = [record("rabi", "Q0", T0 + 5, values=[name]), record("rabi", "Q0", T0 + 41, run_id="r9", values=[name],
                                                                after="")]  # fmt: skip
    assert state(node, now, runs, now=T0 + 60) == NodeStatus("stale", f"{name} was not verified", T0 + 40, T0 + 40)
    assert state(node, now, [*runs, record("rabi", "Q0", T0 + 45, kind="check")], now=T0 + 60).status == "fresh"
    assert state(Node("rabi", "Q1"), now, runs, now=T0 + 60).status == "fresh"


def test_a_value_that_was_set_by_hand_after_the_node_was_seen_is_looked_at():
    node, later = Node("rabi", "Q0"), "2026-11-21T10:00:30+00:00"
    ran = [record("rabi", "Q0", T0 + 5, run_id="r0", values=["Q0.x.amplitude"])]
    by_hand = whole().with_values({"Q0.x.amplitude": Value(0.4, time=later, quality="set", routine="set")}, ISO)
    assert state(node, by_hand, ran, now=T0 + 40) == NodeStatus(
        "stale", "Q0.x.amplitude was set by hand", T0 + 5, T0 + 5
    )
    looked = [*ran, record("rabi", "Q0", T0 + 35, kind="check")]
    assert state(node, by_hand, looked, now=T0 + 40).status == "fresh"


def test_values_that_another_routine_put_there_say_nothing():
    node = Node("line", "Q0")
    refined = whole().with_values({"Q0.f01": Value(5e9, time=ISO, routine="rabi")}, ISO)
    assert state(node, refined).status == "fresh", "what depends on it would not have been possible without it"
    theirs = whole().with_values({"Q0.f01": Value(5e9, time=ISO, routine="mixer")}, ISO)
    assert state(node, theirs) == NodeStatus("never", "it has not been measured")
    imported = whole().with_values({"Q0.f01": Value(5e9, time=ISO, routine="tuned elsewhere")}, ISO)
    assert state(node, imported).status == "fresh"


def test_what_gives_no_values_counts_by_its_record():
    node = Node("rb", "chip")
    assert state(node).status == "never"
    assert state(node, records=[record("rb", "chip", T0 + 5)]).status == "fresh"


def test_a_failure_is_kept_until_its_age_or_a_parent_gives_it_another_chance():
    node = Node("rabi", "Q0")
    failed = [record("rabi", "Q0", T0 + 20, outcome="bad data")]
    assert state(node, records=failed, now=T0 + 30) == NodeStatus("failed", "because", T0, T0)
    assert state(node, records=failed, now=T0 + 200).status == "stale"
    newer = whole().with_values({"Q0.f01": Value(0.4, time="2026-11-21T10:00:30+00:00", routine="line")}, ISO)
    assert state(node, newer, failed, now=T0 + 40).status == "stale"
    mended = [*failed, record("rabi", "Q0", T0 + 25, values=["Q0.x.amplitude"])]
    assert state(node, records=mended, now=T0 + 30).status == "fresh"
    stopped = [record("rabi", "Q0", T0 + 20, outcome="stopped")]
    assert state(node, records=stopped, now=T0 + 30).status == "fresh"


def test_faulty_and_unused_targets():
    bad = whole().with_faults({"Q1": Fault("no line")}, ISO)
    for node in (Node("rabi", "Q1"), Node("cr", "Q0-Q1"), Node("cr", "Q2-Q1")):
        assert state(node, bad).status == "faulty"
        assert state(node, bad).why == "no line"
    assert state(Node("rabi", "Q0"), bad).status == "fresh"
    assert state(Node("cr", "Q0-Q1"), unused={"Q0-Q1": "reversed"}).status == "unused"


def test_an_oscillator_that_was_disturbed_touches_mixers_and_pairs_alone():
    lo = DEVICE.oscillators[DEVICE.ports["d0"].lo].instrument
    after = [Event(T0 + 5, lo, "was power-cycled")]
    assert state(Node("mixer", "d0"), events=after).why == f"{lo} was power-cycled"
    assert state(Node("cr", "Q0-Q1"), events=after).status == "stale"
    assert state(Node("mixer", "ro"), events=after).status == "fresh"
    assert state(Node("rabi", "Q0"), events=after).status == "fresh"
    looked = [record("mixer", "d0", T0 + 6, kind="check")]
    assert state(Node("mixer", "d0"), records=looked, events=after).status == "fresh"
    assert state(Node("mixer", "d0"), events=[Event(T0 - 5, lo, "was power-cycled")]).status == "fresh"


def test_a_parent_that_hardly_moved_leaves_its_children_alone():
    steps = tuple(replace(step, moves={"f01": (1e5, 0.0)}) if step.routine == "line" else step for step in STEPS)
    graph = Graph(steps, DEVICE)

    def ran(ended, f01):
        values = {"Q0.f01": Value(f01, routine="line", run_id=f"r{ended}")}
        return RunRecord(
            f"r{ended}", "line", "Q0", "calibrate", "good", ended - 1, ended, values=values, after="set"
        )  # fmt: skip

    def of(*runs):
        newest = max(runs, key=lambda run: run.ended)
        calibration = whole().with_values(newest.values, ISO)
        records = [*runs, record("rabi", "Q0", T0 + 20, values=["Q0.x.amplitude"])]
        return states(graph, CalibrationContext(calibration, records, now=T0 + 90))[Node("rabi", "Q0")]

    first = ran(T0 + 10, 5e9)
    assert of(first, ran(T0 + 50, 5e9 + 5e4)).status == "fresh"
    assert of(first, ran(T0 + 50, 5e9 + 2e5)).why == "line Q0 is newer: Q0.f01 went from 5e+09 to 5.0002e+09"
    creeping = [ran(T0 + 30 + 10 * k, 5e9 + 6e4 * k) for k in range(1, 3)]
    assert of(first, creeping[0]).status == "fresh"
    assert of(first, *creeping).status == "stale", "small steps add up"
    assert of(ran(T0 + 50, 5e9)).why == "line Q0 is newer", "what it was before is not known"


def test_a_rough_value_over_a_fine_one_makes_the_fine_one_stale_however_little_it_moved():
    """Not in its direct parent alone, and a check since does not make the rough value fine."""
    steps = (
        Step("rough", "qubit", gives=("f01",), moves={"f01": (1e9, 0.0)}),
        Step("between", "qubit", ("rough",), gives=("t2",), moves={"t2": (1.0, 0.0)}),
        Step("fine", "qubit", ("between",), gives=("f01",)),
        Step("else", "qubit", ("rough",)),
    )

    def ran(routine, ended, *names, kind="calibrate"):
        values = {f"Q0.{name}": Value(5e9, routine=routine, run_id=f"r{ended}") for name in names}
        return RunRecord(f"r{ended}", routine, "Q0", kind, "good", ended - 1, ended, values=values, after="set")

    runs = [ran("rough", 10.0, "f01"), ran("between", 15.0, "t2"), ran("fine", 20.0, "f01"), ran("else", 20.0)]
    values = runs[1].values | runs[2].values

    def found(runs, values, steps=steps):
        return states(
            Graph(steps, DEVICE), CalibrationContext(CalibrationSet(DEVICE.name, values, ISO), runs, now=60.0)
        )

    fine = Node("fine", "Q0")
    assert found(runs, values)[fine] == NodeStatus("fresh", "", 20.0, 20.0)
    runs += [ran("rough", 30.0, "f01"), ran("fine", 40.0, kind="check")]
    values = values | runs[-2].values
    now = found(runs, values)
    assert now[fine] == NodeStatus("stale", "rough has measured Q0.f01 again", 20.0, 40.0, overwritten=True)
    assert now[Node("else", "Q0")].status == now[Node("rough", "Q0")].status == "fresh"
    no_worse = (replace(steps[0], rough=False), *steps[1:])
    assert found(runs, values, no_worse)[fine].status == "fresh"
    by_hand = {"Q0.f01": Value(5e9, quality="set")}
    assert not found(runs, values | by_hand)[fine].overwritten
    assert found([*runs, ran("fine", 50.0, "f01")], values | ran("fine", 50.0, "f01").values)[fine].status == "fresh"
