"""A client asks for no more chunks of a result than it takes."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from pulsed.client.chunks import AHEAD, fetched
from pulsed.client.transport import Answer
from pulsed.model.chunk_results import ChunkResult
from pulsed.model.errors import NotFoundError
from pulsed.model.job import JobInfo, JobState
from pulsed.wire.job_messages import ChunkReply

COUNT = 7
INFO = JobInfo("a", "sim5", JobState.DONE, "alice", 0.0, result_chunks=COUNT)


class Daemon:
    """Has so many chunks."""

    def __init__(self, count: int = COUNT) -> None:
        self.count, self.asked, self.futures = count, 0, list[Future[Answer]]()

    def ask(self, index: int) -> Future[Answer]:
        assert index == self.asked
        self.asked += 1
        future: Future[Answer] = Future()
        self.futures.append(future)
        return future

    def wait(self, future: Future[Answer]) -> Answer:
        index = self.futures.index(future)
        chunk = ChunkResult(index, 0, (), {}) if index < self.count else None
        return ChunkReply(1, INFO, chunk), [bytes([index])]


def test_chunks_come_in_order_and_are_asked_for_as_they_are_taken() -> None:
    daemon = Daemon()
    taken = []
    for chunk, parts in fetched(daemon.ask, daemon.wait, INFO):
        taken.append((chunk.first_program, *parts))
        assert daemon.asked <= len(taken) - 1 + AHEAD
    assert taken == [(index, bytes([index])) for index in range(COUNT)]
    assert daemon.asked == COUNT


def test_what_was_asked_for_is_forgotten_when_nobody_wants_it() -> None:
    daemon = Daemon()
    chunks = fetched(daemon.ask, daemon.wait, INFO)
    next(chunks)
    chunks.close()
    assert daemon.asked == AHEAD
    assert daemon.futures[-1].cancelled()


def test_a_chunk_that_the_daemon_has_not_is_an_error_and_no_end() -> None:
    daemon = Daemon(2)
    chunks = fetched(daemon.ask, daemon.wait, INFO)
    assert len([next(chunks), next(chunks)]) == 2
    with pytest.raises(NotFoundError, match="chunk of the result"):
        next(chunks)
