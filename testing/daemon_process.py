"""A daemon with a scripted rack, as a child process of a test."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from pulsed.client import Client
from pulsed.model.calibration import load_calibration
from pulsed.model.device import load_device
from pulsed.model.observation import Alerts, Metrics
from pulsed.model.policies import Maintenance

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
SCRIPTED = "pulsed.testing.scripted_rack:ScriptedRack"


class DaemonProcess:
    """The daemon of sim5, or of one like it called ``name``, in ``home``, on a free port unless ``url`` is given.

    Other options are those of :func:`pulsed.daemon.main.serve`, and of the device ``limits``, ``addresses``,
    ``maintenance``, ``metrics``, ``alerts``, ``sharing``, ``quotas`` and ``interlocks``; without ``audited`` nothing is
    written into the audit log, for comparison; ``look_every`` is how many seconds an idle rack is left alone, and
    ``file_size`` how many bytes any file of the daemon may have, beyond which writing fails as on a full disk.
    """

    def __init__(self, home: Path, **options: Any) -> None:
        self.home = home
        self.script = home / "script"
        self.script.mkdir(parents=True, exist_ok=True)
        self.options = {"url": "tcp://127.0.0.1:*", "rack": SCRIPTED, **options}
        self.endpoint = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout: float = 400.0) -> Self:
        """Start the daemon and wait until it is ready."""
        environment = {**os.environ, "PULSED_TEST_SCRIPT": str(self.script), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pulsed.testing.daemon_process", str(self.home), json.dumps(self.options)]
        with (self.home / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, env=environment
            )
        assert self.process.stdout is not None
        line = b""
        watchdog = threading.Timer(timeout, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        self.endpoint = line.decode().strip()
        if not self.endpoint:
            self.wait()
            raise RuntimeError(f"the daemon did not start: {(self.home / 'output').read_text()[-2000:]}")
        return self

    def client(self, **options: Any) -> Client:
        """Return a client that is connected."""
        return Client(home=self.home, **options).connect()

    def tell(self, *instructions: str) -> None:
        """Give instructions to the rack."""
        for name in instructions:
            (self.script / name).touch()

    def untell(self, *instructions: str) -> None:
        """Take instructions back."""
        for name in instructions:
            (self.script / name).unlink(missing_ok=True)

    def lines(self, name: str) -> list[list[str]]:
        """Return what the rack wrote, split at blanks."""
        path = self.script / name
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def signal(self, number: int) -> None:
        """Send a signal to the daemon."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for the end of the daemon; return its exit code."""
        assert self.process is not None
        code = self.process.wait(timeout)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def stop(self) -> int:
        """Stop the daemon in good order; return its exit code."""
        if self.process is None or self.process.returncode is not None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.wait()


def eventually(condition: Callable[[], Any], what: str, timeout: float = 120.0) -> Any:
    """Return the first true value of ``condition``, which has to last; fail after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        time.sleep(0.02)
    return value


def stored_state(home: Path, job_id: str) -> str:
    """Return the state that a job has on disk, empty before it is there; what the daemon tells of may be ahead."""
    with contextlib.closing(sqlite3.connect(home / "pulsed.sqlite", timeout=10)) as database:
        found = database.execute("SELECT state FROM job WHERE job_id = ?", (job_id,)).fetchone()
    return "" if found is None else str(found[0])


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main(home: str, options: str) -> int:
    """Serve until told to stop; write the endpoint to standard output."""
    from pulsed.daemon.front.audit_trail import AuditTrail
    from pulsed.daemon.main import serve
    from pulsed.daemon.workers import rack_connection

    def ready(endpoint: str) -> None:
        sys.stdout.write(endpoint + "\n")
        sys.stdout.flush()

    given = json.loads(options)
    if (most := given.pop("file_size", None)) is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    rack_connection.CHECK_EVERY = given.pop("look_every", rack_connection.CHECK_EVERY)
    if not given.pop("audited", True):
        AuditTrail.done = lambda *_: None  # type: ignore[method-assign]
    device = load_device(CONFIGS / "sim5.toml")
    limits = given.pop("limits", {})
    device = device.model_copy(update={"limits": device.limits.model_copy(update=limits)})
    device = device.model_copy(update={"maintenance": Maintenance(**given.pop("maintenance", {}))})
    tables = {name: given.pop(name) for name in ("sharing", "quotas", "interlocks") if name in given}
    device = type(device).model_validate({**device.model_dump(), **tables})
    device = device.with_addresses(given.pop("addresses", {}))
    observed = {"metrics": Metrics(**given.pop("metrics", {})), "alerts": Alerts(**given.pop("alerts", {}))}
    device = device.model_copy(update=observed)
    calibration = load_calibration(CONFIGS / "calibrations" / "sim5.json")
    if (name := given.pop("name", None)) is not None:
        device = device.model_copy(update={"name": name})
        calibration = msgspec.structs.replace(calibration, device=name)
    return serve(device, calibration, home, ready=ready, **given)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
