"""Scans by hand: axes and programs, the data as they come, and what is left of one that is stopped."""

import io

import numpy as np
import pytest
from rich.console import Console

from pulsed.calibration.executor import Executor
from pulsed.calibration.results.data import load, signal
from pulsed.calibration.routine import Outcome
from pulsed.calibration.routines.scan import Axis, Scan, parse_axis
from pulsed.calibration.routines.scan_plots import shown
from pulsed.calibration.runner.runner import run
from pulsed.cli.screens.scan import scan_screen
from pulsed.model.errors import InvalidValueError
from pulsed.testing.simulated_lab import SimulatedLab

SEED = 4


@pytest.fixture(scope="module")
def executor():
    return Executor(SimulatedLab.sim5(seed=SEED))


def scan(executor, folder, target, *axes, watch=None, **parameters):
    routine = Scan(watch, axes=[parse_axis(text, executor.device) for text in axes], **{"shots": 300} | parameters)
    (item,) = run(routine, [target], executor, folder=folder, kind="scan").values()
    return routine, item


def test_an_amplitude_of_the_calibration_set_is_swept_under_candidates(executor, tmp_path):
    """Three pulses turn by 3 pi a/a0: the population is sin^2 of half of that."""
    before = executor.connection.calibration()
    _, item = scan(executor, tmp_path, "Q0", "x.amplitude=+-0.2:7", program="x x x")
    assert item.record.kind == "scan"
    assert item.record.outcome == "good"
    assert executor.connection.calibration() == before
    assert item.values == {}
    known = executor.calibration.number("Q0.x.amplitude")
    along = item.data["x_amplitude"]
    assert along.to_numpy() == pytest.approx(known + np.linspace(-0.2, 0.2, 7))
    assert along.attrs["long_name"] == "x.amplitude"
    y, sigma = signal(item.data)
    # 2 % of the readouts of 1 and 1.3 % of those of 0 are wrong; nothing else is.
    assert np.all(np.abs(y - np.sin(1.5 * np.pi * along / known) ** 2) < 5 * sigma + 0.05), f"seed {SEED}"


def test_program_parameters_share_a_job_and_come_in_chunks(executor, tmp_path):
    seen, jobs = [], len(executor.connection.played)
    _, item = scan(
        executor, tmp_path, "Q2", "phase=0:6.283185:9", program="sx wait:100ns rz sx", chunk=4,
        watch=lambda target, data: seen.append((target, int(np.isfinite(data["i"]).sum()))),
    )  # fmt: skip
    assert seen == [("Q2", 4), ("Q2", 8), ("Q2", 9)]
    assert len(executor.connection.played) == jobs + 3
    y, sigma = signal(item.data)
    expected = (1 + np.cos(item.data["phase"].to_numpy())) / 2
    assert np.all(np.abs(y - expected) < 5 * sigma + 0.05), f"seed {SEED}"


def test_a_map_has_its_first_axis_along_the_rows(executor, tmp_path, drawn):
    """A detuned pi pulse: highest in the middle, and symmetric."""
    routine, item = scan(executor, tmp_path, "Q0", "frequency=+-30MHz:3", "amplitude=0:0.7:4", program="drive")
    assert item.data["i"].dims == ("frequency", "amplitude")
    y, _ = signal(item.data)
    assert y[1, 3] > 0.9
    assert y[1, 3] > y[0, 3] + 0.2
    assert y[1, 3] > y[2, 3] + 0.2
    assert np.all(y[:, 0] < 0.1)
    drawn(routine, item.data, Outcome("good"))
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(scan_screen(item.data, 60))
    text = console.export_text()
    assert text.count("█") == 3 * 4 + 20
    assert "12 of 12 points" in text
    assert "frequency" not in text.splitlines()[-1]
    assert "amplitude" in text.splitlines()[-1]


