"""One thread per instrument, and tasks that are done in them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

from pulsed.model.errors import PulsedError

T = TypeVar("T")


def together(threads: Mapping[str, ThreadPoolExecutor], tasks: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Do each task in its instrument's thread and wait for all; one error stands for all that failed.

    The last one is done here while the others are under way, which saves a change of threads.
    """
    if not tasks:
        return {}
    *others, (own, task) = tasks.items()
    futures = {name: threads[name].submit(call) for name, call in others}
    futures[own] = _done(task)
    errors = [error for future in futures.values() if (error := future.exception()) is not None]
    if errors:
        raise _one_error(errors)
    return {name: future.result() for name, future in futures.items()}


def _done(task: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(task())
    except PulsedError as error:
        future.set_exception(error)
    return future


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
