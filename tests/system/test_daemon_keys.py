"""Keys and roles: what each may do, and what is said of one that is none."""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
import pytest

from pulsed.client import Client
from pulsed.client.keys import add_client, find_key, new_key, save_key
from pulsed.model.errors import (
    ConnectionFailedError,
    KeyFileError,
    NotAllowedError,
)
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.jobs import PATIENCE, flip, job, packed, run


def test_roles_bound_what_a_key_may_do(client: Client, daemon: DaemonProcess) -> None:
    name = uuid.uuid4().hex
    for role in ("viewer", "experimenter", "operator"):
        add_client(daemon.home, f"{role}-{name}", role)
    mine = job()
    run(client, mine, packed(flip()))
    with daemon.client(key=f"viewer-{name}") as viewer:
        assert viewer.status().operational
        assert viewer.job(mine.job_id).owner == "local"
        with pytest.raises(NotAllowedError, match="viewer"):
            viewer.submit(job(), [packed(flip())])
    with daemon.client(key=f"experimenter-{name}") as experimenter:
        assert run(experimenter, job(), packed(flip())).owner == f"experimenter-{name}"
        with pytest.raises(NotAllowedError, match="belongs to local"):
            experimenter.result(mine.job_id, PATIENCE)
        with pytest.raises(NotAllowedError):
            experimenter.cancel(mine.job_id)
        with pytest.raises(NotAllowedError):
            experimenter.submit(mine, [packed(flip())])
        with pytest.raises(NotAllowedError, match="stop"):
            experimenter.stop_daemon()
    with daemon.client(key=f"operator-{name}") as operator:
        operator.result(mine.job_id, PATIENCE)
        with pytest.raises(NotAllowedError, match="legal: from admin on"):
            operator.stop_daemon()


def test_key_that_is_taken_away_loses_its_rights(daemon: DaemonProcess) -> None:
    path = add_client(daemon.home, uuid.uuid4().hex, "admin")
    with daemon.client(key=path) as other:
        assert other.status().operational
        path.unlink()

        def refused() -> bool:
            try:
                other.status()
            except NotAllowedError as error:
                return "taken away" in str(error)
            return False

        eventually(refused, "the key is refused")


def test_key_problems_say_what_to_do(daemon: DaemonProcess, tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"no such file.*pulsed serve"):
        Client(daemon.endpoint, tmp_path / "none.key").connect()
    mine = find_key(None, daemon.home)
    path = tmp_path / "open.key"
    save_key(path, mine)
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Client(daemon.endpoint, path).connect()
    save_key(path, new_key("stranger", "admin", mine.server))
    with pytest.raises(ConnectionFailedError, match="does not know this key"):
        Client(daemon.endpoint, path, timeout=60).connect()
    save_key(path, msgspec.structs.replace(mine, server=new_key("other").public))
    with pytest.raises(ConnectionFailedError):
        Client(daemon.endpoint, path, timeout=2).connect()
