import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.job import JobInfo, JobState
from pulsed.model.session import SessionInfo, SessionMode, SessionState
from pulsed.web.pages.queue import calendar, hours, session_word, share
from pulsed.wire.messages import Progress

NOW = 1.8e9


def session(name="s", **fields) -> SessionInfo:
    return SessionInfo(name, "sim5", SessionMode.SESSION, "ann", fields.pop("created", NOW), 3600.0, 60.0, **fields)


def test_a_booked_session_stands_where_it_will_be():
    (bar,) = calendar([session(start=NOW + 3600)], NOW)
    assert bar.word == "booked"
    assert (bar.left, bar.width) == (pytest.approx(100 * 2 / 12), pytest.approx(100 / 12))


def test_the_words_of_sessions():
    assert session_word(session()) == "open"
    assert session_word(session(started=NOW, ends=NOW + 9)) == "running"
    assert session_word(session(state=SessionState.CLOSING, started=NOW)) == "closing"
    assert session_word(session(state=SessionState.ENDED, ended=NOW)) == "ended"


@given(
    st.floats(-1e5, 1e5),
    st.one_of(st.none(), st.floats(-1e5, 1e5)),
    st.one_of(st.none(), st.floats(-1e5, 1e5)),
    st.one_of(st.none(), st.floats(-1e5, 1e5)),
)
def test_nothing_stands_beside_the_calendar(created, start, started, ended):
    def at(t):
        return None if t is None else NOW + t

    one = session(created=at(created), start=at(start), started=at(started), ended=at(ended))
    for bar in calendar([one], NOW):
        assert bar.left >= 0
        assert bar.width > 0
        assert bar.left + bar.width <= 100 + 1e-9


def test_the_hours_are_an_hour_apart():
    places = [place for place, _ in hours(NOW)]
    assert len(places) == 12
    assert all(0 <= place <= 100 for place in places)
    assert {round(b - a, 6) for a, b in itertools.pairwise(places)} == {round(100 / 12, 6)}


def test_progress_counts_the_chunk_that_is_played_and_of_this_job_alone():
    job = JobInfo("j", "sim5", JobState.RUNNING, "ann", NOW, chunks=4, chunks_done=1)
    assert share(job, None) == 0.25
    assert share(job, Progress(1, "j", 1, 4, "play", 0.5)) == 0.375
    assert share(job, Progress(1, "other", 1, 4, "play", 0.5)) == 0.25
    assert share(None, None) == share(JobInfo("j", "sim5", JobState.QUEUED, "ann", NOW), None) == 0.0
