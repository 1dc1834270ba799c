"""Processes are killed and stopped while jobs are played, and every job that was acknowledged ends once and is right.

`make chaos` does it 200 times; here it is done for a minute.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from scipy.stats import chi2

from pulsed.client import Client
from pulsed.daemon.main import RACK
from pulsed.model.errors import PulsedError
from pulsed.model.job import FINAL_STATES, JobState
from pulsed.model.payload import read_array
from pulsed.model.result import count_bits
from pulsed.provider.target import build_target
from pulsed.testing.daemon_process import DaemonProcess, eventually
from pulsed.testing.instruments_process import InstrumentsProcess
from pulsed.testing.jobs import PATIENCE, job, packed

FAULTS = int(os.environ.get("CHAOS_FAULTS", "0"))
"""How many; 0: as many as there is time for."""
SECONDS = 30.0
STOPPED = float(os.environ.get("CHAOS_STOPPED", "1"))
"""Seconds for which a process is stopped."""
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**9))
SHOTS = 400
AT_ONCE = 4
"""Jobs that wait or play at any time."""
LEAST_P = 1e-6
"""Of the counts: a test that is right fails once in a million."""
LOST = {"worker_died", "instrument_unreachable", "instrument_timeout", "instrument_memory_lost", "instrument_changed"}
"""What a job may fail with: its chunk was lost twice."""


class Submitter(threading.Thread):
    """Submits jobs as long as it is told to, and remembers what was acknowledged."""

    def __init__(self, daemon: DaemonProcess, circuit: QuantumCircuit) -> None:
        super().__init__(daemon=True)
        self.daemon_process, self.circuit = daemon, circuit
        self.acknowledged: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        """Submit; a connection that breaks is made again, and the same job sent again."""
        request = job(shots=SHOTS)
        while not self.over.is_set():
            try:
                with Client(self.daemon_process.endpoint, home=self.daemon_process.home, timeout=5.0) as client:
                    while not self.over.is_set():
                        if client.status().pending_jobs >= AT_ONCE:
                            time.sleep(0.02)
                            continue
                        self.circuit.name = request.job_id  # each is compiled: none was before
                        client.submit(request, [packed(self.circuit)])
                        self.acknowledged.append(request.job_id)
                        request = job(shots=SHOTS)
            except PulsedError:
                time.sleep(0.1)


class Chaos:
    """What may happen to a daemon and its instruments."""

    def __init__(self, daemon: DaemonProcess, instruments: InstrumentsProcess, chance: random.Random) -> None:
        self.daemon, self.instruments, self.chance = daemon, instruments, chance
        self.done: Counter[str] = Counter()

    def fault(self) -> None:
        """Have one of them."""
        victim = self.chance.choice(["supervisor", "rack worker", "compile worker", "rack"])
        what = self.chance.choice(["killed", "killed", "stopped"])
        self.done[f"{victim} {what}"] += 1
        if victim == "supervisor":
            self._supervisor(kill=what == "killed")
        elif victim == "rack":
            self._rack(kill=what == "killed")
        else:
            self._worker(victim.removesuffix(" worker"), kill=what == "killed")

    def _supervisor(self, *, kill: bool) -> None:
        if kill:
            self.daemon.signal(signal.SIGKILL)
            self.daemon.wait()
            # Also where there was no rack worker at that moment: the guard has another one do it.
            eventually(lambda: not self.instruments.on(), "no output stays on without a daemon")
            self.daemon.start()
            return
        self.daemon.signal(signal.SIGSTOP)
        time.sleep(STOPPED)
        self.daemon.signal(signal.SIGCONT)

    def _rack(self, *, kill: bool) -> None:
        if kill:
            self.instruments.kill()
            time.sleep(self.chance.uniform(0.0, 0.5))
            self.instruments.start()
            return
        self.instruments.process.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED)
        self.instruments.process.send_signal(signal.SIGCONT)

    def _worker(self, name: str, *, kill: bool) -> None:
        with self.daemon.client() as client:
            pid = client.status().workers[name].pid
        if not pid:
            return
        try:
            os.kill(pid, signal.SIGKILL if kill else signal.SIGSTOP)
            if not kill:
                time.sleep(STOPPED)
                os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:  # it has been replaced in the meantime
            return


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    instruments = InstrumentsProcess()
    daemon = DaemonProcess(tmp_path, rack=RACK, addresses=instruments.addresses, url=url, rack_wait=PATIENCE)
    yield Chaos(daemon.start(), instruments, random.Random(SEED))
    daemon.stop()
    instruments.close()


def bell(client: Client) -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    target = build_target(client.device(), client.calibration())
    return transpile(circuit, target, seed_transpiler=1)


def counts(client: Client, job_id: str) -> np.ndarray:
    """Return how often each of the four outcomes came."""
    result, parts = client.result(job_id, PATIENCE)
    (program,) = result.programs
    found = count_bits(read_array(program.bits, parts))
    assert sum(found.values()) == SHOTS
    return np.array([found.get(outcome, 0) for outcome in range(4)])


def ended(client: Client, job_id: str) -> JobState:
    """Return how a job has ended, of which the log says that it was once."""
    ends = [entry.what for entry in client.job_log(job_id) if entry.what in set(map(str, FINAL_STATES))]
    info = client.job(job_id)
    assert ends == [str(info.state)], f"{job_id} has ended {len(ends)} times"
    if info.state is not JobState.DONE:
        assert info.state is JobState.FAILED
        assert info.error is not None
        assert info.error.code in LOST, info.error
    return info.state


def test_every_acknowledged_job_ends_once_and_is_right(chaos: Chaos, capsys: pytest.CaptureFixture[str]) -> None:
    daemon, instruments = chaos.daemon, chaos.instruments
    with daemon.client() as client:
        circuit = bell(client)
    submitter = Submitter(daemon, circuit)
    submitter.start()
    began, faults = time.monotonic(), 0
    while faults < FAULTS if FAULTS else time.monotonic() - began < SECONDS:
        time.sleep(chaos.chance.uniform(0.2, 1.5))
        chaos.fault()
        faults += 1
    submitter.over.set()
    submitter.join(PATIENCE)
    with daemon.client() as client:
        eventually(lambda: client.status().operational, "all is well in the end")
        for job_id in submitter.acknowledged:
            eventually(lambda job_id=job_id: client.job(job_id).state in FINAL_STATES, f"{job_id} ends", 600)
        states = Counter(ended(client, job_id) for job_id in submitter.acknowledged)
        done = [one for one in submitter.acknowledged if client.job(one).state is JobState.DONE]
        chaotic = np.array([counts(client, job_id) for job_id in done])
        quiet = []
        for _ in range(20):
            request = job(shots=SHOTS)
            client.submit(request, [packed(circuit)])
            quiet.append(counts(client, request.job_id))
    assert daemon.stop() == 0
    assert instruments.on() == set(), "no output stays on"
    told = ", ".join(f"{what} {count}" for what, count in sorted(chaos.done.items()))
    outcome = ", ".join(f"{count} {state}" for state, count in states.items())
    with capsys.disabled():
        print(f"\nCHAOS_SEED={SEED}: {faults} faults ({told}); jobs acknowledged: {outcome}")
    assert len(done) > len(submitter.acknowledged) / 2 > 0
    assert homogeneous(np.array(quiet), chaotic) > LEAST_P, "counts are others than without faults"


def homogeneous(quiet: np.ndarray, chaotic: np.ndarray) -> float:
    """Return the probability that the counts of all jobs come from one distribution: Pearson's chi-squared test."""
    rows = np.array([quiet.sum(axis=0), *chaotic])
    rows = rows[:, rows.sum(axis=0) > 0]
    expected = rows.sum(axis=1, keepdims=True) * rows.sum(axis=0) / rows.sum()
    statistic = float(((rows - expected) ** 2 / expected).sum())
    return float(chi2.sf(statistic, (rows.shape[0] - 1) * (rows.shape[1] - 1)))


def test_the_test_of_the_counts_sees_wrong_ones() -> None:
    random_numbers = np.random.default_rng(1)
    right = random_numbers.multinomial(SHOTS, [0.47, 0.03, 0.03, 0.47], 100)
    assert homogeneous(right[:20], right[20:]) > LEAST_P
    wrong = right.copy()
    wrong[50] = [0, SHOTS // 2, SHOTS // 2, 0]
    assert homogeneous(wrong[:20], wrong[20:]) < LEAST_P
