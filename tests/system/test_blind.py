"""Somebody who knows only the manuals and the design sheet finds the truth about a chip that nobody has tuned to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pulsed
from pulsed.cli.simulated_rack import ask_rack
from pulsed.model.device import load_device
from pulsed.simulator.chip.chip_file import chip_toml
from pulsed.simulator.chip.random_chip import random_chip

DEVICE = Path(pulsed.__file__).resolve().parents[2] / "configs" / "sim5.toml"
PROGRAM = Path(__file__).with_name("blind_tuneup.py")
SEEDS = [int(word) for word in os.environ.get("BLIND_SEEDS", "7").split()]


def bench_sheet(device, addresses, number):
    """Return what hangs beside the rack: ports, cables, design values."""
    qubit = device.qubits[number]
    drive, readout = device.ports[qubit.drive], device.ports[qubit.readout]
    los = {name: device.oscillators[name] for name in (drive.lo, readout.lo)}
    triggered = {name: item.trigger for name, item in device.instruments.items() if item.trigger}
    return {
        "ports": {name: address.split("::")[1:3] for name, address in addresses.items()},
        "leader": next(iter(triggered.values())),
        "followers": list(triggered),
        "digitizer": device.ports[qubit.acquire].instrument,
        "drive": {"awg": drive.instrument, "pair": drive.pair, "lo": los[drive.lo].instrument},
        "readout": {
            "awg": readout.instrument, "pair": readout.pair, "lo": los[readout.lo].instrument,
            "lo_frequency": float(los[readout.lo].frequency), "frequency": float(qubit.design_readout_frequency),
            "amplitude": 0.04,
        },
        "f01": float(qubit.design_frequency),
        "anharmonicity": -330e6,
    }  # fmt: skip


def test_the_program_knows_nothing_of_pulsed():
    imports = re.findall(r"^\s*(?:from|import) (\w+)", PROGRAM.read_text(), re.MULTILINE)
    assert set(imports) <= {"__future__", "json", "struct", "sys", "numpy", "pyvisa", "scipy"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_a_blind_tuneup_finds_the_truth(seed, tmp_path):
    (tmp_path / "chip.toml").write_text(chip_toml(random_chip(seed, 5)))
    command = [sys.executable, "-m", "pulsed.simulator.rack", "--device", str(DEVICE), "--ports", "ephemeral"]
    command += ["--chip", str(tmp_path / "chip.toml"), "--seed", str(seed), "--exit-with-stdin"]
    number = seed % 5
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rack:
        ready = json.loads(rack.stdout.readline())
        sheet = bench_sheet(load_device(DEVICE), ready["addresses"], number)
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM)], input=json.dumps(sheet), capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"seed {seed}, Q{number}: {done.stderr}"
        truth = ask_rack(ready["control"], "truth")["qubits"][number]
        rack.communicate("")
    found = json.loads(done.stdout)
    off = {key: found[key] - truth[key] for key in ("f01", "anharmonicity", "chi", "t1", "t2_star")}
    print(f"seed {seed}, Q{number}, {time.monotonic() - began:.1f} s: f01 {off['f01'] / 1e3:+.1f} kHz,"
          f" anharmonicity {off['anharmonicity'] / 1e3:+.0f} kHz,"
          + ",".join(f" {key} {off[key] / truth[key]:+.1%}" for key in ("chi", "t1", "t2_star")))  # fmt: skip
    said = f"seed {seed}, Q{number}: found {found}, true {truth}"
    assert abs(off["f01"]) < 50e3, said
    assert abs(off["anharmonicity"]) < 0.5e6, said
    assert abs(off["chi"]) < 0.05 * abs(truth["chi"]), said
    assert abs(off["t1"]) < 0.15 * truth["t1"], said
    assert abs(off["t2_star"]) < 0.15 * truth["t2_star"], said
