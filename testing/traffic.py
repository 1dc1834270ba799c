"""Made-up traffic of a month on one rack, played by the scheduler of the daemon on a clock that jumps.

Nothing is compiled and nothing is played: a job is its chunks' seconds. All else is the daemon's own: the queue, whose
turn it is, what counts of what somebody has used, when a session begins and ends.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from pulsed.daemon.jobs.policy import NEVER
from pulsed.daemon.jobs.scheduler import LOOKAHEAD, Scheduler
from pulsed.daemon.jobs.usage import Usage
from pulsed.model.policies import Sharing
from pulsed.model.session import SessionInfo, SessionMode, deadline, started

HOUR, DAY = 3600.0, 86400.0
CHUNK = 30.0
"""Seconds of a chunk at most."""
LONGEST = 600.0
"""Seconds of a job at most."""
SESSION, SILENCE = HOUR, 300.0
"""Seconds of a session at most, and without a job."""
CHECK = 50
"""Priority of calibration checks on a rack that is never idle."""
LOW = -2
USERS = 9
"""Who have turns of their own: the four, eve, gil, fay, hal and the checks."""
WEIGHTS = {"ann": 4.0, "bob": 2.0, "cho": 1.0, "dan": 1.0}
"""Users who always have jobs in the queue, and their shares."""
AWAY = (10 * DAY, 18 * DAY)
"""From when to when the first of them is away."""
LINE = 4
"""Jobs that each of them has in the queue."""


class Piece(NamedTuple):
    """One job of the traffic."""

    at: float
    number: int
    user: str
    seconds: float
    priority: int = 0
    session_id: str = ""


class TimeOnRack(NamedTuple):
    """One stretch on the rack."""

    user: str
    session_id: str
    start: float
    end: float


@dataclass
class MonthReport:
    """What came of it; times in seconds."""

    days: float
    turns: list[TimeOnRack] = field(default_factory=list)
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By user, from submission to start."""
    bound_used: float = 0.0
    """Largest wait for a turn over its bound."""
    longest: float = 0.0
    """Longest wait for a turn."""
    sessions: list[tuple[str, float, float]] = field(default_factory=list)
    """Id, start and end of each that had the rack."""
    late: list[float] = field(default_factory=list)
    """Seconds by which booked sessions began after their time."""
    jobs: int = 0
    stops: int = 0
    """Of jobs between two chunks."""

    def rack_seconds(self, start: float, end: float) -> dict[str, float]:
        """Return what each user had of the rack between two times."""
        found: dict[str, float] = defaultdict(float)
        for turn in self.turns:
            found[turn.user] += max(0.0, min(turn.end, end) - max(turn.start, start))
        return found

    def share_error(self, start: float, end: float, users: tuple[str, ...]) -> float:
        """Return the largest relative error of the shares of users who always waited between two times."""
        had = self.rack_seconds(start, end)
        total, weights = sum(had[user] for user in users), sum(WEIGHTS[user] for user in users)
        return max(abs(had[user] / total * weights / WEIGHTS[user] - 1) for user in users)

    def errors(self) -> dict[tuple[float, float], float]:
        """Return the share error of each time, in days, in which the same users always waited.

        The first day after somebody comes back is left out: they catch up. They do so for two, since those who wait
        have turns by ageing meanwhile; the second day counts against the figure.
        """
        everybody = tuple(WEIGHTS)
        spans = [(0.0, AWAY[0], everybody), (AWAY[0], AWAY[1], everybody[1:]), (AWAY[1] + DAY, math.inf, everybody)]
        cut = [(start, min(end, self.days * DAY), users) for start, end, users in spans]
        return {
            (start / DAY, end / DAY): self.share_error(start, end, users)
            for start, end, users in cut if end - start >= DAY
        }  # fmt: skip

    def broken(self) -> list[TimeOnRack]:
        """Return every stretch of another in the time of a session."""
        found = []
        for session_id, start, end in self.sessions:
            found += [
                turn for turn in self.turns
                if turn.session_id != session_id and turn.start < end - 1e-6 and turn.end > start + 1e-6
            ]  # fmt: skip
        return found

    def lines(self) -> Iterator[str]:
        """Yield the figures."""
        busy = sum(turn.end - turn.start for turn in self.turns) / (self.days * DAY)
        yield f"{self.days:g} days, {self.jobs} jobs, {self.stops} stops between chunks, rack busy {100 * busy:.1f} %"
        for (start, end), error in self.errors().items():
            yield f"share error of those who always wait, day {start:g} to {end:g}: {100 * error:.2f} %"
        yield f"longest wait for a turn {self.longest / HOUR:.2f} h, at most {100 * self.bound_used:.0f} % of its bound"
        yield (
            f"sessions that had the rack {len(self.sessions)}, broken {len(self.broken())}, "
            f"booked ones late by at most {max(self.late, default=0.0):.1f} s"
        )
        for user, waits in sorted(self.waits.items()):
            ordered = sorted(waits)
            half, most = ordered[len(ordered) // 2], ordered[-1]
            tail = ordered[int(0.95 * len(ordered))]
            said = f"waited {half:6.0f} s (median), {tail:6.0f} s (95 %), {most:6.0f} s at most"
            yield f"{user:8} {len(waits):6} jobs, {said}"


class Month:
    """One rack, from day 0 on.

    Args:
        days: how long.
        seed: of the traffic.

    """

    def __init__(self, days: float, seed: int = 1) -> None:
        self.random, self.report = random.Random(seed), MonthReport(days)
        sharing = Sharing(users=WEIGHTS)
        self.usage = Usage(sharing.half_life, lambda user: sharing.weight(user, ""))
        self.queue = Scheduler(sharing, self.usage)
        self.now, self.end = 0.0, days * DAY
        self._pieces: dict[str, Piece] = {}
        self._left: dict[str, list[float]] = {}
        """By job, the seconds of the chunks that have not been played."""
        self._turns: dict[tuple[str, int], float] = {}
        self._sessions: dict[str, SessionInfo] = {}
        self._plans: dict[str, int] = {}
        """By session, jobs that are still to come: each when the one before has come back."""
        self._idle_since = 0.0
        self._counter = 0
        self._coming: list[Piece] = list(self._arrivals())
        heapq.heapify(self._coming)
        self._bookings = [
            (day * DAY + 14 * HOUR, f"booked {day}") for day in range(math.ceil(days)) if day % 7 < 5
        ]  # fmt: skip

    def run(self) -> MonthReport:
        """Return what came of it."""
        while self.now < self.end:
            self._happen()
            while (job_id := self.queue.take_to_compile(self.now)) is not None:
                left = self._left[job_id]
                self.queue.compiled(job_id, left[0])
            job_id = self.queue.take_to_play(self.now)
            if job_id is None:
                self.now = max(self.now + 1e-3, self._next_event())
            else:
                self._play(job_id)
        return self.report

    def _arrivals(self) -> Iterator[Piece]:
        """Yield the jobs of those who come and go: short ones by day, low ones at night, checks, and sessions."""
        for day in range(math.ceil(self.report.days)):
            morning = day * DAY + 9 * HOUR
            for _ in range(60):
                yield self._piece(morning + self.random.uniform(0, 8 * HOUR), "eve", self.random.uniform(2, 60))
            for _ in range(2):
                yield self._piece(day * DAY + 20 * HOUR, "gil", self.random.uniform(30, 300), LOW)
            for check in range(2):
                for _ in range(10):
                    yield self._piece(day * DAY + check * 12 * HOUR, "checks", self.random.uniform(5, 30), CHECK)
            for hour in (10, 16):
                yield self._piece(day * DAY + hour * HOUR, "fay", 20.0, 0, f"session {day} {hour}")

    def _piece(self, at: float, user: str, seconds: float, priority: int = 0, session_id: str = "") -> Piece:
        self._counter += 1
        return Piece(at, self._counter, user, seconds, priority, session_id)

    def _happen(self) -> None:
        """Let everything happen that is due: jobs come in, sessions end and begin."""
        while self._coming and self._coming[0].at <= self.now:
            self._submit(heapq.heappop(self._coming))
        for user in WEIGHTS:
            away = user == "ann" and AWAY[0] <= self.now < AWAY[1]
            waiting = 0 if away else sum(self._pieces[job].user == user for job in self._pieces)
            for _ in range(0 if away else LINE - waiting):
                self._submit(self._piece(self.now, user, self.random.uniform(60, LONGEST)))
        holder = self._sessions.get(self.queue.holder)
        if holder is not None and self.now >= deadline(holder, bool(self.queue.members(holder.session_id))):
            self._end(holder)
        while self._bookings and self._bookings[0][0] - 2 * HOUR <= self.now and self.queue.booked == NEVER:
            start, session_id = self._bookings.pop(0)
            self._sessions[session_id] = SessionInfo(
                session_id, "rack", SessionMode.SESSION, "hal", self.now, SESSION, SILENCE, start=start
            )
            self.queue.book(session_id)
            self.queue.booked = start
            self._plans[session_id] = 25
            self._submit(self._piece(self.now, "hal", 40.0, 0, session_id))
        if self.queue.booked <= self.now and not self.queue.holder:
            found = next(info for info in self._sessions.values() if info.start == self.queue.booked)
            self._begin(msgspec.structs.replace(started(found, found.start or 0.0), touched=self.now))
            self.report.late.append(self.now - self.queue.booked)
            self.queue.booked = NEVER

    def _submit(self, piece: Piece) -> None:
        job_id = f"{piece.number}"
        self._pieces[job_id] = piece
        count = math.ceil(piece.seconds / CHUNK)
        self._left[job_id] = [piece.seconds / count] * count
        if piece.session_id and piece.session_id not in self._sessions:
            self._sessions[piece.session_id] = SessionInfo(
                piece.session_id, "rack", SessionMode.SESSION, piece.user, piece.at, SESSION, SILENCE, touched=piece.at
            )
            self._plans[piece.session_id] = 30
        self.queue.add(
            job_id, piece.priority, piece.session_id, user=piece.user, created=piece.at, seconds=piece.seconds
        )

    def _play(self, job_id: str) -> None:
        piece, left = self._pieces[job_id], self._left[job_id]
        info = self._sessions.get(piece.session_id)
        if info is not None and info.started is None:
            self._begin(started(info, self.now, self.queue.booked))
        self._measure(job_id, piece)
        start = self.now
        while True:
            self.now += left.pop(0) * self.random.uniform(0.95, 1.0)
            self._happen_to_others()
            if not left:
                break
            if self.queue.gives_way(job_id, left[0], self.now):
                self.queue.play_again(job_id, left[0])
                self.report.stops += 1
                break
        self._charge(piece, start)
        if not left:
            self.queue.remove(job_id)
            del self._pieces[job_id], self._left[job_id]
            self._think(piece)

    def _happen_to_others(self) -> None:
        """Between two chunks: what others hand in is compiled beside it, as far as there is room."""
        self._happen()
        while (job_id := self.queue.take_to_compile(self.now)) is not None:
            self.queue.compiled(job_id, self._left[job_id][0])

    def _measure(self, job_id: str, piece: Piece) -> None:
        """Compare the wait for this turn with its bound.

        Those of priority 0 are the highest that always come, so that it is (0 - p + 1) ageing and a turn of each user,
        and of what lies ready; beside what checks and sessions took meanwhile, which are few.
        """
        key = (piece.user, piece.priority)
        since = max(piece.at, self._turns.get(key, 0.0))
        self._turns[key] = self.now
        if len(self._left[job_id]) == math.ceil(piece.seconds / CHUNK):
            self.report.jobs += 1
            self.report.waits[piece.user].append(self.now - piece.at)
        if piece.session_id:
            return
        wait = self.now - since
        others = 0.0
        for turn in reversed(self.report.turns):
            if turn.end <= since:
                break
            others += (turn.end - max(turn.start, since)) * (turn.session_id != "" or turn.user == "checks")
        others += sum(max(0.0, end - max(start, since)) for _, start, end in self.report.sessions[-10:])
        turns = (USERS + LOOKAHEAD + 1) * LONGEST
        bound = (1 - piece.priority) * self.queue.sharing.ageing + turns + others
        self.report.longest = max(self.report.longest, wait)
        if piece.priority <= 0:
            self.report.bound_used = max(self.report.bound_used, wait / bound)

    def _charge(self, piece: Piece, start: float) -> None:
        self.report.turns.append(TimeOnRack(piece.user, piece.session_id, start, self.now))
        if piece.session_id and piece.session_id == self.queue.holder:
            start = min(start, self._idle_since)
            self._idle_since = self.now
        self.usage.charge(piece.user, self.now - start, 0, self.now)

    def _think(self, piece: Piece) -> None:
        """The user of a session looks at a result, and hands in the next job."""
        info = self._sessions.get(piece.session_id)
        if info is None:
            return
        self._sessions[piece.session_id] = msgspec.structs.replace(info, touched=self.now)
        self._plans[piece.session_id] -= 1
        if self._plans[piece.session_id] > 0 and info.ends is not None:
            at = self.now + self.random.uniform(5, 60)
            if at + 60.0 < info.ends:
                following = self._piece(at, piece.user, piece.seconds, 0, piece.session_id)
                heapq.heappush(self._coming, following)

    def _begin(self, info: SessionInfo) -> None:
        self._sessions[info.session_id] = info
        self._idle_since = self.now
        self.queue.hold(info.session_id)

    def _end(self, info: SessionInfo) -> None:
        self.usage.charge(info.owner, max(0.0, self.now - self._idle_since), 0, self.now)
        self.report.sessions.append((info.session_id, info.started or 0.0, self.now))
        del self._sessions[info.session_id]
        self.queue.release(info.session_id)

    def _next_event(self) -> float:
        times = [self.end, self.queue.booked, *(piece.at for piece in self._coming[:1])]
        times += [start - 2 * HOUR for start, _ in self._bookings[:1]]
        holder = self._sessions.get(self.queue.holder)
        if holder is not None:
            times.append(deadline(holder, bool(self.queue.members(holder.session_id))))
        return min(times)
