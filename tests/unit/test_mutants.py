"""The short form of `make mutants`: what is changed, one thing at a time, and that a change is noticed."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "mutants"


@pytest.fixture(scope="module")
def run():
    """The module that `make mutants` runs."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("mutants_run", FOLDER / "run.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def everything(run):
    return run.everything(ROOT)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("x = a < b", ["x = (a <= b)"]),
        ("x = a < b < c", []),
        ("x = a + b", ["x = (a - b)"]),
        ('x = "a" % b', []),
        ("x = a and not b", ["x = (a or not b)", "x = a and (b)"]),
        ("x = 3", ["x = (4)"]),
        ("x = 0.0", ["x = (1.0)"]),
        ("x: Literal[1] = y", []),
        ("def f():\n    return g(1)", ["def f():\n    return None", "def f():\n    return g((2))"]),
        ("def f():\n    return None", []),
        ("f()\nlog.info('é')", ["pass\nlog.info('é')"]),
        ("async def f():\n    await g()", ["async def f():\n    pass"]),
        ("é = 'ü'; x = é == 1", ["é = 'ü'; x = (é != 1)", "é = 'ü'; x = é == (2)"]),
        ("@cache(3)\ndef f(): ...", []),
        ("if TYPE_CHECKING:\n    x = 1", []),
    ],
)
def test_each_mutant_is_one_change(run, text, changed):
    assert [mutant.text for mutant in run.mutants("a.py", text)] == changed


def test_every_mutant_of_every_module_is_a_program_and_another_one(everything):
    assert len(everything) > 3000
    for mutant in everything[:: len(everything) // 300]:
        compile(mutant.text, mutant.path, "exec")
        assert mutant.text != (ROOT / mutant.path).read_text()


def test_every_module_has_tests_to_ask(run, everything):
    for mutant in {mutant.path: mutant for mutant in everything}.values():
        for tests in run.nearest(ROOT, Path(mutant.path)):
            assert tests
            assert all((ROOT / test).exists() for test in tests), tests


def test_what_is_known_to_change_nothing_is_there_and_has_a_reason(run, everything):
    there = {str(mutant) for mutant in everything}
    for mutant, reason in run.equivalent().items():
        assert mutant in there, f"{mutant} is no mutant any more"
        assert len(reason.split()) > 4, mutant


def test_a_mutant_is_killed_or_survives_and_the_module_is_as_it_was(run, tmp_path):
    (tmp_path / "drivers").mkdir()
    tests = tmp_path / "tests" / "unit" / "drivers"
    tests.mkdir(parents=True)
    (tmp_path / "tests" / "contract").mkdir()
    module = tmp_path / "drivers" / "limit.py"
    module.write_text("def allowed(x):\n    return x < 5\n")
    test = (
        "import sys\nsys.path.insert(0, 'drivers')\nfrom limit import allowed\ndef test_it():\n    assert allowed({})\n"
    )
    file = tests / "test_limit.py"
    file.write_text(test.format("1) and not allowed(5"))
    (mutant,) = [found for found in run.mutants("drivers/limit.py", module.read_text()) if found.kind == "comparison"]
    before = module.read_text(), module.stat().st_mtime_ns
    assert "test_it" in run.killed(tmp_path, mutant)
    file.write_text(test.format("1"))
    assert run.killed(tmp_path, mutant, rounds=1) == ""
    file.write_text(test.format("6"))
    with pytest.raises(RuntimeError, match=r"without any change: tests/unit/drivers/test_limit.py::test_it"):
        run.killed(tmp_path, mutant, rounds=1)
    assert (module.read_text(), module.stat().st_mtime_ns) == before
