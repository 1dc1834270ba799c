"""Q1ASM executed: loops folded, the oscillator, and what is refused."""

import pytest

from pulsed.simulator.instruments.qblox.interpreter import Sequencer, parse
from pulsed.simulator.instruments.qblox.pipeline import QUARTERS
from pulsed.simulator.instruments.qblox.shots import ProgramError, Shots, side_by_side

SHOT = "reset_ph\nupd_param 4\n"


def run(text, lengths=(40, 40), **fields):
    return Sequencer(dict(enumerate(lengths)), **fields).run(text + "\nstop\n")


def test_a_loop_is_folded_and_counts_its_bins():
    text = f"move 0,R1\nmove 100000,R0\na: {SHOT}play 0,1,40\nacquire 0,R1,1000\nadd R1,1,R1\nloop R0,@a"
    (shots,) = run(text, integration=1000)
    assert (shots.count, shots.period) == (100_000, 1044)
    (one,) = shots.integrals
    assert (one.bin, one.step, one.weights, one.time) == (0, 1, None, 44)


def test_a_loop_whose_turns_differ_is_executed_turn_by_turn():
    """A gain that grows: four shots that are not alike."""
    text = f"move 0,R2\nmove 4,R0\na: {SHOT}set_awg_gain R2,R2\nplay 0,1,100\nadd R2,1000,R2\nloop R0,@a"
    assert [shots.bursts[0].gain for shots in run(text)] == [(k * 1000,) * 2 for k in range(4)]


def test_negative_gains_of_registers_are_two_s_complements():
    text = f"move 1000,R2\nmove 3,R0\na: {SHOT}set_awg_gain R2,R2\nplay 0,1,100\nsub R2,1000,R2\nloop R0,@a"
    assert [shots.bursts[0].gain[0] for shots in run(text)] == [1000, 0, -1000]


def test_a_loop_within_a_loop_keeps_all_shots():
    text = f"move 0,R1\nmove 7,R2\nb: move 50,R0\na: {SHOT}acquire 0,R1,100\nadd R1,1,R1\nloop R0,@a\nloop R2,@b"
    found = run(text, integration=40)
    assert sum(shots.count for shots in found) == 350
    bins = [one.bin + k * one.step for s in found for one in s.integrals for k in range(s.count)]
    assert bins == list(range(350))


def test_averaging_into_one_bin_has_no_step():
    (shots,) = run(f"move 9,R0\na: {SHOT}acquire 0,5,100\nloop R0,@a", integration=40)
    assert [(one.bin, one.step) for one in shots.integrals] == [(5, 0)]


def test_the_oscillator_runs_through_hops_and_starts_with_each_shot():
    """A hop continues the phase; reset_ph takes offsets back, too."""
    text = (
        f"set_freq 400000000\nset_ph 500000000\n{SHOT}play 0,1,100\nset_freq 800000000\nplay 0,1,100\n"
        "set_ph 250000000\nplay 0,1,100"
    )
    (shots,) = run(text)
    first, second, third = shots.bursts
    assert first.phase == 400_000_000 * 4 % QUARTERS, "the offset from before the reset is gone"
    assert second.phase == 400_000_000 * 104 % QUARTERS
    assert third.phase == (400_000_000 * 104 + 800_000_000 * 100 + QUARTERS // 4) % QUARTERS
    assert [burst.frequency for burst in shots.bursts] == [400_000_000, 800_000_000, 800_000_000]


def test_what_is_set_waits_for_a_latch():
    (shots,) = run(f"{SHOT}set_awg_gain 5,5\nwait 10\nplay 0,1,100\nset_awg_gain 7,7\nwait 10\nplay 0,1,100")
    assert [burst.gain[0] for burst in shots.bursts] == [5, 7]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{SHOT}play 0,9,100", "no waveform 9"),
        (f"{SHOT}play 0,1,3", "waits 3 ns"),
        (f"{SHOT}wait 65536", "waits 65536 ns"),
        (f"{SHOT}play 0,1,20\nplay 0,1,20", "while another one sounds"),
        (f"{SHOT}play 0,1,20\nset_ph 5\nupd_param 20", "oscillator changes while"),
        (f"{SHOT}acquire 0,0,10\nacquire 0,0,10", "while another one is open"),
        (f"{SHOT}acquire_weighed 0,0,3,3,100", "no weights 3"),
        ("play 0,1,100", "in no shot"),
        ("set_freq 2000000001", "beyond 500 MHz"),
        ("set_awg_gain 40000,0", "beyond 16 bits"),
        ("move 1,R64", "no register R64"),
        ("jmp @nowhere", "no label @nowhere"),
        ("wait_trigger 1,100", "not carried out"),
    ],
)
def test_what_cannot_be_carried_out_names_line_and_reason(text, why):
    with pytest.raises(ProgramError, match=why) as caught:
        run(text)
    assert f"line {len(text.splitlines())}" in str(caught.value)


def test_programs_that_do_not_end_are_refused():
    with pytest.raises(ProgramError, match="no stop"):
        Sequencer({}).run("nop")
    with pytest.raises(ProgramError, match="16385 instructions"):
        Sequencer({}).run("nop\n" * 16385)


def test_comments_labels_and_blank_lines():
    code, labels = parse("# nothing\n\na:  move 1,R0  # one\n\nb:\nloop R0,@a\nstop\n")
    assert code == [(3, "move", ["1", "R0"]), (6, "loop", ["R0", "@a"]), (7, "stop", [])]
    assert labels == {"a": 0, "b": 1}


def test_shots_of_several_sequencers_in_equal_groups():
    whole = [Shots(0, (), (), 0, 10, 100)]
    parts = [Shots(0, (), (), 0, 3, 100), Shots(300, (), (), 1, 7, 100)]
    first, second = side_by_side([whole, parts])
    assert [(s.start, s.count, s.marker) for s in first] == [(0, 3, 0), (300, 7, 0)]
    assert [(s.start, s.count, s.marker) for s in second] == [(0, 3, 0), (300, 7, 1)]


@pytest.mark.parametrize("other", [[Shots(0, (), (), 0, 9, 100)], [Shots(0, (), (), 0, 10, 99)], []])
def test_shots_that_are_not_in_step_are_refused(other):
    with pytest.raises(ProgramError, match="sequencer 1 are not those"):
        side_by_side([[Shots(0, (), (), 0, 10, 100)], other])
