from rich.console import Console

from pulsed.cli.screens.sessions import as_told, left, sessions_screen, standing
from pulsed.model.session import SessionEnd, SessionInfo, SessionMode, SessionState, started, with_state

FRESH = SessionInfo("abcd-1", "sim5", SessionMode.SESSION, "ann", 100.0, 3600.0, 60.0)
BEGUN = started(FRESH, 200.0)


def test_how_each_is_in_words():
    assert (standing(FRESH), left(FRESH, 1e6)) == ("waits", "1 h 0 min")
    assert (standing(BEGUN), left(BEGUN, 2000.0)) == ("holds the rack", "30 min")
    assert left(BEGUN, 1e6) == left(BEGUN, 3800.0)
    closing = SessionInfo(**{name: getattr(with_state(BEGUN, SessionState.CLOSING), name) for name in
                             BEGUN.__struct_fields__} | {"ended_by": "bob"})  # fmt: skip
    assert standing(closing) == "holds the rack, closed by bob"
    batch = started(SessionInfo("b", "sim5", SessionMode.BATCH, "ann", 0.0, 60.0, 60.0), 5.0)
    assert standing(batch) == "begun"
    ended = SessionInfo("e", "sim5", SessionMode.SESSION, "ann", 0.0, 60.0, 60.0, SessionState.ENDED, ended_by="bob",
                        ended_as=SessionEnd.CANCELLED)  # fmt: skip
    assert (standing(ended), left(ended, 0.0)) == ("ended: cancelled by bob", "")


def test_json_has_the_state_of_every_session():
    closing = with_state(BEGUN, SessionState.CLOSING)
    assert [as_told(one)["state"] for one in (FRESH, closing)] == ["open", "closing"]
    assert as_told(FRESH) == {
        "session_id": "abcd-1", "backend": "sim5", "mode": "session", "owner": "ann", "created": 100.0,
        "max_time": 3600.0, "silence": 60.0, "state": "open",
    }  # fmt: skip


def test_the_screen():
    console = Console(width=160)
    with console.capture() as capture:
        console.print(sessions_screen([FRESH, BEGUN], 2000.0))
        console.print(sessions_screen([], 0.0))
    text = capture.get()
    assert "abcd-1" in text
    assert "holds the rack" in text
    assert "no sessions" in text
