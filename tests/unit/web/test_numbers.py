"""Numbers from outside: whatever is written, a number or a plain no."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulsed.model.errors import InvalidValueError
from pulsed.web.notices import Notices
from pulsed.web.numbers import whole
from pulsed.web.pages.measuring import routes
from pulsed.web.site import number
from pulsed.wire.roles import Role

LONG = "9" * 5000
"""More digits than Python makes a number of."""


@given(st.integers(0, 10**9 - 1))
def test_a_number_is_itself(found):
    assert whole(f" {found} ") == number(str(found), "limit", 0) == found


@pytest.mark.parametrize("text", ["", "many", "-1", "1.5", "1e3", "²", LONG, "0" * 5000])
def test_what_is_none_is_refused(text):
    assert whole(text) is None
    with pytest.raises(InvalidValueError, match="not a number of these"):
        number(text, "limit", 0)
    notices = Notices()
    notices.tell("rack")
    start = notices.mark.partition("-")[0]
    assert notices.since(f"{start}-{text}") == notices.since(""), "everything"
    site = SimpleNamespace(lab=SimpleNamespace(check=lambda visitor, request: None))
    (*_, stop) = routes(site, SimpleNamespace(stop=lambda found: pytest.fail("there is no such task")))
    with pytest.raises(InvalidValueError, match="task"):
        stop.endpoint(SimpleNamespace(path_params={"number": text}, state=SimpleNamespace(visitor=None)))


@pytest.mark.parametrize("path", [f"/pulses?program={LONG}", f"/logs?limit={LONG}", f"/pulses/data?program={LONG}"])
def test_a_page_refuses_a_long_number(visit, path):
    assert visit(Role.ADMIN).get(path).status_code == 400
    assert visit(Role.ADMIN).send(f"/tasks/{LONG}/stop").status_code == 400
