"""Sequences whose numbers come from the list: what docs/instruments/awg8.md says of sweeps."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsed.compiler.program import FIELDS, PARAMETER, bind
from pulsed.simulator.instruments.awg8 import EVENT, EVENT_MEMORY, TURN
from pulsed.simulator.instruments.awg8_tables import TERM

LATE, EARLY = (1, 0, 0, 2, 40, 0.5, 0.25, 1e6), (1, 0, 0, 1, 0, 0.25, 0.0, 0.0)
OTHER = (2, 3, 0, 1, 8, 0.0, 1.0, -2e6)


@pytest.fixture
def loaded(bench, awg):
    awg.write('WAV:DATA 1,"short",', bench.wave(16))
    awg.write('WAV:DATA 2,"long",', bench.wave(32))
    return awg


def sweep(events, *terms, counts=None):
    """Pack a block of SEQuence:SWEep; a term is (event, field, column, coefficient)."""
    counts = (len(events), len(terms)) if counts is None else counts
    return np.array(counts, "<u4").tobytes() + np.array(events, EVENT).tobytes() + np.array(list(terms), TERM).tobytes()


def values(*rows):
    table = np.array(rows, "<f8")
    return np.array([table.shape[1], 0], "<u4").tobytes() + table.tobytes()


def listed(bench, awg, rows, *tables):
    awg.write("LIST:DATA ", bench.entries(*((table, 10, 1000) for table in tables)))
    awg.write("LIST:VAL ", values(*rows))
    awg.clean()


def played(awg, entry):
    return np.frombuffer(awg.block(f"LIST:EVEN? {entry}"), EVENT)


def test_an_entry_plays_the_sequence_with_its_values(bench, loaded):
    """The terms count the events as they were sent, and are read back as the events are."""
    terms = (0, 1, 1, 2.0), (0, 2, 0, 1.0), (0, 2, 1, -0.5), (2, 3, 0, 1e6), (1, 2, 0, 3.0)
    loaded.write('SEQ:SWE 7,"s",100,', sweep([LATE, EARLY, OTHER], *terms))
    loaded.write('SEQ:DATA 8,"plain",100,', np.array([EARLY], EVENT))
    loaded.clean()
    assert loaded.block("SEQ:DATA? 7") == np.array([EARLY, LATE, OTHER], EVENT).tobytes()
    moved = [({0: 1, 1: 0, 2: 2}[event], *rest) for event, *rest in terms]
    assert np.frombuffer(loaded.block("SEQ:TERM? 7"), TERM).tolist() == moved
    assert loaded.query("SEQ:CAT?") == '7,8,"s",8,1,"plain"'
    assert loaded.query("SEQ:FREE?") == str(EVENT_MEMORY - 9)
    listed(bench, loaded, [(0.5, -0.125), (0.0, -0.5), (9.0, 9.0)], 7, 7, 8)
    loaded.write("INIT")
    loaded.clean()
    early, late, other = played(loaded, 0).tolist()
    assert early == (1, 0, 0, 1, 0, 0.25, 1.5, 0.0)
    assert late == pytest.approx((1, 0, 0, 2, 40, 0.25, 0.25 + 0.5 + 0.0625, 1e6))
    assert other == (2, 3, 0, 1, 8, 0.0, 1.0, -1.5e6)
    _, negative, _ = played(loaded, 1).tolist()
    assert negative == pytest.approx((1, 0, 0, 2, 40, 0.5, 0.25 + 0.25 + np.pi, 1e6))
    assert played(loaded, 2).tolist() == [EARLY]
    assert loaded.block("LIST:VAL?") == values((0.5, -0.125), (0.0, -0.5), (9.0, 9.0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_values_mean_what_bindings_of_a_program_mean(bench, loaded, seed):
    """The compiler's own arithmetic gives the same events, to the rounding of sums, and the chip gets these."""
    rng = np.random.default_rng(seed)
    count, columns, bindings = rng.integers(1, 6, 3)
    events = np.zeros(count, EVENT)
    events["pair"], events["waveform"], events["time"] = 1, 1, 20 * np.arange(count)
    events["amplitude"], events["frequency"] = rng.uniform(-0.4, 0.4, count), rng.uniform(-1e8, 1e8, count)
    terms = np.zeros(rng.integers(1, 12), TERM)
    terms["event"], terms["field"] = rng.integers(0, count, len(terms)), rng.integers(1, 4, len(terms))
    terms["column"], terms["coefficient"] = rng.integers(0, columns, len(terms)), rng.normal(size=len(terms))
    loud = terms["field"] == 1
    terms["coefficient"][loud] *= 0.02
    events["amplitude"] = np.where(np.isin(np.arange(count), terms["event"][loud]), events["amplitude"], 0.4)
    table = rng.uniform(-2, 2, (bindings, columns))
    block = np.array([count, len(terms)], "<u4").tobytes() + events.tobytes() + terms.tobytes()
    loaded.write('SEQ:SWE 1,"s",200,', block)
    listed(bench, loaded, table, *[1] * bindings)
    loaded.write("INIT;*TRG")
    bench.settle()
    loaded.clean()
    expected = bind(events, terms.astype(PARAMETER), table)
    part = bench.awg1.played({1: 0})
    for entry in range(bindings):
        found = played(loaded, entry)
        for name in EVENT.names:
            if name != "phase":
                np.testing.assert_allclose(found[name], expected[entry][name], rtol=1e-12, atol=1e-12)
        turned = np.exp(1j * (found["phase"] - expected[entry]["phase"]))
        np.testing.assert_allclose(turned, 1, atol=1e-9)
        assert part.bursts(entry, 0, 0)[0]["phase"].tolist() == found["phase"].tolist()


