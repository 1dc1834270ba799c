"""Chips that nobody has tuned to are brought up from the design sheet through a daemon, and compared with the truth.

``make bringup`` does it with eight chips of five qubits and twenty kills; else it is one of two, and two kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest

from pulsed.calibration.bringup import Lab, maintain
from pulsed.calibration.collisions import directions
from pulsed.calibration.executor import Executor
from pulsed.calibration.order import usual
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner import run
from pulsed.cli.keeping import events
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.server import ask_rack, find_control
from pulsed.simulator.random_rack import write_rack

SEEDS = [int(word) for word in os.environ.get("BRINGUP_SEEDS", "4").split()]
QUBITS = int(os.environ.get("BRINGUP_QUBITS", "2"))
KILLS = int(os.environ.get("BRINGUP_KILLS", "2"))
LONGEST = 60.0 * 5 * QUBITS
"""Seconds that a bring-up may take, on a machine that does other things too."""
TRUE = {"f01": "f01", "anharmonicity": "anharmonicity", "t1": "t1", "t2": "t2_echo", "t2star": "t2_star"}
"""Values and what the rack calls their truth."""


WITHOUT = ("rb", "rb-ecr") if QUBITS < 3 else ()
"""Benchmarking takes longer than all the rest together."""
OF_OSCILLATORS = {"mixer", "discriminator", "cr-amplitude", "cr-phase", "cr-cancel", "fine-ecr", "rb-ecr"} - {*WITHOUT}
"""Routines whose values depend on the phase and level of a local oscillator."""


def command(home, runs, *words):
    """Return the arguments and the environment of a command that speaks to the daemon at ``home``."""
    arguments = [sys.executable, "-m", "pulsed.cli", "cal", *words, "--data", str(runs), "--json"]
    arguments += [word for routine in WITHOUT for word in ("--without", routine)]
    return {"args": arguments, "env": {**os.environ, "PULSED_HOME": str(home)}, "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE, "text": True}  # fmt: skip


def interrupted(home, runs, kills, seed):
    """Kill ``kills`` bring-ups at random moments; return how many calibrations each had told of."""
    moments = random.Random(seed)
    told = []
    for _ in range(kills):
        with subprocess.Popen(**command(home, runs, "bringup")) as child:
            line = child.stderr.readline()
            time.sleep(moments.uniform(0, 6.0))
            child.send_signal(signal.SIGKILL)
            told.append(([line] if line else []) + child.stderr.readlines())
    return told


def whole(client):
    """Check that the set in force is what good runs have found, and that all that was ever in force is there."""
    calibration = client.calibration()
    records = {record.run_id: record for record in client.runs(limit=1000)}
    for name, value in calibration.values.items():
        if value.quality == "design":
            continue
        assert value.run_id in records, name
        assert records[value.run_id].outcome == "good", name
        assert records[value.run_id].values[name] == value, name
    for entry in client.calibration_log(1000):
        assert client.calibration(entry.calibration_id).calibration_id == entry.calibration_id


def compared(calibration, truth):
    """Return (name, found, standard error, true) of every value that the truth has."""
    rows = []
    for q, qubit in enumerate(truth["qubits"]):
        for ours, theirs in TRUE.items():
            if calibration.has(f"Q{q}.{ours}"):
                value = calibration.values[f"Q{q}.{ours}"]
                rows.append((f"Q{q}.{ours}", value.value, value.stderr, qubit[theirs]))
    return rows


def limits(truth, calibration):
    """Return (name, error found, error that decoherence alone would give) of every gate that was benchmarked.

    Pure relaxation and dephasing of each qubit over the gate's time; average gate infidelity.
    """
    times = [(qubit["t1"], qubit["t2_echo"]) for qubit in truth["qubits"]]

    def process(q, duration):
        t1, t2 = times[q]
        return (1 + np.exp(-duration / t1) + 2 * np.exp(-duration / t2)) / 4

    rows = []
    for name, value in calibration.values.items():
        subject, _, rest = name.partition(".")
        if rest not in ("x.error", "ecr.error"):
            continue
        qubits = [int(one[1:]) for one in subject.split("-")]
        if rest == "x.error":
            duration = calibration.number(f"{subject}.x.duration") * 1e-9
            rows.append((name, value.value, (1 - process(*qubits, duration)) * 2 / 3))
        else:
            halves = 2 * calibration.number(f"{subject}.ecr.duration")
            duration = (halves + calibration.number(f"Q{qubits[0]}.x.duration")) * 1e-9
            rows.append((name, value.value, (1 - process(qubits[0], duration) * process(qubits[1], duration)) * 4 / 5))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_cold_rack_is_brought_up_through_kills_and_finds_the_truth(seed, tmp_path):
    path = write_rack(tmp_path / "chip", seed, QUBITS)
    home, runs = tmp_path / "home", tmp_path / "runs"
    with OwnDaemon(home, str(path)) as daemon:
        client = daemon.wait()
        told = interrupted(home, runs, KILLS, seed)
        whole(client)
        began = time.monotonic()
        done = subprocess.run(**command(home, runs, "bringup"), timeout=LONGEST, check=False)
        took = time.monotonic() - began
        assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
        whole(client)
        calibration = client.calibration()
        answer = json.loads(done.stdout)
        once_more = json.loads(subprocess.run(**command(home, runs, "maintain"), timeout=LONGEST, check=True).stdout)
        bad = {
            (s["routine"], s["target"]): s["why"] for s in answer["states"] if s["status"] not in ("fresh", "unused")
        }
        assert not answer["faults"], f"seed {seed}: {answer['faults']}"
        assert not bad, f"seed {seed}: {bad}"
        lab = Lab(client, runs, usual(without=WITHOUT), events=lambda: events(client.status()))
        began = time.monotonic()
        drifted = mended(lab, QUBITS - 1)
        mending = time.monotonic() - began
        fidelities = bell(client, runs)
        cycled = power_cycled(lab, find_control(home), "sgs1")
        left = {str(node): s.why for node, s in lab.states().items() if s.status not in ("fresh", "unused")}
        truth = ask_rack(find_control(home), "truth")
        client.close()
    rows = compared(calibration, truth)
    pulls = {name: (found - true) / error for name, found, error, true in rows}
    print(f"\nseed {seed}, {QUBITS} qubits, {took:.0f} s after {KILLS} kills, {mending:.1f} s to mend a drift; pulls: "
          + ", ".join(f"{name} {pull:+.1f}" for name, pull in pulls.items()))  # fmt: skip
    said = f"seed {seed}: {rows}"
    print(f"Bell pairs: {fidelities}")
    assert len(fidelities) * 2 == len(lab.device.couplings)
    assert all(fidelity - 3 * error >= 0.95 for fidelity, error in fidelities.values()), f"seed {seed}: {fidelities}"
    assert {action.node.routine for action in cycled} == OF_OSCILLATORS, f"seed {seed}: {cycled}"
    assert not left, f"seed {seed}: {left}"
    unused = directions(lab.device, calibration)
    assert len(unused) * 2 == len(lab.device.couplings), "one direction of each pair is used"
    assert not once_more["actions"], "nothing is stale: nothing is measured"
    assert sum(map(len, told)) > 0, "the kills came before anything was done"
    for name, found, _, true in rows:
        if name.endswith(".f01"):
            assert abs(found - true) < 5e3, said
        if name.endswith(".t1"):
            assert abs(found - true) < 0.1 * true, said
    assert max(abs(pull) for pull in pulls.values()) < 6, said
    gates = limits(truth, calibration)
    print(", ".join(f"{name} {error:.2e} = {error / least:.2f} of its limit" for name, error, least in gates))
    for name, error, least in gates:
        assert error <= (2.0 if name.endswith("ecr.error") else 1.5) * least, f"seed {seed}: {gates}"
    if len(pulls) >= 20:
        assert 0.7 < np.sqrt(np.mean(np.square(list(pulls.values())))) < 1.4, said
        assert np.mean(np.abs(list(pulls.values())) < 3) >= 0.95, said
    assert all(f"Q{QUBITS - 1}" in target.split("-") for target in drifted), f"seed {seed}: {drifted}"


def bell(client, runs):
    """Return the fidelity of a Bell state, and its standard error, of every pair that is used."""
    bench = Executor(client)
    pairs = [
        name.removesuffix(".ecr.amplitude") for name in bench.calibration.values if name.endswith(".ecr.amplitude")
    ]
    found = run(find_routine("bell")(), pairs, bench, folder=runs)
    values = {pair: done.values[f"{pair}.bell.fidelity"] for pair, done in found.items()}
    return {pair: (value.value, value.stderr) for pair, value in values.items()}


def power_cycled(lab, control, oscillator):
    """Cycle the power of an oscillator, play until the daemon has noticed, maintain; return what was done."""
    client = lab.connection
    before = client.status().instruments[oscillator].since
    ask_rack(control, "fault", instrument=oscillator, kind="reboot")
    deadline = time.monotonic() + 60
    while client.status().instruments[oscillator].since <= before:
        assert time.monotonic() < deadline, client.status().instruments
        run(find_routine("t1")(), ["Q0"], Executor(client), folder=lab.folder, kind="scan")
    return maintain(lab)


def mended(lab, qubit):
    """Put a wrong frequency in force as if the qubit had drifted, maintain, and return the targets calibrated."""
    now = lab.connection.calibration()
    name = f"Q{qubit}.f01"
    true = now.values[name]
    wrong = msgspec.structs.replace(true, value=true.value + 60e3, quality="suspect")
    changed = now.with_values({name: wrong}, now.created + "x")
    lab.connection.put_calibration(changed)
    lab.connection.commit_calibration(changed.calibration_id, now.calibration_id, "as if it had drifted")
    actions = maintain(lab)
    assert abs(lab.connection.calibration().number(name) - true.value) < 5e3, actions
    return {action.node.target for action in actions if action.kind == "calibrate"}
