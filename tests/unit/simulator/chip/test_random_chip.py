"""Random chips: reproducible, with frequencies that cross resonance can use."""

from __future__ import annotations

from pulsed.simulator.chip.random_chip import random_chip


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