def test_a_scan_of_the_readout_shows_the_magnitude(executor, tmp_path):
    _, item = scan(executor, tmp_path, "Q0", "readout.frequency=+-4MHz:5")
    what, values, sigma = shown(item.data)
    assert what.startswith("magnitude")
    assert np.ptp(values) > 10 * sigma.max()


def test_what_was_measured_before_ctrl_c_is_kept(executor, tmp_path):
    def stop(target, data):
        if np.isfinite(data["i"]).sum() >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(executor, tmp_path, "Q0", "wait=0:8us:16", program="x wait", chunk=4, watch=stop)
    record = executor.connection.runs("scan", "Q0")[0]
    assert record.outcome == "stopped"
    kept = load(record.file)
    assert np.isfinite(kept["i"]).to_numpy().tolist() == [True] * 8 + [False] * 8
    assert kept["wait"].to_numpy() == pytest.approx(np.linspace(0, 8e-6, 16))
    assert kept.attrs["routine"] == "scan"
    assert signal(kept)[0][:8].min() > 0.8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing=0:1:3", "no such value; got nothing; legal: wait, phase, amplitude, frequency, duration, .* f01,"),
        ("readout.discriminator=0:1:3", "cannot be swept"),
        ("oscillators.nowhere.frequency=0:1:3", "cannot be swept"),
        ("wait=0:1us", "not an axis"),
        ("wait=0:1GHz:3", "not an axis"),
        ("wait=0:1us:0", "not an axis"),
        ("wait", "not an axis"),
    ],
)
def test_bad_axes_are_refused_by_name(executor, text, message):
    with pytest.raises(InvalidValueError, match=message):
        parse_axis(text, executor.device)


def test_axes_have_units_and_may_be_about_what_is(executor):
    assert parse_axis("wait=0:20us:41", executor.device) == Axis(name="wait", start=0, stop=20e-6, points=41)
    for text in ("f01=+-2MHz:5", "f01=±2MHz:5"):
        found = parse_axis(text, executor.device)
        assert found == Axis(name="f01", start=-2e6, stop=2e6, points=5, relative=True)
    assert Scan(axes=[found]).grid(executor, "Q1")[0][2] == executor.calibration.number("Q1.f01")
    lo = parse_axis("oscillators.drive.frequency=+-1MHz:3", executor.device)
    assert Scan(axes=[lo]).grid(executor, "Q1")[0][1] == executor.device.oscillators["drive"].frequency
    other = parse_axis("Q0-Q1.ecr.amplitude=0.1:0.2:3", executor.device)
    assert other.key == "Q0_Q1_ecr_amplitude"


def test_bad_programs_are_refused_before_anything_is_played(executor, tmp_path):
    with pytest.raises(InvalidValueError, match="does not use this axis"):
        scan(executor, tmp_path, "Q0", "wait=0:1us:3", program="x")
    with pytest.raises(InvalidValueError, match="not a step"):
        scan(executor, tmp_path, "Q0", "x.angle=0:1:3", program="x ; x")
    _, item = scan(executor, tmp_path, "Q0", "x.angle=0:1:3", program="x rz")
    assert "needs a number or an axis" in item.record.reason
    _, item = scan(executor, tmp_path, "Q0", "x.angle=0:1:3", program="hadamard")
    assert item.record.outcome == "failed"
    assert "hadamard" in item.record.reason


def test_the_least_time_of_a_scan_is_its_waits_and_repetition_delays(executor):
    """`wait=0:20:5` with the unit forgotten: 0, 5, 10, 15 and 20 s, 500 shots of each."""
    forgotten = Scan(axes=[parse_axis("wait=0:20:5", executor.device)], program="x wait", shots=500)
    assert forgotten.least_seconds(executor, "Q0") == pytest.approx(500 * (50 + 5 * executor.device.limits.rep_delay))
    meant = Scan(axes=[parse_axis("wait=0:20us:5", executor.device)], program="x wait wait:1us", shots=500)
    assert meant.least_seconds(executor, "Q0") == pytest.approx(500 * (55e-6 + 5 * executor.device.limits.rep_delay))
