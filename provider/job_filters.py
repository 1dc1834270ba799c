"""What may be asked of a list of jobs, read and checked."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from qiskit.providers import JobStatus

from pulsed.model.job import JobState
from pulsed.provider.errors import OptionValueError
from pulsed.provider.submitted_job import STATUS


def states(status: Any) -> frozenset[JobState]:
    """Return the states that ``status`` means: one, or a list of Qiskit's statuses, their names or our own states'.

    Raises :class:`OptionValueError`.
    """
    several = status if isinstance(status, list | tuple | set | frozenset) else [status]
    return frozenset(state for one in several for state in _states_of(one))


def _states_of(one: Any) -> list[JobState]:
    name = one.name if isinstance(one, JobStatus) else str(one) if isinstance(one, str) else ""
    found = [state for state in JobState if name.upper() in (STATUS[state].name, state.upper())]
    if not found and name.upper() not in JobStatus.__members__:
        legal = dict.fromkeys([*JobStatus.__members__, *(state.upper() for state in JobState)])
        raise OptionValueError("no such status of a job", subject="status", value=one, legal=", ".join(legal))
    return found


OTHER_NAMES = {"job_tags": "tags", "start_datetime": "created_after", "end_datetime": "created_before"}
"""What IBM's providers call a filter, and what it is here."""


def one_name_each(given: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return ``given`` with the filters of IBM's names put in.

    Raises :class:`OptionValueError` for a filter given by both of its names, and ``TypeError`` for one that is none.
    """
    found = dict(given)
    for name, value in other.items():
        if name not in OTHER_NAMES:
            raise TypeError(f"jobs() got an unexpected keyword argument {name!r}; legal: {', '.join(OTHER_NAMES)}")
        if found[OTHER_NAMES[name]] is not None:
            raise OptionValueError(
                "the same filter by two names", subject=name, value=value, legal=f"{name} or {OTHER_NAMES[name]}"
            )
        found[OTHER_NAMES[name]] = value
    return found


def count(name: str, value: Any) -> int:
    """Return a number of jobs. Raises :class:`OptionValueError` for what is none."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        legal = "0 on" + (", or None for all" if name == "limit" else "")
        raise OptionValueError("invalid number of jobs", subject=name, value=value, legal=legal)
    return number


def tags(value: Any) -> tuple[str, ...]:
    """Return tags as a tuple. Raises :class:`OptionValueError` for a text alone, which is no list of its letters."""
    if value is None:
        return ()
    found = None if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if found is None or not all(isinstance(tag, str) for tag in found):
        raise OptionValueError("invalid list of tags", subject="tags", value=repr(value), legal='strings: ["abc"]')
    return found
