"""Tasks of several instruments, side by side: IO coroutines interleaved in this thread, others in a thread each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, cast

from pulsed.drivers.scpi.io_coroutines import IoCoroutine, IoRequest, coroutine_of, run_to_end
from pulsed.model.errors import PulsedError, combined

T = TypeVar("T")


def gather(threads: Mapping[str, ThreadPoolExecutor], tasks: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Do each task and wait for all; one error stands for all that failed. A task is that of the instrument it names.

    What is no IO coroutine, or sends much, goes to the instrument's own thread.
    """
    futures = outcomes(threads, tasks)
    errors = [error for name in tasks if (error := futures[name].exception()) is not None]
    if errors:
        raise _one_error(errors)
    return {name: futures[name].result() for name in tasks}


def outcomes(threads: Mapping[str, ThreadPoolExecutor], tasks: Mapping[str, Callable[[], T]]) -> dict[str, Future[T]]:
    """As :func:`gather`, with what came of each task, which is done or in the instrument's thread."""
    coroutines = {name: found for name, task in tasks.items() if (found := coroutine_of(task)) is not None}
    futures = {name: threads[name].submit(task) for name, task in tasks.items() if name not in coroutines}
    return futures | _interleave(threads, coroutines)


def _interleave(
    threads: Mapping[str, ThreadPoolExecutor], coroutines: Mapping[str, IoCoroutine[T]]
) -> dict[str, Future[T]]:
    """Ask all instruments before waiting for the first; each is asked its next request as soon as it has answered."""
    futures: dict[str, Future[T]] = {}
    asked: deque[tuple[str, IoRequest]] = deque()

    def go_on(name: str, resume: Callable[[], IoRequest]) -> None:
        try:
            ask = resume()
            while not ask.is_bulk:
                try:
                    ask.send()
                except PulsedError as error:
                    ask = coroutines[name].throw(error)
                else:
                    asked.append((name, ask))
                    return
            futures[name] = threads[name].submit(run_to_end, coroutines[name], ask)
        except StopIteration as end:
            futures[name] = Future()
            futures[name].set_result(end.value)
        except PulsedError as error:
            futures[name] = Future()
            futures[name].set_exception(error)

    try:
        for name, own in coroutines.items():
            go_on(name, partial(next, own))
        while asked:
            name, ask = asked[0]
            resume: Callable[[], Any]
            try:
                resume = partial(coroutines[name].send, ask.answer())
            except PulsedError as error:
                resume = partial(coroutines[name].throw, error)
            asked.popleft()
            go_on(name, resume)
    except BaseException:
        # Also when a signal interrupts: an answer that is under way must not be read as another one's.
        for _, ask in asked:
            ask.session.close()
        raise
    return futures


def _one_error(errors: list[BaseException]) -> BaseException:
    """Return the error that stands for all of ``errors``: a bug's own, else all of them combined."""
    for error in errors:
        if not isinstance(error, PulsedError):
            return error
    error = combined(cast("list[PulsedError]", errors))
    if error.causes:
        error.__cause__ = BaseExceptionGroup("several instruments failed", errors)
    return error
