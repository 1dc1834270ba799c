"""`pulsed rack report` against a socket that answers as the rack's control socket does."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import asdict

import pytest
from click.testing import CliRunner

from pulsed.cli.main import cli
from pulsed.simulator.dynamics.report import ClusterReport, DroppedZz, Report

LARGE = Report((ClusterReport(tuple(range(12)), "matrix product states", 64, 8, 1.325e-9),), ())
SMALL = Report(
    (ClusterReport((0,), "density matrix", 32), ClusterReport((2, 3, 4), "density matrix", 16, 0, 1.42e-5)),
    (DroppedZz((0, 1), 50.12e3),),
)


@pytest.fixture
def control():
    """HOST:PORT of a socket that answers one request with the reports of four circuits."""
    server = socket.create_server(("127.0.0.1", 0))
    reports = [asdict(report) for report in (LARGE, SMALL, SMALL, SMALL)]

    def answer():
        peer = server.accept()[0]
        with peer, peer.makefile("rwb") as stream:
            request = json.loads(stream.readline())
            stream.write(json.dumps({"ok": request == {"op": "report"}, "result": reports}).encode() + b"\n")

    thread = threading.Thread(target=answer)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    thread.join()
    server.close()


def test_circuits_that_were_worked_out_alike_are_shown_together(control):
    found = CliRunner().invoke(cli, ["rack", "report", "--control", control])
    qubits = " ".join(f"Q{q}" for q in range(12))
    assert found.output.splitlines() == [
        "circuit 0",
        f"  {qubits}: matrix product states, 64 at once, bond dimension 8, discarded weight 1.3e-09",
        "circuits 1 to 3",
        "  Q0: density matrix, 32 at once",
        "  Q2 Q3 Q4: density matrix, 16 at once, leakage of more qubits at once left out, below 1.4e-05",
        "  left out: ZZ of Q0-Q1, 50.1 kHz",
    ]


def test_as_json_every_circuit_is_there(control):
    found = CliRunner().invoke(cli, ["rack", "report", "--json", "--control", control])
    assert json.loads(found.output) == json.loads(json.dumps([asdict(r) for r in (LARGE, SMALL, SMALL, SMALL)]))
