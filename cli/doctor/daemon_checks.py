"""The daemon: whether one runs, answers, and is of the same version; and whether one could be started."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urlsplit

import pulsed
from pulsed.cli.screens.doctor import Finding, good, note, problem
from pulsed.client.client import Client
from pulsed.client.home import DEFAULT_URL, RunningDaemon, announced
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import PulsedError
from pulsed.model.observation import host_and_port

_ANSWER_SECONDS = 5.0
_FIRST_GOOD_TIME = 1.76e9
"""Unix time of October 2025: a clock that is behind it is wrong."""
_LOG_END = 400_000
"""Bytes of a log that are looked through from its end."""
_LOCKS = Path("/proc/locks")
_UNKNOWN = "nothing has confirmed that the outputs are off"


@dataclass(frozen=True)
class Here:
    """What is known of the daemon of a home without asking it."""

    announced: RunningDaemon | None
    locked: bool
    """A process holds the home."""

    @property
    def alive(self) -> bool:
        """Whether a daemon runs, or starts or stops."""
        return self.locked


def look_at_home(home: Path) -> Here:
    """Return whether a daemon has ``home``. The lock is not tried: a daemon that starts now would find it taken."""
    there = announced(home)
    try:
        inode = (home / "daemon.lock").stat().st_ino
        locks = _LOCKS.read_text()
    except OSError:
        return Here(there, there is not None and Path(f"/proc/{there.pid}").exists())
    fields = (line.split() for line in locks.splitlines())
    return Here(
        there, any("FLOCK" in row and row[5].rpartition(":")[2] == str(inode) for row in fields if len(row) > 5)
    )


def check_running(here: Here, home: Path) -> Iterator[Finding]:
    """Say whether a daemon runs here, and what is left over of one that does not."""
    told = here.announced
    if not here.locked and told is not None:
        text = f"the one of {time.strftime('%Y-%m-%d %H:%M', time.localtime(told.started))} (process {told.pid}) was"
        yield problem("daemon", f"none runs; {text} killed, and daemon.json is left over",
                      "start it again: `pulsed serve`; its jobs go on, and the file is replaced")  # fmt: skip
        yield from _why_it_ended(home)
    elif not here.locked:
        yield problem("daemon", "none runs here", "start one: `pulsed serve`")
        yield from _why_it_ended(home)
    elif told is None:
        yield note("daemon", "it is starting or stopping", "wait a minute and look again; logs/daemon.jsonl says more")
    else:
        yield good("daemon", f"{told.backend} at {told.url}, process {told.pid}")


def _why_it_ended(home: Path) -> Iterator[Finding]:
    """Return the last error in the log, and whether the outputs may be on."""
    entries = list(_log(home))
    lost = [k for k, entry in enumerate(entries) if _UNKNOWN in entry.get("event", "")]
    connected = [k for k, entry in enumerate(entries) if entry.get("event") == "connected"]
    if lost and (not connected or connected[-1] < lost[-1]):
        yield problem("outputs", f"when the last daemon ended, {_UNKNOWN}",
                      "look at the instruments, or start the daemon: it switches the outputs off")  # fmt: skip
    started = max((k for k, entry in enumerate(entries) if entry.get("event") == "ready"), default=-1)
    errors = [entry for entry in entries[started + 1 :] if entry.get("level") in ("error", "critical")]
    if errors:
        said = f"{errors[-1].get('event', '')}: {errors[-1].get('error', '')}".strip(": ")
        yield note("log", f"the last error of it: {said[:300]}", f"more in {home / 'logs' / 'daemon.jsonl'}")


def _log(home: Path) -> Iterator[dict[str, str]]:
    try:
        with (home / "logs" / "daemon.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOG_END))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield {str(key): str(value) for key, value in entry.items()}


def connect(url: str | None, key: str | None, home: Path, here: Here) -> tuple[Client | None, list[Finding]]:
    """Return a client that is connected, None when the daemon cannot be reached, and what there is to say of it."""
    if url is None and not here.alive:
        return None, []
    client = Client(url, key, _ANSWER_SECONDS, home=home)
    try:
        client.connect()
    except PulsedError as error:
        advice = "see logs/daemon.jsonl in its home; a daemon that is stuck is ended with `kill PID`, and goes on then"
        if error.code == "key_file":
            advice = "name a key that may connect: --key"
        return None, [problem("connection", str(error), advice)]
    return client, [good("connection", f"as {client.greeting.user}, role {client.greeting.role}")]


def check_versions(client: Client | None) -> Iterator[Finding]:
    """Compare this side with the daemon, and say which Qiskit there is."""
    here = pulsed.__version__
    python = ".".join(map(str, sys.version_info[:3]))
    try:
        qiskit = version("qiskit")
    except PackageNotFoundError:
        yield problem("versions", "Qiskit is not installed", "pip install pulsed")
        return
    there = here if client is None else client.greeting.version
    if there != here:
        yield note("versions", f"pulsed {here} here, {there} at the daemon", "use the same where that is easy")
    if qiskit.startswith(("2.0.", "2.1.")):
        yield problem("versions", f"Qiskit {qiskit} is not supported", "pip install 'qiskit>=2.2'")
    else:
        yield good("versions", f"pulsed {here}, Qiskit {qiskit}, Python {python}")


def check_clock(client: Client | None) -> Iterator[Finding]:
    """Look at whether the clock can be right."""
    now = time.time()
    advice = "set the clock: timedatectl set-ntp true"
    if now < _FIRST_GOOD_TIME:
        yield problem("clock", f"it is {time.strftime('%Y-%m-%d', time.localtime(now))} here", advice)
        return
    if client is not None and client.status().started > now + 1:
        yield problem("clock", "the daemon started in the future: this clock, or that of its machine, is wrong", advice)
        return
    synchronized = _synchronized()
    if synchronized is False:
        yield note("clock", "nothing keeps it right, and calibrations and jobs are ordered by it", advice)
    else:
        yield good("clock", time.strftime("%Y-%m-%d %H:%M:%S %Z") + (", kept right by NTP" if synchronized else ""))


def _synchronized() -> bool | None:
    """Whether the system says that its clock is kept right; None when it says nothing."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    try:
        said = subprocess.run(
            [program, "show", "-p", "NTPSynchronized", "--value"], capture_output=True, text=True, timeout=3, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(said)


def check_ports(url: str | None, device: DeviceDescription | None) -> Iterator[Finding]:
    """Look at whether a daemon that is started now could listen where it shall."""
    wanted = {"address of the daemon": urlsplit(url or DEFAULT_URL).netloc.replace("0.0.0.0", "127.0.0.1")}
    if device is not None and device.metrics.listen is not None:
        wanted["metrics.listen"] = device.metrics.listen
    taken = False
    for name, address in wanted.items():
        host, port = host_and_port(address) if address.rpartition(":")[2].isdecimal() else ("", 0)
        if port and not _is_free(host, port):
            taken = True
            yield problem("ports", f"{address} ({name}) is taken by another process",
                          f"see by which: `ss -ltnp sport = :{port}`; or use another one")  # fmt: skip
    if not taken:
        yield good("ports", f"{', '.join(wanted.values())} free")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except PermissionError:
        return True
    except OSError:
        return False
    return True
