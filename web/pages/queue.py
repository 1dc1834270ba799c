"""The queue: jobs as they wait, play and end, sessions, and the mode of the queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pulsed.client import Client
from pulsed.model.errors import InvalidValueError
from pulsed.model.job import FINAL_STATES, JobInfo
from pulsed.model.queue import QueueMode
from pulsed.model.session import SessionInfo, SessionState, holds_rack, is_booked
from pulsed.web.site import Site, field
from pulsed.wire.messages import Cancel, Progress
from pulsed.wire.queue_messages import SetQueue
from pulsed.wire.roles import OTHERS_JOBS, check_owner
from pulsed.wire.session_messages import CloseSession

ENDED_SHOWN = 40
"""Jobs that have ended and are shown."""
_BEFORE, _AFTER = 3600.0, 11 * 3600.0
"""Seconds of the calendar before and after now."""
MODES = {
    "pause": (QueueMode.PAUSED, "Pause", "No job starts; one that plays stops after its chunk. Jobs are accepted."),
    "drain": (QueueMode.DRAINING, "Drain", "No job is accepted; those in the queue are played."),
    "lock": (QueueMode.LOCKED, "Lock", "Jobs of operators alone are accepted and played; those of others wait."),
}
"""By the name of the command: the mode, its button, and what it does."""


@dataclass(frozen=True)
class SessionBar:
    """A session on the calendar; lengths in percent of its width."""

    session: SessionInfo
    word: str
    """``booked``, ``running``, ``open``, ``closing`` or ``ended``."""
    left: float
    width: float
    row: int


def session_word(session: SessionInfo) -> str:
    """Return how a session stands, in one word."""
    if session.state is not SessionState.OPEN:
        return str(session.state)
    return "booked" if is_booked(session) else "running" if holds_rack(session) else "open"


def calendar(sessions: Sequence[SessionInfo], now: float) -> list[SessionBar]:
    """Return where sessions stand between an hour ago and eleven hours from now, each on a row of its own."""
    bars: list[SessionBar] = []
    for session in sorted(sessions, key=lambda one: one.start or one.started or one.created):
        begins = session.started or session.start or session.created
        ends = session.ended or session.ends or begins + session.max_time
        left, right = (max(0.0, min(1.0, (t - now + _BEFORE) / (_BEFORE + _AFTER))) for t in (begins, ends))
        if right > left:
            bars.append(SessionBar(session, session_word(session), 100 * left, 100 * (right - left), len(bars)))
    return bars


def hours(now: float) -> list[tuple[float, str]]:
    """Return the full hours of the calendar: where, in percent, and the local time."""
    first = (now - _BEFORE) // 3600 * 3600 + 3600
    marks = [first + 3600 * k for k in range(int((_BEFORE + _AFTER) // 3600))]
    return [(100 * (t - now + _BEFORE) / (_BEFORE + _AFTER), time.strftime("%H:%M", time.localtime(t))) for t in marks]


def share(job: JobInfo | None, progress: Progress | None) -> float:
    """Return how much of a job has been played, 0 to 1."""
    if job is None or not job.chunks:
        return 0.0
    under_way = progress.fraction if progress is not None and progress.job_id == job.job_id else 0.0
    return min(1.0, (job.chunks_done + under_way) / job.chunks)


def routes(site: Site) -> list[Route]:
    """Return the routes."""
    lab = site.lab

    def recent() -> list[JobInfo]:
        return lab.keep("queue jobs", lambda client: client.jobs(limit=ENDED_SHOWN + 60))

    def on_rack() -> JobInfo | None:
        running = lab.status.running if lab.status else ""
        return lab.keep(f"queue job {running}", lambda client: client.job(running)) if running else None

    def show(request: Request) -> Response:
        jobs, now = recent(), time.time()
        sessions = lab.keep("queue sessions", lambda client: client.sessions(ended=True, limit=50))
        queue, playing = lab.queue(), on_rack()
        ended = [job for job in jobs if job.state in FINAL_STATES][:ENDED_SHOWN]
        return site.page(
            request, "queue.html", queue=queue, playing=playing, share=share(playing, lab.progress), ended=ended,
            names={job.job_id: job.name for job in jobs}, bars=calendar(sessions, now), hours=hours(now),
            now_at=100 * _BEFORE / (_BEFORE + _AFTER), modes=MODES,
            may_set=lab.may(request.state.visitor, SetQueue(0, QueueMode.OPEN)),
            may_cancel=lab.may(request.state.visitor, Cancel(0, "")),
        )  # fmt: skip

    def progress(request: Request) -> Response:
        playing = on_rack()
        return site.page(request, "progress.html", playing=playing, share=share(playing, lab.progress))

    def set_mode(request: Request) -> Response:
        name = request.state.form.get("mode", "")
        if name == "resume":
            lab.check(request.state.visitor, SetQueue(0, QueueMode.OPEN)).set_queue(QueueMode.OPEN)
            return site.done("/queue", "The queue is open again.")
        if name not in MODES:
            raise InvalidValueError("no such mode", subject="queue", value=name, legal=", ".join([*MODES, "resume"]))
        reason = field(request.state.form, "reason", "a sentence, told to everybody")
        found = lab.check(request.state.visitor, SetQueue(0, MODES[name][0], reason)).set_queue(MODES[name][0], reason)
        return site.done("/queue", found.control.sentence().capitalize() + ".")

    def job(request: Request) -> Response:
        job_id, client = request.path_params["job_id"], lab.client
        info = client.job(job_id)
        return site.page(
            request, "job.html", job=info, log=client.job_log(info.job_id), share=share(info, lab.progress),
            may_cancel=info.state not in FINAL_STATES and lab.may(request.state.visitor, Cancel(0, job_id)),
        )  # fmt: skip

    def checked(request: Request, message: Cancel | CloseSession, owner: str, name: str, what: str) -> Client:
        client = lab.check(request.state.visitor, message)
        role = lab.role(request.state.visitor)
        if role < OTHERS_JOBS:
            check_owner(name, owner, client.greeting.user, role, what)
        return client

    def cancel(request: Request) -> Response:
        info = lab.client.job(request.path_params["job_id"])
        client = checked(request, Cancel(0, info.job_id), info.owner, info.job_id, "job")
        done = client.cancel(info.job_id)
        said = f"Job {info.job_id} is cancelled." if done else f"Job {info.job_id} had ended before."
        return site.done("/queue", said)

    def close_session(request: Request) -> Response:
        found = lab.client.session(request.path_params["session_id"])
        message = CloseSession(0, found.session_id)
        client = checked(request, message, found.owner, found.session_id, "session")
        client.close_session(found.session_id)
        return site.done("/queue", f"Session {found.session_id} takes no more jobs.")

    return [
        Route("/queue", show),
        Route("/queue/progress", progress),
        Route("/queue/mode", set_mode, methods=["POST"]),
        Route("/jobs/{job_id}", job),
        Route("/jobs/{job_id}/cancel", cancel, methods=["POST"]),
        Route("/sessions/{session_id}/close", close_session, methods=["POST"]),
    ]
