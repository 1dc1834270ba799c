"""`pulsed serve` and `pulsed rack`: the daemon, and the simulated rack beside it or alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from pulsed.cli.configs import beside, find
from pulsed.client.keys import DEFAULT_URL, home_directory
from pulsed.model.calibration import design_sheet, load_calibration
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.errors import ConfigError, ConnectionFailedError, ErrorInfo, NotFoundError, from_info

_HOST = "127.0.0.1"
_CONTROL_TIMEOUT = 60.0


_held: list[socket.socket] = []
"""Sockets of :func:`own_ports`."""


def own_ports(count: int) -> list[int]:
    """Return TCP ports of this machine that nothing listens on, and that nobody else is given while this process lives.

    A socket that is bound and does not listen keeps a port out of the system's choice for others' connections, and
    leaves it to whoever asks for it by its number.
    """
    for _ in range(count):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((_HOST, 0))
        _held.append(held)
    return [held.getsockname()[1] for held in _held[-count:]]


def with_simulated_rack(device: DeviceDescription, config: Path) -> tuple[DeviceDescription, list[str]]:
    """Return the description with the addresses of a rack of our own, and the command that runs that rack.

    The ports are chosen here, so that the instruments keep their addresses when the rack is started again.
    """
    ports = own_ports(len(device.instruments))
    addresses = {name: f"TCPIP::{_HOST}::{port}::SOCKET" for name, port in zip(device.instruments, ports, strict=True)}
    return device.with_addresses(addresses), rack_command(config, ",".join(map(str, ports)))


def rack_command(config: Path, ports: str) -> list[str]:
    """Return the command that runs the simulated rack of ``config``."""
    return [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(config), "--ports", ports]


def serve(config: str, home: str | None, url: str | None, *, exit_with_stdin: bool) -> None:
    """Run the daemon until it is told to stop."""
    from pulsed.daemon.main import serve as run_daemon

    path = find(config)
    device = load_device(path)
    if device.calibration is None:
        calibration = design_sheet(device)
    else:
        calibration = load_calibration(beside(path, device.calibration))
    companion = None
    if device.simulator is not None:
        device, companion = with_simulated_rack(device, path)
    if exit_with_stdin:
        _stop_with_stdin()
    click.echo(f"starting {device.name} ...", err=True)
    run_daemon(device, calibration, home_directory(home), url or DEFAULT_URL, companion=companion, ready=_say_ready)


def _say_ready(endpoint: str) -> None:
    click.echo(f"ready at {endpoint} (Ctrl-C stops)")


def _stop_with_stdin() -> None:
    """Stop this process, cleanly, at the end of its standard input: whoever holds the other end is gone."""

    def read() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=read, name="stdin", daemon=True).start()


def rack(config: str, ports: str) -> None:
    """Become the simulated rack of a configuration."""
    path = find(config)
    if load_device(path).simulator is None:
        raise ConfigError("names no chip to simulate: this rack is a real one", subject=str(path))
    command = rack_command(path, ports)
    os.execv(command[0], command)


def random_rack(seed: int, qubits: int, folder: str, *, collisions: bool) -> None:
    """Write a chip of random parameters and the rack around it."""
    from pulsed.simulator.random_rack import write_rack

    path = write_rack(Path(folder), seed, qubits, collisions=collisions)
    click.echo(f"wrote {path} and {path.with_name('chip.toml')}: pulsed serve --config {path}")


def find_control(home: Path) -> str:
    """Return HOST:PORT of the control socket of the rack beside the daemon at ``home``.

    Raises :class:`NotFoundError`.
    """
    log = home / "logs" / "companion.log"
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    for line in reversed(lines):
        if line.startswith('{"addresses"'):
            return str(json.loads(line)["control"])
    raise NotFoundError("no simulated rack has run beside this daemon", subject=str(home))


def ask_rack(control: str, operation: str, **fields: Any) -> Any:
    """Ask the control socket at HOST:PORT to carry out ``operation``; see docs/instruments/control.md."""
    host, _, port = control.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_CONTROL_TIMEOUT) as connection:
            connection.sendall(json.dumps({"op": operation, **fields}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise ConnectionFailedError(
            f"the rack does not answer: {error}", subject=f"control socket {control}"
        ) from error
    if not answer["ok"]:
        raise from_info(ErrorInfo(**answer["error"]))
    return answer["result"]


def truth(control: str | None, *, as_json: bool) -> None:
    """Print the true parameters of the simulated chip."""
    from rich.console import Console

    from pulsed.cli.screens import truth_screen

    found = ask_rack(control or find_control(home_directory()), "truth")
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        Console(highlight=False).print(truth_screen(found))


def show_report(control: str | None, *, as_json: bool) -> None:
    """Print which states the qubits of each circuit of the rack's last run shared, those alike together."""
    found = ask_rack(control or find_control(home_directory()), "report")
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    first = 0
    for report, alike in groupby(found):
        last = first + len(list(alike)) - 1
        click.echo(f"circuit {first}" if first == last else f"circuits {first} to {last}")
        for cluster in report["clusters"] if report else []:
            qubits = " ".join(f"Q{q}" for q in cluster["qubits"])
            bond, weight = cluster["bond_dimension"], cluster["discarded_weight"]
            more = f", bond dimension {bond}, discarded weight {weight:.2g}" if bond else ""
            click.echo(f"  {qubits}: {cluster['method']}, {cluster['members']} at once{more}")
        for dropped in report["dropped_zz"] if report else []:
            click.echo("  left out: ZZ of Q{}-Q{}, {:.1f} kHz".format(*dropped["qubits"], dropped["zz"] / 1e3))
        first = last + 1


def show_faults(control: str | None, operation: str, fields: dict[str, Any], *, as_json: bool = False) -> None:
    """Carry out an operation about faults and print what ails the rack then: one line per instrument."""
    found = ask_rack(control or find_control(home_directory()), operation, **fields)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for name, kinds in found.items():
        ills = ", ".join(f"{kind} ({seconds:g} s)" if seconds else kind for kind, seconds in kinds.items())
        click.echo(f"{name:12} {ills or 'well'}")
