import json
import sys
import threading

import pytest

from pulsed.model.errors import ConnectionFailedError
from pulsed.web.graph_look import GraphLook

NODES = [{"routine": "t1", "target": "Q0", "status": "fresh", "why": "", "calibrated": 1.0, "new": True}]


def looked(code: str) -> GraphLook:
    told = threading.Event()
    look = GraphLook(lambda: [sys.executable, "-c", code], told.set)
    look.look()
    assert told.wait(60)
    return look


def test_what_the_command_prints_is_what_was_seen():
    look = looked(f"print({json.dumps(json.dumps(NODES))})")
    assert [(node.routine, node.target, node.status) for node in look.nodes] == [("t1", "Q0", "fresh")]
    assert look.problem == ""
    assert look.looked > 0
    assert not look.looking


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('error: the lab part is missing')", "error: the lab part is missing"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("print('no json')", "JSON is malformed"),
        ("print('[{}]')", "missing required field"),
    ],
)
def test_a_look_that_comes_to_nothing_says_why(code, said):
    look = looked(code)
    assert said in look.problem
    assert look.nodes == ()


def test_without_a_daemon_nothing_is_started():
    told = threading.Event()

    def nowhere():
        raise ConnectionFailedError("no daemon answers there")

    look = GraphLook(nowhere, told.set)
    look.look()
    assert told.wait(60)
    assert look.problem == "no daemon answers there"


def test_one_look_at_a_time_and_its_end():
    told = []
    look = GraphLook(lambda: [sys.executable, "-c", "import time; time.sleep(60)"], lambda: told.append(1))
    look.look()
    look.look()
    assert look.looking
    look.close()
    assert told == [1]
    assert not look.looking
