"""Whom a daemon lets in follows its directory of keys."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from zmq.utils import z85

from pulsed.client import keys as k
from pulsed.client.known_clients import KnownClient, KnownClients, LastSeen, read_last_seen
from pulsed.wire.roles import Role


def test_known_clients_follow_the_directory(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    known = KnownClients(tmp_path)
    local = k.find_key("local", tmp_path)
    assert known.of_public(z85.decode(local.public.encode())) == KnownClient("local", Role.ADMIN, local.public)
    path = k.add_client(tmp_path, "ann", "experimenter")
    ann = k.load_key(path)
    assert known.of_public(z85.decode(ann.public.encode())) == KnownClient("ann", Role.EXPERIMENTER, ann.public)
    assert known.holder(ann.public) is not None
    path.unlink()
    assert known.of_public(z85.decode(ann.public.encode())) is None
    assert known.holder(ann.public) is None


def test_public_half_is_enough_for_the_daemon(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    theirs = k.new_key("whoever")
    public = msgspec.structs.replace(theirs, secret="", role="operator")
    (tmp_path / "clients" / "bob.pub").write_bytes(msgspec.json.encode(public))
    assert KnownClients(tmp_path).of_public(z85.decode(theirs.public.encode())) == KnownClient(
        "bob", Role.OPERATOR, theirs.public
    )


def test_bad_files_let_nobody_in_and_are_told(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    clients = tmp_path / "clients"
    (clients / "text.key").write_text("hello")
    k.save_key(clients / "role.key", k.new_key("role", "emperor"))
    is_open = k.new_key("open", "admin")
    k.save_key(clients / "open.key", is_open)
    (clients / "open.key").chmod(0o640)
    (clients / "odd.pub").write_bytes(msgspec.json.encode(k.Key("odd", "\u00e4" * 40)))
    known = KnownClients(tmp_path)
    local = k.find_key(None, tmp_path)
    assert known.of_public(z85.decode(local.public.encode())) is not None
    assert len(known.problems) == 4
    assert {path.name for path in clients.iterdir()} == {"text.key", "role.key", "open.key", "odd.pub", "local.key"}
    assert known.holder(is_open.public) is None


def test_a_key_file_that_was_closed_to_others_is_used_from_then_on(tmp_path):
    k.make_keys(tmp_path)
    path = k.add_client(tmp_path, "carol", "viewer")
    carol = k.load_key(path)
    path.chmod(0o644)
    known = KnownClients(tmp_path)
    known.refresh()
    assert known.holder(carol.public) is None
    assert "chmod 600" in str(known.problems)
    path.chmod(0o600)
    known.refresh()
    assert known.holder(carol.public).role is Role.VIEWER
    assert not known.problems


def test_last_seen_is_kept_and_read(tmp_path):
    seen = LastSeen(tmp_path)
    seen.keep()
    assert not (tmp_path / "seen.json").exists()
    seen.saw("ann")
    seen.keep()
    assert time.time() - read_last_seen(tmp_path)["ann"] < 60
    (tmp_path / "seen.json").write_text("{")
    assert read_last_seen(tmp_path) == {}
