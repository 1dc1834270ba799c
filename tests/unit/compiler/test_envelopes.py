"""The table of envelopes: what copies share, and what they keep to themselves."""

import numpy as np

from pulsed.compiler.envelopes import EnvelopeTable


def test_a_copy_shares_what_is_counted_and_packed_and_grows_alone():
    table = EnvelopeTable()
    rows = np.array([table.add(b"one", np.ones(4, complex)), table.add(b"two", np.ones(6, complex))])
    first, second = table.copy(), table.copy()
    assert first.lengths is second.lengths is table.lengths, "counted once"
    assert first.packed(rows) is second.packed(rows), "packed once"
    assert first.add(b"three", np.ones(2, complex)) == second.add(b"other", np.ones(3, complex)) == 2
    assert [first.lengths.tolist(), second.lengths.tolist(), table.lengths.tolist()] == [[4, 6, 2], [4, 6, 3], [4, 6]]
    own = np.array([2])
    assert first.packed(own).keys == (b"three",)
    assert second.packed(own).keys == (b"other",)
