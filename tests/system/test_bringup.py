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
from dataclasses import dataclass
from functools import cached_property, partial

import msgspec
import numpy as np
import pytest

from pulsed.calibration.bringup import CalibrationSession, bringup, maintain
from pulsed.calibration.collisions import collisions
from pulsed.calibration.executor import Executor
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.routine import find_routine
from pulsed.calibration.runner.runner import run
from pulsed.cli.consequences import events
from pulsed.cli.processes import OwnDaemon
from pulsed.cli.simulated_rack import ask_rack, find_control
from pulsed.client import Client
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.chip_map import directions
from pulsed.model.device import load_device
from pulsed.provider.target import build_target
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.random_rack import write_rack
from pulsed.testing.chip_bounds import best_assignment_error, gates, leakage
from pulsed.testing.cramer_rao import least_stderr
from pulsed.testing.simulated_lab import SimulatedLab

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
    """Check that the active set is what good runs have found, and that all that was ever active is there."""
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


@dataclass
class Brought:
    """A rack after its bring-up, and what has been asked of it."""

    client: Client
    lab: CalibrationSession
    control: str
    chip: Chip
    said: str
    """Which chip, for messages."""

    @cached_property
    def truth(self):
        """Return what the rack says of its chip."""
        return ask_rack(self.control, "truth")

    @property
    def calibration(self):
        """Return the active set."""
        return self.client.calibration()

    @property
    def pairs(self):
        """Return the pairs that are used."""
        return [name.removesuffix(".ecr.amplitude") for name in self.calibration.values if "ecr.amplitude" in name]


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
        print(f"\nseed {seed}, {QUBITS} qubits, {time.monotonic() - began:.0f} s after {KILLS} kills")
        assert done.returncode == 0, f"seed {seed}: {done.stderr[-2000:]}"
        assert sum(map(len, told)) > 0, "the kills came before anything was done"
        whole(client)
        again = json.loads(subprocess.run(**command(home, runs, "maintain"), timeout=LONGEST, check=True).stdout)
        lab = CalibrationSession(client, runs, default_steps(without=WITHOUT), events=lambda: events(client.status()))
        brought = Brought(client, lab, find_control(home), load_chip(path.with_name("chip.toml")), f"seed {seed}")
        in_order(brought, json.loads(done.stdout), again)
        values_are_true(brought)
        gates_are_good(brought)
        readout_is_good(brought)
        only_what_drifted_is_mended(brought)
        a_power_cycle_is_noticed(brought)
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "why"), [(39, "Q0 and Q1 are 21.9 MHz apart"), (57, "Q1 is 0.5 MHz from f02/2 of Q0")]
)
def test_a_pair_that_collides_is_named_and_leaves_the_target(seed, why, tmp_path):
    """Both qubits are tuned, and the pair is not tried. The lab is within the process."""
    path = write_rack(tmp_path / "chip", seed, 2, collisions=True)
    device, chip = load_device(path), load_chip(path.with_name("chip.toml"))
    lab = CalibrationSession(
        SimulatedLab(device, chip, seed=seed), tmp_path / "runs", default_steps(without=("mixer", "rb", "rb-ecr"))
    )
    actions = bringup(lab)
    said, calibration = f"seed {seed}: {actions}", lab.connection.calibration()
    assert {subject: fault.why for subject, fault in calibration.faults.items()} == {"Q0-Q1": f"collision: {why}"}, said
    assert not [action for action in actions if "-" in action.node.target], said
    assert not unfinished(lab.states(), ["Q0-Q1"]), said
    target = build_target(device, calibration)
    assert "ecr" not in target.operation_names
    assert set(target["x"]) == {(0,), (1,)}, said
    assert maintain(lab) == [], said


def in_order(brought, answer, again):
    """Check that nothing is left to do, and that one direction of each pair is in the Target unless it collides."""
    device, calibration = brought.lab.device, brought.calibration
    expected = collisions(device, true_frequencies(device.name, brought.truth))
    assert answer["faults"].keys() == expected.keys(), f"{brought.said}: {answer['faults']}, true are {expected}"
    assert all(why.startswith("collision: ") for why in answer["faults"].values()), f"{brought.said}: {answer}"
    bad = unfinished(brought.lab.states(), expected)
    assert not bad, f"{brought.said}: {bad}"
    assert not again["actions"], f"{brought.said}: nothing is stale, nothing is measured"
    unused = directions(device, calibration)
    assert len(unused) * 2 == len(device.couplings), "one direction of each pair is used"
    assert len(brought.pairs) == len(unused) - len(expected)
    target = build_target(device, calibration)
    known = {f"Q{a}-Q{b}" for a, b in target["ecr"]} if brought.pairs else set()
    assert known == set(brought.pairs), f"{brought.said}: {known}"


def true_frequencies(name, truth):
    """Return a set of calibrated frequencies that has the truth in it."""
    rows = [
        (f"Q{q}.{key}", Value(row[key], "Hz"))
        for q, row in enumerate(truth["qubits"])
        for key in ("f01", "anharmonicity")
    ]
    return CalibrationSet(name, dict(rows), "")


def unfinished(states, faulty):
    """Return why nodes are not up to date, of all that are not on ``faulty`` targets."""
    return {
        str(node): state.why
        for node, state in states.items()
        if state.status not in ("fresh", "unused") and node.target not in faulty
    }


