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
from pulsed.model import device, errors, interlocks, observation, policies
from pulsed.model.run_options import RUN_OPTIONS
from pulsed.model.units import Amperes, ExactHertz, ExactSeconds, Hertz, Seconds, format_quantity
from pulsed.provider.primitives.options import RUN_OPTIONS as RUN_OPTIONS_OF_PRIMITIVES
from pulsed.provider.primitives.options import EstimatorOptions, SamplerOptions, rows

HEAD = "<!-- Written by docs/reference/generate.py from the code; edit there. -->\n\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
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
    for quantity, name in ((ExactHertz, "frequency"), (ExactSeconds, "time"), (Hertz, "frequency"),
                           (Seconds, "time"), (Amperes, "current")):  # fmt: skip
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
    yield "[processor_type]", device.ProcessorType
    yield "[timing]", policies.Timing
    yield "[limits]", policies.Limits
    yield "[maintenance]", policies.Maintenance
    yield "[retention]", policies.Retention
    yield "[metrics]", observation.Metrics
    yield "[alerts]", observation.Alerts
    yield "[alerts.mail]", observation.Mail
    yield "[sharing]", policies.Sharing
    yield "[sharing.roles]", policies.RoleShares
    yield "[quotas]", policies.Quotas
    yield "[quotas.roles]", policies.RoleQuotas
    yield "[interlocks.NAME]", interlocks.Interlock
    yield "[quotas.users.NAME]", policies.Quota
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
        '`"5.10 GHz"`, `"500 us"`, `"0.4 mA"`. A number may be a ratio, `"2/9 ns"` or `"1/2.4 ns"`; clocks and dt are '
        "kept as exact fractions. A number far from what can be meant, such as `frequency = 5.10`, is refused. "
        "`pulsed config check FILE` explains everything that is wrong with a file, its drivers and the files it names. "
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


_GIVEN = {
    "backend": ("Options of a backend", "For all runs with `backend.set_options(...)`, for one with `run(..., ...)`."),
    "run": ("Keywords of one run", "They belong to one call of `run`."),
    "routine": ("What routines ask for", "In the `options` of a routine's `MeasurementRequest`; no keyword of `run`."),
}


def run_options_page() -> str:
    """Return the page of the options of a run."""
    lines = ["# Options of a run\n", "Frequencies are in hertz, times in seconds; `limits` are those of the "
             "[rack's configuration](configuration.md). Provider and daemon check them alike.\n"]  # fmt: skip
    for of, (title, text) in _GIVEN.items():
        lines += [f"## {title}\n", f"{text}\n", "| option | default | legal | |", "|---|---|---|---|"]
        for row in RUN_OPTIONS.values():
            if row.option.of == of:
                cells = (f"`{row.name}`", f"`{row.default!r}`", row.option.reader.describe(), row.option.help)
                lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return HEAD + "\n".join(lines)


def primitives_page() -> str:
    """Return the page of the options of the primitives."""
    lines = [
        "# Options of the primitives\n",
        "Given as a dictionary, in which groups are dictionaries, too, or set as attributes: "
        "`estimator.options.twirling.enable_gates = True`.\nA name that there is not is an `AttributeError`, a value "
        "that is not legal a `ValueError`.\n[Primitives](../tutorial/primitives.md) shows what they do.\n",
    ]
    for name, options in (("PulsedSampler", SamplerOptions()), ("PulsedEstimator", EstimatorOptions())):
        lines += [f"## `{name}`\n", "| option | default | legal | |", "|---|---|---|---|"]
        lines += [
            f"| `{option}` | `{default!r}` | {legal} | {text} |" for option, default, legal, text in rows(options)
        ]
        lines.append("")
    names = ", ".join(f"`{name}`" for name in RUN_OPTIONS_OF_PRIMITIVES)
    lines.append(f"`run_options` takes, of the [options of a run](run-options.md), {names};\nthat of a sampler also "
                 "`meas_level` 1 or 2 and `meas_return`.\n")  # fmt: skip
    return HEAD + "\n".join(lines)


PAGES = {
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "errors.md": errors_page,
    "primitives.md": primitives_page,
    "run-options.md": run_options_page,
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
