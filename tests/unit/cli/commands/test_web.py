import json
import os
import sys

import pytest

from pulsed.cli.audited import user_name
from pulsed.cli.main import invoke
from pulsed.client.keys import client_path, load_key, make_keys


@pytest.fixture
def started(tmp_path, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(tmp_path))
    found = []
    monkeypatch.setattr(os, "execv", lambda path, command: found.append((path, command)))
    return found


def test_it_becomes_the_process_of_the_page_with_a_key_of_its_own(started, tmp_path):
    make_keys(tmp_path)
    assert invoke(["web", "--port", "0", "--no-browser"]) == 0
    key = load_key(client_path(tmp_path, "web"))
    assert key.role == "operator"
    ((path, command),) = started
    assert (path, command[:3]) == (sys.executable, [sys.executable, "-m", "pulsed.web"])
    assert json.loads(command[3]) == {
        "url": None, "key": "web", "port": 0, "host": "127.0.0.1", "certificate": None, "private_key": None,
        "browser": False, "person": user_name(),
    }  # fmt: skip
    assert invoke(["web"]) == 0
    assert load_key(client_path(tmp_path, "web")) == key, "the key that is there is kept"
    lines = [json.loads(line) for line in (tmp_path / "audit" / "000000001.jsonl").read_text().splitlines()]
    assert [(line["what"], line["object"]) for line in lines] == [("keys.add", "web")]


def test_no_key_is_made_where_no_daemon_has_its_own(started, tmp_path):
    assert invoke(["web", "--url", "tcp://192.0.2.7:5810", "--key", "lab.key"]) == 0
    assert json.loads(started[0][1][3])["key"] == "lab.key"
    assert invoke(["web"]) == 0
    assert not (tmp_path / "clients").exists()
