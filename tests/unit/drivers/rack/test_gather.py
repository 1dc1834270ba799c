"""IO coroutines: one thread, several instruments that answer at once."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from pulsed.drivers.rack.gather import gather
from pulsed.drivers.scpi.io_coroutines import InTurn, IoRequest, coroutine_of, io_coroutine, run_to_end
from pulsed.drivers.scpi.session import BlockCommand
from pulsed.drivers.scpi.transport import SocketTransport
from pulsed.model.errors import InstrumentRefusedError, InstrumentTimeoutError


class FakeSession:
    """Writes down who sends and who waits; ``refuses`` and ``interrupted`` raise in the wait."""

    def __init__(self, name, log, raises=None):
        self.name, self.log, self.raises, self.closed = name, log, raises, False

    def send(self, commands, queries, deadline):
        self.log.append(("send", self.name, threading.current_thread().name))

    def answer(self, deadline):
        self.log.append(("answer", self.name, threading.current_thread().name))
        if self.raises is not None:
            raise self.raises
        return [self.name], []

    def close(self):
        self.closed = True


class Driver:
    def __init__(self, name, log, raises=None):
        self.session, self.caught = FakeSession(name, log, raises), 0

    @io_coroutine
    def twice(self, mark):
        """Ask twice and return both answers."""
        try:
            first = yield IoRequest(self.session, (), ("A?",), 1.0)
            second = yield IoRequest(self.session, (), ("B?",), 1.0)
        except InstrumentTimeoutError:
            self.caught += 1
            raise
        return mark, *first[0], *second[0]

    @io_coroutine
    def upload(self):
        """Send much."""
        yield IoRequest(self.session, (BlockCommand("W ", bytes(1 << 17)),), (), 1.0)

    @io_coroutine
    def nothing(self):
        """Ask nothing."""
        return 7
        yield


@pytest.fixture
def threads():
    pools = {name: ThreadPoolExecutor(1, thread_name_prefix=f"of-{name}") for name in "abc"}
    yield pools
    for pool in pools.values():
        pool.shutdown()


def test_an_io_coroutine_can_be_called_as_usual():
    driver = Driver("a", [])
    assert driver.twice(3) == (3, "a", "a")
    assert driver.nothing() == 7
    assert coroutine_of(lambda: None) is None
    assert coroutine_of(partial(print, 1)) is None
    assert run_to_end(coroutine_of(partial(driver.twice, mark=4))) == (4, "a", "a")


def test_all_are_asked_before_the_first_is_waited_for(threads):
    log: list[tuple[str, str, str]] = []
    drivers = {name: Driver(name, log) for name in "abc"}
    done = gather(threads, {name: partial(driver.twice, 1) for name, driver in drivers.items()})
    assert done == {name: (1, name, name) for name in "abc"}
    assert [what[:2] for what in log[:6]] == [
        ("send", "a"), ("send", "b"), ("send", "c"), ("answer", "a"), ("send", "a"), ("answer", "b"),
    ]  # fmt: skip
    assert {thread for _, _, thread in log} == {threading.current_thread().name}


def test_one_of_two_in_turn_is_asked_its_second_before_another_is_waited_for(threads):
    log = []
    one, other = Driver("a", log), Driver("b", log)
    tasks = {"a": InTurn(partial(one.twice, 1), partial(one.twice, 2)), "b": partial(other.twice, 3)}
    assert gather(threads, tasks) == {"a": (2, "a", "a"), "b": (3, "b", "b")}
    assert [(what, who) for what, who, _ in log[:4]] == [("send", "a"), ("send", "b"), ("answer", "a"), ("send", "a")]
    assert {thread for _, _, thread in log} == {"MainThread"}
    assert InTurn(partial(one.twice, 1), partial(one.twice, 2))() == (2, "a", "a")
    plain = InTurn(partial(one.twice, 1), lambda: threading.current_thread().name)
    assert coroutine_of(plain) is None
    assert gather(threads, {"a": plain})["a"].startswith("of-a")


def test_the_second_of_two_in_turn_is_not_begun_when_the_first_fails(threads):
    driver, done = Driver("a", [], InstrumentTimeoutError("late")), []
    with pytest.raises(InstrumentTimeoutError):
        gather(threads, {"a": InTurn(partial(driver.twice, 1), partial(driver.twice, 2))})
    with pytest.raises(InstrumentTimeoutError):
        InTurn(partial(driver.twice, 1), lambda: done.append(1))()
    assert (driver.caught, done) == (2, [])


def test_what_fails_fails_alone_and_the_driver_sees_it(threads):
    log: list[tuple[str, str, str]] = []
    broken = InstrumentTimeoutError("no answer", subject="instrument b")
    drivers = {"a": Driver("a", log), "b": Driver("b", log, broken), "c": Driver("c", log)}
    with pytest.raises(InstrumentTimeoutError) as caught:
        gather(threads, {name: partial(driver.twice, 1) for name, driver in drivers.items()})
    assert caught.value is broken
    assert drivers["b"].caught == 1
    assert [name for what, name, _ in log if what == "answer"].count("c") == 2
    assert not any(driver.session.closed for driver in drivers.values())


def test_one_error_stands_for_several(threads):
    errors = {name: InstrumentRefusedError("refused", subject=f"instrument {name}") for name in "ac"}
    drivers = {name: Driver(name, [], errors.get(name)) for name in "abc"}
    with pytest.raises(InstrumentRefusedError, match="also affected: instrument c: refused") as caught:
        gather(threads, {name: partial(driver.twice, 1) for name, driver in drivers.items()})
    assert [error.subject for error in caught.value.causes] == ["instrument a", "instrument c"]
    assert isinstance(caught.value.__cause__, BaseExceptionGroup)
    assert set(caught.value.__cause__.exceptions) == set(errors.values())


def test_an_interruption_closes_what_has_an_answer_under_way(threads):
    class Ended(BaseException):
        pass

    drivers = {"a": Driver("a", []), "b": Driver("b", [], Ended()), "c": Driver("c", [])}
    tasks = {"a": drivers["a"].nothing, **{name: partial(drivers[name].twice, 1) for name in "bc"}}
    with pytest.raises(Ended):
        gather(threads, tasks)
    assert [drivers[name].session.closed for name in "abc"] == [False, True, True]


def test_much_to_send_and_plain_calls_have_the_instruments_thread(threads):
    log: list[tuple[str, str, str]] = []
    started = threading.Event()

    def plain():
        started.set()
        return threading.current_thread().name

    drivers = {name: Driver(name, log) for name in "ab"}
    done = gather(threads, {"a": partial(drivers["a"].upload), "b": partial(drivers["b"].nothing), "c": plain})
    assert done["b"] == 7
    assert done["c"].startswith("of-c")
    assert {(name, thread.split("_")[0]) for _, name, thread in log} == {("a", "of-a")}


def test_a_wait_ends_at_its_deadline_whatever_timeout_the_last_one_left():
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    other, _ = listener.accept()
    try:
        transport, into = SocketTransport(peer), memoryview(bytearray(16))
        for left, had in ((0.3, 0.2), (0.05, 60.0), (0.2, 0.001)):
            peer.settimeout(had)
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                transport.receive(into, began + left)
            assert time.monotonic() - began >= left - 0.002
        peer.settimeout(0.02)
        threading.Timer(0.1, other.sendall, (b"late",)).start()
        assert transport.receive(into, time.monotonic() + 30) == 4
        assert bytes(into[:4]) == b"late"
    finally:
        for item in (listener, peer, other):
            item.close()


def test_a_peer_that_stops_reading_does_not_hold_the_sender_beyond_the_deadline():
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    other, _ = listener.accept()
    try:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            SocketTransport(peer).send([bytes(1 << 26)], began + 0.2)
        assert 0.19 < time.monotonic() - began < 20
    finally:
        for item in (listener, peer, other):
            item.close()
