"""The daemon's address, its home directory and its process."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pulsed.testing.daemon_process import DaemonProcess
from pulsed.testing.jobs import flip, job, packed, run


def test_daemon_process_is_slim(daemon: DaemonProcess) -> None:
    assert daemon.process is not None
    maps = Path(f"/proc/{daemon.process.pid}/maps").read_text()
    for heavy in ("qiskit", "scipy", "llvmlite", "matplotlib"):
        assert f"/{heavy}/" not in maps, heavy


def test_address_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        process = DaemonProcess(tmp_path, url=url, companion=["touch", str(tmp_path / "companion")])
        with pytest.raises(RuntimeError, match=r"cannot listen: Address already in use"):
            process.start()
    assert process.lines("connects") == []
    assert not (tmp_path / "companion").exists()
    assert process.start().stop() == 0


def test_what_the_daemon_writes_is_closed_to_others(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "logs").mkdir(parents=True)
    home.chmod(0o755)
    process = DaemonProcess(home, companion=["sleep", "1000"]).start()
    assert process.stop() == 0
    for path in (home / "pulsed.sqlite", *(home / "logs").iterdir()):
        path.chmod(0o644)  # as an older version left them
    process.start()
    try:
        with process.client() as client:
            run(client, job(), packed(flip()))
        written = [home / "logs", *(home / "logs").iterdir(), *home.glob("pulsed.sqlite*"), home / "daemon.json"]
        assert len(written) >= 5
        for path in written:
            assert path.stat().st_mode & 0o077 == 0, path
        assert home.stat().st_mode & 0o777 == 0o755, "the directory itself is its owner's to close"
    finally:
        assert process.stop() == 0
