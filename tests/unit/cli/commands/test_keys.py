"""`pulsed keys`: made for a role, listed with it."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pulsed.cli.main import invoke
from pulsed.client.keys import add_client, load_key, make_keys
from pulsed.client.known_clients import LastSeen


def test_a_key_is_made_and_listed(tmp_path, capsys):
    make_keys(tmp_path)
    assert invoke(["keys", "add", "alice", "--role", "operator", "--home", str(tmp_path)]) == 0
    path = capsys.readouterr().out.strip()
    assert load_key(tmp_path / "clients" / "alice.key").role == "operator"
    assert path == str(tmp_path / "clients" / "alice.key")
    assert invoke(["keys", "list", "--home", str(tmp_path)]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["alice", "operator"] in rows
    assert ["local", "admin"] in rows


def test_a_key_that_is_open_to_others_is_listed_as_not_used(tmp_path, capsys):
    make_keys(tmp_path)
    (tmp_path / "clients" / "local.key").chmod(0o644)
    assert invoke(["keys", "list", "--home", str(tmp_path)]) == 0
    assert "not used" in capsys.readouterr().out


def test_an_unknown_role_lists_the_known_ones(tmp_path, capsys):
    make_keys(tmp_path)
    assert invoke(["keys", "add", "bob", "--role", "king", "--home", str(tmp_path)]) == 1
    assert "viewer, experimenter, operator, admin" in capsys.readouterr().err


def test_no_keys_says_how_to_get_some(tmp_path, capsys):
    assert invoke(["keys", "list", "--home", str(tmp_path)]) == 0
    assert "pulsed serve" in capsys.readouterr().out


def rows(home, capsys):
    capsys.readouterr()
    assert invoke(["keys", "list", "--json", "--home", str(home)]) == 0
    return {Path(row["file"]).name: row for row in json.loads(capsys.readouterr().out)}


def test_the_life_of_a_key(tmp_path, capsys):
    make_keys(tmp_path)
    home = ["--home", str(tmp_path)]
    assert invoke(["keys", "add", "ann", "--expires", "2099-01-31", *home]) == 0
    assert invoke(["keys", "rotate", "ann", "--overlap", "2h", *home]) == 0
    LastSeen(tmp_path).keep()
    seen = LastSeen(tmp_path)
    seen.saw("ann")
    seen.keep()
    found = rows(tmp_path, capsys)
    assert found["ann.key"]["expires"] == datetime(2099, 1, 31, tzinfo=UTC).timestamp()
    assert found["ann.key"]["state"] == "valid"
    assert found["ann.key"]["last_seen"] > time.time() - 60
    assert found["ann.old"]["state"] == "replaced"
    assert found["ann.old"]["expires"] == pytest.approx(time.time() + 7200, abs=60)
    assert found["local.key"]["last_seen"] == found["local.key"]["expires"] == 0
    assert invoke(["keys", "revoke", "ann", *home]) == 0
    assert set(rows(tmp_path, capsys)) == {"local.key"}
    assert invoke(["keys", "revoke", "ann", *home]) == 1
    assert "no such client" in capsys.readouterr().err


def test_an_expired_key_is_listed_as_such(tmp_path, capsys):
    make_keys(tmp_path)
    add_client(tmp_path, "old", "viewer", 1.0)
    assert rows(tmp_path, capsys)["old.key"]["state"] == "expired"
    assert invoke(["keys", "add", "late", "--expires", "2001-01-31", "--home", str(tmp_path)]) == 1
    assert "a date to come" in capsys.readouterr().err
