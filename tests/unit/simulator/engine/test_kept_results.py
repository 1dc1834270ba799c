"""Results that are kept: a second run of a sequence draws from populations that the first has computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from pulsed.pulse.library import Drag
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import (
    BURST,
    ClassifiedBit,
    ConditionalPhase,
    IntegrationKernel,
    LineSettings,
    PulseSequence,
    Window,
)
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.engine.exact import ExactCluster
from pulsed.simulator.engine.kept_results import KeptResults, content_of

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
DRIVE, READOUT, LENGTH = 5.10e9, 7.11e9, 800


@pytest.fixture(scope="module")
def chip():
    return load_chip(CHIP)


@pytest.fixture
def played(monkeypatch) -> list[int]:
    """One entry for each pulse that acts on a state."""
    pulses: list[int] = []
    play = ExactCluster.play

    def counted(self, pulse):
        pulses.append(pulse.start)
        play(self, pulse)

    monkeypatch.setattr(ExactCluster, "play", counted)
    return pulses


def both_driven(chip, amplitude: float = 0.37, period: int = 1_000_000) -> PulseSequence:
    """A pulse on each of two coupled qubits, a second one on the first, and a readout of both."""
    rows, envelopes = [], [Drag(32, amplitude, 8.0, 0.3).envelope(), np.ones(LENGTH, complex)]
    for qubit, start in ((0, 0), (1, 0), (0, 40)):
        rows.append((qubit, start, 0, 1.0, 0.0, chip.qubits[qubit].frequency - DRIVE))
    line = next(i for i, w in enumerate(chip.wires) if w.reads)
    kernels = []
    for qubit in (0, 1):
        offset = chip.qubits[qubit].readout_frequency - READOUT
        rows.append((line, 80, 1, 0.14, 0.0, offset))
        kernels.append(IntegrationKernel(offset, np.full(LENGTH, 1 / LENGTH, complex)))
    lines = tuple(LineSettings(w.name, READOUT if w.reads else DRIVE, True, *ideal_correction(w)) for w in chip.wires)
    window = Window(80 + chip.amplifier.delay, LENGTH, tuple(kernels))
    keys = tuple(e.tobytes() for e in envelopes)
    return PulseSequence(lines, np.array(rows, BURST), tuple(envelopes), keys, (window,), period)


def shots_of(engine: Engine, sequence: PulseSequence, stream: tuple[int, ...], shots: int = 200) -> np.ndarray:
    found = engine.play(sequence, shots, stream, "integrated").integrated
    assert found is not None
    return found


def test_a_second_run_plays_no_pulse_and_draws_other_shots(chip, played):
    engine, sequence = Engine(chip, 3), both_driven(chip)
    first = shots_of(engine, sequence, (0, 0))
    assert played
    played.clear()
    second = shots_of(engine, replace(sequence, bursts=sequence.bursts.copy()), (1, 0))
    assert not played
    assert not np.array_equal(first, second)


def test_what_ran_before_changes_no_shot(chip):
    """A run after another of the same sequence, whose populations it takes, is what it is by itself."""
    sequence, after = both_driven(chip), Engine(chip, 3)
    shots_of(after, sequence, (0, 0), 300)
    shots_of(after, both_driven(chip, 0.2), (0, 1))
    np.testing.assert_array_equal(shots_of(after, sequence, (5, 2)), shots_of(Engine(chip, 3), sequence, (5, 2)))


@pytest.mark.parametrize("change", ["pulse", "period", "bias", "drift"])
def test_what_changes_populations_is_computed_again(chip, played, change):
    engine, sequence = Engine(chip, 3), both_driven(chip)
    shots_of(engine, sequence, (0, 0))
    played.clear()
    if change == "pulse":
        sequence = both_driven(chip, 0.371)
    elif change == "period":
        sequence = both_driven(chip, period=300_000)
    elif change == "bias":
        line = replace(sequence.lines[0], correction=(0.9, 0.0, 0.0, 0.9))
        sequence = replace(sequence, lines=(line, *sequence.lines[1:]))
    else:
        engine.set_drift({"gain_walk": 0.01, "time": 36_000.0})
    shots_of(engine, sequence, (0, 0))
    assert played


def test_shots_of_second_runs_follow_the_same_populations(chip):
    """Signs of both readouts, 40 runs of 500 shots, as a table of runs against outcomes: chi squared, p > 1e-6."""
    engine, sequence = Engine(chip, 3), both_driven(chip)
    runs = [shots_of(engine, sequence, (run, 0), 500) for run in range(40)]
    centre, table = np.median(runs[0].real, axis=0), []
    for found in runs:
        bits = (found.real > centre).astype(int)
        table.append(np.bincount(2 * bits[:, 0] + bits[:, 1], minlength=4))
    counts = np.array(table)
    wanted = np.broadcast_to(counts.mean(axis=0), counts.shape)
    assert chisquare(counts.ravel(), wanted.ravel(), ddof=counts.shape[0] + 2).pvalue > 1e-6


@dataclass(frozen=True)
class Sized:
    nbytes: int


def test_what_was_used_last_stays_within_the_bound():
    kept = KeptResults(limit=10)
    for name in "ab":
        kept.find((name,), lambda: Sized(4))
    kept.find(("a",), lambda: pytest.fail("was kept"))
    kept.find(("c",), lambda: Sized(4))
    assert kept.nbytes == 8
    assert kept.get(("b",)) is None
    assert kept.get(("a",)) == kept.get(("c",)) == Sized(4)
    kept.find(("large",), lambda: Sized(40))
    assert kept.get(("a",)) is None
    assert kept.get(("large",)) == Sized(40)


def test_content_is_what_is_played(chip):
    sequence = both_driven(chip)
    assert content_of(sequence) == content_of(replace(sequence, windows=()))
    envelope = sequence.keys[0] + b"!"
    other = replace(sequence, keys=(envelope, *sequence.keys[1:]))
    assert content_of(sequence) != content_of(other)
    assert content_of(sequence) != content_of(replace(sequence, period=sequence.period + 1))


def test_what_readouts_decide_is_content_too(chip):
    sequence = both_driven(chip)
    conditions = np.zeros(len(sequence.bursts), np.int64)
    bit = ClassifiedBit(0, 0, 0.1, 0.02)
    first = replace(sequence, conditions=conditions, bits=(bit,))
    conditions = conditions.copy()
    conditions[2] = 1
    turn = ConditionalPhase(1, np.array([2]), 0.5)
    window = replace(sequence.windows[0], start=sequence.windows[0].start + 1)
    others = [
        replace(first, conditions=conditions),
        replace(first, bits=(replace(bit, threshold=0.03),)),
        replace(first, turns=(turn,)),
        replace(first, turns=(replace(turn, phase=0.6),)),
        replace(first, windows=(window,)),
        replace(first, windows=(replace(window, start=window.start - 1, kernels=window.kernels[:1]),)),
    ]
    assert len({content_of(s) for s in (sequence, first, *others)}) == len(others) + 2
