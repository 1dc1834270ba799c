import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.calibration import CalibrationSet, Value, from_json, load_calibration
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
