"""How long things last: clients in the child of a fork, and methods that do not keep their object."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any, Protocol


class Forked(Protocol):
    """What starts afresh in the child of a fork."""

    def after_fork(self) -> None:
        """Forget threads and sockets: the former do not come along, and the latter are the parent's."""


_told: weakref.WeakSet[Forked] = weakref.WeakSet()
_of_parents: list[object] = []


def tell_of_forks(one: Forked) -> None:
    """Have ``one.after_fork`` called in the child of a fork, as long as it is there."""
    _told.add(one)


def leave_to_parent(thing: object) -> None:
    """Keep what belongs to the process that this one was forked from: destroying it here would close the parent's."""
    _of_parents.append(thing)


def _in_child() -> None:
    for one in list(_told):
        one.after_fork()


os.register_at_fork(after_in_child=_in_child)


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return a function that calls a bound method as long as its object is there, and does not keep it."""
    reference = weakref.WeakMethod(method)

    def call(*args: Any) -> None:
        bound = reference()
        if bound is not None:
            bound(*args)

    return call
