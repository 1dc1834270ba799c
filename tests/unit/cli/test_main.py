"""The command line as a whole: exit codes, one line per error, and how little is loaded."""

import statistics
import subprocess
import sys
import time

import click
import pytest

from pulsed.cli import main
from pulsed.cli.lazy import LazyGroup
from pulsed.model.errors import InvalidValueError

HEAVY = ("rich", "numpy", "qiskit", "zmq", "msgspec", "pydantic", "matplotlib", "asyncio")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["serve", "--help"], ["rack", "truth", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments):
    script = (
        "import sys; from pulsed.cli.main import invoke; code = invoke(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert ran.stdout
    assert ran.stderr.strip() == "[]"


def test_help_lists_every_command_in_order(capsys):
    assert main.invoke(["--help"]) == 0
    listed = capsys.readouterr().out.split("Commands:")[1].split("\n")
    assert [line.split()[0] for line in listed if line.strip()] == list(main.COMMANDS)


def _lazy_groups(group):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield group, name, command
        if isinstance(command, LazyGroup):
            yield from _lazy_groups(command)


def test_the_tables_of_commands_say_what_the_commands_say():
    found = list(_lazy_groups(main.cli))
    assert {name for _, name, _ in found} >= {"serve", "truth", "diagnose"}
    for group, name, command in found:
        assert group.lazy[name][1] == command.get_short_help_str(10_000), f"{group.name} {name}"
        assert command.name == name


@pytest.mark.parametrize(
    ("old", "new"), [("cal fault", "disable"), ("cal unfault", "enable"), ("rack fault", "inject-fault")]
)
def test_an_old_name_works_and_says_what_it_is_called_now(capsys, old, new):
    assert main.invoke([*old.split(), "--help"]) == 0
    said = capsys.readouterr()
    group = old.split()[0]
    assert f"Usage: pulsed {group} {new} " in said.out
    assert said.err == f"`pulsed {old}` is now `pulsed {group} {new}`; the old name goes in the next version\n"
    assert main.invoke([group, "--help"]) == 0
    assert f" {old.split()[1]} " not in capsys.readouterr().out.split("Commands:")[1]


def _command(error):
    @click.command()
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (InvalidValueError("is out of bounds", subject="shots", value=0, legal="1 to 9"), 1,
         "error: shots: is out of bounds; got 0; legal: 1 to 9\n"),
        (click.UsageError("no"), 2, "Error: no\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (FileNotFoundError(2, "No such file or directory", "/no/such/a.png"), 1,
         "error: /no/such/a.png: No such file or directory\n"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_an_exit_code(monkeypatch, capsys, error, code, text):
    monkeypatch.setitem(main.cli.commands, "status", _command(error))
    assert main.invoke(["status"]) == code
    assert capsys.readouterr().err.endswith(text)


@pytest.mark.parametrize("error", [ZeroDivisionError("a mistake in the code"), OSError("of no file")])
def test_an_error_of_ours_to_write_is_not_hidden(monkeypatch, error):
    monkeypatch.setitem(main.cli.commands, "status", _command(error))
    with pytest.raises(type(error)):
        main.invoke(["status"])


@pytest.mark.parametrize("arguments", [["nonsense"], ["run"], ["run", "/no/such/file.qasm"], ["jobs", "--limit", "0"]])
def test_wrong_usage_is_exit_code_2(capsys, arguments):
    assert main.invoke(arguments) == 2
    assert "Usage" in capsys.readouterr().err


def test_no_daemon_is_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    assert main.invoke(["status"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "local.key" in error
    assert "pulsed serve" in error


TWO_COMMANDS = """
import click

@click.group()
def app():
    "An app."

@app.command()
@click.option("--name")
def one(name):
    "One."

@app.command()
def two():
    "Two."

app()
"""


def test_start_takes_no_longer_than_half_as_long_again_as_a_bare_click_app(tmp_path):
    bare = tmp_path / "bare.py"
    bare.write_text(TWO_COMMANDS)

    def seconds(*command):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command, "--help"], check=True, capture_output=True)
        return time.perf_counter() - start

    # Interleaved pairs, so that a busy machine slows both sides alike.
    ratios = [seconds("-m", "pulsed.cli") / seconds(str(bare)) for _ in range(11)]
    assert statistics.median(ratios) <= 1.5, ratios
