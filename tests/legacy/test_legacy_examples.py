"""The programs in ``examples/legacy`` with the import lines of Qiskit 1.4 make the schedules kept in ``golden``.

The main tests hold the same programs with pulsed's import lines to the same files. To write them again:
``PULSED_WRITE_GOLDEN=1 make test-legacy``.
"""

import gzip
import json
import os
import re
from pathlib import Path
from types import ModuleType

import pytest

from pulsed.provider import PulsedBackend
from pulsed.testing.programs import timed_values

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "legacy"
GOLDEN = Path(__file__).parent / "golden"
IMPORTS = {
    "from pulsed import pulse": "from qiskit import pulse",
    "from pulsed.provider import PulsedProvider as Provider": "from qiskit14 import Provider",
}


def under_qiskit14(path: Path) -> ModuleType:
    """The program with other import lines."""
    lines = path.read_text().splitlines()
    assert [line for line in lines if re.match(r"(from|import) .*pulsed", line)] == list(IMPORTS)
    module = ModuleType(path.stem)
    text = "\n".join(IMPORTS.get(line, line) for line in lines)
    exec(compile(text, str(path), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("name", ["building_schedules", "calibrating_a_qubit", "cross_resonance"])
def test_schedules_of_qiskit14_are_the_ones_kept(name, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    program = under_qiskit14(EXAMPLES / f"{name}.py")
    model = PulsedBackend.from_export(ROOT / "configs" / "sim5.toml", GOLDEN / "calibration.json")
    schedules = program.schedules(type(program.Provider().get_backend("sim5"))(model))
    assert {type(schedule).__module__ for schedule in schedules} == {"qiskit.pulse.schedule"}
    listed = [[schedule.name, timed_values(schedule)] for schedule in schedules]
    path = GOLDEN / f"{name}.json.gz"
    if os.environ.get("PULSED_WRITE_GOLDEN"):
        path.write_bytes(gzip.compress(json.dumps(listed).encode(), mtime=0))
    assert json.loads(gzip.decompress(path.read_bytes())) == json.loads(json.dumps(listed))
