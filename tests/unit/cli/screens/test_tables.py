"""Tables at any width: a number is shown whole, or its column is not shown and said to be missing."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.cli.screens import calibration as calibration_screens
from pulsed.cli.screens.terminal import Terminal, plain_table
from pulsed.model.calibration import CalibrationSet, PastValue, Value

numbers = st.floats(-1e12, 1e12, allow_nan=False).map(lambda x: f"{x:.9g}")


def shown(renderable: object, width: int) -> str:
    file = io.StringIO()
    Terminal(file=file, width=width).print(renderable)
    return file.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=1, max_size=4)),
    st.integers(20, 100),
    st.booleans(),
)
def test_no_number_is_broken(rows: list[list[str]], width: int, words: bool) -> None:
    names = [f"c{k}" for k in range(len(rows[0]))]
    table = plain_table(*names, *(["words"] if words else []), right=names, less=names[2:3])
    for row in rows:
        table.add_row(*row, *(["some words that can be wrapped"] if words else []))
    text = shown(table, width)
    note = text.partition("no room here for ")[2].replace(",", " ").replace(":", " ").split()
    cells = text.split()
    for k, name in enumerate(names):
        if name in note:
            assert k > 0, "the first column says what a row is"
            assert rows[0][k] not in cells or any(rows[0][k] in row[:k] + row[k + 1 :] for row in rows)
        else:
            assert all(row[k] in cells for row in rows)
    whole = sum(max(len(name), *(len(row[k]) for row in rows)) + 2 for k, name in enumerate(names))
    if whole + (18 if words else -2) <= width:
        assert "no room" not in text


def sets() -> tuple[CalibrationSet, CalibrationSet]:
    old = CalibrationSet("sim5", {"Q0-Q1.ecr.cancel.amplitude": Value(4.970123456e9, "Hz", 1234.0)}, "")
    return old, old.with_values({"Q0-Q1.ecr.cancel.amplitude": Value(4.970987654e9, "Hz", 1111.0)}, "")


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_screens_of_long_numbers(width: int) -> None:
    old, new = sets()
    (before,), (after,) = old.values.values(), new.values.values()
    history = [PastValue(0.0, after, new.calibration_id), PastValue(0.0, before, old.calibration_id)]
    for screen in (
        calibration_screens.diff_screen(old, new), calibration_screens.history_screen("Q0.f01", history),
        calibration_screens.change_screen(old, new),
    ):  # fmt: skip
        text = shown(screen, width)
        assert max(map(len, text.splitlines())) <= width
        assert "4.9709877 ± 0.0000011 GHz" in text or "no room" in text
        assert all(number in text or "no room" in text for number in ("+864 kHz", "4.970123"))
    assert "4.9709877 ± 0.0000011 GHz" in shown(calibration_screens.diff_screen(old, new), 80)
    assert "no room here for difference" in shown(calibration_screens.diff_screen(old, new), 80)


def test_what_goes_to_no_terminal_is_not_cut_to_eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    file = io.StringIO()
    Terminal(file=file).print("word " * 30)
    assert file.getvalue().count("\n") == 1
    monkeypatch.setenv("COLUMNS", "40")
    Terminal(file=file).print("word " * 30)
    assert max(map(len, file.getvalue().splitlines()[1:])) <= 40
