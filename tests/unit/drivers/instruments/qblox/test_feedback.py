"""Pulses on bits: what is asked of counters, when these are set to 0, and that all ways take equally long."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.drivers.instruments.qblox.feedback import (
    LATENCY,
    BitTurn,
    Choice,
    FeedbackError,
    FeedbackPlan,
    Sent,
    choose,
    predicates,
    resets,
)
from pulsed.drivers.instruments.qblox.q1asm import program
from pulsed.drivers.instruments.qblox.steps import (
    LEAD,
    TURN,
    ChoiceStep,
    IntegralStep,
    Predicate,
    ResetStep,
    SequencerEntry,
    WaveformStep,
)
from pulsed.simulator.instruments.qblox.interpreter import Sequencer

LENGTH = 40
OPERATORS = [any, lambda v: not any(v), all, lambda v: not all(v), lambda v: sum(v) % 2 == 1, lambda v: sum(v) % 2 == 0]


def executed(text, forgets=False, inverted=()):
    lengths = dict.fromkeys(range(4), LENGTH)
    return Sequencer(lengths, weights=lengths, inverted=inverted, forgets=forgets).run(text)


def true_in(predicate, addresses, inverted):
    """Return the assignments in which a predicate holds."""
    found = set()
    for case in product((False, True), repeat=len(addresses)):
        known = zip(addresses, case, strict=True)
        asked = [came != (a in inverted) for a, came in known if predicate.mask >> (a - 1) & 1]
        if OPERATORS[predicate.operator](asked):
            found.add(case)
    return found


def pulse(time, phase=0, gain=1000):
    return WaveformStep(time, 0, 1, gain, phase, 400)


def test_a_pulse_on_a_bit_as_text():
    steps = [ResetStep(0, 400), ChoiceStep(500, ((Predicate(1, 0), pulse(500, 7)),))]
    lines = program([SequencerEntry(steps, 3, 600)]).splitlines()
    assert lines == [
        "set_latch_en 1,4", "wait_sync 4", "move 3,R0", "set_freq 400", "shot0:", "reset_ph", "upd_param 4",
        "latch_rst 500", "set_cond 1,1,0,4", "set_ph 7", "set_awg_gain 1000,1000", "play 0,1,4", "set_cond 0,0,0,0",
        "wait 92", "loop R0,@shot0", "stop",
    ]  # fmt: skip


CHOICES = st.lists(st.tuples(st.integers(1, 3), st.integers(LENGTH + 24, 3000)), min_size=1, max_size=5)


@given(CHOICES, st.booleans(), st.integers(1, 4))
def test_all_ways_take_equally_long_and_play_where_they_should(choices, forgets, shots):
    """Also whichever a sequencer does with settings before an instruction that it skips: keep or forget them."""
    steps, time, wanted = [ResetStep(0, 400)], 100, []
    for cases, gap in choices:
        asked = [(Predicate(3, operator), operator) for operator in (1, 2, 4)][:cases]
        pulses = tuple((predicate, pulse(time, 100 + operator)) for predicate, operator in asked)
        covered = set().union(*(true_in(predicate, (1, 2), ()) for predicate, _ in asked))
        rest = set(product((False, True), repeat=2)) - covered
        # Of two cases or more what is left is a case of its own; with one it may be left out.
        none = None
        if len(asked) > 1 and rest:
            none = Predicate(3, 4) if rest == {(True, False), (False, True)} else None
            assert none is not None
        steps.append(ChoiceStep(time, pulses, none))
        wanted += [(time, 100 + operator, true_in(predicate, (1, 2), ())) for predicate, operator in asked]
        time += gap
        steps.append(WaveformStep(time, 2, 3, 5, 3, 400))
        wanted.append((time, 3, set(product((False, True), repeat=2))))
        time += LENGTH + 24
        steps.append(IntegralStep(time, 0, 0, 0, 400, phase=3))
        time += LENGTH + 24
    (group,) = executed(program([SequencerEntry(steps, shots, time + 100)]), forgets)
    assert (group.count, group.period) == (shots, time + 100)
    found = {}
    for burst in group.bursts:
        known = {counter.address: came for counter, came in burst.condition}
        cases = {
            case for case in product((False, True), repeat=2)
            if all(case[address - 1] == came for address, came in known.items())
        }  # fmt: skip
        phase = (burst.phase - burst.frequency * burst.time) % (4 * TURN) // 4
        found.setdefault((burst.time - LEAD, phase), []).append(cases)
    for time, phase, cases in wanted:
        got = found.pop((time, phase))
        assert set().union(*got) == cases
        assert sum(map(len, got)) == len(cases), "in each case once"
    assert not found


def bits(**kinds):
    """Return a plan with bits 1, 2, ... of addresses 1, 2, ..., read out 300 ns apart from 1000 ns on."""
    plan = FeedbackPlan()
    for number in range(1, 4):
        plan.sent[0, number] = [Sent(number, 1000 + 300 * number, 0, np.inf)]
    plan.terms.update(kinds.get("terms", {}))
    return plan


def test_a_turn_on_a_bit_makes_two_pulses_of_one():
    choice = choose(bits(), 0, 5000, 0, [BitTurn(2, 4000, TURN // 2)], 7)
    assert choice.addresses == (2,)
    assert choice.cases == {(False,): 7, (True,): 7 + TURN // 2}
    _, (asked,) = predicates([choice])
    assert asked == {7: Predicate(2, 1), 7 + TURN // 2: Predicate(2, 0)}


def test_a_turn_on_the_bit_that_the_pulse_waits_for_is_no_question():
    choice = choose(bits(), 0, 5000, -1, [BitTurn(1, 4000, 5), BitTurn(-1, 4500, 9)], 7)
    assert (choice.phases, choice.blocks) == ([16], 1)


def test_two_half_turns_are_the_parity_of_their_bits():
    turns = [BitTurn(1, 4000, TURN // 2), BitTurn(2, 4000, TURN // 2)]
    _, (asked,) = predicates([choose(bits(), 0, 5000, 0, turns, 0)])
    assert asked == {0: Predicate(3, 5), TURN // 2: Predicate(3, 4)}


def test_bits_of_different_values_invert_a_counter():
    plan = bits(terms={(0, 9): [1, -2]})
    inverted, (asked,) = predicates([choose(plan, 0, 5000, 9, [], 7)])
    assert true_in(asked[7], (1, 2), inverted) == {(True, False)}


def test_what_counters_cannot_tell_apart_is_refused():
    plan = bits(terms={(0, 8): [1, 2], (0, 9): [1, -2]})
    choices = [choose(plan, 0, 5000, 8, [], 7), choose(plan, 0, 6000, 9, [], 7)]
    with pytest.raises(FeedbackError, match="cannot tell the bits apart"):
        predicates(choices)


@given(st.integers(1, 3), st.data())
def test_predicates_are_those_of_their_cases(count, data):
    """Whatever is asked for: what is found holds in the right cases, with the same inversions for all choices."""
    addresses = tuple(range(1, count + 1))
    every = list(product((False, True), repeat=count))
    outcomes = st.lists(st.sampled_from([None, 1, 2]), min_size=len(every), max_size=len(every))
    choices = [
        Choice(addresses, dict(zip(every, values, strict=True)), ())
        for values in data.draw(st.lists(outcomes.filter(any), min_size=1, max_size=2))
    ]
    try:
        inverted, asked = predicates(choices)
    except FeedbackError:
        return
    for choice, predicate in zip(choices, asked, strict=True):
        for phase in predicate:
            assert true_in(predicate[phase], addresses, inverted) == choice.when(phase)
        assert set(choice.phases) <= set(predicate)


@pytest.mark.parametrize(("condition", "time", "match"), [(7, 5000, "not measured here"), (3, 2000, "has not come")])
def test_a_bit_that_is_not_there_is_refused(condition, time, match):
    with pytest.raises(FeedbackError, match=match):
        choose(bits(), 0, time, condition, [], 0)


def test_a_choice_of_two_is_asked_before_its_pulse():
    """8 ns before."""
    there = 1300 + LATENCY
    turns = [BitTurn(1, there, 5)]
    choose(bits(), 0, there + 8, 0, turns, 0)
    with pytest.raises(FeedbackError, match="asked for before it comes"):
        choose(bits(), 0, there + 7, 0, turns, 0)


# --- counters --------------------------------------------------------------------------------------------------------


def test_counters_are_set_to_0_just_before_the_readout_ends():
    assert resets({Sent(1, 1000, 0, np.inf): 2000}, [(100, 104), (9000, 9004)]) == [996]


def test_a_bit_that_is_still_asked_for_is_not_lost():
    first, second = Sent(1, 1000, 0, np.inf), Sent(2, 1500, 0, np.inf)
    assert resets({first: 2000, second: 2000}, [(9000, 9004)]) == [996]
    with pytest.raises(FeedbackError, match="no time to set the counters"):
        resets({first: 2000, Sent(2, 1500, 1200, np.inf): 2000}, [(9000, 9004)])


def test_a_second_readout_gets_a_counter_of_its_own():
    first, second = Sent(1, 1000, 0, 3000), Sent(1, 3000, 1388, np.inf)
    assert resets({first: 2000, second: 4000}, [(9000, 9004)]) == [996, 2996]
    with pytest.raises(FeedbackError, match="measured again"):
        resets({first: 3200, second: 4000}, [(9000, 9004)])


EVENTS = st.lists(st.integers(4, 900), max_size=12)


READOUTS = st.lists(st.tuples(st.integers(1, 3), st.integers(400, 2000), st.integers(0, 900)), min_size=1, max_size=4)


@given(READOUTS, EVENTS)
def test_each_bit_is_alone_in_its_counter(readouts, gaps):
    """A reset lies after what came before, before the readout's end, and in no other bit's time; where it is idle."""
    uses, end, last = {}, 0, {}
    for address, gap, keep in readouts:
        end += gap
        clear = last.get(address, -LATENCY) + LATENCY
        uses[Sent(address, end, max(0, clear), np.inf)] = end + LATENCY + keep
        last[address] = end
    at, busy = 0, []
    for gap in gaps:
        at += gap
        busy.append((at, at + 4))
        at += 4
    busy.append((max(at, 20_000), 20_004 + at))
    try:
        found = resets(uses, busy)
    except FeedbackError:
        return
    for sent in uses:
        assert any(sent.clear <= time <= sent.end - 4 for time in found)
    for time in found:
        assert not any(sent.end - 4 < time < used for sent, used in uses.items())
        assert not any(begin < time + 4 and time < stop for begin, stop in busy)
    assert all(b - a >= 4 for a, b in pairwise(found))
