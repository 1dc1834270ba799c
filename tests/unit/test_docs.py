"""README and docs: their Python runs against a daemon, their commands parse, their links lead somewhere."""

import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import click
import pytest
from matplotlib.image import imread

from pulsed.calibration.executor import Executor
from pulsed.calibration.routines.scan import Scan, parse_axis
from pulsed.cli.main import cli
from pulsed.cli.processes import OwnDaemon
from pulsed.client import Client
from pulsed.model.device import check_device

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "findings" / "README.md"])
BLOCK = re.compile(r"^```([\w{}-]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LANGUAGES = {"{eval-rst}", "python", "py", "console", "toml", "text", "ini"}
"""python is run, and py by tests/tools, because it needs other packages; console is parsed, toml is checked as a rack;
text and ini are for people."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def with_blocks(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


RACKS = {"docs/how-to/tunable-coupler.md": "coupler2"}
"""Pages that speak of another rack than sim5."""


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """The homes of daemons with simulated racks, by configuration."""
    with ExitStack() as stack:
        daemons = {
            config: stack.enter_context(OwnDaemon(tmp_path_factory.mktemp("docs"), config))
            for config in ("sim5", *RACKS.values())
        }
        for daemon in daemons.values():
            daemon.wait().close()
        yield {config: daemon.home for config, daemon in daemons.items()}


PRINTED = re.compile(r"^ *print\(.*\)  # (.+)$", re.MULTILINE)


def promised(text: str) -> list[str]:
    """The lines that a block says it prints: comments after a print that are a value and nothing else."""
    found = []
    for comment in PRINTED.findall(text):
        with suppress(ValueError, SyntaxError):
            ast.literal_eval(comment)
            found.append(comment)
    return found


@pytest.mark.parametrize("page", with_blocks("python"), ids=name)
def test_python_blocks_run(page, homes, monkeypatch, capsys):
    """They also print what the comments beside say."""
    home = homes[RACKS.get(name(page), "sim5")]
    monkeypatch.setenv("PULSED_HOME", str(home))
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    for text in blocks(page, "python"):
        exec(compile(text, name(page), "exec"), scope)
        printed = capsys.readouterr().out.splitlines()
        assert [line for line in promised(text) if line not in printed] == []
    if "backend" in scope:
        scope["backend"].provider.client.close()


def test_the_pi_pulse_of_the_readme_is_one(homes, monkeypatch):
    """0.95 to 0.98 with decay and readout errors, of 2000 shots within 0.005; an amplitude of 0.2 would give 0.57."""
    monkeypatch.setenv("PULSED_HOME", str(homes["sim5"]))
    scope: dict[str, Any] = {}
    for text in blocks(ROOT / "README.md", "python"):
        exec(compile(text, "README.md", "exec"), scope)
    assert scope["schedule"].name == "π pulse"
    counts = scope["backend"].run(scope["schedule"], shots=2000).result().get_counts()
    scope["backend"].provider.client.close()
    assert sum(number for bits, number in counts.items() if bits[-1] == "1") > 0.92 * 2000


def test_scans_of_the_pages_need_no_confirmation(homes, monkeypatch):
    """`pulsed scan` would refuse one that takes longer than the rack's limit."""
    monkeypatch.setenv("PULSED_HOME", str(homes["sim5"]))
    asked = [
        line.removeprefix("$ pulsed scan ")
        for page in with_blocks("console") for text in blocks(page, "console") for line in text.splitlines()
        if line.startswith("$ pulsed scan ")
    ]  # fmt: skip
    assert asked
    with Client() as client:
        bench = Executor(client)
        for line in asked:
            given = cli.get_command(click.Context(cli), "scan").make_context("scan", shlex.split(line)).params
            axes = [parse_axis(text, bench.device) for text in given["axes"]]
            routine = Scan(axes=axes, program=given["program"], shots=given["shots"])
            seconds = sum(routine.least_seconds(bench, target) for target in given["targets"])
            assert seconds <= bench.device.limits.rack_time or given["yes"], line


def test_the_ten_lines_of_the_readme_are_ten():
    (first, *_) = blocks(ROOT / "README.md", "python")
    assert len([line for line in first.splitlines() if line.strip()]) == 10


def _parse(words: list[str]) -> None:
    """Parse a command line as pulsed would, without running it."""
    command: click.Command = cli
    assert words.pop(0) == "pulsed"
    while isinstance(command, click.Group) and words and command.get_command(click.Context(command), words[0]):
        command = command.get_command(click.Context(command), words.pop(0))
    command.make_context(command.name, words)


@pytest.mark.parametrize("page", with_blocks("console"), ids=name)
def test_commands_parse(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for text in blocks(page, "console"):
        for line in text.splitlines():
            assert line.startswith("$ "), line
            _parse(shlex.split(line.removeprefix("$ ")))


def test_a_wrong_command_would_be_noticed():
    with pytest.raises(click.UsageError):
        _parse(["pulsed", "status", "--loud"])
    with pytest.raises(click.UsageError):
        _parse(["pulsed", "run", "no-such-file.qasm"])


@pytest.mark.parametrize("page", with_blocks("toml"), ids=name)
def test_racks_are_right(page, tmp_path):
    for text in blocks(page, "toml"):
        path = tmp_path / "rack.toml"
        path.write_text(text)
        device, problems = check_device(path)
        assert device is not None, problems


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_have_a_known_language_and_links_lead_somewhere(page):
    text = page.read_text()
    assert {kind for kind, _ in BLOCK.findall(text)} <= LANGUAGES
    for target in LINK.findall(BLOCK.sub("", text)):
        if not target.startswith("http"):
            assert (page.parent / target.partition("#")[0]).exists(), f"{name(page)} links to {target}"


MAPS = ("README.md", "CONTRIBUTING.md", "docs/explanation/architecture.md", "docs/how-to/write-a-driver.md")
"""Pages that say in which file something is."""
TOP = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")))
FILE = re.compile(rf"`((?:{TOP})/[\w./-]*)`")


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_files_that_a_page_names_are_there(page):
    named = FILE.findall(page.read_text())
    assert len(named) >= (3 if name(page) in MAPS else 0)
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("row", ["COMMANDS in cli.main", "MODELS in simulator.rack", "PARAMETERS in model.parameters"])
def test_tables_that_the_readme_names_are_there(row):
    table, _, module = row.partition(" in ")
    assert f"`{table}`" in (ROOT / "README.md").read_text()
    assert getattr(importlib.import_module(f"pulsed.{module}"), table)


def test_the_picture_of_the_floors_shows_floors_and_files_that_there_are():
    spec = importlib.util.spec_from_file_location("floors", ROOT / "docs" / "explanation" / "floors.py")
    floors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(floors)
    top, inside = floors.read_floors()
    assert {name for floor in top for name in floor} == set(floors.CHARTERS) == set(floors.COLOURS)
    assert set(inside) == set(floors.INSIDE)
    shown = floors.shown_floors()
    assert {(folder, name) for folder, rows in shown.items() for row in rows for name in row} >= set(floors.STEPS)


def test_every_page_can_be_reached():
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            todo += [page.parent / target.partition("#")[0] for target in LINK.findall(page.read_text())
                     if not target.startswith("http")]  # fmt: skip
    assert {name(page) for page in PAGES} == {name(page) for page in reached}


def _generator():
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs" / "reference" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["cli.md", "configuration.md", "errors.md", "primitives.md", "run-options.md"])
def test_reference_pages_are_those_of_the_code(page):
    written = (ROOT / "docs" / "reference" / page).read_text()
    assert written == _generator().PAGES[page](), "run `python docs/reference/generate.py`"


ARGUMENTS = {"rack_pictures": ["--coarse", "pictures"]}
"""What examples are given, by the name of the file."""


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=name)
def test_examples_run(example, homes, tmp_path):
    """In a folder of their own: what they write stays out of the checkout."""
    command = [sys.executable, example, *ARGUMENTS.get(example.stem, [])]
    environment = {**os.environ, "PULSED_HOME": str(homes["sim5"])}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
    for line in ran.stdout.splitlines():
        if line.endswith(".png"):
            assert imread(tmp_path / line).std() > 0.05, f"{line} shows nothing"
