"""Leader and followers become one sequence on the chip's clock, and the data find their way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulsed.model.errors import InvalidValueError
from pulsed.simulator.dynamics.sequence import Decision
from pulsed.simulator.instruments.awg8 import EVENT as EVENT_RECORD
from pulsed.simulator.instruments.awg8 import TURN

EVENT = st.tuples(
    st.integers(0, 7), st.integers(0, 40), st.floats(0, 1), st.floats(-7, 7), st.sampled_from([0.0, 13e6, -217e6])
)


@pytest.fixture
def rack(bench):
    """Clients of awg1, awg2, digitizer with two waveforms, LOs and outputs on, followers on EXT."""
    clients = [bench.client(i) for i in (bench.awg1, bench.awg2, bench.digitizer)]
    rng = np.random.default_rng(7)
    for client in clients[:2]:
        client.write('WAV:DATA 1,"w",', rng.integers(-8191, 8192, (16, 2)).astype("<i2"))
        client.write("OUTP1 ON;OUTP2 ON")
    for client in clients[1:]:
        client.write("TRIG:SOUR EXT")
    bench.client(bench.lo).write("SOUR:FREQ 5.1e9;:OUTP ON")
    bench.client(bench.readout_lo).write("SOUR:FREQ 7.11e9;:OUTP ON")
    return clients


def load(bench, rack, leader=b"", follower=b"", records=b"", entries=((1, 4, 1000),), length=200):
    rack[0].write(f'SEQ:DATA 1,"s",{length},', leader)
    rack[1].write(f'SEQ:DATA 1,"s",{length},', follower)
    rack[2].write(f'ACQ:DATA 1,"t",{length},', records or bench.records((0, 0, 60, 16, 0.0)))
    for client in rack:
        client.write("LIST:DATA ", bench.entries(*entries))
        client.clean()


def play(bench, rack):
    for client in reversed(rack):
        client.write("INIT")
    rack[0].write("*TRG")
    bench.settle()
    for client in rack:
        client.clean()
    return bench.chip.played[-1][0]


def field(sequence, line, times):
    """Return z(t) of a line on the chip's clock, by the definition of BURST."""
    z = np.zeros(len(times), complex)
    for burst in sequence.bursts:
        if burst["line"] != line:
            continue
        envelope = sequence.envelopes[burst["envelope"]]
        for n, sample in enumerate(envelope):
            t = burst["start"] + n
            carrier = np.exp(1j * burst["phase"] - 2j * np.pi * burst["frequency"] * t * 1e-9)
            z[times == t] += burst["amplitude"] * sample * carrier
    return z


def played(instrument, rows, times):
    """Return z(t) of a pair on the instrument's own clock, by the formula of its manual."""
    z = np.zeros(len(times), complex)
    for _, _, waveform, time, amplitude, phase, frequency in rows:
        codes = instrument.waveforms[waveform].codes
        for n, (i, q) in enumerate(codes.tolist()):
            carrier = np.exp(1j * phase - 2j * np.pi * frequency * (time + n) * 1e-9)
            z[times == time + n] += amplitude * (i + 1j * q) / 8191 * carrier
    return z


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(EVENT, max_size=3, unique_by=lambda e: e[0]), st.lists(EVENT, max_size=3, unique_by=lambda e: e[0]))
def test_the_chip_sees_what_the_instruments_play(bench, rack, leader, follower):
    """Sample t + 24 of the leader meets sample t of a follower, whatever is played before the followers begin."""
    early = [(1, o, 1, t, *rest) for o, t, *rest in leader]
    late = [(1, o, 1, t, *rest) for o, t, *rest in follower]
    load(bench, rack, bench.events(*early), bench.events(*late))
    sequence = play(bench, rack)
    assert all(sequence.bursts["start"] >= 0)
    zero = sequence.windows[0].start - 60
    assert zero == (24 if any(row[3] < 24 for row in early) else 0)
    chip = np.arange(-50, 150)
    for line, instrument, rows, first in ((0, bench.awg1, early, zero - 24), (2, bench.awg2, late, zero)):
        seen, meant = field(sequence, line, chip), played(instrument, rows, chip - first)
        np.testing.assert_allclose(seen, meant, atol=1e-9)
    assert not field(sequence, 1, chip).any()


