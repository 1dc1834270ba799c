"""Where the processor time of a run goes: counted by phase, added up by file."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from pulsed.testing.processor_time import ProcessorTime

BURN = "import time\nwhile time.process_time() < 0.3: pass"


def report(plugin, nodeid):
    """Return what a phase of a test brings that has just ended."""
    hook = plugin.pytest_runtest_makereport(None)
    next(hook)
    with pytest.raises(StopIteration) as end:
        hook.send(SimpleNamespace(nodeid=nodeid))
    return end.value.value


def test_a_phase_is_counted_here_and_in_the_processes_that_ended_within_it():
    plugin = ProcessorTime()
    subprocess.run([sys.executable, "-S", "-E", "-c", BURN], check=True)
    clock, own, children = report(plugin, "a.py::one").used
    assert clock >= children >= 0.3 > own
    until = time.process_time() + 0.2
    while time.process_time() < until:
        os.getpid()
    clock, own, children = report(plugin, "a.py::one").used
    assert own >= 0.19
    assert children == 0.0


def test_files_come_by_what_they_use_and_tests_below_them():
    plugin = ProcessorTime()
    told = (
        ("a.py::one", [9.0, 1.0, 0.5]), ("b.py::two[x::y]", [2.0, 0.5, 3.0]), ("a.py::one", [1.0, 1.0, 0.0]),
        ("b.py::three", [0.1, 0.0, 0.0]),
    )  # fmt: skip
    for nodeid, used in told:
        plugin.pytest_runtest_logreport(SimpleNamespace(nodeid=nodeid, used=used))
    plugin.pytest_runtest_logreport(SimpleNamespace(nodeid="a.py::one"))
    rows = [line.split() for line in plugin.table().splitlines()[1:]]
    assert rows == [
        ["12.1", "6.0", "2.5", "3.5", "3", "tests"],
        ["2.1", "3.5", "0.5", "3.0", "b.py"],
        ["2.0", "3.5", "0.5", "3.0", "two[x::y]"],
        ["10.0", "2.5", "2.0", "0.5", "a.py"],
        ["10.0", "2.5", "2.0", "0.5", "one"],
    ]
    assert [line.split()[-1] for line in plugin.table(1).splitlines()[1:]] == ["tests", "b.py"]