def values_are_true(brought):
    """Check values against the truth, and their standard errors against that and against what the data allow."""
    calibration, truth, files = (
        brought.calibration,
        brought.truth,
        {r.run_id: r.file for r in brought.client.runs(limit=1000)},
    )
    rows = compared(calibration, truth)
    pulls = {name: (found - true) / error for name, found, error, true in rows}
    print("pulls: " + ", ".join(f"{name} {pull:+.1f}" for name, pull in pulls.items()))
    shares = {}
    for name, _, error, _ in rows:
        subject, _, short = name.partition(".")
        bound = least_stderr(files[calibration.values[name].run_id], short, truth["qubits"][int(subject[1:])])
        shares[name] = error / bound
    print("over the Cramér-Rao bound: " + ", ".join(f"{name} {share:.2f}" for name, share in shares.items()))
    said = f"{brought.said}: {rows}"
    for name, found, _, true in rows:
        if name.endswith(".f01"):
            assert abs(found - true) < 5e3, said
        if name.endswith(".t1"):
            assert abs(found - true) < 0.1 * true, said
    assert max(abs(pull) for pull in pulls.values()) < 6, said
    if len(pulls) >= 20:
        assert 0.7 < np.sqrt(np.mean(np.square(list(pulls.values())))) < 1.4, said
        assert np.mean(np.abs(list(pulls.values())) < 3) >= 0.95, said
    assert all(0.7 <= share <= 2 for share in shares.values()), f"{brought.said}: {shares}"


def gates_are_good(brought):
    """Check errors against coherence, leakage and Bell states."""
    found = gates(brought.truth, brought.calibration)
    print("; ".join(map(str, found)))
    assert all(gate.good for gate in found), f"{brought.said}: {[str(gate) for gate in found if not gate.good]}"
    executor = Executor(brought.client)
    leaks = {pair: leakage(executor, pair, partial(ask_rack, brought.control, "predict")) for pair in brought.pairs}
    print("leakage: " + ", ".join(f"{pair} {part:.1e}" for pair, part in leaks.items()))
    assert all(0 < part <= 1e-3 for part in leaks.values()), f"{brought.said}: {leaks}"
    done = run(find_routine("bell")(shots=12000), brought.pairs, executor, folder=brought.lab.folder)
    states = {pair: done[pair].values[f"{pair}.bell.fidelity"] for pair in brought.pairs}
    print("Bell states: " + ", ".join(f"{pair} {v.value:.3f} ± {v.stderr:.3f}" for pair, v in states.items()))
    assert all(v.value + 2 * v.stderr >= 0.95 and v.stderr < 6e-3 for v in states.values()), f"{brought.said}: {states}"


def readout_is_good(brought):
    """Check assignment errors against the least of any frequency, power and duration, with the best kernel."""
    calibration, device = brought.calibration, brought.lab.device
    lo, highest = device.lo_frequency(device.qubits[0].readout), 1 / QUBITS
    found = {}
    for q in range(QUBITS):
        value = calibration.values[f"Q{q}.readout.error"]
        found[q] = value.value, value.stderr, best_assignment_error(brought.chip, q, lo, highest)
    print("readout: " + ", ".join(f"Q{q} {error:.4f}, at best {best:.4f}" for q, (error, _, best) in found.items()))
    assert all(error - 2 * stderr <= best + 0.01 for error, stderr, best in found.values()), f"{brought.said}: {found}"


def only_what_drifted_is_mended(brought):
    """Make a wrong frequency active, as if the last qubit had drifted, and see that nothing else is calibrated."""
    now, name = brought.calibration, f"Q{QUBITS - 1}.f01"
    true = now.values[name]
    wrong = msgspec.structs.replace(true, value=true.value + 60e3, quality="suspect")
    changed = now.with_values({name: wrong}, now.created + "x")
    brought.client.put_calibration(changed)
    brought.client.commit_calibration(changed.calibration_id, now.calibration_id, "as if it had drifted")
    began = time.monotonic()
    actions = maintain(brought.lab)
    print(f"{time.monotonic() - began:.1f} s to mend a drift")
    assert abs(brought.calibration.number(name) - true.value) < 5e3, f"{brought.said}: {actions}"
    touched = {action.node.target for action in actions if action.kind == "calibrate"}
    assert touched, f"{brought.said}: {actions}"
    assert all(f"Q{QUBITS - 1}" in target.split("-") for target in touched), f"{brought.said}: {actions}"


def a_power_cycle_is_noticed(brought):
    """Cycle the power of an oscillator, play until the daemon has noticed: what depends on it is looked at."""
    client = brought.client
    before = client.status().instruments["sgs1"].since
    ask_rack(brought.control, "fault", instrument="sgs1", kind="reboot")
    deadline = time.monotonic() + 60
    while client.status().instruments["sgs1"].since <= before:
        assert time.monotonic() < deadline, client.status().instruments
        run(find_routine("t1")(), ["Q0"], Executor(client), folder=brought.lab.folder, kind="scan")
    done = maintain(brought.lab)
    assert {action.node.routine for action in done} == OF_OSCILLATORS, f"{brought.said}: {done}"
    left = unfinished(brought.lab.states(), brought.calibration.faults)
    assert not left, f"{brought.said}: {left}"
