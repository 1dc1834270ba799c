import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.calibration.interchange.fields import Field, Ledger, read_json
from pulsed.model.errors import ConfigError


def field(value, path="a"):
    return Field("f.json", path, value, Ledger("2026-11-21T00:00:00+00:00"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("5e9", "a number is expected"), (True, "a number is expected"), (math.nan, "not a finite"),
        (math.inf, "not a finite"), (4.97, "is its unit another"), ([5e9], "a number is expected"),
    ],
)  # fmt: skip
def test_what_is_no_such_number_is_one_line_and_none(value, why):
    one = field(value)
    assert one.number(1e9, 20e9) is None
    (line,) = one.ledger.lines
    assert (line.outcome, line.file, line.field) == ("left out", "f.json", "a")
    assert why in line.text


def test_null_and_what_is_not_there_are_none_without_a_line():
    one = field({"a": None})
    assert one["a"].number() is None
    assert one.at("b", "c", 3).number() is None
    assert one.ledger.lines == []


def test_a_field_knows_where_it_stands():
    one = field({"x": [1, {"y": 2.5}]}, "")
    assert one.at("x", 1, "y").path == "x.1.y"
    assert one.at("x", 1, "y").number() == 2.5


def test_a_value_out_of_bounds_is_left_out_and_says_what_is_legal():
    one = field(4.97)
    one.ledger.take("Q0.f01", 4.97, one)
    assert one.ledger.values == {}
    assert "outside 1e+09 to 2e+10" in one.ledger.lines[0].text


def test_a_value_keeps_its_source_and_its_error():
    one = field(6e-5)
    one.ledger.take("Q0.t1", 6e-5, one, stderr=9e-7)
    value = one.ledger.values["Q0.t1"]
    assert (value.unit, value.stderr, value.routine, value.run_id) == ("s", 9e-7, "import", "f.json: a")
    assert value.quality == "unverified"


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_cannot_be_read_is_one_error_that_names_it(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.json"):
        read_json(path)


LEAVES = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_any_json_can_be_asked_for_anything(value):
    one = field(value)
    found = [one["a"].number(), one[0].number(0, 1), one.text(), *one.items(), *one.rows()]
    assert all(not isinstance(item, float) or math.isfinite(item) for item in found)
