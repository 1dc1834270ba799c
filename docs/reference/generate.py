"""Write the reference pages from the code: `python docs/reference/generate.py`. A test holds them equal.

One function per page returns its text, so that the test compares without writing.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pulsed.cli.main import cli
from pulsed.model import device, errors
from pulsed.model.units import ExactHertz, ExactSeconds, format_quantity

HEAD = "<!-- Written by docs/reference/generate.py from the code; edit there. -->\n\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            child = command.commands[name]
            yield from _commands(child, f"{path} {name}")


def _parameters(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        record = parameter.get_help_record(click.Context(command))
        if record is not None and "--help" not in record[0]:
            names, text = (part.replace("|", "\\|") for part in record)
            yield f"| `{names}` | {text} |"


def cli_page() -> str:
    """Return the page of commands."""
    lines = ["# Command line\n"]
    lines.append("Exit codes: 0, or 1 with one line on standard error, 2 for wrong usage, 130 after Ctrl-C.\n")
    for path, command in _commands(cli, "pulsed"):
        arguments = " ".join(item.make_metavar(click.Context(command)) for item in command.params
                             if isinstance(item, click.Argument))  # fmt: skip
        lines.append(f"## `{f'{path} {arguments}'.strip()}`\n")
        lines.append(inspect.cleandoc(command.help or "") + "\n")
        rows = list(_parameters(command))
        if rows:
            lines += ["| option | |", "|---|---|", *rows, ""]
    return HEAD + "\n".join(lines)


def _notes(table: type[BaseModel]) -> dict[str, str]:
    """The string below each field: its meaning."""
    tree = ast.parse(inspect.getsource(table)).body[0]
    assert isinstance(tree, ast.ClassDef)
    notes: dict[str, str] = {}
    for this, following in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(this, ast.AnnAssign) and isinstance(following, ast.Expr):
            assert isinstance(this.target, ast.Name)
            assert isinstance(following.value, ast.Constant)
            notes[this.target.id] = str(following.value.value)
    return notes


def _type_name(kind: Any) -> str:
    inner = next((item for item in get_args(kind) if type(None) in get_args(kind)), kind)
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return "table"
    if str(get_origin(kind)) == "typing.Literal":
        return " or ".join(f'`"{value}"`' for value in get_args(kind))
    arguments = [item for item in get_args(kind) if item is not type(None) and item is not Ellipsis]
    if get_origin(kind) in {tuple, dict} and any(isinstance(a, type) and issubclass(a, BaseModel) for a in arguments):
        return "tables, by name" if get_origin(kind) is dict else "list of tables"
    if get_origin(kind) is tuple:
        return "list of lists" if get_origin(arguments[0]) is tuple else "list"
    if get_origin(kind) is dict:
        return "table"
    names = {str: "text", int: "integer", float: "number", bool: "true or false"}
    return names.get(arguments[0] if arguments else kind, "number")


def _field_type(field: Any) -> str:
    validators = {str(item) for item in field.metadata}
    for quantity, name in ((ExactHertz, "frequency"), (ExactSeconds, "time"), (device.Hertz, "frequency"),
                           (device.Seconds, "time"), (device.Amperes, "current")):  # fmt: skip
        if {str(item) for item in get_args(quantity)[1:]} <= validators:
            return name
    return _type_name(field.annotation)


def _default(field: Any) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, BaseModel) or field.default in ({}, ()):
        return "empty"
    if field.default is None:
        return "none"
    unit = {"frequency": "Hz", "time": "s", "current": "A"}.get(_field_type(field))
    text = field.default if unit is None else format_quantity(float(field.default), unit)
    return f"`{text}`" if text != "" else "empty"


def _tables() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "(top level)", device.DeviceDescription
    yield "[timing]", device.Timing
    yield "[limits]", device.Limits
    yield "[maintenance]", device.Maintenance
    yield "[instruments.NAME]", device.InstrumentDescription
    yield "[instruments.NAME.identity]", device.Identity
    yield "[oscillators.NAME]", device.OscillatorDescription
    yield "[ports.NAME]", device.PortDescription
    yield "[ports.NAME.bias]", device.BiasDescription
    yield "[[qubits]]", device.QubitDescription
    yield "[[couplings]]", device.CouplingDescription


def configuration_page() -> str:
    """Return the page of configuration keys."""
    lines = [
        "# Rack configuration\n",
        "A TOML file. Frequencies, times and currents are numbers in hertz, seconds and amperes, or text with a unit: "
        '`"5.10 GHz"`, `"500 us"`, `"0.4 mA"`; clocks and dt are kept as exact fractions. '
        "`pulsed config check FILE` explains what is wrong with a file. "
        "[configs/sim5.toml](../../configs/sim5.toml) is a complete example, "
        "[configs/coupler2.toml](../../configs/coupler2.toml) one with a flux line.\n",
    ]
    for title, table in _tables():
        notes = _notes(table)
        lines += [f"## `{title}`\n", inspect.cleandoc(table.__doc__ or "").split("\n\n")[0].replace("``", "`") + "\n"]
        lines += ["| key | kind | default | |", "|---|---|---|---|"]
        for name, field in table.model_fields.items():
            note = " ".join(notes.get(name, "").split()).replace("``", "`").replace("None for", "none for")
            lines.append(f"| `{name}` | {_field_type(field)} | {_default(field)} | {note} |")
        lines.append("")
    return HEAD + "\n".join(lines)


def _subclasses(root: type[errors.PulsedError], depth: int = 0) -> Iterator[tuple[int, type[errors.PulsedError]]]:
    yield depth, root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _subclasses(child, depth + 1)


def errors_page() -> str:
    """Return the page of error codes."""
    lines = [
        "# Errors\n",
        "Every error has one root, `pulsed.model.errors.PulsedError`, and four parts: `message`, `subject` (the object "
        "it is about), `value` (the bad value) and `legal` (the legal ones). Its `code` is stable and survives the "
        "wire: the client raises the same class that the daemon did. The command line prints one line and exits "
        "with 1.\n",
        "| code | class | meaning |",
        "|---|---|---|",
    ]
    for depth, error in _subclasses(errors.PulsedError):
        meaning = " ".join(inspect.cleandoc(error.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")
        lines.append(f"| `{error.code}` | {'&nbsp;&nbsp;' * depth}`{error.__name__}` | {meaning} |")
    return HEAD + "\n".join([*lines, ""])


PAGES = {"cli.md": cli_page, "configuration.md": configuration_page, "errors.md": errors_page}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
