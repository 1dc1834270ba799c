"""Tasks of several instruments, done side by side: stepwise ones in turns in this thread, others in one thread each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from pulsed.drivers.steps import Ask, Steps, finish, steps_of
from pulsed.model.errors import PulsedError

T = TypeVar("T")


def together(threads: Mapping[str, ThreadPoolExecutor], tasks: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Do each task and wait for all; one error stands for all that failed. A task is that of the instrument it names.

    What is not stepwise, or sends much, goes to the instrument's own thread.
    """
    futures = outcomes(threads, tasks)
    errors = [error for name in tasks if (error := futures[name].exception()) is not None]
    if errors:
        raise _one_error(errors)
    return {name: futures[name].result() for name in tasks}


def outcomes(threads: Mapping[str, ThreadPoolExecutor], tasks: Mapping[str, Callable[[], T]]) -> dict[str, Future[T]]:
    """As :func:`together`, with what came of each task, which is done or in the instrument's thread."""
    steps = {name: found for name, task in tasks.items() if (found := steps_of(task)) is not None}
    futures = {name: threads[name].submit(task) for name, task in tasks.items() if name not in steps}
    return futures | _in_turns(threads, steps)


def _in_turns(threads: Mapping[str, ThreadPoolExecutor], steps: Mapping[str, Steps[T]]) -> dict[str, Future[T]]:
    """Ask all instruments before waiting for the first; each is asked its next step as soon as it has answered."""
    futures: dict[str, Future[T]] = {}
    asked: deque[tuple[str, Ask]] = deque()

    def go_on(name: str, resume: Callable[[], Ask]) -> None:
        try:
            ask = resume()
            while not ask.is_bulk:
                try:
                    ask.send()
                except PulsedError as error:
                    ask = steps[name].throw(error)
                else:
                    asked.append((name, ask))
                    return
            futures[name] = threads[name].submit(finish, steps[name], ask)
        except StopIteration as end:
            futures[name] = Future()
            futures[name].set_result(end.value)
        except PulsedError as error:
            futures[name] = Future()
            futures[name].set_exception(error)

    try:
        for name, own in steps.items():
            go_on(name, partial(next, own))
        while asked:
            name, ask = asked[0]
            resume: Callable[[], Any]
            try:
                resume = partial(steps[name].send, ask.answer())
            except PulsedError as error:
                resume = partial(steps[name].throw, error)
            asked.popleft()
            go_on(name, resume)
    except BaseException:
        # Also when a signal interrupts: an answer that is under way must not be read as another one's.
        for _, ask in asked:
            ask.session.close()
        raise
    return futures


def _one_error(errors: list[BaseException]) -> BaseException:
    """Return the error that stands for all of ``errors``: the most telling one, the group of all its cause."""
    for error in errors:
        if not isinstance(error, PulsedError):
            return error
    first = cast("PulsedError", errors[0])
    if len(errors) == 1:
        return first
    others = ", ".join(cast("PulsedError", error).subject for error in errors[1:])
    error = type(first)(
        f"{first.message} (and so {others})", subject=first.subject, value=first.value, legal=first.legal
    )
    error.__cause__ = BaseExceptionGroup("several instruments failed", errors)
    return error