@pytest.mark.parametrize("start", [24, 0])
def test_kernels_demodulate_on_the_digitizers_clock(bench, rack, start):
    """The sum of the manual, with t from the digitizer's sample 0, equals the chip's sum with t from its own."""
    weights = np.exp(1j * np.arange(16)).astype("<c8")
    rack[2].write('KERN:DATA 1,"k",', weights)
    load(bench, rack, bench.events((1, 0, 1, start, 1.0, 0.0, 0.0)), records=bench.records((0, 1, 60, 16, -210e6)))
    window = play(bench, rack).windows[0]
    z = np.random.default_rng(1).normal(size=(16, 2)).view(complex)[:, 0]
    own, chip = (60 + np.arange(16)) * 1e-9, (window.start + np.arange(16)) * 1e-9
    meant = np.sum(weights * z * np.exp(2j * np.pi * -210e6 * own))
    kernel = window.kernels[0]
    assert window.start == 60 + 24 - start
    assert np.sum(kernel.weights * z * np.exp(2j * np.pi * kernel.frequency * chip)) == pytest.approx(meant, rel=1e-6)


def bits(bench, *rows):
    """Pack (window, feedback, start) of records of 16 samples, threshold 0.25, angle 0.5."""
    tail = np.array([0.25, 0.5], "<f4").tobytes()
    return b"".join(bench.records((w, n << 16, start, 16, 0.0))[:-8] + tail for w, n, start in rows)


def test_a_condition_is_the_last_bit_of_its_number_that_came_in_time(bench, rack):
    """Number 2 is sent twice, 400 samples after windows that end at 26 and at 66; the events are the followers'."""
    records = bits(bench, (0, 2, 10), (1, 2, 50))
    events = np.array(
        [(1, 0, 2, 1, 426, 1.0, 0.0, 0.0), (1, 1, -2, 1, 465, 1.0, 0.0, 0.0), (1, 0, 2, 1, 466, 1.0, 0.0, 0.0),
         (1, 2, 0, 1, 0, 1.0, 0.0, 0.0)], EVENT_RECORD,
    )  # fmt: skip
    load(bench, rack, follower=events, records=records, length=500)
    sequence = play(bench, rack)
    assert sequence.bursts["start"].tolist() == [426, 466, 465, 0]
    assert sequence.conditions.tolist() == [1, 2, -1, 0]
    assert [(b.window, b.kernel, b.threshold, b.angle) for b in sequence.bits] == [(0, 0, 0.25, 0.5), (1, 0, 0.25, 0.5)]
    assert sequence.under({0: True}).bursts["start"].tolist() == [426, 0]
    assert sequence.under({0: False, 1: True}).bursts["start"].tolist() == [466, 465, 0]


def terms(bench, number, *bits):
    """Pack the terms of a decision: records without a window."""
    return b"".join(bench.records((0xFFFFFFFF, number << 16, bit, 0, 0.0)) for bit in bits)


def test_a_decision_is_made_of_bits_as_they_are_at_the_time_of_the_event(bench, rack):
    """Decision 7 asks that bit 2 is 1 and bit 3 is 0; bit 2 is sent again, at 466."""
    records = bits(bench, (0, 2, 10), (0, 3, 10), (1, 2, 50)) + terms(bench, 7, 2, -3)
    events = np.array(
        [(1, 0, 7, 1, 426, 1.0, 0.0, 0.0), (1, 0, 7, 1, 466, 1.0, 0.0, 0.0), (1, 0, 7, TURN, 490, 0.0, 0.4, 0.0)],
        EVENT_RECORD,
    )  # fmt: skip
    load(bench, rack, follower=events, records=records, length=500)
    sequence = play(bench, rack)
    assert sequence.bits[3:] == (Decision(0, (1, -2)), Decision(1, (3, -2)))
    assert sequence.conditions.tolist() == [4, 5]
    assert [turn.condition for turn in sequence.turns] == [5]
    assert [len(window.kernels) for window in sequence.windows] == [2, 1], "terms are not recorded"


def test_a_decision_is_there_with_the_last_of_its_bits(bench, rack):
    records = bits(bench, (0, 2, 10), (1, 3, 50)) + terms(bench, 7, 2, 3)
    events = np.array([(1, 0, 7, 1, 465, 1.0, 0.0, 0.0)], EVENT_RECORD)
    load(bench, rack, follower=events, records=records, length=500)
    for client in reversed(rack):
        client.write("INIT")
    rack[0].write("*TRG")
    assert rack[0].error() == -221


