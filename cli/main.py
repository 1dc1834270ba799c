"""The commands. A body imports what it needs when it runs: `pulsed --help` loads click and nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

import pulsed
import pulsed.cli.maintaining  # adds its commands to `cal`
from pulsed.cli.cal import InOrder, as_json_option, cal, daemon_options

if TYPE_CHECKING:
    from pulsed.model.errors import PulsedError

_INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it."""

_config = click.option(
    "--config", metavar="FILE|NAME", default="sim5", show_default=True, help="Rack: a TOML file or a shipped name."
)
_home = click.option(
    "--home", metavar="DIR", help="Where keys, jobs and results live. Default: $PULSED_HOME, else per user."
)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(pulsed.__version__, prog_name="pulsed")
def cli() -> None:
    """The daemon that owns the control electronics of a superconducting-qubit lab, and its terminal."""


@cli.command()
@click.option("--out", metavar="DIR", default="demo-output", show_default=True, help="Where the pictures go.")
@click.pass_context
def demo(context: click.Context, out: str) -> None:
    """Measure a Bell state on the simulated rack, step by step. Needs nothing and leaves nothing running."""
    from pulsed.cli import demo as demonstration

    context.exit(demonstration.main(out))


@cli.command()
@_config
@_home
@click.option(
    "--url", metavar="URL", help="Address to listen on. Default: tcp://127.0.0.1:5810, for this machine alone."
)
@click.option("--exit-with-stdin", is_flag=True, hidden=True, help="Stop when standard input closes.")
def serve(config: str, home: str | None, url: str | None, exit_with_stdin: bool) -> None:
    """Run the daemon until Ctrl-C or SIGTERM.

    When the rack is a simulated one, its instruments run beside the daemon and end with it.
    """
    from pulsed.cli import server

    server.serve(config, home, url, exit_with_stdin=exit_with_stdin)


@cli.command()
@daemon_options
@as_json_option
def status(url: str | None, key: str | None, as_json: bool) -> None:
    """Show the daemon, its instruments and its queue."""
    from pulsed.cli import asking

    asking.status(url, key, as_json=as_json)


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--shots", type=int, help="Shots per circuit. Default: the backend's.")
@click.option("--transpile/--no-transpile", default=True, show_default=True, help="Fit the circuit to the chip first.")
@daemon_options
@as_json_option
def run(file: str, shots: int | None, transpile: bool, url: str | None, key: str | None, as_json: bool) -> None:
    """Run the circuits of an OpenQASM or QPY file and show the counts."""
    from pulsed.cli import running

    running.run(file, shots, transpile=transpile, url=url, key=key, as_json=as_json)


