import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.drivers.scpi.table_memory import TableMemory
from pulsed.model.errors import InstrumentLimitError

NAMES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40), max_size=6)


def memory(capacity=100, numbers=range(1, 5)):
    return TableMemory("instrument awg1", "waveform memory", capacity, numbers)


class Instrument:
    """Does what a plan says, and refuses what a real one would refuse."""

    def __init__(self, capacity, numbers):
        self.capacity, self.range, self.tables = capacity, numbers, {}

    def follow(self, plan, wanted):
        for number in plan.delete:
            del self.tables[number]
        for name, number in plan.send.items():
            assert number in self.range
            assert number not in self.tables, "would replace a table that is held"
            self.tables[number] = (name, wanted[name])
            assert sum(size for _, size in self.tables.values()) <= self.capacity


@given(st.lists(NAMES, max_size=20))
def test_the_instrument_always_holds_what_was_planned(requests):
    """Whatever is asked for in whatever order: nothing overflows and every number means what it is said to mean."""
    held, instrument = memory(), Instrument(100, range(1, 5))
    sizes = {}
    for request in requests:
        wanted = {name: sizes.setdefault(name, size) for name, size in request.items()}
        if sum(wanted.values()) > 100 or len(wanted) > 4:
            before = held.numbers()
            with pytest.raises(InstrumentLimitError):
                held.plan(wanted)
            assert held.numbers() == before
            continue
        plan = held.plan(wanted)
        instrument.follow(plan, wanted)
        assert set(plan.numbers) == set(wanted)
        for name, number in plan.numbers.items():
            assert instrument.tables[number] == (name, wanted[name])
        assert {number: name for number, (name, _) in instrument.tables.items()} == held.numbers()
        assert held.used == sum(size for _, size in instrument.tables.values())


def test_what_is_held_is_not_sent_again():
    held = memory()
    assert set(held.plan({"a": 10, "b": 10}).send) == {"a", "b"}
    assert set(held.plan({"b": 10, "c": 10}).send) == {"c"}


def test_the_least_recently_used_goes_first():
    held = memory()
    numbers = held.plan({"a": 40, "b": 40}).numbers
    held.plan({"a": 40})
    plan = held.plan({"c": 40})
    assert plan.delete == (numbers["b"],)
    assert "a" in held
    assert "b" not in held


def test_too_much_at_once_names_the_limit_and_changes_nothing():
    held = memory()
    held.plan({"a": 40})
    with pytest.raises(InstrumentLimitError) as caught:
        held.plan({"b": 60, "c": 60})
    assert (caught.value.subject, caught.value.value, caught.value.legal) == ("instrument awg1", "120", "up to 100")
    assert len(held) == 1


def test_load_keeps_each_name_once_and_no_number_out_of_range():
    held = memory()
    assert held.load([(1, 10, "a"), (2, 10, "a"), (9, 10, "b"), (3, 10, "c")]) == [2, 9]
    assert held.numbers() == {1: "a", 3: "c"}
    assert held.plan({"a": 10}).send == {}


def test_a_catalogue_that_lies_about_a_size_does_not_last():
    held = memory()
    held.load([(1, 99, "a")])
    plan = held.plan({"a": 10, "b": 80})
    assert plan.delete == (1,)
    assert set(plan.send) == {"a", "b"}
