"""What arrives at once is bounded, and what was refused may be sent again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pulsed.daemon.front.handlers import Outlet, Peer
from pulsed.daemon.front.job_requests import JobHandlers
from pulsed.daemon.jobs.jobs import Jobs
from pulsed.model.errors import BusyError
from pulsed.model.job import JobInfo, JobRequest, JobState, RunOptions
from pulsed.wire import messages as m
from pulsed.wire.roles import Role

MOST = 1000
PEER = Peer(b"address", "me", Role.ADMIN)


class SlowJobs:
    """Takes jobs in when told."""

    def __init__(self) -> None:
        self.device = SimpleNamespace(name="sim5", limits=SimpleNamespace(max_payload=MOST))
        self.go_on = asyncio.Event()

    async def submit(self, request: JobRequest, parts: Any, user: str, *_: Any, **__: Any) -> JobInfo:
        await self.go_on.wait()
        return JobInfo(request.job_id, "sim5", JobState.QUEUED, user, 0.0)


def submission(number: int) -> m.Submit:
    return m.Submit(number, job=JobRequest(f"job {number}", ("qpy",), 1, RunOptions()), backend="sim5")


async def test_submissions_beyond_what_is_held_at_once_are_refused_and_may_come_again() -> None:
    jobs = SlowJobs()
    handlers = JobHandlers(cast("Jobs", jobs), cast("Outlet", None))

    async def sent(number: int, size: int) -> m.AnyReply:
        answer = await handlers.handlers[m.Submit](submission(number), [bytes(size)], PEER)  # type: ignore[misc]
        assert answer is not None
        return cast("tuple[m.AnyReply, Any]", answer)[0]

    taken = [asyncio.ensure_future(sent(number, MOST)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match=r"1001 bytes|2001 bytes") as caught:
        await sent(2, 1)
    assert "2000 bytes" in caught.value.legal
    jobs.go_on.set()
    assert [reply.id for reply in await asyncio.gather(*taken)] == [0, 1]
    assert (await sent(2, MOST)).id == 2


async def test_one_alone_is_taken_in_whatever_its_size() -> None:
    """The protocol has bounded it already."""
    jobs = SlowJobs()
    jobs.go_on.set()
    handlers = JobHandlers(cast("Jobs", jobs), cast("Outlet", None))
    answer = await handlers.handlers[m.Submit](submission(1), [bytes(10 * MOST)], PEER)  # type: ignore[misc]
    assert answer is not None
