"""Both ends of the wire in memory: round trips, rights, hostile bytes, lost connections, gaps."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulsed.model.errors import ErrorInfo, IllegalStepError, NotAllowedError, ProtocolError, from_info
from pulsed.model.job import JobInfo, JobRequest, JobState, RunOptions
from pulsed.wire import messages as m
from pulsed.wire import protocol as p
from pulsed.wire.base import PROTOCOL
from pulsed.wire.roles import RIGHTS, Role, check_owner, check_right, parse_role

LIMIT = 1000
JOB = JobInfo("j", "sim5", JobState.QUEUED, "me", 1.5, options=RunOptions(shots=3), tags=("a",))


def greeting(request_id: int, number: int = 0) -> p.Frames:
    return p.frames_of(
        m.Greeting(request_id, PROTOCOL, "1", (13, 18), ("sim5",), "me", "admin", "tcp://*:1", number, "i", LIMIT)
    )


def opened() -> p.ClientProtocol:
    client = p.ClientProtocol("1")
    client.connected()
    (hello,) = client.outbox
    client.outbox.clear()
    events = client.receive(greeting(msgspec.msgpack.decode(hello[0])["id"]))
    assert isinstance(events[0], p.Greeted)
    return client


def served(client: p.ClientProtocol, reply_of: object, parts: tuple[bytes, ...] = ()) -> list[p.ConnectionEvent]:
    """Let a daemon's end answer what the client sends."""
    daemon = p.DaemonProtocol(LIMIT)
    events: list[p.ConnectionEvent] = []
    for frames in client.outbox:
        received = daemon.receive(frames, "me", Role.ADMIN)
        if isinstance(received, p.Refused):
            events += client.receive(received.frames)
        else:
            assert callable(reply_of)
            events += client.receive(p.frames_of(reply_of(received.message.id), parts))
    client.outbox.clear()
    return events


def test_every_request_has_a_right_and_a_tag_of_its_own() -> None:
    assert set(RIGHTS) == set(m.AnyRequest.__args__)
    tags = [kind.__struct_config__.tag for kind in (*m.AnyRequest.__args__, *m.AnyReply.__args__, *m.AnyEvent.__args__)]
    assert len(set(tags)) == len(tags)


def test_request_and_answer_with_parts() -> None:
    client = opened()
    job = JobRequest("j", ("qpy",), 1, RunOptions(shots=7, rep_delay=1e-4), name="ü")
    request_id = client.request(m.Submit, [b"part", b""], job=job, backend=None)
    received = p.DaemonProtocol(LIMIT).receive(client.outbox[0], "me", Role.EXPERIMENTER)
    assert isinstance(received, p.Received)
    assert isinstance(received.message, m.Submit)
    assert received.message.job == job
    assert list(received.parts) == [b"part", b""]
    (event,) = client.receive(p.frames_of(m.JobReply(request_id, JOB), [b"x"]))
    assert isinstance(event, p.Answered)
    assert isinstance(event.message, m.JobReply)
    assert (event.id, event.message.job, list(event.parts)) == (request_id, JOB, [b"x"])
    assert client.receive(p.frames_of(m.JobReply(request_id, JOB))) == [], "an answer that came twice"


def test_answers_come_in_any_order() -> None:
    client = opened()
    ids = [client.request(m.GetJob, job_id=str(i)) for i in range(5)]
    for request_id in reversed(ids):
        (event,) = client.receive(p.frames_of(m.JobReply(request_id, JOB)))
        assert isinstance(event, p.Answered)
        assert event.id == request_id


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_no_bytes_make_either_end_do_more_than_a_typed_error(frames: list[bytes]) -> None:
    outcome = p.DaemonProtocol(LIMIT).receive(frames, "me", Role.ADMIN)
    if isinstance(outcome, p.Refused):
        reply = msgspec.msgpack.decode(outcome.frames[0], type=m.AnyReply)
        assert isinstance(reply, m.ErrorReply)
        assert reply.error.message
    client = opened()
    for read in (client.receive, client.events):
        with contextlib.suppress(ProtocolError):  # anything else is a bug
            read(frames)


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(p.REQUEST_TAGS), st.integers(0, 2**31), st.dictionaries(st.text(max_size=8), nested, max_size=4))
def test_any_fields_under_any_tag_are_read_or_refused_under_their_id(tag: str, number: int, fields: dict) -> None:
    head = msgspec.msgpack.encode({**fields, "type": tag, "id": number})
    outcome = p.DaemonProtocol(LIMIT).receive([head], "me", Role.ADMIN)
    if isinstance(outcome, p.Refused):
        assert msgspec.msgpack.decode(outcome.frames[0])["id"] == number
    else:
        assert outcome.message.id == number


