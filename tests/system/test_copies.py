"""Copies, pickles, forks and what is left behind: backends, jobs and providers as tools hand them around."""

import copy
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from qiskit import QuantumCircuit, transpile

from pulsed.client import Client
from pulsed.model.errors import ConnectionFailedError, KeyFileError
from pulsed.provider import PulsedProvider


def flipped(backend):
    circuit = QuantumCircuit(1, 1, name="flipped")
    circuit.x(0)
    circuit.measure(0, 0)
    return transpile(circuit, backend)


def ones(backend, circuit):
    return backend.run(circuit, shots=200).result(60).get_counts().get("1", 0)


INHERITED = []
"""A backend and a circuit, for the children of a fork."""


def ones_of_inherited(_):
    return ones(*INHERITED)


@pytest.fixture
def own(lab):
    """A provider with a connection of its own."""
    provider = PulsedProvider(client=Client(home=lab[0].home, timeout=60))
    yield provider
    provider.close()


def test_a_copy_of_a_backend_runs_and_shares_the_connection_alone(own):
    backend = own.get_backend("sim5")
    backend.set_options(shots=300)
    other = copy.deepcopy(backend)
    other.set_options(shots=100)
    assert backend.options.shots == 300
    assert sum(other.run(flipped(other)).result(60).get_counts().values()) == 100
    assert other.provider.client is own.client
    assert other.target is not backend.target
    assert {*other.target.operation_names} == {*backend.target.operation_names}
    job = backend.run(flipped(backend))
    assert copy.deepcopy(job).result(60).get_counts() == job.result(60).get_counts()


def test_a_copy_keeps_what_a_user_added_to_the_target(own):
    backend = own.get_backend("sim5")
    backend.target.description = "with a gate of mine"
    assert copy.deepcopy(backend).target.description == "with a gate of mine"
    assert pickle.loads(pickle.dumps(backend)).target.description == "with a gate of mine"


def test_a_pickled_backend_and_job_go_on_in_another_process(own):
    backend = own.get_backend("sim5")
    job = backend.run(flipped(backend), shots=100)
    code = (
        "import pickle, sys; backend, job = pickle.load(sys.stdin.buffer)\n"
        "counts = job.result(60).get_counts(); assert sum(counts.values()) == 100, counts\n"
        "again = backend.run(backend_circuit := job.circuits()[0], shots=150).result(60).get_counts()\n"
        "assert sum(again.values()) == 150, again; print('went on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((backend, job)), capture_output=True, check=False
    )
    assert done.stdout.decode().split() == ["went", "on"], done.stderr.decode()[-2000:]


def test_no_key_is_in_a_pickle_and_its_absence_is_told(lab, own, tmp_path):
    data = pickle.dumps(own.get_backend("sim5"))
    secret = next(path for path in lab[0].home.rglob("*.key") if "server" not in path.name)
    words = [word for word in secret.read_text().replace('"', " ").split() if len(word) >= 40]
    assert words
    assert not any(word.encode() in data for word in words)
    alone = pickle.loads(pickle.dumps(Client("tcp://127.0.0.1:9", tmp_path / "nobody.key", 1.0, home=tmp_path)))
    with pytest.raises((KeyFileError, ConnectionFailedError)):
        alone.status()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes_over_one_backend(own, method):
    """Circuits are transpiled before: the threads of the transpiler do not survive a fork."""
    backend = own.get_backend("sim5")
    circuit = flipped(backend)
    assert ones(backend, circuit) > 150
    INHERITED[:] = backend, circuit
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap_async(ones, [(backend, circuit)] * 3).get(120)
        if method == "fork":
            found += pool.map_async(ones_of_inherited, range(3)).get(120)
    assert min(found) > 150
    assert ones(backend, circuit) > 150


def test_a_child_of_a_fork_follows_the_daemon_on_a_connection_of_its_own(own):
    backend = own.get_backend("sim5")
    job = backend.run(flipped(backend), shots=100)
    inherited, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(theirs, b"good" if sum(job.result(60).get_counts().values()) == 100 else b"wrong")
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent tells it
            os.write(theirs, repr(error).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(inherited, "rb") as answer:
        assert answer.read() == b"good"
    os.waitpid(child, 0)
    assert sum(job.result(60).get_counts().values()) == 100


def left():
    return sum(1 for _ in Path("/proc/self/fd").iterdir()), threading.active_count()


@pytest.mark.parametrize("closed", [True, False])
def test_providers_that_are_closed_or_dropped_leave_no_descriptor_and_no_thread(lab, closed):
    def use():
        provider = PulsedProvider(client=Client(home=lab[0].home, timeout=60))
        backend = provider.get_backend("sim5")
        assert backend.status().operational
        if closed:
            provider.close()

    use()
    gc.collect()
    before = left()
    gc.disable()  # nothing may wait for a collection of cycles
    try:
        for _ in range(5):
            use()
        deadline = time.monotonic() + 30
        while left() > before and time.monotonic() < deadline:
            time.sleep(0.05)
        after = left()
    finally:
        gc.enable()
    assert after[0] <= before[0]
    assert after[1] <= before[1]
