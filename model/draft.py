"""A table of which some keys cannot be read, so that what the others say is checked all the same.

What is asked of an unreadable key is :class:`UnknownValue`: whoever asks leaves that one question open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo


class UnknownValue(Exception):  # noqa: N818 - it says that a question is open, not that something is wrong
    """What was asked of a draft could not be read."""


class Draft:
    """The keys of a table that could be read, as attributes."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Iterate over (key, value), as a table does."""
        return iter(self._values.items())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise UnknownValue(name) from None


def draft(table: type[BaseModel], data: Any) -> Draft:
    """Return what can be read of ``data`` as a ``table``; a key that is not there has its default."""
    values: dict[str, Any] = {}
    for name, field in table.model_fields.items():
        if not isinstance(data, Mapping) or (name not in data and field.is_required()):
            continue
        try:
            values[name] = _read(field, data[name]) if name in data else field.get_default(call_default_factory=True)
        except (ValidationError, UnknownValue):
            continue
    return Draft(values)


def _read(field: FieldInfo, value: Any) -> Any:
    inner = [item for item in (field.annotation, *get_args(field.annotation)) if _is_table(item)]
    if not inner:
        kind: Any = field.annotation
        for item in field.metadata:
            kind = Annotated[kind, item]
        return TypeAdapter(kind).validate_python(value)
    container = get_origin(field.annotation)
    if container is dict:
        if not isinstance(value, Mapping):
            raise UnknownValue
        return {name: draft(inner[0], item) for name, item in value.items()}
    if container is tuple:
        if not isinstance(value, list | tuple):
            raise UnknownValue
        return tuple(draft(inner[0], item) for item in value)
    return draft(inner[0], value)


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def whole(table: type[BaseModel], data: Any) -> Any:
    """Return ``data`` as a ``table`` without the keys that cannot be read; None when the table needs one of them."""
    for _ in range(2):  # an unknown key goes first, then what else is wrong with those that are known
        try:
            return table.model_validate(data)
        except ValidationError as error:
            if not isinstance(data, Mapping):
                return None
            bad = {item["loc"][0] for item in error.errors() if item["loc"]}
            data = {key: value for key, value in data.items() if key not in bad}
    return None


def without(table: Any, keys: tuple[str, ...]) -> Any:
    """Return ``table`` as if the key at the end of the path ``keys`` could not be read."""
    if isinstance(table, Mapping):
        names = {n: ".".join(keys[:n]) for n in range(1, len(keys))}  # one in quotes may have dots
        n = max(n for n, name in names.items() if name in table)
        return {**table, names[n]: without(table[names[n]], keys[n:])}
    if isinstance(table, tuple):
        return tuple(without(item, keys[1:]) if str(i) == keys[0] else item for i, item in enumerate(table))
    values = {name: value for name, value in table}  # noqa: C416 - a draft answers for any attribute, also keys
    rest = values.pop(keys[0])
    return Draft(values if len(keys) == 1 else {**values, keys[0]: without(rest, keys[1:])})


def named(table: Any, key: str) -> dict[Any, Any]:
    """Return the tables under ``key`` by name, or by number for a list; none when they cannot be read."""
    try:
        tables = getattr(table, key)
    except UnknownValue:
        return {}
    return dict(tables) if isinstance(tables, Mapping) else dict(enumerate(tables))


def asked(table: Any, key: str, default: Any = None) -> Any:
    """Return a key of ``table``, ``default`` when it cannot be read."""
    try:
        return getattr(table, key)
    except UnknownValue:
        return default


def meant(tables: Mapping[Any, Any], name: Any) -> Any:
    """Return the table that is called ``name``. Raises :class:`UnknownValue`: another rule says that there is none."""
    if name not in tables:
        raise UnknownValue(name)
    return tables[name]


def respelt(data: dict[str, Any], path: tuple[int | str, ...], legal: Iterable[str]) -> tuple[dict[str, Any], str]:
    """Return ``data`` with the unknown key at ``path`` under the legal name that it is probably meant to have.

    The name is empty, and the data as they were, where no name that is free is like it. Parts of a table, and rows of a
    list of tables, go with those that are spelt right.
    """
    *above, key = path
    result = deepcopy(data)
    table: Any = result
    for step in above:
        table = table[step]
    for name in get_close_matches(str(key), list(legal)):
        there, here = table.get(name), table[key]
        if name not in table:
            table[name] = here
        elif isinstance(there, dict) and isinstance(here, dict) and not there.keys() & here.keys():
            there.update(here)
        elif isinstance(there, list) and isinstance(here, list) and all(isinstance(row, dict) for row in there + here):
            there.extend(here)
        else:
            continue
        del table[key]
        return result, name
    return data, ""
