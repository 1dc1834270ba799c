"""`pulsed rack`: the simulated rack, alone or beside a daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pulsed.cli.lazy import LazyGroup
from pulsed.cli.options import as_json_option, config_option
from pulsed.cli.screens.text import say, say_json

_control = click.option(
    "--control", metavar="HOST:PORT", help="The rack's control socket. Default: the local daemon's rack."
)

COMMANDS = {
    "random": (
        "rack:random",
        "Write a chip drawn around sim5's design sheet, and a rack for it that nobody has calibrated.",
    ),
    "truth": ("rack:truth", "Show the true parameters of the simulated chip, which no daemon knows."),
    "report": (
        "rack:report",
        "Show how the simulated rack computed the circuits of its last run, and what it left out.",
    ),
    "inject-fault": ("rack:inject_fault", "Make an instrument of the simulated rack misbehave."),
    "faults": ("rack:faults", "Show which faults the instruments of the simulated rack have."),
    "clear": ("rack:clear", "Remove the faults of one instrument of the simulated rack, or of all."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS, former={"fault": "inject-fault"}, invoke_without_command=True)
@config_option
@click.option("--ports", metavar="PORTS", default="fixed", show_default=True, help="fixed, ephemeral, or p1,p2,...")
@click.pass_context
def rack(context: click.Context, config: str, ports: str) -> None:
    """Run the simulated rack alone, for use with other programs."""
    given = [name for name in ("config", "ports") if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if context.invoked_subcommand is not None and given:
        raise click.UsageError(f"--{given[0]} does nothing with {context.invoked_subcommand}")
    if context.invoked_subcommand is None:
        _become_rack(config, ports)


def _become_rack(config: str, ports: str) -> None:
    """Become the simulated rack of a configuration."""
    from pulsed.cli.lab_part import require_lab_part

    require_lab_part()
    from pulsed.cli.configs import find
    from pulsed.cli.simulated_rack import rack_command
    from pulsed.model.device import load_device
    from pulsed.model.errors import ConfigError

    path = find(config)
    if load_device(path).simulator is None:
        raise ConfigError("names no chip to simulate: this rack is a real one", subject=str(path))
    command = rack_command(path, ports)
    os.execv(command[0], command)


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw.")
@click.option("--qubits", type=int, default=5, show_default=True, help="How many, up to 127.")
@click.option(
    "--layout",
    type=click.Choice(["line", "heavy-hex"]),
    default="line",
    show_default=True,
    help="Which of them are coupled.",
)
@click.option("--collisions", is_flag=True, help="Keep pairs that cross resonance cannot use.")
def random(folder: str, seed: int, qubits: int, layout: Any, collisions: bool) -> None:
    """Write a chip drawn around sim5's design sheet, and a rack for it that nobody has calibrated.

    The daemon starts on DIR/rack.toml from the design sheet's frequencies alone: no gate, no readout is known yet.
    """
    from pulsed.simulator.chip.random_rack import write_rack

    path = write_rack(Path(folder), seed, qubits, collisions=collisions, layout=layout)
    say(f"wrote {path} and {path.with_name('chip.toml')}: pulsed serve --config {path}")


@click.command()
@_control
@as_json_option
def truth(control: str | None, as_json: bool) -> None:
    """Show the true parameters of the simulated chip, which no daemon knows."""
    from pulsed.cli.screens.rack import truth_screen
    from pulsed.cli.screens.terminal import show_answer

    found = _ask(control, "truth")
    show_answer(found, None if as_json else truth_screen(found), as_json=as_json)


@click.command()
@_control
@as_json_option
def report(control: str | None, as_json: bool) -> None:
    """Show how the simulated rack computed the circuits of its last run, and what it left out."""
    from pulsed.cli.screens.rack import report_lines

    found = _ask(control, "report")
    if as_json:
        say_json(found)
    else:
        say(*report_lines(found))


@click.command("inject-fault")
@click.argument("instrument")
@click.argument("kind")
@click.option("--seconds", type=float, help="How late it answers (late), or how long it is away (reboot).")
@_control
def inject_fault(instrument: str, kind: str, seconds: float | None, control: str | None) -> None:
    """Make an instrument of the simulated rack misbehave. See docs/instruments/control.md for the kinds."""
    fields = {"instrument": instrument, "kind": kind} | ({} if seconds is None else {"seconds": seconds})
    _show_faults(_ask(control, "fault", **fields))


@click.command()
@_control
@as_json_option
def faults(control: str | None, as_json: bool) -> None:
    """Show which faults the instruments of the simulated rack have."""
    found = _ask(control, "faults")
    if as_json:
        say_json(found)
    else:
        _show_faults(found)


@click.command()
@click.argument("instrument", required=False)
@_control
def clear(instrument: str | None, control: str | None) -> None:
    """Remove the faults of one instrument of the simulated rack, or of all."""
    _show_faults(_ask(control, "clear", **({} if instrument is None else {"instrument": instrument})))


def _ask(control: str | None, operation: str, **fields: Any) -> Any:
    from pulsed.cli.simulated_rack import ask_rack, find_control
    from pulsed.client.home import home_directory

    return ask_rack(control or find_control(home_directory()), operation, **fields)


def _show_faults(found: dict[str, dict[str, float]]) -> None:
    from pulsed.cli.screens.rack import fault_lines

    say(*fault_lines(found))
