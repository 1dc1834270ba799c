"""Sweeps found in what an instrument is given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.drivers.programs import LIST, PLAYED, RECORDED
from pulsed.drivers.sweeps import SHORTEST, SWEPT, EntrySweep, find_sweeps


def listed(count, shots=100, period=1000, longer=0):
    entries = np.zeros(count, LIST)
    entries["shots"], entries["period"] = shots, period + longer * np.arange(count)
    return entries


def rows_of(sizes, dtype=PLAYED):
    rows = np.zeros(sum(sizes), dtype)
    rows["entry"] = np.repeat(np.arange(len(sizes)), sizes)
    return rows


def test_a_rabi_experiment_is_one_sweep():
    rows = rows_of([2] * 101)
    rows["amplitude"][::2] = np.linspace(0, 0.9, 101)
    assert find_sweeps(listed(101), rows) == [EntrySweep(0, 101)]


@pytest.mark.parametrize("field", SWEPT)
def test_each_field_may_grow(field):
    rows = rows_of([1] * 20)
    rows[field] = 3 * np.arange(20)
    assert find_sweeps(listed(20, longer=8), rows) == [EntrySweep(0, 20)]


@pytest.mark.parametrize("field", ["envelope", "condition"])
def test_what_does_not_grow_ends_a_sweep(field):
    rows = rows_of([1] * 20)
    rows[field][7:] = 1
    assert find_sweeps(listed(20), rows) == [EntrySweep(0, 7), EntrySweep(7, 13)]


def test_phases_grow_through_a_turn():
    rows = rows_of([1] * 20)
    rows["phase"] = np.remainder(2.1 * np.arange(20) + np.pi, 2 * np.pi) - np.pi
    assert find_sweeps(listed(20), rows) == [EntrySweep(0, 20)]


def test_another_number_of_rows_begins_another():
    """In any of the tables; nothing is played in the first entry of a Rabi experiment that begins at 0."""
    rows = rows_of([0, *[1] * 10, *[2] * 5])
    recorded = rows_of([1] * 14 + [2] * 2, RECORDED)
    assert find_sweeps(listed(16), rows, recorded) == [
        EntrySweep(0, 1),
        EntrySweep(1, 10),
        *(EntrySweep(k, 1) for k in range(11, 16)),
    ]


def test_other_shots_and_uneven_periods_end_a_sweep():
    entries = listed(12)
    entries["shots"][6:] = 7
    assert find_sweeps(entries) == [EntrySweep(0, 6), EntrySweep(6, 6)]
    entries = listed(12)
    entries["period"][6:] += 1
    assert find_sweeps(entries) == [EntrySweep(0, 6), EntrySweep(6, 6)]


def test_two_or_three_points_are_no_sweep():
    assert find_sweeps(listed(SHORTEST - 1)) == [EntrySweep(k, 1) for k in range(SHORTEST - 1)]
    assert find_sweeps(listed(0)) == []


PARTS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3), st.integers(-40, 40)), min_size=1, max_size=5)


@given(PARTS, st.integers(0, 2**32 - 1))
def test_every_entry_is_in_one_sweep_and_on_its_line(parts, seed):
    rng = np.random.default_rng(seed)
    sizes = [size for count, size, _ in parts for _ in range(count)]
    rows, at = rows_of(sizes), 0
    for count, size, step in parts:
        start = rng.integers(0, 1000, size)
        for k in range(count):
            rows["time"][at : at + size] = start + k * step
            rows["amplitude"][at : at + size] = 0.01 * start + 1e-4 * k * step
            at += size
    found = find_sweeps(listed(len(sizes)), rows)
    assert [k for one in found for k in range(one.first, one.first + one.count)] == list(range(len(sizes)))
    for one in found:
        own = rows[(rows["entry"] >= one.first) & (rows["entry"] < one.first + one.count)]
        assert one.count == 1 or one.count >= SHORTEST
        size = len(own) // one.count
        for name in ("time", "amplitude"):
            values = own[name].reshape(one.count, size).astype(float)
            if one.count > 1:
                line = values[0] + np.arange(one.count)[:, None] * (values[1] - values[0])
                assert np.abs(values - line).max(initial=0) <= 1e-7
    whole = [(count, size) for count, size, _ in parts]
    if len(whole) == 1 and whole[0][0] >= SHORTEST:
        assert len(found) == 1
