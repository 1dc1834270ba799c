"""README and docs: their Python runs against a daemon, their commands parse, their links lead somewhere."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import click
import pytest

from pulsed.cli.main import cli
from pulsed.cli.processes import OwnDaemon
from pulsed.model.device import check_device

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
LANGUAGES = {"python", "console", "toml", "text", "ini"}
"""python is run, console is parsed, toml is checked as a rack; text and ini are for people."""


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


@pytest.mark.parametrize("page", with_blocks("python"), ids=name)
def test_python_blocks_run(page, homes, monkeypatch):
    home = homes[RACKS.get(name(page), "sim5")]
    monkeypatch.setenv("PULSED_HOME", str(home))
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    for text in blocks(page, "python"):
        exec(compile(text, name(page), "exec"), scope)
    if "backend" in scope:
        scope["backend"].provider.client.close()


def test_the_ten_lines_of_the_readme_are_ten():
    (first, *_) = blocks(ROOT / "README.md", "python")
    assert len([line for line in first.splitlines() if line.strip()]) == 10


def _parse(words: list[str]) -> None:
    """Parse a command line as pulsed would, without running it."""
    command: click.Command = cli
    assert words.pop(0) == "pulsed"
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command = command.commands[words.pop(0)]
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


@pytest.mark.parametrize("page", ["cli.md", "configuration.md", "errors.md"])
def test_reference_pages_are_those_of_the_code(page):
    written = (ROOT / "docs" / "reference" / page).read_text()
    assert written == _generator().PAGES[page](), "run `python docs/reference/generate.py`"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=name)
def test_examples_run(example, homes):
    environment = {**os.environ, "PULSED_HOME": str(homes["sim5"])}
    ran = subprocess.run([sys.executable, example], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout
