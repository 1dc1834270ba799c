"""The AWG8 does what its manual says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsed.simulator.instruments.awg8 import EVENT, EVENT_MEMORY, SEQUENCE, TURN, WAVE_MEMORY

EVENT_ROW = (1, 0, 1, 0, 1.0, 0.0, 0.0)
EVENT_ROW_0 = (1, 0, 0, 1, 0, 1.0, 0.0, 0.0)
"""The same with its condition."""


@pytest.fixture
def loaded(bench, awg):
    """An AWG with waveforms 1 (16 samples) and 2 (32), and nothing else."""
    awg.write('WAV:DATA 1,"short",', bench.wave(16))
    awg.write('WAV:DATA 2,"long",', bench.wave(32))
    return awg


def arm(bench, awg, table=1, period=1000):
    awg.write("LIST:DATA ", bench.entries((table, 10, period)))
    awg.write("INIT")
    awg.clean()


def test_a_waveform_is_read_back_as_it_was(bench, awg):
    codes = np.random.default_rng(3).integers(-8191, 8192, (65536, 2)).astype("<i2")
    awg.write('WAV:DATA 65535,"noise",', codes)
    awg.clean()
    assert awg.block("WAV:DATA? 65535") == codes.tobytes()
    np.testing.assert_allclose(bench.awg1.waveforms[65535].envelope(), (codes[:, 0] + 1j * codes[:, 1]) / 8191)


@pytest.mark.parametrize(
    ("samples", "value", "code"), [(8, 0, -222), (20, 0, -222), (65544, 0, -223), (16, 8192, -222), (16, -8192, -222)]
)
def test_waveforms_that_do_not_fit(bench, awg, samples, value, code):
    awg.write('WAV:DATA 1,"w",', bench.wave(samples, value))
    assert awg.error() == code
    assert awg.query("WAV:CAT?") == ""


def test_catalog_free_and_delete(loaded):
    assert loaded.query("WAV:CAT?") == '1,16,"short",2,32,"long"'
    assert loaded.query("WAV:FREE?") == str(WAVE_MEMORY - 48)
    loaded.write("WAV:DEL 1")
    assert loaded.query("WAV:CAT?") == '2,32,"long"'
    loaded.write("WAV:DEL 1")
    assert loaded.error() == -224
    assert loaded.query("WAV:DATA? 1") == ""
    assert loaded.error() == -224
    loaded.write("WAV:DEL:ALL")
    assert loaded.query("WAV:CAT?;FREE?") == f";{WAVE_MEMORY}"
    loaded.clean()


def test_an_id_is_replaced_and_the_memory_ends(bench, awg):
    codes = bench.wave(65536)
    for number in range(WAVE_MEMORY // 65536):
        awg.write(f'WAV:DATA {number},"w",', codes)
    assert awg.query("WAV:FREE?") == "0"
    awg.clean()
    awg.write('WAV:DATA 1000,"w",', bench.wave(16))
    assert awg.error() == -223
    awg.write('WAV:DATA 5,"new",', bench.wave(16))
    awg.clean()
    assert awg.query("WAV:FREE?") == str(65536 - 16)


def test_equal_waveforms_have_equal_keys(bench, awg):
    for number, value in ((1, 10), (2, 10), (3, 11)):
        awg.write(f'WAV:DATA {number},"w",', bench.wave(16, value))
    waves = bench.awg1.waveforms
    assert waves[1].key == waves[2].key != waves[3].key


@pytest.mark.parametrize(
    ("position", "value", "code"),
    [(0, 0, -222), (0, 5, -222), (1, 8, -222), (2, 9, -221), (2, 70000, -221), (3, -1, -221), (3, 85, -221),
     (3, 2**62, -221), (4, 1.01, -222), (4, -0.1, -222), (4, float("nan"), -222), (5, float("inf"), -222),
     (6, 5.01e8, -222), (6, float("nan"), -222)],
)  # fmt: skip
def test_events_out_of_range(bench, loaded, position, value, code):
    row = list(EVENT_ROW)
    row[position] = value
    loaded.write('SEQ:DATA 1,"s",100,', bench.events(EVENT_ROW, tuple(row)) if position else bench.events(tuple(row)))
    assert loaded.error() == code
    assert loaded.query("SEQ:CAT?") == ""


def rows(*values):
    """Pack (pair, oscillator, condition, waveform, time, amplitude, phase, frequency)."""
    return np.array(list(values), EVENT)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ((1, 0, 257, 1, 0, 1.0, 0.0, 0.0), -222),
        ((1, 0, -257, 1, 0, 1.0, 0.0, 0.0), -222),
        ((1, 10, 0, 8, 0, 0.0, 0.0, 0.0), -222),
        ((1, 8, 0, 0, 0, 0.0, 0.0, 0.0), -222),
        ((1, 8, 0, TURN, 0, 0.0, 0.0, 0.0), -221),
        ((1, 8, 0, 8, 0, 1.0, 0.0, 0.0), -222),
        ((1, 9, 0, 8, 0, 0.0, 1.0, 0.0), -222),
        ((1, 9, 0, 8, 0, 0.0, 0.0, 1.0), -222),
        ((1, 8, 0, 96, 5, 0.0, 0.0, 0.0), -221),
        ((1, 0, 0, TURN, 0, 0.5, 1.0, 0.0), -222),
        ((1, 0, 0, TURN, 0, 0.0, 1.0, 1e6), -222),
        ((1, 0, 0, TURN, 101, 0.0, 1.0, 0.0), -221),
        ((1, 0, 1, 3, 0, 1.0, 0.0, 0.0), -221),
    ],
)
def test_conditions_markers_and_turns_that_are_refused(bench, loaded, row, code):
    loaded.write('SEQ:DATA 1,"s",100,', rows(row))
    assert loaded.error() == code
    assert loaded.query("SEQ:CAT?") == ""


def test_markers_stand_where_their_events_are(bench, loaded):
    """Marker, start, stop and condition; markers of one number do not overlap, those of others may."""
    table = rows(
        (1, 0, 0, 1, 10, 1.0, 0.0, 0.0), (1, 9, -3, 5, 40, 0.0, 0.0, 0.0), (1, 8, 0, 26, 2, 0.0, 0.0, 0.0),
        (1, 8, 0, 1, 28, 0.0, 0.0, 0.0), (2, 8, 0, 100, 0, 0.0, 0.0, 0.0),
    )  # fmt: skip
    loaded.write('SEQ:DATA 1,"s",100,', table)
    loaded.clean()
    assert loaded.query("SEQ:MARK? 1,1") == "1,2,28,0,1,28,29,0,2,40,45,-3"
    assert loaded.query("SEQ:MARK? 1,2") == "1,0,100,0"
    assert loaded.query("SEQ:MARK? 1,3") == ""
    assert loaded.query("SEQ:CAT?") == '1,5,"s"'
    loaded.write('SEQ:DATA 2,"t",100,', rows((1, 8, 0, 10, 0, 0.0, 0.0, 0.0), (1, 8, 0, 10, 9, 0.0, 0.0, 0.0)))
    assert loaded.error() == -221
    loaded.query("SEQ:MARK? 7,1")
    assert loaded.error() == -224


def test_a_sequence_is_read_back_in_order(bench, loaded):
    """By pair, oscillator and time; a turn comes before what plays from its sample on."""
    turn, late, early = (1, 0, 4, TURN, 16, 0.0, 0.25, 0.0), (1, 0, -4, 1, 16, 1.0, 0.0, 0.0), (1, 0, 0, 1, 0, 1, 0, 0)
    loaded.write('SEQ:DATA 1,"s",100,', rows(late, early, turn))
    loaded.clean()
    assert loaded.block("SEQ:DATA? 1") == rows(early, turn, late).tobytes()
    loaded.write('SEQ:DATA 2,"s",100,', rows(early, (1, 0, 0, TURN, 15, 0.0, 0.25, 0.0)))
    assert loaded.error() == -221, "an oscillator does not turn while it plays"


def load(*sequences):
    """Pack (id, name, length, events) for ``SEQuence:LOAD``."""
    heads = np.array([(number, len(events), length, name) for number, name, length, events in sequences], SEQUENCE)
    events = b"".join(events.tobytes() for *_, events in sequences)
    return np.frombuffer(len(sequences).to_bytes(8, "little") + heads.tobytes() + events, np.uint8)


EVENT_ROWS = st.tuples(st.just(1), st.integers(0, 1), st.just(0), st.sampled_from([1, 2, TURN]), st.integers(0, 90))
TABLES_OF_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.text("ab", max_size=2),
        st.integers(1, 120),
        st.lists(EVENT_ROWS, max_size=3).map(lambda events: rows(*((*event, 0.0, 0.5, 0.0) for event in events))),
    ),
    max_size=3,
    unique_by=lambda table: table[0],
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables=TABLES_OF_EVENTS)
def test_many_sequences_at_once_are_those_one_by_one_or_none(bench, tables):
    """What one of them is refused for refuses all, and nothing is changed."""
    one, many = bench.client(bench.awg1), bench.client(bench.awg2)
    for awg in (one, many):
        awg.write("*RST;*CLS")
        awg.write('WAV:DATA 1,"short",', bench.wave(16))
        awg.write('WAV:DATA 2,"long",', bench.wave(32))
        awg.write('SEQ:DATA 2,"old",50,', rows(EVENT_ROW_0))
    errors = []
    for number, name, length, events in tables:
        one.write(f'SEQ:DATA {number},"{name}",{length},', events)
        errors += [error] if (error := one.error()) else []
    before = many.query("SEQ:CAT?;FREE?")
    many.write("SEQ:LOAD ", load(*tables))
    assert (many.error() in errors) if errors else many.error() == 0
    if errors:
        assert many.query("SEQ:CAT?;FREE?") == before
        return
    assert many.query("SEQ:CAT?;FREE?") == one.query("SEQ:CAT?;FREE?")
    for number, *_ in tables:
        assert many.block(f"SEQ:DATA? {number}") == one.block(f"SEQ:DATA? {number}")


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (load((1, "s", 100, rows()), (1, "t", 100, rows())), -222),
        (load((65536, "s", 100, rows())), -222),
        (load((1, "s", 0, rows())), -222),
        (load((1, 's"', 100, rows())), -224),
        (load((1, "s", 100, rows()))[:-8], -161),
        (np.concatenate([load((1, "s", 100, rows())), np.zeros(8, np.uint8)]), -161),
        (np.full(8, 255, np.uint8), -161),
        (np.zeros(0, np.uint8), -161),
        (np.zeros(12, np.uint8), -161),
    ],
)
def test_loads_that_are_refused(loaded, block, code):
    loaded.write("SEQ:LOAD ", block)
    assert loaded.error() == code
    assert loaded.query("SEQ:CAT?") == ""


def test_a_load_does_not_go_beyond_the_memory(bench, loaded):
    """What is replaced makes room, of all sequences of the load together."""
    half = np.zeros(EVENT_MEMORY // 2, EVENT)
    half["pair"], half["waveform"], half["time"] = 1, 1, 16 * np.arange(len(half))
    length = 16 * EVENT_MEMORY
    loaded.write("SEQ:LOAD ", load((1, "a", length, half), (2, "b", length, half)))
    assert loaded.query("SEQ:FREE?") == "0"
    loaded.clean()
    loaded.write("SEQ:LOAD ", load((2, "c", length, half), (3, "d", 100, rows(EVENT_ROW_0))))
    assert loaded.error() == -223
    assert loaded.query("SEQ:CAT?") == f'1,{len(half)},"a",2,{len(half)},"b"'
    loaded.write("SEQ:LOAD ", load((2, "c", length, half[:-1]), (3, "d", 100, rows(EVENT_ROW_0))))
    loaded.clean()


def test_a_marker_keeps_no_waveform(bench, loaded):
    """A marker's length is no waveform's number."""
    loaded.write('SEQ:DATA 1,"s",100,', rows((1, 8, 0, 2, 0, 0.0, 0.0, 0.0)))
    arm(bench, loaded)
    loaded.write("WAV:DEL 2")
    loaded.clean()


def test_the_latency_of_feedback_is_told(awg):
    assert awg.query("FEED:LAT?") == "400"


def test_the_event_memory_ends(bench, loaded):
    events = np.zeros(EVENT_MEMORY, EVENT)
    events["pair"], events["waveform"], events["time"] = 1, 1, 16 * np.arange(EVENT_MEMORY)
    loaded.write(f'SEQ:DATA 1,"s",{16 * EVENT_MEMORY},', events)
    assert loaded.query("SEQ:FREE?") == "0"
    loaded.clean()
    loaded.write('SEQ:DATA 2,"s",100,', bench.events(EVENT_ROW))
    assert loaded.error() == -223


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(0, 1), st.integers(1, 2), st.integers(0, 100)), max_size=5))
def test_events_of_one_oscillator_do_not_overlap(rows):
    """Against the definition, pair by pair of events."""
    from pulsed.simulator.instruments.awg8 import VirtualAwg
    from pulsed.simulator.instruments.connection import ScpiConnection
    from pulsed.simulator.instruments.virtual_instrument import VirtualIdentity

    class NoBus:
        def abort(self, player):
            pass

        def start(self, leader):
            pass

    awg = VirtualAwg(VirtualIdentity("", "", ""), NoBus())
    connection = ScpiConnection(awg)
    for number in (1, 2):
        data = np.zeros((16 * number, 2), "<i2").tobytes()
        connection.feed(f'WAV:DATA {number},"w",#{len(str(len(data)))}{len(data)}'.encode() + data + b"\n")
    events = np.zeros(len(rows), EVENT)
    for event, (pair, oscillator, waveform, time) in zip(events, rows, strict=True):
        event["pair"], event["oscillator"], event["waveform"], event["time"] = pair, oscillator, waveform, time
    data = events.tobytes()
    connection.feed(f'SEQ:DATA 1,"s",120,#{len(str(len(data)))}{len(data)}'.encode() + data + b"\n")
    good = all(time + 16 * waveform <= 120 for *_, waveform, time in rows) and not any(
        a[:2] == b[:2] and a[3] < b[3] + 16 * b[2] and b[3] < a[3] + 16 * a[2]
        for i, a in enumerate(rows)
        for b in rows[:i]
    )
    assert (1 in awg.sequences) == good
    assert bool(awg.errors) != good


def test_sequences_catalog_and_delete(bench, loaded):
    loaded.write('SEQ:DATA 4,"two",100,', bench.events(EVENT_ROW, (1, 0, 2, 16, 0.5, 1.0, 1e8)))
    assert loaded.query("SEQ:CAT?;FREE?") == f'4,2,"two";{EVENT_MEMORY - 2}'
    loaded.write("SEQ:DEL 5")
    assert loaded.error() == -224
    loaded.write("SEQ:DEL 4")
    assert loaded.query("SEQ:CAT?") == ""
    loaded.clean()


def test_outputs(awg):
    assert awg.query("OUTP3?;OUTP3:CORR?;OFFS?") == "0;1.0,0.0,0.0,1.0;0.0,0.0"
    awg.write("OUTP3 ON;OUTP3:CORR 1.5,-2,0.25,1;OFFS -0.5,0.125")
    assert awg.query("OUTP3?;OUTP3:CORR?;OFFS?;:OUTP4?") == "1;1.5,-2.0,0.25,1.0;-0.5,0.125;0"
    awg.write("OUTP3:CORR 1,0,0,2.1")
    assert awg.error() == -222
    awg.write("OUTP3:CORR 1,0,0")
    assert awg.error() == -109
    assert awg.query("TRIG:OUTP?") == "1"
    awg.write("TRIG:OUTP OFF")
    assert awg.query("TRIG:OUTP?") == "0"


def test_arming_checks_the_list(bench, loaded):
    loaded.write("INIT")
    assert loaded.error() == -221
    loaded.write("LIST:DATA ", bench.entries((3, 10, 1000)))
    loaded.write("INIT")
    assert loaded.error() == -221
    loaded.write('SEQ:DATA 3,"s",1001,', bench.events(EVENT_ROW))
    loaded.write("INIT")
    assert loaded.error() == -221
    loaded.write("LIST:DATA ", bench.entries((3, 10, 1001)))
    loaded.write("INIT")
    loaded.clean()
    assert loaded.query("STAT?") == "ARMED"
    loaded.write("INIT")
    assert loaded.error() == -221


@pytest.mark.parametrize("entry", [(1, 0, 1000), (1, 10, 0), (1, 10, 2**41)])
def test_lists_out_of_range(bench, awg, entry):
    awg.write("LIST:DATA ", bench.entries((1, 1, 100), entry))
    assert awg.error() == -222
    assert awg.query("LIST:COUN?") == "0"


def test_what_is_in_use_does_not_change(bench, loaded):
    loaded.write('SEQ:DATA 1,"s",100,', bench.events(EVENT_ROW))
    loaded.write('SEQ:DATA 2,"other",100,', bench.events((1, 0, 2, 0, 1.0, 0.0, 0.0)))
    arm(bench, loaded)
    refused = ["WAV:DEL 1", "WAV:DEL:ALL", "SEQ:DEL 1", "SEQ:DEL:ALL", "TRIG:SOUR EXT", "TRIG:OUTP OFF"]
    for command in refused:
        loaded.write(command)
        assert loaded.error() == -221, command
    for command, block in (
        ('WAV:DATA 1,"w",', bench.wave()),
        ('SEQ:DATA 1,"s",100,', b""),
        ("SEQ:LOAD ", load((3, "t", 100, rows()), (1, "s", 100, rows()))),
        ("LIST:DATA ", bench.entries((1, 1, 1000))),
    ):
        loaded.write(command, block)
        assert loaded.error() == -221, command
    for command in ("WAV:DEL 2", "SEQ:DEL 2", "OUTP1 ON"):
        loaded.write(command)
    loaded.write('WAV:DATA 3,"new",', bench.wave())
    loaded.clean()
    loaded.write("ABOR")
    loaded.write("SEQ:DEL:ALL;:WAV:DEL:ALL")
    loaded.clean()


def test_arming_sees_waveforms_that_were_replaced_or_deleted(bench, loaded):
    loaded.write('SEQ:DATA 1,"s",32,', bench.events(EVENT_ROW, (1, 0, 1, 16, 1.0, 0.0, 0.0)))
    arm(bench, loaded)
    loaded.write("ABOR")
    loaded.write('WAV:DATA 1,"longer",', bench.wave(24))
    loaded.clean()
    loaded.write("INIT")
    assert loaded.error() == -221
    loaded.write('WAV:DATA 1,"again",', bench.wave(16, 1))
    loaded.write("INIT;ABOR")
    loaded.clean()
    loaded.write("WAV:DEL 1")
    loaded.write("INIT")
    assert loaded.error() == -221


def test_triggers_that_are_ignored(bench, loaded):
    loaded.write("*TRG")
    assert loaded.error() == -211
    loaded.write('SEQ:DATA 1,"s",32,', bench.events(EVENT_ROW))
    loaded.write("TRIG:SOUR EXT")
    arm(bench, loaded)
    loaded.write("*TRG")
    assert loaded.error() == -211
    assert loaded.query("STAT?;TRIG:SOUR?") == "ARMED;EXT"
