"""Whatever gives bursts and windows is played: here a box with an output and an input that is no instrument of ours."""

from __future__ import annotations

import numpy as np
import pytest

from pulsed.simulator.dynamics.sequence import BURST, AcquiredData, ClassifiedBit, IntegrationKernel, Window
from pulsed.simulator.instruments.awg8 import PairSettings
from pulsed.simulator.instruments.parts import TRIGGER_LATENCY, Acquiring, Playing
from pulsed.simulator.instruments.run import OutputCable
from pulsed.simulator.instruments.scpi import ScpiError
from pulsed.simulator.instruments.virtual_instrument import (
    LIST_ENTRY,
    ListPlayer,
    RunState,
    VirtualIdentity,
    VirtualInstrument,
)


class Tone:
    frequency, on = 6.5e9, True


class Box(ListPlayer):
    """Plays a burst at sample 10 and records 16 samples from sample 40 on, each shot."""

    COMMANDS = VirtualInstrument.COMMANDS
    pair_numbers = (21,)
    input_numbers = (21,)
    player = property(lambda self: self)
    mode = "integrated"
    taken: list[object]

    def output(self, pair):
        return PairSettings(on=True)

    def carrier(self, pair):
        return Tone()

    def input_carrier(self, number):
        return Tone()

    def played(self, lines):
        self.lines, self.taken = lines, []
        return self

    def recorded(self):
        return self

    def first(self, entry):
        return 10

    def bursts(self, entry, shift, offset):
        rows = np.zeros(1, BURST)
        rows["line"], rows["start"], rows["envelope"] = self.lines[21], 10 + shift, offset
        rows["amplitude"] = 0.1 * (entry + 1)
        return rows, [np.ones(8, complex)], [b"box"]

    def conditional(self, entry):
        return False

    def marks(self, entry):
        return []

    def windows(self, entry, shift):
        return (Window(40 + shift, 16, (IntegrationKernel(0.0, np.ones(16, complex)),)),)

    def deliver(self, entry, outcome):
        self.taken.append((entry, outcome))


@pytest.fixture
def box(bench):
    box = Box(VirtualIdentity("other", "BOX", "7"), bench.conductor)
    bench.conductor.outputs = (
        OutputCable("d0", bench.awg1, 1, bench.lo), OutputCable("ro", box, 21, box.carrier(21)),
    )  # fmt: skip
    bench.conductor.followers = {}
    box.list = np.array([(0, 5, 1000), (0, 7, 2000)], LIST_ENTRY)
    return box


def run(bench, leader, *armed):
    for player in (*armed, leader):
        player.step("arm")
    bench.conductor.start(leader)
    while leader.state is RunState.RUN:
        function, args = bench.posted.get(timeout=10)
        function(*args)


def test_a_box_has_the_protocols_and_an_awg_one_of_them(bench, box):
    assert isinstance(box, Playing)
    assert isinstance(box, Acquiring)
    assert [isinstance(bench.awg1, kind) for kind in (Playing, Acquiring)] == [True, False]
    assert [isinstance(bench.digitizer, kind) for kind in (Playing, Acquiring)] == [False, True]
    assert not isinstance(bench.lo, Playing)


def test_a_box_alone_plays_and_records_entry_by_entry(bench, box):
    run(bench, box)
    assert box.state is RunState.DONE
    assert [entry for entry, _ in box.taken] == [0, 1]
    assert [shots for _, shots, *_ in bench.chip.played] == [5, 7]
    for (sequence, *_), amplitude, period in zip(bench.chip.played, (0.1, 0.2), (1000, 2000), strict=True):
        assert sequence.bursts["amplitude"].tolist() == [amplitude]
        assert sequence.bursts["start"].tolist() == [10], "it leads: its own clock is the chip's"
        assert [(w.start, w.length) for w in sequence.windows] == [(40, 16)]
        assert sequence.lines[1].lo_frequency == 6.5e9
        assert sequence.period == period


