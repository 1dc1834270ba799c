import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.errors import IllegalStepError
from pulsed.model.session import (
    SESSION_STEPS,
    SessionEnd,
    SessionInfo,
    SessionMode,
    SessionState,
    deadline,
    due,
    holds_rack,
    resumed,
    started,
    with_state,
)


def session(mode=SessionMode.SESSION, **fields):
    return SessionInfo("s", "sim5", mode, "me", 100.0, 60.0, 5.0, touched=100.0, seen=100.0, **fields)


times = st.floats(0, 1000)


def test_every_step_is_taken_or_refused_by_the_table():
    for state in SessionState:
        for wanted in SessionState:
            if wanted in SESSION_STEPS[state]:
                assert with_state(session(state=state), wanted).state is wanted
            else:
                with pytest.raises(IllegalStepError, match="session s"):
                    with_state(session(state=state), wanted)


def test_it_holds_the_rack_from_its_first_job_to_its_end():
    fresh = session()
    assert not holds_rack(fresh)
    running = started(fresh, 110.0)
    assert holds_rack(running)
    assert (running.started, running.ends) == (110.0, 170.0)
    closing = with_state(running, SessionState.CLOSING)
    assert holds_rack(closing)
    assert not holds_rack(with_state(closing, SessionState.ENDED))
    assert not holds_rack(started(session(SessionMode.BATCH), 110.0))


@pytest.mark.parametrize("mode", SessionMode)
def test_each_way_to_end(mode):
    fresh = session(mode)
    assert due(fresh, False, 159.9) is None
    assert due(fresh, False, 160.0) is SessionEnd.TIME, "it was never used"
    assert due(fresh, True, 1e9) is None, "its time begins with its first job"
    running = started(fresh, 110.0)
    assert due(running, True, 169.9) is None
    assert due(running, True, 170.0) is SessionEnd.TIME
    assert due(running, False, 114.9) is None
    silent = due(running, False, 115.0)
    assert silent is (SessionEnd.SILENCE if mode is SessionMode.SESSION else None), "a batch keeps nobody waiting"
    assert due(running, False, 170.0) is (silent or SessionEnd.TIME), "what came first"
    closing = with_state(running, SessionState.CLOSING)
    assert due(closing, True, 120.0) is None
    assert due(closing, False, 120.0) is SessionEnd.CLOSED
    assert due(closing, True, 170.0) is SessionEnd.TIME


@given(st.sampled_from(SessionMode), st.booleans(), st.booleans(), times, times, times)
def test_it_ends_at_its_deadline_and_not_before(mode, busy, begun, start, touch, now):
    info = session(mode)
    if begun:
        info = msgspec.structs.replace(started(info, start), touched=touch)
    assert (due(info, busy, now) is not None) == (now >= deadline(info, busy))
    if begun:
        assert deadline(info, busy) <= start + info.max_time, "never longer than its time"


@given(st.sampled_from(SessionMode), st.booleans(), times, times, times, times)
def test_time_without_a_daemon_does_not_count(mode, busy, start, used, down, later):
    """A daemon that ends after ``used`` seconds and comes back finds what was left, however long it was away."""
    info = msgspec.structs.replace(started(session(mode), start), seen=start + used)
    again = resumed(info, start + used + down)
    before = deadline(info, busy) - (start + used)
    assert deadline(again, busy) - (start + used + down) == pytest.approx(before, abs=1e-6)
    assert resumed(again, again.seen) == again
    assert resumed(info, info.seen - later) == msgspec.structs.replace(info, seen=info.seen - later), "a clock put back"


def test_one_that_has_not_begun_is_resumed_with_what_it_had_left():
    known = msgspec.structs.replace(session(), touched=90.0)
    later = resumed(known, 500.0)
    assert (later.touched, later.seen, later.ends) == (490.0, 500.0, None)
    assert deadline(later, False) - 500.0 == deadline(known, False) - 100.0
