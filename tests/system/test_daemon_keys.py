"""Keys and roles: what each may do, and what is said of one that is none."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import msgspec
import pytest

from pulsed.client import Client
from pulsed.client.key_changes import revoke_client, rotate_client, rotate_server
from pulsed.client.keys import add_client, find_key, load_key, new_key, save_key
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


def ended(client: Client) -> bool:
    """Whether a client has been told that its key is not valid any longer."""
    try:
        client.status()
    except KeyFileError:  # it has ended, and the file is no longer there to connect with again
        return True
    except (ConnectionFailedError, NotAllowedError) as error:  # not allowed in the moment before the end
        return "revoked, replaced, or has expired" in str(error) or "does not know this key" in str(error)
    return False


def test_a_key_that_is_revoked_loses_connection_notices_and_the_results_it_asked_for(
    client: Client, daemon: DaemonProcess
) -> None:
    name = uuid.uuid4().hex
    add_client(daemon.home, name, "experimenter")
    notices: list[str] = []
    mine, theirs = job(), job()
    daemon.tell("hold")
    with daemon.client(key=name) as other:
        other.subscribe(lambda event: notices.append(type(event).__name__))
        other.submit(mine, [packed(flip())])
        asked = other.finishing(mine.job_id)
        eventually(lambda: notices, "it is told")
        revoke_client(daemon.home, name)
        eventually(lambda: ended(other), "the connection is ended")
        got = len(notices)
        daemon.untell("hold")
        client.finished(mine.job_id, PATIENCE)  # what was submitted goes on
        run(client, theirs, packed(flip()))
        assert len(notices) == got
        with pytest.raises(ConnectionFailedError):
            asked.result(PATIENCE)
    with pytest.raises((ConnectionFailedError, KeyFileError)):
        daemon.client(key=name)
    assert "its key was revoked or has expired" in (daemon.home / "logs" / "daemon.jsonl").read_text()


def test_a_key_that_expires_loses_its_connection(daemon: DaemonProcess) -> None:
    path = add_client(daemon.home, uuid.uuid4().hex, "admin", time.time() + 3)
    with daemon.client(key=path) as other:
        assert other.status().operational
        eventually(lambda: ended(other), "the connection is ended")
    with pytest.raises(ConnectionFailedError, match="does not know this key"):
        daemon.client(key=path)


def test_a_key_that_is_rotated_is_valid_for_a_while_beside_the_new_one(daemon: DaemonProcess, tmp_path: Path) -> None:
    name = uuid.uuid4().hex
    path = add_client(daemon.home, name, "operator")
    old = tmp_path / "old.key"
    save_key(old, load_key(path))
    rotate_client(daemon.home, name, 600)
    with daemon.client(key=path) as new, daemon.client(key=old) as before:
        assert new.greeting.user == before.greeting.user == name
        assert new.greeting.role == before.greeting.role == "operator"
        rotate_client(daemon.home, name, 0)
        eventually(lambda: ended(before), "the old key is not taken any longer")


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


def test_the_key_of_the_daemon_is_replaced_and_clients_go_on(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    daemon = DaemonProcess(tmp_path_factory.mktemp("rotated")).start()
    copies = {name: tmp_path / f"{name}.key" for name in ("connected", "later", "away")}
    for name, copy in copies.items():
        save_key(copy, load_key(add_client(daemon.home, name, "experimenter")))
    old = find_key(None, daemon.home).server
    try:
        with Client(daemon.endpoint, copies["connected"], home=daemon.home) as connected:
            notices: list[str] = []
            connected.subscribe(lambda event: notices.append(type(event).__name__))
            following = rotate_server(daemon.home, 3600).public
            eventually(lambda: load_key(copies["connected"]).server_next == following, "it hears of the next key")
            with Client(daemon.endpoint, copies["later"], home=daemon.home) as later:
                assert later.greeting.server_next == following
            assert load_key(copies["later"]).server == old, "until then the old one is valid"
            with pytest.raises(KeyFileError, match="being replaced already"):
                rotate_server(daemon.home, 60)

            rotate_server(daemon.home, 0)
            audit = daemon.home / "audit" / "000000001.jsonl"
            eventually(lambda: "keys.server" in audit.read_text(), "the daemon has its new key")
            connected.timeout = PATIENCE
            assert connected.status().operational, "it connects again, with the key that it has heard of"
            with Client(daemon.endpoint, copies["later"], home=daemon.home) as later:
                run(later, job(), packed(flip()))
            eventually(lambda: load_key(copies["later"]).server == following, "and it keeps that")
            with daemon.client() as local:
                assert local.status().operational
            with pytest.raises(ConnectionFailedError):
                Client(daemon.endpoint, copies["away"], timeout=3, home=daemon.home).connect()
            assert daemon.stop() == 0
            daemon.options["url"] = daemon.endpoint
            daemon.start()
            assert connected.status().operational, "also after a restart"
            before = len(notices)
            run(connected, job(), packed(flip()))
            eventually(lambda: len(notices) > before, "with its notices")
    finally:
        daemon.stop()