@pytest.mark.parametrize(
    ("number", "bit", "code"), [(2, 3, -221), (7, 4, -221), (0, 2, -222), (257, 2, -222), (7, 0, -222)]
)
def test_decisions_that_cannot_be_made_are_refused(bench, rack, number, bit, code):
    """A number that a record has, a bit that no record tells, numbers beyond the line."""
    records = bits(bench, (0, 2, 10), (0, 3, 10)) + terms(bench, number, bit)
    rack[2].write('ACQ:DATA 0,"a",100,', records)
    assert rack[2].error() == code


@pytest.mark.parametrize(("number", "time"), [(2, 425), (3, 450)])
@pytest.mark.parametrize("slot", [(1, 0, 1, 1.0), (1, 8, 16, 0.0), (4, 0, 1, 1.0), (1, 0, TURN, 0.0)])
def test_a_bit_that_is_not_there_in_time_is_refused(bench, rack, number, time, slot):
    """One sample too early, or another number: the trigger is refused and everything stays armed.

    So it is for what is played, for a marker, on a pair without cable, and for a turn.
    """
    pair, oscillator, waveform, amplitude = slot
    events = np.array([(pair, oscillator, number, waveform, time, amplitude, 0.0, 0.0)], EVENT_RECORD)
    load(bench, rack, follower=events, records=bits(bench, (0, 2, 10)), length=500)
    for client in reversed(rack):
        client.write("INIT")
    rack[0].write("*TRG")
    assert rack[0].error() == -221
    assert [client.query("STAT?") for client in rack] == ["ARMED"] * 3
    assert not bench.chip.played


def test_the_leader_hears_the_line_24_samples_later_on_its_own_clock(bench, rack):
    """Sample 0 of the digitizer is sample 24 of the leader."""
    for time, good in ((449, False), (450, True)):
        events = np.array([(1, 0, 2, 1, time, 1.0, 0.0, 0.0)], EVENT_RECORD)
        load(bench, rack, leader=events, records=bits(bench, (0, 2, 10)), length=500)
        for client in reversed(rack):
            client.write("INIT")
        rack[0].write("*TRG")
        if good:
            bench.settle()
            rack[0].clean()
        else:
            assert rack[0].error() == -221
            for client in rack:
                client.write("ABOR")


def test_turns_change_the_phases_of_what_their_oscillator_plays_later(bench, rack):
    """One without condition always, one with it in the shots with its bit; other oscillators go on as they were."""
    events = np.array(
        [(1, 0, 0, 1, 0, 1.0, 0.1, 0.0), (1, 0, 0, TURN, 16, 0.0, 0.2, 0.0), (1, 0, 0, 1, 16, 1.0, 0.1, 0.0),
         (1, 0, -2, TURN, 430, 0.0, 0.4, 0.0), (1, 0, 0, 1, 430, 1.0, 0.1, 0.0), (1, 1, 0, 1, 450, 1.0, 0.1, 0.0)],
        EVENT_RECORD,
    )  # fmt: skip
    load(bench, rack, follower=events, records=bits(bench, (0, 2, 10)), length=500)
    sequence = play(bench, rack)
    np.testing.assert_allclose(sequence.bursts["phase"], [0.1, 0.3, 0.3, 0.1])
    assert sequence.conditions.tolist() == [0] * 4
    np.testing.assert_allclose(sequence.under({0: True}).bursts["phase"], [0.1, 0.3, 0.3, 0.1])
    np.testing.assert_allclose(sequence.under({0: False}).bursts["phase"], [0.1, 0.3, 0.7, 0.1])


def test_lines_are_as_the_instruments_are_set(bench, rack):
    rack[0].write("OUTP1:CORR 1,0.1,0,1;OFFS 0.01,-0.02;:OUTP2 OFF")
    bench.client(bench.readout_lo).write("OUTP OFF")
    load(bench, rack)
    d0, d1, ro = play(bench, rack).lines
    assert (d0.name, d0.on, d0.lo_frequency) == ("d0", True, 5.1e9)
    assert (d0.correction, d0.offset) == ((1, 0.1, 0, 1), (0.01, -0.02))
    assert (d1.on, ro.on, ro.lo_frequency) == (False, False, 7.11e9)


