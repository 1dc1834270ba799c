from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from pulsed.model.calibration import CalibrationSet, Fault, Value
from pulsed.testing.large_chip import large_device, large_set
from pulsed.web.pages.chip import AGE, chosen_from, ends, layer, names, routes

NOW = datetime(2026, 12, 1, tzinfo=UTC).timestamp()


def at(hours: float) -> str:
    return datetime.fromtimestamp(NOW - 3600 * hours, UTC).isoformat()


@pytest.fixture
def calibration() -> CalibrationSet:
    values = {
        "Q0.t1": Value(40e-6, "s", 1e-6, at(1), "t1"),
        "Q0.readout.discriminator": Value((1.0, 2.0), "", None, at(1), "d"),
        "Q1.t1": Value(120e-6, "s", 2e-6, at(30), "t1"),
        "Q2.t1": Value(80e-6, "s", None, at(1), "t1", "", "suspect"),
        "Q0.f01": Value(5e9, "Hz", None, "2026-01-01", "design", "", "design"),
        "Q0.x.error": Value(1e-3, "", None, at(2), "rb"),
        "Q0-Q1.ecr.error": Value(7e-3, "", None, at(2), "rb"),
    }
    return CalibrationSet("sim5", values, at(0), faults={"Q1": Fault("it drinks")})


def test_each_has_its_value_its_colour_and_what_is_wrong_with_it(calibration):
    found = layer(calibration, ["Q0", "Q1", "Q2", "Q3"], "t1", NOW)
    by_name = {one.name: one for one in found.shown}
    assert found.unit == "µs"
    assert [one.text for one in found.shown] == ["40", "120", "80", ""]
    assert by_name["Q0"].said == "40.0 ± 1.0 µs"
    assert {name: one.states for name, one in by_name.items()} == {
        "Q0": (), "Q1": ("faulty", "old"), "Q2": ("suspect",), "Q3": (),
    }  # fmt: skip
    assert len({one.colour for one in found.shown}) == 4
    assert by_name["Q3"].said == "not known"
    assert (found.median, found.worst) == ("80 µs", "Q0 40 … Q1 120 µs")
    assert [text for _, text in found.legend] == ["40", "80", "120"]


def test_age_is_that_of_the_oldest_value_that_was_measured(calibration):
    found = layer(calibration, ["Q0", "Q1", "Q3"], AGE, NOW)
    assert [one.text for one in found.shown] == ["2 h 0 min", "30 h 0 min", ""]
    assert found.shown[0].number == pytest.approx(7200)


def test_errors_are_percent(calibration):
    found = layer(calibration, ["Q0-Q1", "Q1-Q2"], "ecr.error", NOW)
    assert (found.unit, found.shown[0].text, found.shown[1].text) == ("%", "0.7", "")
    assert found.shown[0].states == ("faulty",), "a pair of which one qubit is faulty is"


def test_what_can_be_chosen_is_one_number(calibration):
    assert chosen_from(calibration, ["Q0", "Q1"]) == ["f01", "t1", "x.error", AGE]
    assert chosen_from(calibration, ["Q0-Q1"]) == ["ecr.error", AGE]
    assert chosen_from(calibration, ["Q9"]) == [AGE]
    nothing = layer(calibration, ["Q9"], AGE, NOW)
    assert (nothing.legend, nothing.median, nothing.shown[0].colour) == ((), "", "")


def test_a_chip_of_127_qubits():
    device = large_device()
    calibration = large_set(device, at(1))
    qubits, pairs = names(device)
    found = layer(calibration, qubits, "t1", NOW)
    assert len(found.shown) == 127
    assert len(pairs) == 144
    assert max(len(one.text) for one in found.shown) <= 4
    assert {one.name for one in found.shown if one.states} == {"Q40", "Q63"}
    assert ends("Q1-Q0", {0: (0.0, 0.0), 1: (1.0, 0.0)}) == ((1.0, 0.0), (0.0, 0.0))


def test_a_layer_is_of_its_set_and_needs_no_daemon(calibration):
    chip = large_device()

    class Lab:
        """Has the device and a set, and no daemon any more."""

        def __init__(self):
            self.active = calibration

        def device(self):
            return chip

        def calibration(self):
            return self.active

    lab = Lab()
    site = SimpleNamespace(lab=lab, page=lambda request, template, **shown: SimpleNamespace(**shown))
    show = next(route.endpoint for route in routes(site) if route.path == "/chip")

    def median(parameter):
        return show(SimpleNamespace(query_params={"qubit": parameter})).qubits.median

    assert (median("t1"), median("f01")) == ("80 µs", "5 GHz")
    lab.active = calibration.with_values({"Q2.t1": Value(100e-6, "s")}, at(0))
    assert median("t1") == "100 µs", "at once, and not after the seconds for which a layer is kept"
    lab.active = calibration
    assert median("t1") == "80 µs"
