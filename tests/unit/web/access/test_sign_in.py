import pytest

from pulsed.web.access.sign_in import LINK_SECONDS, SESSION_SECONDS, Refusal, SignIn, SignInError, is_theirs
from pulsed.wire.roles import Role


class Clock:
    now = 1.8e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> SignIn:
    return SignIn(clock)


def refused(call, *arguments) -> Refusal:
    with pytest.raises(SignInError) as caught:
        call(*arguments)
    return caught.value.refusal


def test_a_link_lets_in_once_as_what_it_says(door):
    link = door.new_link(Role.OPERATOR)
    cookie, visitor = door.use_link(link)
    assert visitor.role is Role.OPERATOR
    assert door.visitor(cookie) == visitor
    assert refused(door.use_link, link) is Refusal.USED_LINK
    assert door.visitor(cookie) == visitor, "who came first stays"


def test_who_lets_whom_in_is_kept_and_logged(door, caplog):
    caplog.set_level("INFO", "pulsed.web")
    link = door.new_link(Role.EXPERIMENTER, "bea\x1b[2J", "anna")
    cookie, visitor = door.use_link(link)
    assert visitor.inviter == "anna"
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" ")[0] for line in lines] == ["link.made", "link.used"]
    assert all("'anna'" in line and "bea" in line and "role=experimenter" in line for line in lines)
    assert not any(secret in line for line in lines for secret in (link, cookie, visitor.token, "\x1b"))


def test_links_that_are_none(door, clock):
    assert refused(door.use_link, "") is Refusal.NO_LINK
    assert refused(door.use_link, "x" * 100_000) is Refusal.NO_LINK
    assert refused(door.use_link, "\udcff") is Refusal.NO_LINK
    link = door.new_link(Role.VIEWER)
    assert refused(door.use_link, link[:-1]) is Refusal.NO_LINK
    clock.now += LINK_SECONDS
    assert refused(door.use_link, link) is Refusal.OLD_LINK
    assert refused(door.use_link, link) is Refusal.USED_LINK


def test_a_cookie_expires_and_a_viewer_s_later(door, clock):
    cookies = {role: door.use_link(door.new_link(role))[0] for role in (Role.VIEWER, Role.OPERATOR)}
    clock.now += 12 * 3600 - 1
    assert door.visitor(cookies[Role.OPERATOR]).role is Role.OPERATOR
    clock.now += 1
    assert refused(door.visitor, cookies[Role.OPERATOR]) is Refusal.OLD_COOKIE
    assert door.visitor(cookies[Role.VIEWER]).role is Role.VIEWER
    clock.now += SESSION_SECONDS[Role.VIEWER]
    assert refused(door.visitor, cookies[Role.VIEWER]) is Refusal.OLD_COOKIE


def test_signed_out_is_out(door):
    cookie, _ = door.use_link(door.new_link(Role.OPERATOR))
    door.sign_out(cookie)
    assert refused(door.visitor, cookie) is Refusal.NO_COOKIE
    for nobody in (None, "", "guess"):
        assert refused(door.visitor, nobody) is Refusal.NO_COOKIE


def test_a_form_carries_the_token_of_its_visitor_alone(door):
    (_, one), (_, other) = (door.use_link(door.new_link(Role.OPERATOR)) for _ in range(2))
    assert is_theirs(one, one.token)
    assert not is_theirs(one, other.token)
    assert not is_theirs(one, "")


def test_what_is_kept_is_bounded(door):
    first = door.new_link(Role.VIEWER)
    for _ in range(1000):
        door.new_link(Role.VIEWER)
    assert refused(door.use_link, first) is Refusal.NO_LINK
