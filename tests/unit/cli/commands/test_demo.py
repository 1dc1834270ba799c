"""The demo's own arithmetic, its verdict and its pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from pulsed.cli.commands import demo
from pulsed.cli.screens import demo_pictures, demo_tables
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.job import JobInfo, JobState

PREDICTED = {"00": 0.49, "01": 0.01, "10": 0.02, "11": 0.48}


def test_a_good_result_ends_with_the_line(capsys):
    assert demo.judge({"00": 0.4951, "01": 0.0, "10": 0.02, "11": 0.4849}, PREDICTED) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "predicted: 00=0.4900 01=0.0100 10=0.0200 11=0.4800",
        "bell: 00=0.4951 01=0.0000 10=0.0200 11=0.4849",
    ]
    assert said.err == ""


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"00": 0.46, "01": 0.04, "10": 0.04, "11": 0.46}, "below 0.93"),
        ({"00": 0.515, "01": 0.0, "10": 0.01, "11": 0.475}, "p00 is off"),
    ],
)
def test_a_bad_result_is_an_error_that_says_why(capsys, found, why):
    assert demo.judge(found, PREDICTED) == 1
    said = capsys.readouterr()
    assert why in said.err
    assert said.out.splitlines()[-1].startswith("bell: ")


def _values(**errors):
    return CalibrationSet("sim5", {name.replace("_", "."): Value(value) for name, value in errors.items()}, "")


def test_the_prediction_without_reading_errors_is_the_truth():
    joint = np.zeros((3, 3))
    joint[0, 0], joint[1, 0], joint[0, 1], joint[1, 1], joint[2, 1] = 0.4, 0.1, 0.2, 0.25, 0.05
    values = _values(Q0_readout_p01=0.0, Q0_readout_p10=0.0, Q1_readout_p01=0.0, Q1_readout_p10=0.0)
    shares = demo_tables.predicted_shares({"qubits": [0, 1], "populations": joint, "initial": [[1, 0, 0]] * 2}, values)
    # Keys are Q1 Q0; the third level of Q0 reads as 1.
    assert shares == pytest.approx({"00": 0.4, "01": 0.1, "10": 0.2, "11": 0.3})


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_prediction_agrees_with_sampled_readings(order):
    seed = 20261121
    rng = np.random.default_rng(seed)
    errors, excited = {0: (0.03, 0.01), 1: (0.06, 0.02)}, 0.015
    # What a calibration measures with shots that start excited now and then.
    measured = {}
    for q, (p01, p10) in errors.items():
        measured[f"Q{q}_readout_p01"] = p01 * (1 - excited) + (1 - p10) * excited
        measured[f"Q{q}_readout_p10"] = p10 * (1 - excited) + (1 - p01) * excited
    values = _values(**measured)
    joint = rng.dirichlet(np.ones(9)).reshape(3, 3)
    shares = demo_tables.predicted_shares(
        {"qubits": order, "populations": joint, "initial": [[1 - excited, excited, 0]] * 2}, values
    )
    shots = 200_000
    flat = rng.choice(9, size=shots, p=joint.ravel())
    bits = {}
    for axis, q in enumerate(order):
        one = np.stack(np.unravel_index(flat, (3, 3)))[axis] > 0
        p01, p10 = errors[q]
        bits[q] = np.where(rng.random(shots) < np.where(one, p01, p10), ~one, one).astype(int)
    for key, share in shares.items():
        found = np.mean((bits[1] == int(key[0])) & (bits[0] == int(key[1])))
        assert abs(found - share) < 5 * np.sqrt(share / shots), f"seed {seed}, {key}"


@given(st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0, 0.1))
def test_reading_errors_are_freed_of_what_the_preparation_adds(wrong_zero, wrong_one, excited):
    values = _values(
        Q3_readout_p10=wrong_zero * (1 - excited) + (1 - wrong_one) * excited,
        Q3_readout_p01=wrong_one * (1 - excited) + (1 - wrong_zero) * excited,
    )
    initial = [[1, 0, 0]] * 3 + [[1 - excited, excited, 0]]
    for level, share in ((0, wrong_zero), (1, 1 - wrong_one), (2, 1 - wrong_one)):
        prediction = {"qubits": [3], "populations": np.eye(3)[level], "initial": initial}
        assert demo_tables.predicted_shares(prediction, values)["1"] == pytest.approx(share, abs=1e-12)


def test_times_inside_a_job_add_up():
    times = {"compiling": 11.0, "running": 11.5, "done": 14.0, "seconds.upload": 0.5}
    job = JobInfo("id", "sim5", JobState.DONE, "me", 10.0, times=times)
    rows = demo_tables.inside(job)
    assert rows == [("until compiling", 1.0), ("until running", 0.5), ("until done", 2.5), ("  upload", 0.5)]


def test_clouds_take_the_nearer_centroid():
    values = _values(Q0_readout_discriminator=(0.0, 0.0, 1.0, 1.0, 0.01))
    points = np.array([[0.1 + 0.1j], [0.9 + 0.8j], [0.4 + 0.7j]], dtype=np.complex64)
    (cloud,) = demo_tables.clouds(points, values, [0])
    assert cloud.bits.tolist() == [False, True, True]


def _colors(path, color, tolerance=0.12) -> int:
    """How many pixels of a picture have about this color."""
    pixels = imread(path)[..., :3]
    wanted = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return int((np.abs(pixels - wanted).max(axis=-1) < tolerance).sum())


def test_waveforms_show_i_q_and_the_window_of_each_port(tmp_path):
    time = np.arange(400)
    wave = 0.4 * np.exp(-2j * np.pi * 0.1 * time)
    label = demo_pictures.Label(0, 400, "pulse")
    full = demo_pictures.Trace("ro", [(0, wave)], [label], [label])
    silent = demo_pictures.Trace("ro", [], [label])
    demo_pictures.draw_waveforms([full], tmp_path / "full.png", "full")
    demo_pictures.draw_waveforms([silent], tmp_path / "silent.png", "silent")
    for color in (demo_pictures._IN_PHASE, demo_pictures._QUADRATURE):
        assert _colors(tmp_path / "full.png", color) > 150
        assert _colors(tmp_path / "silent.png", color) < 40


def test_clouds_are_drawn_in_the_color_of_their_bit(tmp_path):
    seed = 7
    rng = np.random.default_rng(seed)
    noise = 0.1 * (rng.normal(size=2000) + 1j * rng.normal(size=2000))
    points = (noise + 1.0).astype(np.complex64)
    for bit, name in ((True, "ones.png"), (False, "zeros.png")):
        cloud = demo_pictures.Cloud("Q0", points, np.full(2000, bit), 0j, 1 + 0j)
        demo_pictures.draw_clouds([cloud], tmp_path / name, "clouds")
    ones, zeros = (_colors(tmp_path / name, demo_pictures._ONE, 0.35) for name in ("ones.png", "zeros.png"))
    assert ones > 5 * zeros
