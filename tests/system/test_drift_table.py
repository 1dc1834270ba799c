"""Each drift and fault of the rack, one at a time: what is looked at, what is redone, and how it ends.

A chip of two qubits is tuned from its design sheet once. Each row of the table then has the tuned set and its records,
as old as the row says, and one thing that has changed; ``maintain`` makes of it what the row says. Values of nodes that
are not redone stay as they are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from pulsed.calibration.bringup import CalibrationSession, bringup, maintain
from pulsed.calibration.graph.default_graph import default_steps
from pulsed.calibration.graph.status import Event
from pulsed.model.calibration import CalibrationSet, RunRecord
from pulsed.model.device import DeviceDescription, load_device
from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.chip.random_rack import write_rack
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 4
PAIR = "Q0-Q1"
WITHOUT = ("mixer", "rb", "rb-ecr")
"""The lab within the process has no analyser, and benchmarking takes longer than all the rest together."""
STILL = {"factor": 1e-3, "frequency_wait": 1e9, "readout_wait": 1e9, "tls_wait": 1e9, "tls_stay": 1e9}
"""What has jumped stays so while it is looked at."""

EVERY_HOUR = "ramsey fine-frequency"
IN_2_H = f"{EVERY_HOUR} t1 echo"
IN_6_H = f"{IN_2_H} discriminator fine-amplitude fine-ecr"
IN_A_DAY = f"{IN_6_H} resonator-spectroscopy qubit-spectroscopy rabi readout-optimum drag fine-drag cr-phase cr-cancel"
HOUR, TWO_HOURS, SIX_HOURS, DAY = 1.5, 3.0, 7.0, 26.0


@dataclass(frozen=True)
class Row:
    """One thing that happens, and what becomes of it."""

    what: str
    drift: dict[str, object]
    hours: float
    """Since the chip was tuned."""
    looked_at: str
    """Routines that are checked; others are left alone."""
    redone: str = ""
    faults: dict[str, str] = field(default_factory=dict)
    """Target to how its reason begins."""
    event: str = ""
    """Name of an instrument that was identified again."""


TABLE = (
    Row("nothing, soon after", {}, 0.5, ""),
    Row("nothing, a day after", {}, DAY, IN_A_DAY),
    Row("Q1 jumps by 40 kHz", {"frequency_jump": [40e3, 40e3]}, HOUR, EVERY_HOUR,
        "ramsey Q1, fine-frequency Q1"),
    Row("a two-level system at Q1", {"t1_factor": 0.3}, TWO_HOURS, IN_2_H, "t1 Q1, echo Q1"),
    Row("Q1's resonator steps by 1 MHz", {"readout_jump": [1e6, 1e6]}, DAY, f"{IN_A_DAY} anharmonicity cr-amplitude",
        "resonator-spectroscopy Q1, discriminator Q1, readout-optimum Q1"),
    Row("gains walk", {"gain_walk": 0.03, "time": 3600.0}, SIX_HOURS, f"{IN_6_H} fine-drag",
        "fine-amplitude Q0, fine-amplitude Q1"),
    Row("phases of the oscillators walk", {"phase_walk": 1.5, "time": 3600.0}, DAY, IN_A_DAY.replace("fine-ecr ", ""),
        "discriminator Q0, discriminator Q1, cr-phase Q0-Q1, fine-ecr Q0-Q1"),
    Row("d1 is dead", {"dead_lines": ["d1"]}, HOUR, f"{EVERY_HOUR} rabi qubit-spectroscopy resonator-spectroscopy",
        faults={"Q1": "qubit-spectroscopy: "}),
    Row("d0 and d1 are swapped", {"swapped_lines": [["d0", "d1"]]}, HOUR,
        "ramsey rabi qubit-spectroscopy resonator-spectroscopy", "qubit-spectroscopy Q0",
        faults={"Q0": "rabi: ", "Q1": "qubit-spectroscopy: "}),
    Row("the drive oscillator was power-cycled", {}, 0.5, "discriminator cr-amplitude cr-phase cr-cancel fine-ecr",
        event="sgs1"),
    Row("the readout oscillator was power-cycled", {}, 0.5, "discriminator cr-amplitude cr-phase cr-cancel fine-ecr",
        event="sgs2"),
    Row("an AWG was power-cycled", {}, 0.5, "", event="awg1"),
)  # fmt: skip


@dataclass(frozen=True)
class Tuned:
    """What a bring-up has left."""

    device: DeviceDescription
    chip: Chip
    calibration: CalibrationSet
    records: list[RunRecord]
    sets: list[CalibrationSet]
    """Those that the runs were made with and led to."""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = tmp_path_factory.mktemp("tuned")
    path = write_rack(folder / "chip", SEED, 2)
    device, chip = load_device(path), load_chip(path.with_name("chip.toml"))
    lab = CalibrationSession(SimulatedLab(device, chip, seed=SEED), folder, default_steps(without=WITHOUT))
    bringup(lab)
    found = {str(node): state.why for node, state in lab.states().items() if state.status not in ("fresh", "unused")}
    assert not found, f"seed {SEED}: {found}"
    records = list(reversed(lab.connection.runs(limit=1000)))
    ids = dict.fromkeys(one for run in records for one in (run.before, run.after) if one)
    return Tuned(device, chip, lab.connection.calibration(), records, [lab.connection.calibration(one) for one in ids])


def happens(connection: SimulatedLab, drift: dict[str, object]) -> None:
    """Let what ``drift`` says happen; a jump happens to Q1 and not to Q0."""
    names = ("f01", "t1", "readout_frequency")
    before = connection.engine.truth()["qubits"]
    for seed in range(200):
        connection.engine.set_drift({**STILL, **drift, "seed": seed})
        now = connection.engine.truth()["qubits"]
        moved = [any(a[name] != b[name] for name in names) for a, b in zip(before, now, strict=True)]
        if moved == [False, True] or not {"frequency_jump", "t1_factor", "readout_jump"} & drift.keys():
            return
    raise AssertionError("no seed lets Q1 alone jump")


@pytest.mark.slow
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.what)
def test_what_is_redone_and_what_is_left_alone(row: Row, tuned: Tuned, tmp_path) -> None:
    connection = SimulatedLab(tuned.device, tuned.chip, tuned.calibration, SEED + 1)
    for one in tuned.sets:
        connection.put_calibration(one)
    ago = row.hours * 3600
    for run in tuned.records:
        connection.put_run(msgspec.structs.replace(run, started=run.started - ago, ended=run.ended - ago))
    before = connection.engine.truth()
    if row.drift:
        happens(connection, row.drift)
    events = [Event(time.time(), row.event, "was identified again")] if row.event else []
    lab = CalibrationSession(connection, tmp_path, default_steps(without=WITHOUT), events=lambda: events)
    actions = maintain(lab)
    said = f"seed {SEED}, {row.what}: " + "; ".join(f"{a.kind} {a.node} {a.verdict} {a.why}" for a in actions)

    assert {action.node.routine for action in actions if action.kind == "check"} == set(row.looked_at.split()), said
    redone = {str(a.node) for a in actions if a.kind == "calibrate" and a.verdict == "in spec"}
    assert redone == set(filter(None, row.redone.split(", "))), said
    now = connection.calibration()
    assert now.faults.keys() == row.faults.keys(), said
    assert all(now.faults[target].why.startswith(why) for target, why in row.faults.items()), now.faults
    written = {(value.routine, name.partition(".")[0]) for name, value in now.values.items()
               if tuned.calibration.values[name] != value}  # fmt: skip
    assert {f"{routine} {target}" for routine, target in written} <= redone, "nothing else has changed"
    left = {str(node): state for node, state in lab.states().items() if state.status not in ("fresh", "unused")}
    assert all(state.status == "faulty" for state in left.values()), left
    assert bool(left) == bool(row.faults)
    played = len(connection.played)
    assert maintain(lab) == [], "the next pass finds nothing to do"
    assert len(connection.played) == played
    agrees(tuned.calibration, now, before, connection.engine.truth(), said)


def agrees(old: CalibrationSet, new: CalibrationSet, before, after, said: str) -> None:
    """Check the active values against the truth as it is now, on every target that is not faulty."""
    gains, turns = ({w["name"]: w[key] for w in after["lines"]} for key in ("gain", "phase"))
    were = {w["name"]: w for w in before["lines"]}
    for q, (was, qubit) in enumerate(zip(before["qubits"], after["qubits"], strict=True)):
        name = f"Q{q}"
        if new.faulty(name) is not None:
            continue
        assert abs(new.number(f"{name}.f01") - qubit["f01"]) < 5e3, said
        assert abs(new.number(f"{name}.t1") - qubit["t1"]) < 0.1 * qubit["t1"], said
        step = qubit["readout_frequency"] - was["readout_frequency"]
        assert abs(new.number(f"{name}.readout.frequency") - old.number(f"{name}.readout.frequency") - step) < 2e5, said
        assert new.number(f"{name}.readout.error") < old.number(f"{name}.readout.error") + 0.01, said
        needed = old.number(f"{name}.x.amplitude") * were[f"d{q}"]["gain"] / gains[f"d{q}"]
        assert new.number(f"{name}.x.amplitude") == pytest.approx(needed, rel=5e-3), said
    if new.faulty(PAIR) is None:
        # The tone leaves on d0 and turns the target about an axis that d1 defines: the angle makes up for both.
        turned = (turns["d1"] - were["d1"]["phase"]) - (turns["d0"] - were["d0"]["phase"])
        name = f"{PAIR}.ecr.angle"
        error = float(np.angle(np.exp(1j * (new.number(name) - old.number(name) - turned))))
        allowed = 4 * np.hypot(new.values[name].stderr or 0.0, old.values[name].stderr or 0.0)
        assert abs(error) <= allowed, f"{error:.3f} rad, {allowed:.3f} is allowed; {said}"
