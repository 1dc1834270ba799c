"""Programs of one sequencer: as text, to the maker's assembler, and executed."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.drivers.instruments.qblox.q1asm import instructions, program
from pulsed.drivers.instruments.qblox.steps import LEAD, TURN, Growth, IntegralStep, SequencerEntry, WaveformStep
from pulsed.simulator.instruments.qblox.interpreter import Sequencer
from pulsed.simulator.instruments.qblox.pipeline import QUARTERS

LENGTH = 40


def executed(text):
    return Sequencer(dict.fromkeys(range(4), LENGTH), weights=dict.fromkeys(range(3), LENGTH)).run(text)


def test_a_shot_as_text():
    pulse = WaveformStep(24, 0, 1, 16000, 250_000_000, 400, "d0")
    text = program([SequencerEntry([pulse, IntegralStep(100, 0, 0, 0, 400)], 1000, 200)], marker=3)
    assert text.splitlines() == [
        "set_mrk 3", "upd_param 4", "wait_sync 4", "move 0,R4", "move 0,R1", "move 1000,R0", "set_freq 400", "shot0:",
        "reset_ph", "upd_param 28", "set_ph 250000000", "set_awg_gain 16000,16000", "play 0,1,76  # d0 at 24",
        "acquire_weighed 0,R1,R4,R4,96", "add R1,1,R1", "nop", "loop R0,@shot0", "stop",
    ]  # fmt: skip
    assert instructions(text) == 17


def test_the_next_entry_sets_no_frequency_that_is_set_already():
    entry = SequencerEntry([WaveformStep(0, 0, 1, 1, 0, 400)], 5, 100)
    assert program([entry, entry]).count("set_freq") == 1


def test_a_hop_is_made_in_each_shot():
    steps = [WaveformStep(0, 0, 1, 1, 0, 400), WaveformStep(60, 0, 1, 1, 0, 800)]
    (shots,) = executed(program([SequencerEntry(steps, 50, 200)]))
    assert (shots.count, [burst.frequency for burst in shots.bursts]) == (50, [400, 800])


@pytest.mark.parametrize(
    ("times", "period"),
    [([0, 3], 100), ([-1], 100), ([10], 14), ([94], 100)],
)
def test_what_is_too_close_is_refused(times, period):
    with pytest.raises(ValueError, match="at least 4 ns"):
        program([SequencerEntry([WaveformStep(time, 0, 1, 1, 0, 0) for time in times], 1, period)])


@pytest.mark.parametrize("wait", [4, 65_535, 65_536, 131_070, 131_071, 801_000, 1_000_000_000])
def test_waits_of_any_length_are_kept(wait):
    text = program([SequencerEntry([], 3, wait)])
    assert instructions(text) < 12
    (shots,) = executed(text)
    assert (shots.count, shots.period) == (3, wait)


GAPS = st.lists(st.tuples(st.integers(LENGTH, 200_000), st.booleans()), max_size=6)
SHOTS, REST, FREQUENCY = st.integers(1, 9), st.integers(4, 300_000), st.integers(-(10**9), 10**9)


def entry_of(gaps, shots, rest, frequency):
    steps, time = [], 0
    for number, (gap, records) in enumerate(gaps):
        play = WaveformStep(time, 2 * (number % 2), 1, 100 * number, 7 * number, frequency)
        steps.append(IntegralStep(time, 0, number % 3, 0, frequency) if records else play)
        time += gap
    return SequencerEntry(steps, shots, time + LEAD + rest)


@given(st.lists(st.builds(entry_of, GAPS, SHOTS, REST, FREQUENCY), min_size=1, max_size=4))
def test_what_is_executed_is_what_was_asked_for(entries):
    """Times, gains, phases, frequencies, shots, periods and bins, whatever is between them."""
    found = executed(program(entries))
    periods = [group.period for group in found for _ in range(group.count)]
    assert periods == [entry.period for entry in entries for _ in range(entry.shots)]
    wanted = [entry.steps for entry in entries for _ in range(entry.shots)]
    at = bin_ = 0
    for group in found:
        for turn in range(group.count):
            plays = [step for step in wanted[at] if isinstance(step, WaveformStep)]
            times = [step.time for step in wanted[at] if isinstance(step, IntegralStep)]
            assert [one.time - LEAD for one in group.integrals] == times
            for burst, step in zip(group.bursts, plays, strict=True):
                assert (burst.time - LEAD, burst.i, burst.gain[0]) == (step.time, step.i, step.gain)
                assert burst.frequency == step.frequency
                assert burst.phase == (step.frequency * (step.time + LEAD) + step.phase * 4) % QUARTERS
            bins = [one.bin + turn * one.step for one in group.integrals]
            assert bins == list(range(bin_, bin_ + len(bins)))
            bin_, at = bin_ + len(bins), at + 1


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_random_programs_assemble(seed):
    """With the maker's assembler."""
    pytest.importorskip("qblox_instruments", reason="the maker's assembler comes with pulsed[qblox]")
    import numpy as np

    from pulsed.simulator.instruments.qblox.assembler import assemble

    rng = np.random.default_rng(seed)
    entries = []
    for _ in range(int(rng.integers(1, 5))):
        times = np.cumsum(rng.integers(4, 100_000, rng.integers(0, 8))).tolist()
        gain, phase, frequency = rng.integers(0, 32768), rng.integers(0, 10**9), rng.integers(-2e9, 2e9)
        steps = [
            WaveformStep(time, 0, 1, int(gain), int(phase), int(frequency))
            if rng.random() < 0.7 else IntegralStep(time, 0, 0, int(rng.integers(0, 3)), int(frequency), "a")
            for time in times
        ]  # fmt: skip
        entries.append(SequencerEntry(steps, int(rng.integers(1, 2**20)), (times[-1] if times else 0) + 100_000))
    good, log = assemble(program(entries, 3))
    assert good, log


