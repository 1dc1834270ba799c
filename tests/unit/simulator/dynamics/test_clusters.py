"""Which bursts make a segment."""

from __future__ import annotations

from pulsed.simulator.dynamics.clusters import segments


def test_segments_join_what_overlaps_and_leave_room_for_what_follows():
    items = [(0, 32, (0,), 0), (32, 64, (0,), 1), (50, 90, (0, 1), 2), (100, 110, (1,), 3), (92, 95, (2,), 4)]
    found = segments(items, [], 4)
    assert [(s.start, s.end, s.qubits, sorted(s.bursts), s.tail) for s in found] == [
        (0, 32, (0,), [0], 0),
        (32, 90, (0, 1), [1, 2], 4),
        (92, 95, (2,), [4], 4),
        (100, 110, (1,), [3], 4),
    ]
