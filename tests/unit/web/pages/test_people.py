"""Keys, audit and logs: of this page's daemon, and for who may see them now."""

from pathlib import Path

import msgspec
import pytest

from pulsed.wire.roles import Role

ALL = [
    ("GET", "/users", {}),
    ("POST", "/keys/add", {"name": "carl", "role": "viewer"}),
    ("POST", "/keys/revoke", {"name": "carl"}),
    ("POST", "/keys/rotate", {"name": "carl"}),
    ("GET", "/audit", {}),
    ("POST", "/audit/verify", {}),
    ("GET", "/logs", {}),
]
"""Pages that speak of files of the daemon's machine, and the fields of their forms."""


def ask(browser, method, path, fields):
    return browser.get(path) if method == "GET" else browser.send(path, **fields)


@pytest.mark.parametrize(("method", "path", "fields"), ALL)
def test_an_admin_beside_the_daemon_may(lab, visit, method, path, fields):
    assert ask(visit(), method, path, fields).status_code == (200 if method == "GET" else 303)
    assert len(lab.asked) == 1


@pytest.mark.parametrize("change", ["another start", "removed", "not told"])
@pytest.mark.parametrize(("method", "path", "fields"), ALL)
def test_of_another_daemon_nothing_is_read_or_changed(lab, visit, method, path, fields, change):
    file = Path(lab.home, "daemon.json")
    if change == "another start":
        lab.daemon.greeting = msgspec.structs.replace(lab.daemon.greeting, instance="of elsewhere")
    elif change == "removed":
        file.unlink()
    else:
        file.write_bytes(msgspec.json.encode({**msgspec.json.decode(file.read_bytes()), "instance": ""}))
    answer = ask(visit(), method, path, fields)
    assert "these are files of the daemon&#39;s machine" in answer.text
    assert answer.status_code == (200 if path == "/users" else 400)
    assert lab.asked == []


@pytest.mark.parametrize(("method", "path", "fields"), ALL)
def test_without_a_daemon_nobody_is_an_admin(lab, visit, method, path, fields):
    """It is not known what the key of the page may do: perhaps it was revoked."""
    lab.problem = "the key is not known"
    assert ask(visit(), method, path, fields).status_code == (200 if path == "/users" else 503)
    assert lab.asked == []


@pytest.mark.parametrize("least", ["link", "key"])
@pytest.mark.parametrize(("method", "path", "fields"), ALL)
def test_the_lower_of_two_roles_counts(lab, visit, method, path, fields, least):
    if least == "key":
        lab.daemon.greeting = msgspec.structs.replace(lab.daemon.greeting, role="experimenter")
    browser = visit(Role.EXPERIMENTER if least == "link" else Role.ADMIN)
    assert ask(browser, method, path, fields).status_code == (200 if path == "/users" else 403)
    assert lab.asked == []
