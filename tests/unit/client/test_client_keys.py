"""Key files, where they lie, and the first thing a client is told when something is missing."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

import msgspec
import pytest
from zmq.utils import z85

from pulsed.client import Client
from pulsed.client import keys as k
from pulsed.model.errors import ConnectionFailedError, InvalidValueError, KeyFileError
from pulsed.wire.roles import Role


def test_first_start_makes_private_keys_and_later_ones_keep_them(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    server = k.make_keys(home)
    for path in (home / "server.key", home / "clients" / "local.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert k.make_keys(home) == server
    local = k.find_key(None, home)
    assert (local.name, local.role, local.server) == ("local", "admin", server.public)


def test_known_clients_follow_the_directory(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    known = k.KnownClients(tmp_path)
    local = k.find_key("local", tmp_path)
    assert known.of_public(z85.decode(local.public.encode())) == ("local", Role.ADMIN)
    path = k.add_client(tmp_path, "ann", "experimenter")
    ann = k.load_key(path)
    assert known.of_public(z85.decode(ann.public.encode())) == ("ann", Role.EXPERIMENTER)
    assert known.role_of("ann") is Role.EXPERIMENTER
    path.unlink()
    assert known.of_public(z85.decode(ann.public.encode())) is None
    assert known.role_of("ann") is None


def test_public_half_is_enough_for_the_daemon(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    theirs = k.new_key("whoever")
    public = msgspec.structs.replace(theirs, secret="", role="operator")
    (tmp_path / "clients" / "bob.pub").write_bytes(msgspec.json.encode(public))
    assert k.KnownClients(tmp_path).of_public(z85.decode(theirs.public.encode())) == ("bob", Role.OPERATOR)


def test_bad_files_let_nobody_in_and_are_told(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    clients = tmp_path / "clients"
    (clients / "text.key").write_text("hello")
    k.save_key(clients / "role.key", k.new_key("role", "emperor"))
    k.save_key(clients / "open.key", k.new_key("open", "admin"))
    (clients / "open.key").chmod(0o640)
    (clients / "odd.pub").write_bytes(msgspec.json.encode(k.Key("odd", "\u00e4" * 40)))
    known = k.KnownClients(tmp_path)
    local = k.find_key(None, tmp_path)
    assert known.of_public(z85.decode(local.public.encode())) is not None
    assert len(known.problems) == 4
    assert known.role_of("open") is None


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "/etc/passwd"])
def test_name_of_a_key_is_no_path(tmp_path: Path, name: str) -> None:
    k.make_keys(tmp_path)
    with pytest.raises(KeyFileError):
        k.add_client(tmp_path, name, "viewer")


def test_second_key_of_a_name_and_unknown_role_are_refused(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    k.add_client(tmp_path, "ann", "viewer")
    with pytest.raises(KeyFileError, match="already"):
        k.add_client(tmp_path, "ann", "viewer")
    with pytest.raises(InvalidValueError, match="legal: viewer, experimenter, operator, admin"):
        k.add_client(tmp_path, "ben", "king")


def test_key_file_errors(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"no such file.*pulsed serve"):
        k.load_key(tmp_path / "none.key")
    path = tmp_path / "x.key"
    for text in ("", "{}", '{"name": "a", "public": "b", "secret": "c"}'):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(KeyFileError, match=r"x\.key"):
            k.load_key(path)
    k.save_key(path, k.new_key("server"))
    with pytest.raises(KeyFileError, match="not a client's key"):
        k.find_key(path, tmp_path)
    for mode in (0o604, 0o640, 0o666):
        path.chmod(mode)
        with pytest.raises(KeyFileError, match=f"{mode:04o}.*legal: 0600"):
            k.load_key(path)


def test_home_is_what_is_given_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSED_HOME", str(tmp_path / "env"))
    assert k.home_directory() == tmp_path / "env"
    assert k.home_directory(tmp_path) == tmp_path
    monkeypatch.delenv("PULSED_HOME")
    assert k.home_directory().name == "pulsed"


def test_url_is_what_is_given_then_the_running_daemon_then_the_default(tmp_path: Path) -> None:
    assert k.find_url(None, tmp_path) == k.DEFAULT_URL
    here = k.RunningDaemon("tcp://127.0.0.1:7", os.getpid(), "sim5", "1", 0.0)
    (tmp_path / "daemon.json").write_bytes(msgspec.json.encode(here))
    assert k.find_url(None, tmp_path) == "tcp://127.0.0.1:7"
    assert k.find_url("tcp://other:1", tmp_path) == "tcp://other:1"


def test_no_daemon_is_told_soon_and_says_what_to_do(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ConnectionFailedError, match=r"no daemon answers.*pulsed serve"):
        Client(f"tcp://127.0.0.1:{port}", home=tmp_path).connect()
    assert time.monotonic() - began < 5


def test_peer_that_says_nothing_is_out_of_time(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"tcp://127.0.0.1:{silent.getsockname()[1]}", home=tmp_path, timeout=0.5)
        with pytest.raises(ConnectionFailedError, match=r"0\.5 s"):
            client.connect()


def test_address_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    with pytest.raises(InvalidValueError, match=r"nonsense.*tcp://HOST:PORT"):
        Client("nonsense", home=tmp_path, timeout=2).connect()


def test_closing_twice_and_before_connecting(tmp_path: Path) -> None:
    client = Client("tcp://127.0.0.1:9", home=tmp_path)
    client.close()
    client.close()


def test_a_key_file_that_was_closed_to_others_is_used_from_then_on(tmp_path):
    k.make_keys(tmp_path)
    path = k.add_client(tmp_path, "carol", "viewer")
    path.chmod(0o644)
    known = k.KnownClients(tmp_path)
    known.refresh()
    assert known.role_of("carol") is None
    assert "chmod 600" in str(known.problems)
    path.chmod(0o600)
    known.refresh()
    assert known.role_of("carol") is Role.VIEWER
    assert not known.problems
