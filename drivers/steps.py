"""Calls of a driver that go step by step, so that several instruments answer at once to one thread.

A stepwise method is a generator: it yields what it asks an instrument and gets the answer back. Called as usual it
runs through; :func:`pulsed.drivers.together.together` takes the steps of many such calls in turns instead. To wake a
thread takes longer than most instruments need for an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Concatenate, ParamSpec, TypeVar

from pulsed.drivers.scpi import Answer, Command, Session
from pulsed.model.errors import PulsedError

Reply = tuple[list[Answer], list[str]]
"""The answers to the queries, and the entries of the error queue."""
_BULK = 1 << 16
"""Bytes from which sending takes long enough for a thread of its own."""
T = TypeVar("T")
D = TypeVar("D")
P = ParamSpec("P")


@dataclass(frozen=True)
class Ask:
    """What one exchange asks, see :meth:`Session.exchange`."""

    session: Session
    commands: Sequence[Command]
    queries: Sequence[str]
    deadline: float

    @property
    def is_bulk(self) -> bool:
        """Whether there is much to send."""
        return sum(0 if isinstance(item, str) else len(item.data) for item in self.commands) >= _BULK

    def send(self) -> None:
        """Send it; :meth:`answer` then waits for what comes back."""
        self.session.send(self.commands, self.queries, self.deadline)

    def answer(self) -> Reply:
        """Wait for the answer."""
        return self.session.answer(self.deadline)


Steps = Generator[Ask, Reply, T]


def stepwise(method: Callable[Concatenate[D, P], Steps[T]]) -> Callable[Concatenate[D, P], T]:
    """Make a generator of steps a method that can be called as usual, too."""

    @wraps(method)
    def whole(driver: D, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finish(method(driver, *args, **kwargs))

    whole.steps = method  # type: ignore[attr-defined]
    return whole


def steps_of(task: Callable[[], T]) -> Steps[T] | None:
    """Return the steps of ``task`` when it is a :func:`partial` of a stepwise method, else None."""
    if not isinstance(task, partial):
        return None
    method = getattr(task.func, "steps", None)
    return None if method is None else method(task.func.__self__, *task.args, **task.keywords)  # type: ignore[attr-defined]


def finish(steps: Steps[T], asked: Ask | None = None) -> T:
    """Take all steps that are left, from ``asked`` on, and return what comes of them."""
    resume: Callable[[], Ask] = partial(next, steps)
    while True:
        try:
            asked = resume() if asked is None else asked
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            asked.send()
            reply = asked.answer()
        except PulsedError as error:
            resume = partial(steps.throw, error)
        else:
            resume = partial(steps.send, reply)
        asked = None
