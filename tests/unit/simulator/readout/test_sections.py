"""Chips with several readout lines: each is what a chip would be that has its qubits alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.random_chip import random_chip
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.sequence import BURST, IntegrationKernel, LineSettings, PulseSequence, Window
from pulsed.simulator.engine.engine import Engine
from pulsed.simulator.readout.readout_cache import ReadoutCache

READOUT, LENGTH = 7.11e9, 400
STARTS, TOGETHER = (200, 900), (200, 200)
"""When each line reads."""


@pytest.fixture(scope="module")
def chip() -> Chip:
    """Seven qubits: five on ro1 and two on ro2."""
    return random_chip(3, 7, one_readout_line=False)


def sequence(chip: Chip, *qubits: int, amplitude: float = 0.14, starts: tuple[int, int] = STARTS) -> PulseSequence:
    """A tone for each qubit on its own line, and a window on each line."""
    lines = tuple(LineSettings(w.name, READOUT if w.reads else 5.1e9, True, *ideal_correction(w)) for w in chip.wires)
    index = {w.name: k for k, w in enumerate(chip.wires)}
    rows, windows = [], []
    for number, (line, own) in enumerate(chip.sections):
        kernels = []
        for q in own:
            offset = chip.qubits[q].readout_frequency - READOUT
            if q in qubits:
                rows.append((index[line], starts[number], 0, amplitude, 0.0, offset))
            kernels.append(IntegrationKernel(offset, np.full(LENGTH, 1 / LENGTH, complex)))
        windows.append(Window(starts[number] + chip.amplifier.delay, LENGTH, tuple(kernels), number))
    return PulseSequence(lines, np.array(rows, BURST), (np.ones(LENGTH, complex),), (b"tone",), tuple(windows), 500_000)


def test_sections_are_the_lines(chip):
    assert chip.sections == (("ro1", (0, 1, 2, 3, 4)), ("ro2", (5, 6)))
    assert random_chip(3, 7).sections == (("ro", tuple(range(7))),)
    assert chip.section(1).qubits == chip.qubits[5:]


def test_a_readout_is_that_of_a_chip_of_its_line(chip):
    together = ReadoutCache(chip).find(sequence(chip, 1, 2, 5))
    assert [(*one.parts, one.response.measured) for one in together] == [(0, (1, 2)), (1, (5,))]
    for number, first in ((0, 0), (1, 5)):
        alone = chip.section(number)
        lines = tuple(w for w in chip.wires if not w.reads or w.name == chip.sections[number].line)
        alone = replace(alone, wires=lines, qubits=tuple(replace(q, feedline="") for q in alone.qubits))
        whole = sequence(chip, 1, 2, 5)
        mine = [k for k, one in enumerate(chip.wires) if one in lines]
        bursts = whole.bursts[np.isin(whole.bursts["line"], mine)].copy()
        bursts["line"] = [mine.index(k) for k in bursts["line"]]
        own = replace(whole, lines=tuple(whole.lines[k] for k in mine), bursts=bursts,
                      windows=(replace(whole.windows[number], section=0),))  # fmt: skip
        (found,) = ReadoutCache(alone).find(own)
        assert tuple(first + q for q in found.response.measured) == together[number].response.measured
        assert np.array_equal(found.response.alpha, together[number].response.alpha)
        assert np.array_equal(found.response.background, together[number].response.background)


def test_a_tone_of_another_line_measures_nobody(chip):
    """At the frequency of a resonator that is on the other line."""
    played = sequence(chip, 0)
    assert chip.qubits[5].readout_frequency == pytest.approx(chip.qubits[0].readout_frequency, abs=10e6)
    found = ReadoutCache(chip).find(played)
    assert [one.response.measured for one in found] == [(0,), ()]


def test_lines_that_are_read_together_are_one_readout(chip):
    """A state is measured once, and each digitizer hears the resonators on its own line."""
    readouts = ReadoutCache(chip)
    played = sequence(chip, 1, 2, 5, starts=TOGETHER)
    (found,) = readouts.find(played)
    assert readouts.find(played)[0] is found
    apart = {number: one for one in readouts.find(sequence(chip, 1, 2, 5)) for number in one.parts}
    assert found.response.measured == (1, 2, 5)
    assert [span.place for span in found.spans] == [0, 1, 2]
    for number, own in ((0, slice(0, 2)), (1, slice(2, 3))):
        columns, response = found.parts[number]
        assert (columns, response.measured) == (own, apart[number].response.measured)
        assert np.array_equal(found.response.scale[own], response.scale)


def test_what_two_lines_find_at_once_belongs_together(chip):
    """A shot in which a pulse has turned both qubits by a half: each is read as it is, on its own line."""
    plain = sequence(chip, 0, 5, starts=TOGETHER)
    engine, shots, points = Engine(chip, 3), 2000, []
    for flipped in ((), (0,), (5,), (0, 5)):
        rows = [(q, 0, 1, 0.2, 0.0, chip.qubits[q].frequency - 5.1e9) for q in flipped]
        bursts = np.concatenate([plain.bursts, np.array(rows, BURST)])
        envelopes = (*plain.envelopes, np.ones(60, complex))
        played = replace(plain, bursts=bursts, envelopes=envelopes, keys=(b"tone", b"turn"))
        found = engine.play(played, shots, (0,), "integrated")
        assert len(engine.model(5.1e9).plan(played).measurements) == 1
        points.append([np.mean(found.of_section(k, plain.windows).integrated[:, 0]) for k in (0, 1)])
    noise = 5 * np.sqrt(2) * 16 / 2048 / np.sqrt(LENGTH * shots) + 5 * abs(points[0][0] - points[3][0]) / np.sqrt(shots)
    assert abs(points[1][0] - points[0][0]) > 3 * noise
    assert abs(points[2][1] - points[0][1]) > 3 * noise
    assert abs(points[1][1] - points[0][1]) < noise
    assert abs(points[2][0] - points[0][0]) < noise
    assert abs(points[3][0] - points[1][0]) < noise


@pytest.mark.parametrize("starts", [STARTS, TOGETHER])
def test_each_window_hears_its_own_line(chip, starts):
    """Qubits behind two lines in one shot, both in 0: the points are those of each line read by itself."""
    cold = replace(chip, qubits=tuple(replace(q, thermal=0.0) for q in chip.qubits))
    shots = 4000
    both = Engine(cold, 1).play(sequence(cold, 0, 5, starts=starts), shots, (0,), "integrated")
    windows = sequence(cold, 0, 5, starts=starts).windows
    noise = cold.amplifier.noise_lsb / cold.amplifier.full_scale / np.sqrt(LENGTH) / np.sqrt(shots)
    for number, qubit, column in ((0, 0, 0), (1, 5, 0)):
        mine = both.of_section(number, windows).integrated
        assert mine.shape == (shots, len(cold.sections[number].qubits))
        alone = Engine(cold, 2).play(sequence(cold, qubit, starts=starts), shots, (0,), "integrated")
        other = alone.of_section(number, windows).integrated
        away = np.median(mine[:, column].real) - np.median(other[:, column].real)
        # Medians of two draws: 1.25 standard errors each; five of both. A dark line is 30 times as far away.
        assert abs(away) < 5 * np.sqrt(2) * 1.25 * noise
        dark = both.of_section(1 - number, windows).integrated
        assert not np.array_equal(dark[:, 0], mine[:, 0])


def test_only_the_line_that_clips_is_told_to_have(chip):
    loud = sequence(chip, 0, 5)
    loud.bursts["amplitude"] = [0.14, 1.0]
    amplifier = replace(chip.amplifier, background=4.0)
    found = Engine(replace(chip, amplifier=amplifier)).play(loud, 64, (0,), "averaged")
    assert found.clipped == {1}
    lengths = found.of_section(0, loud.windows).averaged.shape, found.of_section(1, loud.windows).averaged.shape
    assert lengths == ((LENGTH, 2), (LENGTH, 2))
    assert found.of_section(1, loud.windows).overrange
    assert not found.of_section(0, loud.windows).overrange