def test_a_wrong_program_does_not_assemble():
    pytest.importorskip("qblox_instruments", reason="the maker's assembler comes with pulsed[qblox]")
    from pulsed.simulator.instruments.qblox.assembler import assemble

    good, log = assemble("wait_sync 4\nplay 0,1\nstop\n")
    assert not good
    assert "2" in log


# --- sweeps ----------------------------------------------------------------------------------------------------------

GROWTHS = st.lists(
    st.tuples(
        st.builds(Growth, st.integers(0, 40), st.floats(-90, 90).filter(lambda g: not g or abs(g) > 1e-3),
                  st.integers(0, TURN - 1), st.sampled_from([0, 0, 1000, -4])),
        st.integers(LENGTH + 8, 90_000), st.booleans(),
    ), min_size=1, max_size=4,
)  # fmt: skip


@given(GROWTHS, st.integers(2, 9), st.integers(1, 5), st.integers(0, 300), st.integers(200, 90_000))
def test_a_sweep_is_executed_point_by_point(parts, points, shots, longer, rest):
    """Times, gains (one step of the DAC), phases and frequencies of every point; and the time of all of it."""
    steps, growth, time = [], [], 100
    frequency, hop = 4000, parts[0][0].frequency
    for number, (more, gap, records) in enumerate(parts):
        own = replace(more, time=more.time + (growth[-1].time if growth else 0), frequency=hop)
        own = replace(own, phase=0, gain=0.0) if records else own
        pulse = WaveformStep(time, 0, 1, 1000 + number, 7 * number, frequency)
        steps.append(IntegralStep(time, 0, 0, 0, frequency) if records else pulse)
        growth.append(own)
        time += gap
    longer += growth[-1].time
    entry = SequencerEntry(steps, shots, time + LEAD + rest, points, growth, longer)
    found = executed(program([entry, replace(entry, points=1, growth=(), longer=0)]))
    periods = [group.period for group in found for _ in range(group.count)]
    wanted = [entry.period + k * longer for k in range(points) for _ in range(shots)] + [entry.period] * shots
    assert periods == wanted
    at = 0
    for group in found:
        k = at // shots if at < points * shots else 0
        bursts, integrals = iter(group.bursts), iter(group.integrals)
        for step, own in zip(steps, growth, strict=True):
            one = next(integrals) if isinstance(step, IntegralStep) else next(bursts)
            assert one.time - LEAD == step.time + k * own.time
            assert one.frequency == step.frequency + k * own.frequency
            if isinstance(step, WaveformStep):
                assert abs(one.gain[0] - step.gain - k * own.gain) <= 0.51
                offset = (step.phase + k * own.phase) * 4
                assert one.phase == (one.frequency * one.time + offset) % QUARTERS
        at += group.count


def test_a_rabi_experiment_is_one_loop_around_another():
    pulse, readout = WaveformStep(0, 0, 1, 0, 5, 400), IntegralStep(100, 0, 0, 0, 400)
    growth = (Growth(gain=327.67), Growth())
    text = program([SequencerEntry([pulse, readout], 1000, 1200, 101, growth)])
    assert instructions(text) < 25
    groups = executed(text)
    assert [group.count for group in groups] == [1000] * 101
    assert groups[-1].bursts[0].gain == (32767, 32767)
    assert groups[-1].integrals[0].bin == 100_000


@pytest.mark.parametrize(
    ("growth", "longer", "points"),
    [(Growth(time=1000), 1000, 100), (Growth(time=-1), 0, 100), (Growth(time=20), 0, 100)],
)
def test_waits_that_no_register_can_hold_are_refused(growth, longer, points):
    pulse = WaveformStep(50, 0, 1, 0, 5, 400)
    with pytest.raises(ValueError, match="a wait that grows"):
        program([SequencerEntry([pulse], 5, 1200, points, (growth,), longer)])
