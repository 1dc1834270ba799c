"""What the terminal shows of each value."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pulsed.cli.screens import status as screens
from pulsed.cli.screens.rack import truth_screen
from pulsed.model.calibration import CalibrationSet, Value
from pulsed.model.errors import ErrorInfo
from pulsed.model.job import JobInfo, JobState, RunOptions


def shown(renderable, width=100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(renderable)
        return console.export_text()


@given(st.floats(0, 1), st.integers(1, 100))
def test_a_bar_is_as_long_as_its_share(fraction, width):
    text = screens.bar(fraction, width)
    eighths = 8 * text.count("█") + (" ▏▎▍▌▋▊▉".index(text[-1]) if text and text[-1] != "█" else 0)
    assert abs(eighths - fraction * width * 8) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12.3 ms"), (4.56, "4.56 s"), (119.0, "119 s"), (300, "5 min"), (7500, "2 h 5 min"), (0, "0 s")],
)
def test_a_duration_is_said_as_people_do(seconds, text):
    assert screens.duration(seconds) == text


def test_counts_have_shares_and_bars():
    text = shown(screens.counts_chart({"00": 3, "11": 1}, width=8))
    assert ["00", "3", "0.7500", "██████"] in [line.split() for line in text.splitlines()]
    assert ["11", "1", "0.2500", "██"] in [line.split() for line in text.splitlines()]


@given(st.dictionaries(st.text("01", min_size=6, max_size=6), st.integers(1, 1000), min_size=1))
def test_no_shot_is_lost_from_the_chart(counts):
    text = shown(screens.counts_chart(counts, most=8))
    rows = [line.split() for line in text.splitlines()[1:] if line.strip()]
    assert sum(int(row[1]) for row in rows) == sum(counts.values())
    assert len(rows) <= 9


def test_a_job_shows_its_error_and_times():
    job = JobInfo(
        "id1", "sim5", JobState.FAILED, "alice", 1000.0, num_programs=2, options=RunOptions(shots=7), name="rabi",
        times={"compiling": 1000.5, "failed": 1002.0, "seconds.play": 0.25},
        error=ErrorInfo("lowering", "too long", "circuit c", "9", "8"),
    )  # fmt: skip
    text = shown(screens.job_screen(job))
    for part in ("id1", "rabi", "alice", "7 shots", "lowering: circuit c: too long; got 9; legal: 8", "500 ms", "2 s",
                 "250 ms"):  # fmt: skip
        assert part in text
    listed = shown(screens.jobs_screen([job]))
    assert "failed" in listed
    assert "alice" in listed
    assert "no jobs" in shown(screens.jobs_screen([]))


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_jobs_are_whole_lines_at_any_width(width):
    name = str(uuid.UUID(int=7))
    jobs = [
        JobInfo(
            name, "sim5", state, "local", 1e9, num_programs=300, options=RunOptions(shots=100_000), name="bell.qasm"
        )
        for state in JobState
    ]
    lines = shown(screens.jobs_screen(jobs), width).splitlines()
    heads = [line for line in lines if name in line]
    assert len(heads) == len(jobs), "no id is folded"
    assert [str(job.state) in head for job, head in zip(jobs, heads, strict=True)] == [True] * len(jobs)
    assert len(lines) == (2 * len(jobs) if width < 100 else len(jobs) + 1)
    assert sum("300×100000" in line and "local" in line and "bell.qasm" in line for line in lines) == len(jobs)


def test_a_calibration_set_shows_every_value():
    values = {
        "Q0.f01": Value(4.97e9, "Hz", stderr=1200.0),
        "Q1.f01": Value(4.88e9, "Hz"),
        "Q1.t1": Value(80e-6, "s", stderr=3e-6),
        "Q0-Q1.ecr.amplitude": Value(0.3125),
        "d0.mixer.offset": Value((0.001, -0.002)),
        "Q1.readout.kernel": Value(tuple(range(9))),
    }
    calibration = CalibrationSet("sim5", values, "2026-11-21T00:00:00Z", parent="ffff")
    text = shown(screens.calibration_screen(calibration))
    for part in (calibration.calibration_id, "ffff", "GHz", "4.9700000(12)", " 4.88", "µs", "80(3)",
                 "0.3125", "(0.001, -0.002)", "9 values", "Q0-Q1", "d0"):  # fmt: skip
        assert part in text


def test_columns_that_do_not_fit_side_by_side_follow_below():
    names = [f"Q{q}" for q in range(7)]
    values = {f"{name}.readout.p01": Value(0.0265, stderr=0.0011) for name in names}
    for width in (40, 80, 120):
        lines = shown(screens.calibration_screen(CalibrationSet("sim5", values, "2026-11-21")), width).splitlines()
        assert sum(line.count("0.0265(11)") for line in lines) == 7, width
        assert [word for line in lines if line.startswith("qubit") for word in line.split()[1:]] == names, width
        assert max(map(len, lines)) <= width


def test_times_are_local_and_those_of_a_set_are_written_like_those_of_the_log():
    assert screens.moment("2001-09-09T01:46:40+00:00") == screens.when(1e9)
    assert screens.moment("2026-11-21") == "2026-11-21"


def test_the_truth_shows_qubits_and_pairs():
    qubit = {"f01": 4.97e9, "t1": 95e-6, "thermal": 0.01, "readout_resonances": [1.0, 2.0]}
    truth = {"name": "chip-7", "qubits": [qubit, qubit], "couplings": [{"qubits": [0, 1], "j": 1.95e6, "zz": 5.1e4}]}
    text = shown(truth_screen(truth))
    for part in ("chip-7", "GHz", " 4.97 ", "µs", " 95 ", " 0.01 ", "Q0-Q1", "MHz", " 1.95", "kHz", " 51"):
        assert part in text


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (0.0131, 0.0008, "0.0131(8)"),
        (4.97, 1.2e-6, "4.9700000(12)"),
        (1234.0, 56.0, "1234(56)"),
        (0.25, None, "0.25"),
    ],
)
def test_a_standard_error_is_written_concisely(value, stderr, text):
    assert screens.concise(value, stderr) == text


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e3))
def test_a_concise_value_is_true_to_a_quarter_of_its_error(value, stderr):
    number, _, error = screens.concise(value, stderr).rstrip(")").partition("(")
    digits = len(number.partition(".")[2])
    assert abs(float(number) - value) <= 0.251 * stderr
    assert int(error) * 10.0**-digits == pytest.approx(stderr, rel=0.26)


def test_a_discriminator_says_where_the_states_lie():
    values = {"Q0.readout.discriminator": Value((0.001, 0.002, -0.003, 0.004, 4e-8), "full scale")}
    text = shown(screens.calibration_screen(CalibrationSet("dev", values, "2026-11-21T00:00:00+00:00")))
    assert "0 at (0.001, 0.002), 1 at (-0.003, 0.004), σ 0.0002 of full scale" in text
