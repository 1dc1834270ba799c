from __future__ import annotations

import random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pulsed.daemon.jobs.scheduler import LOOKAHEAD, Scheduler

SESSIONS = ("", "a", "b", "c")


class Known(NamedTuple):
    priority: int
    number: int
    session: str
    first: int
    """Number of the job that was first in the queue of its session when this one came."""
    where: str
    """waiting, compiling, ready or playing."""


class SchedulerMachine(RuleBasedStateMachine):
    """The queue against a list that is sorted each time, with sessions that hold the rack and end."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Scheduler()
        self.model: dict[str, Known] = {}
        self.count = 0
        self.holder = ""

    def ordered(self) -> list[str]:
        def place(job: str) -> tuple[bool, int, int, int]:
            known = self.model[job]
            behind = not self.holder or known.session != self.holder
            return behind, -known.priority, known.first if known.session else known.number, known.number

        return sorted(self.model, key=place)

    def may_play(self, job: str) -> bool:
        return not self.holder or self.model[job].session == self.holder

    def first(self, where: str) -> str | None:
        found = next((job for job in self.ordered() if self.model[job].where == where), None)
        return found if found is not None and self.may_play(found) else None

    def move(self, job_id: str, where: str) -> None:
        self.model[job_id] = self.model[job_id]._replace(where=where)

    @rule(priority=st.integers(-2, 2), session=st.sampled_from(SESSIONS))
    def add(self, priority: int, session: str) -> None:
        self.count += 1
        job_id = f"job {self.count}"
        self.queue.add(job_id, priority, session)
        kind = priority, session
        firsts = [known.first for known in self.model.values() if session and (known.priority, known.session) == kind]
        self.model[job_id] = Known(priority, self.count, session, min(firsts, default=self.count), "waiting")

    @rule()
    def take_to_compile(self) -> None:
        ready = sum(known.where == "ready" and self.may_play(job) for job, known in self.model.items())
        expected = None if ready >= LOOKAHEAD else self.first("waiting")
        assert self.queue.take_to_compile() == expected
        if expected is not None:
            self.move(expected, "compiling")

    @precondition(lambda self: any(known.where == "compiling" for known in self.model.values()))
    @rule(again=st.booleans())
    def compiled(self, again: bool) -> None:
        job_id = next(job for job in self.ordered() if self.model[job].where == "compiling")
        (self.queue.compile_again if again else self.queue.compiled)(job_id)
        self.move(job_id, "waiting" if again else "ready")

    @rule()
    def take_to_play(self) -> None:
        expected = self.first("ready")
        assert self.queue.take_to_play() == expected
        if expected is not None:
            self.move(expected, "playing")

    @rule(session=st.sampled_from(SESSIONS))
    def hold(self, session: str) -> None:
        self.queue.hold(session)
        self.holder = session

    @rule(session=st.sampled_from(SESSIONS[1:]))
    def release(self, session: str) -> None:
        self.queue.release(session)
        self.holder = "" if self.holder == session else self.holder
        for job, known in self.model.items():
            if known.session == session:
                self.model[job] = known._replace(session="", first=known.number)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.model)))
        self.queue.remove(job_id)
        self.queue.remove(job_id)
        self.queue.compiled(job_id)  # what was taken may have been cancelled since
        del self.model[job_id]

    @invariant()
    def agrees(self) -> None:
        order = self.ordered()
        assert len(self.queue) == len(order)
        assert self.queue.order() == order
        assert [self.queue.position(job) for job in order] == list(range(len(order)))
        assert all((job in self.queue) == (job in self.model) for job in map("job {}".format, range(self.count + 1)))
        for session in SESSIONS[1:]:
            mine = sorted((known.number, job) for job, known in self.model.items() if known.session == session)
            assert self.queue.members(session) == [job for _, job in mine]
            no_other = not mine if self.holder else not order
            assert self.queue.empty_for(session) == (no_other and self.holder in ("", session))


TestScheduler = SchedulerMachine.TestCase


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["", "a", "b"])), max_size=30), st.integers(0, 2**32))
@settings(deadline=None)
def test_jobs_of_a_batch_are_played_one_after_the_other(jobs: list[tuple[int, str]], seed: int) -> None:
    """Of one priority, however they came: no other job is played between two that lay in the queue together."""
    queue, chance, played = Scheduler(), random.Random(seed), []
    come = [(f"{number}", priority, batch) for number, (priority, batch) in enumerate(jobs)]
    kinds = {job: (priority, batch) for job, priority, batch in come}
    left: list[set[tuple[int, str]]] = []
    """The kinds of jobs that were in the queue as each was played."""
    while come or len(queue):
        if come and (chance.random() < 0.6 or not len(queue)):
            queue.add(*come.pop(0))
            continue
        while (job := queue.take_to_compile()) is not None:
            queue.compiled(job)
        job = queue.take_to_play()
        assert job is not None
        played.append(job)
        queue.remove(job)
        left.append({kinds[other] for other in queue.order()})
    for before, others, after in zip(played, left, played[1:], strict=False):
        if kinds[before][1] and kinds[before] in others:
            assert kinds[after] == kinds[before] or kinds[after][0] > kinds[before][0], (before, after, played)
