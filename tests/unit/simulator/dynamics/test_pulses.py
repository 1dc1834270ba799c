"""Bursts that each make a pulse: found all at once as they are found one by one."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.simulator.chip.chip import Chip
from pulsed.simulator.chip.chip_file import load_chip
from pulsed.simulator.dynamics.hamiltonian import moved
from pulsed.simulator.dynamics.lines import ideal_correction
from pulsed.simulator.dynamics.pulses import PulseMapCache
from pulsed.simulator.dynamics.sequence import BURST, LineSettings, PulseSequence

CHIP = Path(__file__).parents[4] / "configs" / "chips" / "sim5.toml"
LO = 5.1e9


@pytest.fixture(scope="module")
def chip() -> Chip:
    """sim5 without crosstalk, so that one burst is felt by one qubit."""
    whole = load_chip(CHIP)
    return replace(whole, crosstalk=tuple(tuple(complex(a == b) for b in range(5)) for a in range(5)))


def played(chip: Chip, rows: list[tuple[int, int, int, float]]) -> PulseSequence:
    lines = tuple(LineSettings(w.name, LO, True, *ideal_correction(w)) for w in chip.wires)
    bursts = [(q, start, k, 0.4, phase, chip.qubits[q].frequency - LO) for q, start, k, phase in rows]
    envelopes = (np.ones(16, complex), 0.5 * np.ones(40, complex))
    return PulseSequence(lines, np.array(bursts, BURST), envelopes, (b"short", b"long"), (), 10**6)


gaps = st.integers(0, 9)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), overlap=st.booleans(), tail=st.sampled_from([0, 4]))
def test_bursts_found_at_once_and_one_by_one(chip, data, overlap, tail):
    rows = []
    for q in data.draw(st.sets(st.integers(0, 4), min_size=1)):
        time = data.draw(gaps)
        for _ in range(data.draw(st.integers(1, 6))):
            k = data.draw(st.integers(0, 1))
            rows.append((q, time, k, data.draw(st.sampled_from([0.0, 0.7, -2.0]))))
            time += (16, 40)[k] + data.draw(gaps)
    if overlap:
        q, start, _, _ = rows[0]
        rows.append((q, start + 3, 1, 0.0))
    sequence = played(chip, data.draw(st.permutations(rows)))
    pulses = PulseMapCache(chip)
    parts = pulses._parts(sequence, LO)
    assert (pulses._alone(parts, LO, tail) is None) == overlap
    found = pulses.find(sequence, LO, tail)
    one_by_one = PulseMapCache(chip)
    one_by_one._alone = lambda *_: None  # type: ignore[method-assign]
    wanted = one_by_one.find(sequence, LO, tail)
    assert [p[:3] for p in found] == [p[:3] for p in wanted]
    for a, b in zip(found, wanted, strict=True):
        assert a.phase == pytest.approx(b.phase, abs=1e-12)
        np.testing.assert_array_equal(a.map.superoperator, b.map.superoperator)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_may_follow_changes_nothing_before(data):
    """Of bursts from some time on any may be left out: what has ended by then is the same, crosstalk and tails too."""
    crossing, now = load_chip(CHIP), 400
    rows = []
    for q in range(5):
        early = late = now
        for k in data.draw(st.lists(st.integers(0, 1), max_size=3)):
            early -= (16, 40)[k] + data.draw(gaps)
            rows.append((q, early, k, 0.3 * early))
        for k in data.draw(st.lists(st.integers(0, 1), max_size=3)):
            late += data.draw(gaps)
            rows.append((q, late, k, 0.3 * late))
            late += (16, 40)[k]
    sequence, pulses = played(crossing, rows), PulseMapCache(crossing)
    begins = {}
    for qubits, start, _ in sorted(pulses.reached(sequence, LO), key=itemgetter(1)):
        for q in qubits:
            begins.setdefault(q, []).append(start)
    kept = [row[1] < now or data.draw(st.booleans()) for row in rows]
    parts = [
        sequence,
        *(replace(sequence, bursts=sequence.bursts[some]) for some in (kept, sequence.bursts["start"] < now)),
    ]
    whole, part, before = (
        [(*p[:4], id(p.map)) for p in pulses.find(each, LO, begins=begins) if p.start < now] for each in parts
    )
    assert whole == part == before


def test_what_a_burst_reaches_follows_the_chip():
    """A tone at its neighbour's frequency drives the pair once a direct current has brought the coupler near."""
    idle = load_chip(CHIP.with_name("coupler2.toml"))
    near = moved(idle, 0, 0.1)
    drive = next(i for i, w in enumerate(idle.wires) if w.qubit == 0)
    lines = tuple(LineSettings(w.name, 0.0 if w.flux is not None else LO) for w in idle.wires)
    burst = np.array([(drive, 100, 0, 0.5, 0.0, near.qubits[1].frequency - LO)], BURST)
    sequence = PulseSequence(lines, burst, (np.ones(400, complex),), (b"tone",), (), 10**6)
    pulses = PulseMapCache(idle)
    assert (0, 1) not in {p.qubits for p in pulses.find(sequence, LO)}
    pulses.take(near)
    assert [p.qubits for p in pulses.find(sequence, LO)] == [(0, 1)]
    pulses.take(idle)
    assert (0, 1) not in {p.qubits for p in pulses.find(sequence, LO)}
