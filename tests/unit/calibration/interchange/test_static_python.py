import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.interchange.static_python import Call, StaticReader, Unknown
from pulsed.model.errors import ConfigError


def read(text, **handlers):
    reader = StaticReader(text, "p.py", handlers)
    return reader.call("create"), reader.problems


def test_assignments_loops_and_comprehensions_are_read():
    found, problems = read(
        """
from lab import Qubit as Q
TABLE = {"a": (1, {"io1": ["0", "1"]}), **{"b": (2, {})}}

def double(x, by=2):
    return x + x if by == 2 else 0

def create():
    "doc"
    out = {f"q{i}": double(i) for i in range(4) if i != 2}
    for name, (slot, _) in TABLE.items():
        out[name] = slot
    out["more"] = [*out.keys()][:1] if False else -3
    n = 1
    n += 4
    return Q.make(out, n=n, lo=TABLE["a"][1]["io1"][-1])
"""
    )
    assert problems == []
    assert found == Call(
        "Qubit.make",
        ({"q0": 0, "q1": 2, "q3": 6, "a": 1, "b": 2, "more": -3},),
        {"n": 5, "lo": "1"},
    )


@pytest.mark.parametrize(
    "text",
    [
        "import os\ndef create():\n    os.system('touch {path}')\n    return 1",
        "def create():\n    return open('{path}', 'w')",
        "def create():\n    return __import__('os').system('touch {path}')",
        "def create():\n    return (1).__class__.__base__.__subclasses__()",
        "def create():\n    return eval(\"open('{path}','w')\")",
        "import pathlib\npathlib.Path('{path}').touch()\ndef create():\n    return 1",
        "class A:\n    x = open('{path}', 'w')\ndef create():\n    return [A() for _ in range(3)]",
    ],
)
def test_nothing_of_a_file_is_run(text, tmp_path):
    path = tmp_path / "made"
    read(text.replace("{path}", str(path)))
    assert not path.exists()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("while True:\n        pass", "while"),
        ("with open('x') as f:\n        pass", "with"),
        ("return x ** 3", "operation"),
        ("return (lambda: 3)()", "Lambda"),
    ],
)
def test_what_is_not_read_names_its_line(body, why):
    _, problems = read(f"def create():\n    x = 2\n    {body}\n")
    assert any(why in problem and "line 3" in problem for problem in problems), problems


@pytest.mark.parametrize(
    "body",
    [
        "return [i for i in range(1000000000)]", "return [[i for i in range(9999)] for j in range(9999)]",
        "x = 'a'\n    for i in range(60):\n        x = x + x\n    return x",
        "x = 3\n    for i in range(60):\n        x = x * x\n    return x", "return create()",
        "return [0, 0] + list(range(20000))",
    ],
)  # fmt: skip
def test_what_grows_is_given_up(body):
    found, _ = read(f"def create():\n    {body}\n")
    assert isinstance(found, Unknown)


def test_an_unknown_spoils_what_is_made_of_it_alone():
    found, _ = read("def create():\n    a = 2 ** 3\n    return Thing(a=a + 1, b=2)")
    assert isinstance(found.keywords["a"], Unknown)
    assert found.keywords["b"] == 2


def test_what_is_no_python_is_an_error():
    with pytest.raises(ConfigError, match=r"p\.py"):
        StaticReader("def create(:", "p.py", {})


@given(st.text(alphabet="abfrcxt()[]{}:,.='\n 0123456789*+-", max_size=60))
def test_no_text_breaks_it(text):
    try:
        reader = StaticReader(f"def create():\n    pass\n{text}", "p.py", {})
    except ConfigError:
        return
    reader.call("create")


def test_it_starts_no_process(monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    found, _ = read("import subprocess\ndef create():\n    return subprocess.run(['true'])")
    assert found == Call("subprocess.run", (["true"],), {})