def test_pairs_without_cable_and_instruments_that_are_not_armed_play_nothing(bench, rack):
    row = (0, 1, 30, 1.0, 0.0, 0.0)
    load(bench, rack, bench.events((3, *row)), bench.events((1, *row)))
    assert len(play(bench, rack).bursts) == 1
    for client in (rack[0], rack[2]):
        client.write("INIT")
    rack[0].write("*TRG")
    bench.settle()
    assert len(bench.chip.played[-1][0].bursts) == 0
    assert rack[1].query("STAT?") == "DONE"


def test_a_follower_on_bus_does_not_see_the_trigger(bench, rack):
    load(bench, rack)
    rack[1].write("TRIG:SOUR BUS")
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    bench.settle()
    assert [client.query("STAT?") for client in rack] == ["DONE", "ARMED", "DONE"]


def test_without_trigger_output_the_followers_stay_armed(bench, rack):
    rack[0].write("TRIG:OUTP OFF")
    load(bench, rack)
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    bench.settle()
    assert [client.query("STAT?") for client in rack] == ["DONE", "ARMED", "ARMED"]
    assert not bench.chip.played


def test_each_entry_of_the_list_is_played_and_named(bench, rack):
    load(bench, rack, entries=((1, 4, 1000), (1, 2, 3000)))
    play(bench, rack)
    play(bench, rack)
    assert [(shots, stream) for _, shots, stream, _ in bench.chip.played] == [
        (4, (0, 0)), (2, (0, 1)), (4, (1, 0)), (2, (1, 1)),
    ]  # fmt: skip
    assert [sequence.period for sequence, *_ in bench.chip.played[:2]] == [1000, 3000]
    assert rack[2].query("FETC:OVER?") == "0,0"
    bench.conductor.seed(5)
    play(bench, rack)
    assert (bench.chip.seed, bench.chip.played[-1][2]) == (5, (0, 1))
    assert len(bench.conductor.predict()) == 2


@pytest.mark.parametrize("entries", [((1, 5, 1000),), ((1, 4, 1000), (1, 4, 1000))])
def test_lists_that_do_not_go_together(bench, rack, entries):
    load(bench, rack)
    rack[2].write("LIST:DATA ", bench.entries(*entries))
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    assert rack[0].error() == -221
    assert [client.query("STAT?") for client in rack] == ["ARMED"] * 3


def test_a_follower_longer_than_the_leaders_period(bench, rack):
    load(bench, rack, entries=((1, 4, 200),))
    rack[2].write('ACQ:DATA 1,"t",201,', bench.records((0, 0, 60, 16, 0.0)))
    rack[2].write("LIST:DATA ", bench.entries((1, 4, 201)))
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    assert rack[0].error() == -221


def test_what_the_chip_cannot_do_is_a_fault_of_the_run(bench, rack):
    load(bench, rack)
    bench.chip.failure = InvalidValueError("too wide", subject="chip")
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    bench.settle()
    for client in rack:
        assert client.query("STAT?") == "FAULT"
        assert client.query("SYST:ERR?") == '-200,"Execution error; chip: too wide"'
        client.write("INIT")
        assert client.error() == -221
        client.write("ABOR")
    bench.chip.failure = None
    play(bench, rack)


def test_aborting_the_leader_leaves_the_followers_waiting(bench, rack):
    load(bench, rack)
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    rack[0].write("ABOR")
    bench.conductor.submit(int).result(10)
    while not bench.posted.empty():
        function, args = bench.posted.get()
        function(*args)
    assert [client.query("STAT?") for client in rack] == ["IDLE", "RUN", "RUN"]
    with pytest.raises(InvalidValueError):
        bench.conductor.seed(1)
    for client in rack[1:]:
        client.write("ABOR")
    play(bench, rack)


def test_reset_in_a_run(bench, rack):
    load(bench, rack)
    for client in rack:
        client.write("INIT")
    rack[0].write("*TRG")
    for client in rack:
        client.write("*RST")
    bench.conductor.submit(int).result(10)
    while not bench.posted.empty():
        function, args = bench.posted.get()
        function(*args)
    assert [client.query("STAT?;*OPC?") for client in rack] == ["IDLE;1"] * 3
    assert rack[2].query("FETC:DATA? 0") == ""
