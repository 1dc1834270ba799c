"""Large results come chunk by chunk: a client asks for the next ones as it takes those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from pulsed.client.reading import read_chunk_heads
from pulsed.client.replies import expect
from pulsed.client.transport import Answer
from pulsed.model.chunk_results import Assembly, ChunkResult
from pulsed.model.errors import NotFoundError
from pulsed.model.job import JobInfo
from pulsed.model.payload import Part
from pulsed.model.result import ProgramResult
from pulsed.wire.job_messages import ChunkReply

AHEAD = 2
"""Chunks that are asked for at once: one is on its way while another one is read."""

Patience = Callable[[Future[Answer]], Answer]
"""Waits for an answer."""


def fetched(
    ask: Callable[[int], Future[Answer]], wait: Patience, info: JobInfo
) -> Iterator[tuple[ChunkResult, Sequence[Part]]]:
    """Yield the chunks of a result in order; what is not taken is not sent, but for :data:`AHEAD` of them.

    ``ask`` requests one. Raises what ``wait`` does, and :class:`NotFoundError` for a chunk that the daemon has no
    longer.
    """
    asked: deque[Future[Answer]] = deque()
    try:
        for index in range(info.result_chunks):
            while len(asked) < min(AHEAD, info.result_chunks - index):
                asked.append(ask(index + len(asked)))
            message, parts = wait(asked.popleft())
            chunk = expect(ChunkReply, message).chunk
            if chunk is None:
                raise NotFoundError("a chunk of the result is not there", subject=f"job {info.job_id}", value=index)
            yield chunk, parts
    finally:
        for future in asked:
            future.cancel()


def assembled(
    chunks: Iterator[tuple[ChunkResult, Sequence[Part]]], heads: Sequence[Part], info: JobInfo, version: str
) -> tuple[tuple[ProgramResult, ...], list[Part]]:
    """Return the results of all programs and their parts; each array is made once, and filled as its chunks come."""
    assembly = Assembly(read_chunk_heads(heads, version), info.num_programs, info.options.shots)
    for index, (_, parts) in enumerate(chunks):
        assembly.add(index, parts)
    return assembly.programs()
