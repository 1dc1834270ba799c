"""Keys that are taken away, or replaced."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from pulsed.client import keys as k
from pulsed.client.key_changes import learn_server, revoke_client, rotate_client, rotate_server, take_over
from pulsed.client.known_clients import KnownClients
from pulsed.model.errors import KeyFileError
from pulsed.wire.roles import Role


@pytest.fixture
def home(tmp_path: Path) -> Path:
    k.make_keys(tmp_path)
    k.add_client(tmp_path, "ann", "operator")
    return tmp_path


def valid(known: KnownClients, public: str) -> bool:
    known.refresh()
    return known.holder(public) is not None


def test_a_rotated_key_is_valid_beside_the_new_one_for_its_overlap(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KnownClients(home)
    old = k.load_key(home / "clients" / "ann.key")
    new = k.load_key(rotate_client(home, "ann", 100))
    assert new.public != old.public
    assert (new.name, new.role, new.server) == (old.name, old.role, old.server)
    assert valid(known, old.public)
    assert valid(known, new.public)
    found = known.holder(old.public)
    assert found is not None
    assert (found.name, found.role) == ("ann", Role.OPERATOR)
    assert not (home / "clients" / "ann.old").read_text().count(old.secret)
    now = time.time()
    known.has_changed()
    monkeypatch.setattr(time, "time", lambda: now + 101)
    assert known.has_changed()
    assert not valid(known, old.public)
    assert valid(known, new.public)
    assert not known.has_changed()


def test_without_overlap_the_old_key_ends_at_once_also_one_of_before(home: Path) -> None:
    known = KnownClients(home)
    keys = [k.load_key(home / "clients" / "ann.key")]
    for overlap in (100, 0):
        keys.append(k.load_key(rotate_client(home, "ann", overlap)))
    assert [valid(known, key.public) for key in keys] == [False, False, True]


def test_an_overlap_does_not_outlast_the_key(home: Path) -> None:
    end = time.time() + 50
    k.add_client(home, "eve", "viewer", end)
    assert k.load_key(rotate_client(home, "eve", 1000)).expires == end
    assert k.load_key(home / "clients" / "eve.old", secret=False).expires == end


def test_a_revoked_client_has_nothing_left(home: Path) -> None:
    rotate_client(home, "ann", 100)
    assert {path.name for path in revoke_client(home, "ann")} == {"ann.key", "ann.old"}
    known = KnownClients(home)
    known.refresh()
    assert [path.name for path in known.directory.iterdir()] == ["local.key"]


def test_what_cannot_be_done_says_what_can(home: Path) -> None:
    with pytest.raises(KeyFileError, match=r"no such client.*legal: ann, local"):
        revoke_client(home, "bob")
    with pytest.raises(KeyFileError, match=r"no such client.*legal: ann, local"):
        rotate_client(home, "bob", 0)
    with pytest.raises(KeyFileError, match="pulsed keys rotate local"):
        revoke_client(home, "local")
    public = msgspec.structs.replace(k.new_key("bob"), secret="", role="viewer")
    (home / "clients" / "bob.pub").write_bytes(msgspec.json.encode(public))
    with pytest.raises(KeyFileError, match="have its owner make a new pair"):
        rotate_client(home, "bob", 0)
    with pytest.raises(KeyFileError, match="already exists"):
        k.add_client(home, "bob", "viewer")


def test_a_key_that_came_and_went_between_two_looks_is_noticed(home: Path) -> None:
    """Somebody may have connected with it."""
    known = KnownClients(home)
    known.has_changed()
    key = k.load_key(k.add_client(home, "eve", "viewer"))
    known.refresh()
    assert known.holder(key.public) is not None
    revoke_client(home, "eve")
    assert known.has_changed()
    assert known.holder(key.public) is None
    assert not known.has_changed()


def test_the_next_key_of_the_daemon_takes_over_in_time_and_not_before(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = k.load_key(home / "server.key").public
    following = rotate_server(home, 100).public
    assert take_over(home) is None
    late = k.load_key(k.add_client(home, "late", "viewer"))
    for key in (k.find_key(None, home), late):
        assert (key.server, key.server_next) == (old, following)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 101)
    taken = take_over(home)
    assert taken is not None
    assert k.load_key(home / "server.key") == taken
    assert (taken.public, taken.begins) == (following, 0.0)
    key = k.find_key(None, home)
    assert (key.server, key.server_next) == (following, "")
    assert take_over(home) is None
    assert not (home / k.NEXT_SERVER).exists()


def test_a_take_over_that_was_cut_off_is_made_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    following = rotate_server(home, 1e-3).public
    time.sleep(0.01)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take_over(home)
    assert take_over(home) is not None
    assert k.make_keys(home).public == k.find_key(None, home).server == following


def test_what_the_daemon_says_of_its_keys_is_kept_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ann.key"
    k.save_key(path, k.new_key("ann", "viewer", "old"))
    learn_server(path, "old", "new")
    assert (k.load_key(path).server, k.load_key(path).server_next) == ("old", "new")
    learn_server(path, "new", "")
    assert (k.load_key(path).server, k.load_key(path).server_next) == ("new", "")
