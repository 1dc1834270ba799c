"""The links under src/pulsed, the wheel map, the source distribution and the floors name the same folders."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BESIDE_THE_FLOORS = {"configs", "testing"}
"""Data, and doubles that nothing imports: on no floor."""


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def folders() -> set[str]:
    return {path.name for path in (ROOT / "src" / "pulsed").iterdir() if path.is_symlink()}


def test_every_link_leads_to_its_folder_at_the_root(folders):
    assert folders
    for name in folders:
        link = ROOT / "src" / "pulsed" / name
        assert link.readlink() == Path("../..") / name
        assert (ROOT / name / "__init__.py").is_file(), f"{name}/ is no package"


def test_every_package_at_the_root_has_a_link(folders):
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - folders <= {"benchmarks"}


def test_wheel_holds_all_folders(project, folders):
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert wheel == {name: f"pulsed/{name}" for name in folders}


def test_source_distribution_holds_all_folders(project, folders):
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {
        item.strip("/") for item in included if item.count("/") == 1 and (ROOT / item.strip("/")).is_dir()
    } == folders


def test_floors_hold_all_folders(project, folders):
    contract = next(item for item in project["tool"]["importlinter"]["contracts"] if item["type"] == "layers")
    on_floors = [name.strip() for layer in contract["layers"] for name in layer.split("|")]
    assert len(on_floors) == len(set(on_floors))
    assert {name.removeprefix("pulsed.") for name in on_floors} == folders - BESIDE_THE_FLOORS


def test_the_package_carries_its_type_marker():
    assert (ROOT / "src" / "pulsed" / "py.typed").is_file()
    assert (ROOT / "src" / "pulsed" / "__init__.py").is_file()
