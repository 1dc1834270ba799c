"""`pulsed scan` against a real daemon: a line, a map, and Ctrl-C in the middle of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pulsed.calibration.results.data import load
from pulsed.calibration.results.data import signal as populations
from pulsed.cli.main import invoke
from pulsed.client import Client
from pulsed.model.calibration import RunRecord


@pytest.fixture
def home(lab, monkeypatch):
    monkeypatch.setenv("PULSED_HOME", str(lab[0].home))
    monkeypatch.setenv("COLUMNS", "80")


def test_a_scan_draws_saves_and_changes_nothing(lab, home, tmp_path, capsys):
    before = lab[1].calibration()
    arguments = ["scan", "Q0", "Q2", "--axis", "x.amplitude=+-0.2:5", "--play", "x x x", "--shots", "200"]
    assert invoke([*arguments, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    for target in ("Q0", "Q2"):
        assert f"{target}: good" in said.out
        assert f"{target}  population of 1, 5 of 5 points" in said.err
        (picture,) = tmp_path.glob(f"scan-{target}-*.png")
        assert str(picture) in said.out
        assert picture.stat().st_size > 10_000
        record = lab[1].runs("scan", target)[0]
        assert (record.kind, record.outcome, record.before) == ("scan", "good", before.calibration_id)
        assert populations(load(record.file))[0].argmax() == 2, "the calibrated amplitude is in the middle"
    assert not list(tmp_path.glob("*.part*"))
    assert lab[1].calibration() == before


def test_the_scan_of_somebody_else_is_not_taken_for_ones_own(lab, home, tmp_path, capsys, monkeypatch):
    put = Client.put_run

    def both(client, run):
        put(client, run)
        put(client, RunRecord("theirs", "scan", "Q4", "scan", "failed", run.started, run.ended, "theirs"))

    monkeypatch.setattr(Client, "put_run", both)
    arguments = ["scan", "Q0", "--axis", "x.amplitude=+-0.2:3", "--play", "x", "--shots", "50", "--out", str(tmp_path)]
    assert invoke(arguments) == 0
    said = capsys.readouterr().out
    assert "Q0: good" in said
    assert "Q4" not in said


def test_the_oscillator_is_an_axis_and_what_is_wrong_is_said_at_once(lab, home, tmp_path, capsys):
    lo = "oscillators.drive.frequency=+-2MHz:2"
    arguments = ["scan", "Q0", "--out", str(tmp_path), "--shots", "50", "--json"]
    assert invoke([*arguments, "--axis", lo, "--axis", "wait=0:100ns:3", "--play", "x wait"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    data = load(record["file"])
    assert data["i"].dims == ("oscillators_drive_frequency", "wait")
    assert data["i"].shape == (2, 3)
    assert invoke([*arguments, "--axis", "wait=0:100ns:3", "--play", "x"]) == 1
    assert "does not use this axis" in capsys.readouterr().err
    assert invoke([*arguments, "--axis", "waits=0:100ns:3"]) == 1
    assert "no such value" in capsys.readouterr().err
    assert invoke([*arguments, "--axis", "wait=0:20:5", "--play", "x wait"]) == 1  # without its unit
    said = capsys.readouterr().err
    assert "at least 2500" in said
    assert "--yes" in said


def test_ctrl_c_keeps_what_has_been_measured(lab, tmp_path):
    arguments = ["scan", "Q1", "--axis", "f01=+-1MHz:2000", "--play", "sx wait:1us sx", "--shots", "50"]
    # A child inherits that SIGINT is ignored, as it is where the tests run in a shell's background.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "pulsed.cli", *arguments, "--out", str(tmp_path)],
        env={**os.environ, "PULSED_HOME": str(lab[0].home)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    signal.signal(signal.SIGINT, handler)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("scan-Q1-*.png")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Q1: stopped, by hand" in out
    record = lab[1].runs("scan", "Q1")[0]
    assert record.outcome == "stopped"
    measured = int(np.isfinite(load(record.file)["i"]).sum())
    assert 1 <= measured < 2000