def refusal(frames: list[bytes], role: Role = Role.ADMIN) -> m.ErrorReply:
    outcome = p.DaemonProtocol(LIMIT).receive(frames, "me", role)
    assert isinstance(outcome, p.Refused)
    reply = msgspec.msgpack.decode(outcome.frames[0], type=m.AnyReply)
    assert isinstance(reply, m.ErrorReply)
    return reply


def test_unknown_message_is_refused_by_name_and_unknown_field_ignored() -> None:
    reply = refusal([msgspec.msgpack.encode({"type": "dance", "id": 9})])
    assert (reply.id, reply.error.value) == (9, "dance")
    assert "submit" in reply.error.legal
    outcome = p.DaemonProtocol(LIMIT).receive(
        [msgspec.msgpack.encode({"type": "status", "id": 1, "colour": "red"})], "me", Role.VIEWER
    )
    assert isinstance(outcome, p.Received)


def test_unknown_option_of_a_job_is_refused() -> None:
    for options, named in [
        ({"shotz": 1}, "shotz"),
        ({"shots": 1, "zz": None, "aa": {}}, "aa, zz"),
        ({"spectrum": {"port": "d0", "frequencies": [1.0], "height": 2}}, "spectrum.height"),
    ]:
        job = {"job_id": "j", "kinds": ["qpy"], "num_programs": 1, "options": options}
        reply = refusal([msgspec.msgpack.encode({"type": "submit", "id": 1, "job": job})])
        assert (reply.id, reply.error.code, reply.error.value) == (1, "invalid_value", named)
        assert "rep_delay" in reply.error.legal


def test_bounds_on_frames_heads_and_bytes() -> None:
    status = msgspec.msgpack.encode({"type": "status", "id": 4})
    assert "too large" in refusal([status, bytes(LIMIT + 1)]).error.message
    assert refusal([status, bytes(LIMIT), b"x"]).id == 4
    assert "too many frames" in refusal([status] + [b""] * p.MAX_FRAMES).error.message
    assert "head" in refusal([bytes(p.MAX_HEAD + 1)]).error.message
    assert isinstance(p.DaemonProtocol(LIMIT).receive([status, bytes(LIMIT)], "me", Role.VIEWER), p.Received)


def test_another_protocol_is_refused_with_both_versions() -> None:
    error = refusal(p.frames_of(m.Hello(1, PROTOCOL + 1, "9.9"))).error
    assert (error.value, error.legal) == (str(PROTOCOL + 1), str(PROTOCOL))
    assert "9.9" in error.subject


@pytest.mark.parametrize("kind", m.AnyRequest.__args__)
@pytest.mark.parametrize("role", Role)
def test_rights_are_those_of_the_table(kind: type[m.Request], role: Role) -> None:
    config = msgspec.structs.fields(kind)
    message = kind(1, **{field.name: "x" for field in config if field.required and field.name != "id"})
    if role >= RIGHTS[kind]:
        check_right(message, "me", role)
    else:
        with pytest.raises(NotAllowedError, match="legal: from"):
            check_right(message, "me", role)


def test_owner_or_operator() -> None:
    check_owner("j", "me", "me", Role.VIEWER)
    check_owner("j", "you", "me", Role.OPERATOR)
    with pytest.raises(NotAllowedError, match="belongs to you"):
        check_owner("j", "you", "me", Role.EXPERIMENTER)


def test_roles_are_ordered_and_named() -> None:
    assert [str(role) for role in sorted(Role)] == ["viewer", "experimenter", "operator", "admin"]
    assert all(parse_role(str(role)) is role for role in Role)


