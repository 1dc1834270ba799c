"""Random chips: reproducible, with frequencies that cross resonance can use."""

from __future__ import annotations

import pytest

from pulsed.model.errors import ConfigError
from pulsed.simulator.chip.random_chip import layout_couplings, random_chip


def test_random_chips_are_reproducible_and_usable():
    assert random_chip(5, 5) == random_chip(5, 5)
    assert random_chip(5, 5) != random_chip(6, 5)
    for seed in range(20):
        chip = random_chip(seed, 5)
        gaps = [abs(chip.qubits[i].frequency - chip.qubits[i + 1].frequency) for i in range(4)]
        assert all(g >= 25e6 and not 153e6 < g < 172e6 for g in gaps), f"seed {seed}"
        assert all(q.t2_star <= q.t2_echo <= 2 * q.t1 for q in chip.qubits), f"seed {seed}"
    colliding = [random_chip(seed, 5, collisions=True) for seed in range(20)]
    assert any(abs(c.qubits[i].frequency - c.qubits[i + 1].frequency) < 25e6 for c in colliding for i in range(4))


def test_the_heavy_hexagon_lattice_of_127():
    pairs = layout_couplings("heavy-hex", 127)
    assert len(pairs) == len(set(pairs)) == 144
    near = {q: [b if a == q else a for a, b in pairs if q in (a, b)] for q in range(127)}
    assert {len(others) for others in near.values()} == {1, 2, 3}
    assert near[0] == [1, 14]
    assert near[14] == [0, 18]
    assert near[109] == [96, 114]
    assert near[32] == [31, 36]
    assert near[126] == [112, 125]
    assert sum(len(others) == 1 for others in near.values()) == 2  # 13 and 113


def test_large_chips_have_pairs_that_cross_resonance_can_use():
    for layout in ("line", "heavy-hex"):
        chip = random_chip(1, 127, layout=layout, one_readout_line=False)
        f = [qubit.frequency for qubit in chip.qubits]
        gaps = [abs(f[a] - f[b]) for a, b in layout_couplings(layout, 127)]
        assert all(gap >= 25e6 and not 153e6 < gap < 172e6 for gap in gaps)
        assert len(chip.sections) == 26
        assert all(len(qubits) == 5 for _, qubits in chip.sections[:-1])
        strong = [abs(chip.crosstalk[a][b]) for a, b in layout_couplings(layout, 127)]
        assert min(strong) == pytest.approx(0.05)


def test_a_chip_has_a_size():
    for count, one_line in ((0, False), (128, False), (33, True)):
        with pytest.raises(ConfigError, match="number of qubits"):
            random_chip(1, count, one_readout_line=one_line)
