import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pulsed.model.errors import ProtocolError
from pulsed.model.payload import (
    ArrayRef,
    PartWriter,
    pack_frames,
    read_array,
    read_stacked,
    side_by_side,
    unpack_frames,
)

dtypes = st.sampled_from(["<f8", "<c8", "|u1", "<i4", "|b1", "<u8"]).map(np.dtype)
arrays = dtypes.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5)))


@given(st.lists(arrays, max_size=4))
def test_arrays_come_back_bit_for_bit_through_a_blob(items):
    writer = PartWriter()
    refs = [writer.add(item) for item in items]
    parts = unpack_frames(pack_frames(writer.parts))
    for ref, item in zip(refs, items, strict=True):
        again = read_array(ref, parts)
        assert again.dtype == item.dtype
        assert again.shape == item.shape
        assert again.tobytes() == item.tobytes()
        assert not again.flags.writeable


@given(st.integers(0, 20), st.integers(0, 20))
def test_rows_of_a_part_are_rows_of_the_array(a, b):
    start, stop = sorted((a, b))
    items = np.array([(i, i / 2) for i in range(20)], dtype=[("x", "<i4"), ("y", "<f8")])
    writer = PartWriter()
    ref = writer.add(items).rows(start, stop)
    assert np.array_equal(read_array(ref, writer.parts), items[start:stop])


@pytest.mark.parametrize(
    "ref",
    [
        ArrayRef(1, (2,), "<f8"),
        ArrayRef(-1, (2,), "<f8"),
        ArrayRef(0, (3,), "<f8"),
        ArrayRef(0, (2,), "<f8", 8),
        ArrayRef(0, (1,), "<f8", -8),
        ArrayRef(0, (-1,), "<f8"),
        ArrayRef(0, (2,), "O"),
        ArrayRef(0, (2,), "nonsense"),
        ArrayRef(0, (1,), (("x", "O"),)),
        ArrayRef(0, (1,), (("x", "<f8"), ("x", "<f8"))),
    ],
)
def test_references_that_do_not_fit_are_refused(ref):
    with pytest.raises(ProtocolError):
        read_array(ref, [np.zeros(2).data.cast("B")])


@given(st.binary(max_size=60))
def test_any_bytes_either_split_into_what_joins_again_or_are_refused(blob):
    try:
        parts = unpack_frames(blob)
    except ProtocolError:
        return
    assert pack_frames(parts) == blob


def test_arrays_side_by_side_are_one() -> None:
    writer = PartWriter()
    table = np.arange(24, dtype="<i4").reshape(4, 3, 2)
    ref = writer.add(table)
    rows = ref.items()
    np.testing.assert_array_equal(read_array(rows[2], writer.parts), table[2])
    whole = side_by_side(rows[1:])
    assert whole is not None
    np.testing.assert_array_equal(read_array(whole, writer.parts), table[1:])
    np.testing.assert_array_equal(read_stacked(rows, writer.parts), table)
    assert not read_stacked(rows, writer.parts).flags.writeable, "it is read where it lies"
    np.testing.assert_array_equal(read_stacked([rows[2], rows[0]], writer.parts), table[[2, 0]])
    other = writer.add(table + 100)
    both = np.concatenate([table[1:], table + 100])
    np.testing.assert_array_equal(read_stacked([*rows[1:], *other.items()], writer.parts), both)
    for refs in ([rows[1], rows[0]], [rows[0], rows[2]], [rows[3], other.items()[0]], [rows[0], ref.rows(1, 2)]):
        assert side_by_side(refs) is None
