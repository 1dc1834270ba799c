"""Whom a daemon lets in follows its directory of keys."""

from __future__ import annotations

from pathlib import Path

import msgspec
from zmq.utils import z85

from pulsed.client import keys as k
from pulsed.client.known_clients import KnownClients
from pulsed.wire.roles import Role


def test_known_clients_follow_the_directory(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    known = KnownClients(tmp_path)
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
    assert KnownClients(tmp_path).of_public(z85.decode(theirs.public.encode())) == ("bob", Role.OPERATOR)


def test_bad_files_let_nobody_in_and_are_told(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    clients = tmp_path / "clients"
    (clients / "text.key").write_text("hello")
    k.save_key(clients / "role.key", k.new_key("role", "emperor"))
    k.save_key(clients / "open.key", k.new_key("open", "admin"))
    (clients / "open.key").chmod(0o640)
    (clients / "odd.pub").write_bytes(msgspec.json.encode(k.Key("odd", "\u00e4" * 40)))
    known = KnownClients(tmp_path)
    local = k.find_key(None, tmp_path)
    assert known.of_public(z85.decode(local.public.encode())) is not None
    assert len(known.problems) == 4
    assert known.role_of("open") is None


def test_a_key_file_that_was_closed_to_others_is_used_from_then_on(tmp_path):
    k.make_keys(tmp_path)
    path = k.add_client(tmp_path, "carol", "viewer")
    path.chmod(0o644)
    known = KnownClients(tmp_path)
    known.refresh()
    assert known.role_of("carol") is None
    assert "chmod 600" in str(known.problems)
    path.chmod(0o600)
    known.refresh()
    assert known.role_of("carol") is Role.VIEWER
    assert not known.problems
