"""The first thing a client is told when something is missing."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from pulsed.client import Client
from pulsed.client import keys as k
from pulsed.model.errors import ConnectionFailedError, InvalidValueError


def test_no_daemon_is_told_soon_and_says_what_to_do(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(ConnectionFailedError, match=r"no daemon answers.*pulsed serve"):
        Client(f"tcp://127.0.0.1:{port}", home=tmp_path).connect()
    assert time.monotonic() - began < 60


def test_peer_that_says_nothing_is_out_of_time(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"tcp://127.0.0.1:{silent.getsockname()[1]}", home=tmp_path, timeout=0.5)
        with pytest.raises(ConnectionFailedError, match=r"0\.5 s"):
            client.connect()


def test_address_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    k.make_keys(tmp_path)
    with pytest.raises(InvalidValueError, match=r"nonsense.*tcp://HOST:PORT"):
        Client("nonsense", home=tmp_path, timeout=2).connect()


def test_closing_twice_and_before_connecting(tmp_path: Path) -> None:
    client = Client("tcp://127.0.0.1:9", home=tmp_path)
    client.close()
    client.close()
