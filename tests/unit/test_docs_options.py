"""Options that the pages name in a sentence: the code knows each of them, and it acts."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shlex
from pathlib import Path

import click
import pytest
from qiskit import transpile

import pulsed.configs
from pulsed.cli.main import cli
from pulsed.model.device import load_device
from pulsed.provider.options import DEFAULTS, PER_CALL

ROOT = Path(__file__).parents[2]
GENERATED = {"docs/reference/cli.md", "docs/reference/routines.md", "docs/reference/run-options.md"}
"""Written from the code itself."""
OTHERS = {"docs/how-to/use-qiskit-tools.md", "docs/reference/tools.md"}
"""About other packages: their options are none of ours."""
PAGES = [
    page for page in sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    if "decisions" not in page.parts and str(page.relative_to(ROOT)) not in GENERATED | OTHERS
]  # fmt: skip
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
RUN = {*DEFAULTS, *PER_CALL}
OF = {
    "frequency_offset": "pulsed.pulse:frequency_offset", "SymbolicPulse": "pulsed.pulse.library:SymbolicPulse",
    "RunOptions": "pulsed.model.job:RunOptions", "PulsedProvider": "pulsed.provider:PulsedProvider",
    "CalibrationSession": "pulsed.calibration.bringup:CalibrationSession", "loads": "pulsed.pulse.openpulse:loads",
    "openpulse.dumps": "pulsed.pulse.openpulse:dumps", "Acquire": "pulsed.pulse:Acquire",
    "Kernel": "pulsed.pulse:Kernel", "drag": "pulsed.calibration.schedules:Blocks.drag",
    "measure": "pulsed.calibration.schedules:Blocks.measure",
    "pulsed.calibration.runner.commit.commit_and_verify": "pulsed.calibration.runner.commit:commit_and_verify",
}  # fmt: skip
"""Where the functions that pages call are."""
FREE = {"f", "get_backend", "jobs", "Kernel", "pulse.Kernel", "drag", "transpile", "circuit.box"}
"""What takes whatever it is given: a function of a reader, what checks its parameters later, and Qiskit's own, whose
parameters depend on its version."""
ELSEWHERE = {
    "translation_method": transpile,
    "scheduling_method": transpile,
    "options": "pulsed.calibration.routine:MeasurementRequest",
    "values": "pulsed.calibration.routine:MeasurementRequest",
}
"""Keywords that pages name alone and that are none of `run`, with what has them."""


def found(where: str) -> object:
    module, _, name = where.partition(":")
    thing: object = importlib.import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def spans(page: Path) -> list[str]:
    return [" ".join(text.split()) for text in SPAN.findall(BLOCK.sub("", page.read_text()))]


def keywords(thing: object) -> set[str]:
    parameters = inspect.signature(thing).parameters.values()
    if any(item.kind is item.VAR_KEYWORD for item in parameters):
        raise AssertionError(f"{thing} takes whatever is given")
    return {item.name for item in parameters}


def call_of(text: str) -> ast.Call | None:
    """Return a span as the call that it is; one that names keywords alone is one of `run`."""
    text = text.replace("…", "...")
    for form in (text, f"run({text})"):
        try:
            tree = ast.parse(form, mode="eval").body
        except SyntaxError:
            continue
        if isinstance(tree, ast.Call) and tree.keywords:
            return tree
    return None


def wrong(text: str) -> str:
    """Return what is wrong with the options in a span of a page, empty when nothing is."""
    call = call_of(text)
    if call is None:
        return ""
    function, alone = ast.unparse(call.func), not text.startswith(ast.unparse(call.func))
    for item in call.keywords:
        if function in ("run", "backend.run"):
            thing = ELSEWHERE.get(str(item.arg)) if alone else None
            legal = RUN if thing is None else keywords(found(thing) if isinstance(thing, str) else thing)
        elif function in FREE:
            continue
        else:
            legal = keywords(found(OF[function]))
        if item.arg not in legal:
            return f"{function} has no {item.arg}"
        if item.arg == "settings" and not set(ast.literal_eval(item.value)) <= SETTINGS:
            return f"no such setting in {ast.unparse(item.value)}"
    return ""


SETTINGS = {
    name for config in Path(pulsed.configs.__file__).parent.glob("*.toml") for name in load_device(config).setting_names
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_keywords_in_sentences_are_known(page: Path) -> None:
    for text in spans(page):
        if re.match(r"[\w.]+\(|\w+=[^=]", text) and not text.split("=")[0].isupper():
            assert not wrong(text), f"{page.name}: `{text}`: {wrong(text)}"


def options_of(command: click.Command) -> set[str]:
    return {name for item in command.params for name in (*item.opts, *item.secondary_opts)} | {"--help", "--version"}


def every_option(command: click.Command) -> set[str]:
    context = click.Context(command)
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    below = [command.get_command(context, name) for name in names]
    return options_of(command).union(*(every_option(one) for one in below))


def unknown_option(text: str) -> str:
    """Return the option in a command line of a page that its command does not have, or the command there is not."""
    words = shlex.split(text.replace("\\|", "|"))
    if not words or words[0] != "pulsed":
        return next((word for word in words if word.startswith("--") and word not in every_option(cli)), "")
    command: click.Command = cli
    words.pop(0)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        below = command.get_command(click.Context(command), words[0])
        if below is None:
            return "" if command.invoke_without_command else words[0]
        command, words = below, words[1:]
    return next((word for word in words if word.startswith("--") and word not in options_of(command)), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_options_of_commands_in_sentences_are_known(page: Path) -> None:
    for text in spans(page):
        if text.startswith(("pulsed ", "--")):
            assert not unknown_option(text), f"{page.name}: `{text}`"


@pytest.mark.parametrize(
    "text",
    ['sittings={"compensation.crosstalk": 0}', 'settings={"compensation.crosstork": 0}', "backend.run(c, shotz=1)",
     'PulsedProvider(port="1")', "RunOptions(shot=1)"],
)  # fmt: skip
def test_a_keyword_that_nobody_knows_would_be_noticed(text: str) -> None:
    assert wrong(text)


@pytest.mark.parametrize("text", ["pulsed jobs --role", "pulsed cal dance", "--dance", "pulsed dance"])
def test_an_option_that_nobody_knows_would_be_noticed(text: str) -> None:
    assert unknown_option(text)
