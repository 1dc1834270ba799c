"""The links under src/pulsed, the wheel map, the source distribution and the floors name the same folders.

The unit tests mirror them; and modules leave each other's private names alone.
"""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "pulsed"
TESTS = ROOT / "tests" / "unit"
REACHED_PER_THOUSAND = 0.5
"""Private names of other objects that are used, per thousand lines."""
TWICE = {"Drag", "Session"}
"""Class names that stand twice, the field's own: a pulse and the routine for its amplitude; of VISA and of Qiskit."""
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


def test_every_folder_of_unit_tests_is_one_of_the_package():
    tested = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert [str(folder) for folder in sorted(tested) if not (PACKAGE / folder / "__init__.py").is_file()] == []


def test_a_file_of_unit_tests_is_named_after_its_module_or_says_what_it_is_about():
    silent = []
    for path in sorted(TESTS.rglob("test_*.py")):
        module = PACKAGE / path.relative_to(TESTS).parent / path.stem.removeprefix("test_")
        if not module.with_suffix(".py").is_file() and not module.is_dir():
            first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
            if len(first.split()) < 3:
                silent.append(str(path.relative_to(TESTS)))
    assert silent == [], "no module of that name, and no docstring that says of what the tests are"


PYTHONS = {"_replace", "_make", "_exit"}
"""Of named tuples and of `os`: documented, whatever their first letter."""


def reached(text: str) -> list[tuple[int, str]]:
    """Return line and text of every private name that is taken from something else than self or cls."""
    return [
        (node.lineno, ast.unparse(node))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        and node.attr not in PYTHONS
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    ]  # fmt: skip


def test_private_names_stay_private(folders):
    places, lines = [], 0
    for path in sorted(path for name in folders for path in (ROOT / name).rglob("*.py")):
        text = path.read_text()
        lines += text.count("\n")
        places += [f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in reached(text)]
    said = f"{len(places)} in {lines} lines, {1e3 * len(places) / lines:.2f} per thousand:\n" + "\n".join(places)
    assert 1e3 * len(places) / lines <= REACHED_PER_THOUSAND, said


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("self._a; cls._b; other.__class__; other.a", []),
        ("other._a", [(1, "other._a")]),
        ("self._a._b\nf()._c", [(2, "f()._c"), (1, "self._a._b")]),
    ],
)
def test_what_counts_as_a_private_name_of_another(text, found):
    assert sorted(reached(text)) == sorted(found)


def test_a_class_name_stands_once(folders):
    """A name has one meaning; those of the migrations are of their time."""
    places: dict[str, list[str]] = {}
    for path in (item for name in folders for item in (ROOT / name).rglob("*.py") if "versions" not in item.parts):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1}.keys() == TWICE
