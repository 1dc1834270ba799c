"""What the terminal shows of calibration sets, and how values, times and cooldowns are read."""

from __future__ import annotations

from typing import ClassVar

import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pulsed.calibration.routine import Outcome, Proposal, Routine
from pulsed.calibration.runner.result import RunResult
from pulsed.cli.commands.cal_sets import parse_time
from pulsed.cli.commands.cal_values import fresh_set, next_cooldown, parse_numbers
from pulsed.cli.configs import find
from pulsed.cli.screens import calibration as screens
from pulsed.cli.screens.calibration_runs import check_screen, runs_screen, seen
from pulsed.model.calibration import CalibrationSet, Fault, LogEntry, PastValue, RunRecord, Value
from pulsed.model.device import load_device
from pulsed.model.errors import InvalidValueError
from pulsed.model.parameters import FINITE, CalibratedParameter, parameter_of


def of(unit, counts=(1,)):
    """Return the row of a value."""
    return CalibratedParameter(unit, FINITE, counts=counts)


HZ = of("Hz")
OLD = CalibrationSet(
    "sim5",
    {"Q0.f01": Value(4.9e9, "Hz", 2e3), "Q1.t1": Value(5e-5, "s"), "d0.mixer.offset": Value((0.1, 0.2))},
    "t0",
)
NEW = CalibrationSet(
    "sim5",
    {
        "Q0.f01": Value(4.90001e9, "Hz", 1e3, quality="set"), "Q2.x.amplitude": Value(0.5),
        "d0.mixer.offset": Value((0.1, 0.3)),
    },
    "t1", OLD.calibration_id, "c2", faults={"Q3": Fault("no line", "now", "bob")},
)  # fmt: skip


def shown(renderable, width=140) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def test_a_difference_is_told_in_its_unit_and_in_standard_errors():
    text = shown(screens.diff_screen(OLD, NEW))
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert "+10 kHz (4.5 σ)" in lines["Q0.f01"]
    assert "gone" in lines["Q1.t1"]
    assert "new" in lines["Q2.x.amplitude"]
    assert "other numbers" in lines["d0.mixer.offset"]
    assert "no line" in lines["Q3"]
    assert "cooldown none → c2" in text
    assert "same values" in shown(screens.diff_screen(OLD, OLD))


def test_a_set_says_what_is_faulty_and_what_was_set_by_hand():
    text = shown(screens.set_screen(NEW, in_force=False))
    for part in (NEW.calibration_id, "not active", "cooldown c2", "Q3 is faulty: no line, bob, now", "* set"):
        assert part in text
    assert "4.9000100(10)*" in text
    assert "* set" not in shown(screens.set_screen(OLD, in_force=True))


def test_the_log_names_few_values_and_counts_many():
    many = tuple(f"Q{i}.f01" for i in range(9))
    entries = [
        LogEntry("aaaa", 1e9, "bob", "a test", ("Q0.f01", "Q1.t1"), ("good", "best")),
        LogEntry("bbbb", 1e9, changed=many),
    ]
    text = shown(screens.log_screen(entries))
    assert "Q0.f01, Q1.t1" in text
    assert "good, best" in text
    assert "9 values of Q0, Q1, Q2, Q3, Q4, Q5, …" in text
    assert "no set" in shown(screens.log_screen([]))


def test_a_history_has_the_step_to_each_value():
    past = [PastValue(2e9, Value(2.5e-5, "s", routine="t1"), "b"), PastValue(1e9, Value(2e-5, "s"), "a")]
    text = shown(screens.history_screen("Q0.t1", past))
    assert "+5 µs" in text
    assert "25 µs" in text
    assert text.count("µs") == 3


def test_a_run_says_what_it_found_or_why_it_did_not():
    good = RunRecord("a", "t1", "Q0", "calibrate", "good", 1e9, 1e9 + 4.5, file="/data/a.nc",
                     values={f"Q0.v{i}": Value(8e-5, "s", 1e-6) for i in range(5)})  # fmt: skip
    bad = RunRecord("b", "rabi", "Q1", "check", "bad data", 1e9, 1e9 + 1, reason="a flat line")
    text = shown(runs_screen([good, bad]), 200)
    for part in ("t1", "4.5 s", "80.0 ± 1.0 µs", "and 2 more", "/data/a.nc", "bad data", "a flat line"):
        assert part in text
    assert "no such" in shown(runs_screen([]))


