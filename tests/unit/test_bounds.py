"""`make test-oldest` tests the lower bounds of pyproject.toml, those and no others."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]


def test_the_oldest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    given = [*project["dependencies"], *(text for name in ("lab", "openqasm", "test") for text in extras[name])]
    lowest = {}
    for item in map(Requirement, given):
        if item.name != "pulsed":
            (bound,) = [one.version for one in item.specifier if one.operator == ">="]
            lowest[item.name.lower()] = Version(bound)
    lines = [line for line in (ROOT / "constraints-oldest.txt").read_text().splitlines() if line[:1] not in ("", "#")]
    oldest = {name.lower(): Version(version) for name, version in (line.split("==") for line in lines)}
    assert oldest == lowest
