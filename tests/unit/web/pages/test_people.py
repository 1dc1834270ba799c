"""Keys, audit and logs: of this page's daemon, and for who may see them now."""

import asyncio
import re
import threading
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


@pytest.mark.parametrize("path", ["/users", "/audit", "/logs"])
def test_open_pages_start_no_process_at_each_event(lab, visit, path):
    triggers = re.search(r'hx-trigger="([^"]*)"', visit().get(path).text)[1]
    assert "lab:daemon" in triggers
    assert "lab:rack" not in triggers
    assert "lab:queue" not in triggers
    visit().get(path)
    assert len(lab.asked) == 1, "another page shows what was found for the first"


def test_who_makes_a_key_sees_it(lab, visit):
    for _ in range(2):
        visit().get("/users")
        visit().send("/keys/add", name="carl", role="viewer")
    assert [words[1] for words in lab.asked] == ["list", "add"] * 2


def test_pages_that_ask_leave_threads_to_the_others(lab, visit):
    """However many wait for a process, Stop now does not."""
    gate, browser = threading.Event(), visit()
    lab.commands.ask = lambda *_, **__: b"[]" if gate.wait(60) else b""

    async def crowd():
        waiting = [asyncio.create_task(browser.request("GET", f"/logs?grep={k}")) for k in range(60)]
        await asyncio.sleep(0.2)
        try:
            answer = await asyncio.wait_for(browser.request("GET", "/"), 20)
        finally:
            gate.set()
        return answer.status_code, {(await one).status_code for one in waiting}

    assert asyncio.run(crowd()) == (303, {200})