def test_a_box_follows_an_awg(bench, box):
    """The clock is the follower's: what the leader plays from its sample 24 on begins at sample 0."""
    bench.conductor.followers = {bench.awg1: (box,)}
    box.external = True
    awg = bench.client(bench.awg1)
    awg.write('WAV:DATA 1,"w",', bench.wave())
    awg.write('SEQ:DATA 1,"s",200,', bench.events((1, 0, 1, TRIGGER_LATENCY + 2, 0.3, 0.0, 0.0)))
    awg.write("LIST:DATA ", bench.entries((1, 5, 1000), (1, 7, 2000)))
    awg.clean()
    box.table_length = lambda table: 200
    run(bench, bench.awg1, box)
    starts = [
        dict(zip(s.bursts["line"].tolist(), s.bursts["start"].tolist(), strict=True)) for s, *_ in bench.chip.played
    ]
    assert starts == [{0: 2, 1: 10}, {0: 2, 1: 10}]
    assert len(box.taken) == 2


def test_a_box_that_is_aborted_gets_no_more_data(bench, box):
    box.step("arm")
    bench.conductor.start(box)
    box.abort()
    while not bench.posted.empty():
        function, args = bench.posted.get(timeout=10)
        function(*args)
    assert (box.state, len(box.taken)) == (RunState.IDLE, 0)


class Ear(Box):
    """Records two windows, of which the second is told to the AWGs, under a number that its maker has set."""

    pair_numbers = ()
    number, late = 1, 0

    def windows(self, entry, shift):
        kernel = IntegrationKernel(0.0, np.ones(16, complex))
        return tuple(Window(start + self.late + shift, 16, (kernel,)) for start in (40, 80))

    def sent(self, entry):
        return [(self.number, 200 + self.late, ClassifiedBit(1, 0, 0.0, 0.0))]

    def decisions(self, entry):
        return {}

    def bursts(self, entry, shift, offset):
        return np.zeros(0, BURST), [], []

    def conditions(self, entry):
        return [], []

    def conditional_turns(self, entry):
        return []


@pytest.fixture
def ears(bench, box):
    """Two digitizers behind a box, each of which hears a line of its own; the second one's windows are between."""
    found = []
    for number in (1, 2):
        ear = Ear(VirtualIdentity("other", "EAR", str(number)), bench.conductor)
        ear.number, ear.late, ear.taken, ear.external = number, 20 * (number - 1), [], True
        ear.table_length = lambda table: 200
        ear.list = box.list
        found.append(ear)
    box.recorded = lambda: None
    bench.conductor.followers = {box: tuple(found)}
    bench.conductor.sections = {found[0]: 1, found[1]: 0}
    return found


def outcome_of(sequence, shots, *_):
    values = [window.start + 1000 * window.section for window in sequence.windows]
    return AcquiredData(np.full((shots, len(values)), values, np.complex64), clipped=frozenset({1}))


def test_two_digitizers_hear_a_line_each(bench, box, ears, monkeypatch):
    monkeypatch.setattr(bench.chip, "play", outcome_of)
    run(bench, box, *ears)
    early = TRIGGER_LATENCY - 24
    for ear, section in zip(ears, (1, 0), strict=True):
        assert [entry for entry, _ in ear.taken] == [0, 1]
        (_, outcome), *_ = ear.taken
        shift = ear.late + 1000 * section + early
        starts = outcome.integrated[0].real.tolist()
        assert np.diff(starts).tolist() == [40]
        assert starts[0] - shift in (40, 40 + TRIGGER_LATENCY)
        assert outcome.overrange == (section == 1)


def test_a_bit_is_that_of_the_digitizer_that_sends_it(bench, box, ears):
    box.conditional = lambda entry: True
    box.conditions = lambda entry: ([], [(2, 400)])
    box.conditional_turns = lambda entry: []
    run(bench, box, *ears)
    (sequence, *_), *_ = bench.chip.played
    assert [window.section for window in sequence.windows] == [1, 0, 1, 0]
    (condition,) = sequence.conditions.tolist()
    assert sequence.windows[sequence.bits[condition - 1].window].section == 0
    assert sequence.bits[condition - 1].window == 3


def test_digitizers_that_want_different_data_are_no_run(bench, box, ears):
    ears[1].mode = "raw"
    for player in (*ears, box):
        player.step("arm")
    with pytest.raises(ScpiError, match="different kinds"):
        bench.conductor.start(box)


def test_a_run_goes_on_until_its_last_digitizer_leaves(bench, box, ears):
    for player in (*ears, box):
        player.step("arm")
    bench.conductor.start(box)
    last = bench.conductor.last
    ears[0].abort()
    assert not last.stop.is_set()
    ears[1].abort()
    assert last.stop.is_set()
