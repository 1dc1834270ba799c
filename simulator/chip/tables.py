"""Reading the tables of a chip file: an error names the key, the bad value and the legal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeGuard, TypeVar

from pulsed.model.errors import ConfigError

Record = TypeVar("Record")


def check(condition: bool, message: str, subject: str, value: object, legal: str) -> None:
    """Raise ConfigError unless ``condition`` holds."""
    if not condition:
        raise ConfigError(message, subject=subject, value=value, legal=legal)


def check_keys(cls: type[Any], data: Mapping[str, Any], subject: str) -> None:
    """Raise ConfigError if a table has a key that the dataclass ``cls`` has no field for."""
    known = {f.name for f in fields(cls)}
    unknown = sorted(set(data) - known)
    check(not unknown, "unknown key", subject, ", ".join(unknown), ", ".join(sorted(known)))


def read_record(cls: type[Record], data: Mapping[str, Any], subject: str) -> Record:
    """Return a table as the dataclass ``cls``; ConfigError for an unknown key and for a missing one."""
    check_keys(cls, data, subject)
    try:
        return cls(**data)
    except TypeError as error:
        missing = ", ".join(sorted({f.name for f in fields(cls)} - set(data)))  # type: ignore[arg-type]
        raise ConfigError("missing key", subject=subject, value="", legal=missing) from error


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is an integer or a float; True and False are neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)