def test_requests_wait_for_the_greeting_and_go_on_after_a_lost_connection() -> None:
    client = p.ClientProtocol("1")
    first = client.request(m.GetStatus)
    assert client.outbox == []
    client.connected()
    hello = client.outbox.pop()
    client.receive(greeting(msgspec.msgpack.decode(hello[0])["id"]))
    assert [msgspec.msgpack.decode(frames[0])["id"] for frames in client.outbox] == [first]
    client.outbox.clear()
    client.lost()
    second = client.request(m.GetJob, job_id="j")
    assert client.outbox == []
    client.connected()
    hello = client.outbox.pop()
    (event,) = client.receive(greeting(msgspec.msgpack.decode(hello[0])["id"]))
    assert isinstance(event, p.Greeted)
    assert event.again
    assert [msgspec.msgpack.decode(frames[0])["id"] for frames in client.outbox] == [first, second]


def test_request_that_breaks_connections_is_given_up() -> None:
    client = opened()
    request_id = client.request(m.GetStatus)
    events: list[p.ConnectionEvent] = []
    for _ in range(p.MAX_SENDS):
        client.outbox.clear()
        client.connected()  # the loss was not even told
        hello = client.outbox.pop()
        events = client.receive(greeting(msgspec.msgpack.decode(hello[0])["id"]))
    assert isinstance(events[-1], p.Failed)
    assert events[-1].id == request_id
    assert client.outbox == []


def test_forgotten_and_closed_requests() -> None:
    client = opened()
    forgotten, open_one = client.request(m.GetStatus), client.request(m.GetStatus)
    client.forget(forgotten)
    assert client.receive(p.frames_of(m.StopReply(forgotten))) == []
    assert [event.id for event in client.close() if isinstance(event, p.Failed)] == [open_one]
    with pytest.raises(IllegalStepError):
        client.connected()


def test_error_answer_keeps_its_type() -> None:
    client = opened()
    client.request(m.Stop)
    info = ErrorInfo("not_allowed", "no", "key me", "stop", "from admin on")
    (event,) = served(client, lambda request_id: m.ErrorReply(request_id, info))
    assert isinstance(event, p.Failed)
    assert isinstance(from_info(event.error), NotAllowedError)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40).filter(lambda runs: runs[0] > 0))
@settings(max_examples=50)
def test_every_hole_in_the_numbers_is_seen_once(runs: list[int]) -> None:
    """Runs of events that arrive (even places) and that are lost (odd places)."""
    source, client = p.EventSource(), opened()
    assert client.subscribed() == []
    told, gaps, expected_gaps, lost = [], 0, 0, False
    for place, length in enumerate(runs):
        for _ in range(length):
            frames = [source.frame(m.CalibrationChanged(0, "c"))]
            if place % 2:
                lost = True
                continue
            expected_gaps += lost
            lost = False
            for event in client.events(frames):
                gaps += isinstance(event, p.Gap)
                told += [event.event.number] if isinstance(event, p.EventReceived) else []
    assert gaps == expected_gaps
    assert told == sorted(set(told))


def test_notice_of_an_unknown_kind_counts() -> None:
    client = opened()
    client.subscribed()
    client.events(p.frames_of(m.CalibrationChanged(1, "c")))
    assert client.events([msgspec.msgpack.encode({"type": "eclipse", "number": 2})]) == []
    (event,) = client.events(p.frames_of(m.CalibrationChanged(3, "c")))
    assert isinstance(event, p.EventReceived)


def test_notices_of_one_message_are_read_in_order_with_the_hole_between_them() -> None:
    source, client = p.EventSource(), opened()
    client.subscribed()
    one, _, three, four = (source.frame(m.CalibrationChanged(0, name)) for name in "abcd")
    events = client.events([one, three, four])
    assert [event.event.calibration_id if isinstance(event, p.EventReceived) else event for event in events] == [
        "a", p.Gap(2, 3), "c", "d",
    ]  # fmt: skip


def test_subscription_that_comes_again_is_a_gap() -> None:
    client = opened()
    assert client.subscribed() == []
    (event,) = client.subscribed()
    assert isinstance(event, p.Gap)


def test_connection_takes_legal_steps_only() -> None:
    assert p.CLIENT_STEPS.keys() == set(p.ClientState)
    client = p.ClientProtocol("1")
    with pytest.raises(IllegalStepError):
        client.lost()
    assert client.state is p.ClientState.IDLE
