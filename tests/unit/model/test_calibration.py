import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.calibration import CalibrationSet, Fault, Value, from_json, load_calibration
from pulsed.model.errors import ConfigError, NotFoundError

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.builds(
    Value,
    value=st.one_of(finite, st.lists(finite, min_size=1, max_size=4).map(tuple)),
    unit=st.text(max_size=3),
    stderr=st.none() | finite,
    time=st.text(max_size=5),
)
sets = st.builds(
    CalibrationSet,
    device=st.text(max_size=5),
    values=st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=5),
    created=st.text(max_size=8),
)


@given(sets)
def test_a_set_survives_json_and_keeps_its_id(item):
    again = from_json(item.to_json())
    assert again == item
    assert again.calibration_id == item.calibration_id


@given(sets)
def test_the_id_does_not_depend_on_the_order_of_values_but_on_each_of_them(item):
    turned = CalibrationSet(item.device, dict(reversed(item.values.items())), item.created)
    assert turned.calibration_id == item.calibration_id
    child = item.with_values({"Q0.f01": Value(4.97e9, "Hz")}, item.created)
    assert child.calibration_id != item.calibration_id
    assert child.parent == item.calibration_id
    assert child.number("Q0.f01") == 4.97e9


def test_a_missing_value_is_named():
    item = CalibrationSet("dev", {"a": Value(1.0), "b": Value((1.0, 2.0))}, "now")
    with pytest.raises(NotFoundError, match=r"Q7\.f01"):
        item.number("Q7.f01")
    with pytest.raises(NotFoundError, match="list"):
        item.number("b")
    assert item.numbers("a") == (1.0,)
    assert item.get("c", 3.0) == 3.0
    assert item.has("a", "b")
    assert not item.has("a", "c")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"device": 3}', b'{"device":"a","values":{},"created":"","format":2}'])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "set.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"set\.json"):
        load_calibration(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_calibration(tmp_path / "none.json")


def test_a_set_without_faults_has_the_id_that_it_had_before_there_were_any():
    item = CalibrationSet("sim5", {"Q0.f01": Value(4.97e9, "Hz")}, "2026-11-21", "parent", "c1")
    text = (
        '{"device":"sim5","values":{"Q0.f01":{"value":4970000000.0,"unit":"Hz","stderr":null,"time":"","routine":"",'
        '"run_id":"","quality":"good"}},"created":"2026-11-21","parent":"parent","cooldown":"c1","format":1}'
    )
    assert item.calibration_id == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert from_json(text.encode()) == item


def test_faults_are_part_of_a_set():
    item = CalibrationSet("sim5", {"Q0.f01": Value(1.0)}, "t0")
    fault = Fault("no line", "t1", "bob")
    broken = item.with_faults({"Q3": fault, "Q0-Q1": Fault("collision")}, "t1")
    assert broken.parent == item.calibration_id != broken.calibration_id
    assert from_json(broken.to_json()) == broken
    assert [broken.faulty(subject) for subject in ("Q3", "Q3-Q2", "Q4-Q3")] == [fault] * 3
    assert broken.faulty("Q0-Q1") == Fault("collision")
    assert [broken.faulty(subject) for subject in ("Q0", "Q1", "Q1-Q2", "d3")] == [None] * 4
    assert broken.with_faults({}, "t2").faults == {}


def test_what_changed_is_named():
    one = CalibrationSet("sim5", {"Q0.f01": Value(1.0), "Q1.f01": Value(2.0), "Q2.f01": Value(3.0)}, "t0")
    other = CalibrationSet(
        "sim5", {"Q0.f01": Value(1.0), "Q1.f01": Value(2.0, stderr=0.1), "Q9.f01": Value(0.0)}, "t1",
        faults={"Q3": Fault("x")},
    )  # fmt: skip
    assert one.changed(other) == other.changed(one) == ("Q1.f01", "Q2.f01", "Q3.fault", "Q9.f01")
    assert one.changed(one) == ()