def test_a_run_is_readable_in_a_narrow_terminal():
    """Its head is one line, and the reason does not become a column of single words."""
    reason = "no peak in the window: the largest deviation is 2.1 standard errors"
    run = RunRecord("b", "resonator-spectroscopy", "Q1", "calibrate", "out of spec", 1e9, 1e9 + 1, reason=reason,
                    file="/data/b.nc")  # fmt: skip
    lines = shown(runs_screen([run]), 80).splitlines()
    assert len(lines) <= 4
    assert lines[0].endswith("out of spec 1 s")
    assert " ".join(lines[1:3]).split() == reason.split()


def test_the_file_of_a_run_is_named_such_that_it_can_be_copied():
    """Whole, and on one line however narrow the terminal."""
    file = f"/{'a-long-folder/' * 10}20261130T153336-rabi-Q1-6738f1.nc"
    run = RunRecord("b", "rabi", "Q1", "calibrate", "good", 1e9, 1e9 + 1, file=file)
    console = Console(width=80)
    with console.capture() as capture:
        console.print(runs_screen([run]), crop=False)
    assert file in [line.strip() for line in capture.get().splitlines()]


def test_many_changes_are_summed_up():
    big = OLD.with_values({f"Q{i}.f01": Value(float(i)) for i in range(40)}, "t")
    text = shown(screens.change_screen(OLD, big))
    assert "40 values" in text
    assert f"pulsed cal diff {OLD.calibration_id}" in text
    assert "+10 kHz" in shown(screens.change_screen(OLD, NEW))


@pytest.mark.parametrize(
    ("text", "parameter", "value"),
    [
        ("4.91GHz", HZ, 4.91e9), ("4910 MHz", HZ, 4.91e9), ("4.91e9", HZ, 4.91e9), ("80us", of("s"), 80e-6),
        ("0.25", of("full scale"), 0.25), ("0.1,-0.2", of("", (2,)), (0.1, -0.2)),
        ("0", of("", ()), 0.0), ("1,0,1,0", of("", ()), (1.0, 0.0, 1.0, 0.0)),
    ],
)  # fmt: skip
def test_a_value_is_read_as_a_person_writes_it(text, parameter, value):
    assert parse_numbers("Q0.f01", text, parameter) == value


