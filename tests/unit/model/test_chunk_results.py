from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.chunk_results import ChunkResult, ResultsSoFar, decode_chunk, encode_chunk, merge_chunks
from pulsed.model.errors import JobFailedError
from pulsed.model.payload import Part, PartWriter, pack_frames, read_array, unpack_frames
from pulsed.model.result import ProgramResult


def job_arrays(shots: int, programs: int, seed: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [
        {
            "bits": random.integers(0, 256, (shots, 1), dtype=np.uint8),
            "iq": (random.normal(size=(shots, 3)) + 1j * random.normal(size=(shots, 3))).astype(np.complex64),
        }
        for _ in range(programs)
    ]


def chunk_of(
    arrays: Sequence[dict[str, np.ndarray]], first: int, last: int, shot: int, shots: int, meas_return: str
) -> tuple[ChunkResult, list[Part]]:
    writer, results = PartWriter(), []
    for index in range(first, last):
        piece = {name: array[shot : shot + shots] for name, array in arrays[index].items()}
        if meas_return == "avg":
            refs = {"iq": writer.add(piece["iq"].mean(axis=0, dtype=np.complex128).astype(np.complex64))}
        else:
            refs = {name: writer.add(array) for name, array in piece.items()}
        results.append(ProgramResult(f"p{index}", shots, 2, meas_return, 3, **refs, overrange=index == 1 and shot == 0))
    head = ChunkResult(first, shot, tuple(results), {})
    # As it comes back from the store.
    blob = pack_frames([encode_chunk(head), *writer.parts])
    decoded, *parts = unpack_frames(blob)
    return decode_chunk(decoded), parts


@given(st.data(), st.integers(1, 5), st.integers(1, 20), st.sampled_from(["single", "avg"]), st.integers(0, 2**32))
def test_merge_undoes_any_split(data: st.DataObject, programs: int, shots: int, meas_return: str, seed: int) -> None:
    arrays = job_arrays(shots, programs, seed)
    chunks = []
    first = 0
    while first < programs:
        last = data.draw(st.integers(first + 1, programs))
        cuts = {0, shots}
        if last == first + 1:
            cuts |= set(data.draw(st.lists(st.integers(0, shots), max_size=4)))
        edges = sorted(cuts)
        for shot, end in pairwise(edges):
            chunks.append(chunk_of(arrays, first, last, shot, end - shot, meas_return))
        first = last
    chunks = data.draw(st.permutations(chunks))
    results, parts = merge_chunks(chunks, programs, shots)
    assert [result.name for result in results] == [f"p{i}" for i in range(programs)]
    for result, whole in zip(results, arrays, strict=True):
        assert result.shots == shots
        assert result.overrange == (result.name == "p1")
        assert result.iq is not None
        if meas_return == "single":
            assert result.bits is not None
            np.testing.assert_array_equal(read_array(result.bits, parts), whole["bits"])
            np.testing.assert_array_equal(read_array(result.iq, parts), whole["iq"])
        else:
            # complex64 is rounded once per piece and once in the end
            np.testing.assert_allclose(read_array(result.iq, parts), whole["iq"].mean(axis=0), atol=2e-6)


def test_missing_shots_are_told() -> None:
    arrays = job_arrays(10, 2, 0)
    with pytest.raises(JobFailedError, match="program 1"):
        merge_chunks([chunk_of(arrays, 0, 1, 0, 10, "single"), chunk_of(arrays, 1, 2, 0, 7, "single")], 2, 10)
    with pytest.raises(JobFailedError, match="program 1"):
        merge_chunks([chunk_of(arrays, 0, 1, 0, 10, "single")], 2, 10)


@given(st.data(), st.integers(1, 4), st.integers(1, 12), st.sampled_from(["single", "avg"]), st.integers(0, 2**32))
def test_results_so_far_grow_to_the_whole(
    data: st.DataObject, programs: int, shots: int, meas_return: str, seed: int
) -> None:
    arrays = job_arrays(shots, programs, seed)
    chunks, so_far = [], ResultsSoFar()
    for program in range(programs):
        edges = sorted({0, shots} | set(data.draw(st.lists(st.integers(1, shots), max_size=4))))
        for first, end in pairwise(edges):
            chunks.append(chunk_of(arrays, program, program + 1, first, end - first, meas_return))
            so_far.add(*chunks[-1])
            found, parts = so_far.programs()
            assert [one.shots for one in found] == [shots] * program + [end]
            if meas_return == "single":
                for one, whole in zip(found, arrays, strict=False):
                    np.testing.assert_array_equal(read_array(one.bits, parts), whole["bits"][: one.shots])
    found, parts = so_far.programs()
    whole, whole_parts = merge_chunks(chunks, programs, shots)
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(read_array(one.iq, parts), read_array(other.iq, whole_parts), atol=4e-6)
        assert (one.name, one.overrange) == (other.name, other.overrange)
