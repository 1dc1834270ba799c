"""What the daemon's bounds cost: settings that are read back, a door that counts, a client that never reads.

The read-back is measured on the instruments of a Bell job, with its queries and without, in turn.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from unittest.mock import PropertyMock, patch

import psutil
import zmq
from qiskit import QuantumCircuit, transpile

from benchmarks import daemon_audit, daemon_traffic
from benchmarks.bell import SHOTS, bell
from benchmarks.figures import Figure, cost, limit, paired, times
from benchmarks.references import echo
from pulsed.client import Client
from pulsed.client.keys import LOCAL, client_path, load_key
from pulsed.compiler.compile import Compiler
from pulsed.drivers.contract import after
from pulsed.drivers.rack.rack import Rack
from pulsed.drivers.scpi.driver import ScpiDriver
from pulsed.model.calibration import load_calibration
from pulsed.model.device import DeviceDescription, load_device
from pulsed.model.job import RunOptions
from pulsed.provider.target import build_target
from pulsed.testing.daemon_process import CONFIGS, DaemonProcess
from pulsed.testing.jobs import PATIENCE, job, packed
from pulsed.wire import messages as m
from pulsed.wire.protocol import frames_of

_REQUESTS = 100
_PLAYS, _BLOCKS = 25, 60
_JOB_SECONDS = 16e-3
"""A Bell job from submission to counts, on a machine that does nothing else: benchmarks/bell.py."""
_WIDE, _MANY = 400, 100_000
"""Bits and shots: a result of 5 MB."""


def run() -> Iterator[Figure]:
    """Yield all figures."""
    yield from _read_back()
    yield from _door()
    yield from daemon_traffic.figures()
    yield from daemon_audit.figures()


def _read_back() -> Iterator[Figure]:
    """Yield what asking for the settings adds: CPU seconds of drivers and instruments, which others do not disturb."""
    device = load_device(CONFIGS / "sim5.toml")
    calibration = load_calibration(CONFIGS / "calibrations" / "sim5.json")
    circuit = transpile(bell(), build_target(device, calibration), optimization_level=3, seed_transpiler=1)
    (chunk,) = Compiler(device, calibration).compile([circuit], RunOptions(shots=SHOTS))
    with _rack(device) as (rack, process):

        def spent() -> float:
            here, there = psutil.Process().cpu_times(), process.cpu_times()
            began = here.user + here.system + there.user + there.system
            for _ in range(_PLAYS):
                rack.play(chunk)
            here, there = psutil.Process().cpu_times(), process.cpu_times()
            return (here.user + here.system + there.user + there.system - began) / _PLAYS

        def believing() -> float:
            with (
                patch.object(ScpiDriver, "_held_queries", new_callable=PropertyMock, return_value=()),
                patch.object(ScpiDriver, "_check_held"),
            ):
                return spent()

        spent(), believing()
        pairs = []
        for turn in range(_BLOCKS):
            first, second = (spent, believing) if turn % 2 else (believing, spent)
            found = first(), second()
            pairs.append(found if turn % 2 else found[::-1])
    with_it, without = (mean(values) for values in zip(*pairs, strict=True))
    yield Figure("bell: CPU of a chunk, settings read back", 1e3 * with_it, "ms", 1e3 * without, with_it / without,
                 "", True)  # fmt: skip
    yield limit(
        "bell: share of the read-back in a job of 16 ms", 100 * (with_it - without) / _JOB_SECONDS, "%", at_most=2
    )


@contextlib.contextmanager
def _rack(device: DeviceDescription) -> Iterator[tuple[Rack, psutil.Process]]:
    """Give the instruments of ``device``, in a process of their own, connected from this one."""
    command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(CONFIGS / "sim5.toml")]
    command += ["--ports", "ephemeral", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        rack = Rack(device.with_addresses(json.loads(process.stdout.readline())["addresses"]))
        rack.connect(after(30))
        yield rack, psutil.Process(process.pid)
        rack.safe_state()
        rack.close()
        process.stdin.close()


def _door() -> Iterator[Figure]:
    """Yield a status against a bare round trip, and what a client costs that never reads its results."""
    with tempfile.TemporaryDirectory() as directory:
        daemon = DaemonProcess(Path(directory), limits={"rep_delay": 1e-6}).start()
        try:
            with daemon.client() as client, echo(1000) as bare:
                status = paired(times(_REQUESTS, client.status), times(_REQUESTS, bare), pairs=15)
                yield cost("status over a bare DEALER/ROUTER round trip", status, scale=1e6 / _REQUESTS, unit="us",
                           at_most=1.3)  # fmt: skip
                yield limit(
                    "a client that never reads 100 results of 5 MB", _silent(daemon, client), "MiB", at_most=120
                )
        finally:
            daemon.stop()


def _silent(daemon: DaemonProcess, client: Client) -> float:
    """Return by how many MiB the daemon grows with a client that asks for results and reads none."""
    circuit = QuantumCircuit(1, _WIDE)
    circuit.measure(0, _WIDE - 1)
    request = job(shots=_MANY)
    client.submit(request, [packed(circuit)])
    client.result(request.job_id, PATIENCE)
    assert daemon.process is not None
    process = psutil.Process(daemon.process.pid)
    before = process.memory_info().rss
    key = load_key(client_path(daemon.home, LOCAL))
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    silent = context.socket(zmq.DEALER)
    silent.rcvhwm, silent.curve_serverkey = 1, key.server.encode()
    silent.curve_publickey, silent.curve_secretkey = key.public.encode(), key.secret.encode()
    silent.connect(daemon.endpoint)
    for number in range(1, 101):
        silent.send_multipart(frames_of(m.GetResult(number, request.job_id)))
    time.sleep(3)
    grown = process.memory_info().rss - before
    context.destroy(0)
    return grown / 2**20