def test_a_term_has_the_numbers_of_the_fields_of_a_program():
    """So parameters are sent as they are."""
    assert [FIELDS[number] for number in (1, 2, 3)] == ["amplitude", "phase", "frequency"]
    assert PARAMETER.itemsize == TERM.itemsize


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (sweep([EARLY], (0, 2, 0, 1.0), counts=(1, 2)), -161),
        (b"\0" * 4, -161),
        (sweep([EARLY], (1, 2, 0, 1.0)), -222),
        (sweep([EARLY], (0, 0, 0, 1.0)), -222),
        (sweep([EARLY], (0, 4, 0, 1.0)), -222),
        (sweep([EARLY], (0, 2, 0, float("nan"))), -222),
        (sweep([(1, 0, 0, TURN, 0, 0.0, 0.5, 0.0)], (0, 2, 0, 1.0)), -222),
        (sweep([(1, 8, 0, 5, 0, 0.0, 0.0, 0.0)], (0, 2, 0, 1.0)), -222),
        (sweep([(1, 0, 0, 1, 0, float("inf"), 0.0, 0.0)], (0, 1, 0, 1.0)), -222),
        (sweep([(1, 0, 0, 1, 0, 1.5, 0.0, 0.0)], (0, 2, 0, 1.0)), -222),
        (sweep([(1, 0, 0, 3, 0, 0.5, 0.0, 0.0)], (0, 2, 0, 1.0)), -221),
        (sweep([EARLY, (1, 0, 0, 1, 15, 0.5, 0.0, 0.0)], (0, 2, 0, 1.0)), -221),
    ],
)
def test_sweeps_that_are_refused(loaded, block, code):
    loaded.write('SEQ:SWE 1,"s",100,', block)
    assert loaded.error() == code
    assert loaded.query("SEQ:CAT?") == ""


def test_what_a_number_would_be_without_values_is_not_checked(bench, loaded):
    """1.5 - 1 is in range; and what is over one by what sums lose is one."""
    loaded.write('SEQ:SWE 1,"s",100,', sweep([(1, 0, 0, 1, 0, 1.5, 0.0, 9e8)], (0, 1, 0, 1.0), (0, 3, 1, 1e8)))
    loaded.clean()
    listed(bench, loaded, [(-1.0, -9.0), (-0.4999995, -5.0)], 1, 1)
    loaded.write("INIT")
    loaded.clean()
    assert [row[5:] for entry in (0, 1) for row in played(loaded, entry).tolist()] == [(0.5, 0.0, 0.0), (1.0, 0.0, 4e8)]


@pytest.mark.parametrize(
    ("rows", "code", "what"),
    [
        ([(0.0,), (0.0,)], -221, "needs 2 values, the list has 1"),
        ([(0.0, 0.0), (0.51, 0.0)], -222, "entry 1 .* amplitude"),
        ([(-1.51, 0.0), (0.0, 0.0)], -222, "entry 0 .* amplitude"),
        ([(0.0, 4.0), (0.0, -6.0)], -222, "entry 1 .* freq"),
    ],
)
def test_a_list_whose_values_take_a_sequence_out_of_range_is_not_armed(bench, loaded, rows, code, what):
    loaded.write('SEQ:SWE 1,"s",100,', sweep([(1, 0, 0, 1, 0, 0.5, 0.0, 0.0)], (0, 1, 0, 1.0), (0, 3, 1, 1e8)))
    listed(bench, loaded, rows, 1, 1)
    loaded.write("INIT")
    entry = loaded.query("SYST:ERR?")
    assert entry.startswith(f"{code},")
    assert re.search(what, entry)
    assert loaded.query("STAT?") == "IDLE"


def test_values_belong_to_their_list(bench, loaded):
    loaded.write('SEQ:SWE 1,"s",100,', sweep([EARLY], (0, 2, 0, 1.0)))
    loaded.write("LIST:DATA ", bench.entries((1, 1, 1000), (1, 1, 1000)))
    loaded.write("INIT")
    assert loaded.error() == -221
    for block, code in (
        (values((1.0,)), -161),
        (values((1.0,), (float("inf"),)), -222),
        (np.zeros(2, "<u4").tobytes(), -161),
        (b"", -161),
    ):
        loaded.write("LIST:VAL ", block)
        assert loaded.error() == code
    loaded.query("LIST:EVEN? 0")
    assert loaded.error() == -221
    loaded.write("LIST:VAL ", values((1.0,), (2.0,)))
    loaded.query("LIST:EVEN? 2")
    assert loaded.error() == -224
    loaded.write("INIT")
    loaded.write("LIST:VAL ", values((1.0,), (2.0,)))
    assert loaded.error() == -221
    loaded.write("ABOR")
    loaded.write("LIST:DATA ", bench.entries((1, 1, 1000)))
    loaded.write("INIT")
    assert loaded.error() == -221
    loaded.write("*RST")
    assert loaded.block("LIST:VAL?") == np.zeros(2, "<u4").tobytes()
