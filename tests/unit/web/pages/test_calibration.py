from pulsed.model.calibration import CalibrationSet, Fault, Value
from pulsed.web.graph_look import GraphNode
from pulsed.web.pages.calibration import differences, reasons, rows

NODES = [
    GraphNode("t1", "Q0", "fresh"), GraphNode("t1", "Q1", "stale", "it is old"),
    GraphNode("t1", "Q2", "stale", "it is old"),
    GraphNode("rabi", "Q1", "failed", "no contrast"), GraphNode("rabi", "Q3", "unused", "another direction"),
    GraphNode("t1", "Q4", "faulty", "broken"), GraphNode("rabi", "Q4", "faulty", "broken"),
]  # fmt: skip


def test_a_row_for_each_routine():
    assert [(row.routine, [node.target for node in row.nodes]) for row in rows(NODES)] == [
        ("t1", ["Q0", "Q1", "Q2", "Q4"]), ("rabi", ["Q1", "Q3", "Q4"]),
    ]  # fmt: skip


def test_what_failed_comes_first_and_what_is_alike_is_said_once():
    assert [(one.status, one.routine, one.targets, one.why) for one in reasons(NODES)] == [
        ("failed", "rabi", ("Q1",), "no contrast"), ("faulty", "", ("Q4",), "broken"),
        ("stale", "t1", ("Q1", "Q2"), "it is old"),
    ]  # fmt: skip


def test_differences_of_sets():
    one = CalibrationSet("d", {"Q0.t1": Value(1.0, "s"), "Q0.t2": Value(2.0, "s")}, "now")
    other = CalibrationSet("d", {"Q0.t1": Value(3.0, "s"), "Q1.t1": Value(4.0, "s"), "Q0.t2": Value(2.0, "s")}, "then",
                           faults={"Q2": Fault("broken")})  # fmt: skip
    found = {item.name: (item.here, item.there) for item in differences(one, other)}
    assert found == {"Q0.t1": (Value(1.0, "s"), Value(3.0, "s")), "Q1.t1": (None, Value(4.0, "s"))}
    assert differences(one, one) == []
