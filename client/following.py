"""How far one job is, told as it changes and in words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from pulsed.client.client import Client
from pulsed.model.job import FINAL_STATES, JobInfo, JobState
from pulsed.wire.messages import AnyEvent, JobChanged

_WORDS = {
    JobState.QUEUED: "waits",
    JobState.COMPILING: "is compiled",
    JobState.READY: "is ready",
    JobState.RUNNING: "plays",
    JobState.INTERRUPTED: "was interrupted, and goes on",
}


def spoken(info: JobInfo) -> str:
    """Return what a job does now, in words: which chunk it plays, or how many jobs are before it."""
    said = _WORDS.get(info.state, str(info.state))
    if info.state is JobState.RUNNING and info.chunks:
        return f"{said}, {info.chunks_done} of {info.chunks} chunks done"
    if info.waits_for:
        said = f"waits for the end of session {info.waits_for}"
    if info.queue_position:
        return f"{said}, {info.queue_position} {'job' if info.queue_position == 1 else 'jobs'} before it"
    return said


@contextlib.contextmanager
def followed(client: Client, job_id: str, take: Callable[[JobInfo], None]) -> Iterator[None]:
    """Call ``take`` with a job as it is and at every change, its place in the queue included, inside of the block."""

    def other(event: AnyEvent) -> None:
        """Ask for the place in the queue again: it changes when another job ends, of which ours says nothing."""
        if isinstance(event, JobChanged) and event.job.job_id != job_id and event.job.state in FINAL_STATES:
            take(client.job(job_id))

    with contextlib.ExitStack() as stack:
        stack.callback(client.watch(job_id, take))
        stack.callback(client.subscribe(other, JobChanged))
        yield
