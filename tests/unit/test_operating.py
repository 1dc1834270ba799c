"""docs/operating.md: every fault has tests, and every test that it names is there."""

import ast
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
LINK = re.compile(r"\[([\w.]+)\]\((\.\./[^)]+\.py)\)")
ROWS = [
    line.strip("| ").split(" | ")
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| fault |")
]


def known_in(path: Path) -> set[str]:
    """The tests of a file; those of a class with its name."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
    return found


def test_the_page_has_its_rows():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_a_fault_says_what_is_seen_what_is_done_and_which_test_shows_it(row):
    assert len(row) == 4
    assert all(row)
    links = LINK.findall(row[-1])
    assert links
    for name, file in links:
        path = (PAGE.parent / file).resolve()
        assert path.exists(), file
        assert name in known_in(path), f"{file} has no {name}"
