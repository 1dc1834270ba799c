"""What `pip install pulsed` brings is enough to run circuits and schedules; what needs the lab part says so."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pulsed.cli.lab_part import PACKAGES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

HIDE = """
import sys

class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden)
FIRST = set(sys.modules)  # by a .pth file of the environment, before any line of ours: setuptools has one
"""

EXPERIMENT = """
from qiskit import QuantumCircuit, transpile
from pulsed import pulse
from pulsed.client import Client
from pulsed.model.errors import MissingPackageError
from pulsed.provider import PulsedProvider

url, key = sys.argv[1:]
with Client(url, key) as client:
    assert client.status().backend == "sim5"
backend = PulsedProvider(url, key).get_backend("sim5")
circuit = QuantumCircuit(1, 1)
circuit.x(0)
circuit.measure(0, 0)
fitted = transpile(circuit, backend)
assert sum(backend.run(fitted, shots=100).result(60).get_counts().values()) == 100
schedule = pulse.Schedule()
schedule += pulse.Play(pulse.Drag(duration=64, amp=0.3, sigma=16, beta=0.0), backend.drive_channel(0))
schedule += backend.instruction_schedule_map.get("measure", range(5)) << schedule.duration
assert sum(backend.run(schedule, shots=100).result(60).get_counts().values()) == 100
assert backend.schedule(fitted).duration > 0
assert backend.preview(fitted) is not None
try:
    schedule.draw()
except MissingPackageError as error:
    assert "pip install matplotlib" in str(error)
else:
    raise AssertionError("drew without matplotlib")
loaded = HIDDEN & {name.partition(".")[0] for name in sys.modules.keys() - FIRST}
assert not loaded, loaded
"""

COMMAND = """
from pulsed.cli.main import invoke
sys.exit(invoke(sys.argv[1:]))
"""


def base() -> set[str]:
    """Return the distributions that the base part of pulsed needs, directly or through others."""
    found: set[str] = set()
    todo = [Requirement(text) for text in PROJECT["dependencies"]]
    while todo:
        item = todo.pop()
        name = re.sub(r"[-_.]+", "-", item.name).lower()
        if name in found or (item.marker is not None and not item.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            todo += map(Requirement, requires(item.name) or [])
        except PackageNotFoundError:  # of another platform
            continue
    return found


def hidden() -> set[str]:
    """Return the top-level modules that are there in this environment and not in a bare one."""
    mine = base()
    return {
        top for top, names in packages_distributions().items()
        if top not in ("pulsed", "_virtualenv") and not {re.sub(r"[-_.]+", "-", one).lower() for one in names} & mine
    }  # fmt: skip


def run_bare(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"HIDDEN = {hidden()!r}\n{HIDE}\n{code}", *arguments],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_the_lab_part_is_hidden_from_the_bare_environment() -> None:
    assert {"qcodes", "lmfit", "alembic", "xarray", "matplotlib", "pyvisa", "sqlalchemy", "structlog"} <= hidden()
    assert not {"qiskit", "numpy", "zmq", "msgspec", "pydantic", "click", "rich"} & hidden()


def test_the_extra_lab_and_the_command_line_name_the_same_packages() -> None:
    assert {Requirement(text).name for text in PROJECT["optional-dependencies"]["lab"]} == set(PACKAGES.values())


def test_an_experimenter_needs_the_base_part_alone(daemon) -> None:
    done = run_bare(EXPERIMENT, daemon.endpoint, str(daemon.home / "clients" / "local.key"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    ["serve", "demo", "rack", "scan Q0 --axis wait=0:20us:3", "cal run t1 Q0", "cal maintain"],
)
def test_a_command_of_the_lab_part_says_what_to_install(daemon, command: str) -> None:
    asks = [] if command in ("serve", "demo", "rack") else ["--url", daemon.endpoint]
    asks += [] if command in ("serve", "demo", "rack") else ["--key", str(daemon.home / "clients" / "local.key")]
    done = run_bare(COMMAND, *command.split(), *asks)
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(
        r"error: pulsed: this command needs the lab part of pulsed: pip install 'pulsed\[lab\]'; got no package .+\n",
        done.stderr,
    )


@pytest.mark.parametrize("command", ["status", "jobs", "--help", "cal --help"])
def test_a_command_that_asks_a_daemon_needs_the_base_part_alone(daemon, command: str) -> None:
    asks = [] if "--help" in command else ["--url", daemon.endpoint, "--key", str(daemon.home / "clients/local.key")]
    done = run_bare(COMMAND, *command.split(), *asks)
    assert done.returncode == 0, done.stderr
