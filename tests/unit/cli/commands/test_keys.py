"""`pulsed keys`: made for a role, listed with it."""

from pulsed.cli.main import invoke
from pulsed.client.keys import load_key, make_keys


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
