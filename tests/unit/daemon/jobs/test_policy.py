"""The laws of whose turn is next: over random traffic, the choice alone, without queue or daemon."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.daemon.jobs.policy import (
    NEVER,
    Candidate,
    QueuedJob,
    Situation,
    choose,
    gives_way,
    is_played,
    level,
    may_start,
)
from pulsed.daemon.jobs.scheduler import Scheduler
from pulsed.daemon.jobs.usage import Usage
from pulsed.model.policies import Sharing
from pulsed.model.queue import QueueMode

AGEING, LONGEST = 4.0, 2.0
PRIORITIES = (-1, 1)
ARRIVALS = st.lists(
    st.tuples(
        st.floats(0.0, 0.5), st.integers(0, 2), st.integers(*PRIORITIES), st.floats(0.5, LONGEST),
        st.sampled_from(["", "", "batch"]),
    ),
    min_size=1, max_size=100,
)  # fmt: skip
"""Seconds to the next one, user, priority, length, and batch of the user."""


@dataclass
class Line:
    """Jobs of each user and priority, played one by one as :func:`choose` says."""

    weights: dict[str, float]
    half_life: float = 200.0
    ageing: float = AGEING
    now: float = 0.0
    booked: float = NEVER
    batch: str = ""
    played: list[tuple[QueuedJob, float, float]] = field(default_factory=list)
    """Job, since when it was a candidate, and when it started."""

    def __post_init__(self) -> None:
        self.usage = Usage(self.half_life, lambda user: self.weights[user])
        self.streams: dict[tuple[str, int], list[QueuedJob]] = defaultdict(list)
        self.turns: dict[tuple[str, int], float] = {}

    def submit(self, job: QueuedJob) -> None:
        self.streams[job.user, job.priority].append(job)

    def candidates(self) -> list[Candidate]:
        return [
            Candidate(jobs[0], (jobs[0].due, jobs[0].number, jobs[0].number, jobs[0].job_id),
                      max(jobs[0].created, self.turns.get(key, 0.0)))
            for key, jobs in self.streams.items() if jobs
        ]  # fmt: skip

    def situation(self) -> Situation:
        return Situation(self.now, self.ageing, self.usage.shares, batch=self.batch, booked=self.booked)

    def turn(self) -> QueuedJob | None:
        found = choose(self.candidates(), self.situation())
        if found is None:
            return None
        job, key = found.job, (found.job.user, found.job.priority)
        self.streams[key].remove(job)
        self.played.append((job, found.since, self.now))
        self.now += job.seconds
        self.turns[key] = self.now
        self.batch = job.session_id
        self.usage.charge(job.user, job.seconds, 0, self.now)
        return job

    def run(self, arrivals: list[tuple[float, int, int, float, str]]) -> None:
        at = 0.0
        coming = []
        for number, (gap, user, priority, seconds, batch) in enumerate(arrivals):
            at += gap
            name = f"u{user}"
            coming.append(QueuedJob(f"{number}", priority, number, batch and f"{batch} {name}", name, at, seconds))
        while coming or any(self.streams.values()):
            while coming and coming[0].created <= self.now:
                self.submit(coming.pop(0))
            if self.turn() is None:
                self.now = coming[0].created


EVEN = {f"u{user}": 1.0 for user in range(4)}


@given(ARRIVALS)
@settings(deadline=None)
def test_nobody_starves(arrivals: list[tuple[float, int, int, float, str]]) -> None:
    """What is first of its user and priority waits for (P - p + 1) ageing, one turn of each other, and who plays."""
    line = Line(EVEN)
    line.run(arrivals)
    streams = len({(job.user, job.priority) for job, *_ in line.played})
    assert len(line.played) == len(arrivals), "each is played once"
    for job, since, start in line.played:
        bound = (PRIORITIES[1] - job.priority + 1) * AGEING + streams * LONGEST
        assert start - since <= bound, (job, since, start)


def test_a_flood_of_higher_priority_is_overtaken_in_the_end() -> None:
    line = Line(EVEN)
    line.submit(QueuedJob("low", -1, 0, "", "u0", 0.0, 1.0))
    for number in range(1, 200):
        line.submit(QueuedJob(f"{number}", 1, number, "", f"u{number % 3}", 0.0, LONGEST))
    while line.turn() is not None:
        pass
    (start,) = (start for job, _, start in line.played if job.job_id == "low")
    assert 2 * AGEING <= start <= 3 * AGEING + 4 * LONGEST


@given(ARRIVALS)
@settings(deadline=None)
def test_the_highest_level_is_first_and_those_of_one_user_keep_their_order(
    arrivals: list[tuple[float, int, int, float, str]],
) -> None:
    line, number = Line(EVEN), {}
    for index, (_, user, priority, seconds, batch) in enumerate(arrivals):
        name = f"u{user}"
        line.submit(QueuedJob(f"{index}", priority, index, batch and f"{batch} {name}", name, 0.0, seconds))
    while any(line.streams.values()):
        waiting, now = line.candidates(), line.now
        job = line.turn()
        assert job is not None
        assert number.setdefault((job.user, job.priority), -1) < job.number
        number[job.user, job.priority] = job.number
        levels = {one.job.job_id: level(one.job.priority, one.since, now, AGEING) for one in waiting}
        assert levels[job.job_id] == max(levels.values())


@given(
    st.lists(st.tuples(st.integers(0, 2), st.one_of(st.none(), st.floats(0, 30)), st.floats(0.1, 2)), max_size=30),
    st.floats(0, 40),
)  # fmt: skip
def test_a_due_date_orders_the_jobs_of_its_user_and_is_worth_one_level_and_no_more_to_others(
    jobs: list[tuple[int, float | None, float]], now: float
) -> None:
    queue = Scheduler(Sharing(ageing=AGEING))
    for number, (who, date, length) in enumerate(jobs):
        queue.add(str(number), 0, user=f"u{who}", created=now, seconds=length, due=date)
    left = {str(number): job for number, job in enumerate(jobs)}
    while left:
        taken = queue.take_to_compile(now)
        assert taken is not None
        user, due, seconds = left.pop(taken)
        mine = [one for one in left.values() if one[0] == user]
        assert all((NEVER if due is None else due) <= (NEVER if one[1] is None else one[1]) for one in mine)
        urgent = due is not None and now >= due - seconds - AGEING
        firsts: dict[int, tuple[int, float | None, float]] = {}
        for _, one in sorted(left.items(), key=lambda item: (item[1][1] is None, item[1][1] or 0, int(item[0]))):
            firsts.setdefault(one[0], one)
        for other in firsts.values():
            if other[0] != user and other[1] is not None and now >= other[1] - other[2] - AGEING:
                assert urgent, "one that has to start now is before those that have not"
        queue.remove(taken)
    assert len(queue) == 0


@pytest.mark.parametrize(
    ("priority", "used", "first"), [(0, 0.0, "due"), (1, 0.0, "other"), (1, 9.0, "due"), (2, 9.0, "other")]
)
def test_a_due_date_is_worth_one_priority(priority: int, used: float, first: str) -> None:
    """At the same level the shares decide, as ever."""
    jobs = QueuedJob("due", 0, 1, "", "u0", due=1.0), QueuedJob("other", priority, 2, "", "u1")
    waiting = [Candidate(job, (job.due, job.number, job.number, job.job_id), 0.0) for job in jobs]
    found = choose(waiting, Situation(0.0, AGEING, {"u0": 1.0, "u1": used}))
    assert found is not None
    assert found.job.job_id == first


def test_what_is_held_plays_for_nobody() -> None:
    held = Situation(0.0, AGEING, {}, operators=frozenset({"u0"}), held="a lid is open")
    job = QueuedJob("a", 100, 1, "", "u0")
    assert not is_played("u0", held)
    assert not may_start("u0", 0.0, held)
    assert choose([Candidate(job, (NEVER, 1, 1, "a"), 0.0)], held) is None
    assert gives_way(job, 1.0, held, holder="", highest=None) == "a lid is open"


def test_a_flood_of_due_dates_is_overtaken_in_the_end() -> None:
    line = Line(EVEN)
    line.submit(QueuedJob("none", 0, 0, "", "u0", 0.0, 1.0))
    for number in range(1, 200):
        line.submit(QueuedJob(f"{number}", 0, number, "", f"u{1 + number % 3}", 0.0, LONGEST, due=0.0))
    while line.turn() is not None:
        pass
    (start,) = (start for job, _, start in line.played if job.job_id == "none")
    assert AGEING <= start <= 2 * AGEING + 4 * LONGEST, "one level, and one more for the due date"


@given(
    st.lists(st.floats(1.0, 4.0), min_size=2, max_size=4), st.lists(st.floats(0.05, 1.0), min_size=1, max_size=20),
    st.sampled_from([30.0, 1e9]),
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_users_that_always_wait_get_their_shares(weights: list[float], lengths: list[float], half_life: float) -> None:
    """However long their jobs are: use over weight differs by no more than a job of each, and ageing never decides."""
    shares = {f"u{user}": weight for user, weight in enumerate(weights)}
    line = Line(shares, half_life, ageing=1e6)
    number = 0
    for _ in range(400):
        for user in range(len(weights)):
            while len(line.streams[f"u{user}", 0]) < 2:
                number += 1
                seconds = lengths[(number * (user + 1)) % len(lengths)]
                line.submit(QueuedJob(f"{number}", 0, number, "", f"u{user}", line.now, seconds))
        assert line.turn() is not None
    unit = line.usage.unit(line.now)
    used = {user: line.usage.shares.get(user, 0.0) / unit for user in shares}
    bound = max(lengths) / min(weights)
    assert max(used.values()) - min(used.values()) <= bound * 1.000001


@given(st.floats(0.1, 10.0), st.floats(0.0, 20.0), st.floats(0.0, 20.0))
def test_nothing_starts_that_would_run_into_a_booked_session(seconds: float, booked: float, now: float) -> None:
    job = QueuedJob("a", 100, 1, "", "u0", 0.0, seconds)
    situation = Situation(now, AGEING, {}, booked=booked)
    found = choose([Candidate(job, (NEVER, 1, 1, "a"), 0.0)], situation)
    assert (found is not None) == (now + seconds <= booked) == may_start("u0", seconds, situation)


@pytest.mark.parametrize(
    ("mode", "mine", "operators"),
    [("open", True, True), ("paused", False, False), ("draining", True, True), ("locked", False, True)],
)
def test_the_mode_decides_who_plays(mode: str, mine: bool, operators: bool) -> None:
    situation = Situation(0.0, AGEING, {}, QueueMode(mode), frozenset({"operator"}))
    assert (is_played("me", situation), is_played("operator", situation)) == (mine, operators)
    for user, plays in (("me", mine), ("operator", operators)):
        job = QueuedJob("a", 0, 1, "", user)
        assert (choose([Candidate(job, (NEVER, 1, 1, "a"), 0.0)], situation) is not None) == plays


def test_a_job_gives_way_between_chunks() -> None:
    job = QueuedJob("long", 1, 1, "mine", "me")
    free = Situation(100.0, AGEING, {})
    goes_on = gives_way(job, 10.0, free, holder="", highest=1)
    assert goes_on == ""
    assert gives_way(job, 10.0, free, holder="mine", highest=5) == "", "its session has the rack"
    assert "priority 2" in gives_way(job, 10.0, free, holder="", highest=2)
    assert "session other" in gives_way(job, 10.0, free, holder="other", highest=None)
    assert "paused" in gives_way(job, 10.0, free._replace(mode=QueueMode.PAUSED), holder="mine", highest=None)
    assert "booked" in gives_way(job, 10.0, free._replace(booked=109.0), holder="mine", highest=None)
    assert gives_way(job, 10.0, free._replace(booked=110.0), holder="", highest=None) == ""
