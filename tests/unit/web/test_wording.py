import pytest
from jinja2 import Environment

from pulsed.model.job import JobState
from pulsed.model.queue import QueueMode
from pulsed.model.session import SessionState
from pulsed.web.wording import MARKS, age, fill, firmware, mark, model, serial, span, tone


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (3.6, "4 s"), (119.4, "119 s"), (120, "2 min"), (7500, "2 h 5 min"), (200_000, "2 d 7 h")],
)
def test_spans(seconds, said):
    assert span(seconds) == said


def test_every_state_has_a_mark_of_its_own_beside_its_colour():
    for kind in (JobState, QueueMode, SessionState):
        assert set(map(str, kind)) <= set(MARKS)
        marks = [mark(state) for state in kind]
        assert len(set(marks)) == len(marks), "two states with one mark differ in colour alone"
    assert len({mark(word) for word in ("fresh", "stale", "never", "failed", "faulty", "unused")}) == 6
    assert (tone("failed"), tone("done"), tone("paused"), tone("queued")) == ("bad", "good", "warn", "calm")


def test_the_identity_of_an_instrument():
    text = "Rohde&Schwarz,SGS100A, 000004,1.2.3"
    assert (model(text), serial(text), firmware(text)) == ("Rohde&Schwarz SGS100A", "000004", "1.2.3")
    assert (model(""), serial("box"), firmware("a,b")) == ("", "", "")


def test_ages():
    assert age("1970-01-01T00:01:00+00:00", 90.0) == 30.0
    assert age("never", 0.0) is None


def test_other_people_s_text_is_shown_and_not_obeyed():
    environment = Environment(autoescape=True)
    fill(environment)
    shown = environment.from_string("{{ name|text }}").render(name="<script>\u202e\x1b[2J")
    assert shown == r"&lt;script&gt;\u202e\x1b[2J"
