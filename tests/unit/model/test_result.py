from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pulsed.model.result import JobResult, ProgramResult, count_bits, decode, encode, pack_bits

bits = hnp.arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 80)))


@given(bits)
def test_counts_of_packed_bits_are_those_of_the_rows(memory):
    expected = Counter(sum(int(bit) << k for k, bit in enumerate(row)) for row in memory)
    assert count_bits(pack_bits(memory)) == dict(expected)


@pytest.mark.parametrize("slots", [1, 8, 9, 16, 17])
def test_counts_of_many_shots(slots):
    memory = np.random.default_rng(slots).integers(0, 2, (3000, slots)).astype(bool)
    expected = Counter(sum(int(bit) << k for k, bit in enumerate(row)) for row in memory)
    for packed in (pack_bits(memory), np.asfortranarray(pack_bits(memory))):
        assert count_bits(packed) == dict(expected)


def test_a_result_survives_its_parts():
    result = JobResult("j", "sim5", "0.1.0", "abc", (ProgramResult("c", 10, 2, "single", 2),), {"seconds.play": 0.5})
    assert decode(encode(result, [b"xy"])) == (result, [b"xy"])
