"""The home directory, and the address of the daemon that runs there."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from pulsed.client.home import DEFAULT_URL, RunningDaemon, find_url, home_directory


def test_home_is_what_is_given_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSED_HOME", str(tmp_path / "env"))
    assert home_directory() == tmp_path / "env"
    assert home_directory(tmp_path) == tmp_path
    monkeypatch.delenv("PULSED_HOME")
    assert home_directory().name == "pulsed"


def test_url_is_what_is_given_then_the_running_daemon_then_the_default(tmp_path: Path) -> None:
    assert find_url(None, tmp_path) == DEFAULT_URL
    here = RunningDaemon("tcp://127.0.0.1:7", os.getpid(), "sim5", "1", 0.0)
    (tmp_path / "daemon.json").write_bytes(msgspec.json.encode(here))
    assert find_url(None, tmp_path) == "tcp://127.0.0.1:7"
    assert find_url("tcp://other:1", tmp_path) == "tcp://other:1"
