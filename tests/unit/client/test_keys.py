"""Key files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pulsed.client import keys as k
from pulsed.model.errors import InvalidValueError, KeyFileError


def test_first_start_makes_private_keys_and_later_ones_keep_them(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    server = k.make_keys(home)
    for path in (home / "server.key", home / "clients" / "local.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert k.make_keys(home) == server
    local = k.find_key(None, home)
    assert (local.name, local.role, local.server) == ("local", "admin", server.public)


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


def test_a_folder_beside_the_user_is_not_the_key_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    k.make_keys(tmp_path / "home")
    path = k.add_client(tmp_path / "home", "web", "operator")
    (tmp_path / "web").mkdir()
    monkeypatch.chdir(tmp_path)
    assert k.key_path("web", tmp_path / "home") == path
