"""The truth of the simulated chip is for the command line and the tests: nothing else speaks to the control socket."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "model",
    "pulse",
    "store",
    "compute",
    "compiler",
    "wire",
    "drivers",
    "calibration",
    "client",
    "daemon",
    "provider",
)
OPERATIONS, FUNCTIONS = {"truth", "predict"}, {"ask_rack", "find_control"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_other_module_speaks_to_the_control_socket(folder):
    """By name of an operation as a string, or of what asks for it; the import contracts forbid the simulator itself."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            asked = isinstance(node, ast.Constant) and node.value in OPERATIONS
            called = isinstance(node, ast.Name) and node.id in FUNCTIONS
            if asked or called:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_the_command_line_does():
    """So that the words above are the right ones."""
    text = (ROOT / "cli" / "commands" / "rack.py").read_text()
    assert "ask_rack" in text
    assert '"truth"' in text
