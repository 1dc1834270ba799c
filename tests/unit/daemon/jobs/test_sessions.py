from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.daemon.jobs import sessions as module
from pulsed.daemon.jobs.scheduler import Scheduler
from pulsed.daemon.jobs.sessions import MOST, MOST_LINED_UP, Sessions
from pulsed.model.errors import InvalidValueError, NotAllowedError, NotFoundError, SessionEndedError
from pulsed.model.policies import Limits
from pulsed.model.session import SessionEnd, SessionInfo, SessionMode, SessionState
from pulsed.store.store import Store

LIMITS = Limits(session_time=100.0, session_silence=8.0)


class StoreDouble:
    """Keeps sessions in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, SessionInfo] = {}

    def write(self, method: Any, info: SessionInfo) -> asyncio.Future[None]:
        assert method is Store.put_session
        self.kept[info.session_id] = info
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    write_later = write

    async def call(self, method: Any, *arguments: Any) -> Any:
        newest = sorted(self.kept.values(), key=lambda info: -info.created)
        if method is Store.session:
            if arguments[0] not in self.kept:
                raise NotFoundError("no such session", subject="rack sim5", value=arguments[0])
            return self.kept[arguments[0]]
        if method is Store.unended_sessions:
            return [info for info in newest if info.state is not SessionState.ENDED]
        assert method is Store.sessions
        limit, start = (*arguments, "")[:2]
        return [info for info in newest if info.session_id.startswith(start)][:limit]

    call_patiently = call


class Rack:
    """Sessions and a queue, on a clock that the test moves; one job plays at a time."""

    def __init__(self, store: StoreDouble | None = None, now: float = 1000.0) -> None:
        self.now = now
        self.store = store or StoreDouble()
        self.queue = Scheduler()
        self.events: list[Any] = []
        self.sessions = Sessions(
            self.store,  # type: ignore[arg-type]
            self.queue,
            self.events.append,
            lambda _: None,
            lambda: None,
        )
        self.playing: tuple[str, str, float] | None = None
        """Job, session, and when it ends."""
        self.of: dict[str, str] = {}
        self.started: list[tuple[str, str, float]] = []

    async def open(self, session_id: str, mode: SessionMode = SessionMode.SESSION, **fields: Any) -> SessionInfo:
        given = {"max_time": 50.0, "user": "me", "backend": "sim5", "limits": LIMITS} | fields
        return await self.sessions.open(session_id, mode, **given)

    def submit(self, job_id: str, session_id: str = "", user: str = "me") -> None:
        with self.sessions.arriving(session_id, user):
            self.of[job_id] = session_id
            self.queue.add(job_id, 0, self.sessions.of_job(session_id))

    def cancel(self, session_id: str) -> list[str]:
        self.sessions.cancel(self.store.kept[session_id], "me")
        gone = [job for job, of in self.of.items() if of == session_id and job in self.queue]
        for job in gone:
            self.queue.remove(job)
        if self.playing is not None and self.playing[0] in gone:
            self.playing = None
        return gone

    def play(self, seconds: float) -> None:
        """Start the next job if the rack is free."""
        if self.playing is not None:
            return
        while (job := self.queue.take_to_compile(self.now)) is not None:
            self.queue.compiled(job)
        job = self.queue.take_to_play(self.now)
        if job is not None:
            self.sessions.begins(self.of[job], self.now)
            self.playing = (job, self.of[job], self.now + seconds)
            self.started.append((job, self.of[job], self.now))

    def move(self, seconds: float, length: float = 1.0) -> None:
        """Let time go by; each job that starts takes ``length``."""
        end = self.now + seconds
        self.play(length)
        while True:
            self.now = min(end, self.sessions.next_look(), end if self.playing is None else self.playing[2])
            if self.playing is not None and self.playing[2] <= self.now:
                job, session_id, _ = self.playing
                self.playing = None
                self.queue.remove(job)
                self.sessions.touch(session_id, self.now)
            self.sessions.look(self.now)
            self.sessions.keep(self.now, 3.0)
            self.play(length)
            if self.now == end and (self.playing is None or self.playing[2] > end):
                return


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    """Run a coroutine of a rack, whose clock is that of the module."""

    def go(rack: Rack, work: Coroutine[Any, Any, None]) -> None:
        monkeypatch.setattr(module.time, "time", lambda: rack.now)
        asyncio.run(work)

    return go


def test_others_wait_from_its_first_job_to_its_silence(run):
    async def work() -> None:
        await rack.open("s")
        rack.submit("first")
        rack.submit("mine", "s")
        rack.submit("other")
        rack.move(2.5)
        assert [job for job, *_ in rack.started] == ["first", "mine"], "it holds the rack, and has nothing to play"
        rack.submit("mine again", "s")
        rack.move(1.0)
        rack.move(7.9)
        assert rack.sessions.holder is not None
        assert [job for job, *_ in rack.started] == ["first", "mine", "mine again"]
        rack.move(0.2)
        assert rack.sessions.holder is None
        assert rack.started[-1][0] == "other"
        assert rack.store.kept["s"].ended_as is SessionEnd.SILENCE

    rack = Rack()
    run(rack, work())


def test_its_time_is_over_while_it_has_jobs_which_stay_in_the_queue(run):
    async def work() -> None:
        await rack.open("s", max_time=10.0)
        for number in range(5):
            rack.submit(f"mine {number}", "s")
        rack.submit("other")
        rack.move(0.0, 4.0)
        assert rack.queue.position("other", rack.now) == 5
        rack.move(11.0, 4.0)
        assert rack.store.kept["s"].ended_as is SessionEnd.TIME
        assert rack.playing is not None
        assert rack.playing[:2] == ("mine 2", "s"), "what plays goes on to its end"
        with pytest.raises(SessionEndedError, match="takes no more jobs; got ended"):
            rack.submit("late", "s")
        rack.move(100.0, 4.0)
        assert [job for job, *_ in rack.started] == [f"mine {k}" for k in range(5)] + ["other"]

    rack = Rack()
    run(rack, work())


@pytest.mark.parametrize("begun", [True, False])
def test_closing_plays_what_there_is_and_cancelling_does_not(run, begun):
    async def work() -> None:
        for session_id in ("close", "cancel"):
            await rack.open(session_id)
            rack.submit(f"{session_id} 1", session_id)
            rack.submit(f"{session_id} 2", session_id)
        rack.submit("other")
        if begun:
            rack.move(0.0)
        closing = rack.sessions.close("close", "ann")
        assert (closing.state, closing.ended_by) == (SessionState.CLOSING, "ann")
        with pytest.raises(SessionEndedError, match="got closing"):
            rack.submit("late", "close")
        assert rack.sessions.close("close", "bob") == closing, "once is enough"
        assert rack.cancel("cancel") == ["cancel 1", "cancel 2"]
        rack.move(5.0)
        assert [job for job, *_ in rack.started] == ["close 1", "close 2", "other"]
        kept = rack.store.kept
        assert (kept["close"].ended_as, kept["close"].ended_by) == (SessionEnd.CLOSED, "ann")
        assert (kept["cancel"].ended_as, kept["cancel"].ended_by) == (SessionEnd.CANCELLED, "me")
        with pytest.raises(NotFoundError, match="has ended"):
            rack.sessions.close("close", "me")
        assert rack.sessions.cancel(kept["close"], "eve") == kept["close"], "it has ended before"
        await rack.open("empty")
        assert rack.sessions.close("empty", "me").ended_as is SessionEnd.CLOSED, "at once"

    rack = Rack()
    run(rack, work())


def test_a_batch_keeps_together_and_keeps_nobody_waiting(run):
    async def work() -> None:
        await rack.open("b", SessionMode.BATCH, max_time=10.0)
        rack.submit("b 1", "b")
        rack.submit("other 1")
        rack.submit("b 2", "b")
        rack.move(2.5)
        assert [job for job, *_ in rack.started] == ["b 1", "b 2", "other 1"]
        rack.submit("other 2")
        rack.submit("b 3", "b")
        rack.move(20.0)
        assert [job for job, *_ in rack.started[3:]] == ["other 2", "b 3"], "it had none in the queue"
        assert rack.store.kept["b"].ended_as is SessionEnd.TIME
        assert rack.sessions.holder is None

    rack = Rack()
    run(rack, work())


def test_who_may_open_and_use_which(run):
    async def work() -> None:
        info = await rack.open("s")
        assert await rack.open("s") == info, "the same id is the same session"
        for terms in ({"max_time": 3.0}, {"mode": SessionMode.BATCH}):
            with pytest.raises(InvalidValueError, match=r"session s: .*other terms.*session of 50 s, or another id"):
                await rack.open("s", **terms)
        await rack.open("over")
        rack.sessions.close("over", "me")
        with pytest.raises(SessionEndedError, match="session over: has ended"):
            await rack.open("over")
        with pytest.raises(NotAllowedError, match="another user"):
            await rack.open("s", user="eve")
        with pytest.raises(NotAllowedError, match="belongs to me"):
            rack.submit("job", "s", user="eve")
        for length in (0.0, -1.0, 100.5, float("nan"), float("inf")):
            with pytest.raises(InvalidValueError, match=r"session t: max_time.*up to 100 s"):
                await rack.open("t", max_time=length)
        assert (await rack.open("t", max_time=None)).max_time == 100.0
        for name in ("", "x" * 65, "a\nb"):
            with pytest.raises(InvalidValueError, match="session_id"):
                await rack.open(name)
        for number in range(MOST - 2):
            await rack.open(f"more {number}")
        with pytest.raises(NotAllowedError, match=f"at most {MOST}"):
            await rack.open("one too many")
        await rack.open("of another", user="eve")
        with pytest.raises(SessionEndedError):
            rack.submit("job", "nowhere")

    rack = Rack()
    run(rack, work())


def test_they_are_found_by_the_beginning_of_their_id(run):
    async def work() -> None:
        for session_id in ("abcd1", "abcd2", "other"):
            await rack.open(session_id)
            rack.now += 1
        rack.sessions.close("other", "me")
        assert (await rack.sessions.look_up("othe")).session_id == "other"
        assert (await rack.sessions.look_up("abcd1")).session_id == "abcd1"
        for start, message in (("abcd", "more than one"), ("abc", "too short"), ("none at all", "no such session")):
            with pytest.raises(NotFoundError, match=message):
                await rack.sessions.look_up(start)
        assert [info.session_id for info in await rack.sessions.listed(ended=False, limit=5)] == ["abcd2", "abcd1"]
        assert [info.session_id for info in await rack.sessions.listed(ended=True, limit=2)] == ["other", "abcd2"]

    rack = Rack()
    run(rack, work())


def test_one_that_is_cancelled_while_a_job_arrives_takes_it_along(run):
    async def work() -> None:
        info = await rack.open("s")
        with rack.sessions.arriving("s", "me") as arrival:
            rack.sessions.cancel(info, "me")
        assert arrival.cancelled, "the one that arrived is told"
        info = await rack.open("over", max_time=5.0)
        with rack.sessions.arriving("over", "me") as arrival:
            rack.sessions.begins("over", rack.now)
            rack.now += 6.0
            rack.sessions.look(rack.now)
            assert rack.store.kept["over"].ended_as is SessionEnd.TIME
            rack.sessions.cancel(info, "me")
        assert arrival.cancelled, "also when the session had its time before"
        await rack.open("t")
        with rack.sessions.arriving("t", "me"):
            assert rack.sessions.close("t", "me").state is SessionState.CLOSING, "not before it is there"
            rack.queue.add("job", 0, rack.sessions.of_job("t"))
        rack.of["job"] = "t"
        rack.move(3.0)
        assert rack.store.kept["t"].ended_as is SessionEnd.CLOSED
        assert not rack.sessions._arriving, "nothing is kept of sessions that have ended"

    rack = Rack()
    run(rack, work())


def test_another_daemon_goes_on_with_what_was_left(run):
    async def first() -> None:
        await rack.open("s", max_time=20.0)
        await rack.open("unused")
        rack.submit("mine", "s")
        rack.move(6.0)
        rack.sessions.keep(rack.now)

    async def second() -> None:
        await later.sessions.recover()
        running = asyncio.create_task(later.sessions.run())
        await asyncio.sleep(0)
        assert later.sessions.holder is not None
        assert later.sessions.holder.ends == later.now + 14.0
        later.submit("other")
        later.submit("mine again", "s")
        later.move(2.5)
        assert [job for job, *_ in later.started] == ["mine again"]
        later.move(42.0)
        assert later.store.kept["s"].ended_as is SessionEnd.SILENCE
        assert later.store.kept["unused"].ended_as is SessionEnd.TIME
        running.cancel()

    rack = Rack()
    run(rack, first())
    later = Rack(rack.store, rack.now + 5000.0)
    run(later, second())


def test_one_user_may_not_line_up_sessions(run):
    async def work() -> None:
        for number in range(MOST_LINED_UP + 1):
            await rack.open(f"s{number}", max_time=5.0)
        await rack.open("batch", SessionMode.BATCH)
        await rack.open("hers", user="eve")
        for number in range(MOST_LINED_UP):
            rack.submit(f"job {number}", f"s{number}")
            rack.submit(f"more {number}", f"s{number}")
        with pytest.raises(
            NotAllowedError, match=rf"key me: .*wait for the rack already: s0, .*at most {MOST_LINED_UP}"
        ):
            rack.submit("refused", f"s{MOST_LINED_UP}")
        rack.submit("in a batch", "batch")
        rack.submit("of none")
        rack.submit("hers", "hers", user="eve")
        rack.move(0.0)
        rack.submit("taken", f"s{MOST_LINED_UP}")

    rack = Rack()
    run(rack, work())


async def opened_at_once(rack: Rack, users: list[str]) -> list[Any]:
    return await asyncio.gather(*(rack.open("s", user=user) for user in users), return_exceptions=True)


def test_of_two_that_open_one_id_at_once_the_second_finds_that_of_the_first(run):
    async def work() -> None:
        first, second = await opened_at_once(rack, ["me", "eve"])
        assert isinstance(second, NotAllowedError)
        assert rack.sessions._infos["s"] == rack.store.kept["s"] == first

    rack = Rack()
    run(rack, work())


def test_the_time_of_a_session_that_has_not_begun_stands_still_without_a_daemon(run):
    async def first() -> None:
        await rack.open("s", max_time=20.0)
        rack.move(6.0)
        rack.sessions.keep(rack.now)

    async def second() -> None:
        await later.sessions.recover()
        running = asyncio.create_task(later.sessions.run())
        await asyncio.sleep(0)
        later.move(13.9)
        assert later.sessions.of_job("s")
        later.move(0.2)
        assert later.store.kept["s"].ended_as is SessionEnd.TIME
        running.cancel()

    rack = Rack()
    run(rack, first())
    later = Rack(rack.store, rack.now + 5000.0)
    run(later, second())


STEPS = st.tuples(
    st.sampled_from(["submit", "submit", "submit", "open", "batch", "close", "cancel", "move", "move"]),
    st.integers(0, 3),
    st.floats(0.1, 30.0),
)


@given(st.lists(STEPS, max_size=60), st.integers(0, 2**32))
@settings(deadline=None)
def test_laws(steps: list[tuple[str, int, float]], seed: int) -> None:
    """A session is never broken, nobody starves, no job is lost, and none lasts longer than its time."""
    rack, chance = Rack(), random.Random(seed)
    cancelled: set[str] = set()
    submitted: list[str] = []

    async def work() -> None:
        for number, (what, which, value) in enumerate(steps):
            known = list(rack.store.kept)
            one = known[which % len(known)] if known else ""
            alive = bool(rack.sessions.of_job(one))
            if what in ("open", "batch") and len(rack.sessions._infos) < MOST:
                mode = SessionMode.BATCH if what == "batch" else SessionMode.SESSION
                await rack.open(f"{what} {number}", mode, max_time=value)
            elif what == "submit":
                opened = alive and rack.store.kept[one].state is SessionState.OPEN and chance.random() < 0.7
                with contextlib.suppress(NotAllowedError):  # too many wait for the rack
                    rack.submit(f"{number}", one if opened else "")
                    submitted.append(f"{number}")
            elif what == "close" and alive:
                rack.sessions.close(one, "me")
            elif what == "cancel" and alive:
                cancelled.update(rack.cancel(one))
            elif what == "move":
                rack.move(value, chance.uniform(0.1, 5.0))
        rack.move(1e4, 1.0)

    original, module.time.time = module.time.time, lambda: rack.now
    try:
        asyncio.run(work())
    finally:
        module.time.time = original
    started = [job for job, *_ in rack.started]
    assert set(started) | cancelled == set(submitted), "no job is lost"
    assert len(set(started)) == len(started)
    assert not rack.sessions._infos
    assert rack.queue.holder == ""
    kept = rack.store.kept
    held = {
        info.session_id: (info.started, info.ended)
        for info in kept.values()
        if info.mode is SessionMode.SESSION and info.started is not None
    }
    place = {job: number for number, job in enumerate(submitted)}
    when_started = {job: when for job, _, when in rack.started}
    free = [job for job, of, _ in rack.started if not of]
    assert free == sorted(free, key=place.__getitem__), "jobs of no session keep their order"
    for session_id, (begun, ended) in held.items():
        assert begun is not None
        assert ended is not None
        assert ended - begun <= kept[session_id].max_time + 1e-6, "none lasts longer than its time"
        for job, of, when in rack.started:
            assert of == session_id or not begun < when < ended, (job, "was played in", session_id)
        first = min(place[job] for job in submitted if rack.of[job] == session_id)
        for job in free:
            assert when_started[job] <= begun or place[job] > first, "nobody who came before is overtaken"
