"""The rack: its configuration, its instruments, its outputs, its calibration, and who is told of what."""

from __future__ import annotations

import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from pulsed.cli.screens.doctor import Finding, good, note, problem
from pulsed.client.client import Client
from pulsed.client.replies import knows
from pulsed.model.device import DeviceDescription
from pulsed.model.errors import PulsedError, from_info
from pulsed.model.interlock_status import InterlockState
from pulsed.wire.messages import Status
from pulsed.wire.observation_messages import GetAlerts

_REACH_SECONDS = 2.0
_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:]+)::(?P<port>\d+)::SOCKET", re.IGNORECASE)
_VXI = re.compile(r"TCPIP\d*::(?P<host>[^:]+)::(inst\d+|hislip\d+)::INSTR", re.IGNORECASE)


def check_config(path: Path) -> tuple[DeviceDescription | None, list[Finding]]:
    """Return the description, and what is wrong with it."""
    from pulsed.cli.config_check import problems

    device, found = problems(path)
    if found:
        first = found[0]
        text = f"{path}: {len(found)} problem{'s' * (len(found) != 1)}; the first: {first}"
        return device, [problem("config", text, f"pulsed config check {path}")]
    assert device is not None
    return device, [good("config", f"{device.name} in {path}")]


def check_operation(status: Status) -> Iterator[Finding]:
    """Say whether the rack plays, and what of the daemon was started again."""
    if status.operational:
        job = f"plays {status.running}" if status.running else "idle"
        yield good("operation", f"{job}, {status.pending_jobs} jobs wait")
    else:
        yield problem("operation", status.message or "the rack does not play", "see below, and logs/daemon.jsonl")
    for name, worker in status.workers.items():
        if worker.restarts:
            yield note("workers", f"{name} was started again {worker.restarts} times since the start of the daemon",
                       "logs/daemon.jsonl says why")  # fmt: skip
    if "outputs are off" in status.message:
        yield problem("outputs", "nothing has confirmed that the outputs are off", "look at the instruments")


def check_interlocks(status: Status) -> Iterator[Finding]:
    """Say of each interlock that keeps the rack from playing, or is about to, what to do."""
    armed = 0
    for one in status.interlocks:
        subject = f"interlock {one.name}"
        if one.state is InterlockState.TRIPPED:
            cause = f"its value {one.problem}; mend that first, then" if one.problem else "when the cause is known:"
            yield problem(
                subject, f"has tripped: {one.reason}", f"{cause} pulsed interlock rearm {one.name} --reason …"
            )
        elif one.state is InterlockState.UNREAD:
            yield problem(subject, one.sentence(), "see that its instrument answers at its address")
        elif one.problem:
            yield note(subject, f"its value {one.problem}", "it trips if that goes on")
        else:
            armed += 1
    if armed:
        yield good("interlocks", f"{armed} of {len(status.interlocks)} armed, and their values good")


def check_instruments(status: Status) -> Iterator[Finding]:
    """Say of each instrument that is not well what the daemon knows of it."""
    well = 0
    for name, item in status.instruments.items():
        if item.error is None and item.identity:
            well += 1
            continue
        said = "does not answer" if item.error is None else str(from_info(item.error))
        yield problem(f"instrument {name}", said, "see that it is on and connected; the daemon tries again by itself")
    if well:
        yield good("instruments", f"{well} of {len(status.instruments)} connected, and as they were left")


def check_reach(device: DeviceDescription) -> Iterator[Finding]:
    """Try the addresses of the instruments, while no daemon has them; they are asked nothing."""
    if device.simulator is not None:
        yield good("instruments", "simulated: they run beside the daemon")
        return
    reached = []
    for name, item in device.instruments.items():
        match = _SOCKET.fullmatch(item.address) or _VXI.fullmatch(item.address)
        if match is None:
            yield note(f"instrument {name}", f"{item.address} cannot be tried from here", "`pulsed serve` does")
            continue
        port = int(match.groupdict().get("port") or 111)
        try:
            socket.create_connection((match["host"], port), _REACH_SECONDS).close()
            reached.append(name)
        except OSError as error:
            yield problem(f"instrument {name}", f"{item.address} cannot be reached: {error.strerror or error}",
                          "see that it is on, and that the address in the configuration is right")  # fmt: skip
    if reached:
        yield good("instruments", f"{', '.join(reached)} can be reached")


def check_calibration(status: Status) -> Iterator[Finding]:
    """Say how the calibration stands."""
    for subject, why in sorted(status.faults.items()):
        yield note("calibration", f"{subject} is faulty and not used: {why}", f"pulsed cal diagnose {subject}")
    nodes = status.calibration_nodes
    if not status.calibration_looked:
        yield note("calibration", f"set {status.calibration_id[:12]}, not looked at yet", "pulsed cal graph")
        return
    wanted = sum(number for state, number in nodes.items() if state != "unused")
    fresh = nodes.get("fresh", 0)
    rest = ", ".join(f"{nodes[state]} {state}" for state in ("stale", "never", "failed", "faulty") if nodes.get(state))
    if fresh == wanted:
        yield good("calibration", f"{fresh} of {wanted} nodes are fresh")
    else:
        failed = nodes.get("failed") or not fresh
        command = "pulsed cal bringup" if failed else "pulsed cal maintain"
        yield note(
            "calibration", f"{fresh} of {wanted} nodes are fresh; {rest}", f"{command}; `pulsed cal graph` says why"
        )


def check_alerts(client: Client, status: Status) -> Iterator[Finding]:
    """Say what needs a person, and whether those who shall hear of it do."""
    for alert in status.alerts:
        yield problem(f"alert {alert.rule}", alert.message, "docs/operating.md says what the daemon does about it")
    if not knows(client.greeting, GetAlerts):
        return
    try:
        receivers = client.alerts().receivers
    except PulsedError as error:
        yield note("alerts", str(error))
        return
    for one in receivers:
        if one.error:
            yield problem("alerts", f"{one.name} does not get them: {one.error}", "mend it, then `pulsed alerts test`")
    if not receivers:
        yield note(
            "alerts", "nobody is told of them", "name webhooks or mail in the table [alerts] of the configuration"
        )
    elif not any(one.error for one in receivers):
        yield good("alerts", f"{len(receivers)} receivers; `pulsed alerts test` tries them")


def check_password(device: DeviceDescription) -> Iterator[Finding]:
    """Look at the file with the password for mail."""
    if device.alerts.mail is None or not device.alerts.mail.password_file:
        return
    path = Path(device.alerts.mail.password_file)
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        yield problem(
            "alerts", f"{path}: {error.strerror}", "alerts.mail.password_file has to name the password's file"
        )
        return
    if mode & 0o077:
        yield problem("alerts", f"others may read {path} ({mode:04o})", f"chmod 600 {path}")
