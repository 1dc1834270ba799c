"""The simulated rack as a process: the command that runs it, its ports, and what its control socket is asked."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from pulsed.model.device import DeviceDescription
from pulsed.model.errors import ConnectionFailedError, ErrorInfo, NotFoundError, from_info
from pulsed.simulator.instruments.monitors import simulated_monitors

_HOST = "127.0.0.1"
_CONTROL_TIMEOUT = 60.0
_WARM_SECONDS = 300.0
"""After which a rack that was started and has not told its control socket is taken for one that never will."""


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
    from pulsed.simulator.rack import endpoint

    groups = {**{name: (name,) for name in device.instruments}, **simulated_monitors(device)}
    ports = own_ports(len(groups))
    addresses = {}
    for names, port in zip(groups.values(), ports, strict=True):
        for name in names:
            driver = device.instruments[name].driver if name in device.instruments else ""
            host, number = endpoint(driver, port)
            addresses[name] = f"TCPIP::{host}::{number}::SOCKET"
    command = rack_command(config, ",".join(map(str, ports)))
    return device.with_addresses(addresses), [*command, "--chip", str(config.parent / str(device.simulator))]


def rack_command(config: Path, ports: str) -> list[str]:
    """Return the command that runs the simulated rack of ``config``."""
    return [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(config), "--ports", ports]


def find_control(home: Path) -> str:
    """Return HOST:PORT of the control socket of the rack beside the daemon at ``home``, when it has warmed up.

    Raises :class:`NotFoundError`.
    """
    log, end = home / "logs" / "companion.log", time.monotonic() + _WARM_SECONDS
    while log.is_file():
        for line in reversed(log.read_text(errors="replace").splitlines()):
            if line.startswith('{"addresses"') and line.endswith("}"):
                return str(json.loads(line)["control"])
        if time.monotonic() > end or not (home / "daemon.json").exists():
            break
        time.sleep(0.1)
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
