"""The queue against lists that are sorted each time, with users, batches, sessions that hold the rack, and bookings."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pulsed.daemon.jobs.policy import NEVER
from pulsed.daemon.jobs.scheduler import LOOKAHEAD, Scheduler
from pulsed.daemon.jobs.usage import Usage
from pulsed.model.policies import Sharing
from pulsed.model.queue import QueueMode

SESSIONS = ("", "a", "b", "c")
USERS = ("ann", "bob")
WEIGHTS = {"ann": 1.0, "bob": 3.0}
AGEING, HALF_LIFE = 10.0, 50.0
READY = ("ready",)
UNREADY = ("waiting", "compiling")


class Known(NamedTuple):
    priority: int
    number: int
    session: str
    user: str
    created: float
    seconds: float
    first: int
    """Number of the job that was first in the queue of its session when this one came."""
    where: str
    """waiting, compiling, ready, playing, or parked."""


def owner(session: str, user: str) -> str:
    """A session belongs to one user."""
    return {"a": "ann", "b": "bob", "c": "ann"}.get(session, user)


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        sharing = Sharing(ageing=AGEING, half_life=HALF_LIFE, users=WEIGHTS)
        self.usage = Usage(HALF_LIFE, lambda user: WEIGHTS[user])
        self.queue = Scheduler(sharing, self.usage, lambda user: user == "bob")
        self.model: dict[str, Known] = {}
        self.turns = {"compile": {}, "play": {}}
        self.batches = {"compile": "", "play": ""}
        self.count, self.now = 0, 0.0
        self.holder, self.booked = "", set()
        self.at = NEVER

    def place(self, job: str) -> tuple[int, int, str]:
        known = self.model[job]
        return known.first if known.session else known.number, known.number, job

    def held(self, job: str) -> bool:
        return bool(self.holder) and self.model[job].session == self.holder

    def since(self, job: str, lane: str) -> float:
        known = self.model[job]
        turns = self.turns["play"] if lane == "ready" else self.turns["compile"]
        both = max(self.turns[kind].get((known.user, known.priority), 0.0) for kind in ("compile", "play"))
        return max(known.created, turns.get((known.user, known.priority), 0.0) if lane == "ready" else both)

    def streams(self, where: tuple[str, ...]) -> list[list[str]]:
        found: dict[tuple[str, int], list[str]] = {}
        for job in sorted((job for job, known in self.model.items() if known.where in where), key=self.place):
            if not self.held(job):
                found.setdefault((self.model[job].user, self.model[job].priority), []).append(job)
        return list(found.values())

    def may_start(self, job: str) -> bool:
        known, mode = self.model[job], self.queue.mode
        plays = mode in (QueueMode.OPEN, QueueMode.DRAINING) or (mode is QueueMode.LOCKED and known.user == "bob")
        return plays and self.now + known.seconds <= self.at

    def level(self, job: str, lane: str) -> int:
        return self.model[job].priority + int((self.now - self.since(job, lane)) // AGEING)

    def expected(self, lane: str, kind: str) -> str | None:
        if self.holder:
            mine = [job for job, known in self.model.items() if known.where == lane and self.held(job)]
            first = min(mine, key=lambda job: (-self.model[job].priority, self.place(job)), default=None)
            return first if first is not None and self.may_start(first) else None
        heads = [next((job for job in jobs if self.now + self.model[job].seconds <= self.at), None)
                 for jobs in self.streams((lane,))]  # fmt: skip
        able = [job for job in heads if job is not None and self.may_start(job)]
        batch = self.batches[kind]
        used = self.usage.shares if kind == "compile" else self.played()

        def key(job: str) -> tuple[int, bool, float, tuple[int, int, str]]:
            known = self.model[job]
            apart = not batch or known.session != batch
            return -self.level(job, lane), apart, used.get(known.user, 0.0), self.place(job)

        return min(able, key=key, default=None)

    def played(self) -> dict[str, float]:
        return self.usage.played({job for job, known in self.model.items() if known.where == "playing"})

    def projected(self) -> list[str]:
        ranks, played = [], self.played()
        for jobs in self.streams((*READY, *UNREADY)):
            each = sum(max(self.model[job].seconds, 1e-3) for job in jobs) / len(jobs)
            for index, job in enumerate(jobs):
                known = self.model[job]
                height = self.level(job, "waiting") if index == 0 else known.priority
                share = played.get(known.user, 0.0)
                share += index * each * self.usage.unit(self.now) / WEIGHTS[known.user]
                ranks.append((-height, share, self.place(job)))
        ranks.sort()
        for one, two in pairwise(ranks):  # as good as equal: the sums may be rounded otherwise
            self.close = self.close or (one[0] == two[0] and one[1] == pytest.approx(two[1], rel=1e-9))
        return [place[-1] for *_, place in ranks]

    def ordered(self) -> list[str]:
        self.close = False
        playing = [job for job, known in self.model.items() if known.where == "playing"]
        held = [job for job, known in self.model.items() if known.where in (*READY, *UNREADY) and self.held(job)]
        held.sort(key=lambda job: (-self.model[job].priority, self.place(job)))
        parked = [job for job, known in self.model.items() if known.where == "parked"]
        return [*playing, *held, *self.projected(), *parked]

    def move(self, job_id: str, where: str) -> None:
        known = self.model.pop(job_id) if where == "playing" else self.model[job_id]
        self.model[job_id] = known._replace(where=where)

    @rule(seconds=st.floats(0.1, 30.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(user=st.sampled_from(USERS), seconds=st.floats(0.0, 40.0))
    def charge(self, user: str, seconds: float) -> None:
        self.usage.charge(user, seconds, 0, self.now)

    @rule(mode=st.sampled_from(list(QueueMode)))
    def set_mode(self, mode: QueueMode) -> None:
        self.queue.mode = mode

    @rule(at=st.one_of(st.just(None), st.floats(0.0, 60.0)))
    def book(self, at: float | None) -> None:
        self.at = self.queue.booked = NEVER if at is None else self.now + at

    @rule(priority=st.integers(-2, 2), session=st.sampled_from(SESSIONS), user=st.sampled_from(USERS),
          seconds=st.floats(0.0, 20.0))  # fmt: skip
    def add(self, priority: int, session: str, user: str, seconds: float) -> None:
        self.count += 1
        job_id, user = f"job {self.count}", owner(session, user)
        self.queue.add(job_id, priority, session, user=user, created=self.now, seconds=seconds)
        kind = priority, session
        firsts = [known.first for known in self.model.values() if session and (known.priority, known.session) == kind]
        first = min(firsts, default=self.count)
        where = "parked" if session in self.booked else "waiting"
        self.model[job_id] = Known(priority, self.count, session, user, self.now, seconds, first, where)

    @rule()
    def take_to_compile(self) -> None:
        ready = [job for job, known in self.model.items() if known.where == "ready"]
        able = [job for job in ready if (self.held(job) if self.holder else self.may_start(job))]
        expected = self.expected("waiting", "compile")
        if expected is not None and len(able) >= LOOKAHEAD:
            highest = max(self.model[job].priority for job in ready if not self.held(job)) if not self.holder else 99
            if len(able) > LOOKAHEAD or self.model[expected].priority <= highest:
                expected = None
        if len(ready) > 4 * LOOKAHEAD:
            expected = None
        assert self.queue.take_to_compile(self.now) == expected
        if expected is not None:
            known = self.model[expected]
            self.move(expected, "compiling")
            self.turns["compile"][known.user, known.priority] = self.now
            self.batches["compile"] = known.session

    @precondition(lambda self: any(known.where == "compiling" for known in self.model.values()))
    @rule(again=st.booleans(), seconds=st.one_of(st.none(), st.floats(0.0, 5.0)))
    def compiled(self, again: bool, seconds: float | None) -> None:
        job_id = next(job for job in self.ordered() if self.model[job].where == "compiling")
        if again:
            self.queue.compile_again(job_id)
        else:
            self.queue.compiled(job_id, seconds)
            if seconds is not None:
                self.model[job_id] = self.model[job_id]._replace(seconds=seconds)
        self.move(job_id, "waiting" if again else "ready")

    @rule()
    def take_to_play(self) -> None:
        expected = self.expected("ready", "play")
        assert self.queue.take_to_play(self.now) == expected
        if expected is not None:
            known = self.model[expected]
            self.move(expected, "playing")
            self.turns["play"][known.user, known.priority] = self.now
            self.batches["play"] = known.session

    @precondition(lambda self: any(known.where == "playing" for known in self.model.values()))
    @rule(seconds=st.floats(0.0, 20.0))
    def play_again(self, seconds: float) -> None:
        job_id = next(job for job, known in self.model.items() if known.where == "playing")
        self.queue.play_again(job_id, seconds)
        self.model[job_id] = self.model[job_id]._replace(seconds=seconds, where="ready")

    @rule(session=st.sampled_from(SESSIONS))
    def hold(self, session: str) -> None:
        self.queue.hold(session)
        self.holder = session
        self.unpark(session)

    @precondition(lambda self: set(SESSIONS[1:]) - {known.session for known in self.model.values()} - {self.holder})
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        free = set(SESSIONS[1:]) - {known.session for known in self.model.values()} - {self.holder}
        session = data.draw(st.sampled_from(sorted(free)))
        self.queue.book(session)
        self.booked.add(session)

    def unpark(self, session: str) -> None:
        self.booked.discard(session)
        for job, known in self.model.items():
            if known.where == "parked" and known.session == session:
                self.model[job] = known._replace(where="waiting")

    @rule(session=st.sampled_from(SESSIONS[1:]))
    def release(self, session: str) -> None:
        self.queue.release(session)
        self.holder = "" if self.holder == session else self.holder
        self.unpark(session)
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
        self.queue.play_again(job_id, 1.0)
        del self.model[job_id]

    @invariant()
    def agrees(self) -> None:
        order = self.ordered()
        assert len(self.queue) == len(order)
        found = self.queue.order(self.now)
        assert sorted(found) == sorted(order)
        if not self.close:
            assert found == order
        assert [self.queue.position(job, self.now) for job in found] == list(range(len(found)))
        assert all((job in self.queue) == (job in self.model) for job in map("job {}".format, range(self.count + 1)))
        for session in SESSIONS[1:]:
            mine = sorted((known.number, job) for job, known in self.model.items() if known.session == session)
            assert self.queue.members(session) == [job for _, job in mine]
            free = self.queue.mode is QueueMode.OPEN and session not in self.booked
            no_other = not mine if self.holder else (not order and free)
            assert self.queue.empty_for(session) == (no_other and self.holder in ("", session))


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(deadline=None)


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
            job, priority, batch = come.pop(0)
            queue.add(job, priority, batch, user=batch or chance.choice("xy"), seconds=1.0)
            continue
        while (job := queue.take_to_compile(0.0)) is not None:
            queue.compiled(job)
        job = queue.take_to_play(0.0)
        assert job is not None
        played.append(job)
        queue.usage.charge("ab"[chance.random() < 0.5], 1.0, 0, 0.0)
        queue.remove(job)
        left.append({kinds[other] for other in queue.order(0.0)})
    for before, others, after in zip(played, left, played[1:], strict=False):
        if kinds[before][1] and kinds[before] in others:
            assert kinds[after] == kinds[before] or kinds[after][0] > kinds[before][0], (before, after, played)