@pytest.mark.parametrize(
    ("text", "parameter", "message"),
    [
        ("4.91 Ghz", HZ, "not a value"), ("fast", HZ, "not a value"), ("80us", HZ, "not a value"),
        ("0.1,0.2", HZ, "not as many"), ("0.1", of("", (2,)), "not as many"), ("", HZ, "not a value"),
        ("nan", HZ, "not a value"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_told(text, parameter, message):
    with pytest.raises(InvalidValueError, match=message):
        parse_numbers("Q0.f01", text, parameter)


@given(st.floats(1e-9, 1e12), st.sampled_from(["Hz", "s", ""]))
def test_a_number_survives_writing_and_reading(number, unit):
    assert parse_numbers("x", f"{number!r}{unit}", of(unit)) == number


def test_a_time_is_iso():
    assert parse_time("2026-11-21T13:30:00Z") == 1795267800.0
    assert parse_time("2026-11-21T14:30:00+01:00") == 1795267800.0
    with pytest.raises(InvalidValueError, match="not a time"):
        parse_time("yesterday")


@pytest.mark.parametrize(("old", "new"), [("c7", "c8"), ("c9", "c10"), ("", "2"), ("3", "4"), ("spring", "spring2")])
def test_the_next_cooldown_has_the_next_number(old, new):
    assert next_cooldown(old) == new


def test_a_cooldown_begins_with_the_design_sheet_and_nothing_else():
    device = load_device(find("sim5"))
    kept = {"in.delay": Value(60.0, "dt")}
    fresh = fresh_set(device, NEW, "c3", kept)
    assert fresh.parent == NEW.calibration_id
    assert fresh.faults == {}
    assert fresh.cooldown == "c3"
    assert fresh.values.keys() == {"in.delay"} | {
        f"Q{q}.{name}" for q in range(5) for name in ("f01", "anharmonicity", "readout.frequency")
    }
    assert {value.quality for name, value in fresh.values.items() if name != "in.delay"} == {"design"}


def test_names_of_values_are_those_of_the_rack():
    device = load_device(find("sim5"))
    assert parameter_of("Q2.f01", device).unit == "Hz"
    assert parameter_of("Q1-Q0.ecr.angle", device).unit == "rad"
    assert parameter_of("Q0-Q1.ecr.angle", device).unit == "rad"
    assert parameter_of("d3.mixer.offset", device).counts == (2,)
    for name in ("Q5.f01", "Q0-Q2.ecr.angle", "x9.delay", "f01"):
        with pytest.raises(InvalidValueError, match="no such subject"):
            parameter_of(name, device)
    for name in ("Q0.ecr.angle", "Q0", "d0.f01"):
        with pytest.raises(InvalidValueError, match="no such value"):
            parameter_of(name, device)


def test_every_value_of_the_shipped_set_is_known():
    device = load_device(find("sim5"))
    from pulsed.model.calibration import load_calibration

    shipped = load_calibration(find("sim5").parent / "calibrations" / "sim5.json")
    for name, value in shipped.values.items():
        parameter = parameter_of(name, device)
        assert parameter.unit == value.unit, name
        count = len(value.value) if isinstance(value.value, tuple) else 1
        assert not parameter.counts or count in parameter.counts, name


class Line(Routine):
    """Finds what its data say; needs at least three points."""

    name = "line"
    gives = ("f01", "t1")
    tolerances: ClassVar = {"f01": (1e3, 0.0)}

    def measure(self, bench, target):
        raise NotImplementedError("only its analysis is used")

    def analyse(self, data: xarray.Dataset) -> Outcome:
        if data["i"].size < 3:
            raise IndexError("too few points")
        value = float(data["i"].mean())
        return Outcome("good", "", {"f01": Proposal(value, "Hz", 2e3), "t1": Proposal(1e-6, "s")})


def checked(points: list[float], outcome: str, reason: str = "") -> RunResult:
    record = RunRecord("r", "line", "Q0", "check", outcome, 0.0, 1.0, reason)  # type: ignore[arg-type]
    return RunResult(record, None, xarray.Dataset({"i": ("n", points)}))


def test_a_check_shows_what_it_saw_beside_what_is_in_force():
    good, off = checked([4.9e9] * 5, "good"), checked([4.91e9] * 5, "out of spec", "Q0.f01 is off")
    found = seen(Line(), off)
    assert found == {"Q0.f01": Value(4.91e9, "Hz", 2e3)}, "what is judged, and nothing else"
    text = shown(check_screen(Line(), {"Q0": off}, {"Q0": found}, OLD))
    for part in ("out of spec", "4.900000 ± 0.000002 GHz", "4.910000 ± 0.000002 GHz", "+10 MHz", "σ", "Q0.f01 is off"):
        assert part in text
    assert "in spec" in shown(check_screen(Line(), {"Q0": good}, {"Q0": seen(Line(), good)}, OLD))


def test_a_check_that_says_nothing_alone_still_has_its_verdict():
    few, none = checked([4.9e9], "good"), RunResult(checked([], "failed", "no rack").record)
    assert seen(Line(), few) == seen(Line(), none) == {}
    text = shown(check_screen(Line(), {"Q0": few}, {"Q0": {}}, OLD))
    assert "in spec" in text
    assert "4.900000 ± 0.000002 GHz" in text, "what is active is shown at least"
    assert "no rack" in shown(check_screen(Line(), {"Q0": none}, {"Q0": {}}, OLD))


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_log_folds_no_id_and_no_time(width):
    entries = [
        LogEntry(f"{k:016x}", 1e9 + k, "alice", "why somebody did this by hand " * 2, ("Q2.f01",)) for k in range(3)
    ]
    lines = shown(screens.log_screen(entries), width).splitlines()
    for entry in entries:
        (line,) = [line for line in lines if entry.calibration_id in line]
        assert "2001-09-" in line
        assert "alice" in line
    assert all(len(line.rstrip()) <= width for line in lines)
    assert len(lines) == (6 if width < 200 else 4)
