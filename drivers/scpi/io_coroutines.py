"""Driver methods as coroutines, so that one thread waits for several instruments at once.

An IO coroutine is a generator: it yields what it asks an instrument and gets the answer back. Called as usual it runs
to its end; :func:`pulsed.drivers.rack.gather.gather` interleaves many such calls instead. To wake a thread takes longer
than most instruments need for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar

from pulsed import old_names
from pulsed.drivers.scpi.session import ScpiAnswer, ScpiCommand, Session
from pulsed.model.errors import PulsedError

ScpiReply = tuple[list[ScpiAnswer], list[str]]
"""The answers to the queries, and the entries of the error queue."""
_BULK = 1 << 16
"""Bytes from which sending takes long enough for a thread of its own."""
T = TypeVar("T")
D = TypeVar("D")
P = ParamSpec("P")


@dataclass(frozen=True)
class IoRequest:
    """What one exchange asks, see :meth:`Session.exchange`."""

    session: Session
    commands: Sequence[ScpiCommand]
    queries: Sequence[str]
    deadline: float

    @property
    def is_bulk(self) -> bool:
        """Whether there is much to send."""
        return sum(0 if isinstance(item, str) else len(item.data) for item in self.commands) >= _BULK

    def send(self) -> None:
        """Send it; :meth:`answer` then waits for what comes back."""
        self.session.send(self.commands, self.queries, self.deadline)

    def answer(self) -> ScpiReply:
        """Wait for the answer."""
        return self.session.answer(self.deadline)


IoCoroutine = Generator[IoRequest, ScpiReply, T]


def io_coroutine(method: Callable[Concatenate[D, P], IoCoroutine[T]]) -> Callable[Concatenate[D, P], T]:
    """Make a generator method an IO coroutine: a method that can be called as usual, and interleaved by a rack."""

    @wraps(method)
    def whole(driver: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run_to_end(method(driver, *args, **kwargs))

    whole.coroutine = method  # type: ignore[attr-defined]
    return whole


@dataclass(frozen=True)
class InTurn(Generic[T]):
    """Two tasks of one instrument, the second right after the first: it need not wait for other instruments."""

    first: Callable[[], object]
    then: Callable[[], T]

    def __call__(self) -> T:
        """Do both; return what came of the second."""
        self.first()
        return self.then()

    def coroutine(self) -> IoCoroutine[T] | None:
        """Return both as one coroutine when each of them is one, else None."""
        first, then = coroutine_of(self.first), coroutine_of(self.then)
        return None if first is None or then is None else _both(first, then)


def _both(first: IoCoroutine[object], then: IoCoroutine[T]) -> IoCoroutine[T]:
    yield from first
    return (yield from then)


def coroutine_of(task: Callable[[], T]) -> IoCoroutine[T] | None:
    """Return the coroutine of ``task``, None when it has none.

    A :func:`partial` of an :func:`io_coroutine` has one, and :class:`InTurn` of two of them.
    """
    if isinstance(task, InTurn):
        return task.coroutine()
    if not isinstance(task, partial):
        return None
    method = getattr(task.func, "coroutine", None)
    return None if method is None else method(task.func.__self__, *task.args, **task.keywords)  # type: ignore[attr-defined]


def run_to_end(coroutine: IoCoroutine[T], asked: IoRequest | None = None) -> T:
    """Send all requests that are left, from ``asked`` on, and return the result."""
    resume: Callable[[], IoRequest] = partial(next, coroutine)
    while True:
        try:
            asked = resume() if asked is None else asked
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            asked.send()
            reply = asked.answer()
        except PulsedError as error:
            resume = partial(coroutine.throw, error)
        else:
            resume = partial(coroutine.send, reply)
        asked = None


__getattr__ = old_names(__name__)