@cli.command()
@click.argument("targets", nargs=-1, required=True, metavar="QUBIT...")
@click.option(
    "--axis",
    "axes",
    metavar="AXIS",
    multiple=True,
    required=True,
    help="wait=0:20us:41 or f01=+-2MHz:41; twice: a map.",
)
@click.option("--play", "program", metavar="STEPS", default="", help='Before the readout: "x", "sx wait rz:1.57 sx".')
@click.option("--shots", type=click.IntRange(2), default=500, show_default=True, help="At each point.")
@click.option("--apart", is_flag=True, help="One after the other where qubits are coupled.")
@click.option("--out", "folder", metavar="DIR", help="Where file and picture go. Default: runs/ beside the keys.")
@daemon_options
@as_json_option
def scan(
    targets: tuple[str, ...], axes: tuple[str, ...], program: str, shots: int, apart: bool, folder: str | None,
    url: str | None, key: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Sweep one or two parameters by hand, and watch.

    An axis is a calibrated value (f01, x.amplitude, readout.frequency, Q0-Q1.ecr.angle), which nothing is committed
    of; a parameter of a step of --play (wait, phase of rz, amplitude, frequency or duration of drive); or a setting
    (oscillators.drive.frequency). +- is about what it is now. Ctrl-C keeps what has been measured.
    """
    from pulsed.cli import scanning

    scanning.scan(targets, axes, program, shots, folder, url, key, apart=apart, as_json=as_json)


@cli.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, newest first.")
@daemon_options
@as_json_option
def jobs(limit: int, url: str | None, key: str | None, as_json: bool) -> None:
    """List jobs, newest first."""
    from pulsed.cli import asking

    asking.jobs(limit, url, key, as_json=as_json)


@cli.command()
@click.argument("job_id")
@daemon_options
@as_json_option
def job(job_id: str, url: str | None, key: str | None, as_json: bool) -> None:
    """Show one job: its state, its times, its error."""
    from pulsed.cli import asking

    asking.job(job_id, url, key, as_json=as_json)


@cli.command()
@click.argument("job_id")
@daemon_options
def cancel(job_id: str, url: str | None, key: str | None) -> None:
    """Cancel a job that has not ended."""
    from pulsed.cli import asking

    asking.cancel(job_id, url, key)


@cli.command()
@daemon_options
def stop(url: str | None, key: str | None) -> None:
    """Stop the daemon: outputs off, workers ended."""
    from pulsed.cli import asking

    asking.stop(url, key)


@cli.group(invoke_without_command=True)
@_config
@click.option("--ports", metavar="PORTS", default="fixed", show_default=True, help="fixed, ephemeral, or p1,p2,...")
@click.pass_context
def rack(context: click.Context, config: str, ports: str) -> None:
    """Run the simulated rack alone, for use with other programs."""
    if context.invoked_subcommand is None:
        from pulsed.cli import server

        server.rack(config, ports)


@rack.command()
@click.argument("folder", metavar="DIR")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the draw.")
@click.option("--qubits", type=int, default=5, show_default=True, help="How many, at most as sim5 has.")
@click.option("--collisions", is_flag=True, help="Keep pairs that cross resonance cannot use.")
def random(folder: str, seed: int, qubits: int, collisions: bool) -> None:
    """Write a chip drawn around sim5's design sheet, and a rack for it that nobody has calibrated.

    The daemon starts on DIR/rack.toml from the design sheet's frequencies alone: no gate, no readout is known yet.
    """
    from pulsed.cli import server

    server.random_rack(seed, qubits, folder, collisions=collisions)


@rack.command()
@click.option("--control", metavar="HOST:PORT", help="The rack's control socket. Default: the local daemon's rack.")
@as_json_option
def truth(control: str | None, as_json: bool) -> None:
    """Show the true parameters of the simulated chip, which no daemon knows."""
    from pulsed.cli import server

    server.truth(control, as_json=as_json)


_control = click.option("--control", metavar="HOST:PORT", help="Control socket. Default: the local daemon's rack.")


@rack.command()
@_control
@as_json_option
def report(control: str | None, as_json: bool) -> None:
    """Show how the simulated rack worked out the circuits of its last run, and what it left out."""
    from pulsed.cli import server

    server.show_report(control, as_json=as_json)


@rack.command()
@click.argument("instrument")
@click.argument("kind")
@click.option("--seconds", type=float, help="How late it answers (late), or how long it is away (reboot).")
@_control
def fault(instrument: str, kind: str, seconds: float | None, control: str | None) -> None:
    """Make an instrument of the simulated rack ill; see docs/instruments/control.md for the kinds."""
    from pulsed.cli import server

    fields = {"instrument": instrument, "kind": kind} | ({} if seconds is None else {"seconds": seconds})
    server.show_faults(control, "fault", fields)


@rack.command()
@_control
@as_json_option
def faults(control: str | None, as_json: bool) -> None:
    """Show what ails the instruments of the simulated rack."""
    from pulsed.cli import server

    server.show_faults(control, "faults", {}, as_json=as_json)


@rack.command()
@click.argument("instrument", required=False)
@_control
def clear(instrument: str | None, control: str | None) -> None:
    """Make one instrument of the simulated rack, or all, well again."""
    from pulsed.cli import server

    server.show_faults(control, "clear", {} if instrument is None else {"instrument": instrument})


@cli.group()
def config() -> None:
    """Look after rack configurations."""


@config.command()
@click.argument("file", metavar="FILE|NAME")
@as_json_option
@click.pass_context
def check(context: click.Context, file: str, as_json: bool) -> None:
    """Check a rack configuration: every problem with its key, the bad value and the legal ones."""
    from pulsed.cli import configs

    context.exit(configs.check(file, as_json=as_json))


cli.add_command(cal)


@cli.group()
def keys() -> None:
    """Look after the keys of this machine's daemon: who may speak to it, and as what."""


@keys.command("list")
@_home
def list_keys(home: str | None) -> None:
    """List the clients that the daemon lets in, with their roles."""
    from pulsed.cli import keyring

    keyring.show(home)


@keys.command("add")
@click.argument("name")
@click.option("--role", default="experimenter", show_default=True, help="viewer, experimenter, operator or admin.")
@_home
def add_key(name: str, role: str, home: str | None) -> None:
    """Make a key for one more client and print where it lies. Hand the file to its user."""
    from pulsed.cli import keyring

    keyring.add(name, role, home)


def _root_of_errors() -> type[PulsedError]:
    from pulsed.model.errors import PulsedError

    return PulsedError


def invoke(arguments: list[str]) -> int:
    """Run one command line and return its exit code: 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C."""
    try:
        return int(cli.main(args=arguments, prog_name="pulsed", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.filename is None:
            raise
        click.secho(f"error: {error.filename}: {error.strerror}", err=True, fg="red")
        return 1
    except _root_of_errors() as error:  # evaluated only when something was raised
        click.secho(f"error: {error}", err=True, fg="red")
        return 1


def main() -> None:
    """Entry point of the console script."""
    sys.exit(invoke(sys.argv[1:]))
