"""Everything that `pulsed doctor` looks at, in the order in which one thing stands on another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pulsed.cli.configs import find
from pulsed.cli.doctor.daemon_checks import (
    check_clock,
    check_ports,
    check_running,
    check_versions,
    connect,
    look_at_home,
)
from pulsed.cli.doctor.home_checks import check_disk, check_home, check_keys, check_store
from pulsed.cli.doctor.rack_checks import (
    check_alerts,
    check_calibration,
    check_config,
    check_instruments,
    check_interlocks,
    check_operation,
    check_password,
    check_reach,
)
from pulsed.cli.screens.doctor import Finding, problem
from pulsed.client.client import Client
from pulsed.model.errors import PulsedError


def examine(config: str, home: Path, url: str | None, key: str | None) -> Iterator[Finding]:
    """Yield what there is to say of each thing. What fails by itself is a finding, too."""
    device, found = check_config(find(config))
    yield from found
    if device is not None:
        yield from check_password(device)
    if url is None:
        yield from check_home(home)
        if home.is_dir():
            yield from _guarded("keys", lambda: check_keys(home))
            yield from _guarded("store", lambda: check_store(home))
        yield from check_disk(home, device)
    here = look_at_home(home)
    if url is None:
        yield from check_running(here, home)
    client, found = connect(url, key, home, here)
    yield from found
    try:
        yield from check_versions(client)
        yield from _guarded("clock", lambda: check_clock(client))
        if client is not None:
            yield from _guarded("daemon", lambda: _asked(client))
        elif url is None and not here.alive:
            yield from check_ports(url, device)
            if device is not None:
                yield from check_reach(device)
    finally:
        if client is not None:
            client.close()


def _asked(client: Client) -> Iterator[Finding]:
    """Yield what a daemon that answers says of itself."""
    status = client.status()
    yield from check_operation(status)
    yield from check_interlocks(status)
    yield from check_instruments(status)
    yield from check_calibration(status)
    yield from check_alerts(client, status)


def _guarded(subject: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (PulsedError, OSError) as error:
        yield problem(subject, str(error), "this should not be: see whether the others explain it")
