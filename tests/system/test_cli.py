"""The `pulsed` command against a real daemon with the simulated rack, as a person at a terminal uses it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from qiskit import QuantumCircuit, qpy

from pulsed.cli.processes import OwnDaemon
from pulsed.client import Client
from pulsed.model.device import load_device

ROOT = Path(__file__).parents[2]
PULSED = [sys.executable, "-m", "pulsed.cli"]
BELL_LINE = re.compile(r"^(\w+): 00=(0\.\d+) 01=(0\.\d+) 10=(0\.\d+) 11=(0\.\d+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with OwnDaemon(tmp_path_factory.mktemp("cli")) as daemon:
        daemon.wait(600).close()
        yield daemon.home


@pytest.fixture
def pulsed(home, tmp_path):
    """Run `pulsed` with some arguments and return what it said; the exit code is checked."""

    def run(*arguments, code=0):
        ran = subprocess.run(
            [*PULSED, *map(str, arguments)], env={**os.environ, "PULSED_HOME": str(home), "COLUMNS": "100"},
            cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stderr if code else ran.stdout

    return run


def test_status_names_instruments_and_processes(pulsed):
    text = pulsed("status")
    for part in ("sim5", "operational", "AWG8-0001", "AWG8-0002", "DIG2-0001", "SGS100A", "companion"):
        assert part in text
    data = json.loads(pulsed("status", "--json"))
    assert data["operational"] is True
    assert set(data["instruments"]) == set(load_device(ROOT / "configs" / "sim5.toml").instruments)


@pytest.mark.parametrize("file", ["bell.qasm", "bell3.qasm"])
def test_a_file_of_openqasm_gives_a_bell_state(pulsed, file):
    answer = json.loads(pulsed("run", ROOT / "examples" / file, "--shots", "4096", "--json"))
    (program,) = answer["programs"]
    assert sum(program["counts"].values()) == 4096
    assert program["counts"]["00"] + program["counts"]["11"] >= 0.93 * 4096


def test_jobs_job_and_cancel_tell_of_a_run(pulsed, tmp_path):
    circuits = [QuantumCircuit(1, name=name) for name in ("zero", "one")]
    circuits[1].x(0)
    for circuit in circuits:
        circuit.measure_all()
    with (tmp_path / "two.qpy").open("wb") as file:
        qpy.dump(circuits, file)
    screen = pulsed("run", "two.qpy", "--shots", "500")
    assert "zero, 500 shots" in screen
    assert "one, 500 shots" in screen
    newest = json.loads(pulsed("jobs", "--limit", "1", "--json"))[0]
    assert (newest["name"], newest["num_programs"], newest["state"]) == ("two.qpy", 2, "done")
    assert newest["job_id"] in pulsed("jobs")
    text = pulsed("job", newest["job_id"])
    assert "2, 500 shots each" in text
    assert "seconds." not in text
    assert "play" in text
    assert "had ended before" in pulsed("cancel", newest["job_id"])


def test_calibration_and_truth_agree_on_the_frequencies(pulsed):
    values = json.loads(pulsed("cal", "show", "--json"))["values"]
    truth = json.loads(pulsed("rack", "truth", "--json"))
    for q, qubit in enumerate(truth["qubits"]):
        assert values[f"Q{q}.f01"]["value"] == pytest.approx(qubit["f01"], abs=100e3)
    assert "Q2-Q1" in pulsed("cal", "show")
    assert "4.97" in pulsed("rack", "truth")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "big.qasm"], ["big.qasm", "7"]),
        (["run", "ccx.qasm", "--no-transpile"], ["ccx"]),
        (["run", "far.qpy", "--no-transpile"], ["ecr", "0, 4"]),
        (["run", "bell.qasm", "--shots", "0"], ["shots", "0", "1 to 100000"]),
        (["run", "bell.qasm", "--shots", "1000000000"], ["shots", "100000"]),
        (["run", "old.qpy"], ["old.qpy", "12", "13"]),
        (["job", "no-such-job"], ["no-such-job"]),
        (["cancel", "no-such-job"], ["no-such-job"]),
        (["status", "--key", "no-such-key"], ["no-such-key"]),
        (["serve", "--config", "no-such-rack"], ["no-such-rack", "sim5"]),
    ],
    ids=lambda value: "-".join(value[:2]) if value and value[0].isalpha() else "",
)
def test_bad_input_is_one_clear_line_and_the_daemon_goes_on(pulsed, tmp_path, arguments, parts):
    head = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
    (tmp_path / "bell.qasm").write_text((ROOT / "examples" / "bell.qasm").read_text())
    (tmp_path / "big.qasm").write_text(f"{head}qreg q[7];\ncreg c[7];\nh q;\nmeasure q -> c;\n")
    (tmp_path / "ccx.qasm").write_text(f"{head}qreg q[3];\ncreg c[3];\nccx q[0],q[1],q[2];\nmeasure q -> c;\n")
    (tmp_path / "old.qpy").write_bytes(b"QISKIT\x0c" + b"\x00" * 20)
    far = QuantumCircuit(5)
    far.ecr(0, 4)
    far.measure_all()
    with (tmp_path / "far.qpy").open("wb") as file:
        qpy.dump(far, file)
    error = pulsed(*arguments, code=1)
    assert error.strip().count("\n") == 0, error
    for part in ("error: ", *parts):
        assert part in error
    assert json.loads(pulsed("status", "--json"))["operational"] is True


def _children(process: psutil.Process) -> list[psutil.Process]:
    return [*process.children(recursive=True), process]


def _left(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, alive = psutil.wait_procs(processes, timeout=120)
    return alive


@pytest.fixture
def serving(tmp_path):
    """A daemon as a shell starts it, without the helper of the demo."""
    command = [*PULSED, "serve", "--home", str(tmp_path), "--url", "tcp://127.0.0.1:*"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("ready at tcp://127.0.0.1:"), line
        yield process, tmp_path
    finally:
        for child in _children(psutil.Process(process.pid)) if process.poll() is None else ():
            child.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("how", [signal.SIGINT, "stop"])
def test_serve_stops_cleanly(serving, how):
    process, home = serving
    family = _children(psutil.Process(process.pid))
    assert len(family) >= 4  # the daemon, two workers, the rack
    if how == "stop":
        subprocess.run([*PULSED, "stop"], env={**os.environ, "PULSED_HOME": str(home)}, check=True, capture_output=True)
    else:
        os.killpg(process.pid, how)  # as Ctrl-C in a terminal: to the daemon, its workers and the rack at once
    assert process.wait(300) == 0
    assert _left(family) == []
    assert not (home / "daemon.json").exists()


def test_a_second_daemon_in_the_same_home_is_refused_by_name(home):
    command = [*PULSED, "serve", "--home", str(home), "--url", "tcp://127.0.0.1:*"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 1
    assert str(home) in ran.stderr
    assert "Traceback" not in ran.stderr
    with Client(home=home) as client:
        assert client.status().operational


@pytest.fixture
def demo(tmp_path):
    """`pulsed demo`, started."""
    process = subprocess.Popen(
        [*PULSED, "demo", "--out", str(tmp_path / "out")], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip
    yield process
    if process.poll() is None:
        for child in _children(psutil.Process(process.pid)):
            child.kill()
    process.communicate()


def test_the_demo_ends_with_a_bell_state_that_the_truth_predicts(demo, tmp_path):
    out, err = demo.communicate(timeout=600)
    assert demo.returncode == 0, out + err
    for part in ("AWG8-0001", "calibration_id", "Ecr", "cr+_q0q1", "upload", "play", "█", "submit to result"):
        assert part in out
    assert out.splitlines()[-1].startswith("bell: ")
    found = {name: [float(share) for share in shares] for name, *shares in BELL_LINE.findall(out)}
    assert found["bell"][0] + found["bell"][3] >= 0.93
    assert found["bell"] == pytest.approx(found["predicted"], abs=0.02)
    for name in ("waveforms.png", "iq.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process_behind(demo, how):
    process = psutil.Process(demo.pid)
    deadline = time.monotonic() + 300
    family: list[psutil.Process] = []
    while len(family) < 5 and time.monotonic() < deadline:  # demo, daemon, two workers, rack
        time.sleep(0.05)
        family = _children(process)
    assert len(family) >= 5
    demo.send_signal(how)
    demo.communicate(timeout=300)
    assert demo.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[how]
    assert _left(family) == []
