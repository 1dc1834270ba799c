"""Whatever gives bursts and windows is played: here a box with an output and an input that is no instrument of ours."""

from __future__ import annotations

import numpy as np
import pytest

from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, Window
from pulsed.simulator.instruments.awg8 import PairSettings
from pulsed.simulator.instruments.parts import TRIGGER_LATENCY, Acquiring, Playing
from pulsed.simulator.instruments.run import OutputCable
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
